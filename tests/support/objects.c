/*
 * objects.c - see objects.h. Keys are made afresh for each program; everything else is fixed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "objects.h"

struct t_bytes t_exact(const void *p, size_t n)
{
    struct t_bytes b = { malloc(n == 0 ? 1 : n), n };
    assert_non_null(b.p);
    if (n != 0) {
        memcpy(b.p, p, n);
    }
    return b;
}

void t_free(struct t_bytes *b)
{
    free(b->p);
    memset(b, 0, sizeof *b);
}

static unsigned digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

struct t_bytes t_hex(const char *hex)
{
    uint8_t bytes[2048];
    size_t n = 0;
    while (*hex != '\0') {
        if (*hex == ' ') {
            hex++;
            continue;
        }
        assert_true(n < sizeof bytes);
        bytes[n++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
        hex += 2;
    }
    return t_exact(bytes, n);
}

static struct t_bytes take(struct gwh_buf *b)
{
    struct t_bytes exact = t_exact(b->p, b->n);
    gwh_buf_free(b);
    return exact;
}

/* ---- Keys and the bundle ---- */

static void new_key(struct gwh_key *key, enum gwh_key_kind kind)
{
    struct gwh_error err;
    assert_int_equal(gwh_key_new(key, kind, &err), 0);
}

static void make_keys(struct t_world *w)
{
    static const uint32_t roles[T_BUNDLE_KEYS] = {
        GW_ROLE_AUTHOR, GW_ROLE_AUTHOR,      GW_ROLE_APPROVER, GW_ROLE_AUTHOR | GW_ROLE_APPROVER,
        GW_ROLE_DISTRIBUTOR, GW_ROLE_AUTHOR, GW_ROLE_AUTHOR,
    };
    struct gwh_key *const keys[T_BUNDLE_KEYS] = { &w->author,      &w->author2, &w->approver, &w->both,
                                                  &w->distributor, &w->revoked, &w->rsa };

    for (size_t i = 0; i < T_BUNDLE_KEYS; i++) {
        new_key(keys[i], keys[i] == &w->rsa ? GWH_RSA2048 : GWH_P256);
        w->bundle_keys[i] = keys[i]->pub;
        w->bundle_keys[i].roles = roles[i];
    }
    for (size_t i = 0; i < 3; i++) {
        new_key(&w->root[i], GWH_P256);
        w->roots.key[i] = w->root[i].pub;
        w->root_keys[i] = w->root[i].pub;
    }
    w->roots.count = 3;
    w->roots.threshold = 2;
    new_key(&w->stranger, GWH_P256);
    new_key(&w->device_key, GWH_P256);
    memcpy(w->revoked_thumbprint[0], w->revoked.thumbprint, 32);
}

static void make_trust(struct t_world *w)
{
    static const char *const hosts[] = { "cdn.example.com" };
    static const uint8_t pins[1][32] = { { 1, 2, 3 } };
    struct gwh_key *const roots[] = { &w->root[0], &w->root[2] };

    w->trust_is.version = 5;
    w->trust_is.epoch = 2;
    w->trust_is.keys = w->bundle_keys;
    w->trust_is.key_count = T_BUNDLE_KEYS;
    w->trust_is.revoked = (const uint8_t(*)[32])w->revoked_thumbprint;
    w->trust_is.revoked_count = 1;
    w->trust_is.pins = pins;
    w->trust_is.pin_count = 1;
    w->trust_is.hosts = hosts;
    w->trust_is.host_count = 1;
    w->trust_bytes = t_trust(w, roots, 2);
    assert_int_equal(gw_trust_open(&w->trust, w->crypto, &w->roots, w->trust_bytes.p, w->trust_bytes.n), GW_OK);
}

/* ---- The manifest ---- */

static void make_payloads(struct t_world *w)
{
    for (unsigned i = 0; i < 3; i++) {
        struct gw_payload *p = &w->payload[i];
        memset(p->name, 0x10 + (int)i, 32);
        memset(p->head, 0x20 + (int)i, 32);
        p->frame_size = 4096;
        p->encoding = i == 0 ? GW_ENCODING_PATCH : GW_ENCODING_RAW;
        p->cipher = i == 2 ? 0 : GW_ALG_A128CTR;
    }
    w->payload[0].size = 5000;
    w->payload[0].delta = true;
    w->payload[0].decoder_ram = 12000;
    memset(w->payload[0].precursor, 0x33, 32);
    w->payload[1].size = 100000 + 24 * 32; /* 100000 bytes in 25 frames, the last without a hash */
    w->payload[2].size = 300;
    w->payload[2].frame_size = 512;
}

static void make_manifest(struct t_world *w)
{
    struct gwh_manifest *m = &w->manifest_is;

    make_payloads(w);
    for (unsigned i = 0; i < 3; i++) {
        memset(w->variant[i].digest, 0x40 + (int)i, 32);
        w->variant[i].linked = i < 2;
        w->variant[i].size = i < 2 ? 100000 : 300;
        w->variant[i].payloads = i < 2 ? w->payload : w->payload + 2;
        w->variant[i].payload_count = i < 2 ? 2 : 1;
    }
    w->variant[0].address = 0x10000;
    w->variant[1].address = 0x80000;
    w->component[0] = (struct gwh_component){ 0, GW_KIND_BOOTABLE, w->variant, 2 };
    w->component[1] = (struct gwh_component){ 7, GW_KIND_DATA, w->variant + 2, 1 };
    w->dependency[0] = (struct gw_dependency){ GW_DEPENDS_HARDWARE, 2, 4 };
    w->dependency[1] = (struct gw_dependency){ GW_DEPENDS_BOOTLOADER, 3, UINT32_MAX };
    w->device[0] = "dev-2";
    w->device[1] = "dev-1";

    m->epoch = 2;
    m->sequence = 40;
    m->version = "1.4.0";
    memset(m->vendor, 0xaa, 16);
    memset(m->class_id, 0xbb, 16);
    m->components = w->component;
    m->component_count = 2;
    m->floor = 30;
    m->use_before = 2000000000;
    m->devices = w->device;
    m->device_count = 2;
    m->dependencies = w->dependency;
    m->dependency_count = 2;
    m->notes = "https://example.com/1.4.0";
    memset(w->cek, 0x77, 16);
    assert_int_equal(gw_key_check(w->crypto, w->cek, 16, w->key_check), GW_OK);
    m->key_check = w->key_check;
}

static void make_head(struct t_world *w)
{
    w->withdrawn[0] = (struct gw_order){ 2, 38 };
    w->withdrawn[1] = (struct gw_order){ 2, 39 };
    memset(w->head_is.class_id, 0xbb, 16);
    w->head_is.channel = "stable";
    w->head_is.latest = (struct gw_order){ 2, 41 };
    w->head_is.withdrawn = w->withdrawn;
    w->head_is.withdrawn_count = 2;
    w->head_is.issued_at = 1790000000;
    w->head_is.serial = 9;
}

static void make_identity(struct t_world *w)
{
    struct gwh_identity *id = &w->identity_is;

    memset(w->kek_bytes[0], 0x51, 32);
    memset(w->kek_bytes[1], 0x52, 32);
    assert_int_equal(gwh_key_secret(&w->device_key, w->device_d), 0);
    w->kek[0] = (struct gwh_secret){ { (const uint8_t *)"kek-16", 6 }, { w->kek_bytes[0], 16 } };
    w->kek[1] = (struct gwh_secret){ { (const uint8_t *)"kek-32", 6 }, { w->kek_bytes[1], 32 } };
    w->ec[0] = (struct gwh_secret){ { w->device_key.thumbprint, 8 }, { w->device_d, 32 } };

    memset(id->vendor, 0xaa, 16);
    memset(id->class_id, 0xbb, 16);
    id->device_id = "dev-1";
    id->hardware = 3;
    id->roots = w->root_keys;
    id->root_count = 3;
    id->threshold = 2;
    id->factory_size = 60000;
    memset(id->factory_digest, 0xfa, 32);
    id->keks = w->kek;
    id->kek_count = 2;
    id->ec = w->ec;
    id->ec_count = 1;
}

void t_world_open(struct t_world *w)
{
    memset(w, 0, sizeof *w);
    w->crypto = gwh_openssl()->gw;
    make_keys(w);
    make_trust(w);
    make_manifest(w);
    make_head(w);
    make_identity(w);
}

void t_world_close(struct t_world *w)
{
    struct gwh_key *const keys[] = {
        &w->author, &w->author2, &w->approver, &w->both,    &w->distributor, &w->revoked,
        &w->rsa,    &w->root[0], &w->root[1],  &w->root[2], &w->stranger,    &w->device_key,
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        gwh_key_free(keys[i]);
    }
    t_free(&w->trust_bytes);
}

/* ---- Encoding ---- */

struct t_bytes t_sign(const char *type, const struct gwh_buf *map, struct gwh_key *const *keys, size_t n)
{
    struct gwh_signer signers[12];
    struct gwh_buf out = { 0 };

    assert_true(n <= 12);
    memset(signers, 0, sizeof signers);
    for (size_t i = 0; i < n; i++) {
        gwh_key_signer(&signers[i], keys[i]);
    }
    assert_int_equal(gwh_sign_map(&out, gwh_openssl()->gw, type, gwh_span(map), signers, n), GW_OK);
    return take(&out);
}

static struct t_bytes sign_and_free(const char *type, struct gwh_buf *map, struct gwh_key *const *keys, size_t n)
{
    struct t_bytes b = t_sign(type, map, keys, n);
    gwh_buf_free(map);
    return b;
}

struct t_bytes t_manifest_map(const struct t_world *w)
{
    struct gwh_buf map = { 0 };
    assert_int_equal(gwh_manifest_map(&map, &w->manifest_is), GW_OK);
    return take(&map);
}

struct t_bytes t_manifest(const struct t_world *w, struct gwh_key *const *keys, size_t n)
{
    struct gwh_buf map = { 0 };
    assert_int_equal(gwh_manifest_map(&map, &w->manifest_is), GW_OK);
    return sign_and_free(GW_TYPE_MANIFEST, &map, keys, n);
}

struct t_bytes t_trust(const struct t_world *w, struct gwh_key *const *keys, size_t n)
{
    struct gwh_buf map = { 0 };
    assert_int_equal(gwh_trust_map(&map, &w->trust_is), GW_OK);
    return sign_and_free(GW_TYPE_TRUST, &map, keys, n);
}

struct t_bytes t_head(const struct t_world *w, struct gwh_key *const *keys, size_t n)
{
    struct gwh_buf map = { 0 };
    assert_int_equal(gwh_head_map(&map, &w->head_is), GW_OK);
    return sign_and_free(GW_TYPE_HEAD, &map, keys, n);
}

struct t_bytes t_identity(const struct t_world *w)
{
    struct gwh_buf b = { 0 };
    assert_int_equal(gwh_identity_encode(&b, &w->identity_is), GW_OK);
    return take(&b);
}

struct t_bytes t_grant(const struct t_world *w, const uint8_t digest[32])
{
    struct gwh_recipient r[3];
    struct gwh_grant g;
    struct gwh_buf b = { 0 };

    memset(r, 0, sizeof r);
    memset(&g, 0, sizeof g);
    r[0].algorithm = GW_ALG_A256KW;
    r[0].kid = w->kek[1].kid;
    r[0].kek = w->kek[1].key;
    r[1].algorithm = GW_ALG_A128KW;
    r[1].kid = w->kek[0].kid;
    r[1].kek = w->kek[0].key;
    r[2].algorithm = GW_ALG_ECDH_ES_A128KW;
    r[2].kid = w->ec[0].kid;
    memcpy(r[2].peer, w->device_key.pub.x.p, 32);
    memcpy(r[2].peer + 32, w->device_key.pub.y.p, 32);
    g.cipher = GW_ALG_A128CTR;
    memcpy(g.digest, digest, 32);
    g.cek = (struct gw_span){ w->cek, 16 };
    g.recipients = r;
    g.recipient_count = 3;
    assert_int_equal(gwh_grant_encode(&b, gwh_openssl(), &g), GW_OK);
    return take(&b);
}

/* ---- Damage ---- */

static void refuse(struct t_bytes b, int (*open)(void *ctx, const uint8_t *p, size_t n), void *ctx, const char *what,
                   size_t at)
{
    int error = open(ctx, b.p, b.n);
    if (error >= 0 || strcmp(gw_error_name(error), "UNKNOWN") == 0) {
        fail_msg("%s at %zu gave %d", what, at, error);
    }
}

void t_refuse_cuts(struct t_bytes object, int (*open)(void *ctx, const uint8_t *p, size_t n), void *ctx)
{
    for (size_t n = 0; n < object.n; n++) {
        struct t_bytes b = t_exact(object.p, n);
        refuse(b, open, ctx, "cut", n);
        t_free(&b);
    }
}

void t_refuse_flips(struct t_bytes object, int (*open)(void *ctx, const uint8_t *p, size_t n), void *ctx)
{
    for (size_t bit = 0; bit < object.n * 8; bit++) {
        struct t_bytes b = t_exact(object.p, object.n);
        b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        refuse(b, open, ctx, "flip of bit", bit);
        t_free(&b);
    }
}
