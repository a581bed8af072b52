/*
 * fetch.h - the agent's transport (godwit/transport.h) over http.h and tls.h: what boards use. SPEC.md, section 16.
 *
 * One connection for the offer and all ranges; another host only if the trust bundle lists it.
 */
#ifndef GWC_FETCH_H
#define GWC_FETCH_H

#include "godwit/transport.h"
#include "http.h"
#include "tls.h"
#include "url.h"

#define GWC_HOSTS_MAX 4u

struct gwc_fetch_config {
    const struct gwc_stream *stream; /* TLS */
    struct gwc_tls *tls;             /* the same, for trust; NULL: `stream` is not TLS (tests of HTTP alone) */
    const char *server;              /* "https://updates.example.com/fleet" */
    const char *offer_path;          /* below the server's path: "offers/<class id>" or "device/v1/offer" */
    const char *report_path;         /* "device/v1/report"; NULL: reports are not sent */
    uint32_t timeout_ms;             /* without a byte; 0: 30 s */
    uint32_t (*now_ms)(void *ctx);
    void *ctx;
};

struct gwc_fetch {
    const struct gwc_fetch_config *config;
    struct gwc_http http;
    struct gwc_url server;
    /* ... the helper that writes fetch.c completes this */
};
GW_MUST_USE int gwc_fetch_init(struct gwc_fetch *f, const struct gwc_fetch_config *config, struct gw_transport *t);

#endif
