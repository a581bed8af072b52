/*
 * tls_full_config.h - the other profile: TLS 1.3 and 1.2, P-256, P-384 and X25519, records of any length.
 */
#define MBEDTLS_PSA_CRYPTO_CONFIG_FILE "config/tls_full_algorithms.h"
#include "tls_common_config.h"
#define MBEDTLS_SSL_PROTO_TLS1_3
#define MBEDTLS_SSL_TLS1_3_COMPATIBILITY_MODE
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL_ENABLED /* for resumption only */
#define MBEDTLS_SSL_KEEP_PEER_CERTIFICATE /* Mbed TLS asks for it with TLS 1.3 */
#define MBEDTLS_SSL_OUT_CONTENT_LEN 4096 /* requests, a client's certificates */
