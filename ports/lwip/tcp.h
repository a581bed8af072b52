/*
 * tcp.h - a TCP connection of lwIP as a stream (ports/common/stream.h). Names are looked up without blocking.
 *
 * All work of lwIP happens in gwl_net_step() and gwl_net_receive(); what comes waits here, in lwIP's own buffers, until
 * it is read, and only then is the other side given more room.
 */
#ifndef GWL_TCP_H
#define GWL_TCP_H

#include "stream.h"

struct pbuf;
struct tcp_pcb;

/* What went over the wire, as TCP payload; for people and tests. */
struct gwl_tcp_count {
    uint32_t connections, sent, received;
};

/* Opaque but for `stream` and `count`. Must not move, and outlives lwIP's use of it: close() does not end a lookup. */
struct gwl_tcp {
    struct gwc_stream stream; /* ready after gwl_tcp_init */
    struct gwl_tcp_count count;
    uint32_t (*host)(void *ctx, struct gw_span name);
    void *ctx;
    struct tcp_pcb *pcb;      /* NULL: none */
    struct pbuf *in;          /* received, not read yet */
    uint16_t in_at;           /* bytes of the first of them that were read */
    uint8_t state;
    bool ended;               /* the other side has closed */
    uint32_t address;         /* of the host; 0: not known yet */
    char name[GWC_HOST_MAX + 1]; /* that is being looked up, or was last */
};

/* `host`: the address of a name that the product knows, 0: ask the name server. May be NULL. */
void gwl_tcp_init(struct gwl_tcp *t, uint32_t (*host)(void *ctx, struct gw_span name), void *ctx);

#endif
