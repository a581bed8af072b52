/* kat_openssl.c - the known answers over ports/crypto/openssl.c, with and without a kept cipher context. */
#include "crypto_ports.h"
#include "kat.h"

int main(void)
{
    struct gw_crypto crypto;
    struct gw_openssl state = {0};
    gw_crypto_openssl_init(&crypto, &state);
    int failed = kat_run_full(&crypto);
    gw_crypto_openssl_free(&state);
    gw_crypto_openssl_init(&crypto, NULL);
    failed += kat_run_full(&crypto);
    return failed != 0;
}
