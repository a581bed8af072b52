/*
 * tls_small_algorithms.h - algorithms and keys of the small profile: those of the tiny one, RSA, and longer hashes.
 */
#include "tls_tiny_algorithms.h"
#define PSA_WANT_ALG_SHA_384 1
#define PSA_WANT_ALG_SHA_512 1
#define PSA_WANT_ALG_RSA_PSS 1
#define PSA_WANT_ALG_RSA_PKCS1V15_SIGN 1
#define PSA_WANT_KEY_TYPE_RSA_PUBLIC_KEY 1
