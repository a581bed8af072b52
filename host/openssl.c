/*
 * openssl.c - what encoding needs of OpenSSL beyond the device's seam: one AES block, and a P-256 public key.
 */
#include <pthread.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "crypto_ports.h"
#include "keys.h"

static int aes_encrypt(void *ctx, const uint8_t *key, size_t key_size, const uint8_t in[16], uint8_t out[16])
{
    (void)ctx;
    const EVP_CIPHER *cipher = key_size == 16 ? EVP_aes_128_ecb() : key_size == 32 ? EVP_aes_256_ecb() : NULL;
    uint8_t block[16];
    int n = 0;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool ok = c != NULL && cipher != NULL && EVP_EncryptInit_ex(c, cipher, NULL, key, NULL) == 1 &&
              EVP_CIPHER_CTX_set_padding(c, 0) == 1 && EVP_EncryptUpdate(c, block, &n, in, 16) == 1 && n == 16;
    EVP_CIPHER_CTX_free(c);
    if (ok) {
        memcpy(out, block, 16);
    }
    gw_wipe(block, sizeof block);
    return ok ? GW_OK : GW_ERR_CRYPTO;
}

static int ec_public(void *ctx, const uint8_t priv[32], uint8_t pub[64])
{
    (void)ctx;
    uint8_t point[65];
    bool ok = false;
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    BIGNUM *d = BN_bin2bn(priv, 32, NULL);
    EC_POINT *p = group == NULL ? NULL : EC_POINT_new(group);
    if (p != NULL && d != NULL && !BN_is_zero(d) && BN_cmp(d, EC_GROUP_get0_order(group)) < 0) {
        BN_set_flags(d, BN_FLG_CONSTTIME);
        ok = EC_POINT_mul(group, p, d, NULL, NULL, NULL) == 1 &&
             EC_POINT_point2oct(group, p, POINT_CONVERSION_UNCOMPRESSED, point, sizeof point, NULL) == 65;
    }
    EC_POINT_free(p);
    BN_clear_free(d);
    EC_GROUP_free(group);
    if (ok) {
        memcpy(pub, point + 1, 64);
    }
    return ok ? GW_OK : GW_ERR_CRYPTO;
}

static struct gw_crypto port;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void)
{
    gw_crypto_openssl_init(&port, NULL);
}

const struct gwh_crypto *gwh_openssl(void)
{
    static const struct gwh_crypto crypto = {.gw = &port, .aes_encrypt = aes_encrypt, .ec_public = ec_public};
    (void)pthread_once(&once, init);
    return &crypto;
}
