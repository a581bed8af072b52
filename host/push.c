/*
 * push.c - offers and pushes what the device wants; see push.h.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cbor.h"
#include "push.h"
#include "store.h"

#define HEAD 2u       /* type and number, before the body */
#define NEW_STARTS 3u /* a device that restarts by itself more often than that is not well */

static void tell(const struct gwh_push *p, const char *format, ...) GWH_PRINTF(2, 3);
static void tell(const struct gwh_push *p, const char *format, ...)
{
    char line[300];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (p->tell != NULL) {
        p->tell(p->ctx, line);
    }
}

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

static uint8_t type_of(const struct gwh_line *l)
{
    return l->reader.packet[0];
}

static uint32_t u32_at(const struct gwh_line *l, unsigned at)
{
    return gw_get32(l->reader.packet + HEAD + at);
}

/* Asks; every answer then has the size that its type has. */
static int ask(struct gwh_line *l, uint8_t type, struct gw_span body, struct gwh_error *err)
{
    int e = gwh_line_ask(l, type, body, err);
    uint32_t n = l->reader.n - HEAD;
    if (e == GWH_OK && ((type_of(l) == GWC_WANT && n != GWC_WANT_SIZE) || (type_of(l) == GWC_DONE && n != 8) ||
                        (type_of(l) == GWC_REFUSED && n != 1) || type_of(l) > GWC_REFUSED)) {
        return gwh_fail_reason(err, GW_ERR_FORMAT, "an answer of the device");
    }
    return e;
}

/* REFUSED: the reason as GW_ERR_*; 0: another answer. */
static int refusal(const struct gwh_line *l)
{
    return type_of(l) == GWC_REFUSED ? -(int)l->reader.packet[HEAD] : 0;
}

static int unexpected(const struct gwh_line *l, const char *what, struct gwh_error *err)
{
    if (refusal(l) != 0) {
        return gwh_fail_reason(err, refusal(l), "the device refuses %s", what);
    }
    return gwh_fail_reason(err, GW_ERR_FORMAT, "the device gives no sense for an answer to %s", what);
}

/* ---- Status ------------------------------------------------------------------------------------------------------ */

static void read_field(struct gw_cbor *c, struct gwh_status *s, int64_t key)
{
    uint32_t *const number[14] = {[5] = &s->slot,       [6] = &s->state,    [8] = &s->cause,
                                  [9] = &s->reason,     [10] = &s->recovery, [11] = &s->bootloader,
                                  [12] = &s->largest,   [13] = &s->hardware};
    if (key == 1) {
        (void)gw_cbor_u32(c);
    } else if (key == 2) {
        struct gw_span id = gw_cbor_text(c);
        size_t n = id.n < sizeof s->device_id ? id.n : sizeof s->device_id - 1;
        for (size_t i = 0; i < n; i++) {
            s->device_id[i] = id.p[i] > 0x20 && id.p[i] < 0x7f ? (char)id.p[i] : '?';
        }
    } else if (key == 3 || key == 4) {
        gw_cbor_fixed(c, key == 3 ? s->vendor : s->class_id, GW_UUID_SIZE);
    } else if (key == 7) {
        if (gw_cbor_array(c) != 2) {
            gw_cbor_fail(c, GW_ERR_FORMAT);
        }
        s->order.epoch = gw_cbor_u32(c);
        s->order.sequence = gw_cbor_u32(c);
    } else if (key > 0 && key < 14) {
        *number[key] = gw_cbor_u32(c);
    } else {
        gw_cbor_unknown(c, key);
    }
}

int gwh_push_status(struct gwh_line *l, struct gwh_status *s, struct gwh_error *err)
{
    static const uint8_t version = GWC_SERIAL_VERSION;
    struct gw_cbor c;
    struct gw_cbor_map map;
    int64_t key;
    memset(s, 0, sizeof *s);
    int e = ask(l, GWC_HELLO, (struct gw_span){&version, 1}, err);
    if (e != GWH_OK) {
        return e;
    }
    if (type_of(l) != GWC_STATUS) {
        return unexpected(l, "to say what it is", err);
    }
    gw_cbor_init(&c, l->reader.packet + HEAD, l->reader.n - HEAD);
    gw_cbor_map(&c, &map);
    while (gw_cbor_next(&c, &map, &key)) {
        read_field(&c, s, key);
    }
    int reason = gw_cbor_end(&c);
    return reason == GW_OK ? GWH_OK : gwh_fail_reason(err, reason, "the status of the device");
}

int gwh_push_restart(struct gwh_line *l, struct gwh_error *err)
{
    int e = ask(l, GWC_RESTART, (struct gw_span){NULL, 0}, err);
    return e == GWH_OK && type_of(l) != GWC_STATUS ? unexpected(l, "to restart", err) : e;
}

/* ---- Offer ------------------------------------------------------------------------------------------------------- */

static int send_data(struct gwh_line *l, uint32_t at, const uint8_t *bytes, size_t n, struct gwh_error *err)
{
    uint8_t body[4 + GWC_PACKET_DATA];
    gw_put32(body, at);
    memcpy(body + 4, bytes, n);
    return ask(l, GWC_DATA, (struct gw_span){body, 4 + n}, err);
}

static bool wants(const struct gwh_line *l, uint8_t kind)
{
    return type_of(l) == GWC_WANT && l->reader.packet[HEAD] == kind;
}

/* The offer as a whole; the answer to its last byte stays in the line. */
static int send_offer(const struct gwh_push *p, const struct gw_offer *offer, struct gwh_error *err)
{
    struct gwh_buf bytes = {0};
    uint8_t size[4];
    int reason = gwh_offer(&bytes, offer);
    if (reason != GW_OK) {
        return gwh_fail_reason(err, reason, "offer");
    }
    gw_put32(size, (uint32_t)bytes.n);
    int e = ask(p->line, GWC_OFFER, (struct gw_span){size, sizeof size}, err);
    while (e == GWH_OK && wants(p->line, 0)) {
        uint32_t at = u32_at(p->line, 33);
        if (at >= bytes.n) {
            e = unexpected(p->line, "the offer", err);
            break;
        }
        e = send_data(p->line, at, bytes.p + at, bytes.n - at < GWC_PACKET_DATA ? bytes.n - at : GWC_PACKET_DATA, err);
    }
    gwh_buf_free(&bytes);
    return e;
}

int gwh_push_trust(const struct gwh_push *p, struct gw_span cose, struct gwh_error *err)
{
    struct gw_offer offer = {.trust = cose};
    int e = send_offer(p, &offer, err);
    return e == GWH_OK && type_of(p->line) != GWC_DONE ? unexpected(p->line, "the trust bundle", err) : e;
}

static size_t offer_size(const struct gw_offer *offer)
{
    struct gwh_buf bytes = {0};
    size_t n = gwh_offer(&bytes, offer) == GW_OK ? bytes.n : SIZE_MAX;
    gwh_buf_free(&bytes);
    return n;
}

/* As many grants from number `from` on as fit: into an offer, and into this device. Returns the number of the next. */
static size_t add_grants(const struct gwh_push *p, const struct gwh_release *r, size_t from, struct gw_offer *offer)
{
    offer->grant_count = 0;
    for (; from < r->grant_count && offer->grant_count < GW_GRANTS_MAX; from++) {
        offer->grant[offer->grant_count++] = gwh_span(&r->grants[from].bytes);
        if (offer_size(offer) > p->largest) {
            offer->grant_count--;
            break;
        }
    }
    return from;
}

/* The manifest with the first grants; if the device has no key for any of them, with the next ones. */
static int offer_release(const struct gwh_push *p, const struct gwh_release *r, struct gwh_error *err)
{
    struct gw_offer offer = {.manifest = gwh_span(&r->cose), .head = gwh_span(&r->head)};
    size_t next = 0, from;
    int e;
    if (offer_size(&offer) > p->largest) {
        return gwh_fail_reason(err, GW_ERR_LIMIT, "the manifest with its head is larger than the %u bytes that the "
                               "device takes", (unsigned)p->largest);
    }
    do {
        from = next;
        next = add_grants(p, r, from, &offer);
        if (offer.grant_count < r->grant_count) {
            tell(p, "offered with key grants %zu to %zu of %zu", from + 1, next, r->grant_count);
        }
        e = send_offer(p, &offer, err);
    } while (e == GWH_OK && refusal(p->line) == GW_ERR_NO_KEY && next > from && next < r->grant_count);
    return e;
}

/* ---- Payloads ---------------------------------------------------------------------------------------------------- */

/* The payload file that is open, by its name. */
struct source {
    const struct gwh_release *release;
    uint8_t name[GW_DIGEST_SIZE];
    int fd;
};

static int open_source(struct source *s, const uint8_t name[GW_DIGEST_SIZE], struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    if (s->fd >= 0 && memcmp(s->name, name, sizeof s->name) == 0) {
        return GWH_OK;
    }
    if (s->fd >= 0) {
        close(s->fd);
    }
    memcpy(s->name, name, sizeof s->name);
    int e = gwh_release_payload_path(path, s->release, name, err);
    s->fd = e == GWH_OK ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    return s->fd >= 0 || e != GWH_OK ? e : gwh_fail_errno(err, "the device wants %s", path);
}

/* Sends what the answer in the line wants: bytes of a payload, or word that there are no more. */
static int serve(const struct gwh_push *p, struct source *s, struct gwh_pushed *out, struct gwh_error *err)
{
    uint8_t bytes[GWC_PACKET_DATA];
    uint32_t at = u32_at(p->line, 33), longest = u32_at(p->line, 37);
    int e = open_source(s, p->line->reader.packet + HEAD + 1, err);
    if (e != GWH_OK) {
        return e;
    }
    if (p->progress != NULL) {
        p->progress(p->ctx, u32_at(p->line, 41), u32_at(p->line, 45));
    }
    ssize_t n = pread(s->fd, bytes, longest < sizeof bytes ? longest : sizeof bytes, (off_t)at);
    if (n < 0) {
        return gwh_fail_errno(err, "a payload of %s cannot be read", s->release->folder);
    }
    if (n == 0 && longest > 0) {
        return ask(p->line, GWC_END, (struct gw_span){NULL, 0}, err);
    }
    out->sent += (uint32_t)n;
    return send_data(p->line, at, bytes, (size_t)n, err);
}

int gwh_push_release(const struct gwh_push *p, const struct gwh_release *r, struct gwh_pushed *out,
                     struct gwh_error *err)
{
    struct source s = {.release = r, .fd = -1};
    unsigned starts = 0;
    memset(out, 0, sizeof *out);
    int e = offer_release(p, r, err);
    out->at_first = e == GWH_OK && wants(p->line, 1) ? u32_at(p->line, 41) : 0;
    if (out->at_first > 0) {
        tell(p, "goes on: %u of %u bytes are there already", (unsigned)out->at_first, (unsigned)u32_at(p->line, 45));
    }
    while (e == GWH_OK && wants(p->line, 1)) {
        e = serve(p, &s, out, err);
        if (e == GWH_OK && refusal(p->line) == GW_ERR_STATE && starts++ < NEW_STARTS) {
            tell(p, "the device has restarted; offered again");
            e = offer_release(p, r, err);
        }
    }
    if (s.fd >= 0) {
        close(s.fd);
    }
    if (e != GWH_OK) {
        return e;
    }
    if (type_of(p->line) != GWC_DONE) {
        return unexpected(p->line, r->folder, err);
    }
    out->order = (struct gw_order){u32_at(p->line, 0), u32_at(p->line, 4)};
    return GWH_OK;
}
