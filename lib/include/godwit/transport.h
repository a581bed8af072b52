/*
 * transport.h - the seam between the agent and a network. Implemented by ports; used by the agent only.
 *
 * A transport never blocks: it returns GW_ERR_AGAIN and is asked again (for five minutes: then the agent gives up). It
 * checks certificates; what it carries is checked again by the library, so a hostile server can waste bytes and nothing
 * else. What an HTTP transport asks for and accepts: SPEC.md, section 16. Errors of all functions: GW_ERR_TRANSPORT ...
 * GW_ERR_REDIRECT (godwit.h, 6 and 7,
 * 10 to 21); each ends the request, and close() must still be called.
 */
#ifndef GODWIT_TRANSPORT_H
#define GODWIT_TRANSPORT_H

#include "godwit/manifest.h"

enum gw_resource {
    GW_RESOURCE_OFFER = 1,   /* the offer for this device, from the start */
    GW_RESOURCE_PAYLOAD = 2, /* a payload by its digest, from an offset */
};

struct gw_request {
    enum gw_resource resource;
    uint8_t digest[GW_DIGEST_SIZE]; /* of the payload */
    uint32_t offset;
    uint32_t longest;    /* bytes that are of use, at least 1; the transport may stop earlier, never gives more */
    uint32_t size;       /* of the whole payload: a Content-Range that says otherwise is GW_ERR_RANGE; 0: an offer */
    struct gw_span base; /* payloads: URI that they are below, from the offer; n 0: the configured one */
    bool unchanged_ok;   /* offers: the one that was read last in this session was dealt with: 304 is welcome */
    bool anonymous;      /* neither check the server's certificate nor show one: policy of the agent, off by default */
};

/* What a transport has to know of the trust bundle. Views: it copies what it keeps. */
struct gw_transport_trust {
    const struct gw_trust *trust; /* hosts that payloads and redirects may name; pins of server CAs */
    uint32_t now;                 /* seconds since 1970, the best that is known; 0: dates are not checked */
};

struct gw_transport {
    void *ctx;
    /* Told before each look. 0, or an error that ends the look. May be NULL: no pins, own host only. */
    int (*trust)(void *ctx, const struct gw_transport_trust *trust);
    /* Begins a request; at most one is open. 0, GW_ERR_AGAIN (the same request is asked for again), or an error. */
    int (*open)(void *ctx, const struct gw_request *request);
    /*
     * Up to `size` bytes into `data`; *n of them. *n == 0 with 0: the answer ends here, as long as it said that it
     * would be (an offer of no bytes is refused). GW_ERR_NOTHING (offers): there is none for this device, or the one
     * that was read last is unchanged.
     */
    int (*read)(void *ctx, uint8_t *data, size_t size, size_t *n);
    /* Ends the request, complete or not; keeps the connection if it can. May be called when none is open. */
    void (*close)(void *ctx);
    /*
     * Sends a signed report; the same bytes again until it is not GW_ERR_AGAIN. 0: the server has it. Any other error:
     * not now. GW_ERR_VALUE: the server will never take it (4xx). Not while a request is open. NULL: there is nobody
     * to report to; reports are dropped, on_event still tells.
     */
    int (*report)(void *ctx, const uint8_t *bytes, size_t n);
};

#endif
