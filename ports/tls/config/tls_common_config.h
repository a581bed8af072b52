/*
 * tls_common_config.h - Mbed TLS 3.6 for gwc_tls: what all profiles have. Included by tls_tiny_config.h,
 * tls_small_config.h and tls_full_config.h, one of which is given to the compiler as MBEDTLS_CONFIG_FILE.
 *
 * PSA is there with all that ports/crypto/psa.c needs, so that a product has one Mbed TLS. There is no clock in it:
 * tls.c checks dates itself, against the time that the agent knows. No system, no files, no entropy sources: random
 * numbers come from the product.
 */
#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_PSA_CRYPTO_CONFIG
#define MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG     /* ports/crypto/psa_random.c, or the product's own hook */
#define MBEDTLS_PSA_ASSUME_EXCLUSIVE_BUFFERS /* one thread: no copies of every buffer on the heap */
#define MBEDTLS_PLATFORM_C
#define MBEDTLS_PLATFORM_MEMORY             /* mbedtls_platform_set_calloc_free: a heap of the product's */
#define MBEDTLS_CIPHER_C
#define MBEDTLS_GCM_C
#define MBEDTLS_MD_C
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_AES_ROM_TABLES               /* not 5 KB of RAM */
#define MBEDTLS_AES_FEWER_TABLES
#define MBEDTLS_SHA256_SMALLER

#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_BASE64_C
#define MBEDTLS_PEM_PARSE_C
#define MBEDTLS_OID_C
#define MBEDTLS_PK_C
#define MBEDTLS_PK_PARSE_C
#define MBEDTLS_X509_USE_C
#define MBEDTLS_X509_CRT_PARSE_C
#define MBEDTLS_X509_CRL_PARSE_C
#define MBEDTLS_X509_RSASSA_PSS_SUPPORT

#define MBEDTLS_SSL_TLS_C
#define MBEDTLS_SSL_CLI_C
#define MBEDTLS_SSL_PROTO_TLS1_2
#define MBEDTLS_SSL_SERVER_NAME_INDICATION
#define MBEDTLS_SSL_EXTENDED_MASTER_SECRET
#define MBEDTLS_SSL_SESSION_TICKETS
#define MBEDTLS_SSL_MAX_FRAGMENT_LENGTH
#define MBEDTLS_SSL_ALL_ALERT_MESSAGES
#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_RSA_ENABLED
