/*
 * net.h - lwIP on one Ethernet card, without an operating system: address, names, and the one call that makes it go.
 *
 * A board brings three functions (frames out, random numbers, a clock) and gives frames in. Addresses are fixed or come
 * by DHCP; names are those that the product knows (`host`), or the name server's. IPv4 alone. One instance, as lwIP is.
 */
#ifndef GWL_NET_H
#define GWL_NET_H

#include "godwit/godwit.h"

#define GWL_FRAME_MAX 1514u /* bytes of an Ethernet frame, without its checksum */

struct gwl_net_config {
    uint8_t mac[6];
    uint32_t address, mask, gateway; /* 10.0.2.15 is 0x0a00020f; address 0: DHCP */
    uint32_t name_server;            /* 0: none, or DHCP's */
    /* Room for a frame to send, GWL_FRAME_MAX bytes; NULL: none just now, the frame is lost. Then the frame. */
    uint8_t *(*frame)(void *ctx);
    void (*send)(void *ctx, uint8_t *frame, uint32_t n);
    /* The address of a name that the product knows, 0: it does not. May be NULL. */
    uint32_t (*host)(void *ctx, struct gw_span name);
    uint32_t (*random)(void *ctx);   /* unpredictable: port numbers, sequence numbers, DNS ids */
    uint32_t (*now_ms)(void *ctx);
    void *ctx;
};

/* Starts lwIP, once. The config is kept. GW_ERR_CONFIG: something is missing. */
GW_MUST_USE int gwl_net_start(const struct gwl_net_config *config);
/* A frame came. Too long, or no memory: it is dropped. Its bytes are copied. */
void gwl_net_receive(const uint8_t *frame, uint32_t n);
/* lwIP's timers. Returns when to call again at the latest, ms. */
uint32_t gwl_net_step(void);
/* The address that is in use; 0: none yet. */
uint32_t gwl_net_address(void);

/* Most of lwIP's memory that was in use at once, for people. */
struct gwl_net_peak {
    uint32_t heap, heap_size;  /* bytes */
    uint32_t pbufs, pbuf_count; /* of the pool that frames come into */
    uint32_t refused;          /* allocations that failed, of all kinds */
};
void gwl_net_peak(struct gwl_net_peak *peak); /* after gwl_net_start(): before, lwIP has no pools */

#endif
