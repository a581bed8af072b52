/*
 * stream.h - the seam between the HTTP client, the TLS layer and TCP: a connection that carries bytes, never blocking.
 *
 * The TLS layer (tls.h) is a stream over a stream: sockets on a PC (ports/posix), lwIP on a board.
 */
#ifndef GWC_STREAM_H
#define GWC_STREAM_H

#include "godwit/godwit.h"

struct gwc_stream {
    void *ctx;
    /* Connects; called again until it is not GW_ERR_AGAIN. `host` is a name or an address, not ended by a zero. */
    int (*connect)(void *ctx, struct gw_span host, uint16_t port);
    /* Sends up to n bytes: *used of them. GW_ERR_AGAIN: none just now. */
    int (*send)(void *ctx, const uint8_t *p, size_t n, size_t *used);
    /* Receives up to n bytes: *got of them. *got 0 with 0: the other side has closed. GW_ERR_AGAIN: none just now. */
    int (*recv)(void *ctx, uint8_t *p, size_t n, size_t *got);
    /* Closes; connect may follow. May be called when nothing is open. */
    void (*close)(void *ctx);
};

#endif
