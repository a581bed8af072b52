/*
 * fetch.h - the agent's transport (godwit/transport.h) over http.h and a TLS layer: what boards use (SPEC.md,
 * section 16).
 *
 * One connection for the offer and all ranges; another host only if the trust bundle lists it, and our certificate is
 * never shown to it. A connection that was kept and that the server closed meanwhile is made anew once, without a
 * word, for GETs. Each look (trust) begins with a connection of its own, made by what is trusted then.
 */
#ifndef GWC_FETCH_H
#define GWC_FETCH_H

#include "godwit/transport.h"
#include "http.h"
#include "trusted.h"
#include "url.h"

#define GWC_HOSTS_SIZE 512u      /* bytes of its list of hosts, encoded; more are GW_ERR_LIMIT */
#define GWC_REDIRECTS_MAX 3u     /* of one request */
#define GWC_FETCH_TIMEOUT_MS 30000u

struct gwc_fetch_config {
    const struct gwc_secure *secure; /* TLS (ports/tls) */
    const char *server;              /* "https://updates.example.com/fleet" */
    const char *offer_path;          /* below the server's path: "offers/<class id>" or "device/v1/offer" */
    const char *report_path;         /* "device/v1/report"; NULL: reports are not sent */
    uint32_t timeout_ms;             /* to connect, and without a byte; 0: GWC_FETCH_TIMEOUT_MS */
    uint32_t (*now_ms)(void *ctx);   /* any clock that goes on, modulo 2^32 */
    void *ctx;
};

/* An entity tag; n 0: none. */
struct gwc_etag {
    uint8_t n;
    uint8_t text[GWC_HTTP_ETAG];
};

/* A transport. Opaque. */
struct gwc_fetch {
    const struct gwc_fetch_config *config;
    struct gwc_http http;
    struct gwc_url server;               /* views into config->server */
    bool waiting;                        /* the last call was in vain */
    uint32_t since;                      /* since when they are */
    uint32_t bytes;                      /* http.bytes then */
    uint8_t phase;                       /* of the request that is open */
    uint8_t resource;                    /* which that is: enum gw_resource, or a report */
    uint8_t redirects;                   /* followed for it */
    bool retried, reused;                /* its connection: was made anew; was kept from before */
    bool conditional;                    /* If-None-Match was sent */
    bool nothing;                        /* the answer is that there is nothing */
    bool connected, anonymous;           /* the connection that is kept; it is unchecked */
    uint32_t left;                       /* of the body that is of use */
    uint8_t host[GWC_HOST_MAX];          /* that it is with */
    uint8_t host_n;
    uint16_t port;
    struct gwc_etag offer_etag;          /* of the offer that was read last */
    struct gwc_etag payload_etag;        /* of this payload's earlier ranges */
    uint8_t payload[GW_DIGEST_SIZE];
    bool ranged;                         /* it had some */
    bool moved;                          /* it was redirected to what `target` holds */
    uint8_t target[GWC_TARGET_MAX];      /* of the last redirect; http writes it */
    uint16_t target_n;
    uint8_t hosts[GWC_HOSTS_SIZE];       /* trust->hosts */
    uint16_t hosts_n;
};
/* GW_ERR_CONFIG: a field is missing; GW_ERR_VALUE: the server is no URL, or a path begins with a slash, or has more
 * than 128 bytes. The config is kept; a change of the server needs a new init, after gwc_fetch_end(). */
GW_MUST_USE int gwc_fetch_init(struct gwc_fetch *f, const struct gwc_fetch_config *config, struct gw_transport *t);
/* Closes what is open. */
void gwc_fetch_end(struct gwc_fetch *f);

#endif
