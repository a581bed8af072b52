/*
 * fetching.h - what test_fetch.c and test_fetch_hosts.c share: a transport over a server by script (wire.h),
 * requests, answers, and ways to run them.
 */
#ifndef FETCHING_H
#define FETCHING_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "fetch.h"
#include "objects.h"
#include "wire.h"

#define SIZE 10u /* of the payload "0123456789" */
#define OFFER_HEAD "HTTP/1.1 200 OK\r\nETag: \"o1\"\r\n"
#define OFFER OFFER_HEAD "Content-Length: 5\r\n\r\noffer"
#define RANGE(range, n, bytes)                                                                                         \
    "HTTP/1.1 206 x\r\nContent-Range: bytes " range "\r\nETag: \"p\"\r\nContent-Length: " n "\r\n\r\n" bytes
#define STATUS(status) "HTTP/1.1 " status " x\r\nContent-Length: 3\r\n\r\nxyz"
#define EMPTY(status) "HTTP/1.1 " status " x\r\nContent-Length: 0\r\n\r\n"
#define MOVED(to) "HTTP/1.1 302 Found\r\nLocation: " to "\r\nContent-Length: 0\r\n\r\n"
#define HEX "0101010101010101010101010101010101010101010101010101010101010101"

static struct wire wire;
static struct gwc_fetch fetch;
static struct gwc_fetch_config config;
static struct gw_transport t;
static uint32_t clock_ms, clock_step;
static uint8_t body[9000];
static size_t body_n;

static inline uint32_t now_ms(void *ctx)
{
    (void)ctx;
    clock_ms += clock_step;
    return clock_ms;
}

static inline int set_up(void **state)
{
    (void)state;
    wire_open(&wire);
    clock_ms = 0xffffff00u; /* goes over its end */
    clock_step = 0;
    config = (struct gwc_fetch_config){ .secure = &wire.secure, .server = "https://own/fleet", .timeout_ms = 1000,
                                        .offer_path = "offers/1", .report_path = "device/v1/report",
                                        .now_ms = now_ms };
    assert_int_equal(gwc_fetch_init(&fetch, &config, &t), GW_OK);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    wire_close(&wire);
    return 0;
}

static inline void anew(void)
{
    tear_down(NULL);
    set_up(NULL);
}

static inline struct gw_request offer(void)
{
    return (struct gw_request){ .resource = GW_RESOURCE_OFFER, .longest = 8192 };
}

static inline struct gw_request range(uint32_t offset, uint32_t longest)
{
    struct gw_request r = { .resource = GW_RESOURCE_PAYLOAD, .offset = offset, .longest = longest, .size = SIZE };

    memset(r.digest, 1, sizeof r.digest);
    return r;
}

static inline struct gw_request below(const char *base)
{
    struct gw_request r = range(0, SIZE);

    r.base = (struct gw_span){ (const uint8_t *)base, strlen(base) };
    return r;
}

static inline int open_it(const struct gw_request *r)
{
    int error = GW_ERR_AGAIN;

    for (unsigned i = 0; i < 100000 && error == GW_ERR_AGAIN; i++) {
        struct gw_request copy = *r; /* nothing of it may be kept */
        error = t.open(t.ctx, &copy);
        memset(&copy, 0xa5, sizeof copy);
    }
    return error;
}

/* The whole request; the body lies in `body`. */
static inline int get(const struct gw_request *r, size_t piece)
{
    int error = open_it(r);
    size_t n = 1;

    body_n = 0;
    for (unsigned i = 0; i < 100000 && (error == GW_ERR_AGAIN || (error == GW_OK && n > 0)); i++) {
        error = t.read(t.ctx, body + body_n, piece, &n);
        assert_true(n <= piece && (error == GW_OK || n == 0));
        body_n += n;
    }
    t.close(t.ctx);
    return error;
}

static inline void expect_body(const char *text)
{
    assert_int_equal(body_n, strlen(text));
    assert_memory_equal(body, text, body_n);
}

static inline int report(const char *text)
{
    int error = GW_ERR_AGAIN;

    for (unsigned i = 0; i < 100000 && error == GW_ERR_AGAIN; i++) {
        error = t.report(t.ctx, (const uint8_t *)text, strlen(text));
    }
    return error;
}

/* One answer to one request: which error, and whether the connection is kept. */
static inline int one(const char *answer, const struct gw_request *r, bool kept)
{
    anew();
    wire_answer(&wire, answer, WIRE_STAYS);
    int error = get(r, 7);
    assert_int_equal(wire.connected, kept);
    return error;
}

static inline void trust_all(const char *hex, const char *pins, const char *cas)
{
    struct t_bytes hosts = t_hex(hex), pin = t_hex(pins), ca = t_hex(cas);
    struct gw_trust trust = { .hosts = { hosts.p, hosts.n }, .pins = { pin.p, pin.n }, .server_cas = { ca.p, ca.n } };
    struct gw_transport_trust told = { &trust, 77 };

    assert_int_equal(t.trust(t.ctx, &told), GW_OK);
    t_free(&hosts);
    t_free(&pin);
    t_free(&ca);
}

static inline void trust_hosts(const char *hex, const char *pins)
{
    trust_all(hex, pins, "");
}
#define CDN "8163" "63646e" /* ["cdn"] */

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
