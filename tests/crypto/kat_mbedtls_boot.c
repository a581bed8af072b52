/* kat_mbedtls_boot.c - the known answers of a verifier over ports/crypto/mbedtls_boot.c. */
#include "crypto_ports.h"
#include "kat.h"

int main(void)
{
    struct gw_crypto crypto;
    gw_crypto_mbedtls_boot_init(&crypto);
    return kat_run_verifier(&crypto) != 0;
}
