/*
 * kat.c - known answers for every function of the crypto seam, the same for each port (kat_openssl.c, kat_psa.c, ...).
 *
 * Inputs of variable length lie in heap buffers of their exact size, so that AddressSanitizer sees an overrun in a port
 * too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kat.h"
#include "vectors.h"

static const struct gw_crypto *c; /* the port under test */

#define SPAN(array) ((struct gw_span){array, sizeof(array)})

static uint8_t *copy(const void *p, size_t n)
{
    uint8_t *heap = malloc(n);
    assert_non_null(heap);
    memcpy(heap, p, n);
    return heap;
}

/* ---- SHA-256 --------------------------------------------------------------------------------------------------- */

static void sha256_answers(void **state)
{
    uint8_t digest[32];
    (void)state;
    assert_int_equal(gw_sha256(c, NULL, 0, digest), 0);
    assert_memory_equal(digest, sha_empty, 32);
    assert_int_equal(gw_sha256(c, "abc", 3, digest), 0);
    assert_memory_equal(digest, sha_abc, 32);
}

static uint8_t *thousand(void)
{
    uint8_t *data = malloc(1000);
    assert_non_null(data);
    for (unsigned i = 0; i < 1000; i++) {
        data[i] = (uint8_t)(i * 7);
    }
    return data;
}

static void sha256_in_pieces(void **state)
{
    static const size_t pieces[] = {1, 3, 55, 56, 63, 64, 65, 127, 128, 500, 1000};
    uint8_t digest[32];
    uint8_t *data = thousand();
    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct gw_sha256 h;
        assert_int_equal(c->sha256_start(c->ctx, &h), 0);
        for (size_t at = 0; at < 1000; at += pieces[i]) {
            size_t n = 1000 - at < pieces[i] ? 1000 - at : pieces[i];
            assert_int_equal(c->sha256_update(c->ctx, &h, data + at, n), 0);
        }
        assert_int_equal(c->sha256_finish(c->ctx, &h, digest), 0);
        assert_memory_equal(digest, sha_1000, 32);
    }
    free(data);
}

/* A state is copied in the middle, both go on; others are abandoned at every point (the leak checker watches). */
static void sha256_copied_and_abandoned(void **state)
{
    uint8_t digest[32];
    uint8_t *data = thousand();
    struct gw_sha256 h, other;
    (void)state;
    assert_int_equal(c->sha256_start(c->ctx, &h), 0);
    assert_int_equal(c->sha256_update(c->ctx, &h, data, 333), 0);
    memcpy(&other, &h, sizeof h);
    assert_int_equal(c->sha256_update(c->ctx, &h, "x", 1), 0);
    assert_int_equal(c->sha256_update(c->ctx, &other, data + 333, 667), 0);
    assert_int_equal(c->sha256_finish(c->ctx, &other, digest), 0);
    assert_memory_equal(digest, sha_1000, 32);
    for (size_t n = 0; n < 130; n++) {
        assert_int_equal(c->sha256_start(c->ctx, &h), 0);
        assert_int_equal(c->sha256_update(c->ctx, &h, data, n), 0);
    }
    free(data);
}

/* ---- ES256 ----------------------------------------------------------------------------------------------------- */

static struct gw_pubkey p256(const uint8_t *x, const uint8_t *y)
{
    return (struct gw_pubkey){.algorithm = GW_ALG_ES256, .x = {x, 32}, .y = {y, 32}};
}

static int verify(const struct gw_pubkey *key, const uint8_t *digest, const uint8_t *signature, size_t n)
{
    uint8_t *exact = copy(signature, n);
    int error = c->verify(c->ctx, key, digest, exact, n);
    free(exact);
    return error;
}

static void es256_answers(void **state)
{
    struct gw_pubkey key = p256(p256_x, p256_y);
    (void)state;
    assert_int_equal(verify(&key, p256_sample_digest, p256_sample_sig, 64), 0);
    assert_int_equal(verify(&key, p256_test_digest, p256_test_sig, 64), 0);
    assert_int_equal(verify(&key, p256_test_digest, p256_sample_sig, 64), GW_ERR_SIGNATURE);
}

static void es256_one_bit_altered(void **state)
{
    struct gw_pubkey key = p256(p256_x, p256_y);
    uint8_t bytes[64], digest[32];
    (void)state;
    for (unsigned bit = 0; bit < 512; bit += 37) {
        memcpy(bytes, p256_sample_sig, 64);
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(verify(&key, p256_sample_digest, bytes, 64), GW_ERR_SIGNATURE);
    }
    for (unsigned bit = 0; bit < 256; bit += 51) {
        memcpy(digest, p256_sample_digest, 32);
        digest[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(verify(&key, digest, p256_sample_sig, 64), GW_ERR_SIGNATURE);
    }
}

static void es256_r_and_s_out_of_range(void **state)
{
    struct gw_pubkey key = p256(p256_x, p256_y);
    uint8_t bytes[64];
    (void)state;
    for (unsigned half = 0; half < 2; half++) {
        memcpy(bytes, p256_sample_sig, 64);
        memset(bytes + 32 * half, 0, 32);
        assert_int_equal(verify(&key, p256_sample_digest, bytes, 64), GW_ERR_SIGNATURE);
        memcpy(bytes + 32 * half, p256_n, 32);
        assert_int_equal(verify(&key, p256_sample_digest, bytes, 64), GW_ERR_SIGNATURE);
        memset(bytes + 32 * half, 0xff, 32);
        assert_int_equal(verify(&key, p256_sample_digest, bytes, 64), GW_ERR_SIGNATURE);
    }
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(verify(&key, p256_sample_digest, bytes, 64), GW_ERR_SIGNATURE);
}

static void es256_sizes(void **state)
{
    struct gw_pubkey key = p256(p256_x, p256_y);
    uint8_t longer[72] = {0};
    (void)state;
    memcpy(longer, p256_sample_sig, 64);
    assert_int_equal(verify(&key, p256_sample_digest, longer, 63), GW_ERR_SIGNATURE);
    assert_int_equal(verify(&key, p256_sample_digest, longer, 65), GW_ERR_SIGNATURE);
    assert_int_equal(verify(&key, p256_sample_digest, longer, 72), GW_ERR_SIGNATURE);
    key.x.n = 31;
    assert_int_equal(verify(&key, p256_sample_digest, p256_sample_sig, 64), GW_ERR_KEY_WEAK);
}

static void es256_bad_keys(void **state)
{
    uint8_t x[32] = {0}, y[32] = {0};
    struct gw_pubkey key = p256(x, y);
    (void)state;
    memcpy(x, p256_x, 32);
    memcpy(y, p256_y, 32);
    y[31] ^= 1; /* not on the curve */
    assert_int_equal(verify(&key, p256_sample_digest, p256_sample_sig, 64), GW_ERR_KEY_WEAK);
    memset(x, 0, 32);
    memset(y, 0, 32);
    assert_int_equal(verify(&key, p256_sample_digest, p256_sample_sig, 64), GW_ERR_KEY_WEAK);
    memset(x, 0xff, 32); /* not below the field's prime */
    assert_int_equal(verify(&key, p256_sample_digest, p256_sample_sig, 64), GW_ERR_KEY_WEAK);
    key = p256(p256_x, p256_y);
    key.algorithm = GW_ALG_A128KW;
    assert_int_equal(verify(&key, p256_sample_digest, p256_sample_sig, 64), GW_ERR_KEY_WEAK);
}

/* ---- PS256 ----------------------------------------------------------------------------------------------------- */

static struct gw_pubkey rsa(struct gw_span n)
{
    return (struct gw_pubkey){.algorithm = GW_ALG_PS256, .x = n, .y = SPAN(rsa_e)};
}

static void ps256_answers(void **state)
{
    struct gw_pubkey key = rsa(SPAN(rsa2048_n));
    struct gw_pubkey larger = rsa(SPAN(rsa3072_n));
    (void)state;
    assert_int_equal(verify(&key, rsa_digest, rsa2048_sig, 256), 0);
    assert_int_equal(verify(&larger, rsa_digest, rsa3072_sig, 384), 0);
    assert_int_equal(verify(&key, p256_test_digest, rsa2048_sig, 256), GW_ERR_SIGNATURE);
}

static void ps256_wrong_signatures(void **state)
{
    struct gw_pubkey key = rsa(SPAN(rsa2048_n));
    uint8_t bytes[256];
    (void)state;
    assert_int_equal(verify(&key, rsa_digest, rsa2048_sig_salt0, 256), GW_ERR_SIGNATURE);
    assert_int_equal(verify(&key, rsa_digest, rsa2048_sig_salt31, 256), GW_ERR_SIGNATURE);
    assert_int_equal(verify(&key, rsa_digest, rsa2048_sig_salt33, 256), GW_ERR_SIGNATURE);
    assert_int_equal(verify(&key, rsa_digest, rsa2048_sig_pkcs1, 256), GW_ERR_SIGNATURE);
    assert_int_equal(verify(&key, rsa_digest, rsa2048_sig, 255), GW_ERR_SIGNATURE);
    assert_int_equal(verify(&key, rsa_digest, rsa3072_sig, 384), GW_ERR_SIGNATURE);
    for (unsigned bit = 3; bit < 2048; bit += 217) {
        memcpy(bytes, rsa2048_sig, 256);
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(verify(&key, rsa_digest, bytes, 256), GW_ERR_SIGNATURE);
    }
    memset(bytes, 0xff, sizeof bytes); /* not below the modulus */
    assert_int_equal(verify(&key, rsa_digest, bytes, 256), GW_ERR_SIGNATURE);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(verify(&key, rsa_digest, bytes, 256), GW_ERR_SIGNATURE);
}

static void ps256_bad_keys(void **state)
{
    static const uint8_t even[] = {1, 0, 0}, one[] = {1};
    uint8_t n[256];
    struct gw_pubkey key = rsa(SPAN(rsa1024_n));
    (void)state;
    assert_int_equal(verify(&key, rsa_digest, rsa1024_sig, 128), GW_ERR_KEY_WEAK);
    key = rsa(SPAN(rsa2048_n));
    key.y = SPAN(even);
    assert_int_equal(verify(&key, rsa_digest, rsa2048_sig, 256), GW_ERR_KEY_WEAK);
    key.y = SPAN(one);
    assert_int_equal(verify(&key, rsa_digest, rsa2048_sig, 256), GW_ERR_KEY_WEAK);
    key.y.n = 0;
    assert_int_equal(verify(&key, rsa_digest, rsa2048_sig, 256), GW_ERR_KEY_WEAK);
    memcpy(n, rsa2048_n, 256);
    n[255] &= 0xfe;
    key = rsa(SPAN(n));
    assert_int_equal(verify(&key, rsa_digest, rsa2048_sig, 256), GW_ERR_KEY_WEAK);
    memcpy(n, rsa2048_n, 256);
    n[0] = 0;
    assert_int_equal(verify(&key, rsa_digest, rsa2048_sig, 256), GW_ERR_KEY_WEAK);
}

/* ---- AES ------------------------------------------------------------------------------------------------------- */

static void check_stream(struct gw_span key, uint32_t block, const uint8_t *stream, size_t n)
{
    uint8_t *data = calloc(1, n ? n : 1);
    assert_non_null(data);
    assert_int_equal(c->aes_ctr(c->ctx, key.p, key.n, block, data, n), 0);
    assert_memory_equal(data, stream, n);
    assert_int_equal(c->aes_ctr(c->ctx, key.p, key.n, block, data, n), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(data[i], 0); /* the same again takes it away */
    }
    free(data);
}

static void aes_ctr_answers(void **state)
{
    (void)state;
    for (size_t n = 1; n <= sizeof aes128_stream; n++) {
        check_stream(SPAN(aes128_key), 0, aes128_stream, n);
        check_stream(SPAN(aes256_key), 0, aes256_stream, n);
    }
}

static void aes_ctr_from_a_block(void **state)
{
    (void)state;
    for (uint32_t block = 1; block < 5; block++) {
        check_stream(SPAN(aes128_key), block, aes128_stream + 16 * block, sizeof aes128_stream - 16 * block);
        check_stream(SPAN(aes256_key), block, aes256_stream + 16 * block, sizeof aes256_stream - 16 * block);
    }
    check_stream(SPAN(aes128_key), 0xfffffffe, aes128_stream_late, sizeof aes128_stream_late);
    check_stream(SPAN(aes256_key), 0xfffffffe, aes256_stream_late, sizeof aes256_stream_late);
}

static void aes_block_answers(void **state)
{
    uint8_t out[16];
    (void)state;
    assert_int_equal(c->aes_decrypt(c->ctx, ecb128_key, 16, ecb128_cipher, out), 0);
    assert_memory_equal(out, ecb_plain, 16);
    assert_int_equal(c->aes_decrypt(c->ctx, ecb256_key, 32, ecb256_cipher, out), 0);
    assert_memory_equal(out, ecb_plain, 16);
}

static void aes_key_sizes(void **state)
{
    uint8_t key[33] = {0}, block[16] = {0};
    (void)state;
    for (size_t n = 0; n <= 33; n++) {
        if (n == 16 || n == 32) {
            continue;
        }
        assert_true(c->aes_ctr(c->ctx, key, n, 0, block, 16) < 0);
        assert_true(c->aes_decrypt(c->ctx, key, n, block, block) < 0);
    }
}

/* ---- What lib builds on it --------------------------------------------------------------------------------------- */

static void key_unwrap_answers(void **state)
{
    static const struct {
        const uint8_t *wrapped;
        size_t kek_size, n;
    } cases[] = {{wrap_128_128, 16, 16}, {wrap_256_128, 32, 16}, {wrap_256_256, 32, 32}};
    uint8_t kek[32], out[32], altered[40];
    (void)state;
    for (unsigned i = 0; i < 32; i++) {
        kek[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = cases[i].n;
        assert_int_equal(gw_key_unwrap(c, kek, cases[i].kek_size, cases[i].wrapped, out, n), 0);
        assert_memory_equal(out, wrap_data, n);
        for (size_t at = 0; at < n + 8; at++) {
            memcpy(altered, cases[i].wrapped, n + 8);
            altered[at] ^= 0x10;
            assert_int_equal(gw_key_unwrap(c, kek, cases[i].kek_size, altered, out, n), GW_ERR_KEY_CHECK);
        }
    }
}

static void hkdf_answers(void **state)
{
    uint8_t ikm[22], out[64];
    (void)state;
    memset(ikm, 0x0b, sizeof ikm);
    assert_int_equal(gw_hkdf(c, ikm, sizeof ikm, NULL, 0, out, sizeof hkdf_none), 0);
    assert_memory_equal(out, hkdf_none, sizeof hkdf_none);
    assert_int_equal(gw_hkdf(c, ikm, sizeof ikm, (const uint8_t *)"godwit", 6, out, sizeof hkdf_info), 0);
    assert_memory_equal(out, hkdf_info, sizeof hkdf_info);
}

/* ---- ECDH and random numbers ----------------------------------------------------------------------------------- */

static void ecdh_answers(void **state)
{
    uint8_t shared[32];
    (void)state;
    assert_int_equal(c->ecdh(c->ctx, ecdh_priv, ecdh_peer, shared), 0);
    assert_memory_equal(shared, ecdh_shared, 32);
}

static void ecdh_bad_points_and_scalars(void **state)
{
    uint8_t shared[32], peer[64], priv[32] = {0};
    (void)state;
    memcpy(peer, ecdh_peer, 64);
    peer[63] ^= 1;
    assert_true(c->ecdh(c->ctx, ecdh_priv, peer, shared) < 0);
    memset(peer, 0, 64);
    assert_true(c->ecdh(c->ctx, ecdh_priv, peer, shared) < 0);
    assert_true(c->ecdh(c->ctx, priv, ecdh_peer, shared) < 0);
    assert_true(c->ecdh(c->ctx, p256_n, ecdh_peer, shared) < 0);
}

/* ES256 by the port itself, with the private key whose ECDH answers are known: its own verifier takes it. */
static void sign_and_verify(void **state)
{
    uint8_t digest[32], signature[64], zero[32] = {0}, base[64];
    struct gw_pubkey key = {GW_ALG_ES256, 0, {base, 32}, {base + 32, 32}};
    (void)state;
    memcpy(base, sign_pub, 64);
    for (unsigned i = 0; i < 4; i++) {
        memset(digest, (int)(0x11 * i), sizeof digest);
        assert_int_equal(c->sign(c->ctx, ecdh_priv, digest, signature), 0);
        assert_int_equal(verify(&key, digest, signature, 64), 0);
        digest[31] ^= 1;
        assert_int_equal(verify(&key, digest, signature, 64), GW_ERR_SIGNATURE);
    }
    assert_true(c->sign(c->ctx, zero, digest, signature) < 0);
    assert_true(c->sign(c->ctx, p256_n, digest, signature) < 0);
}

static void random_is_not_constant(void **state)
{
    uint8_t a[64] = {0}, b[64] = {0};
    (void)state;
    assert_int_equal(c->random(c->ctx, a, sizeof a), 0);
    assert_int_equal(c->random(c->ctx, b, sizeof b), 0);
    assert_memory_not_equal(a, b, sizeof a);
}

static void verifier_has_nothing_else(void **state)
{
    struct gw_pubkey key = rsa(SPAN(rsa2048_n));
    (void)state;
    assert_int_equal(verify(&key, rsa_digest, rsa2048_sig, 256), GW_ERR_KEY_WEAK);
    assert_null(c->aes_ctr);
    assert_null(c->aes_decrypt);
    assert_null(c->ecdh);
    assert_null(c->sign);
    assert_null(c->random);
}

#define VERIFIER_TESTS                                                                                                 \
    cmocka_unit_test(sha256_answers), cmocka_unit_test(sha256_in_pieces),                                              \
        cmocka_unit_test(sha256_copied_and_abandoned), cmocka_unit_test(es256_answers),                                \
        cmocka_unit_test(es256_one_bit_altered), cmocka_unit_test(es256_r_and_s_out_of_range),                         \
        cmocka_unit_test(es256_sizes), cmocka_unit_test(es256_bad_keys), cmocka_unit_test(hkdf_answers)

int kat_run_full(const struct gw_crypto *crypto)
{
    const struct CMUnitTest tests[] = {
        VERIFIER_TESTS,
        cmocka_unit_test(ps256_answers),
        cmocka_unit_test(ps256_wrong_signatures),
        cmocka_unit_test(ps256_bad_keys),
        cmocka_unit_test(aes_ctr_answers),
        cmocka_unit_test(aes_ctr_from_a_block),
        cmocka_unit_test(aes_block_answers),
        cmocka_unit_test(aes_key_sizes),
        cmocka_unit_test(key_unwrap_answers),
        cmocka_unit_test(ecdh_answers),
        cmocka_unit_test(ecdh_bad_points_and_scalars),
        cmocka_unit_test(sign_and_verify),
        cmocka_unit_test(random_is_not_constant),
    };
    c = crypto;
    return cmocka_run_group_tests_name("kat", tests, NULL, NULL);
}

int kat_run_verifier(const struct gw_crypto *crypto)
{
    const struct CMUnitTest tests[] = {VERIFIER_TESTS, cmocka_unit_test(verifier_has_nothing_else)};
    c = crypto;
    return cmocka_run_group_tests_name("kat", tests, NULL, NULL);
}
