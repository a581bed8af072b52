/*
 * mbedtls_boot_config.h - Mbed TLS 3.6 for a bootloader: SHA-256 (the small variant) and P-256 verification by
 * p256-m, nothing else. Given to the compiler as MBEDTLS_CONFIG_FILE.
 */
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA256_SMALLER
#define MBEDTLS_PSA_P256M_DRIVER_ENABLED /* p256-m.c compiles to nothing without it; PSA itself is not built */
