/*
 * test_identity.c - what a device is, its roots, and the keystore that answers from the same bytes.
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

static int parse_bytes(void *ctx, const uint8_t *p, size_t n)
{
    struct gw_identity id;
    struct gw_roots roots;
    (void)ctx;
    return gw_identity_parse(&id, &roots, p, n);
}

static int parse_of(const struct gwh_identity *is)
{
    const struct gwh_identity kept = w.identity_is;
    struct t_bytes b;
    int error;
    w.identity_is = *is;
    b = t_identity(&w);
    error = parse_bytes(NULL, b.p, b.n);
    w.identity_is = kept;
    t_free(&b);
    return error;
}

static void test_identity_as_it_is(void **state)
{
    struct t_bytes b = t_identity(&w);
    struct gw_identity id;
    struct gw_roots roots;
    (void)state;

    assert_int_equal(gw_identity_parse(&id, &roots, b.p, b.n), GW_OK);
    assert_memory_equal(id.vendor, w.identity_is.vendor, 16);
    assert_memory_equal(id.class_id, w.identity_is.class_id, 16);
    assert_int_equal(id.device_id_size, 5);
    assert_memory_equal(id.device_id, "dev-1", 5);
    assert_int_equal(id.hardware, 3);
    assert_int_equal(id.factory_size, 60000);
    assert_memory_equal(id.factory_digest, w.identity_is.factory_digest, 32);
    assert_int_equal(roots.count, 3);
    assert_int_equal(roots.threshold, 2);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(roots.key[i].roles, GW_ROLE_ROOT);
        assert_memory_equal(roots.key[i].x.p, w.root_keys[i].x.p, 32);
        assert_memory_equal(roots.key[i].y.p, w.root_keys[i].y.p, 32);
    }
    assert_int_equal(gw_identity_parse(&id, NULL, b.p, b.n), GW_OK);
    t_free(&b);
}

static void test_bundle_opens_with_its_roots(void **state)
{
    struct t_bytes b = t_identity(&w);
    struct gw_identity id;
    struct gw_roots roots;
    struct gw_trust trust;
    (void)state;
    assert_int_equal(gw_identity_parse(&id, &roots, b.p, b.n), GW_OK);
    assert_int_equal(gw_trust_open(&trust, w.crypto, &roots, w.trust_bytes.p, w.trust_bytes.n), GW_OK);
    t_free(&b);
}

static void test_device_ids(void **state)
{
    static const struct {
        const char *id;
        int error;
    } rows[] = {
        { "a", GW_OK }, { "Z_9-", GW_OK }, { "azAZ09_-", GW_OK },
        { "a23456789012345678901234567890123456789012345678", GW_OK },
        { "a234567890123456789012345678901234567890123456789", GW_ERR_VALUE },
        { "", GW_ERR_VALUE }, { "a b", GW_ERR_VALUE }, { "a/b", GW_ERR_VALUE }, { "a.b", GW_ERR_VALUE },
        { "@", GW_ERR_VALUE }, { "[", GW_ERR_VALUE }, { "`", GW_ERR_VALUE }, { "{", GW_ERR_VALUE },
        { ":", GW_ERR_VALUE }, { "#", GW_ERR_VALUE }, { "+", GW_ERR_VALUE }, { "\xc3\xa9", GW_ERR_VALUE },
        { "\x7f", GW_ERR_VALUE }, { "\x0f", GW_ERR_VALUE },
    };
    struct gwh_identity is = w.identity_is;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        is.device_id = rows[i].id;
        if (parse_of(&is) != rows[i].error) {
            fail_msg("%s gave %s", rows[i].id, gw_error_name(parse_of(&is)));
        }
    }
}

static void test_roots(void **state)
{
    struct gwh_identity is = w.identity_is;
    struct gw_pubkey keys[5];
    (void)state;

    for (unsigned i = 0; i < 5; i++) {
        keys[i] = w.bundle_keys[i];
    }
    is.roots = keys;
    is.root_count = 2;
    assert_int_equal(parse_of(&is), GW_OK);
    is.root_count = 4;
    assert_int_equal(parse_of(&is), GW_OK);
    is.root_count = 5;
    assert_int_equal(parse_of(&is), GW_ERR_LIMIT);
    is.root_count = 1;
    is.threshold = 1;
    assert_int_equal(parse_of(&is), GW_ERR_VALUE);
    is.root_count = 0;
    assert_int_equal(parse_of(&is), GW_ERR_VALUE);
    is.root_count = 3;
    is.threshold = 0;
    assert_int_equal(parse_of(&is), GW_ERR_VALUE);
    is.threshold = 4;
    assert_int_equal(parse_of(&is), GW_ERR_VALUE);
    is.threshold = 3;
    assert_int_equal(parse_of(&is), GW_OK);
    keys[2] = keys[0];
    assert_int_equal(parse_of(&is), GW_ERR_VALUE);
    keys[2] = w.bundle_keys[2];
    keys[2].algorithm = -8;
    assert_int_equal(parse_of(&is), GW_ERR_ALGORITHM);
}

static void test_secrets_are_checked(void **state)
{
    struct gwh_secret kek = w.kek[0], ec = w.ec[0];
    struct gwh_identity is = w.identity_is;
    static const uint8_t bytes[40];
    (void)state;

    is.keks = &kek;
    is.kek_count = 1;
    is.ec = &ec;
    assert_int_equal(parse_of(&is), GW_OK);
    kek.key = (struct gw_span){ bytes, 24 };
    assert_int_equal(parse_of(&is), GW_ERR_VALUE);
    kek.key.n = 32;
    assert_int_equal(parse_of(&is), GW_OK);
    kek.kid.n = 0;
    assert_int_equal(parse_of(&is), GW_ERR_VALUE);
    kek.kid = (struct gw_span){ bytes, 33 };
    assert_int_equal(parse_of(&is), GW_ERR_VALUE);
    kek.kid.n = 32;
    assert_int_equal(parse_of(&is), GW_OK);
    ec.key.n = 16;
    assert_int_equal(parse_of(&is), GW_ERR_VALUE);
}

static void test_other_values(void **state)
{
    struct gwh_identity is = w.identity_is;
    static uint8_t many[1100];
    struct gwh_secret keks[20];
    (void)state;

    is.format = 2;
    assert_int_equal(parse_of(&is), GW_ERR_VERSION);
    is = w.identity_is;
    is.factory_size = 0;
    assert_int_equal(parse_of(&is), GW_OK);
    is.extra = (struct gwh_extra){ { (const uint8_t *)"\x0c\x00", 2 }, 1 };
    assert_int_equal(parse_of(&is), GW_ERR_UNKNOWN_KEY);
    is.extra = (struct gwh_extra){ { (const uint8_t *)"\x18\x80\x00", 3 }, 1 };
    assert_int_equal(parse_of(&is), GW_OK);
    is = w.identity_is;
    is.own = (struct gwh_secret){ { many, 8 }, { many + 8, 32 } };
    is.certificate = (struct gw_span){ many, 100 };
    assert_int_equal(parse_of(&is), GW_OK);
    is.own.kid.n = 7;
    assert_int_equal(parse_of(&is), GW_ERR_VALUE);
    is.own = (struct gwh_secret){ { many, 8 }, { many + 8, 16 } };
    assert_int_equal(parse_of(&is), GW_ERR_VALUE);
    is = w.identity_is;
    is.certificate = (struct gw_span){ many, 701 };
    assert_int_equal(parse_of(&is), GW_ERR_LIMIT);
    is = w.identity_is;
    for (unsigned i = 0; i < 20; i++) {
        keks[i] = (struct gwh_secret){ { many, 32 }, { many, 32 } };
    }
    is.keks = keks;
    is.kek_count = 20;
    assert_int_equal(parse_of(&is), GW_ERR_LIMIT);
}

static void test_damage(void **state)
{
    struct t_bytes b = t_identity(&w);
    (void)state;
    t_refuse_cuts(b, parse_bytes, NULL);
    /* Not signed: a flip may be taken, as another identity. It may never be a crash. */
    for (size_t bit = 0; bit < b.n * 8; bit++) {
        struct t_bytes c = t_exact(b.p, b.n);
        struct gw_identity id;
        c.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (gw_identity_parse(&id, NULL, c.p, c.n) == GW_OK) {
            assert_true(id.device_id_size >= 1 && id.device_id_size <= GW_DEVICE_ID_MAX);
        }
        t_free(&c);
    }
    t_free(&b);
}

#define HEAD "01 01 02 50 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 03 50 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb 04 6161 05 03"
#define ROOT(x) "a5 01 02 03 26 20 01 21 5820 " x "11111111111111111111111111111111111111111111111111111111111111" \
            " 22 5820 2222222222222222222222222222222222222222222222222222222222222222"
#define ROOTS "06 83 01 " ROOT("11") " " ROOT("12")
static void test_malformed(void **state)
{
    static const struct {
        const char *hex;
        int error;
    } rows[] = {
        { "a6 " HEAD " " ROOTS, GW_OK },
        { "a5 " HEAD, GW_ERR_FORMAT },
        { "a6 " HEAD " 06 80", GW_ERR_FORMAT },
        { "a6 " HEAD " 06 81 01", GW_ERR_VALUE },
        { "a6 " HEAD " 06 00", GW_ERR_FORMAT },
        { "a6 " HEAD " 06 83 01 00 00", GW_ERR_ALGORITHM },
        { "a7 " HEAD " " ROOTS " 07 81 01", GW_ERR_FORMAT },
        { "a7 " HEAD " " ROOTS " 07 82 01 4100", GW_ERR_VALUE },
        { "a7 " HEAD " " ROOTS " 07 82 00 5820 0000000000000000000000000000000000000000000000000000000000000000",
          GW_ERR_VALUE },
        { "a7 " HEAD " " ROOTS " 08 81 82 00 00", GW_ERR_FORMAT },
        { "a7 " HEAD " " ROOTS " 08 81 81 4100", GW_ERR_FORMAT },
        { "a7 " HEAD " " ROOTS " 09 81 83 4100 4100 4100", GW_ERR_FORMAT },
        { "a7 " HEAD " " ROOTS " 09 80", GW_ERR_FORMAT },
        { "a6 " HEAD " " ROOTS " f6", GW_ERR_TRAILING },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct t_bytes b = t_hex(rows[i].hex);
        int error = parse_bytes(NULL, b.p, b.n);
        if (error != rows[i].error) {
            fail_msg("row %zu gave %s", i, gw_error_name(error));
        }
        t_free(&b);
    }
}

/* ---- Keystore ---- */

static void test_keystore(void **state)
{
    struct t_bytes b = t_identity(&w);
    struct gw_identity_keys keys = { w.crypto, { b.p, b.n } };
    struct gw_keystore store;
    uint8_t kek[32], peer[64], shared[2][32];
    size_t size = 0;
    (void)state;

    gw_identity_keystore(&store, &keys);
    assert_int_equal(store.kek(store.ctx, w.kek[0].kid, kek, &size), GW_OK);
    assert_int_equal(size, 16);
    assert_memory_equal(kek, w.kek_bytes[0], 16);
    assert_int_equal(store.kek(store.ctx, w.kek[1].kid, kek, &size), GW_OK);
    assert_int_equal(size, 32);
    assert_memory_equal(kek, w.kek_bytes[1], 32);
    assert_int_equal(store.kek(store.ctx, w.ec[0].kid, kek, &size), GW_ERR_NO_KEY);
    assert_int_equal(store.kek(store.ctx, (struct gw_span){ w.kek[0].kid.p, 5 }, kek, &size), GW_ERR_NO_KEY);

    memcpy(peer, w.author.pub.x.p, 32);
    memcpy(peer + 32, w.author.pub.y.p, 32);
    assert_int_equal(store.agree(store.ctx, w.ec[0].kid, peer, shared[0]), GW_OK);
    assert_int_equal(w.crypto->ecdh(w.crypto->ctx, w.device_d, peer, shared[1]), GW_OK);
    assert_memory_equal(shared[0], shared[1], 32);
    assert_int_equal(store.agree(store.ctx, w.kek[1].kid, peer, shared[0]), GW_ERR_NO_KEY);
    peer[0] ^= 1; /* not on the curve */
    assert_true(store.agree(store.ctx, w.ec[0].kid, peer, shared[0]) < 0);
    t_free(&b);
}

static void test_keystore_without(void **state)
{
    struct gw_crypto no_ecdh = *w.crypto;
    struct gwh_identity kept = w.identity_is;
    struct t_bytes b = t_identity(&w), bare;
    struct gw_identity_keys keys = { &no_ecdh, { b.p, b.n } };
    struct gw_keystore store;
    uint8_t kek[32] = { 0 }, peer[64] = { 0 }, shared[32];
    size_t size;
    (void)state;

    no_ecdh.ecdh = NULL;
    gw_identity_keystore(&store, &keys);
    assert_int_equal(store.agree(store.ctx, w.ec[0].kid, peer, shared), GW_ERR_NO_KEY);
    w.identity_is.kek_count = 0;
    w.identity_is.ec_count = 0;
    bare = t_identity(&w);
    w.identity_is = kept;
    keys.identity = (struct gw_span){ bare.p, bare.n };
    assert_int_equal(store.kek(store.ctx, w.kek[0].kid, kek, &size), GW_ERR_NO_KEY);
    assert_int_equal(store.agree(store.ctx, w.ec[0].kid, peer, shared), GW_ERR_NO_KEY);
    keys.identity.n = 10;
    assert_int_equal(store.kek(store.ctx, w.kek[0].kid, kek, &size), GW_ERR_TRUNCATED);
    t_free(&b);
    t_free(&bare);
}

static int group_setup(void **state)
{
    (void)state;
    t_world_open(&w);
    return 0;
}
static int group_teardown(void **state)
{
    (void)state;
    t_world_close(&w);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity_as_it_is),
        cmocka_unit_test(test_bundle_opens_with_its_roots),
        cmocka_unit_test(test_device_ids),
        cmocka_unit_test(test_roots),
        cmocka_unit_test(test_secrets_are_checked),
        cmocka_unit_test(test_other_values),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_keystore),
        cmocka_unit_test(test_keystore_without),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
