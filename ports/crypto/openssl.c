/*
 * openssl.c - the crypto seam on OpenSSL 3, for PCs and servers.
 *
 * Keeps true: a running SHA-256 owns nothing (OpenSSL's plain SHA256_CTX lies in the caller's state), so that it may be
 * copied or abandoned; a signature is wrong only when OpenSSL said so, everything else is GW_ERR_CRYPTO.
 * Signs with P-256 alone, for reports; does not make keys or encrypt blocks: tools do that in host/.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_CTX: EVP digests live on the heap and could not be abandoned; EC_KEY */
#include <assert.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "crypto_ports.h"

static_assert(sizeof(SHA256_CTX) <= GW_SHA256_STATE, "raise GW_SHA256_STATE in gw_config.h");

static int done(int openssl)
{
    return openssl == 1 ? 0 : GW_ERR_CRYPTO;
}

static int sha256_start(void *ctx, struct gw_sha256 *h)
{
    (void)ctx;
    return done(SHA256_Init((SHA256_CTX *)(void *)h->opaque));
}

static int sha256_update(void *ctx, struct gw_sha256 *h, const void *data, size_t n)
{
    (void)ctx;
    return done(SHA256_Update((SHA256_CTX *)(void *)h->opaque, data, n));
}

static int sha256_finish(void *ctx, struct gw_sha256 *h, uint8_t digest[32])
{
    (void)ctx;
    return done(SHA256_Final(digest, (SHA256_CTX *)(void *)h->opaque));
}

/* A public key from its parameters; *weak when OpenSSL refuses them, as for a point that is not on the curve. */
static EVP_PKEY *key_from(const char *type, OSSL_PARAM *params, bool *weak)
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    *weak = false;
    if (ctx && EVP_PKEY_fromdata_init(ctx) == 1) {
        *weak = EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1;
    }
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

static EVP_PKEY *p256_key(const uint8_t *x, const uint8_t *y, bool *weak)
{
    uint8_t point[65] = {4};
    char group[] = "P-256";
    memcpy(point + 1, x, 32);
    memcpy(point + 33, y, 32);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end(),
    };
    return key_from("EC", params, weak);
}

static EVP_PKEY *rsa_key(const struct gw_pubkey *key, bool *weak)
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params = NULL;
    BIGNUM *n = BN_bin2bn(key->x.p, (int)key->x.n, NULL);
    BIGNUM *e = BN_bin2bn(key->y.p, (int)key->y.n, NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    *weak = false;
    if (n && e && build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1) {
        params = OSSL_PARAM_BLD_to_param(build);
    }
    if (params) {
        pkey = key_from("RSA", params, weak);
    }
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(e);
    BN_free(n);
    return pkey;
}

/* DER of an ECDSA signature r || s; 0 when OpenSSL failed. The caller frees *der. */
static int der_from_raw(const uint8_t raw[64], uint8_t **der)
{
    int n = 0;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, 32, NULL);
    BIGNUM *s = BN_bin2bn(raw + 32, 32, NULL);
    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* they are sig's now */
        n = i2d_ECDSA_SIG(sig, der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return n > 0 ? n : 0;
}

static int check(EVP_PKEY *pkey, bool pss, const uint8_t digest[32], const uint8_t *signature, size_t n)
{
    int result = -1;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool ready = ctx && EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1;
    if (ready && pss) {
        ready = EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
                EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, 32) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1;
    }
    if (ready) {
        result = EVP_PKEY_verify(ctx, signature, n, digest, 32);
    }
    EVP_PKEY_CTX_free(ctx);
    return result == 1 ? 0 : result == 0 ? GW_ERR_SIGNATURE : GW_ERR_CRYPTO;
}

static int verify_es256(const struct gw_pubkey *key, const uint8_t digest[32], const uint8_t *signature, size_t size)
{
    bool weak;
    uint8_t *der = NULL;
    if (key->x.n != 32 || key->y.n != 32) {
        return GW_ERR_KEY_WEAK;
    }
    if (size != 64) {
        return GW_ERR_SIGNATURE;
    }
    EVP_PKEY *pkey = p256_key(key->x.p, key->y.p, &weak);
    int n = pkey ? der_from_raw(signature, &der) : 0;
    int result = weak ? GW_ERR_KEY_WEAK : GW_ERR_CRYPTO;
    if (n) {
        result = check(pkey, false, digest, der, (size_t)n);
    }
    OPENSSL_free(der);
    EVP_PKEY_free(pkey);
    return result;
}

static int verify_ps256(const struct gw_pubkey *key, const uint8_t digest[32], const uint8_t *signature, size_t size)
{
    bool weak;
    if (!gw_rsa_key_ok(key)) {
        return GW_ERR_KEY_WEAK;
    }
    if (size != key->x.n) {
        return GW_ERR_SIGNATURE;
    }
    EVP_PKEY *pkey = rsa_key(key, &weak);
    int result = weak ? GW_ERR_KEY_WEAK : GW_ERR_CRYPTO;
    if (pkey) {
        result = check(pkey, true, digest, signature, size);
    }
    EVP_PKEY_free(pkey);
    return result;
}

static int verify(void *ctx, const struct gw_pubkey *key, const uint8_t digest[32], const uint8_t *signature,
                  size_t size)
{
    (void)ctx;
    switch (key->algorithm) {
    case GW_ALG_ES256:
        return verify_es256(key, digest, signature, size);
    case GW_ALG_PS256:
        return verify_ps256(key, digest, signature, size);
    default:
        return GW_ERR_KEY_WEAK;
    }
}

static int ctr_run(EVP_CIPHER_CTX *cipher, const uint8_t *key, size_t key_size, uint32_t block, uint8_t *data, size_t n)
{
    uint8_t counter[16] = {0};
    for (int i = 0; i < 4; i++) {
        counter[15 - i] = (uint8_t)(block >> (8 * i));
    }
    const EVP_CIPHER *aes = key_size == 16 ? EVP_aes_128_ctr() : EVP_aes_256_ctr();
    if (EVP_CIPHER_CTX_get0_cipher(cipher) && EVP_CIPHER_CTX_get_key_length(cipher) == (int)key_size) {
        aes = NULL; /* the context has it: looking it up again costs a tenth of the time of a frame */
    }
    if (EVP_EncryptInit_ex(cipher, aes, NULL, key, counter) != 1) {
        return GW_ERR_CRYPTO;
    }
    while (n) {
        int done_now;
        int part = n > (1u << 30) ? 1 << 30 : (int)n;
        if (EVP_EncryptUpdate(cipher, data, &done_now, data, part) != 1 || done_now != part) {
            return GW_ERR_CRYPTO;
        }
        data += part;
        n -= (size_t)part;
    }
    return 0;
}

static int aes_ctr(void *ctx, const uint8_t *key, size_t key_size, uint32_t block, uint8_t *data, size_t n)
{
    struct gw_openssl *state = ctx;
    if (key_size != 16 && key_size != 32) {
        return GW_ERR_CRYPTO;
    }
    EVP_CIPHER_CTX *cipher = state && state->cipher_ctx ? state->cipher_ctx : EVP_CIPHER_CTX_new();
    if (!cipher) {
        return GW_ERR_CRYPTO;
    }
    int error = ctr_run(cipher, key, key_size, block, data, n);
    if (state) {
        state->cipher_ctx = cipher;
    } else {
        EVP_CIPHER_CTX_free(cipher);
    }
    return error;
}

static int aes_decrypt(void *ctx, const uint8_t *key, size_t key_size, const uint8_t in[16], uint8_t out[16])
{
    int n = 0;
    (void)ctx;
    if (key_size != 16 && key_size != 32) {
        return GW_ERR_CRYPTO;
    }
    const EVP_CIPHER *aes = key_size == 16 ? EVP_aes_128_ecb() : EVP_aes_256_ecb();
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    bool ok = cipher && EVP_DecryptInit_ex(cipher, aes, NULL, key, NULL) == 1 &&
              EVP_CIPHER_CTX_set_padding(cipher, 0) == 1 && EVP_DecryptUpdate(cipher, out, &n, in, 16) == 1 && n == 16;
    EVP_CIPHER_CTX_free(cipher);
    return ok ? 0 : GW_ERR_CRYPTO;
}

/* The scalar is in 1..n-1 and the point on the curve; then x of their product. */
static bool multiply(const EC_GROUP *group, EC_POINT *point, BIGNUM *k, BIGNUM *x, BIGNUM *y, BN_CTX *bn)
{
    return !BN_is_zero(k) && BN_cmp(k, EC_GROUP_get0_order(group)) < 0 &&
           EC_POINT_set_affine_coordinates(group, point, x, y, bn) == 1 &&
           EC_POINT_mul(group, point, NULL, point, k, bn) == 1 &&
           EC_POINT_get_affine_coordinates(group, point, x, NULL, bn) == 1;
}

static int ecdh(void *ctx, const uint8_t priv[32], const uint8_t peer[64], uint8_t shared[32])
{
    int error = GW_ERR_CRYPTO;
    (void)ctx;
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *point = group ? EC_POINT_new(group) : NULL;
    BN_CTX *bn = BN_CTX_new();
    BIGNUM *k = BN_bin2bn(priv, 32, NULL);
    BIGNUM *x = BN_bin2bn(peer, 32, NULL);
    BIGNUM *y = BN_bin2bn(peer + 32, 32, NULL);
    if (point && bn && k && x && y) {
        BN_set_flags(k, BN_FLG_CONSTTIME);
        error = multiply(group, point, k, x, y, bn) && BN_bn2binpad(x, shared, 32) == 32 ? 0 : GW_ERR_CRYPTO;
    }
    BN_clear_free(x);
    BN_free(y);
    BN_clear_free(k);
    BN_CTX_free(bn);
    EC_POINT_clear_free(point);
    EC_GROUP_free(group);
    return error;
}

static int sign(void *ctx, const uint8_t priv[32], const uint8_t digest[32], uint8_t signature[64])
{
    ECDSA_SIG *sig = NULL;
    int error = GW_ERR_CRYPTO;
    (void)ctx;
    EC_KEY *key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    BIGNUM *d = BN_bin2bn(priv, 32, NULL);
    bool fits = key && d && !BN_is_zero(d) && BN_cmp(d, EC_GROUP_get0_order(EC_KEY_get0_group(key))) < 0;
    if (fits && EC_KEY_set_private_key(key, d) == 1) {
        sig = ECDSA_do_sign(digest, 32, key);
    }
    if (sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, 32) == 32 &&
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + 32, 32) == 32) {
        error = 0;
    }
    ECDSA_SIG_free(sig);
    BN_clear_free(d);
    EC_KEY_free(key);
    return error;
}

static int random_bytes(void *ctx, void *data, size_t n)
{
    (void)ctx;
    uint8_t *p = data;
    while (n) {
        int part = n > 4096 ? 4096 : (int)n;
        if (RAND_bytes(p, part) != 1) {
            return GW_ERR_CRYPTO;
        }
        p += part;
        n -= (size_t)part;
    }
    return 0;
}

void gw_crypto_openssl_init(struct gw_crypto *c, struct gw_openssl *state)
{
    *c = (struct gw_crypto){
        .ctx = state,
        .sha256_start = sha256_start,
        .sha256_update = sha256_update,
        .sha256_finish = sha256_finish,
        .verify = verify,
        .aes_ctr = aes_ctr,
        .aes_decrypt = aes_decrypt,
        .ecdh = ecdh,
        .sign = sign,
        .random = random_bytes,
    };
}

void gw_crypto_openssl_free(struct gw_openssl *state)
{
    EVP_CIPHER_CTX_free(state->cipher_ctx);
    state->cipher_ctx = NULL;
}
