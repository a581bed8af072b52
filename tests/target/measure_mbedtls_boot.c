/* measure_mbedtls_boot.c - the verifier of bootloaders: SHA-256 of Mbed TLS, ES256 by p256-m. */
#include "crypto_ports.h"
#include "measure.h"

int main(void)
{
    struct gw_crypto crypto;

    gw_crypto_mbedtls_boot_init(&crypto);
    return measure_port(&crypto) != 0;
}
