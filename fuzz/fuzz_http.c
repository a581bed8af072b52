/*
 * fuzz_http.c - answers of any server through the HTTP client. The first byte of the input says in which pieces they
 * come, the rest is what the server sends on one connection before it closes it.
 *
 * Properties: however the bytes come, the same is read of them; nothing is read beyond what the head said; it ends;
 * what failed stays failed; a connection is used again only after a whole answer.
 */
#include <stdlib.h>
#include <string.h>

#include "http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) do { if (!(condition)) { abort(); } } while (0)
#define LOCATION_SIZE 300u
#define BODY_MAX 20000u
#define ANSWERS_MAX 8u

struct feed {
    const uint8_t *p;
    size_t n, at, piece; /* 0: as much as fits */
    bool again, turn;
    size_t calls;
};

/* What was read: of all answers on the connection. */
struct outcome {
    int error;
    unsigned requests, answers;
    struct gwc_http_answer last;
    uint16_t location_n;
    uint8_t location[LOCATION_SIZE];
    size_t body_n;
    uint8_t body[BODY_MAX];
};

static int feed_send(void *ctx, const uint8_t *p, size_t n, size_t *used)
{
    (void)ctx, (void)p;
    *used = n;
    return GW_OK;
}

static int feed_recv(void *ctx, uint8_t *p, size_t n, size_t *got)
{
    struct feed *f = ctx;

    MUST(n > 0 && f->calls++ < 4 * f->n + 1000);
    *got = 0;
    f->turn = !f->turn;
    if (f->again && f->turn) {
        return GW_ERR_AGAIN;
    }
    n = f->piece != 0 && n > f->piece ? f->piece : n;
    *got = n < f->n - f->at ? n : f->n - f->at;
    if (*got > 0) {
        memcpy(p, f->p + f->at, *got);
    }
    f->at += *got;
    return GW_OK;
}

static int read_body(struct gwc_http *h, struct outcome *o)
{
    size_t before = o->body_n, n = 1;
    int error = GW_OK;

    while ((error == GW_OK && n > 0) || error == GW_ERR_AGAIN) {
        uint8_t exact[61];
        error = gwc_http_read(h, exact, sizeof exact, &n);
        MUST(n <= sizeof exact && (error == GW_OK || n == 0) && o->body_n + n <= BODY_MAX);
        memcpy(o->body + o->body_n, exact, n);
        o->body_n += n;
    }
    MUST(!h->answer.has_length || o->body_n - before <= h->answer.length);
    MUST(error != GW_OK || !h->answer.has_length || o->body_n - before == h->answer.length ||
         (h->answer.status == 304 || h->answer.status == 204));
    return error;
}

static void check_end(struct gwc_http *h, int error)
{
    uint8_t byte;
    size_t n;

    MUST(error == GW_OK || error == GW_ERR_HTTP || error == GW_ERR_TRANSPORT);
    if (error != GW_OK) {
        MUST(!gwc_http_reusable(h) && gwc_http_read(h, &byte, 1, &n) == error && n == 0);
    }
}

static void check_answer(const struct gwc_http *h)
{
    const struct gwc_http_answer *a = &h->answer;

    MUST(a->status >= 200 && a->status <= 599 && a->etag_n <= GWC_HTTP_ETAG && h->location_n <= LOCATION_SIZE);
    MUST(!(a->chunked && a->has_length) && (a->located || h->location_n == 0));
    MUST(!a->has_range || (a->range_first <= a->range_last && (a->range_size == 0 || a->range_last < a->range_size)));
    for (uint16_t i = 0; i < h->location_n; i++) {
        MUST(h->location[i] >= 0x20 || h->location[i] == '\t');
    }
}

static void run(struct outcome *o, const uint8_t *data, size_t size, size_t piece, bool again)
{
    struct feed feed = { .p = data, .n = size, .piece = piece, .again = again };
    const struct gwc_stream stream = { .ctx = &feed, .send = feed_send, .recv = feed_recv };
    const struct gwc_http_request q = { .host = { (const uint8_t *)"h", 1 }, .path = { { (const uint8_t *)"/", 1 } } };
    struct gwc_http h;

    memset(o, 0, sizeof *o);
    gwc_http_init(&h, &stream, o->location, LOCATION_SIZE);
    do {
        gwc_http_start(&h);
        o->requests++;
        while ((o->error = gwc_http_head(&h, &q)) == GW_ERR_AGAIN) {
        }
        if (o->error == GW_OK) {
            check_answer(&h);
            o->answers++;
            o->last = h.answer;
            o->error = read_body(&h, o);
        }
        check_end(&h, o->error);
    } while (o->error == GW_OK && feed.at < feed.n && gwc_http_reusable(&h) && o->answers < ANSWERS_MAX);
    o->location_n = h.location_n;
    memset(o->location + o->location_n, 0, LOCATION_SIZE - o->location_n);
}

/* What follows the first answer lies in the window already when bytes come together, and ends the connection then. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole, pieces;

    if (size < 1 || size > BODY_MAX) {
        return 0;
    }
    run(&whole, data + 1, size - 1, 0, false);
    run(&pieces, data + 1, size - 1, 1u + data[0] / 2, data[0] % 2 != 0);
    if (whole.requests == 1 && pieces.requests == 1) {
        MUST(whole.error == pieces.error && whole.answers == pieces.answers && whole.body_n == pieces.body_n);
        MUST(memcmp(&whole.last, &pieces.last, sizeof whole.last) == 0);
        MUST(memcmp(whole.body, pieces.body, whole.body_n) == 0 && whole.location_n == pieces.location_n);
        MUST(memcmp(whole.location, pieces.location, LOCATION_SIZE) == 0);
    }
    return 0;
}
