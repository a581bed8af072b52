/*
 * psa_random.c - feeds PSA's generator of random numbers (MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG) from a function of the
 * product.
 *
 * The hook that Mbed TLS calls has no context, so the source is a global here: PSA's state is global too. Without a
 * source every
 * draw fails; verifying signatures still works. Leave this file out when the platform brings a hook of its own.
 */
#include <psa/crypto.h>

#include "crypto_ports.h"

static struct {
    int (*draw)(void *ctx, void *data, size_t n);
    void *ctx;
} source;

void gw_crypto_psa_entropy(int (*draw)(void *ctx, void *data, size_t n), void *ctx)
{
    source.draw = draw;
    source.ctx = ctx;
}

psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context, uint8_t *output,
                                             size_t size, size_t *length)
{
    (void)context;
    if (!source.draw || source.draw(source.ctx, output, size) != 0) {
        return PSA_ERROR_INSUFFICIENT_ENTROPY;
    }
    *length = size;
    return PSA_SUCCESS;
}
