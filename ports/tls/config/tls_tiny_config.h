/*
 * tls_tiny_config.h - the smallest profile: TLS 1.2, ECDHE-ECDSA on P-256, AES-GCM, SHA-256, records of at most 4 KB.
 * For devices whose makers run their own CA with EC keys (`godwit server init` does): no RSA, no SHA-384 or SHA-512; a
 * server that shows such is refused, and so is a release that is signed with PS256.
 */
#define MBEDTLS_PSA_CRYPTO_CONFIG_FILE "config/tls_tiny_algorithms.h"
#include "tls_common_config.h"
#undef MBEDTLS_KEY_EXCHANGE_ECDHE_RSA_ENABLED
#undef MBEDTLS_X509_RSASSA_PSS_SUPPORT
#define MBEDTLS_SSL_IN_CONTENT_LEN 4096
#define MBEDTLS_SSL_OUT_CONTENT_LEN 4096 /* Mbed TLS asks for no longer fragments than fit both ways */
#define MBEDTLS_ECP_WINDOW_SIZE 2
#define MBEDTLS_ECP_FIXED_POINT_OPTIM 0
