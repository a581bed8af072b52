/*
 * crypto.h - the seam to a cryptographic library, and to the keys of a device.
 *
 * The smallest set from which everything else is built: HMAC, HKDF, AES key wrap and the COSE structures are in lib.
 * One file for each library: ports/crypto/openssl.c, psa.c, mbedtls_boot.c; one suite of known answers runs over all.
 */
#ifndef GODWIT_CRYPTO_H
#define GODWIT_CRYPTO_H

#include "godwit/godwit.h"

/* Algorithms by their COSE numbers (RFC 9053, IANA). */
enum gw_algorithm {
    GW_ALG_ES256 = -7,        /* ECDSA, P-256, SHA-256 */
    GW_ALG_PS256 = -37,       /* RSASSA-PSS, SHA-256, salt of 32 bytes; RSA-2048 and RSA-3072 */
    GW_ALG_A128KW = -3,       /* AES key wrap, RFC 3394 */
    GW_ALG_A256KW = -5,
    GW_ALG_ECDH_ES_A128KW = -29, /* ECDH-ES on P-256, HKDF-SHA-256, AES key wrap */
    GW_ALG_ECDH_ES_A256KW = -31,
    GW_ALG_A128CTR = -65534,
    GW_ALG_A256CTR = -65532,
};

/* What a key may sign. A key has one algorithm and a set of roles. */
enum gw_role {
    GW_ROLE_AUTHOR = 1,      /* manifests: made this release */
    GW_ROLE_APPROVER = 2,    /* manifests: agreed to it */
    GW_ROLE_DISTRIBUTOR = 4, /* channel heads */
    GW_ROLE_ROOT = 8,        /* trust bundles; never in a bundle */
};

/* A public key: ES256: x and y, 32 bytes each. PS256: x is the modulus n (no leading zero), y the exponent e. */
struct gw_pubkey {
    int32_t algorithm; /* GW_ALG_ES256 or GW_ALG_PS256 */
    uint32_t roles;    /* GW_ROLE_* bits */
    struct gw_span x, y;
};

/* A running SHA-256. What is inside belongs to the crypto port; 8-byte aligned. */
struct gw_sha256 {
    uint64_t opaque[GW_SHA256_STATE / 8];
};

/*
 * The library behind it. Functions return 0, or a negative number when the library failed (which is reported as
 * GW_ERR_CRYPTO and is never a verdict). `verify` alone tells a verdict: 0 the signature is right, GW_ERR_SIGNATURE
 * it is wrong, GW_ERR_KEY_WEAK the key is malformed. A function that a device does not need may be NULL: a release
 * that needs it is refused by the plan (aes_ctr: GW_ERR_CIPHER; aes_decrypt, ecdh: GW_ERR_NO_KEY); without `sign`
 * reports are MACed with a pre-shared key, if the agent is told its name.
 */
struct gw_crypto {
    void *ctx;
    /* SHA-256 (FIPS 180-4). A state may be abandoned or copied at any time: it owns nothing. */
    int (*sha256_start)(void *ctx, struct gw_sha256 *h);
    int (*sha256_update)(void *ctx, struct gw_sha256 *h, const void *data, size_t n);
    int (*sha256_finish)(void *ctx, struct gw_sha256 *h, uint8_t digest[32]);
    /*
     * Checks a signature over a message whose SHA-256 is `digest`. ES256: r || s, 64 bytes. PS256: the modulus'
     * size.
     */
    int (*verify)(void *ctx, const struct gw_pubkey *key, const uint8_t digest[32], const uint8_t *signature,
                  size_t size);
    /*
     * AES-CTR in place: `n` bytes of a stream whose first byte is at 16 * `block`; the counter is 128 bits, from
     * zero.
     */
    int (*aes_ctr)(void *ctx, const uint8_t *key, size_t key_size, uint32_t block, uint8_t *data, size_t n);
    /* One AES block, decrypted (for AES key unwrap). key_size is 16 or 32. */
    int (*aes_decrypt)(void *ctx, const uint8_t *key, size_t key_size, const uint8_t in[16], uint8_t out[16]);
    /* ECDH on P-256: the x coordinate of priv * (x || y). The port checks that the point is on the curve. */
    int (*ecdh)(void *ctx, const uint8_t priv[32], const uint8_t peer[64], uint8_t shared[32]);
    /* ES256 (deterministic or not) with the private number `priv`, over a message whose SHA-256 is `digest`: r || s. */
    int (*sign)(void *ctx, const uint8_t priv[32], const uint8_t digest[32], uint8_t signature[64]);
    /* Random bytes from a real source. Not needed by manifests, installs and boot. */
    int (*random)(void *ctx, void *data, size_t n);
};

/*
 * The secrets of a device. Implementations answer only for key ids that they know: GW_ERR_NO_KEY otherwise.
 * A secure element implements `agree` without ever showing its key.
 */
struct gw_keystore {
    void *ctx;
    /* A pre-shared key-encryption key: 16 or 32 bytes. May be NULL. */
    int (*kek)(void *ctx, struct gw_span kid, uint8_t kek[32], size_t *size);
    /* ECDH on P-256 with the private key named `kid`. May be NULL. */
    int (*agree)(void *ctx, struct gw_span kid, const uint8_t peer[64], uint8_t shared[32]);
    /* ES256 with the device's own key, over a digest; `kid`: its key id. GW_ERR_NO_KEY: it has none. May be NULL. */
    int (*sign)(void *ctx, const uint8_t digest[32], uint8_t signature[64], uint8_t kid[8]);
};

/* One-shot SHA-256. */
GW_MUST_USE int gw_sha256(const struct gw_crypto *c, const void *data, size_t n, uint8_t digest[32]);

/* HKDF-SHA-256 (RFC 5869) with an empty salt; n at most 64. */
GW_MUST_USE int gw_hkdf(const struct gw_crypto *c, const uint8_t *secret, size_t secret_size, const uint8_t *info,
                        size_t info_size, uint8_t *out, size_t n);

/*
 * AES key unwrap (RFC 3394): `n` bytes of plaintext from n + 8 bytes; n is 16 or 32. GW_ERR_KEY_CHECK if it does
 * not fit.
 */
GW_MUST_USE int gw_key_unwrap(const struct gw_crypto *c, const uint8_t *kek, size_t kek_size, const uint8_t *wrapped,
                              uint8_t *out, size_t n);

/* Known answers for every function that is not NULL. `line` (may be NULL): which one failed, as in docs/porting.md. */
GW_MUST_USE int gw_selftest_crypto(const struct gw_crypto *c, unsigned *line);

#endif
