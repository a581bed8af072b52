/*
 * measure_ecp.c - a verifier on Mbed TLS's own curves, without PSA around them: what p256-m is compared with. No port,
 * only a yardstick: it is linked with ecp_config.h and lacks the named errors of a port.
 */
#include <mbedtls/ecdsa.h>
#include <mbedtls/sha256.h>

#include "measure.h"

static mbedtls_sha256_context *sha(struct gw_sha256 *h)
{
    return (mbedtls_sha256_context *)(void *)h->opaque;
}

static int sha256_start(void *ctx, struct gw_sha256 *h)
{
    (void)ctx;
    mbedtls_sha256_init(sha(h));
    return mbedtls_sha256_starts(sha(h), 0);
}

static int sha256_update(void *ctx, struct gw_sha256 *h, const void *data, size_t n)
{
    (void)ctx;
    return mbedtls_sha256_update(sha(h), data, n);
}

static int sha256_finish(void *ctx, struct gw_sha256 *h, uint8_t digest[32])
{
    (void)ctx;
    return mbedtls_sha256_finish(sha(h), digest);
}

static int verify(void *ctx, const struct gw_pubkey *key, const uint8_t digest[32], const uint8_t *signature,
                  size_t size)
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
    mbedtls_mpi r, s;

    (void)ctx;
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    int err = size == 64 ? mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1) : -1;
    err = err != 0 ? err : mbedtls_mpi_read_binary(&point.MBEDTLS_PRIVATE(X), key->x.p, 32);
    err = err != 0 ? err : mbedtls_mpi_read_binary(&point.MBEDTLS_PRIVATE(Y), key->y.p, 32);
    err = err != 0 ? err : mbedtls_mpi_lset(&point.MBEDTLS_PRIVATE(Z), 1);
    err = err != 0 ? err : mbedtls_ecp_check_pubkey(&group, &point);
    err = err != 0 ? err : mbedtls_mpi_read_binary(&r, signature, 32);
    err = err != 0 ? err : mbedtls_mpi_read_binary(&s, signature + 32, 32);
    err = err != 0 ? err : mbedtls_ecdsa_verify(&group, digest, 32, &point, &r, &s);
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_ecp_point_free(&point);
    mbedtls_ecp_group_free(&group);
    return err;
}

int main(void)
{
    const struct gw_crypto crypto = { .sha256_start = sha256_start, .sha256_update = sha256_update,
                                      .sha256_finish = sha256_finish, .verify = verify };

    return measure_port(&crypto) != 0;
}
