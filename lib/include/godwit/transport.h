/*
 * transport.h - the seam between the agent and a network. Implemented by ports; used by the agent only.
 *
 * A transport never blocks: it returns GW_ERR_AGAIN and is asked again. It checks certificates; what it carries is
 * checked again by the library, so a hostile server can waste bytes and nothing else.
 */
#ifndef GODWIT_TRANSPORT_H
#define GODWIT_TRANSPORT_H

#include "godwit/godwit.h"

enum gw_resource {
    GW_RESOURCE_OFFER = 1,   /* the offer for this device, from the start */
    GW_RESOURCE_PAYLOAD = 2, /* a payload by its digest, from an offset */
};

struct gw_request {
    enum gw_resource resource;
    uint8_t digest[GW_DIGEST_SIZE]; /* of the payload */
    uint32_t offset;
    uint32_t longest;               /* bytes that are of use; the transport may stop earlier, never gives more */
    struct gw_span base;            /* URI that payloads are below; n 0: the configured one */
};

struct gw_transport {
    void *ctx;
    /* Begins a request; at most one is open. 0, GW_ERR_AGAIN, GW_ERR_TRANSPORT. */
    int (*open)(void *ctx, const struct gw_request *request);
    /* Up to `size` bytes into `data`; *n of them. *n == 0 with 0: the resource ends here. */
    int (*read)(void *ctx, uint8_t *data, size_t size, size_t *n);
    /* Ends the request, complete or not; keeps the connection if it can. */
    void (*close)(void *ctx);
    /* Sends a signed report. 0 when the server has it; GW_ERR_AGAIN while under way. */
    int (*report)(void *ctx, const uint8_t *bytes, size_t n);
};

#endif
