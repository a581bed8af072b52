/*
 * mbedtls_boot.c - the smallest verifier: SHA-256 of Mbed TLS 3.6 and ES256 by p256-m, which lies in the same source
 * tree.
 *
 * Keeps true: no heap, no random numbers, no global state; a running SHA-256 owns nothing.
 * Chosen by measurement (rv32imc, -Os, linked, SHA-256 included; `make measure-rv32`): p256-m 4.2 KB, no heap and 28 M
 * instructions for a signature; ecp.c, bignum.c and ecdsa.c 14.5 KB, a heap and 34 M.
 * Has no RSA, no AES and no key agreement: a bootloader verifies, it does not decrypt.
 * Build with MBEDTLS_CONFIG_FILE="config/mbedtls_boot_config.h" and the sources that cmake/mbedtls.cmake lists.
 */
#include <assert.h>
#include <string.h>

#include <mbedtls/sha256.h>

#include "crypto_ports.h"
#include "p256-m.h"

static_assert(sizeof(mbedtls_sha256_context) <= GW_SHA256_STATE, "raise GW_SHA256_STATE in gw_config.h");

static mbedtls_sha256_context *sha(struct gw_sha256 *h)
{
    return (mbedtls_sha256_context *)(void *)h->opaque;
}

static int sha256_start(void *ctx, struct gw_sha256 *h)
{
    (void)ctx;
    mbedtls_sha256_init(sha(h));
    return mbedtls_sha256_starts(sha(h), 0);
}

static int sha256_update(void *ctx, struct gw_sha256 *h, const void *data, size_t n)
{
    (void)ctx;
    return mbedtls_sha256_update(sha(h), data, n);
}

static int sha256_finish(void *ctx, struct gw_sha256 *h, uint8_t digest[32])
{
    (void)ctx;
    return mbedtls_sha256_finish(sha(h), digest);
}

/* Any answer of p256-m but "right" and "bad key" is "wrong": there is nothing in it that fails. */
static int verify(void *ctx, const struct gw_pubkey *key, const uint8_t digest[32], const uint8_t *signature,
                  size_t size)
{
    uint8_t point[64];
    (void)ctx;
    if (key->algorithm != GW_ALG_ES256 || key->x.n != 32 || key->y.n != 32) {
        return GW_ERR_KEY_WEAK;
    }
    if (size != 64) {
        return GW_ERR_SIGNATURE;
    }
    memcpy(point, key->x.p, 32);
    memcpy(point + 32, key->y.p, 32);
    switch (p256_ecdsa_verify(signature, point, digest, 32)) {
    case P256_SUCCESS:
        return 0;
    case P256_INVALID_PUBKEY:
        return GW_ERR_KEY_WEAK;
    default:
        return GW_ERR_SIGNATURE;
    }
}

void gw_crypto_mbedtls_boot_init(struct gw_crypto *c)
{
    *c = (struct gw_crypto){
        .sha256_start = sha256_start,
        .sha256_update = sha256_update,
        .sha256_finish = sha256_finish,
        .verify = verify,
    };
}
