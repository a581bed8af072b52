/*
 * serial.c - the device's side of the serial line: requests in, units of work, answers out. See serial.h.
 *
 * A request becomes work in begin(); work() does one unit of it at a time; when none is left the answer says where
 * things stand. So a request that comes twice is safe: what it asked for is done, and the state is told again.
 * What stays here is only the offer and where it stands; the installer keeps the rest, on flash.
 */
#include "serial.h"

#include <string.h>

#include "cbor.h"
#include "slots.h"

enum serial_state {
    ST_IDLE = 0, /* nothing was offered, or the last install was given up by the host */
    ST_OFFER,    /* the offer is coming in */
    ST_LOOK,     /* it is here: bundle first */
    ST_OPEN,     /* then the manifest */
    ST_INSTALL,
    ST_DONE,
    ST_REFUSED,
};

#define HEAD 2u    /* type and number, before the body */
#define OFFSET 4u  /* before the bytes of DATA */
#define STATUS_MAX 192u

int gwc_serial_init(struct gwc_serial *s, const struct gwc_serial_config *c)
{
    memset(s, 0, sizeof *s);
    s->config = c;
    bool whole = c->dev != NULL && c->boot != NULL && c->offer != NULL && c->buffer != NULL && c->put != NULL &&
                 c->restart != NULL;
    return whole && c->offer_size >= GWC_OFFER_MIN && c->buffer_size >= GWC_BUFFER_MIN ? GW_OK : GW_ERR_CONFIG;
}

static void tell(const struct gwc_serial *s, int status)
{
    if (s->config->on_event != NULL) {
        s->config->on_event(s->config->ctx, status);
    }
}

/* Ends an install that runs; what was fetched is kept, unless `forget`. */
static int leave(struct gwc_serial *s, bool forget)
{
    bool runs = s->state == ST_INSTALL;

    s->state = ST_IDLE;
    return runs ? gw_install_abort(&s->inst, forget) : GW_OK;
}

static void refuse(struct gwc_serial *s, int error)
{
    (void)leave(s, false); /* if that fails too, the first reason is the better one */
    s->state = ST_REFUSED;
    s->error = error;
    s->data_n = 0;
    tell(s, error);
}

/* ---- Answers -------------------------------------------------------------------------------------------------- */

static void put(const struct gwc_serial *s, uint8_t type, const uint8_t *body, size_t n)
{
    gwc_packet_put(s->config->put, s->config->ctx, type, s->number, body, n);
}

static void put_want(struct gwc_serial *s)
{
    uint8_t body[GWC_WANT_SIZE] = { s->state == ST_INSTALL };
    struct gw_want want = { .offset = s->offer_at, .longest = s->offer_n - s->offer_at };
    struct gw_progress progress = { 0 };

    if (s->state == ST_INSTALL) {
        gw_install_progress(&s->inst, &progress);
        want.longest = gw_install_want(&s->inst, &want) == GW_OK ? want.longest : 0;
    }
    memcpy(body + 1, want.payload, GW_DIGEST_SIZE);
    gw_put32(body + 33, want.offset);
    gw_put32(body + 37, want.longest);
    gw_put32(body + 41, progress.done);
    gw_put32(body + 45, progress.total);
    put(s, GWC_WANT, body, sizeof body);
}

static void put_done(const struct gwc_serial *s)
{
    uint8_t body[8];

    gw_put32(body, s->staged.epoch);
    gw_put32(body + 4, s->staged.sequence);
    put(s, GWC_DONE, body, sizeof body);
}

static void put_refused(const struct gwc_serial *s, int error)
{
    uint8_t reason = (uint8_t)-error;

    put(s, GWC_REFUSED, &reason, 1);
}

/* The release in the slot that runs; 0, 0: none. */
static struct gw_order running_order(const struct gwc_serial *s)
{
    struct gw_boot_state state;
    struct gw_order none = { 0, 0 };
    unsigned slot = s->config->boot->slot;

    return slot <= GW_SLOT_B && gw_device_state(s->config->dev, &state) == GW_OK ? state.slot[slot].order : none;
}

static void pair(struct gw_cborw *w, uint32_t key, uint32_t value)
{
    gw_cborw_uint(w, key);
    gw_cborw_uint(w, value);
}

static void put_status(const struct gwc_serial *s)
{
    const struct gw_handover *boot = s->config->boot;
    struct gw_order order = running_order(s);
    uint8_t body[STATUS_MAX];
    struct gw_cborw w;

    gw_cborw_init(&w, body, sizeof body);
    gw_cborw_map(&w, 13);
    pair(&w, 1, GWC_SERIAL_VERSION);
    gw_cborw_uint(&w, 2);
    gw_cborw_text(&w, (const char *)s->id.device_id, s->id.device_id_size);
    gw_cborw_uint(&w, 3);
    gw_cborw_bytes(&w, s->id.vendor, GW_UUID_SIZE);
    gw_cborw_uint(&w, 4);
    gw_cborw_bytes(&w, s->id.class_id, GW_UUID_SIZE);
    pair(&w, 5, boot->slot);
    pair(&w, 6, boot->state);
    gw_cborw_uint(&w, 7);
    gw_cborw_array(&w, 2);
    gw_cborw_uint(&w, order.epoch);
    gw_cborw_uint(&w, order.sequence);
    pair(&w, 8, boot->cause);
    pair(&w, 9, boot->reason);
    pair(&w, 10, boot->recovery != 0);
    pair(&w, 11, boot->bootloader);
    pair(&w, 12, (uint32_t)s->config->offer_size);
    pair(&w, 13, s->id.hardware);
    put(s, GWC_STATUS, body, w.at);
}

/* Where things stand, in the words that the request asks for. */
static void answer(struct gwc_serial *s)
{
    bool status = s->request == GWC_HELLO || s->request == GWC_ABORT || s->request == GWC_RESTART;

    if (status && s->known) {
        put_status(s);
    } else if (status || s->state == ST_REFUSED) {
        put_refused(s, s->error);
    } else if (s->state == ST_IDLE) {
        put_refused(s, GW_ERR_STATE);
    } else if (s->state == ST_DONE) {
        put_done(s);
    } else {
        put_want(s);
    }
    s->busy = 0;
    s->greeted = 1;
}

/* ---- Requests ------------------------------------------------------------------------------------------------- */

/* Reads the identity once, while the buffer is free. */
static void know(struct gwc_serial *s)
{
    struct gw_roots roots;
    struct gw_span bytes;

    if (s->known || s->state == ST_INSTALL) {
        return;
    }
    s->error = gw_identity_load(s->config->dev, s->config->buffer, &s->id, &roots, &bytes);
    s->known = s->error == GW_OK;
    gw_wipe(s->config->buffer, GW_IDENTITY_MAX); /* the identity holds secrets */
}

static void begin_offer(struct gwc_serial *s, uint32_t size)
{
    (void)leave(s, false);
    s->offer_at = 0;
    s->offer_n = size;
    if (size == 0 || size > s->config->offer_size) {
        refuse(s, size == 0 ? GW_ERR_TRUNCATED : GW_ERR_LIMIT);
        return;
    }
    s->state = ST_OFFER;
}

static void begin_data(struct gwc_serial *s, const uint8_t *body, uint32_t n)
{
    s->data_at = gw_get32(body);
    s->data_n = n - OFFSET;
    if (s->state != ST_OFFER) {
        return; /* work() pushes it */
    }
    uint32_t rest = s->offer_n - s->offer_at;
    if (s->data_at == s->offer_at) {
        rest = s->data_n < rest ? s->data_n : rest;
        memcpy(s->config->offer + s->offer_at, body + OFFSET, rest);
        s->offer_at += rest;
    }
    s->data_n = 0;
    s->state = s->offer_at == s->offer_n ? ST_LOOK : ST_OFFER;
}

static void begin_end(struct gwc_serial *s)
{
    if (s->state == ST_OFFER) {
        refuse(s, GW_ERR_TRUNCATED);
    } else if (s->state == ST_INSTALL) {
        int err = gw_install_end(&s->inst);
        refuse(s, err != GW_OK ? err : GW_ERR_PAYLOAD_SHORT);
    }
}

static void begin_abort(struct gwc_serial *s, bool forget)
{
    bool runs = s->state == ST_INSTALL;
    int err = leave(s, forget);

    if (runs) {
        tell(s, err == GW_OK ? GW_ERR_VETO : err);
    }
}

/* Not as the first request of a run: a request that was repeated must not restart the device twice. */
static void begin_restart(struct gwc_serial *s)
{
    if (s->greeted) {
        begin_abort(s, false);
        s->restart = 1;
    }
}

/* Bytes of a body that a request may have: from, to. None for what is no request. */
static bool well_formed(uint8_t type, uint32_t n)
{
    static const struct {
        uint16_t least, most;
    } size[] = {
        [GWC_HELLO] = { 1, 1 }, [GWC_OFFER] = { 4, 4 }, [GWC_DATA] = { OFFSET, OFFSET + GWC_PACKET_DATA },
        [GWC_END] = { 0, 0 },   [GWC_ABORT] = { 1, 1 }, [GWC_RESTART] = { 0, 0 },
    };

    return type >= GWC_HELLO && type <= GWC_RESTART && n >= size[type].least && n <= size[type].most;
}

static void act(struct gwc_serial *s, const uint8_t *body, uint32_t n)
{
    switch (s->request) {
    case GWC_OFFER: begin_offer(s, gw_get32(body)); break;
    case GWC_DATA: begin_data(s, body, n); break;
    case GWC_END: begin_end(s); break;
    case GWC_ABORT: begin_abort(s, body[0] == 1); break;
    case GWC_RESTART: begin_restart(s); break;
    default: break;
    }
}

/* A request is here. One that was answered already is answered again. */
static void begin(struct gwc_serial *s)
{
    const uint8_t *p = s->reader.packet;
    uint32_t n = s->reader.n - HEAD;

    if (!well_formed(p[0], n)) {
        s->reader.full = 0;
        return;
    }
    bool again = s->greeted && p[0] == s->request && p[1] == s->number;
    s->request = p[0];
    s->number = p[1];
    s->busy = 1;
    know(s);
    if (s->request == GWC_HELLO && p[HEAD] != GWC_SERIAL_VERSION) {
        put_refused(s, GW_ERR_VERSION);
        s->busy = 0;
    } else if (!again) {
        act(s, p + HEAD, n);
    }
}

/* ---- Work ----------------------------------------------------------------------------------------------------- */

static int parse_offer(const struct gwc_serial *s, struct gw_offer *offer)
{
    int err = gw_offer_parse(offer, s->config->offer, s->offer_n);

    return err == GW_OK && offer->manifest.n == 0 && offer->trust.n == 0 ? GW_ERR_NOTHING : err;
}

static int look(struct gwc_serial *s)
{
    const struct gwc_serial_config *c = s->config;
    struct gw_offer offer;
    bool pending;

    int err = parse_offer(s, &offer);
    if (err == GW_OK && offer.trust.n != 0) {
        err = gw_trust_update(c->dev, offer.trust.p, offer.trust.n, c->buffer, c->buffer_size, &pending);
        gw_wipe(c->buffer, GWC_BUFFER_MIN);
    }
    if (err != GW_OK && err != GW_DONE) {
        return err;
    }
    s->staged = (struct gw_order){ 0, 0 };
    s->state = offer.manifest.n != 0 ? ST_OPEN : ST_DONE;
    if (s->state == ST_DONE) {
        tell(s, GW_DONE);
    }
    return GW_MORE;
}

static int open_install(struct gwc_serial *s)
{
    const struct gwc_serial_config *c = s->config;
    struct gw_release release;
    struct gw_offer offer;

    int err = parse_offer(s, &offer);
    if (err != GW_OK) {
        return err;
    }
    release = (struct gw_release){ .manifest = offer.manifest, .grant_count = offer.grant_count, .head = offer.head };
    memcpy(release.grant, offer.grant, sizeof release.grant);
    s->install = (struct gw_install_config){ .dev = c->dev, .buffer = c->buffer, .buffer_size = c->buffer_size };
    s->install.decoding = c->decoding;
    s->install.now = c->now != NULL ? c->now(c->ctx) : 0;
    s->install.running = (enum gw_slot)c->boot->slot;
    s->install.recovery = c->boot->recovery != 0 || c->boot->slot > GW_SLOT_B;
    err = gw_install_open(&s->inst, &s->install, &release);
    if (err != GW_OK) {
        return err;
    }
    s->state = ST_INSTALL;
    tell(s, GW_MORE);
    return GW_MORE;
}

/* Bytes of the packet for what is wanted now. GW_WANT: there are none (left). */
static int push(struct gwc_serial *s)
{
    struct gw_want want;
    size_t used = 0;

    if (s->data_n == 0 || gw_install_want(&s->inst, &want) != GW_OK || want.offset != s->data_at) {
        s->data_n = 0;
        return GW_WANT;
    }
    int err = gw_install_push(&s->inst, s->reader.packet + s->reader.n - s->data_n, s->data_n, &used);
    s->data_at += (uint32_t)used;
    s->data_n -= (uint32_t)used;
    return err == GW_OK ? GW_MORE : err;
}

static int go_on(struct gwc_serial *s)
{
    int status = gw_install_poll(&s->inst);

    if (status == GW_WANT) {
        return push(s);
    }
    if (status == GW_ERR_FRAME_HASH && s->inst.error == GW_OK) {
        s->data_n = 0; /* the frame is wanted again */
        return GW_MORE;
    }
    if (status != GW_DONE) {
        return status;
    }
    s->staged = s->inst.manifest.order;
    status = gw_install_finish(&s->inst);
    s->state = status == GW_OK ? ST_DONE : ST_REFUSED; /* the object is wiped either way */
    if (status == GW_OK) {
        tell(s, GW_DONE);
    }
    return status == GW_OK ? GW_WANT : status;
}

/* One unit. GW_WANT: nothing is left to do, answer. */
static int work(struct gwc_serial *s)
{
    switch (s->state) {
    case ST_LOOK: return look(s);
    case ST_OPEN: return open_install(s);
    case ST_INSTALL: return go_on(s);
    default: return GW_WANT;
    }
}

bool gwc_serial_byte(struct gwc_serial *s, uint8_t byte)
{
    return gwc_reader_byte(&s->reader, byte);
}

int gwc_serial_step(struct gwc_serial *s)
{
    if (s->restart && !s->busy) { /* the answer first */
        s->restart = 0;
        s->config->restart(s->config->ctx);
        return GW_WANT;
    }
    if (!s->busy) {
        if (!s->reader.full) {
            return GW_WANT;
        }
        begin(s);
        s->reader.full = s->busy; /* its bytes are in use until the answer */
        return GW_MORE;
    }
    int status = work(s);
    if (status < 0) {
        refuse(s, status);
    }
    if (status != GW_MORE) {
        answer(s);
        s->reader.full = 0;
    }
    return GW_MORE;
}
