/*
 * keys_target.h - which cryptography stands behind host/keys.h under emulation: one crypto_*.c and one keys_*.c are
 * linked.
 *
 *   fast    crypto_fast.c, keys_fast.c    nothing is real: for tests that verify thousands of wrong objects
 *   mixed   crypto_psa.c, keys_fast.c     hashes, ciphers and key agreement of Mbed TLS; signatures are stand-ins
 *   real    crypto_psa.c, keys_psa.c      everything of Mbed TLS; no RSA keys
 */
#ifndef KEYS_TARGET_H
#define KEYS_TARGET_H

#include "keys.h"

/* Makes `verify` fit the signatures of the keys file that is linked. */
void keys_signatures(struct gw_crypto *c);

#endif
