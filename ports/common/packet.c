/*
 * packet.c - packets to bytes and back; see packet.h.
 *
 * A c0 always ends what was before it and may begin a packet. Text never begins with a byte that a packet's type has,
 * so the byte after a c0 tells them apart: nobody's console is swallowed because a c0 was lost or made up on the way.
 */
#include "packet.h"

#include "store.h"

#define END 0xc0u
#define ESC 0xdbu
#define ESC_END 0xdcu
#define ESC_ESC 0xddu
#define HEAD 2u /* type, number */
#define CRC 4u

enum reading { TEXT = 0, OPEN, INSIDE };

/* Types are control characters that nobody types, or bytes that no UTF-8 text begins with. */
static bool begins_packet(uint8_t byte)
{
    return byte < 0x08 || (byte & 0xc0) == 0x80;
}

/* The packet ends here: is it whole and right? */
static void finish(struct gwc_reader *r)
{
    if (!r->lost && !r->escaped && r->n >= HEAD + CRC &&
        gw_crc32(0, r->packet, r->n - CRC) == gw_get32(r->packet + r->n - CRC)) {
        r->n -= CRC;
        r->full = 1;
    }
}

static void store(struct gwc_reader *r, uint8_t byte)
{
    if (r->escaped) {
        r->lost |= byte != ESC_END && byte != ESC_ESC;
        byte = byte == ESC_END ? END : ESC;
        r->escaped = 0;
    } else if (byte == ESC) {
        r->escaped = 1;
        return;
    }
    if (r->lost || r->n == sizeof r->packet) {
        r->lost = 1;
        return;
    }
    r->packet[r->n++] = byte;
}

bool gwc_reader_byte(struct gwc_reader *r, uint8_t byte)
{
    if (byte == END) {
        if (r->state == INSIDE && !r->full) {
            finish(r);
        }
        r->state = OPEN;
        return true;
    }
    if (r->state == OPEN) {
        r->state = begins_packet(byte) ? INSIDE : TEXT;
        r->escaped = 0;
        r->lost = r->full; /* the one before is still being read */
        r->n = r->full ? r->n : 0;
    }
    if (r->state == INSIDE) {
        store(r, byte);
    }
    return r->state == INSIDE;
}

/* What is on its way out. */
struct sending {
    void (*put)(void *ctx, const uint8_t *bytes, size_t n);
    void *ctx;
    uint8_t piece[64];
    size_t n;
};

static void flush(struct sending *s)
{
    s->put(s->ctx, s->piece, s->n);
    s->n = 0;
}

static void send_bytes(struct sending *s, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool escape = p[i] == END || p[i] == ESC;
        if (escape) {
            s->piece[s->n++] = ESC;
        }
        s->piece[s->n++] = !escape ? p[i] : p[i] == END ? ESC_END : ESC_ESC;
        if (s->n > sizeof s->piece - 3) { /* room for an escape and the end */
            flush(s);
        }
    }
}

void gwc_packet_put(void (*put)(void *ctx, const uint8_t *bytes, size_t n), void *ctx, uint8_t type, uint8_t number,
                    const uint8_t *body, size_t n)
{
    struct sending s = { .put = put, .ctx = ctx, .piece = { END }, .n = 1 };
    const uint8_t head[HEAD] = { type, number };
    uint8_t crc[CRC];

    gw_put32(crc, gw_crc32(gw_crc32(0, head, HEAD), body, n));
    send_bytes(&s, head, HEAD);
    send_bytes(&s, body, n);
    send_bytes(&s, crc, CRC);
    s.piece[s.n++] = END;
    flush(&s);
}
