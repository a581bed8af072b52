/*
 * offered.c - names of a static repository's files, an offer as it lies there, a release described. See publish.h.
 */
#include <string.h>

#include "cose.h"
#include "publish.h"
#include "show.h"

static void name_of(char out[GWH_STORE_NAME_MAX], const char *folder, const uint8_t *p, size_t n, const char *end)
{
    size_t at = strlen(folder);
    memcpy(out, folder, at);
    gwh_hex(out + at, p, n);
    memcpy(out + at + 2 * n, end, strlen(end) + 1);
}

void gwh_offer_name(char out[GWH_STORE_NAME_MAX], const uint8_t class_id[16])
{
    name_of(out, "offers/", class_id, 16, "");
}

void gwh_payload_name(char out[GWH_STORE_NAME_MAX], const uint8_t name[32])
{
    name_of(out, "payloads/", name, 32, "");
}

void gwh_description_name(char out[GWH_STORE_NAME_MAX], const uint8_t digest[32])
{
    name_of(out, "releases/", digest, 32, ".json");
}

/* ---- An offer ---------------------------------------------------------------------------------------------------- */

int gwh_offered_parse(struct gwh_offered *o)
{
    struct gw_span map;
    int e = gw_offer_parse(&o->offer, o->bytes.p, o->bytes.n);
    if (e == GW_OK && o->offer.manifest.n > 0) {
        o->has_manifest = true;
        e = gwh_sign_payload(o->offer.manifest, &map);
        e = e == GW_OK ? gw_manifest_parse(&o->m, map.p, map.n) : e;
        e = e == GW_OK ? gw_sha256(gwh_openssl()->gw, map.p, map.n, o->digest) : e;
    }
    if (e == GW_OK && o->offer.head.n > 0) {
        o->has_head = true;
        e = gwh_sign_payload(o->offer.head, &map);
        e = e == GW_OK ? gw_head_parse(&o->head, map.p, map.n) : e;
    }
    if (e == GW_OK && o->offer.trust.n > 0) {
        o->has_trust = true;
        e = gwh_sign_payload(o->offer.trust, &map);
        e = e == GW_OK ? gw_trust_parse(&o->trust, map.p, map.n) : e;
    }
    return e;
}

int gwh_offered_get(struct gwh_offered *o, const struct gwh_store *store, const char *name, struct gwh_error *err)
{
    memset(o, 0, sizeof *o);
    int e = store->get(store->ctx, name, GWH_OFFER_MAX, &o->bytes, err);
    if (e != GWH_OK || o->bytes.n == 0) {
        return e;
    }
    int reason = gwh_offered_parse(o);
    return reason == GW_OK ? GWH_OK : gwh_fail_reason(err, reason, "the offer %s cannot be read", name);
}

void gwh_offered_free(struct gwh_offered *o)
{
    gwh_buf_free(&o->bytes);
    memset(o, 0, sizeof *o);
}

/* ---- A release --------------------------------------------------------------------------------------------------- */

static int add_payload(void *ctx, const struct gwh_place *at)
{
    json_t *o = json_object();
    (void)json_object_set_new(o, "name", gwh_show_hex(at->p.name, 32));
    (void)json_object_set_new(o, "size", json_integer(at->p.size));
    (void)json_object_set_new(o, "kind", json_string(at->p.delta ? "delta" : "full"));
    (void)json_object_set_new(o, "component", json_integer(at->c.id));
    if (at->v.linked) {
        (void)json_object_set_new(o, "linked for address", json_integer(at->v.address));
    }
    (void)json_array_append_new(ctx, o);
    return GW_OK;
}

json_t *gwh_describe(const struct gw_manifest *m, const uint8_t digest[32], const char *class_name)
{
    json_t *o = json_object(), *payloads = json_array();
    (void)json_object_set_new(o, "version", gwh_show_text(m->version));
    (void)json_object_set_new(o, "epoch", json_integer(m->order.epoch));
    (void)json_object_set_new(o, "sequence", json_integer(m->order.sequence));
    (void)json_object_set_new(o, "digest", gwh_show_hex(digest, 32));
    (void)json_object_set_new(o, "vendor id", gwh_show_hex(m->vendor, 16));
    (void)json_object_set_new(o, "class id", gwh_show_hex(m->class_id, 16));
    if (class_name != NULL) {
        (void)json_object_set_new(o, "class", json_string(class_name));
    }
    if (m->notes.n > 0) {
        (void)json_object_set_new(o, "notes", gwh_show_text(m->notes));
    }
    (void)json_object_set_new(o, "encrypted", json_boolean(m->key_check.n > 0));
    (void)gwh_each_payload(m, add_payload, payloads);
    (void)json_object_set_new(o, "payloads", payloads);
    return o;
}
