/*
 * test_trust.c - trust bundles: m of n roots, and every value that a bundle may not hold.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "objects.h"

static struct t_world w;

static int open_bundle(void *ctx, const uint8_t *p, size_t n)
{
    struct gw_trust trust;
    (void)ctx;
    return gw_trust_open(&trust, w.crypto, &w.roots, p, n);
}

static int open_by(struct gwh_key *const *keys, size_t n)
{
    struct t_bytes b = t_trust(&w, keys, n);
    int error = open_bundle(NULL, b.p, b.n);
    t_free(&b);
    return error;
}

/* What parsing says of the bundle as w describes it. */
static int parse(struct gw_trust *trust)
{
    static uint8_t bytes[4096]; /* the views stay valid until the next call */
    struct gwh_buf map = { 0 };
    struct t_bytes b;
    int error;

    assert_int_equal(gwh_trust_map(&map, &w.trust_is), GW_OK);
    b = t_exact(map.p, map.n);
    error = gw_trust_parse(trust, b.p, b.n);
    assert_true(map.n <= sizeof bytes);
    memcpy(bytes, map.p, map.n);
    if (error == GW_OK) {
        assert_int_equal(gw_trust_parse(trust, bytes, map.n), GW_OK);
    }
    t_free(&b);
    gwh_buf_free(&map);
    return error;
}

static void test_bundle_as_it_is(void **state)
{
    struct gw_pubkey key;
    uint8_t thumbprint[32];
    (void)state;

    assert_int_equal(w.trust.version, 5);
    assert_int_equal(w.trust.epoch, 2);
    assert_int_equal(w.trust.key_count, T_BUNDLE_KEYS);
    assert_int_equal(w.trust.policy_count, 1);
    assert_int_equal(w.trust.policy[0].roles, GW_ROLE_AUTHOR);
    assert_int_equal(w.trust.policy[0].count, 1);
    for (uint32_t i = 0; i < T_BUNDLE_KEYS; i++) {
        assert_int_equal(gw_trust_key(&w.trust, i, &key), GW_OK);
        assert_int_equal(key.roles, w.bundle_keys[i].roles);
        assert_int_equal(key.algorithm, w.bundle_keys[i].algorithm);
        assert_int_equal(key.x.n, w.bundle_keys[i].x.n);
        assert_memory_equal(key.x.p, w.bundle_keys[i].x.p, key.x.n);
        assert_memory_equal(key.y.p, w.bundle_keys[i].y.p, key.y.n);
    }
    assert_int_equal(gw_key_thumbprint(w.crypto, &key, thumbprint), GW_OK);
    assert_memory_equal(thumbprint, w.rsa.thumbprint, 32);
    assert_int_equal(gw_trust_key(&w.trust, T_BUNDLE_KEYS, &key), GW_ERR_NOTHING);
    assert_int_equal(gw_trust_key(&w.trust, UINT32_MAX, &key), GW_ERR_NOTHING);
}

static void test_m_of_n_roots(void **state)
{
    (void)state;
    assert_int_equal(open_by(KEYS(&w.root[0], &w.root[1])), GW_OK);
    assert_int_equal(open_by(KEYS(&w.root[1], &w.root[2])), GW_OK);
    assert_int_equal(open_by(KEYS(&w.root[0], &w.root[1], &w.root[2])), GW_OK);
    assert_int_equal(open_by(KEYS(&w.root[0])), GW_ERR_ROOTS_FEW);
    assert_int_equal(open_by(NULL, 0), GW_ERR_ROOTS_FEW);
    assert_int_equal(open_by(KEYS(&w.root[0], &w.root[0])), GW_ERR_SIGNER_TWICE);
    assert_int_equal(open_by(KEYS(&w.root[0], &w.stranger)), GW_ERR_KEY_UNKNOWN);
    assert_int_equal(open_by(KEYS(&w.author, &w.author2)), GW_ERR_KEY_UNKNOWN);
}

static void test_other_type_of_object(void **state)
{
    struct gwh_buf map = { 0 };
    struct t_bytes b;
    (void)state;

    assert_int_equal(gwh_trust_map(&map, &w.trust_is), GW_OK);
    b = t_sign(GW_TYPE_MANIFEST, &map, KEYS(&w.root[0], &w.root[1]));
    assert_int_equal(open_bundle(NULL, b.p, b.n), GW_ERR_SIGNATURE);
    gwh_buf_free(&map);
    t_free(&b);
}

static void test_damage(void **state)
{
    struct t_bytes b;
    (void)state;
    w.trust_is.key_count = 3; /* smaller: each bit costs two signatures */
    b = t_trust(&w, KEYS(&w.root[0], &w.root[1]));
    w.trust_is.key_count = T_BUNDLE_KEYS;
    assert_int_equal(open_bundle(NULL, b.p, b.n), GW_OK);
    t_refuse_cuts(b, open_bundle, NULL);
    t_refuse_flips(b, open_bundle, NULL);
    t_free(&b);
}

static void test_too_large(void **state)
{
    static uint8_t pins[40][32];
    const struct gwh_trust kept = w.trust_is;
    (void)state;
    w.trust_is.pins = (const uint8_t(*)[32])pins;
    w.trust_is.pin_count = 40;
    assert_int_equal(open_by(KEYS(&w.root[0], &w.root[1])), GW_ERR_LIMIT);
    w.trust_is = kept;
}

static void test_policy(void **state)
{
    struct gw_policy_line lines[4] = { { GW_ROLE_AUTHOR, 2 }, { GW_ROLE_APPROVER, 1 }, { 7, 8 }, { 1, 1 } };
    const struct gwh_trust kept = w.trust_is;
    struct gw_trust trust;
    (void)state;

    w.trust_is.policy = lines;
    w.trust_is.policy_count = 3;
    assert_int_equal(parse(&trust), GW_OK);
    assert_int_equal(trust.policy_count, 3);
    assert_int_equal(trust.policy[1].roles, GW_ROLE_APPROVER);
    assert_int_equal(trust.policy[2].count, 8);
    w.trust_is.policy_count = 4;
    assert_int_equal(parse(&trust), GW_ERR_LIMIT);
    w.trust_is.policy_count = 1;
    lines[0] = (struct gw_policy_line){ 0, 1 };
    assert_int_equal(parse(&trust), GW_ERR_VALUE);
    lines[0] = (struct gw_policy_line){ GW_ROLE_ROOT, 1 };
    assert_int_equal(parse(&trust), GW_ERR_VALUE);
    lines[0] = (struct gw_policy_line){ GW_ROLE_AUTHOR, 0 };
    assert_int_equal(parse(&trust), GW_ERR_VALUE);
    lines[0] = (struct gw_policy_line){ GW_ROLE_AUTHOR, 9 };
    assert_int_equal(parse(&trust), GW_ERR_VALUE);
    w.trust_is = kept;
}

static void test_key_values(void **state)
{
    struct gw_pubkey keys[17];
    uint8_t other_x[17][32];
    const struct gwh_trust kept = w.trust_is;
    struct gw_trust trust;
    (void)state;

    for (unsigned i = 0; i < 17; i++) {
        memset(other_x[i], (int)i + 1, 32);
        keys[i] = w.bundle_keys[0];
        keys[i].x.p = other_x[i];
    }
    w.trust_is.keys = keys;
    w.trust_is.key_count = 16;
    assert_int_equal(parse(&trust), GW_OK);
    w.trust_is.key_count = 17;
    assert_int_equal(parse(&trust), GW_ERR_LIMIT);
    w.trust_is.key_count = 2;
    keys[1].roles = 0;
    assert_int_equal(parse(&trust), GW_ERR_VALUE);
    keys[1].roles = GW_ROLE_ROOT; /* never in a bundle */
    assert_int_equal(parse(&trust), GW_ERR_VALUE);
    keys[1].roles = GW_ROLE_AUTHOR | GW_ROLE_ROOT;
    assert_int_equal(parse(&trust), GW_ERR_VALUE);
    keys[1].roles = GW_ROLE_AUTHOR;
    keys[1].algorithm = -8;
    assert_int_equal(parse(&trust), GW_ERR_ALGORITHM);
    keys[1].algorithm = GW_ALG_ES256;
    keys[1].y.n = 31;
    assert_int_equal(parse(&trust), GW_ERR_KEY_WEAK);
    w.trust_is.key_count = 0;
    assert_int_equal(parse(&trust), GW_ERR_FORMAT);
    w.trust_is = kept;
}

/* (x, y) and (x, -y) belong to one private key. */
static void test_same_key_under_two_names(void **state)
{
    struct gw_pubkey keys[2] = { w.bundle_keys[0], w.bundle_keys[0] };
    const struct gwh_trust kept = w.trust_is;
    struct gw_trust trust;
    (void)state;

    w.trust_is.keys = keys;
    w.trust_is.key_count = 2;
    keys[1].roles = GW_ROLE_APPROVER;
    assert_int_equal(parse(&trust), GW_ERR_VALUE);
    keys[1].y = w.bundle_keys[1].y;
    assert_int_equal(parse(&trust), GW_ERR_VALUE);
    w.trust_is = kept;
}

static void test_numbers(void **state)
{
    const struct gwh_trust kept = w.trust_is;
    struct gw_trust trust;
    (void)state;

    w.trust_is.version = 0;
    assert_int_equal(parse(&trust), GW_ERR_VALUE);
    w.trust_is = kept;
    w.trust_is.format = 2;
    assert_int_equal(parse(&trust), GW_ERR_VERSION);
    w.trust_is = kept;
    w.trust_is.epoch = UINT32_MAX;
    assert_int_equal(parse(&trust), GW_OK);
    w.trust_is = kept;
}

static void test_hosts(void **state)
{
    char long_host[255];
    const char *hosts[1] = { long_host };
    const struct gwh_trust kept = w.trust_is;
    struct gw_trust trust;
    (void)state;

    memset(long_host, 'a', sizeof long_host);
    long_host[254] = 0;
    w.trust_is.hosts = hosts;
    assert_int_equal(parse(&trust), GW_ERR_VALUE);
    long_host[253] = 0;
    assert_int_equal(parse(&trust), GW_OK);
    hosts[0] = "";
    assert_int_equal(parse(&trust), GW_ERR_VALUE);
    w.trust_is = kept;
}

static void test_server_cas(void **state)
{
    static const uint8_t bytes[1025] = { 1 };
    struct gw_span cas[5] = { { bytes, 1 }, { bytes, 1024 }, { bytes, 2 }, { bytes, 3 }, { bytes, 4 } };
    const struct gwh_trust kept = w.trust_is;
    struct gw_trust trust;
    (void)state;

    assert_int_equal(parse(&trust), GW_OK);
    assert_int_equal(trust.server_cas.n, 0);
    w.trust_is.server_cas = cas;
    w.trust_is.server_ca_count = 1;
    assert_int_equal(parse(&trust), GW_OK);
    assert_int_equal(gw_list_count(trust.server_cas), 1);
    assert_int_equal(trust.server_cas.n, 3);
    w.trust_is.server_ca_count = 4;
    assert_int_equal(parse(&trust), GW_OK);
    assert_int_equal(gw_list_count(trust.server_cas), 4);
    w.trust_is.server_ca_count = 5;
    assert_int_equal(parse(&trust), GW_ERR_LIMIT);
    w.trust_is.server_ca_count = 4;
    cas[3].n = 0;
    assert_int_equal(parse(&trust), GW_ERR_VALUE);
    cas[3].n = 1025;
    assert_int_equal(parse(&trust), GW_ERR_VALUE);
    cas[3].n = 3;
    assert_int_equal(open_by(KEYS(&w.root[0], &w.root[1])), GW_ERR_LIMIT); /* the whole bundle is too long now */
    w.trust_is.server_ca_count = 1;
    assert_int_equal(open_by(KEYS(&w.root[0], &w.root[1])), GW_OK);
    w.trust_is = kept;
}

static void test_unknown_keys(void **state)
{
    const struct gwh_trust kept = w.trust_is;
    struct gw_trust trust;
    (void)state;

    w.trust_is.extra = (struct gwh_extra){ { (const uint8_t *)"\x18\x7f\x00", 3 }, 1 };
    assert_int_equal(parse(&trust), GW_ERR_UNKNOWN_KEY);
    w.trust_is.extra = (struct gwh_extra){ { (const uint8_t *)"\x18\x80\x00", 3 }, 1 };
    assert_int_equal(parse(&trust), GW_OK);
    w.trust_is = kept;
}

/* Maps in bytes, for what the encoder cannot say. */
static void test_malformed_maps(void **state)
{
#define KEY "82 01 a5 01 02 03 26 20 01 21 5820 1111111111111111111111111111111111111111111111111111111111111111" \
            " 22 5820 2222222222222222222222222222222222222222222222222222222222222222"
    static const struct {
        const char *hex;
        int error;
    } rows[] = {
        { "a4 01 01 02 05 03 02 04 81 " KEY, GW_OK },
        { "a0", GW_ERR_FORMAT },
        { "a3 01 01 02 05 03 02", GW_ERR_FORMAT },                             /* no keys */
        { "a3 02 05 03 02 04 81 " KEY, GW_ERR_FORMAT },                        /* no format version */
        /* the list forgotten: its items are no keys */
        { "a4 01 01 02 05 03 02 04 " KEY, GW_ERR_FORMAT },
        { "a4 01 01 02 05 03 02 04 a0", GW_ERR_FORMAT },
        { "a4 01 01 02 05 03 02 04 81 81 01", GW_ERR_FORMAT },
        { "a5 01 01 02 05 03 02 04 81 " KEY " 05 81 41 00", GW_ERR_VALUE },    /* thumbprint of one byte */
        { "a5 01 01 02 05 03 02 04 81 " KEY " 05 80", GW_ERR_FORMAT },
        { "a5 01 01 02 05 03 02 04 81 " KEY " 06 81 81 01", GW_ERR_FORMAT },
        { "a5 01 01 02 05 03 02 04 81 " KEY " 06 81 83 01 01 01", GW_ERR_FORMAT },
        { "a5 01 01 02 05 03 02 04 81 " KEY " 07 81 00", GW_ERR_FORMAT },
        { "a5 01 01 02 05 03 02 04 81 " KEY " 08 81 41 00", GW_ERR_FORMAT },
        { "a5 01 01 02 05 03 02 04 81 " KEY " 09 81 41 00", GW_OK },
        { "a5 01 01 02 05 03 02 04 81 " KEY " 09 80", GW_ERR_FORMAT },
        { "a5 01 01 02 05 03 02 04 81 " KEY " 09 41 00", GW_ERR_FORMAT },      /* the list forgotten */
        { "a5 01 01 02 05 03 02 04 81 " KEY " 09 81 61 61", GW_ERR_FORMAT },   /* text */
        { "a5 01 01 02 05 03 02 04 81 " KEY " 09 81 40", GW_ERR_VALUE },
        { "a4 01 01 02 1b0000000100000000 03 02 04 81 " KEY, GW_ERR_VALUE },
        { "a4 01 01 02 05 03 02 04 81 82 01 a4 01 02 20 01 21 5820"
          "1111111111111111111111111111111111111111111111111111111111111111"
          " 22 5820 2222222222222222222222222222222222222222222222222222222222222222", GW_ERR_ALGORITHM },
        { "a4 01 01 02 05 03 02 04 81 " KEY " 00", GW_ERR_TRAILING },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct t_bytes b = t_hex(rows[i].hex);
        struct gw_trust trust;
        int error = gw_trust_parse(&trust, b.p, b.n);
        if (error != rows[i].error) {
            fail_msg("row %zu gave %s", i, gw_error_name(error));
        }
        t_free(&b);
    }
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
        cmocka_unit_test(test_bundle_as_it_is),
        cmocka_unit_test(test_m_of_n_roots),
        cmocka_unit_test(test_other_type_of_object),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_key_values),
        cmocka_unit_test(test_same_key_under_two_names),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_server_cas),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_malformed_maps),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
