/*
 * agent.h - a device that updates itself: looks, fetches, installs, confirms, reports.
 *
 * The interface is settled here; the agent itself joins with the network. Until then products drive install.h.
 */
#ifndef GODWIT_AGENT_H
#define GODWIT_AGENT_H

#include "godwit/install.h"
#include "godwit/transport.h"

/* What on_event tells; reason and numbers by event. */
enum gw_event {
    GW_EVENT_LOOK = 1,     /* a look begins */
    GW_EVENT_OFFER = 2,    /* a release was offered: a = epoch, b = sequence */
    GW_EVENT_PLAN = 3,     /* it suits: a = bytes to fetch */
    GW_EVENT_PROGRESS = 4, /* a = bytes done, b = bytes in all */
    GW_EVENT_STAGED = 5,   /* restart to try it */
    GW_EVENT_FAILED = 6,   /* reason says why */
    GW_EVENT_TRIED = 7,    /* the image on trial was confirmed (reason 0) or left */
};

struct gw_agent_config {
    struct gw_install_config install;
    const struct gw_transport *transport;
    uint8_t *offer;               /* buffer for an offer */
    size_t offer_size;
    uint32_t look_interval_s;     /* between looks; 0: 24 h */
    uint32_t bytes_per_day;       /* budget; 0: none */
    /* Vetoes: return false to decline for now. May be NULL: agreed. */
    bool (*may_fetch)(void *ctx, uint32_t bytes);
    bool (*may_restart)(void *ctx);
    /* The new image's own check: 0 if it is well. May be NULL. */
    int (*self_test)(void *ctx);
    void (*restart)(void *ctx);
    void (*on_event)(void *ctx, enum gw_event event, int reason, uint32_t a, uint32_t b);
    void *ctx;
};

struct gw_agent;

#endif
