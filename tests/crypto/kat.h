/* kat.h - the known-answer suite: one run over one crypto port. */
#ifndef GODWIT_TESTS_CRYPTO_KAT_H
#define GODWIT_TESTS_CRYPTO_KAT_H

#include "godwit/crypto.h"

/*
 * Runs all tests, or those of a verifier alone (SHA-256, ES256, everything else NULL). Returns the number that
 * failed.
 */
int kat_run_full(const struct gw_crypto *crypto);
int kat_run_verifier(const struct gw_crypto *crypto);

#endif
