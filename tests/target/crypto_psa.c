/*
 * crypto_psa.c - Mbed TLS through ports/crypto/psa.c, for programs that would use OpenSSL on a PC, with what encoding
 * needs beyond the device's seam. See keys_target.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <psa/crypto.h>

#include "crypto_ports.h"
#include "keys_target.h"

static struct gw_crypto port;

static int draw(void *ctx, void *data, size_t n)
{
    (void)ctx;
    return getrandom(data, n, 0) == (ssize_t)n ? 0 : -1;
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

static int aes_encrypt(void *ctx, const uint8_t *key, size_t key_size, const uint8_t in[16], uint8_t out[16])
{
    psa_key_id_t id;
    size_t n;

    (void)ctx;
    if (import(PSA_KEY_TYPE_AES, PSA_ALG_ECB_NO_PADDING, PSA_KEY_USAGE_ENCRYPT, key, key_size, &id) != PSA_SUCCESS) {
        return GW_ERR_CRYPTO;
    }
    psa_status_t status = psa_cipher_encrypt(id, PSA_ALG_ECB_NO_PADDING, in, 16, out, 16, &n);
    psa_destroy_key(id);
    return status == PSA_SUCCESS && n == 16 ? GW_OK : GW_ERR_CRYPTO;
}

static int ec_public(void *ctx, const uint8_t priv[32], uint8_t pub[64])
{
    psa_key_type_t type = PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1);
    uint8_t point[65];
    psa_key_id_t id;
    size_t n;

    (void)ctx;
    if (import(type, PSA_ALG_ECDH, PSA_KEY_USAGE_DERIVE, priv, 32, &id) != PSA_SUCCESS) {
        return GW_ERR_CRYPTO;
    }
    psa_status_t status = psa_export_public_key(id, point, sizeof point, &n);
    psa_destroy_key(id);
    memcpy(pub, point + 1, 64);
    return status == PSA_SUCCESS && n == sizeof point ? GW_OK : GW_ERR_CRYPTO;
}

const struct gwh_crypto *gwh_openssl(void)
{
    static const struct gwh_crypto crypto = { .gw = &port, .aes_encrypt = aes_encrypt, .ec_public = ec_public };

    if (port.verify == NULL) {
        gw_crypto_psa_entropy(draw, NULL);
        if (gw_crypto_psa_init(&port) != GW_OK) {
            puts("PSA does not start");
            abort();
        }
        keys_signatures(&port);
    }
    return &crypto;
}
