/*
 * test_cose.c - signatures count only by the policy: the right number of distinct keys, with their own roles and
 * algorithms, over these bytes and this type; and COSE structures are taken apart strictly.
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
static const struct gw_policy_line one_author = { GW_ROLE_AUTHOR, 1 };
#define TYPE GW_TYPE_MANIFEST

static int verify_bytes(const char *type, const struct gw_policy_line *policy, uint32_t lines, const uint8_t *p,
                        size_t n, struct gw_span *payload)
{
    struct gw_keyring ring = { w.crypto, &w.trust, NULL };
    return gw_cose_verify(&ring, type, policy, lines, p, n, payload);
}

/* An object over the map {1: 1}, by these keys, checked by this policy. */
static int verify_by(const struct gw_policy_line *policy, uint32_t lines, struct gwh_key *const *keys, size_t n)
{
    struct gwh_buf map = { 0 };
    struct gw_span payload = { NULL, 77 };
    struct t_bytes b;
    int error;

    assert_int_equal(gwh_buf_add(&map, "\xa1\x01\x01", 3), 0);
    b = t_sign(TYPE, &map, keys, n);
    error = verify_bytes(TYPE, policy, lines, b.p, b.n, &payload);
    if (error == GW_OK) {
        assert_int_equal(payload.n, 3);
        assert_memory_equal(payload.p, map.p, 3);
    } else {
        assert_int_equal(payload.n, 77); /* results are written only on success */
    }
    gwh_buf_free(&map);
    t_free(&b);
    return error;
}

static void test_one_signature(void **state)
{
    (void)state;
    assert_int_equal(verify_by(&one_author, 1, KEYS(&w.author)), GW_OK);
    assert_int_equal(verify_by(&one_author, 1, KEYS(&w.both)), GW_OK);
    assert_int_equal(verify_by(&one_author, 1, KEYS(&w.rsa)), GW_OK);
}

static void test_refused_signers(void **state)
{
    (void)state;
    assert_int_equal(verify_by(&one_author, 1, NULL, 0), GW_ERR_SIGNERS_FEW);
    assert_int_equal(verify_by(&one_author, 1, KEYS(&w.stranger)), GW_ERR_KEY_UNKNOWN);
    assert_int_equal(verify_by(&one_author, 1, KEYS(&w.root[0])), GW_ERR_KEY_UNKNOWN);
    assert_int_equal(verify_by(&one_author, 1, KEYS(&w.revoked)), GW_ERR_KEY_REVOKED);
    assert_int_equal(verify_by(&one_author, 1, KEYS(&w.approver)), GW_ERR_KEY_ROLE);
    assert_int_equal(verify_by(&one_author, 1, KEYS(&w.distributor)), GW_ERR_KEY_ROLE);
}

/* What does not count does no harm beside what does; the first reason is told when it is not enough. */
static void test_useless_beside_good(void **state)
{
    const struct gw_policy_line two = { GW_ROLE_AUTHOR, 2 };
    (void)state;
    assert_int_equal(verify_by(&one_author, 1, KEYS(&w.stranger, &w.revoked, &w.approver, &w.author)), GW_OK);
    assert_int_equal(verify_by(&two, 1, KEYS(&w.author, &w.revoked, &w.stranger)), GW_ERR_KEY_REVOKED);
    assert_int_equal(verify_by(&two, 1, KEYS(&w.author, &w.stranger, &w.revoked)), GW_ERR_KEY_UNKNOWN);
}

static void test_same_key_twice(void **state)
{
    const struct gw_policy_line two = { GW_ROLE_AUTHOR, 2 };
    (void)state;
    assert_int_equal(verify_by(&two, 1, KEYS(&w.author, &w.author)), GW_ERR_SIGNER_TWICE);
    assert_int_equal(verify_by(&two, 1, KEYS(&w.author)), GW_ERR_SIGNERS_FEW);
    assert_int_equal(verify_by(&two, 1, KEYS(&w.author, &w.author2)), GW_OK);
    assert_int_equal(verify_by(&two, 1, KEYS(&w.author, &w.author, &w.rsa)), GW_OK);
}

/* Hall's condition: one key with both roles does not fill both lines, wherever it stands. */
static void test_policies_of_several_lines(void **state)
{
    const struct gw_policy_line lines[3] = {
        { GW_ROLE_AUTHOR, 1 }, { GW_ROLE_APPROVER, 1 }, { GW_ROLE_DISTRIBUTOR, 1 },
    };
    const struct gw_policy_line any[2] = { { GW_ROLE_AUTHOR, 1 }, { GW_ROLE_AUTHOR | GW_ROLE_APPROVER, 2 } };
    (void)state;
    assert_int_equal(verify_by(lines, 2, KEYS(&w.both)), GW_ERR_SIGNERS_FEW);
    assert_int_equal(verify_by(lines, 2, KEYS(&w.author)), GW_ERR_SIGNERS_FEW);
    assert_int_equal(verify_by(lines, 2, KEYS(&w.author, &w.author2)), GW_ERR_SIGNERS_FEW);
    assert_int_equal(verify_by(lines, 2, KEYS(&w.author, &w.both)), GW_OK);
    assert_int_equal(verify_by(lines, 2, KEYS(&w.both, &w.author)), GW_OK);
    assert_int_equal(verify_by(lines, 2, KEYS(&w.approver, &w.both)), GW_OK);
    assert_int_equal(verify_by(lines, 2, KEYS(&w.approver, &w.author)), GW_OK);
    assert_int_equal(verify_by(lines, 3, KEYS(&w.approver, &w.author)), GW_ERR_SIGNERS_FEW);
    assert_int_equal(verify_by(lines, 3, KEYS(&w.approver, &w.author, &w.both)), GW_ERR_SIGNERS_FEW);
    assert_int_equal(verify_by(lines, 3, KEYS(&w.approver, &w.both, &w.distributor)), GW_OK);
    assert_int_equal(verify_by(any, 2, KEYS(&w.author, &w.approver)), GW_ERR_SIGNERS_FEW);
    assert_int_equal(verify_by(any, 2, KEYS(&w.both, &w.approver)), GW_ERR_SIGNERS_FEW);
    assert_int_equal(verify_by(any, 2, KEYS(&w.both, &w.approver, &w.author)), GW_OK);
    assert_int_equal(verify_by(any, 2, KEYS(&w.author, &w.author2, &w.rsa)), GW_OK);
}

/* A policy that asks for nothing is satisfied by nothing. */
static void test_empty_policy(void **state)
{
    const struct gw_policy_line none = { GW_ROLE_AUTHOR, 0 };
    const struct gw_policy_line four[4] = { { 1, 1 }, { 1, 1 }, { 1, 1 }, { 1, 1 } };
    (void)state;
    assert_int_equal(verify_by(&none, 0, NULL, 0), GW_ERR_SIGNERS_FEW);
    assert_int_equal(verify_by(&none, 1, NULL, 0), GW_ERR_SIGNERS_FEW);
    assert_int_equal(verify_by(&none, 0, KEYS(&w.author)), GW_ERR_KEY_ROLE);
    assert_int_equal(verify_by(four, 4, KEYS(&w.author)), GW_ERR_LIMIT);
}

static void test_number_of_signatures(void **state)
{
    struct gwh_key *keys[9];
    (void)state;
    for (size_t i = 0; i < 9; i++) {
        keys[i] = i == 7 ? &w.author : &w.stranger;
    }
    assert_int_equal(verify_by(&one_author, 1, keys, 8), GW_OK);
    assert_int_equal(verify_by(&one_author, 1, keys, 9), GW_ERR_LIMIT);
}

/* ---- Another algorithm, type, payload, kid ---- */

static struct t_bytes sign_with(struct gwh_signer *signer, const char *type)
{
    struct gwh_buf out = { 0 };
    struct gw_span map = { (const uint8_t *)"\xa1\x01\x01", 3 };
    struct t_bytes b;

    assert_int_equal(gwh_sign_map(&out, w.crypto, type, map, signer, 1), GW_OK);
    b = t_exact(out.p, out.n);
    gwh_buf_free(&out);
    return b;
}

static int verify_signer(struct gwh_signer *signer, const char *type)
{
    struct gw_span payload;
    struct t_bytes b = sign_with(signer, type);
    int error = verify_bytes(TYPE, &one_author, 1, b.p, b.n, &payload);
    t_free(&b);
    return error;
}

static void test_other_algorithm(void **state)
{
    static const int32_t algorithms[] = { GW_ALG_PS256, -8, -257, -35, 5, 1 };
    struct gwh_signer signer;
    (void)state;

    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        memset(&signer, 0, sizeof signer);
        gwh_key_signer(&signer, &w.author);
        signer.header_algorithm = algorithms[i];
        assert_int_equal(verify_signer(&signer, TYPE), GW_ERR_ALGORITHM);
    }
    memset(&signer, 0, sizeof signer);
    gwh_key_signer(&signer, &w.rsa);
    signer.header_algorithm = GW_ALG_ES256;
    assert_int_equal(verify_signer(&signer, TYPE), GW_ERR_ALGORITHM);
}

static void test_other_kid(void **state)
{
    struct gwh_signer signer;
    (void)state;

    memset(&signer, 0, sizeof signer);
    gwh_key_signer(&signer, &w.author);
    signer.kid = (struct gw_span){ w.author2.thumbprint, 8 };
    assert_int_equal(verify_signer(&signer, TYPE), GW_ERR_SIGNATURE);
    signer.kid = (struct gw_span){ w.author.thumbprint, 7 };
    assert_int_equal(verify_signer(&signer, TYPE), GW_ERR_KEY_UNKNOWN);
    signer.kid = (struct gw_span){ w.author.thumbprint, 32 };
    assert_int_equal(verify_signer(&signer, TYPE), GW_ERR_KEY_UNKNOWN);
    /* a revoked key does not come back under the kid of another */
    gwh_key_signer(&signer, &w.revoked);
    signer.kid = (struct gw_span){ w.author.thumbprint, 8 };
    assert_int_equal(verify_signer(&signer, TYPE), GW_ERR_SIGNATURE);
}

static void test_other_type(void **state)
{
    static const char *const types[] = { GW_TYPE_TRUST, GW_TYPE_HEAD, GW_TYPE_REPORT, "godwit/manifest/2", "" };
    struct gwh_signer signer;
    (void)state;

    memset(&signer, 0, sizeof signer);
    gwh_key_signer(&signer, &w.author);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        assert_int_equal(verify_signer(&signer, types[i]), GW_ERR_SIGNATURE);
    }
    gwh_key_signer(&signer, &w.rsa);
    assert_int_equal(verify_signer(&signer, GW_TYPE_HEAD), GW_ERR_SIGNATURE);
}

/* The right signature over another payload: the signature of one object moved to another. */
static void test_signature_of_another_payload(void **state)
{
    struct gw_span other = { (const uint8_t *)"\xa1\x01\x02", 3 }, payload;
    struct gw_cose_sign s;
    struct gw_cose_signature sig;
    struct gwh_signer signer;
    struct gwh_buf out = { 0 };
    struct t_bytes b;
    (void)state;

    memset(&signer, 0, sizeof signer);
    gwh_key_signer(&signer, &w.author);
    b = sign_with(&signer, TYPE);
    assert_int_equal(gw_cose_sign_parse(&s, b.p, b.n), GW_OK);
    assert_int_equal(s.count, 1);
    assert_int_equal(gw_cose_signature(&s, 0, &sig), GW_OK);
    assert_int_equal(gw_cose_signature(&s, 1, &sig), GW_ERR_NOTHING);
    assert_int_equal(sig.algorithm, GW_ALG_ES256);
    assert_int_equal(gwh_sign_new(&out, other.p, other.n), GW_OK);
    assert_int_equal(gwh_sign_attach(&out, w.crypto, &w.author.pub, 0, sig.kid, sig.signature), GW_OK);
    assert_int_equal(verify_bytes(TYPE, &one_author, 1, out.p, out.n, &payload), GW_ERR_SIGNATURE);
    gwh_buf_free(&out);
    t_free(&b);
}

/* The digest is the SHA-256 of the Sig_structure of RFC 9052, built here in one piece. */
static void test_sig_structure(void **state)
{
    struct t_bytes want = t_hex("85 69 5369676e6174757265 40 43a10126 51 676f647769742f6d616e69666573742f31 43a10101");
    struct gw_span none = { NULL, 0 }, header = { (const uint8_t *)"\xa1\x01\x26", 3 },
                   payload = { (const uint8_t *)"\xa1\x01\x01", 3 };
    uint8_t digest[2][32];
    (void)state;

    assert_int_equal(gw_sha256(w.crypto, want.p, want.n, digest[0]), GW_OK);
    assert_int_equal(gw_cose_sig_digest(w.crypto, TYPE, none, header, payload, digest[1]), GW_OK);
    assert_memory_equal(digest[0], digest[1], 32);
    t_free(&want);
}

/* ---- Structure ---- */

#define SIG64 "5840" "00000000000000000000000000000000" "00000000000000000000000000000000" \
              "00000000000000000000000000000000" "00000000000000000000000000000000"
#define KID "48 0102030405060708"

static int parse(const char *hex)
{
    struct t_bytes b = t_hex(hex);
    struct gw_cose_sign s;
    struct gw_cose_signature sig;
    int error = gw_cose_sign_parse(&s, b.p, b.n);

    for (uint32_t i = 0; error == GW_OK && i < s.count; i++) {
        error = gw_cose_signature(&s, i, &sig);
    }
    t_free(&b);
    return error;
}

static void test_structures_taken(void **state)
{
    static const char *const good[] = {
        "84 40 a0 41 00 80",
        "d862 84 40 a0 41 00 80",
        "84 40 a0 40 81 83 43a10126 a1 04 " KID " " SIG64,
        "84 40 a1 6161 f6 40 81 83 43a10126 a1 04 " KID " 40",    /* unprotected headers may hold any label */
        "84 40 a0 40 81 83 43a10126 a3 04 " KID " 1904d2 00 6161 81 00 40",
        "84 40 a0 40 81 83 43a10126 a0 40",
        "84 40 a0 40 81 83 40 a1 01 26 40",                        /* but no algorithm comes from there */
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (parse(good[i]) != GW_OK) {
            fail_msg("%s gave %s", good[i], gw_error_name(parse(good[i])));
        }
    }
}

static void test_structures_refused(void **state)
{
    static const struct {
        const char *hex;
        int error;
    } bad[] = {
        { "83 40 a0 40", GW_ERR_FORMAT },                           /* three, five, no array */
        { "85 40 a0 40 80 00", GW_ERR_FORMAT },
        { "a0", GW_ERR_FORMAT },
        { "d861 84 40 a0 40 80", GW_ERR_FORMAT },                   /* COSE_Sign1 and other tags */
        { "d2 84 40 a0 40 40", GW_ERR_FORMAT },
        { "84 40 a0 f6 80", GW_ERR_FORMAT },                        /* payload elsewhere */
        { "84 41a0 a0 40 80", GW_ERR_UNKNOWN_KEY },                 /* body headers */
        { "84 43a10126 a0 40 80", GW_ERR_UNKNOWN_KEY },
        { "84 40 80 40 80", GW_ERR_FORMAT },
        { "84 40 a0 40 a0", GW_ERR_FORMAT },                        /* signatures are no array */
        { "84 40 a0 40 00", GW_ERR_FORMAT },
        { "84 40 a0 40 80 00", GW_ERR_TRAILING },
        { "84 40 a0 40 89 00 00 00 00 00 00 00 00 00", GW_ERR_LIMIT },
        { "84 40 a0 40 81 82 43a10126 a0", GW_ERR_FORMAT },         /* a signature of two, of four */
        { "84 40 a0 40 81 84 43a10126 a0 40 00", GW_ERR_FORMAT },
        { "84 40 a0 40 81 00", GW_ERR_FORMAT },
        { "84 40 a0 40 81 83 44a1010126 a0 40", GW_ERR_TRAILING },   /* headers */
        { "84 40 a0 40 81 83 43a10226 a0 40", GW_ERR_UNKNOWN_KEY },
        { "84 40 a0 40 81 83 45a201260326 a0 40", GW_ERR_UNKNOWN_KEY },
        { "84 40 a0 40 81 83 45a201260126 a0 40", GW_ERR_FORMAT },
        { "84 40 a0 40 81 83 44a1016126 a0 40", GW_ERR_FORMAT },
        { "84 40 a0 40 81 83 42a101 a0 40", GW_ERR_TRUNCATED },
        { "84 40 a0 40 81 83 4180 a0 40", GW_ERR_FORMAT },
        { "84 40 a0 40 81 83 47a1011a80000000 a0 40", GW_ERR_VALUE },
        { "84 40 a0 40 81 83 43a10126 a1 04 00 40", GW_ERR_FORMAT },
        { "84 40 a0 40 81 83 43a10126 a2 04 40 04 40 40", GW_ERR_FORMAT },
        { "84 40 a0 40 81 83 43a10126 80 40", GW_ERR_FORMAT },
        { "84 40 a0 40 81 83 47a13a0001117040 a0 40", GW_ERR_UNKNOWN_KEY },
        { "84 40 a0 40 81 83 48a13a0001117041aa a0 40", GW_ERR_UNKNOWN_KEY }, /* a grant's label in a signature */
        { "84 40 a0 40 81 83 43a10126 a0 00", GW_ERR_FORMAT },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (parse(bad[i].hex) != bad[i].error) {
            fail_msg("%s gave %s", bad[i].hex, gw_error_name(parse(bad[i].hex)));
        }
    }
}

/* An algorithm in the unprotected header is none. */
static void test_unprotected_algorithm(void **state)
{
    struct t_bytes b = t_hex("84 40 a0 40 81 83 40 a2 01 26 04 48 0000000000000000 " SIG64);
    struct gw_span payload;
    (void)state;

    for (size_t i = 0; i + 8 <= b.n; i++) {
        if (memcmp(b.p + i, "\x48\0\0\0\0", 5) == 0) {
            memcpy(b.p + i + 1, w.author.thumbprint, 8);
            break;
        }
    }
    assert_int_equal(verify_bytes(TYPE, &one_author, 1, b.p, b.n, &payload), GW_ERR_ALGORITHM);
    t_free(&b);
}

static int open_any(void *ctx, const uint8_t *p, size_t n)
{
    struct gw_span payload;
    (void)ctx;
    return verify_bytes(TYPE, &one_author, 1, p, n, &payload);
}

static void test_damage(void **state)
{
    struct gwh_signer signer;
    struct gwh_key *const keys[] = { &w.author, &w.rsa };
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        struct t_bytes b;
        memset(&signer, 0, sizeof signer);
        gwh_key_signer(&signer, keys[i]);
        b = sign_with(&signer, TYPE);
        t_refuse_cuts(b, open_any, NULL);
        t_refuse_flips(b, open_any, NULL);
        t_free(&b);
    }
}

/* A signature of another size never reaches the crypto port. */
static void test_signature_sizes(void **state)
{
    static const size_t sizes[] = { 1, 63, 65, 70, 72, 256 };
    static const uint8_t bytes[256];
    (void)state;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct gwh_buf out = { 0 };
        struct gw_span sig = { bytes, sizes[i] }, kid = { NULL, 0 }, payload;
        assert_int_equal(gwh_sign_new(&out, "\xa1\x01\x01", 3), GW_OK);
        assert_int_equal(gwh_sign_attach(&out, w.crypto, &w.author.pub, 0, kid, sig), GW_OK);
        assert_int_equal(verify_bytes(TYPE, &one_author, 1, out.p, out.n, &payload), GW_ERR_SIGNATURE);
        gwh_buf_free(&out);
    }
}

/* ---- A crypto library that fails is no verdict ---- */

static unsigned calls, fails_at;
static int verify_answer;
static int f_start(void *ctx, struct gw_sha256 *h)
{
    return ++calls == fails_at ? -1 : w.crypto->sha256_start(ctx, h);
}
static int f_update(void *ctx, struct gw_sha256 *h, const void *p, size_t n)
{
    return ++calls == fails_at ? -1 : w.crypto->sha256_update(ctx, h, p, n);
}
static int f_finish(void *ctx, struct gw_sha256 *h, uint8_t d[32])
{
    return ++calls == fails_at ? -1 : w.crypto->sha256_finish(ctx, h, d);
}
static int f_verify(void *ctx, const struct gw_pubkey *key, const uint8_t digest[32], const uint8_t *sig, size_t n)
{
    if (++calls == fails_at) {
        return -1;
    }
    return verify_answer != 0 ? verify_answer : w.crypto->verify(ctx, key, digest, sig, n);
}

static int verify_faulty(struct t_bytes b, unsigned at, int answer)
{
    struct gw_crypto c = *w.crypto;
    struct gw_keyring ring = { &c, &w.trust, NULL };
    struct gw_span payload;

    c.sha256_start = f_start;
    c.sha256_update = f_update;
    c.sha256_finish = f_finish;
    c.verify = f_verify;
    calls = 0;
    fails_at = at;
    verify_answer = answer;
    return gw_cose_verify(&ring, TYPE, &one_author, 1, b.p, b.n, &payload);
}

static void test_crypto_fails(void **state)
{
    struct gwh_signer signer;
    struct t_bytes b;
    unsigned all;
    (void)state;

    memset(&signer, 0, sizeof signer);
    gwh_key_signer(&signer, &w.author2);
    b = sign_with(&signer, TYPE);
    assert_int_equal(verify_faulty(b, 0, 0), GW_OK);
    all = calls;
    for (unsigned at = 1; at <= all; at++) {
        assert_int_equal(verify_faulty(b, at, 0), GW_ERR_CRYPTO);
    }
    assert_int_equal(verify_faulty(b, 0, -1000), GW_ERR_CRYPTO);
    assert_int_equal(verify_faulty(b, 0, 1), GW_ERR_CRYPTO); /* not 0 is not right */
    assert_int_equal(verify_faulty(b, 0, GW_ERR_KEY_WEAK), GW_ERR_KEY_WEAK);
    t_free(&b);
}

/* ---- Keys ---- */

/* RFC 9679, section 6. */
static void test_thumbprint(void **state)
{
    struct t_bytes x = t_hex("65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d");
    struct t_bytes y = t_hex("1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c");
    struct t_bytes want = t_hex("496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec");
    struct gw_pubkey key = { GW_ALG_ES256, 0, { x.p, x.n }, { y.p, y.n } };
    uint8_t digest[32];
    (void)state;

    assert_int_equal(gw_key_thumbprint(w.crypto, &key, digest), GW_OK);
    assert_memory_equal(digest, want.p, 32);
    t_free(&x);
    t_free(&y);
    t_free(&want);
}

static void test_thumbprint_of_rsa(void **state)
{
    struct gwh_buf b = { 0 };
    uint8_t digest[2][32], head[7] = { 0xa3, 0x01, 0x03, 0x20, 0x59, 0x01, 0x00 }, label[2] = { 0x21, 0x43 };
    (void)state;

    assert_int_equal(w.rsa.pub.x.n, 256);
    assert_int_equal(w.rsa.pub.y.n, 3);
    assert_int_equal(gwh_buf_add(&b, head, 7), 0);
    assert_int_equal(gwh_buf_add(&b, w.rsa.pub.x.p, 256), 0);
    assert_int_equal(gwh_buf_add(&b, label, 2), 0);
    assert_int_equal(gwh_buf_add(&b, w.rsa.pub.y.p, 3), 0);
    assert_int_equal(gw_sha256(w.crypto, b.p, b.n, digest[0]), GW_OK);
    assert_int_equal(gw_key_thumbprint(w.crypto, &w.rsa.pub, digest[1]), GW_OK);
    assert_memory_equal(digest[0], digest[1], 32);
    gwh_buf_free(&b);
}

static int read_key(const uint8_t *p, size_t n, struct gw_pubkey *key, bool signs)
{
    struct t_bytes b = t_exact(p, n);
    struct gw_cbor c;
    int error;

    gw_cbor_init(&c, b.p, b.n);
    gw_cose_key(&c, key, signs);
    error = gw_cbor_end(&c);
    t_free(&b);
    return error;
}

#define X32 "5820" "1111111111111111111111111111111111111111111111111111111111111111"
#define Y32 "5820" "2222222222222222222222222222222222222222222222222222222222222222"
#define X31 "581f" "11111111111111111111111111111111111111111111111111111111111111"
#define X33 "5821" "111111111111111111111111111111111111111111111111111111111111111111"

#define EC "a5 01 02 03 26 20 01 21 "
#define BARE "a4 01 02 20 01 21 "
static void test_keys_refused(void **state)
{
    static const struct {
        const char *hex;
        int error;
        int bare_error; /* as a key for ECDH */
    } rows[] = {
        { EC X32 " 22 " Y32, GW_OK, GW_ERR_ALGORITHM },
        { BARE X32 " 22 " Y32, GW_ERR_ALGORITHM, GW_OK },
        { "a5 01 02 03 26 20 02 21 " X32 " 22 " Y32, GW_ERR_ALGORITHM, GW_ERR_ALGORITHM },   /* another curve */
        { "a4 01 02 20 02 21 " X32 " 22 " Y32, GW_ERR_ALGORITHM, GW_ERR_ALGORITHM },
        { "a5 01 01 03 26 20 01 21 " X32 " 22 " Y32, GW_ERR_ALGORITHM, GW_ERR_ALGORITHM },   /* OKP */
        { "a5 01 02 03 27 20 01 21 " X32 " 22 " Y32, GW_ERR_ALGORITHM, GW_ERR_ALGORITHM },
        { "a5 01 02 03 3824 20 01 21 " X32 " 22 " Y32, GW_ERR_ALGORITHM, GW_ERR_ALGORITHM },
        { "a4 01 02 03 26 21 " X32 " 22 " Y32, GW_ERR_ALGORITHM, GW_ERR_ALGORITHM },         /* no curve */
        { "a4 03 26 20 01 21 " X32 " 22 " Y32, GW_ERR_ALGORITHM, GW_ERR_ALGORITHM },         /* no type */
        { "a4 01 02 03 26 20 01 21 " X32, GW_ERR_ALGORITHM, GW_ERR_ALGORITHM },              /* no y */
        { EC X31 " 22 " Y32, GW_ERR_KEY_WEAK, GW_ERR_ALGORITHM },
        { EC X33 " 22 " Y32, GW_ERR_KEY_WEAK, GW_ERR_ALGORITHM },
        { EC X32 " 22 40", GW_ERR_KEY_WEAK, GW_ERR_ALGORITHM },
        { EC X32 " 22 f6", GW_ERR_KEY_WEAK, GW_ERR_ALGORITHM },                              /* y is no string */
        { EC X32 " 23 " Y32, GW_ERR_KEY_WEAK, GW_ERR_ALGORITHM },                            /* d, not y */
        { EC X32 " 6122 " Y32, GW_ERR_KEY_WEAK, GW_ERR_ALGORITHM },
        { EC "01 22 " Y32, GW_ERR_KEY_WEAK, GW_ERR_ALGORITHM },
        { BARE X31 " 22 " Y32, GW_ERR_ALGORITHM, GW_ERR_KEY_WEAK },
        { "a6 01 02 03 26 20 01 21 " X32 " 22 " Y32 " 23 " X32, GW_ERR_ALGORITHM, GW_ERR_ALGORITHM }, /* private */
        { "a6 01 02 02 41aa 03 26 20 01 21 " X32 " 22 " Y32, GW_ERR_ALGORITHM, GW_ERR_ALGORITHM },    /* a kid */
        { "a4 01 03 03 3824 20 " X32 " 21 43010001", GW_ERR_KEY_WEAK, GW_ERR_ALGORITHM },    /* RSA-256 */
        { "a4 01 03 03 26 20 " X32 " 21 43010001", GW_ERR_ALGORITHM, GW_ERR_ALGORITHM },
        { "a3 01 03 20 " X32 " 21 43010001", GW_ERR_ALGORITHM, GW_ERR_ALGORITHM },
        { "a0", GW_ERR_ALGORITHM, GW_ERR_ALGORITHM },
        { "80", GW_ERR_ALGORITHM, GW_ERR_ALGORITHM },
        { "a4 01 02 20 01 21", GW_ERR_TRUNCATED, GW_ERR_TRUNCATED },
        { "a2 01 02 01 02", GW_ERR_FORMAT, GW_ERR_FORMAT },
        { "", GW_ERR_TRUNCATED, GW_ERR_TRUNCATED },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct t_bytes b = t_hex(rows[i].hex);
        struct gw_pubkey key;
        int error = read_key(b.p, b.n, &key, true), bare = read_key(b.p, b.n, &key, false);
        if (error != rows[i].error || bare != rows[i].bare_error) {
            fail_msg("%s gave %s, %s", rows[i].hex, gw_error_name(error), gw_error_name(bare));
        }
        t_free(&b);
    }
}

/* An RSA key with a modulus of n bytes between two other bytes, and an exponent. */
static int read_rsa(size_t n, uint8_t first, uint8_t last, const char *exponent, size_t exponent_size)
{
    struct gw_pubkey key = { GW_ALG_PS256, 0, { NULL, n }, { (const uint8_t *)exponent, exponent_size } };
    struct gwh_buf b = { 0 };
    uint8_t modulus[520];
    int error;

    memset(modulus, 0x55, sizeof modulus);
    modulus[0] = first;
    modulus[n - 1] = last;
    key.x.p = modulus;
    assert_int_equal(gwh_cose_key(&b, &key), GW_OK);
    error = read_key(b.p, b.n, &key, true);
    gwh_buf_free(&b);
    return error;
}

static void test_rsa_shapes(void **state)
{
    (void)state;
    assert_int_equal(read_rsa(256, 0xc0, 1, "\1\0\1", 3), GW_OK);
    assert_int_equal(read_rsa(384, 0xc0, 1, "\1\0\1", 3), GW_OK);
    assert_int_equal(read_rsa(256, 0xc0, 1, "\3", 1), GW_OK);
    assert_int_equal(read_rsa(385, 0xc0, 1, "\1\0\1", 3), GW_ERR_KEY_WEAK);
    assert_int_equal(read_rsa(512, 0xc0, 1, "\1\0\1", 3), GW_ERR_KEY_WEAK);
    assert_int_equal(read_rsa(255, 0xc0, 1, "\1\0\1", 3), GW_ERR_KEY_WEAK);
    assert_int_equal(read_rsa(256, 0x7f, 1, "\1\0\1", 3), GW_ERR_KEY_WEAK); /* 2047 bits */
#ifndef GW_INSECURE_RSA1024
    assert_int_equal(read_rsa(128, 0xc0, 1, "\1\0\1", 3), GW_ERR_KEY_WEAK);
#endif
    assert_int_equal(read_rsa(256, 0, 1, "\1\0\1", 3), GW_ERR_KEY_WEAK);
    assert_int_equal(read_rsa(256, 0xc0, 2, "\1\0\1", 3), GW_ERR_KEY_WEAK);   /* even */
    assert_int_equal(read_rsa(256, 0xc0, 1, "\1", 1), GW_ERR_KEY_WEAK);       /* every signature would be right */
    assert_int_equal(read_rsa(256, 0xc0, 1, "", 0), GW_ERR_KEY_WEAK);
    assert_int_equal(read_rsa(256, 0xc0, 1, "\0\3", 2), GW_ERR_KEY_WEAK);
    assert_int_equal(read_rsa(256, 0xc0, 1, "\4", 1), GW_ERR_KEY_WEAK);
    assert_int_equal(read_rsa(256, 0xc0, 1, "\1\0\0\0\1", 5), GW_ERR_KEY_WEAK);
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
        cmocka_unit_test(test_one_signature),
        cmocka_unit_test(test_refused_signers),
        cmocka_unit_test(test_useless_beside_good),
        cmocka_unit_test(test_same_key_twice),
        cmocka_unit_test(test_policies_of_several_lines),
        cmocka_unit_test(test_empty_policy),
        cmocka_unit_test(test_number_of_signatures),
        cmocka_unit_test(test_other_algorithm),
        cmocka_unit_test(test_other_kid),
        cmocka_unit_test(test_other_type),
        cmocka_unit_test(test_signature_of_another_payload),
        cmocka_unit_test(test_sig_structure),
        cmocka_unit_test(test_structures_taken),
        cmocka_unit_test(test_structures_refused),
        cmocka_unit_test(test_unprotected_algorithm),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_signature_sizes),
        cmocka_unit_test(test_crypto_fails),
        cmocka_unit_test(test_thumbprint),
        cmocka_unit_test(test_thumbprint_of_rsa),
        cmocka_unit_test(test_keys_refused),
        cmocka_unit_test(test_rsa_shapes),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
