/*
 * stream.h - the seam between the HTTP client, the TLS layer and TCP: a connection that carries bytes, never blocking.
 *
 * A TLS layer (ports/tls) is a stream over a stream: sockets on a PC (ports/posix), lwIP on a board.
 */
#ifndef GWC_STREAM_H
#define GWC_STREAM_H

#include "godwit/godwit.h"

#define GWC_HOST_MAX 253u /* bytes of a host's name */

struct gwc_stream {
    void *ctx;
    /* Connects; called again, with the same values, until it is not GW_ERR_AGAIN. `host` is a name or an IPv4 address,
     * at most GWC_HOST_MAX bytes, not ended by a zero. After an error, close. */
    int (*connect)(void *ctx, struct gw_span host, uint16_t port);
    /* Sends up to n bytes, n > 0: *used of them, at least 1. GW_ERR_AGAIN: none just now; the same bytes, n of them,
     * come again. */
    int (*send)(void *ctx, const uint8_t *p, size_t n, size_t *used);
    /* Receives up to n bytes, n > 0: *got of them. *got 0 with 0: the other side has closed, and over TLS said so
     * (an end that is not signed is GW_ERR_TRANSPORT). GW_ERR_AGAIN: none just now. */
    int (*recv)(void *ctx, uint8_t *p, size_t n, size_t *got);
    /* Closes; connect may follow. May be called when nothing is open. */
    void (*close)(void *ctx);
};

/* Whom a connection is with. */
enum gwc_peer {
    GWC_PEER_OTHER = 0, /* another host than the own server: checked; our certificate is not shown */
    GWC_PEER_OWN,       /* the own server: checked; our certificate is shown if it asks */
    GWC_PEER_ANYBODY,   /* neither is it checked nor ours shown: by the agent's policy only (godwit/transport.h) */
};

/* What the certificates of servers are checked by. Views: whoever is told copies what it keeps. */
struct gwc_trusted {
    uint32_t now;                          /* seconds since 1970; 0: dates are not checked */
    const uint8_t (*pins)[GW_DIGEST_SIZE]; /* if there are any, one of the CAs of a server has to be among them */
    size_t pin_count;
    struct gw_span roots; /* certificates (DER) as a CBOR array of byte strings (SPEC.md, section 3, item 9): the only
                           * CAs then; n 0: those that the layer was made with */
};

/* A stream that checks who is at the other end. Its functions get stream.ctx. */
struct gwc_secure {
    struct gwc_stream stream;
    /* For all connections from now on; one that stands stays: close it, if what is trusted has changed. GW_ERR_LIMIT:
     * more than there is room for; GW_ERR_CRYPTO: a root that is no certificate. After an error nobody is trusted. */
    int (*trust)(void *ctx, const struct gwc_trusted *t);
    /* For the next connection only; without a word it is GWC_PEER_OTHER. */
    void (*peer)(void *ctx, enum gwc_peer peer);
};

#endif
