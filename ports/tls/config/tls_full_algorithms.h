/*
 * tls_full_algorithms.h - algorithms and keys of the full profile: those of the small one, and TLS 1.3's.
 */
#include "tls_small_algorithms.h"
#define PSA_WANT_ALG_HKDF_EXTRACT 1
#define PSA_WANT_ALG_HKDF_EXPAND 1
#define PSA_WANT_ECC_SECP_R1_384 1
#define PSA_WANT_ECC_MONTGOMERY_255 1
