/*
 * keys_psa.c - host/keys.h under emulation without OpenSSL: P-256 keys that sign with Mbed TLS. No RSA, no PEM files.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <psa/crypto.h>

#include "keys_target.h"

/* The private half; behind the pointer that is an EVP_PKEY on a PC. */
struct evp_pkey_st {
    uint8_t d[32];
};

void keys_signatures(struct gw_crypto *c)
{
    (void)c; /* the port's own is the right one */
}

int gwh_key_new(struct gwh_key *key, enum gwh_key_kind kind, struct gwh_error *err)
{
    const struct gwh_crypto *c = gwh_openssl();

    (void)err;
    memset(key, 0, sizeof *key);
    key->evp = calloc(1, sizeof *key->evp);
    if (kind != GWH_P256 || key->evp == NULL || getrandom(key->evp->d, 32, 0) != 32) {
        return GWH_IO;
    }
    key->evp->d[0] &= 0x7f; /* below the order */
    if (c->ec_public(c->ctx, key->evp->d, key->bytes) != 0) {
        return GWH_IO;
    }
    key->is_private = true;
    key->pub = (struct gw_pubkey){ GW_ALG_ES256, 0, { key->bytes, 32 }, { key->bytes + 32, 32 } };
    return gw_key_thumbprint(c->gw, &key->pub, key->thumbprint) == GW_OK ? GWH_OK : GWH_IO;
}

void gwh_key_free(struct gwh_key *key)
{
    free(key->evp);
    memset(key, 0, sizeof *key);
}

int gwh_key_secret(const struct gwh_key *key, uint8_t d[32])
{
    memcpy(d, key->evp->d, 32);
    return GW_OK;
}

static int sign(void *ctx, const uint8_t digest[32], uint8_t *sig, size_t *n)
{
    const struct gwh_key *key = ctx;
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id;

    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_algorithm(&attributes, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_HASH);
    if (psa_import_key(&attributes, key->evp->d, 32, &id) != PSA_SUCCESS) {
        return GW_ERR_CRYPTO;
    }
    psa_status_t status = psa_sign_hash(id, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest, 32, sig, 64, n);
    psa_destroy_key(id);
    return status == PSA_SUCCESS ? GW_OK : GW_ERR_CRYPTO;
}

void gwh_key_signer(struct gwh_signer *signer, struct gwh_key *key)
{
    memset(signer, 0, sizeof *signer);
    signer->key = key->pub;
    signer->ctx = key;
    signer->sign = sign;
}
