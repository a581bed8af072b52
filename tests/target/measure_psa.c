/* measure_psa.c - the port of applications: PSA, with Mbed TLS's own curves. */
#include <stdio.h>
#include <sys/random.h>

#include "crypto_ports.h"
#include "measure.h"

static int draw(void *ctx, void *data, size_t n)
{
    (void)ctx;
    return getrandom(data, n, 0) == (ssize_t)n ? 0 : -1;
}

int main(void)
{
    struct gw_crypto crypto;

    gw_crypto_psa_entropy(draw, NULL);
    if (gw_crypto_psa_init(&crypto) != GW_OK) {
        puts("PSA does not start");
        return 1;
    }
    return measure_port(&crypto) != 0;
}
