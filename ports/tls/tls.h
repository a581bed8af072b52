/*
 * tls.h - TLS 1.2 and 1.3 on Mbed TLS 3.6 as a stream over a stream, for boards; PCs test it.
 *
 * The server's certificate is always checked: chain to a root (of the trust bundle; if it names none, of those that
 * were given here), CRL, host name (only names and IPv4
 * addresses of subjectAltName), use as a server, dates (if the time is known), pins of the trust bundle. There is no
 * switch that turns this off for good: GWC_PEER_ANYBODY is said with each connection, by the agent's policy.
 *
 * Of several faults the first of this list is told: CERT_UNKNOWN (chain, or a weak signature in it), CERT_REVOKED,
 * CERT_NAME, CERT_PURPOSE, CERT_EXPIRED, CERT_EARLY, CERT_PIN. So a reason that can be the clock's is told only when
 * nothing else is wrong but the pin. What else fails in a handshake is GW_ERR_TLS.
 *
 * A connection that is made again may resume the session before, which spares the slow part of the handshake; only
 * with the same host and port, as the same kind of peer, and only until trust() is called again: what was checked
 * then holds as long as what is trusted does.
 *
 * Three profiles, chosen by the configuration of Mbed TLS that is linked (config/tls_small_config.h: TLS 1.2, ECDHE on
 * P-256, AES-GCM, 4 KB fragments; config/tls_tiny_config.h: without RSA; config/tls_full_config.h: 1.3 too).
 */
#ifndef GWC_TLS_H
#define GWC_TLS_H

#include "stream.h"

#define GWC_TLS_PINS_MAX 4u

struct gwc_tls_config {
    const struct gwc_stream *below;  /* TCP; kept */
    struct gw_span roots;            /* PEM (ended by a zero byte, counted) or DER: CAs that may sign servers, unless
                                        trust() names some. Kept: it must outlive the layer. n 0: nobody is trusted
                                        until trust() names some */
    struct gw_span crl;              /* PEM (the same) or DER; n 0: none. Its own dates are not looked at: what an old
                                        one names stays revoked */
    struct gw_span certificate, key; /* of this client, PEM (the same) or DER, an EC key; n 0: none */
    /* Random bytes: 0 or an error. In the full profile PSA draws some too: gw_crypto_psa_entropy(), crypto_ports.h. */
    int (*random)(void *ctx, void *data, size_t n);
    void *ctx;
};

/* What happened since gwc_tls_new; for tests and for people. */
struct gwc_tls_count {
    uint32_t handshakes; /* complete ones */
    uint32_t resumed;    /* of them, by a session before */
    uint16_t version;    /* of the last one: 0x0303 TLS 1.2, 0x0304 TLS 1.3 */
};

struct gwc_tls; /* holds Mbed TLS's objects: heap by mbedtls_calloc, bounded (docs/porting.md) */
/* Makes the layer; of the config's views only `roots` is kept. NULL and *error: GW_ERR_CONFIG (no stream below, no
 * source of random numbers), GW_ERR_CRYPTO (something does not parse), GW_ERR_SPACE (no memory). */
struct gwc_tls *gwc_tls_new(const struct gwc_tls_config *config, int *error);
void gwc_tls_free(struct gwc_tls *tls); /* NULL is no error */
/* The stream that HTTP runs over. Its errors: GW_ERR_CERT_*, GW_ERR_TLS, and those of the stream below. */
const struct gwc_secure *gwc_tls_secure(struct gwc_tls *tls);
const struct gwc_tls_count *gwc_tls_count(const struct gwc_tls *tls);
/* connect() said GW_ERR_AGAIN only because a handshake is done message by message, each of which may take long on a
 * small processor: call again at once, there is nothing to wait for. */
bool gwc_tls_busy(const struct gwc_tls *tls);

#endif
