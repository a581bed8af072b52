/*
 * hash.h - a running SHA-256 that latches the crypto library's first failure, so that a caller checks once at the end.
 */
#ifndef GW_HASH_H
#define GW_HASH_H

#include "godwit/crypto.h"

struct gw_hash {
    const struct gw_crypto *crypto;
    struct gw_sha256 state;
    int error; /* 0 or GW_ERR_CRYPTO */
};

void gw_hash_start(struct gw_hash *h, const struct gw_crypto *crypto);
void gw_hash_add(struct gw_hash *h, const void *p, size_t n);
/* Wipes the state. GW_ERR_CRYPTO if anything failed since the start; digest is then undefined. */
GW_MUST_USE int gw_hash_end(struct gw_hash *h, uint8_t digest[GW_DIGEST_SIZE]);

#endif
