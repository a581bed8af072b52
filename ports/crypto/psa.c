/*
 * psa.c - the crypto seam on PSA Crypto of Mbed TLS 3.6, for devices.
 *
 * Keeps true: no key outlives the call that imports it; a running SHA-256 owns nothing, as long as PSA's hash is
 * software (a driver
 * for an accelerator that holds a resource in its state must not be used here: abandoned states would leak it).
 * PSA keeps its state in globals: one instance in a process, used from one thread. It wants a generator of random
 * numbers even
 * to be initialized: psa_random.c, or the product's own hook. PSA has no AES key wrap: lib builds it on aes_decrypt.
 */
#include <assert.h>
#include <string.h>

#include <psa/crypto.h>

#include "crypto_ports.h"

static_assert(sizeof(psa_hash_operation_t) <= GW_SHA256_STATE, "raise GW_SHA256_STATE in gw_config.h");

/* SubjectPublicKey of RSA in DER: a sequence of two integers of at most 385 and 5 bytes. */
#define RSA_DER_MAX (4u + 4u + 385u + 2u + 5u)

static int done(psa_status_t status)
{
    return status == PSA_SUCCESS ? 0 : GW_ERR_CRYPTO;
}

static psa_hash_operation_t *hash_of(struct gw_sha256 *h)
{
    return (psa_hash_operation_t *)(void *)h->opaque;
}

static int sha256_start(void *ctx, struct gw_sha256 *h)
{
    (void)ctx;
    *hash_of(h) = psa_hash_operation_init();
    return done(psa_hash_setup(hash_of(h), PSA_ALG_SHA_256));
}

static int sha256_update(void *ctx, struct gw_sha256 *h, const void *data, size_t n)
{
    (void)ctx;
    return done(psa_hash_update(hash_of(h), data, n));
}

static int sha256_finish(void *ctx, struct gw_sha256 *h, uint8_t digest[32])
{
    size_t n;
    (void)ctx;
    return done(psa_hash_finish(hash_of(h), digest, 32, &n));
}

static psa_status_t import(psa_key_type_t type, psa_algorithm_t algorithm, psa_key_usage_t usage, const uint8_t *key,
                           size_t n, psa_key_id_t *id)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_type(&attributes, type);
    psa_set_key_algorithm(&attributes, algorithm);
    psa_set_key_usage_flags(&attributes, usage);
    return psa_import_key(&attributes, key, n, id);
}

/* One DER integer from big-endian bytes without a leading zero. Returns where the next one goes. */
static uint8_t *der_integer(uint8_t *p, struct gw_span value)
{
    bool pad = value.p[0] >= 0x80;
    size_t n = value.n + pad;
    *p++ = 0x02;
    if (n >= 0x100) {
        *p++ = 0x82;
        *p++ = (uint8_t)(n >> 8);
    } else if (n >= 0x80) {
        *p++ = 0x81;
    }
    *p++ = (uint8_t)n;
    if (pad) {
        *p++ = 0;
    }
    memcpy(p, value.p, value.n);
    return p + value.n;
}

static size_t rsa_der(const struct gw_pubkey *key, uint8_t der[RSA_DER_MAX])
{
    uint8_t *end = der_integer(der_integer(der + 4, key->x), key->y);
    size_t n = (size_t)(end - der) - 4;
    der[0] = 0x30;
    der[1] = 0x82; /* always the long form: what follows is at least 128 bytes, and PSA takes it for shorter ones too */
    der[2] = (uint8_t)(n >> 8);
    der[3] = (uint8_t)n;
    return n + 4;
}

/* Imports a public key for one verification. GW_ERR_KEY_WEAK: PSA says that it is none. */
static int import_public(const struct gw_pubkey *key, psa_algorithm_t algorithm, psa_key_id_t *id)
{
    uint8_t bytes[RSA_DER_MAX];
    size_t n = 65;
    psa_key_type_t type = PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1);
    if (key->algorithm == GW_ALG_ES256) {
        bytes[0] = 4;
        memcpy(bytes + 1, key->x.p, 32);
        memcpy(bytes + 33, key->y.p, 32);
    } else {
        type = PSA_KEY_TYPE_RSA_PUBLIC_KEY;
        n = rsa_der(key, bytes);
    }
    psa_status_t status = import(type, algorithm, PSA_KEY_USAGE_VERIFY_HASH, bytes, n, id);
    return status == PSA_ERROR_INVALID_ARGUMENT ? GW_ERR_KEY_WEAK : done(status);
}

static int verify(void *ctx, const struct gw_pubkey *key, const uint8_t digest[32], const uint8_t *signature,
                  size_t size)
{
    psa_key_id_t id;
    bool es256 = key->algorithm == GW_ALG_ES256;
    bool ok = es256 ? key->x.n == 32 && key->y.n == 32 : key->algorithm == GW_ALG_PS256 && gw_rsa_key_ok(key);
    (void)ctx;
    if (!ok) {
        return GW_ERR_KEY_WEAK;
    }
    if (size != (es256 ? 64 : key->x.n)) {
        return GW_ERR_SIGNATURE;
    }
    if (!es256 && memcmp(signature, key->x.p, size) >= 0) {
        return GW_ERR_SIGNATURE; /* not below the modulus: Mbed TLS calls that a failure of its own */
    }
    psa_algorithm_t algorithm = es256 ? PSA_ALG_ECDSA(PSA_ALG_SHA_256) : PSA_ALG_RSA_PSS(PSA_ALG_SHA_256);
    int error = import_public(key, algorithm, &id);
    if (error) {
        return error;
    }
    psa_status_t status = psa_verify_hash(id, algorithm, digest, 32, signature, size);
    psa_destroy_key(id);
    return status == PSA_ERROR_INVALID_SIGNATURE ? GW_ERR_SIGNATURE : done(status);
}

/* Mbed TLS works in place on whole blocks only: a tail goes through a block of its own. */
static psa_status_t ctr_in_place(psa_cipher_operation_t *op, uint8_t *data, size_t n)
{
    uint8_t tail[16];
    size_t used = 0, rest = n % 16;
    psa_status_t status = PSA_SUCCESS;
    if (n != rest) {
        status = psa_cipher_update(op, data, n - rest, data, n - rest, &used);
    }
    if (status == PSA_SUCCESS && rest) {
        memcpy(tail, data + used, rest);
        status = psa_cipher_update(op, tail, rest, data + used, rest, &rest);
        used += rest;
    }
    return status == PSA_SUCCESS && used != n ? PSA_ERROR_GENERIC_ERROR : status;
}

static psa_status_t ctr_run(psa_key_id_t id, uint32_t block, uint8_t *data, size_t n)
{
    psa_cipher_operation_t op = PSA_CIPHER_OPERATION_INIT;
    uint8_t counter[16] = {0};
    for (int i = 0; i < 4; i++) {
        counter[15 - i] = (uint8_t)(block >> (8 * i));
    }
    psa_status_t status = psa_cipher_encrypt_setup(&op, id, PSA_ALG_CTR);
    if (status == PSA_SUCCESS) {
        status = psa_cipher_set_iv(&op, counter, sizeof counter);
    }
    if (status == PSA_SUCCESS) {
        status = ctr_in_place(&op, data, n);
    }
    psa_cipher_abort(&op); /* a stream has nothing left to finish */
    return status;
}

static int aes_ctr(void *ctx, const uint8_t *key, size_t key_size, uint32_t block, uint8_t *data, size_t n)
{
    psa_key_id_t id;
    (void)ctx;
    if ((key_size != 16 && key_size != 32) ||
        import(PSA_KEY_TYPE_AES, PSA_ALG_CTR, PSA_KEY_USAGE_ENCRYPT, key, key_size, &id) != PSA_SUCCESS) {
        return GW_ERR_CRYPTO;
    }
    psa_status_t status = ctr_run(id, block, data, n);
    psa_destroy_key(id);
    return done(status);
}

static int aes_decrypt(void *ctx, const uint8_t *key, size_t key_size, const uint8_t in[16], uint8_t out[16])
{
    psa_key_id_t id;
    size_t n;
    (void)ctx;
    if ((key_size != 16 && key_size != 32) ||
        import(PSA_KEY_TYPE_AES, PSA_ALG_ECB_NO_PADDING, PSA_KEY_USAGE_DECRYPT, key, key_size, &id) != PSA_SUCCESS) {
        return GW_ERR_CRYPTO;
    }
    psa_status_t status = psa_cipher_decrypt(id, PSA_ALG_ECB_NO_PADDING, in, 16, out, 16, &n);
    psa_destroy_key(id);
    return done(status);
}

static int ecdh(void *ctx, const uint8_t priv[32], const uint8_t peer[64], uint8_t shared[32])
{
    psa_key_id_t id;
    uint8_t point[65] = {4};
    size_t n;
    (void)ctx;
    memcpy(point + 1, peer, 64);
    psa_key_type_t type = PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1);
    psa_status_t status = import(type, PSA_ALG_ECDH, PSA_KEY_USAGE_DERIVE, priv, 32, &id);
    if (status != PSA_SUCCESS) {
        return GW_ERR_CRYPTO;
    }
    status = psa_raw_key_agreement(PSA_ALG_ECDH, id, point, sizeof point, shared, 32, &n);
    psa_destroy_key(id);
    return done(status);
}

static int sign(void *ctx, const uint8_t priv[32], const uint8_t digest[32], uint8_t signature[64])
{
    psa_key_id_t id;
    size_t n = 0;
    psa_algorithm_t algorithm = PSA_ALG_ECDSA(PSA_ALG_SHA_256);
    psa_key_type_t type = PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1);
    (void)ctx;
    if (import(type, algorithm, PSA_KEY_USAGE_SIGN_HASH, priv, 32, &id) != PSA_SUCCESS) {
        return GW_ERR_CRYPTO;
    }
    psa_status_t status = psa_sign_hash(id, algorithm, digest, 32, signature, 64, &n);
    psa_destroy_key(id);
    return status == PSA_SUCCESS && n == 64 ? 0 : GW_ERR_CRYPTO;
}

static int random_bytes(void *ctx, void *data, size_t n)
{
    (void)ctx;
    return done(psa_generate_random(data, n));
}

int gw_crypto_psa_init(struct gw_crypto *c)
{
    *c = (struct gw_crypto){
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
    return done(psa_crypto_init());
}
