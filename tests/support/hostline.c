/*
 * hostline.c - see hostline.h.
 */
#include "hostline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

#define TRIES 5u
#define RAW_MAX (2u * GWC_PACKET_MAX + 8u)

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "hostline: %s\n", what);
        abort();
    }
}

/* ---- The device's side ------------------------------------------------------------------------------------------- */

static void take_text(char *text, size_t *n, uint8_t byte)
{
    if (*n < 255) {
        text[(*n)++] = (char)byte;
        text[*n] = '\0';
    }
}

static void to_host(struct hostline *h, uint8_t byte)
{
    if (!gwc_reader_byte(&h->reader, byte)) {
        take_text(h->terminal, &h->terminal_n, byte);
    }
    if (h->reader.full) {
        memcpy(h->answer, h->reader.packet, h->reader.n);
        h->answer_n = h->reader.n;
        h->answers++;
        h->reader.full = 0;
    }
}

static void put(void *ctx, const uint8_t *bytes, size_t n)
{
    struct hostline *h = ctx;
    bool hit = h->requests == h->fault_at;

    if (hit && h->fault == FAULT_LOSE_ANSWER) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        to_host(h, (uint8_t)(bytes[i] ^ (hit && h->fault == FAULT_ALTER_ANSWER && i == n - 2 ? 0x10 : 0)));
    }
}

static void restart(void *ctx)
{
    ((struct hostline *)ctx)->restarts++;
}

static void on_event(void *ctx, int status)
{
    struct hostline *h = ctx;

    if (h->events < sizeof h->event / sizeof h->event[0]) {
        h->event[h->events++] = status;
    }
}

void hostline_open(struct hostline *h, struct simdev *d, size_t offer_size)
{
    free(h->offer_room);
    free(h->buffer);
    h->device = d;
    h->offer_room = malloc(offer_size);
    h->buffer = malloc(GWC_BUFFER_MIN);
    h->config = (struct gwc_serial_config){
        .dev = &d->dev, .boot = &h->boot, .offer = h->offer_room, .offer_size = offer_size, .buffer = h->buffer,
        .buffer_size = GWC_BUFFER_MIN, .put = put, .restart = restart, .on_event = on_event, .ctx = h,
    };
    must(gwc_serial_init(&h->serial, &h->config) == GW_OK, "init");
    memset(&h->reader, 0, sizeof h->reader);
}

void hostline_close(struct hostline *h)
{
    free(h->offer_room);
    free(h->buffer);
    gwh_buf_free(&h->offer);
    memset(h, 0, sizeof *h);
}

void hostline_offer(struct hostline *h, const struct simdev_release *r, const struct gwh_buf *trust)
{
    struct gw_offer o = { .manifest = { 0 } };

    if (r != NULL) {
        h->release = r;
        o.manifest = gwh_span(&r->manifest);
        o.grant_count = r->grant.n != 0;
        o.grant[0] = gwh_span(&r->grant);
    }
    if (trust != NULL) {
        o.trust = gwh_span(trust);
    }
    gwh_buf_free(&h->offer);
    must(gwh_offer(&h->offer, &o) == GW_OK, "offer");
}

/* ---- The line ---------------------------------------------------------------------------------------------------- */

static void steps(struct hostline *h)
{
    unsigned limit = 100000;
    int status = GW_MORE;

    while (status == GW_MORE && limit-- > 0) {
        uint32_t ops = h->device->sim.ops;
        status = gwc_serial_step(&h->serial);
        ops = h->device->sim.ops - ops;
        h->most_ops = ops > h->most_ops ? ops : h->most_ops;
        h->steps++;
    }
    must(status == GW_WANT, "a step says neither MORE nor WANT");
}

static void to_device(struct hostline *h, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!gwc_serial_byte(&h->serial, bytes[i])) {
            take_text(h->console, &h->console_n, bytes[i]);
        }
    }
}

void hostline_raw(struct hostline *h, const void *bytes, size_t n)
{
    uint8_t *exact = malloc(n != 0 ? n : 1);

    memcpy(exact, bytes, n);
    to_device(h, exact, n);
    free(exact);
    steps(h);
}

/* A packet as bytes. */
struct raw {
    uint8_t p[RAW_MAX];
    size_t n;
};

static void collect(void *ctx, const uint8_t *bytes, size_t n)
{
    struct raw *raw = ctx;

    must(raw->n + n <= sizeof raw->p, "a packet is longer than it can be");
    memcpy(raw->p + raw->n, bytes, n);
    raw->n += n;
}

static void deliver(struct hostline *h, struct raw *raw)
{
    enum hostline_fault fault = h->requests == h->fault_at ? h->fault : FAULT_NONE;

    if (fault == FAULT_ALTER_REQUEST) {
        raw->p[raw->n / 2] ^= 0x04;
    } else if (fault == FAULT_NO_END) {
        raw->n--;
    } else if (fault == FAULT_FALSE_END) {
        to_device(h, (const uint8_t *)"\xc0", 1);
    }
    size_t from = fault == FAULT_NO_BEGIN;
    if (fault != FAULT_LOSE_REQUEST) {
        to_device(h, raw->p + from, raw->n - from);
    }
    if (fault == FAULT_REPEAT_REQUEST) {
        steps(h);
        to_device(h, raw->p, raw->n);
    }
}

static void chatter(struct hostline *h)
{
    if (h->chatter != NULL) {
        to_device(h, (const uint8_t *)h->chatter, strlen(h->chatter));
        for (const char *c = h->chatter; *c != '\0'; c++) {
            to_host(h, (uint8_t)*c);
        }
    }
}

uint8_t hostline_ask(struct hostline *h, uint8_t type, const void *body, size_t n)
{
    h->number++;
    for (unsigned try = 0; try < TRIES; try++) {
        struct raw raw = { .n = 0 };
        unsigned answers = h->answers;
        gwc_packet_put(collect, &raw, type, h->number, body, n);
        h->requests++;
        chatter(h);
        deliver(h, &raw);
        steps(h);
        chatter(h);
        if (h->answers > answers && h->answer[1] == h->number) {
            return h->answer[0];
        }
    }
    return 0;
}

/* ---- The host's side --------------------------------------------------------------------------------------------- */

uint32_t hostline_u32(const struct hostline *h, unsigned at)
{
    must(2 + at + 4 <= h->answer_n, "an answer is too short");
    return gw_get32(h->answer + 2 + at);
}

int hostline_reason(const struct hostline *h)
{
    return h->answer[0] == GWC_REFUSED && h->answer_n == 3 ? -(int)h->answer[2] : 0;
}

static uint8_t send_data(struct hostline *h, struct gw_span source, uint32_t at, uint32_t n)
{
    uint8_t body[4 + GWC_PACKET_DATA];

    must(n <= GWC_PACKET_DATA && at <= source.n && n <= source.n - at, "more is wanted than there is");
    gw_put32(body, at);
    memcpy(body + 4, source.p + at, n);
    return hostline_ask(h, GWC_DATA, body, 4 + n);
}

uint8_t hostline_begin(struct hostline *h)
{
    uint8_t size[4];

    gw_put32(size, (uint32_t)h->offer.n);
    uint8_t type = hostline_ask(h, GWC_OFFER, size, sizeof size);
    while (type == GWC_WANT && h->answer[2] == 0) {
        uint32_t longest = hostline_u32(h, 37);
        type = send_data(h, gwh_span(&h->offer), hostline_u32(h, 33),
                         longest < GWC_PACKET_DATA ? longest : GWC_PACKET_DATA);
    }
    return type;
}

static struct gw_span wanted_file(const struct hostline *h)
{
    unsigned i = memcmp(h->answer + 3, h->release->name[1], 32) == 0;

    must(memcmp(h->answer + 3, h->release->name[i], 32) == 0, "a payload is wanted that is not in the release");
    return gwh_span(&h->release->file[i]);
}

uint8_t hostline_go_on(struct hostline *h, unsigned packets, uint32_t piece)
{
    uint8_t type = h->answer[0];

    for (unsigned i = 0; type == GWC_WANT && h->answer[2] == 1 && (packets == 0 || i < packets); i++) {
        uint32_t longest = hostline_u32(h, 37);
        must(i < 100000, "an install without end");
        type = send_data(h, wanted_file(h), hostline_u32(h, 33), longest < piece ? longest : piece);
    }
    return type;
}
