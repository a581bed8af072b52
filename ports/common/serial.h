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
 * does more than one unit of work (an erase or a write), so that the watchdog can be fed between. Knows no device:
 * bytes come in by a call and leave by `put`. Has no clock: a host that goes away leaves an install that the next one
 * continues.
 */
#ifndef GWC_SERIAL_H
#define GWC_SERIAL_H

#include "godwit/install.h"

#define GWC_SERIAL_VERSION 1u
#define GWC_PACKET_DATA 512u                    /* most bytes of an offer or payload in one packet */
#define GWC_PACKET_MAX (2u + 4u + GWC_PACKET_DATA + 4u) /* type, number, offset, data, CRC-32; without escapes */
/* An offer with everything in it; a device may take less. */
#define GWC_OFFER_MAX (GW_MANIFEST_MAX + GW_TRUST_MAX + 2048u)

/* Packets; requests of the host, and what the device answers. */
enum gwc_packet {
    GWC_HELLO = 0x01,   /* version u8                           -> STATUS */
    GWC_OFFER = 0x02,   /* size of the offer u32                -> WANT, REFUSED */
    GWC_DATA = 0x03,    /* offset u32, bytes                    -> WANT, DONE, REFUSED */
    GWC_END = 0x04,     /* the source ends here                 -> REFUSED */
    GWC_ABORT = 0x05,   /* 1 byte: 1 = forget what was fetched  -> STATUS */
    GWC_RESTART = 0x06, /*                                      -> STATUS, then the device restarts */
    GWC_STATUS = 0x81,  /* CBOR map, SPEC.md */
    GWC_WANT = 0x82,    /* 0 offer, 1 payload u8; name 32; offset u32; longest u32; done u32; total u32 */
    GWC_DONE = 0x83,    /* epoch u32, sequence u32: STAGED; or 0, 0: a trust bundle alone was taken */
    GWC_REFUSED = 0x84, /* reason u8 */
};

struct gwc_serial_config {
    const struct gw_device *dev;
    const struct gw_handover *boot; /* how this run began */
    uint8_t *offer;                 /* holds the offer while an install runs */
    size_t offer_size;              /* at least GW_MANIFEST_MAX + 64; up to GWC_OFFER_MAX is of use */
    uint8_t *buffer;                /* for the installer, see struct gw_install_config */
    size_t buffer_size;
    uint32_t (*now)(void *ctx);     /* seconds since 1970, 0: not known. May be NULL */
    void (*put)(void *ctx, const uint8_t *bytes, size_t n); /* sends, or queues to be sent, all of it */
    void (*restart)(void *ctx);     /* asked for by the host; called by gwc_serial_step() after the answer was put */
    /* An install began (GW_MORE), ended (GW_DONE), failed (< 0). May be NULL. */
    void (*on_event)(void *ctx, int status);
    void *ctx;
};

/* Opaque. */
struct gwc_serial {
    const struct gwc_serial_config *config;
    struct gw_install inst;
    struct gw_install_config install;
    uint8_t packet[GWC_PACKET_MAX];
    uint32_t held;      /* bytes of the packet so far */
    uint32_t offer_at;  /* bytes of the offer that came */
    uint32_t offer_n;   /* its size */
    uint32_t data_at, data_n; /* bytes of the packet that are not pushed yet */
    uint8_t state;
    uint8_t number;     /* of the request that is being answered */
    uint8_t inside;     /* in a packet */
    uint8_t escaped;
    uint8_t lost;       /* this packet is too long or malformed */
    uint8_t restart;
    int error;
};

/* GW_ERR_CONFIG when something is missing. Nothing is read or written. */
GW_MUST_USE int gwc_serial_init(struct gwc_serial *s, const struct gwc_serial_config *config);

/* A byte from the line. True: it was part of a packet; false: text for the console. Does no work but a step's. */
bool gwc_serial_byte(struct gwc_serial *s, uint8_t byte);

/* One unit of work: GW_MORE: call again; GW_WANT: nothing to do until a byte comes. Errors are told to the host. */
int gwc_serial_step(struct gwc_serial *s);

#endif
