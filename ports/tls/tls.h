/*
 * tls.h - TLS 1.2 and 1.3 on Mbed TLS 3.6 as a stream over a stream, for boards; PCs test it.
 *
 * The server's certificate is always checked: chain to a root that was given, host name, dates (if the time is known),
 * use as a server; pins of the trust bundle. There is no switch that turns this off for good: `anonymous` is asked for
 * with each connection, by the agent's policy. Two profiles, chosen by the configuration of Mbed TLS that is linked
 * (config/tls_small_config.h: TLS 1.2, ECDHE on P-256, AES-GCM, 4 KB fragments; config/tls_full_config.h: 1.3 too).
 */
#ifndef GWC_TLS_H
#define GWC_TLS_H

#include "stream.h"
#include "godwit/manifest.h"

#define GWC_PINS_MAX 4u

struct gwc_tls_config {
    const struct gwc_stream *below;  /* TCP */
    struct gw_span roots;            /* PEM (ended by a zero byte, counted) or DER: CAs that may sign servers */
    struct gw_span crl;              /* PEM or DER; n 0: none */
    struct gw_span certificate, key; /* of this client, PEM (with its zero) or DER; n 0: none */
    bool small;                      /* ask for fragments of 4 KB (RFC 6066) */
    /* Random bytes, 0 or an error. */
    int (*random)(void *ctx, void *data, size_t n);
    void *ctx;
};

struct gwc_tls; /* holds Mbed TLS's objects: heap by mbedtls_calloc, bounded (docs/porting.md) */
/* Makes the layer; the config's views are read here and not kept. NULL and *error. */
struct gwc_tls *gwc_tls_new(const struct gwc_tls_config *config, int *error);
void gwc_tls_free(struct gwc_tls *tls);
/* The stream that HTTP runs over. Its errors: GW_ERR_CERT_*, GW_ERR_TLS, and those of the stream below. */
const struct gwc_stream *gwc_tls_stream(struct gwc_tls *tls);
/* For the next connections: the time (0: dates are not checked), pins, and whether the server may be anybody. */
void gwc_tls_trust(struct gwc_tls *tls, uint32_t now, const uint8_t (*pins)[GW_DIGEST_SIZE], size_t pin_count);
void gwc_tls_anonymous(struct gwc_tls *tls, bool anonymous);

#endif
