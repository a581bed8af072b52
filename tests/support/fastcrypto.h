/*
 * fastcrypto.h - a stand-in for cryptography that is fast and worth nothing: for cut tests, which boot a million times.
 *
 * The shapes are the real ones (sizes, algorithms, what verifies with what), so all of lib and host/encode.h work with
 * it; the strength is none: anybody can sign with a public key. Lives in tests/ only and is linked by tests only.
 */
#ifndef FASTCRYPTO_H
#define FASTCRYPTO_H

#include "encode.h"
#include "godwit/crypto.h"

/* Everything in the seam. `random` is deterministic. No state, may be shared. */
extern const struct gw_crypto fastcrypto;
/* The same with what encoding needs. */
extern const struct gwh_crypto fastcrypto_host;

/* A signer of ES256 shape, made from a number. Views into itself: must not be moved. */
struct fastcrypto_key {
    uint8_t priv[32];
    uint8_t pub[64];
};
void fastcrypto_key(struct fastcrypto_key *k, uint32_t number);
/* Signs for any public key: 64 bytes for ES256, as many as the modulus has for PS256. Returns how many. */
size_t fastcrypto_sign(const struct gw_pubkey *key, const uint8_t digest[32], uint8_t *sig);
/* `signer` keeps pointers to `k`. */
void fastcrypto_signer(struct gwh_signer *signer, struct fastcrypto_key *k, uint32_t roles);

#endif
