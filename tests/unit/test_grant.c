/*
 * test_grant.c - content keys come out of a grant only for who holds a key, and only for the manifest they belong to.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "objects.h"


static struct t_world w;
static struct t_bytes manifest_map, identity, grant;
static struct gw_manifest m;
static struct gw_identity_keys keys;
static struct gw_keystore store;

static int open_with(const struct gw_keystore *s, const uint8_t *p, size_t n)
{
    static const uint8_t zero[32];
    uint8_t cek[32];
    size_t size = 99;
    int error;

    memset(cek, 0xee, sizeof cek);
    error = gw_grant_open(w.crypto, s, &m, p, n, cek, &size);
    if (error == GW_OK) {
        assert_int_equal(size, 16);
        assert_memory_equal(cek, w.cek, 16);
    } else {
        assert_int_equal(size, 99);
        assert_memory_equal(cek, zero, 32); /* wiped */
    }
    return error;
}

static int open_bytes(void *ctx, const uint8_t *p, size_t n)
{
    (void)ctx;
    return open_with(&store, p, n);
}

/* A store with some of the three keys. */
static struct gw_keystore part(struct gw_identity_keys *k, struct t_bytes *bytes, uint32_t keks, uint32_t first,
                               uint32_t ec)
{
    const struct gwh_identity kept = w.identity_is;
    struct gw_keystore s;
    w.identity_is.keks = w.kek + first;
    w.identity_is.kek_count = keks;
    w.identity_is.ec_count = ec;
    *bytes = t_identity(&w);
    w.identity_is = kept;
    k->crypto = w.crypto;
    k->identity = (struct gw_span){ bytes->p, bytes->n };
    gw_identity_keystore(&s, k);
    return s;
}

static void test_each_recipient(void **state)
{
    static const struct {
        uint32_t keks, first, ec;
        int error;
    } rows[] = {
        { 2, 0, 1, GW_OK }, { 1, 0, 0, GW_OK }, { 1, 1, 0, GW_OK }, { 0, 0, 1, GW_OK }, { 0, 0, 0, GW_ERR_NO_KEY },
    };
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        struct gw_identity_keys k;
        struct t_bytes bytes;
        struct gw_keystore s = part(&k, &bytes, rows[i].keks, rows[i].first, rows[i].ec);
        assert_int_equal(open_with(&s, grant.p, grant.n), rows[i].error);
        t_free(&bytes);
    }
}

/* Every algorithm of recipients, with both sizes of content keys. */
static void test_algorithms(void **state)
{
    static const int32_t algorithms[] = { GW_ALG_A128KW, GW_ALG_A256KW, GW_ALG_ECDH_ES_A128KW, GW_ALG_ECDH_ES_A256KW };
    uint8_t cek[32], out[32];
    (void)state;

    memset(cek, 0x39, sizeof cek);
    for (unsigned i = 0; i < 8; i++) {
        struct gwh_recipient r;
        struct gwh_grant g;
        struct gwh_buf b = { 0 };
        struct gw_manifest changed = m;
        uint8_t check[8];
        size_t size = i % 2 == 0 ? 16 : 32, got = 0;
        memset(&r, 0, sizeof r);
        memset(&g, 0, sizeof g);
        r.algorithm = algorithms[i / 2];
        r.kid = i / 2 >= 2 ? w.ec[0].kid : w.kek[i / 2].kid;
        r.kek = w.kek[i / 2 % 2].key;
        memcpy(r.peer, w.device_key.pub.x.p, 32);
        memcpy(r.peer + 32, w.device_key.pub.y.p, 32);
        g.cipher = size == 16 ? GW_ALG_A128CTR : GW_ALG_A256CTR;
        memcpy(g.digest, m.digest, 32);
        g.cek = (struct gw_span){ cek, size };
        g.recipients = &r;
        g.recipient_count = 1;
        assert_int_equal(gwh_grant_encode(&b, gwh_openssl(), &g), GW_OK);
        assert_int_equal(gw_key_check(w.crypto, cek, size, check), GW_OK);
        changed.key_check = (struct gw_span){ check, 8 };
        assert_int_equal(gw_grant_open(w.crypto, &store, &changed, b.p, b.n, out, &got), GW_OK);
        assert_int_equal(got, size);
        assert_memory_equal(out, cek, size);
        /* the key check value of the manifest decides */
        assert_int_equal(gw_grant_open(w.crypto, &store, &m, b.p, b.n, out, &got), GW_ERR_KEY_CHECK);
        gwh_buf_free(&b);
    }
}

static void test_grant_of_another_manifest(void **state)
{
    uint8_t digest[32];
    struct t_bytes b;
    (void)state;
    memcpy(digest, m.digest, 32);
    digest[31] ^= 1;
    b = t_grant(&w, digest);
    assert_int_equal(open_bytes(NULL, b.p, b.n), GW_ERR_KEY_CHECK);
    t_free(&b);
}

/* The digest in the grant changed to ours: the key check value still says no, and for ECDH the key derivation. */
static void test_grant_dressed_up(void **state)
{
    uint8_t digest[32];
    struct t_bytes b;
    struct gw_identity_keys k;
    struct t_bytes bytes;
    struct gw_keystore s = part(&k, &bytes, 0, 0, 1);
    (void)state;

    memcpy(digest, m.digest, 32);
    digest[31] ^= 1;
    b = t_grant(&w, digest);
    for (size_t i = 0; i + 32 <= b.n; i++) {
        if (memcmp(b.p + i, digest, 32) == 0) {
            memcpy(b.p + i, m.digest, 32);
        }
    }
    assert_int_equal(open_with(&s, b.p, b.n), GW_ERR_KEY_CHECK);
    t_free(&b);
    t_free(&bytes);
}

static void test_nothing_encrypted(void **state)
{
    struct gw_manifest plain = m;
    uint8_t cek[32];
    size_t size;
    (void)state;
    plain.key_check.n = 0;
    assert_int_equal(gw_grant_open(w.crypto, &store, &plain, grant.p, grant.n, cek, &size), GW_ERR_KEY_CHECK);
}

static void test_too_large(void **state)
{
    struct t_bytes b = t_exact(grant.p, grant.n);
    (void)state;
    b.p = realloc(b.p, 1025);
    assert_non_null(b.p);
    assert_int_equal(open_bytes(NULL, b.p, 1025), GW_ERR_LIMIT);
    t_free(&b);
}

/* ---- Damage: what leads to the wrapped keys is not signed; a flip may hit a recipient that is not used ---- */

static void test_damage(void **state)
{
    struct gwh_recipient r;
    struct gwh_grant g;
    struct gwh_buf b = { 0 };
    struct t_bytes one;
    (void)state;

    t_refuse_cuts(grant, open_bytes, NULL);
    for (unsigned i = 0; i < 2; i++) { /* one recipient alone: every bit matters */
        memset(&r, 0, sizeof r);
        memset(&g, 0, sizeof g);
        r.algorithm = i == 0 ? GW_ALG_A128KW : GW_ALG_ECDH_ES_A128KW;
        r.kid = i == 0 ? w.kek[0].kid : w.ec[0].kid;
        r.kek = w.kek[0].key;
        memcpy(r.peer, w.device_key.pub.x.p, 32);
        memcpy(r.peer + 32, w.device_key.pub.y.p, 32);
        g.cipher = GW_ALG_A128CTR;
        memcpy(g.digest, m.digest, 32);
        g.cek = (struct gw_span){ w.cek, 16 };
        g.recipients = &r;
        g.recipient_count = 1;
        assert_int_equal(gwh_grant_encode(&b, gwh_openssl(), &g), GW_OK);
        one = t_exact(b.p, b.n);
        assert_int_equal(open_bytes(NULL, one.p, one.n), GW_OK);
        t_refuse_cuts(one, open_bytes, NULL);
        t_refuse_flips(one, open_bytes, NULL);
        t_free(&one);
        gwh_buf_free(&b);
    }
    for (size_t bit = 0; bit < grant.n * 8; bit++) {
        struct t_bytes c = t_exact(grant.p, grant.n);
        c.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)open_bytes(NULL, c.p, c.n); /* the right key or none: open_with() asserts it */
        t_free(&c);
    }
}

/* ---- Malformed ---- */


/* A grant for our manifest with other bytes after its headers. */
static int open_tail(const char *hex)
{
    struct t_bytes tail = t_hex(hex), b;
    uint8_t bytes[600];
    struct gw_cborw c;
    int error;

    gw_cborw_init(&c, bytes, sizeof bytes);
    gw_cborw_array(&c, 4);
    gw_cborw_head(&c, 2, 1 + 1 + 3 + 5 + 34);
    gw_cborw_map(&c, 2);
    gw_cborw_int(&c, 1);
    gw_cborw_int(&c, GW_ALG_A128CTR);
    gw_cborw_int(&c, -70001);
    gw_cborw_bytes(&c, m.digest, 32);
    gw_cborw_raw(&c, tail.p, tail.n);
    assert_int_equal(gw_cborw_end(&c), GW_OK);
    b = t_exact(bytes, c.at);
    error = open_bytes(NULL, b.p, b.n);
    t_free(&tail);
    t_free(&b);
    return error;
}

#define W24 "5818 000000000000000000000000000000000000000000000000"
#define KID16 "46 6b656b2d3136"

static void test_malformed(void **state)
{
    static const struct {
        const char *hex;
        int error;
    } rows[] = {
        { "a0 f6 80", GW_ERR_NO_KEY },
        { "a0 40 80", GW_ERR_FORMAT },                                       /* content */
        { "a0 f6 a0", GW_ERR_FORMAT },
        { "a0 f6 80 00", GW_ERR_TRAILING },
        { "80 f6 80", GW_ERR_FORMAT },
        { "a0 f6 81 00", GW_ERR_FORMAT },
        { "a0 f6 81 82 40 a0", GW_ERR_FORMAT },
        { "a0 f6 81 83 40 a0 00", GW_ERR_FORMAT },
        { "a0 f6 81 83 40 a2 01 22 04 " KID16 " " W24, GW_ERR_KEY_CHECK },
        { "a0 f6 81 83 40 a2 01 22 04 41 00 " W24, GW_ERR_NO_KEY },          /* another's */
        { "a0 f6 81 83 40 a1 01 22 " W24, GW_ERR_NO_KEY },                   /* nobody's */
        { "a0 f6 81 83 40 a2 01 24 04 " KID16 " " W24, GW_ERR_NO_KEY },      /* a KEK of 16 bytes is none of 32 */
        { "a0 f6 81 83 40 a2 01 23 04 " KID16 " " W24, GW_ERR_NO_KEY },      /* A192KW */
        { "a0 f6 81 83 40 a2 01 22 04 " KID16 " 40", GW_ERR_KEY_CHECK },     /* wrapped keys of other sizes */
        { "a0 f6 81 83 40 a2 01 22 04 " KID16 " 4f 000000000000000000000000000000", GW_ERR_KEY_CHECK },
        { "a0 f6 81 83 43a10122 a1 04 " KID16 " " W24, GW_ERR_NO_KEY },      /* its place is the other header */
        { "a0 f6 81 83 40 a2 01 381c 04 " KID16 " " W24, GW_ERR_NO_KEY },    /* ECDH unprotected */
        { "a0 f6 81 83 44a101381c a1 04 " KID16 " " W24, GW_ERR_TRUNCATED }, /* ECDH without a key */
        { "a0 f6 81 83 44a101381c a2 04 " KID16 " 20 00 " W24, GW_ERR_ALGORITHM },
        { "a0 f6 81 83 44a101381c a2 04 " KID16 " 20 a1 01 02 " W24, GW_ERR_ALGORITHM },
        /* signs */
        { "a0 f6 81 83 44a101381c a2 04 " KID16 " 20 a5 01 02 03 26 20 01 21 40 22 40 " W24, GW_ERR_ALGORITHM },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int error = open_tail(rows[i].hex);
        if (error != rows[i].error) {
            fail_msg("row %zu gave %s", i, gw_error_name(error));
        }
    }
}

static void test_other_ciphers(void **state)
{
    struct t_bytes b = t_exact(grant.p, grant.n);
    bool found = false;
    (void)state;
    for (size_t i = 0; i + 3 <= b.n && !found; i++) {
        if (memcmp(b.p + i, "\x39\xff\xfd", 3) == 0) {
            b.p[i + 2] = 0xfc; /* -65533, AES-192-CTR */
            found = true;
        }
    }
    assert_true(found);
    assert_int_equal(open_bytes(NULL, b.p, b.n), GW_ERR_ALGORITHM);
    t_free(&b);
}

/* ---- Keystores that do not have, or fail ---- */

static int broken_kek(void *ctx, struct gw_span kid, uint8_t kek[32], size_t *size)
{
    (void)ctx;
    (void)kid;
    (void)kek;
    (void)size;
    return -1;
}

static void test_keystores(void **state)
{
    struct gw_keystore s = { 0 };
    (void)state;
    assert_int_equal(open_with(&s, grant.p, grant.n), GW_ERR_NO_KEY);
    s.kek = broken_kek;
    assert_int_equal(open_with(&s, grant.p, grant.n), GW_ERR_CRYPTO);
}

/* ---- Keys of payloads ---- */

static void test_payload_keys(void **state)
{
    uint8_t key[3][32], info[26] = "godwit payload\0\0\0\7\0\0\0\1\0\0\0\2", want[32];
    (void)state;

    assert_int_equal(gw_payload_key(w.crypto, w.cek, 16, 7, 1, 2, key[0], 32), GW_OK);
    assert_int_equal(gw_hkdf(w.crypto, w.cek, 16, info, sizeof info, want, 32), GW_OK);
    assert_memory_equal(key[0], want, 32);
    assert_int_equal(gw_payload_key(w.crypto, w.cek, 16, 7, 1, 2, key[1], 16), GW_OK);
    assert_memory_equal(key[0], key[1], 16);
    assert_int_equal(gw_payload_key(w.crypto, w.cek, 16, 1, 7, 2, key[2], 32), GW_OK);
    assert_memory_not_equal(key[0], key[2], 32);
    assert_int_equal(gw_payload_key(w.crypto, w.cek, 16, 0x01020304, 0x05060708, 0x090a0b0c, key[2], 32), GW_OK);
    memcpy(info + 14, "\1\2\3\4\5\6\7\10\11\12\13\14", 12);
    assert_int_equal(gw_hkdf(w.crypto, w.cek, 16, info, sizeof info, want, 32), GW_OK);
    assert_memory_equal(key[2], want, 32);
}

static int group_setup(void **state)
{
    (void)state;
    t_world_open(&w);
    manifest_map = t_manifest_map(&w);
    assert_int_equal(gw_manifest_parse(&m, manifest_map.p, manifest_map.n), GW_OK);
    assert_int_equal(gw_sha256(w.crypto, manifest_map.p, manifest_map.n, m.digest), GW_OK);
    identity = t_identity(&w);
    keys.crypto = w.crypto;
    keys.identity = (struct gw_span){ identity.p, identity.n };
    gw_identity_keystore(&store, &keys);
    grant = t_grant(&w, m.digest);
    return 0;
}
static int group_teardown(void **state)
{
    (void)state;
    t_free(&manifest_map);
    t_free(&identity);
    t_free(&grant);
    t_world_close(&w);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_recipient),
        cmocka_unit_test(test_algorithms),
        cmocka_unit_test(test_grant_of_another_manifest),
        cmocka_unit_test(test_grant_dressed_up),
        cmocka_unit_test(test_nothing_encrypted),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_other_ciphers),
        cmocka_unit_test(test_keystores),
        cmocka_unit_test(test_payload_keys),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
