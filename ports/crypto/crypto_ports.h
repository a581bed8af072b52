/*
 * crypto_ports.h - makers of the crypto seam (godwit/crypto.h), one for each library; the build links one of them.
 *
 *   openssl.c       PCs and servers: everything in the seam
 *   psa.c           devices: Mbed TLS 3.6 through PSA
 *   mbedtls_boot.c  bootloaders: SHA-256 and ES256 alone, no random numbers, no heap to speak of
 *
 * The same known answers run over all of them: tests/crypto/kat.c.
 */
#ifndef GODWIT_CRYPTO_PORTS_H
#define GODWIT_CRYPTO_PORTS_H

#include "godwit/crypto.h"

/* What makes AES-CTR quick with OpenSSL: one cipher context, kept. All-zero is a valid start. One thread at a time. */
struct gw_openssl {
    void *cipher_ctx;
};

/*
 * OpenSSL 3. `state` lives as long as `c`; NULL: nothing is kept between calls, `c` may be shared by threads,
 * and there is nothing to free.
 */
void gw_crypto_openssl_init(struct gw_crypto *c, struct gw_openssl *state);
/* Frees what `state` holds; `c` may be used again afterwards. */
void gw_crypto_openssl_free(struct gw_openssl *state);

/*
 * PSA Crypto of Mbed TLS 3.6. Its state is global to the process and used from one thread: both are properties of PSA.
 * Call gw_crypto_psa_entropy() first if psa_random.c is linked: `draw` fills n bytes from a real source and returns 0.
 */
GW_MUST_USE int gw_crypto_psa_init(struct gw_crypto *c);
void gw_crypto_psa_entropy(int (*draw)(void *ctx, void *data, size_t n), void *ctx);

/* The smallest verifier: sha256_* and verify (ES256) are there, all else is NULL. */
void gw_crypto_mbedtls_boot_init(struct gw_crypto *c);

/*
 * Shapes of RSA keys that a port accepts: modulus of 2048 to 3072 bits without a leading zero, odd exponent of at most
 * 32 bits.
 */
static inline bool gw_rsa_key_ok(const struct gw_pubkey *key)
{
#ifdef GW_INSECURE_RSA1024
    const size_t smallest = 128;
#else
    const size_t smallest = 256;
#endif
    size_t n = key->x.n;
    size_t e = key->y.n;
    if (n < smallest || n > 384 || key->x.p[0] == 0 || !(key->x.p[n - 1] & 1)) {
        return false;
    }
    if (n == smallest && key->x.p[0] < 0x80) {
        return false;
    }
    return e >= 1 && e <= 4 && (key->y.p[e - 1] & 1) && (e > 1 || key->y.p[0] >= 3);
}

#endif
