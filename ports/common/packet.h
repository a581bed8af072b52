/*
 * packet.h - packets on a line that is shared with a console (SPEC.md, section 14): both sides of it.
 *
 *    c0 , escaped( type u8 , number u8 , body , CRC-32 u32 of all before ) , c0
 *
 * Keeps true: a packet that is handed out has a right CRC-32 and at most GWC_PACKET_MAX bytes; whatever came before,
 * the packet after the next c0 is read right. Does not look into bodies.
 */
#ifndef GWC_PACKET_H
#define GWC_PACKET_H

#include "godwit/godwit.h"

#define GWC_PACKET_DATA 512u /* most bytes of an offer or payload in one packet */
/* Type, number, offset, data, CRC-32; without escapes. */
#define GWC_PACKET_MAX (2u + 4u + GWC_PACKET_DATA + 4u)

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
#define GWC_WANT_SIZE (1u + GW_DIGEST_SIZE + 16u) /* body of a WANT */

/* Takes the line apart. All-zero is a valid start. `packet` and `n` may be read while `full`; the rest is opaque. */
struct gwc_reader {
    uint8_t packet[GWC_PACKET_MAX]; /* type, number, body; then the CRC-32 */
    uint32_t n;                     /* of type, number and body */
    uint8_t state;
    uint8_t escaped;
    uint8_t lost; /* this packet is too long, malformed, or came while one was full */
    uint8_t full; /* a packet is here; what comes is dropped until the owner sets it to 0 */
};

/*
 * A byte from the line. True: it was part of a packet, or a c0; false: text for the console. A packet is complete when
 * `full` becomes 1.
 */
bool gwc_reader_byte(struct gwc_reader *r, uint8_t byte);

/* Sends a packet through `put`, in pieces. n: at most GWC_PACKET_DATA + 4. */
void gwc_packet_put(void (*put)(void *ctx, const uint8_t *bytes, size_t n), void *ctx, uint8_t type, uint8_t number,
                    const uint8_t *body, size_t n);

#endif
