/*
 * psa_config.h - Mbed TLS 3.6 with what the crypto seam needs and nothing else, through PSA: SHA-256, ES256, PS256
 * (verify),
 * AES-CTR and AES-ECB (for key unwrap), ECDH on P-256. Given to the compiler as MBEDTLS_CONFIG_FILE; products that have
 * TLS too
 * use their own, of which this is a subset.
 */
#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_PSA_CRYPTO_CONFIG
#define MBEDTLS_PSA_CRYPTO_CONFIG_FILE "config/psa_algorithms.h"
#define MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG     /* psa_random.c, or the product's own hook */
#define MBEDTLS_PSA_ASSUME_EXCLUSIVE_BUFFERS /* one thread: no copies of every buffer on the heap */
#define MBEDTLS_CIPHER_C
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_AES_FEWER_TABLES
#define MBEDTLS_SHA256_SMALLER
#define MBEDTLS_PLATFORM_C
