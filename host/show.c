/*
 * show.c - see show.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cose.h"
#include "pki.h"
#include "show.h"
#include "uuid.h"

/* ---- Printing ---------------------------------------------------------------------------------------------------- */

static bool is_leaf(const json_t *v)
{
    return !json_is_object(v) && !json_is_array(v);
}

/* Texts come from files that may be hostile: a terminal gets no control characters of theirs (C0, DEL, C1). */
static void print_text(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;
        if (*p < 0x20 || *p == 0x7f || c1) {
            p += c1;
            (void)printf("\\x%02x", *p);
        } else {
            (void)putchar(*p);
        }
    }
    (void)putchar('\n');
}

static void print_leaf(const json_t *v)
{
    if (json_is_string(v)) {
        print_text(json_string_value(v));
    } else if (json_is_integer(v)) {
        (void)printf("%lld\n", (long long)json_integer_value(v));
    } else {
        (void)printf("%s\n", json_is_true(v) ? "yes" : json_is_false(v) ? "no" : "none");
    }
}

#define SHOW_DEPTH 12 /* trees made here are not deeper */

static void print_words(const json_t *v, int depth, bool in_list);

static void print_member(const char *name, const json_t *v, int depth, bool first_in_list)
{
    (void)printf("%*s%s: ", first_in_list ? 0 : 2 * depth, "", name);
    if (is_leaf(v)) {
        print_leaf(v);
    } else if (json_is_array(v) && json_array_size(v) == 0) {
        (void)printf("none\n");
    } else {
        (void)putchar('\n');
        print_words(v, depth + 1, false);
    }
}

/* Depth is that of the trees of this file, which are fixed; SHOW_DEPTH stops anything else. */
static void print_words(const json_t *v, int depth, bool in_list)
{
    if (depth > SHOW_DEPTH) {
        return;
    }
    if (is_leaf(v)) {
        print_leaf(v);
        return;
    }
    const char *name;
    json_t *item;
    size_t i;
    if (json_is_object(v)) {
        json_object_foreach ((json_t *)(uintptr_t)v, name, item) {
            print_member(name, item, depth, in_list);
            in_list = false;
        }
    }
    json_array_foreach (v, i, item) {
        (void)printf("%*s- ", 2 * depth, "");
        print_words(item, depth + 1, true);
    }
}

void gwh_show_print(const json_t *tree, bool as_json)
{
    if (as_json) {
        (void)json_dumpf(tree, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        (void)putchar('\n');
    } else {
        print_words(tree, 0, false);
    }
}

/* ---- Leaves ------------------------------------------------------------------------------------------------------ */

json_t *gwh_show_hex(const uint8_t *p, size_t n)
{
    char *text = malloc(2 * n + 1);
    if (text == NULL) {
        return json_null();
    }
    gwh_hex(text, p, n);
    json_t *v = json_string(text);
    free(text);
    return v;
}

json_t *gwh_show_text(struct gw_span s)
{
    json_t *v = s.n == 0 ? json_string("") : json_stringn((const char *)s.p, s.n);
    return v != NULL ? v : gwh_show_hex(s.p, s.n);
}

json_t *gwh_show_order(struct gw_order o)
{
    return json_pack("{s:I,s:I}", "epoch", (json_int_t)o.epoch, "sequence", (json_int_t)o.sequence);
}

json_t *gwh_show_roles(uint32_t roles)
{
    static const char *const name[] = {"author", "approver", "distributor", "root"};
    char text[64] = "";
    for (unsigned i = 0; i < 4; i++) {
        if (roles >> i & 1) {
            size_t n = strlen(text);
            (void)snprintf(text + n, sizeof text - n, "%s%s", n > 0 ? "+" : "", name[i]);
        }
    }
    return json_string(text[0] ? text : "none");
}

json_t *gwh_show_uuid(const uint8_t uuid[16])
{
    char text[37];
    gwh_uuid_text(text, uuid);
    return json_string(text);
}

json_t *gwh_show_time(uint32_t seconds)
{
    char text[40];
    time_t t = (time_t)seconds;
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        return json_integer(seconds);
    }
    return json_string(text);
}

static void set(json_t *o, const char *name, json_t *v)
{
    (void)json_object_set_new(o, name, v);
}

static void set_int(json_t *o, const char *name, uint32_t v)
{
    set(o, name, json_integer(v));
}

static void set_error(json_t *o, int e)
{
    set(o, "error", json_string(gw_error_name(e)));
    set(o, "why", json_string(gw_strerror(e)));
}

static const char *algorithm_name(int32_t a)
{
    static const struct {
        int32_t number;
        const char *name;
    } names[] = {{GW_ALG_ES256, "ES256"},
                 {GW_ALG_PS256, "PS256"},
                 {GW_ALG_A128KW, "A128KW"},
                 {GW_ALG_A256KW, "A256KW"},
                 {GW_ALG_ECDH_ES_A128KW, "ECDH-ES+A128KW"},
                 {GW_ALG_ECDH_ES_A256KW, "ECDH-ES+A256KW"},
                 {GW_ALG_A128CTR, "AES-128-CTR"},
                 {GW_ALG_A256CTR, "AES-256-CTR"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].number == a) {
            return names[i].name;
        }
    }
    return "unknown";
}

static const char *key_type(const struct gw_pubkey *k)
{
    return k->algorithm == GW_ALG_ES256 ? "P-256" : k->x.n == 256 ? "RSA-2048" : k->x.n == 384 ? "RSA-3072" : "RSA";
}

static json_t *show_pubkey(const struct gw_pubkey *k)
{
    uint8_t thumbprint[32];
    json_t *o = json_object();
    if (k->roles != 0) {
        set(o, "roles", gwh_show_roles(k->roles));
    }
    set(o, "type", json_string(key_type(k)));
    if (gw_key_thumbprint(gwh_openssl()->gw, k, thumbprint) == GW_OK) {
        set(o, "key id", gwh_show_hex(thumbprint, GW_KEY_ID_SIZE));
        set(o, "thumbprint", gwh_show_hex(thumbprint, 32));
    }
    return o;
}

json_t *gwh_show_key(const struct gwh_key *k)
{
    json_t *o = show_pubkey(&k->pub);
    set(o, "private", json_boolean(k->is_private));
    return o;
}

/* ---- Manifest ---------------------------------------------------------------------------------------------------- */

static json_t *show_payload(const struct gw_payload *p)
{
    json_t *o = json_object();
    set(o, "name", gwh_show_hex(p->name, 32));
    set_int(o, "size", p->size);
    set(o, "encoding", json_string(p->encoding == GW_ENCODING_RAW ? "raw" : "gwpatch"));
    set(o, "encryption", json_string(p->cipher == 0 ? "none" : algorithm_name(p->cipher)));
    set_int(o, "frame size", p->frame_size);
    set(o, "head of frame chain", gwh_show_hex(p->head, 32));
    if (p->delta) {
        set(o, "made from image", gwh_show_hex(p->precursor, 32));
    }
    if (p->decoder_ram != 0) {
        set_int(o, "decoder RAM", p->decoder_ram);
    }
    return o;
}

static json_t *show_variant(const struct gw_variant *v)
{
    json_t *o = json_object(), *list = json_array();
    struct gw_payload p;
    if (v->linked) {
        char text[16];
        (void)snprintf(text, sizeof text, "0x%08x", (unsigned)v->address);
        set(o, "linked for address", json_string(text));
    }
    set(o, "image sha256", gwh_show_hex(v->digest, 32));
    set_int(o, "image size", v->size);
    for (uint32_t i = 0; gw_variant_payload(v, i, &p) == GW_OK; i++) {
        (void)json_array_append_new(list, show_payload(&p));
    }
    set(o, "payloads", list);
    return o;
}

static json_t *show_component(const struct gw_component *c)
{
    json_t *o = json_object(), *list = json_array();
    struct gw_variant v;
    set_int(o, "id", c->id);
    set(o, "kind", json_string(c->kind == GW_KIND_BOOTABLE ? "bootable" : "data"));
    for (uint32_t i = 0; gw_component_variant(c, i, &v) == GW_OK; i++) {
        (void)json_array_append_new(list, show_variant(&v));
    }
    set(o, "variants", list);
    return o;
}

static json_t *show_dependencies(const struct gw_manifest *m)
{
    static const char *const what[] = {"unknown", "hardware revision", "bootloader version", "installed sequence"};
    json_t *list = json_array();
    struct gw_dependency d;
    for (uint32_t i = 0; gw_manifest_dependency(m, i, &d) == GW_OK; i++) {
        json_t *o = json_object();
        set(o, "what", json_string(what[d.kind <= 3 ? d.kind : 0]));
        set_int(o, "at least", d.min);
        if (d.max != UINT32_MAX) {
            set_int(o, "at most", d.max);
        }
        (void)json_array_append_new(list, o);
    }
    return list;
}

static void show_limits(json_t *o, const struct gw_manifest *m)
{
    struct gw_span id;
    if (m->floor != 0) {
        set_int(o, "floor when confirmed", m->floor);
    }
    if (m->use_before != 0) {
        set(o, "use before", gwh_show_time(m->use_before));
    }
    if (m->device_count != 0) {
        json_t *list = json_array();
        for (uint32_t i = 0; gw_manifest_device(m, i, &id) == GW_OK; i++) {
            (void)json_array_append_new(list, gwh_show_text(id));
        }
        set(o, "only for devices", list);
    }
    if (m->dependency_count != 0) {
        set(o, "needs", show_dependencies(m));
    }
    if (m->notes.n != 0) {
        set(o, "notes", gwh_show_text(m->notes));
    }
}

json_t *gwh_show_manifest(const struct gw_manifest *m, const uint8_t digest[32])
{
    json_t *o = json_object(), *list = json_array();
    struct gw_component c;
    set(o, "kind", json_string("manifest"));
    set(o, "version", gwh_show_text(m->version));
    set_int(o, "epoch", m->order.epoch);
    set_int(o, "sequence", m->order.sequence);
    set(o, "digest", gwh_show_hex(digest, 32));
    set(o, "vendor", gwh_show_uuid(m->vendor));
    set(o, "class", gwh_show_uuid(m->class_id));
    show_limits(o, m);
    set(o, "encrypted", json_boolean(m->key_check.n != 0));
    for (uint32_t i = 0; gw_manifest_component(m, i, &c) == GW_OK; i++) {
        (void)json_array_append_new(list, show_component(&c));
    }
    set(o, "components", list);
    return o;
}

/* ---- Trust bundle, head ------------------------------------------------------------------------------------------ */

/* Each item of a list, a span that lib's parser gave, made ready by `show`. */
static json_t *show_list(struct gw_span items, json_t *(*show)(struct gw_cbor *c))
{
    json_t *list = json_array();
    struct gw_cbor c;
    gw_cbor_init(&c, items.p, items.n);
    for (uint32_t left = items.n > 0 ? gw_cbor_array(&c) : 0; left > 0 && c.error == GW_OK; left--) {
        (void)json_array_append_new(list, show(&c));
    }
    return list;
}

static json_t *show_digest(struct gw_cbor *c)
{
    struct gw_span s = gw_cbor_bytes(c);
    return gwh_show_hex(s.p, s.n);
}

static json_t *show_text(struct gw_cbor *c)
{
    return gwh_show_text(gw_cbor_text(c));
}

static json_t *show_server_ca(struct gw_cbor *at)
{
    struct gw_span der = gw_cbor_bytes(at);
    struct gwh_certificate c;
    uint8_t digest[GW_DIGEST_SIZE];
    json_t *o = json_object();
    if (!gwh_certificate_describe(&c, der)) {
        set(o, "subject", json_string("not a certificate: devices would trust nobody"));
        return o;
    }
    set(o, "subject", gwh_show_text((struct gw_span){(const uint8_t *)c.subject, strlen(c.subject)}));
    if (gw_sha256(gwh_openssl()->gw, der.p, der.n, digest) == GW_OK) {
        set(o, "sha256", gwh_show_hex(digest, sizeof digest));
    }
    set(o, "pin", gwh_show_hex(c.spki, sizeof c.spki));
    set(o, "until", gwh_show_time(c.until > UINT32_MAX ? UINT32_MAX : (uint32_t)c.until));
    if (!c.is_ca) {
        set(o, "wrong", json_string("not a CA: devices would trust nobody"));
    }
    return o;
}

json_t *gwh_show_trust(const struct gw_trust *t)
{
    json_t *o = json_object(), *keys = json_array(), *policy = json_array();
    struct gw_pubkey k;
    set(o, "kind", json_string("trust bundle"));
    set_int(o, "version", t->version);
    set_int(o, "epoch", t->epoch);
    for (uint32_t i = 0; i < t->policy_count; i++) {
        (void)json_array_append_new(policy, json_pack("{s:o,s:I}", "role", gwh_show_roles(t->policy[i].roles),
                                                      "signatures", (json_int_t)t->policy[i].count));
    }
    set(o, "manifests need", policy);
    for (uint32_t i = 0; i < t->key_count && gw_trust_key(t, i, &k) == GW_OK; i++) {
        (void)json_array_append_new(keys, show_pubkey(&k));
    }
    set(o, "keys", keys);
    set(o, "revoked", show_list(t->revoked, show_digest));
    set(o, "server CA pins", show_list(t->pins, show_digest));
    set(o, "payload hosts", show_list(t->hosts, show_text));
    set(o, "server CAs", show_list(t->server_cas, show_server_ca));
    return o;
}

json_t *gwh_show_head(const struct gw_head *h)
{
    json_t *o = json_object(), *list = json_array();
    struct gw_order order;
    set(o, "kind", json_string("channel head"));
    set(o, "class", gwh_show_uuid(h->class_id));
    set(o, "channel", gwh_show_text(h->channel));
    set(o, "latest", gwh_show_order(h->latest));
    for (uint32_t i = 0; gw_head_withdrawn(h, i, &order) == GW_OK; i++) {
        (void)json_array_append_new(list, gwh_show_order(order));
    }
    set(o, "withdrawn", list);
    set(o, "issued at", gwh_show_time(h->issued_at));
    set_int(o, "serial", h->serial);
    return o;
}

json_t *gwh_show_signatures(struct gw_span cose)
{
    json_t *list = json_array();
    struct gw_cose_sign s;
    struct gw_cose_signature sig;
    int e = gw_cose_sign_parse(&s, cose.p, cose.n);
    for (uint32_t i = 0; e == GW_OK && i < s.count && gw_cose_signature(&s, i, &sig) == GW_OK; i++) {
        (void)json_array_append_new(list, json_pack("{s:s,s:o}", "algorithm", algorithm_name(sig.algorithm), "key id",
                                                    gwh_show_hex(sig.kid.p, sig.kid.n)));
    }
    return list;
}

/* ---- Identity ---------------------------------------------------------------------------------------------------- */

/* Names of the secrets under a key of the identity map; the secrets stay hidden. */
static json_t *show_secret_names(struct gw_span bytes, int64_t wanted)
{
    json_t *list = json_array();
    struct gw_cbor c;
    struct gw_cbor_map map;
    int64_t key;
    gw_cbor_init(&c, bytes.p, bytes.n);
    gw_cbor_map(&c, &map);
    while (gw_cbor_next(&c, &map, &key)) {
        uint32_t n = key != wanted ? 0 : key == 10 ? 1 : gw_cbor_array(&c); /* 10 is one of them, not a list */
        if (key != wanted) {
            (void)gw_cbor_item(&c);
        }
        for (uint32_t i = 0; i < n && c.error == GW_OK; i++) {
            (void)gw_cbor_array(&c);
            struct gw_span kid = gw_cbor_bytes(&c);
            struct gw_span secret = gw_cbor_bytes(&c);
            (void)json_array_append_new(list, json_pack("{s:o,s:s,s:I}", "key id", gwh_show_hex(kid.p, kid.n), "secret",
                                                        "hidden", "bits", (json_int_t)secret.n * 8));
        }
    }
    return list;
}

json_t *gwh_show_identity(struct gw_span bytes)
{
    json_t *o = json_object(), *roots = json_array();
    struct gw_identity id;
    struct gw_roots r;
    set(o, "kind", json_string("identity"));
    int e = gw_identity_parse(&id, &r, bytes.p, bytes.n);
    if (e != GW_OK) {
        json_decref(roots);
        set_error(o, e);
        return o;
    }
    set(o, "device", gwh_show_text((struct gw_span){id.device_id, id.device_id_size}));
    set(o, "vendor", gwh_show_uuid(id.vendor));
    set(o, "class", gwh_show_uuid(id.class_id));
    set_int(o, "hardware revision", id.hardware);
    set_int(o, "root signatures needed", r.threshold);
    for (uint32_t i = 0; i < r.count; i++) {
        (void)json_array_append_new(roots, show_pubkey(&r.key[i]));
    }
    set(o, "roots", roots);
    if (id.factory_size != 0) {
        set_int(o, "factory image size", id.factory_size);
        set(o, "factory image sha256", gwh_show_hex(id.factory_digest, 32));
    }
    set(o, "pre-shared keys", show_secret_names(bytes, 8));
    set(o, "private keys", show_secret_names(bytes, 9));
    set(o, "own key", show_secret_names(bytes, 10));
    struct gw_span d, certificate;
    if (gw_identity_client(bytes.p, bytes.n, &d, &certificate) == GW_OK) {
        set_int(o, "certificate bytes", (uint32_t)certificate.n);
    }
    return o;
}
