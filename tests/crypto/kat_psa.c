/* kat_psa.c - the known answers over ports/crypto/psa.c; random numbers come from the kernel. */
#include <stdio.h>
#include <sys/random.h>

#include "crypto_ports.h"
#include "kat.h"

static int draw(void *ctx, void *data, size_t n)
{
    (void)ctx;
    return getrandom(data, n, 0) == (ssize_t)n ? 0 : -1;
}

int main(void)
{
    struct gw_crypto crypto;
    gw_crypto_psa_entropy(draw, NULL);
    if (gw_crypto_psa_init(&crypto) != 0) {
        puts("not ok 1 - gw_crypto_psa_init");
        return 1;
    }
    return kat_run_full(&crypto) != 0;
}
