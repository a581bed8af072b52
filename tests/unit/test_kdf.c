/*
 * test_kdf.c - HKDF, AES key unwrap, the crypto self-test, and the small helpers, each against published answers and
 * with a crypto library that fails at each call in turn.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "objects.h"

static const struct gw_crypto *crypto;

static void assert_bytes(const uint8_t *got, const char *hex)
{
    struct t_bytes want = t_hex(hex);
    assert_memory_equal(got, want.p, want.n);
    t_free(&want);
}

/* RFC 5869, A.3: no salt, no info. */
static void test_hkdf(void **state)
{
    uint8_t secret[22], out[64];
    (void)state;

    memset(secret, 0x0b, sizeof secret);
    assert_int_equal(gw_hkdf(crypto, secret, sizeof secret, NULL, 0, out, 42), GW_OK);
    assert_bytes(out, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

/* A shorter output is the beginning of a longer one; info matters. */
static void test_hkdf_lengths(void **state)
{
    uint8_t longest[64], out[64];
    (void)state;

    assert_int_equal(gw_hkdf(crypto, (const uint8_t *)"secret", 6, (const uint8_t *)"info", 4, longest, 64), GW_OK);
    for (size_t n = 1; n < 64; n++) {
        struct t_bytes b = t_exact(longest, n);
        memset(b.p, 0, n);
        assert_int_equal(gw_hkdf(crypto, (const uint8_t *)"secret", 6, (const uint8_t *)"info", 4, b.p, n), GW_OK);
        assert_memory_equal(b.p, longest, n);
        t_free(&b);
    }
    assert_int_equal(gw_hkdf(crypto, (const uint8_t *)"secret", 6, (const uint8_t *)"inf0", 4, out, 64), GW_OK);
    assert_memory_not_equal(out, longest, 32);
}

/* RFC 3394, 4.1, 4.3 and 4.6. */
static const struct {
    size_t kek, n;
    const char *wrapped;
} wraps[] = {
    { 16, 16, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5" },
    { 32, 16, "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7" },
    { 32, 32, "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21" },
};

static void unwrap_inputs(uint8_t kek[32], uint8_t data[32])
{
    for (unsigned i = 0; i < 32; i++) {
        kek[i] = (uint8_t)i;
        data[i] = (uint8_t)(i < 16 ? i * 0x11 : i - 16);
    }
}

static void test_unwrap(void **state)
{
    uint8_t kek[32], data[32];
    (void)state;

    unwrap_inputs(kek, data);
    for (size_t i = 0; i < 3; i++) {
        struct t_bytes wrapped = t_hex(wraps[i].wrapped);
        struct t_bytes out = t_exact(data, wraps[i].n);
        memset(out.p, 0, out.n);
        assert_int_equal(gw_key_unwrap(crypto, kek, wraps[i].kek, wrapped.p, out.p, out.n), GW_OK);
        assert_memory_equal(out.p, data, out.n);
        t_free(&wrapped);
        t_free(&out);
    }
}

/* Every flipped bit is noticed, and what came out is wiped. */
static void test_unwrap_refuses(void **state)
{
    static const uint8_t zero[32];
    uint8_t kek[32], data[32], out[32];
    (void)state;

    unwrap_inputs(kek, data);
    for (size_t i = 0; i < 3; i++) {
        struct t_bytes wrapped = t_hex(wraps[i].wrapped);
        for (size_t bit = 0; bit < wrapped.n * 8; bit++) {
            wrapped.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
            memset(out, 1, sizeof out);
            assert_int_equal(gw_key_unwrap(crypto, kek, wraps[i].kek, wrapped.p, out, wraps[i].n), GW_ERR_KEY_CHECK);
            assert_memory_equal(out, zero, wraps[i].n);
            wrapped.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        kek[3] ^= 1;
        assert_int_equal(gw_key_unwrap(crypto, kek, wraps[i].kek, wrapped.p, out, wraps[i].n), GW_ERR_KEY_CHECK);
        kek[3] ^= 1;
        t_free(&wrapped);
    }
}

/* ---- A crypto library that fails at call number `fails_at`, or answers wrongly in one function ---- */

static unsigned calls, fails_at;
enum lie { LIE_NONE, LIE_SHA, LIE_COPY, LIE_ACCEPT, LIE_REJECT, LIE_CTR, LIE_CTR256, LIE_BLOCK, LIE_AES, LIE_AES256,
           LIE_ECDH, LIE_RANDOM };
static enum lie lie;

static bool failing(void)
{
    return ++calls == fails_at;
}
static int f_start(void *ctx, struct gw_sha256 *h)
{
    return failing() ? -1 : crypto->sha256_start(ctx, h);
}
static int f_update(void *ctx, struct gw_sha256 *h, const void *p, size_t n)
{
    if (lie == LIE_SHA && n > 100) {
        n--;
    }
    if (lie == LIE_COPY && n == 71) {
        n--;
    }
    return failing() ? -1 : crypto->sha256_update(ctx, h, p, n);
}
static int f_finish(void *ctx, struct gw_sha256 *h, uint8_t d[32])
{
    return failing() ? -1 : crypto->sha256_finish(ctx, h, d);
}
static int f_verify(void *ctx, const struct gw_pubkey *key, const uint8_t digest[32], const uint8_t *sig, size_t n)
{
    if (failing()) {
        return -1;
    }
    return lie == LIE_ACCEPT ? 0 : lie == LIE_REJECT ? GW_ERR_SIGNATURE : crypto->verify(ctx, key, digest, sig, n);
}
static int f_ctr(void *ctx, const uint8_t *key, size_t size, uint32_t block, uint8_t *p, size_t n)
{
    if (lie == LIE_CTR || (lie == LIE_CTR256 && size == 32)) {
        p[0] ^= 1;
    }
    return failing() ? -1 : crypto->aes_ctr(ctx, key, size, lie == LIE_BLOCK ? 0 : block, p, n);
}
static int f_aes(void *ctx, const uint8_t *key, size_t size, const uint8_t in[16], uint8_t out[16])
{
    int e = failing() ? -1 : crypto->aes_decrypt(ctx, key, size, in, out);
    out[0] ^= lie == LIE_AES || (lie == LIE_AES256 && size == 32);
    return e;
}
static int f_ecdh(void *ctx, const uint8_t priv[32], const uint8_t peer[64], uint8_t shared[32])
{
    int e = failing() ? -1 : crypto->ecdh(ctx, priv, peer, shared);
    shared[31] ^= lie == LIE_ECDH;
    return e;
}
static int f_random(void *ctx, void *p, size_t n)
{
    if (failing()) {
        return -1;
    }
    if (lie == LIE_RANDOM) {
        memset(p, 7, n);
        return 0;
    }
    return crypto->random(ctx, p, n);
}
static struct gw_crypto faulty(unsigned at, enum lie which)
{
    struct gw_crypto c = { crypto->ctx, f_start, f_update, f_finish, f_verify, f_ctr, f_aes, f_ecdh, NULL, f_random };
    calls = 0;
    fails_at = at;
    lie = which;
    return c;
}

static int run_sha(const struct gw_crypto *c)
{
    uint8_t d[32];
    return gw_sha256(c, "abc", 3, d);
}
static int run_hkdf(const struct gw_crypto *c)
{
    static const uint8_t zero[64];
    uint8_t out[64];
    int e = gw_hkdf(c, (const uint8_t *)"s", 1, NULL, 0, out, sizeof out);
    if (e != GW_OK) {
        assert_memory_equal(out, zero, sizeof out);
    }
    return e;
}
static int run_unwrap(const struct gw_crypto *c)
{
    static const uint8_t zero[32];
    uint8_t kek[32], data[32], out[32];
    struct t_bytes wrapped = t_hex(wraps[2].wrapped);
    int e;
    unwrap_inputs(kek, data);
    e = gw_key_unwrap(c, kek, 32, wrapped.p, out, 32);
    if (e != GW_OK) {
        assert_memory_equal(out, zero, sizeof out);
    }
    t_free(&wrapped);
    return e;
}
static int run_selftest(const struct gw_crypto *c)
{
    return gw_selftest_crypto(c, NULL);
}

static void test_every_call_fails_in_turn(void **state)
{
    static int (*const run[])(const struct gw_crypto *c) = { run_sha, run_hkdf, run_unwrap, run_selftest };
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct gw_crypto c = faulty(0, LIE_NONE);
        unsigned all;
        assert_int_equal(run[i](&c), GW_OK);
        all = calls;
        assert_true(all > 0);
        for (unsigned at = 1; at <= all; at++) {
            c = faulty(at, LIE_NONE);
            /* In the self-test the unfinished hash is one call whose result nobody asks for. */
            if (run[i](&c) != GW_ERR_CRYPTO && i != 3) {
                fail_msg("function %zu, call %u", i, at);
            }
        }
    }
}

static void test_selftest_names_the_line(void **state)
{
    static const struct {
        enum lie lie;
        unsigned line;
    } rows[] = {
        { LIE_NONE, 0 },   { LIE_SHA, 2 },    { LIE_COPY, 3 }, { LIE_REJECT, 4 }, { LIE_ACCEPT, 5 }, { LIE_CTR, 6 },
        { LIE_BLOCK, 6 },  { LIE_CTR256, 7 }, { LIE_AES, 8 },  { LIE_AES256, 9 }, { LIE_ECDH, 10 },  { LIE_RANDOM, 11 },
    };
    unsigned line;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gw_crypto c = faulty(0, rows[i].lie);
        assert_int_equal(gw_selftest_crypto(&c, &line), rows[i].line == 0 ? GW_OK : GW_ERR_CRYPTO);
        assert_int_equal(line, rows[i].line);
    }
}

static void test_selftest_of_a_part(void **state)
{
    struct gw_crypto c = faulty(0, LIE_NONE);
    unsigned line = 99;
    (void)state;

    c.verify = NULL;
    c.aes_ctr = NULL;
    c.aes_decrypt = NULL;
    c.ecdh = NULL;
    c.random = NULL;
    assert_int_equal(gw_selftest_crypto(&c, &line), GW_OK);
    assert_int_equal(line, 0);
    c.sha256_update = NULL;
    assert_int_equal(gw_selftest_crypto(&c, &line), GW_ERR_CONFIG);
    assert_int_equal(line, 1);
}

static void test_unwrap_without_aes(void **state)
{
    struct gw_crypto c = faulty(0, LIE_NONE);
    (void)state;
    c.aes_decrypt = NULL;
    assert_int_equal(run_unwrap(&c), GW_ERR_NO_KEY);
}

/* ---- Helpers ---- */

static void test_order(void **state)
{
    static const struct gw_order rows[] = {
        { 0, 0 }, { 0, 1 }, { 0, UINT32_MAX }, { 1, 0 }, { 1, 5 }, { UINT32_MAX, 0 },
    };
    (void)state;
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 6; j++) {
            int r = gw_order_compare(rows[i], rows[j]);
            assert_int_equal((r > 0) - (r < 0), (i > j) - (i < j));
        }
    }
}

static void test_equal_and_wipe(void **state)
{
    uint8_t a[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 }, b[9];
    static const uint8_t zero[9];
    (void)state;

    memcpy(b, a, sizeof a);
    assert_true(gw_equal(a, b, sizeof a));
    assert_true(gw_equal(a, b, 0));
    for (unsigned bit = 0; bit < 72; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(gw_equal(a, b, sizeof a));
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    gw_wipe(a, 8);
    assert_memory_equal(a, zero, 8);
    assert_int_equal(a[8], 9);
}

/* Each error has a name and a sentence of its own, in either sign. */
static void test_errors_in_words(void **state)
{
    static const struct {
        int error;
        const char *name;
    } rows[] = {
#define ROW(name, reason, text) { GW_ERR_##name, #name },
        GW_ERRORS(ROW)
#undef ROW
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(rows[i].error < 0 && rows[i].error >= -255);
        assert_string_equal(gw_error_name(rows[i].error), rows[i].name);
        assert_string_equal(gw_error_name(-rows[i].error), rows[i].name);
        assert_true(strlen(gw_strerror(rows[i].error)) > 10);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(rows[i].error, rows[j].error);
            assert_string_not_equal(gw_strerror(rows[i].error), gw_strerror(rows[j].error));
        }
    }
    assert_string_equal(gw_error_name(0), "OK");
    assert_string_equal(gw_error_name(-31), "UNKNOWN");
    assert_string_equal(gw_error_name(9999), "UNKNOWN");
    assert_non_null(gw_strerror(9999));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hkdf),
        cmocka_unit_test(test_hkdf_lengths),
        cmocka_unit_test(test_unwrap),
        cmocka_unit_test(test_unwrap_refuses),
        cmocka_unit_test(test_unwrap_without_aes),
        cmocka_unit_test(test_every_call_fails_in_turn),
        cmocka_unit_test(test_selftest_names_the_line),
        cmocka_unit_test(test_selftest_of_a_part),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_equal_and_wipe),
        cmocka_unit_test(test_errors_in_words),
    };
    crypto = gwh_openssl()->gw;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
