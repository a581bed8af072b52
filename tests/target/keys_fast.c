/*
 * keys_fast.c - host/keys.h under emulation without OpenSSL: keys whose signatures are fastcrypto's, worth nothing.
 *
 * For tests that ask what the library does with a right or wrong signature, thousands of times. Which cryptography
 * makes the points of P-256 keys is crypto_fast.c's or crypto_mixed.c's. PEM files and real signatures are not here.
 */
#include <stdlib.h>
#include <string.h>

#include "fastcrypto.h"
#include "keys_target.h"

/* The private half; behind the pointer that is an EVP_PKEY on a PC. */
struct evp_pkey_st {
    uint8_t d[32];
};

void keys_signatures(struct gw_crypto *c)
{
    c->verify = fastcrypto.verify;
}

static void make_p256(struct gwh_key *key, uint32_t number)
{
    struct fastcrypto_key fast;

    fastcrypto_key(&fast, number);
    memcpy(key->evp->d, fast.priv, 32);
    key->evp->d[0] &= 0x7f; /* below the order of P-256 */
    if (gwh_openssl()->ec_public(gwh_openssl()->ctx, key->evp->d, key->bytes) != 0) {
        abort();
    }
    key->pub = (struct gw_pubkey){ GW_ALG_ES256, 0, { key->bytes, 32 }, { key->bytes + 32, 32 } };
}

/* A number that has the shape of a modulus. */
static void make_rsa(struct gwh_key *key, uint32_t number, size_t size)
{
    struct fastcrypto_key fast;

    for (size_t at = 0; at < size; at += sizeof fast.priv) {
        fastcrypto_key(&fast, number * 64 + (uint32_t)(at / sizeof fast.priv));
        memcpy(key->bytes + at, fast.priv, sizeof fast.priv);
    }
    key->bytes[0] |= 0x80;
    key->bytes[size - 1] |= 1;
    memcpy(key->bytes + size, "\x01\x00\x01", 3);
    key->pub = (struct gw_pubkey){ GW_ALG_PS256, 0, { key->bytes, size }, { key->bytes + size, 3 } };
}

int gwh_key_new(struct gwh_key *key, enum gwh_key_kind kind, struct gwh_error *err)
{
    static uint32_t number = 1000;

    (void)err;
    memset(key, 0, sizeof *key);
    key->evp = calloc(1, sizeof *key->evp);
    if (key->evp == NULL) {
        return GWH_IO;
    }
    key->is_private = true;
    number++;
    if (kind == GWH_P256) {
        make_p256(key, number);
    } else {
        make_rsa(key, number, kind == GWH_RSA2048 ? 256 : 384);
    }
    return gw_key_thumbprint(gwh_openssl()->gw, &key->pub, key->thumbprint) == GW_OK ? GWH_OK : GWH_IO;
}

void gwh_key_free(struct gwh_key *key)
{
    free(key->evp);
    memset(key, 0, sizeof *key);
}

int gwh_key_secret(const struct gwh_key *key, uint8_t d[32])
{
    if (key->pub.algorithm != GW_ALG_ES256) {
        return GW_ERR_VALUE;
    }
    memcpy(d, key->evp->d, 32);
    return GW_OK;
}

static int sign(void *ctx, const uint8_t digest[32], uint8_t *sig, size_t *n)
{
    const struct gwh_key *key = ctx;

    *n = fastcrypto_sign(&key->pub, digest, sig);
    return 0;
}

void gwh_key_signer(struct gwh_signer *signer, struct gwh_key *key)
{
    memset(signer, 0, sizeof *signer);
    signer->key = key->pub;
    signer->ctx = key;
    signer->sign = sign;
}
