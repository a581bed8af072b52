/*
 * tls_small_config.h - the small profile: TLS 1.2, ECDHE on P-256, AES-GCM, records of at most 4 KB (RFC 6066).
 *
 * A server that does not know that extension sends longer records, and is refused (GW_ERR_TLS); nginx and whatever else
 * stands on OpenSSL knows it.
 */
#define MBEDTLS_PSA_CRYPTO_CONFIG_FILE "config/tls_small_algorithms.h"
#include "tls_common_config.h"
#define MBEDTLS_SSL_IN_CONTENT_LEN 4096
#define MBEDTLS_SSL_OUT_CONTENT_LEN 4096 /* Mbed TLS asks for no longer fragments than fit both ways */
#define MBEDTLS_ECP_WINDOW_SIZE 2
#define MBEDTLS_ECP_FIXED_POINT_OPTIM 0
