/*
 * serial.h - a device takes a release over a serial line, or anything that carries bytes both ways
 * (SPEC.md, section 14).
 *
 * The line is shared with a console for people: a packet stands between two bytes 0xc0, which no UTF-8 text contains.
 * The host asks, the device answers every request with one packet; the device says what it wants next, the host pushes
 * it. Either side may lose or repeat packets: a request is repeated until it is answered.
 *
 *    while (running) {
 *        if (a byte came && !gwc_serial_byte(&s, byte)) the byte belongs to the console;
 *        if (gwc_serial_step(&s) == GW_MORE) go on at once; else wait for a byte;
 *    }
 *
 * Keeps true: every length is bounded by the buffers given; nothing is written to flash but by the installer; no step
 * does more than one unit of work (an erase, a write, or the look at an offer), so that the watchdog can be fed
 * between. Knows no device: bytes come in by a call and leave by `put`. Has no clock: a host that goes away leaves an
 * install that the next one continues.
 */
#ifndef GWC_SERIAL_H
#define GWC_SERIAL_H

#include "godwit/install.h"
#include "packet.h"

#define GWC_SERIAL_VERSION 1u
/* An offer with everything in it; a device may take less. */
#define GWC_OFFER_MAX (GW_MANIFEST_MAX + GW_TRUST_MAX + 2048u)
#define GWC_OFFER_MIN (GW_MANIFEST_MAX + 64u)
/* For the installer and for trust bundles, which need more of it. */
#define GWC_BUFFER_MIN GW_VERIFY_MEMORY

struct gwc_serial_config {
    const struct gw_device *dev;    /* mounted */
    const struct gw_handover *boot; /* how this run began */
    uint8_t *offer;                 /* holds the offer while an install runs */
    size_t offer_size;              /* at least GWC_OFFER_MIN; up to GWC_OFFER_MAX is of use */
    uint8_t *buffer;                /* for the installer, see struct gw_install_config */
    size_t buffer_size;             /* at least GWC_BUFFER_MIN */
    const struct gw_decoding *decoding; /* for encoded payloads; NULL: raw ones alone */
    uint32_t (*now)(void *ctx);     /* seconds since 1970, 0: not known. May be NULL */
    void (*put)(void *ctx, const uint8_t *bytes, size_t n); /* sends, or queues to be sent, all of it */
    void (*restart)(void *ctx);     /* asked for by the host; called by gwc_serial_step() after the answer was put */
    /* An install began (GW_MORE), ended (GW_DONE), failed (< 0; GW_ERR_VETO: the host gave up). May be NULL. */
    void (*on_event)(void *ctx, int status);
    void *ctx;
};

/* Opaque. */
struct gwc_serial {
    const struct gwc_serial_config *config;
    struct gw_install inst;
    struct gw_install_config install;
    struct gw_identity id;
    struct gwc_reader reader;
    struct gw_order staged;   /* DONE: what to answer */
    uint32_t offer_at;        /* bytes of the offer that came */
    uint32_t offer_n;         /* its size */
    uint32_t data_at, data_n; /* bytes of the packet that are not used yet: their offset in the payload, how many */
    uint8_t state;
    uint8_t request;          /* type of the request that is being answered, or was last */
    uint8_t number;           /* its number */
    uint8_t busy;             /* an answer is due */
    uint8_t known;            /* `id` was read */
    uint8_t greeted;          /* a request was answered since the start */
    uint8_t restart;
    int error;                /* REFUSED: why */
};

/* GW_ERR_CONFIG when something is missing or too small. Nothing is read or written. */
GW_MUST_USE int gwc_serial_init(struct gwc_serial *s, const struct gwc_serial_config *config);

/* A byte from the line. True: it was part of a packet; false: text for the console. Does no work: steps do. */
bool gwc_serial_byte(struct gwc_serial *s, uint8_t byte);

/* One unit of work: GW_MORE: call again; GW_WANT: nothing to do until a byte comes. Errors are told to the host. */
int gwc_serial_step(struct gwc_serial *s);

#endif
