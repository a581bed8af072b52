/*
 * wire.c - a server by script; see wire.h.
 */
#include "wire.h"

#include <stdlib.h>
#include <string.h>

/* A test that uses it wrongly, or a client that breaks the contract of stream.h. */
#define MUST(condition) do { if (!(condition)) { abort(); } } while (0)

/* Counts a call: a failure, GW_ERR_AGAIN every other time, or 0. */
static int call(struct wire *w)
{
    if (++w->calls == w->fail_at) {
        return w->fail_with;
    }
    w->turn = !w->turn;
    return w->again && w->turn ? GW_ERR_AGAIN : GW_OK;
}

static int wire_connect(void *ctx, struct gw_span host, uint16_t port)
{
    struct wire *w = ctx;
    int error = call(w);

    if (error != GW_OK) {
        return error;
    }
    MUST(!w->connected && host.n > 0 && host.n <= GWC_HOST_MAX);
    memcpy(w->host, host.p, host.n);
    w->host[host.n] = 0;
    w->port = port;
    w->peer = w->next_peer;
    w->next_peer = GWC_PEER_OTHER;
    if (w->connects < sizeof w->peers / sizeof w->peers[0]) {
        w->peers[w->connects] = w->peer;
    }
    w->connects++;
    w->connected = true;
    w->giving = w->ended = false;
    w->request_at = w->sent_n;
    return GW_OK;
}

/* Where the request that began at request_at ends; 0: not yet. */
static size_t request_end(const struct wire *w)
{
    const char *from = w->sent + w->request_at, *head = strstr(from, "\r\n\r\n");
    const char *length = strstr(from, "\r\nContent-Length: ");
    size_t end;

    if (head == NULL) {
        return 0;
    }
    end = (size_t)(head - w->sent) + 4;
    if (length != NULL && length < head) {
        end += strtoul(length + 18, NULL, 10);
    }
    return end <= w->sent_n ? end : 0;
}

static void begin_answer(struct wire *w)
{
    size_t end = request_end(w);

    if (w->giving || w->ended || end == 0 || w->next == w->answers) {
        return;
    }
    w->request_at = end;
    w->giving = w->answer[w->next].then != WIRE_DROPS;
    w->ended = !w->giving;
    w->next += w->ended ? 1 : 0;
    w->at = 0;
}

static int wire_send(void *ctx, const uint8_t *p, size_t n, size_t *used)
{
    struct wire *w = ctx;
    int error = call(w);

    *used = 0;
    MUST(n > 0);
    if (error != GW_OK || !w->connected) {
        return error != GW_OK ? error : GW_ERR_STATE;
    }
    n = w->piece != 0 && n > w->piece ? w->piece : n;
    MUST(w->sent_n + n <= WIRE_SENT_MAX);
    memcpy(w->sent + w->sent_n, p, n);
    w->sent_n += n;
    w->sent[w->sent_n] = 0;
    *used = n;
    return GW_OK;
}

static int wire_recv(void *ctx, uint8_t *p, size_t n, size_t *got)
{
    struct wire *w = ctx;
    int error = call(w);

    *got = 0;
    MUST(n > 0);
    if (error != GW_OK || !w->connected) {
        return error != GW_OK ? error : GW_ERR_STATE;
    }
    begin_answer(w);
    if (!w->giving) {
        return w->ended ? GW_OK : GW_ERR_AGAIN;
    }
    const struct wire_answer *a = &w->answer[w->next];
    n = w->piece != 0 && n > w->piece ? w->piece : n;
    *got = n < a->n - w->at ? n : a->n - w->at;
    if (*got > 0) {
        memcpy(p, a->p + w->at, *got);
    }
    w->at += *got;
    if (w->at == a->n) {
        w->giving = false;
        w->ended = a->then == WIRE_CLOSES;
        w->next++;
    }
    return *got > 0 || w->ended ? GW_OK : GW_ERR_AGAIN;
}

static void wire_shut(void *ctx)
{
    struct wire *w = ctx;

    if (w->giving) {
        w->next++; /* what is left of it, nobody gets */
    }
    w->connected = w->giving = w->ended = false;
}

static int wire_trust(void *ctx, const struct gwc_trusted *t)
{
    struct wire *w = ctx;

    if (t->pin_count > WIRE_PINS_MAX || t->roots.n > sizeof w->roots) {
        return GW_ERR_LIMIT;
    }
    w->now = t->now;
    memcpy(w->pins, t->pins, t->pin_count * sizeof t->pins[0]);
    w->pin_count = t->pin_count;
    w->roots_n = t->roots.n;
    if (t->roots.n > 0) {
        memcpy(w->roots, t->roots.p, t->roots.n);
    }
    return GW_OK;
}

static void wire_peer(void *ctx, enum gwc_peer peer)
{
    struct wire *w = ctx;

    w->next_peer = peer;
}

void wire_open(struct wire *w)
{
    memset(w, 0, sizeof *w);
    w->secure = (struct gwc_secure){ { w, wire_connect, wire_send, wire_recv, wire_shut }, wire_trust, wire_peer };
    w->fail_with = GW_ERR_TRANSPORT;
}

void wire_close(struct wire *w)
{
    for (unsigned i = 0; i < w->answers; i++) {
        free(w->answer[i].p);
    }
    w->answers = 0;
}

void wire_answer_bytes(struct wire *w, const void *p, size_t n, enum wire_then then)
{
    struct wire_answer *a = &w->answer[w->answers];

    MUST(w->answers < WIRE_ANSWERS_MAX);
    *a = (struct wire_answer){ malloc(n > 0 ? n : 1), n, then };
    MUST(a->p != NULL);
    if (n > 0) {
        memcpy(a->p, p, n);
    }
    w->answers++;
}

void wire_answer(struct wire *w, const char *text, enum wire_then then)
{
    wire_answer_bytes(w, text, strlen(text), then);
}

void wire_again(struct wire *w)
{
    w->next = 0;
    w->at = 0;
    w->giving = w->ended = w->connected = w->turn = false;
    w->sent_n = w->request_at = 0;
    w->sent[0] = 0;
    w->calls = w->connects = 0;
}

unsigned wire_sent(const struct wire *w, const char *text)
{
    unsigned n = 0;

    for (const char *p = strstr(w->sent, text); p != NULL; p = strstr(p + 1, text)) {
        n++;
    }
    return n;
}
