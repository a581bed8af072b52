/*
 * show_release.c - grants, whole releases, and any object by what it parses as. See show.h.
 */
#include <string.h>

#include "cose.h"
#include "godwit/agent.h"
#include "show.h"

static const char *wrap_name(int64_t a)
{
    switch (a) {
    case GW_ALG_A128KW: return "AES-128 key wrap under a pre-shared key";
    case GW_ALG_A256KW: return "AES-256 key wrap under a pre-shared key";
    case GW_ALG_ECDH_ES_A128KW: return "ECDH-ES, AES-128 key wrap";
    case GW_ALG_ECDH_ES_A256KW: return "ECDH-ES, AES-256 key wrap";
    default: return "unknown";
    }
}

/* The algorithm under label 1 of a header map; 0: not there. The key id under label 4, if asked for. */
static int64_t header(struct gw_span bytes, struct gw_span *kid, struct gw_span *digest)
{
    struct gw_cbor c;
    struct gw_cbor_map map;
    int64_t key, algorithm = 0;
    if (bytes.n == 0) {
        return 0;
    }
    gw_cbor_init(&c, bytes.p, bytes.n);
    gw_cbor_map(&c, &map);
    while (gw_cbor_next(&c, &map, &key)) {
        if (key == 1) {
            algorithm = gw_cbor_int(&c);
        } else if (key == 4 && kid != NULL) {
            *kid = gw_cbor_bytes(&c);
        } else if (key == -70001 && digest != NULL) {
            *digest = gw_cbor_bytes(&c);
        } else {
            (void)gw_cbor_item(&c);
        }
    }
    return c.error == GW_OK ? algorithm : 0;
}

static json_t *show_recipient(struct gw_cbor *c)
{
    struct gw_span kid = {0};
    uint32_t n = gw_cbor_array(c);
    struct gw_span protected_header = gw_cbor_bytes(c);
    int64_t unprotected = header(gw_cbor_item(c), &kid, NULL);
    int64_t algorithm = protected_header.n > 0 ? header(protected_header, NULL, NULL) : unprotected;
    (void)gw_cbor_bytes(c);
    if (n != 3) {
        gw_cbor_fail(c, GW_ERR_FORMAT);
    }
    return json_pack("{s:o,s:s}", "key id", gwh_show_hex(kid.p, kid.n), "wrapped by", wrap_name(algorithm));
}

json_t *gwh_show_grant(struct gw_span bytes)
{
    json_t *o = json_object(), *list = json_array();
    struct gw_cbor c;
    struct gw_span digest = {0};
    gw_cbor_init(&c, bytes.p, bytes.n);
    (void)gw_cbor_tag(&c, 96);
    uint32_t n = gw_cbor_array(&c);
    (void)header(gw_cbor_bytes(&c), NULL, &digest);
    (void)gw_cbor_item(&c);
    if (n != 4 || !gw_cbor_null(&c) || digest.n != 32) {
        gw_cbor_fail(&c, GW_ERR_FORMAT);
    }
    uint32_t recipients = gw_cbor_array(&c);
    for (uint32_t i = 0; i < recipients && c.error == GW_OK; i++) {
        (void)json_array_append_new(list, show_recipient(&c));
    }
    int e = gw_cbor_end(&c);
    (void)json_object_set_new(o, "kind", json_string("key grant"));
    if (e != GW_OK) {
        (void)json_object_set_new(o, "error", json_string(gw_error_name(e)));
        (void)json_object_set_new(o, "why", json_string(gw_strerror(e)));
    }
    (void)json_object_set_new(o, "for manifest", gwh_show_hex(digest.p, digest.n));
    (void)json_object_set_new(o, "recipients", list);
    return o;
}

struct missing {
    const struct gwh_release *r;
    json_t *list;
};

static int note_missing(void *ctx, const struct gwh_place *at)
{
    struct missing *m = ctx;
    struct gwh_error ignored = {0};
    char path[GWH_PATH_MAX];
    if (gwh_release_payload_path(path, m->r, at->p.name, &ignored) == GWH_OK && !gwh_file_exists(path)) {
        (void)json_array_append_new(m->list, json_string(path));
    }
    return GW_OK;
}

json_t *gwh_show_release(const struct gwh_release *r, bool with_files)
{
    json_t *o = gwh_show_manifest(&r->m, r->digest);
    (void)json_object_set_new(o, "kind", json_string(with_files ? "release" : "manifest"));
    (void)json_object_set_new(o, "signatures", gwh_show_signatures(gwh_span(&r->cose)));
    (void)json_object_set_new(o, "manifest bytes", json_integer((json_int_t)r->cose.n));
    if (!with_files) {
        return o;
    }
    json_t *grants = json_array();
    for (size_t i = 0; i < r->grant_count; i++) {
        json_t *g = gwh_show_grant(gwh_span(&r->grants[i].bytes));
        (void)json_object_set_new(g, "file", json_string(r->grants[i].name));
        (void)json_array_append_new(grants, g);
    }
    (void)json_object_set_new(o, "grants", grants);
    if (r->head.n > 0) {
        json_t *head;
        if (gwh_show_any(&head, gwh_span(&r->head)) == GW_OK) {
            (void)json_object_set_new(o, "head", head);
        }
    }
    struct missing m = {r, json_array()};
    (void)gwh_each_payload(&r->m, note_missing, &m);
    (void)json_object_set_new(o, "missing payload files", m.list);
    return o;
}

static json_t *show_signed(struct gw_span map)
{
    struct gw_manifest m;
    struct gw_trust t;
    struct gw_head h;
    struct gw_report report;
    uint8_t digest[32];
    if (gw_manifest_parse(&m, map.p, map.n) == GW_OK && gw_sha256(gwh_openssl()->gw, map.p, map.n, digest) == GW_OK) {
        return gwh_show_manifest(&m, digest);
    }
    if (gw_trust_parse(&t, map.p, map.n) == GW_OK) {
        return gwh_show_trust(&t);
    }
    if (gw_head_parse(&h, map.p, map.n) == GW_OK) {
        return gwh_show_head(&h);
    }
    return gw_report_parse(&report, map.p, map.n) == GW_OK ? gwh_show_report(&report) : NULL;
}

static json_t *show_offer(const struct gw_offer *offer)
{
    json_t *o = json_pack("{s:s}", "kind", "offer"), *part;
    const struct {
        const char *name;
        struct gw_span bytes;
    } parts[] = {{"manifest", offer->manifest}, {"head", offer->head}, {"trust bundle", offer->trust}};
    for (size_t i = 0; i < 3; i++) {
        struct gw_span map;
        part = parts[i].bytes.n > 0 && gwh_sign_payload(parts[i].bytes, &map) == GW_OK ? show_signed(map) : NULL;
        if (part != NULL) {
            (void)json_object_set_new(o, parts[i].name, part);
        }
    }
    (void)json_object_set_new(o, "grants", json_integer(offer->grant_count));
    (void)json_object_set_new(o, "next look in seconds", json_integer(offer->next_look));
    if (offer->rollout.n > 0) {
        (void)json_object_set_new(o, "rollout", gwh_show_text(offer->rollout));
    }
    if (offer->payload_base.n > 0) {
        (void)json_object_set_new(o, "payload base", gwh_show_text(offer->payload_base));
    }
    return o;
}

int gwh_show_any(json_t **tree, struct gw_span bytes)
{
    struct gw_span map;
    struct gw_identity id;
    struct gw_offer offer;
    *tree = NULL;
    if (gwh_sign_payload(bytes, &map) == GW_OK && (*tree = show_signed(map)) != NULL) {
        (void)json_object_set_new(*tree, "signatures", gwh_show_signatures(bytes));
        return GW_OK;
    }
    if (gw_identity_parse(&id, NULL, bytes.p, bytes.n) == GW_OK) {
        *tree = gwh_show_identity(bytes);
        return GW_OK;
    }
    if (gw_offer_parse(&offer, bytes.p, bytes.n) == GW_OK) {
        *tree = show_offer(&offer);
        return GW_OK;
    }
    *tree = gwh_show_grant(bytes);
    if (json_object_get(*tree, "error") == NULL) {
        return GW_OK;
    }
    json_decref(*tree);
    *tree = NULL;
    return GW_ERR_FORMAT;
}
