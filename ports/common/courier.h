/*
 * courier.h - the agent's transport with reports over a broker (SPEC.md, section 20): a transport over a transport.
 *
 * Keeps true: nothing that comes over MQTT is believed: a notification only makes the agent look over HTTPS. A report
 * counts as delivered when the server has said so on the notify topic (that a broker has it says little: the server may
 * be down); else, after ten seconds, or without a broker, it goes through the transport below as before. Everything but
 * reports always goes through the transport below. Knows no MQTT: a port brings the client.
 */
#ifndef GWC_COURIER_H
#define GWC_COURIER_H

#include "godwit/agent.h"

#define GWC_COURIER_ACK_MS 10000u /* for the server to take a report; then it goes through the transport below */
#define GWC_NOTIFY_MAX 64u        /* longest message of the notify topic */

struct gwc_courier_config {
    const struct gw_transport *below; /* kept; must outlive the courier */
    const struct gw_crypto *crypto;   /* SHA-256 */
    /* Sends a report to the report topic, QoS 1. True: it is on its way; false: there is no broker just now. */
    bool (*publish)(void *ctx, const uint8_t *bytes, size_t n);
    bool (*connected)(void *ctx);     /* to the broker, now */
    void (*wake)(void *ctx);          /* there is something: gw_agent_wake() */
    /* Told, as the transport below is, of what is trusted from now on. 0 or an error. May be NULL. */
    int (*trust)(void *ctx, const struct gw_transport_trust *trust);
    uint32_t (*now_ms)(void *ctx);    /* any clock that goes on, modulo 2^32 */
    void *ctx;
};

/* Opaque. */
struct gwc_courier {
    const struct gwc_courier_config *config;
    uint8_t report[GW_REPORT_MAX]; /* that is on its way, to know it again */
    uint16_t report_n;             /* 0: none */
    char said[16];                 /* what the server says of it: digits of its SHA-256 */
    bool taken, never;             /* the server has it; will never take it */
    bool below;                    /* it goes through the transport below */
    uint32_t sent_ms;
};

/* Fills `over`, the transport for the agent. GW_ERR_CONFIG: something is missing. The config is kept. */
GW_MUST_USE int gwc_courier_init(struct gwc_courier *c, const struct gwc_courier_config *config,
                                 struct gw_transport *over);
/* A message of the notify topic came. Not from interrupts. */
void gwc_courier_message(struct gwc_courier *c, struct gw_span bytes);

#endif
