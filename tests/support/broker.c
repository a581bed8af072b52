/*
 * broker.c - an MQTT broker by script; see broker.h. And the memory of lwIP in tests: lwipmem.h.
 */
#include "broker.h"

#include <stdlib.h>
#include <string.h>

/* A client that breaks MQTT or the contract of stream.h, or a test that uses this wrongly. */
#define MUST(condition) do { if (!(condition)) { abort(); } } while (0)

uint32_t lwip_ms;
unsigned lwipmem_fail;

uint32_t sys_now(void)
{
    return lwip_ms;
}

unsigned gwl_random(void)
{
    return 4; /* for lwIP's ports and sequence numbers, which are not used here */
}

void *lwipmem_malloc(size_t n)
{
    return lwipmem_fail > 0 && --lwipmem_fail == 0 ? NULL : malloc(n);
}

/* ---- What it says ------------------------------------------------------------------------------------------------ */

void broker_say(struct broker *b, const void *p, size_t n)
{
    MUST(b->out_n + n <= BROKER_OUT_MAX);
    if (n > 0) {
        memcpy(b->out + b->out_n, p, n);
    }
    b->out_n += n;
}

void broker_publish(struct broker *b, const char *topic, const void *p, size_t n)
{
    size_t t = strlen(topic), length = 2 + t + n;
    uint8_t head[5] = { 0x30, (uint8_t)(length & 0x7f) };
    size_t at = 2;

    if (length > 127) {
        head[1] |= 0x80;
        head[at++] = (uint8_t)(length >> 7);
    }
    head[at++] = (uint8_t)(t >> 8);
    head[at++] = (uint8_t)t;
    broker_say(b, head, at);
    broker_say(b, topic, t);
    broker_say(b, p, n);
}

bool broker_heard(const struct broker *b)
{
    return b->out_at == b->out_n;
}

/* ---- What it is told: a packet's body, n bytes -------------------------------------------------------------- */

static const uint8_t *take_text(const uint8_t *p, const uint8_t *end, char *out, size_t size)
{
    MUST(end - p >= 2);
    size_t n = (size_t)p[0] << 8 | p[1];
    MUST((size_t)(end - p) >= 2 + n && n < size);
    memcpy(out, p + 2, n);
    out[n] = 0;
    MUST(strlen(out) == n);
    return p + 2 + n;
}

static void take_connect(struct broker *b, const uint8_t *p, size_t n)
{
    static const uint8_t start[] = { 0, 4, 'M', 'Q', 'T', 'T', 4, 0x82 }; /* clean session, user name */
    const uint8_t *end = p + n;
    const uint8_t ack[] = { 0x20, 2, 0, b->connack };

    MUST(n > 10 && memcmp(p, start, sizeof start) == 0 && b->conns < b->connects);
    b->conns = b->connects;
    b->keep_alive = (uint16_t)(p[8] << 8 | p[9]);
    p = take_text(p + 10, end, b->id, sizeof b->id);
    p = take_text(p, end, b->user, sizeof b->user);
    MUST(p == end);
    if (!b->mute) {
        broker_say(b, ack, sizeof ack);
    }
}

static void take_subscribe(struct broker *b, const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;

    MUST(n > 5 && b->conns == b->connects);
    const uint8_t ack[] = { 0x90, 3, p[0], p[1], b->suback };
    b->subscribe_id = (uint16_t)(p[0] << 8 | p[1]);
    p = take_text(p + 2, end, b->subscribed, sizeof b->subscribed);
    MUST(p + 1 == end && *p == 0 && b->subscribe_id != 0);
    b->subscribes++;
    if (!b->mute && !b->no_suback) {
        broker_say(b, ack, sizeof ack);
    }
}

static void take_publish(struct broker *b, const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;

    MUST(b->conns == b->connects);
    p = take_text(p, end, b->topic, sizeof b->topic);
    MUST(end - p >= 2);
    const uint8_t ack[] = { 0x40, 2, p[0], p[1] };
    b->report_id = (uint16_t)(p[0] << 8 | p[1]);
    b->report_n = (size_t)(end - p) - 2;
    MUST(b->report_n <= sizeof b->report && b->report_id != 0);
    memcpy(b->report, p + 2, b->report_n);
    b->reports++;
    if (!b->mute && !b->no_puback) {
        broker_say(b, ack, sizeof ack);
    }
}

static void take_packet(struct broker *b, uint8_t kind, const uint8_t *p, size_t n)
{
    static const uint8_t pong[] = { 0xd0, 0 };

    switch (kind) {
    case 0x10: take_connect(b, p, n); break;
    case 0x82: take_subscribe(b, p, n); break;
    case 0x32: take_publish(b, p, n); break;
    case 0xc0:
        MUST(n == 0);
        b->pings++;
        if (!b->mute && !b->no_pong) {
            broker_say(b, pong, sizeof pong);
        }
        break;
    case 0xe0:
        MUST(n == 0);
        b->goodbyes++;
        break;
    default: abort();
    }
}

static void take_all(struct broker *b)
{
    for (;;) {
        size_t head = 2, length = b->in_n >= 2 ? b->in[1] & 0x7f : 0;
        if (b->in_n >= 2 && (b->in[1] & 0x80) != 0) {
            head = 3;
            length |= b->in_n >= 3 ? (size_t)b->in[2] << 7 : 0;
            MUST(b->in_n < 3 || (b->in[2] & 0x80) == 0);
        }
        if (b->in_n < head || b->in_n < head + length) {
            return;
        }
        take_packet(b, b->in[0], b->in + head, length);
        b->in_n -= head + length;
        memmove(b->in, b->in + head + length, b->in_n);
    }
}

/* ---- The stream -------------------------------------------------------------------------------------------------- */

/* Counts a call: a failure, GW_ERR_AGAIN now and then, or 0. */
static int call(struct broker *b)
{
    if (++b->calls == b->fail_at) {
        return b->fail_with;
    }
    return b->again && (b->calls * 2654435761u >> 31) != 0 ? GW_ERR_AGAIN : GW_OK;
}

static int on_connect(void *ctx, struct gw_span host, uint16_t port)
{
    struct broker *b = ctx;
    int error = call(b);

    MUST(!b->connected && host.n > 0 && host.n <= GWC_HOST_MAX);
    if (error != GW_OK || b->absent) {
        return error != GW_OK ? error : GW_ERR_AGAIN;
    }
    memcpy(b->host, host.p, host.n);
    b->host[host.n] = 0;
    b->port = port;
    b->connects++;
    b->connected = true;
    b->out_n = b->out_at = b->in_n = b->tried_n = 0;
    return GW_OK;
}

static int on_send(void *ctx, const uint8_t *p, size_t n, size_t *used)
{
    struct broker *b = ctx;
    int error = call(b);

    *used = 0;
    MUST(n > 0 && n <= sizeof b->tried && b->connected);
    MUST(b->tried_n == 0 || (b->tried_n == n && memcmp(b->tried, p, n) == 0)); /* the same bytes again */
    b->tried_n = 0;
    if (error == GW_ERR_AGAIN || (error == GW_OK && b->deaf)) {
        memcpy(b->tried, p, n);
        b->tried_n = n;
        return GW_ERR_AGAIN;
    }
    if (error != GW_OK) {
        return error;
    }
    n = b->piece != 0 && n > b->piece ? b->piece : n;
    MUST(b->in_n + n <= BROKER_IN_MAX);
    memcpy(b->in + b->in_n, p, n);
    b->in_n += n;
    *used = n;
    take_all(b);
    return GW_OK;
}

static int on_recv(void *ctx, uint8_t *p, size_t n, size_t *got)
{
    struct broker *b = ctx;
    int error = call(b);

    *got = 0;
    MUST(n > 0 && b->connected);
    if (error != GW_OK) {
        return error;
    }
    n = b->piece != 0 && n > b->piece ? b->piece : n;
    n = n < b->out_n - b->out_at ? n : b->out_n - b->out_at;
    if (n == 0) {
        return b->closes ? GW_OK : GW_ERR_AGAIN;
    }
    memcpy(p, b->out + b->out_at, n);
    b->out_at += n;
    *got = n;
    return GW_OK;
}

static void on_close(void *ctx)
{
    struct broker *b = ctx;

    b->closed += b->connected;
    b->connected = false;
}

static void on_peer(void *ctx, enum gwc_peer peer)
{
    ((struct broker *)ctx)->peer = peer;
}

void broker_open(struct broker *b)
{
    memset(b, 0, sizeof *b);
    b->secure = (struct gwc_secure){ .stream = { b, on_connect, on_send, on_recv, on_close }, .peer = on_peer };
}
