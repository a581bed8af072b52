/*
 * mbedtls_boot_config.h - Mbed TLS 3.6 for a bootloader: SHA-256 (the small variant) and P-256 verification by
 * p256-m, nothing else. Given to the compiler as MBEDTLS_CONFIG_FILE.
 */
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA256_SMALLER           /* 2.7 KB less than the other one, 17 instructions a byte more (rv32imc) */
#define MBEDTLS_PSA_P256M_DRIVER_ENABLED /* p256-m.c compiles to nothing without it; PSA itself is not built */
/*
 * p256-m multiplies by halves of 16 bits unless it is told that the processor's own multiplication takes the same time
 * for all operands. A verifier has no secrets that time could tell, so on every processor it is told so: on RV32IMC
 * less than half the instructions for 106 bytes of code. (On Cortex-M p256-m brings assembly and does not ask.)
 */
#define MUL64_IS_CONSTANT_TIME
