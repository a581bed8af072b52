/*
 * hostline.h - the other end of a device's serial line, for tests: asks, repeats, answers what is wanted from a release
 * in memory; and a line between them that loses, repeats and alters packets as told. Needs no clock: the device has
 * answered when its steps are done, or the packet was lost.
 */
#ifndef TEST_HOSTLINE_H
#define TEST_HOSTLINE_H

#include "device.h"
#include "serial.h"

enum hostline_fault {
    FAULT_NONE,
    FAULT_LOSE_REQUEST,
    FAULT_LOSE_ANSWER,
    FAULT_ALTER_REQUEST,
    FAULT_ALTER_ANSWER,
    FAULT_REPEAT_REQUEST, /* the device gets it twice in a row */
    FAULT_NO_END,         /* the c0 at the end of the request is lost */
    FAULT_NO_BEGIN,
    FAULT_FALSE_END,      /* a c0 from nowhere before the request */
    FAULT_COUNT
};

struct hostline {
    struct gwc_serial serial;
    struct gwc_serial_config config;
    struct gw_handover boot;
    uint8_t *offer_room, *buffer; /* heap, of exactly the configured size */
    const struct simdev_release *release;
    struct gwh_buf offer;         /* what is offered, encoded */

    enum hostline_fault fault;
    unsigned fault_at;            /* number of the request that it happens to, from 1 */
    const char *chatter;          /* console text before and after every packet, both ways; may be NULL */

    unsigned requests;            /* sent, each repetition counted */
    unsigned steps, most_ops;     /* of the device; flash operations in its busiest step */
    unsigned restarts;
    int event[8];
    unsigned events;
    uint8_t number;
    struct gwc_reader reader;     /* of the host */
    uint8_t answer[GWC_PACKET_MAX];
    uint32_t answer_n;
    unsigned answers;             /* whole ones that arrived */
    char console[256], terminal[256]; /* text that the device, and the host, got */
    size_t console_n, terminal_n;
    struct simdev *device;
};

/* A line to a mounted device that runs as `boot` says. All-zero `h` first; again after a restart of the device. */
void hostline_open(struct hostline *h, struct simdev *d, size_t offer_size);
void hostline_close(struct hostline *h);
/* The offer with what is not NULL. */
void hostline_offer(struct hostline *h, const struct simdev_release *r, const struct gwh_buf *trust);

/* Bytes as they are, to the device; then its steps. */
void hostline_raw(struct hostline *h, const void *bytes, size_t n);
/* One request, repeated until it is answered; the type of the answer, which is in `answer` (type, number, body). */
uint8_t hostline_ask(struct hostline *h, uint8_t type, const void *body, size_t n);
/* OFFER, then the offer itself: the first answer that is not a WANT for it. */
uint8_t hostline_begin(struct hostline *h);
/* Answers what is wanted until it is no payload, or `packets` DATA were answered (0: no end); `piece` bytes at most. */
uint8_t hostline_go_on(struct hostline *h, unsigned packets, uint32_t piece);
/* Fields of the last answer. */
uint32_t hostline_u32(const struct hostline *h, unsigned at); /* in the body */
int hostline_reason(const struct hostline *h);                /* REFUSED: as a GW_ERR_*; 0: another answer */

#endif
