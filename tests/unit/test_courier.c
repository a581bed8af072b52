/*
 * test_courier.c - reports over a broker: every way that one can go, and what is told to the transport below.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "courier.h"
#include "fastcrypto.h"

/* ---- The broker, the transport below, and the clock ------------------------------------------------------------ */

static struct {
    bool connected, publishes;
    unsigned published, woken;
    size_t published_n;
    uint32_t now;
    int own_trust, below_trust, below_report;
    unsigned own_told, below_told, below_reports, opened, read, closed;
    size_t below_n;
} net;

static bool publish(void *ctx, const uint8_t *bytes, size_t n)
{
    assert_ptr_equal(ctx, &net);
    assert_non_null(bytes);
    net.published++;
    net.published_n = n;
    return net.publishes;
}

static bool connected(void *ctx)
{
    assert_ptr_equal(ctx, &net);
    return net.connected;
}

static void wake(void *ctx)
{
    assert_ptr_equal(ctx, &net);
    net.woken++;
}

static uint32_t now_ms(void *ctx)
{
    assert_ptr_equal(ctx, &net);
    return net.now;
}

static int own_trust(void *ctx, const struct gw_transport_trust *trust)
{
    assert_ptr_equal(ctx, &net);
    assert_int_equal(trust->now, 77);
    net.own_told++;
    return net.own_trust;
}

static int below_trust(void *ctx, const struct gw_transport_trust *trust)
{
    assert_ptr_equal(ctx, &net.below_n);
    assert_int_equal(trust->now, 77);
    net.below_told++;
    return net.below_trust;
}

static int below_open(void *ctx, const struct gw_request *request)
{
    assert_ptr_equal(ctx, &net.below_n);
    assert_int_equal(request->offset, 5);
    net.opened++;
    return GW_ERR_TIMEOUT;
}

static int below_read(void *ctx, uint8_t *data, size_t size, size_t *n)
{
    assert_ptr_equal(ctx, &net.below_n);
    memset(data, 7, size);
    *n = size;
    net.read++;
    return GW_ERR_NOTHING;
}

static void below_close(void *ctx)
{
    assert_ptr_equal(ctx, &net.below_n);
    net.closed++;
}

static int below_report(void *ctx, const uint8_t *bytes, size_t n)
{
    assert_ptr_equal(ctx, &net.below_n);
    assert_non_null(bytes);
    net.below_reports++;
    net.below_n = n;
    return net.below_report;
}

static int no_sha256(void *ctx, struct gw_sha256 *h)
{
    (void)ctx, (void)h;
    return GW_ERR_CRYPTO;
}

static struct gw_transport below, over;
static struct gw_crypto crypto;
static struct gwc_courier_config config;
static struct gwc_courier *courier; /* on the heap, of its exact size */

static int set_up(void **state)
{
    (void)state;
    memset(&net, 0, sizeof net);
    net.connected = net.publishes = true;
    net.now = UINT32_MAX - 3000; /* the clock goes over while a report waits */
    below = (struct gw_transport){ .ctx = &net.below_n, .trust = below_trust, .open = below_open, .read = below_read,
                                   .close = below_close, .report = below_report };
    crypto = fastcrypto;
    config = (struct gwc_courier_config){ .below = &below, .crypto = &crypto, .publish = publish,
                                          .connected = connected, .wake = wake, .trust = own_trust, .now_ms = now_ms,
                                          .ctx = &net };
    courier = malloc(sizeof *courier);
    assert_non_null(courier);
    assert_int_equal(gwc_courier_init(courier, &config, &over), GW_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(courier);
    return 0;
}

static uint8_t *filled(size_t n, uint8_t with)
{
    uint8_t *p = malloc(n);
    assert_non_null(p);
    memset(p, with, n);
    return p;
}

static int report(uint8_t with, size_t n)
{
    uint8_t *p = filled(n, with);
    int status = over.report(over.ctx, p, n);
    free(p);
    return status;
}

static void say_bytes(const char *text, size_t n)
{
    uint8_t *p = malloc(n > 0 ? n : 1);
    assert_non_null(p);
    memcpy(p, text, n);
    gwc_courier_message(courier, (struct gw_span){ p, n });
    free(p);
}

/* "taken " or "never " of a report. */
static void say_of(const char *word, uint8_t with, size_t n)
{
    char text[40] = "";
    uint8_t digest[32], *p = filled(n, with);

    assert_int_equal(gw_sha256(&fastcrypto, p, n, digest), GW_OK);
    free(p);
    strcpy(text, word);
    for (unsigned i = 0; i < 8; i++) {
        sprintf(text + 6 + 2 * i, "%02x", digest[i]);
    }
    say_bytes(text, 22);
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static void test_taken(void **state)
{
    (void)state;
    assert_int_equal(report(1, 300), GW_ERR_AGAIN);
    assert_int_equal(net.published, 1);
    assert_int_equal(net.published_n, 300);
    assert_int_equal(report(1, 300), GW_ERR_AGAIN);
    assert_int_equal(net.published, 1); /* once */
    say_of("taken ", 1, 300);
    assert_int_equal(net.woken, 0);
    assert_int_equal(report(1, 300), GW_OK);
    assert_int_equal(net.below_reports, 0);
    assert_int_equal(report(1, 300), GW_ERR_AGAIN); /* the same again is another one */
    assert_int_equal(net.published, 2);
}

static void test_never(void **state)
{
    (void)state;
    assert_int_equal(report(1, GW_REPORT_MAX), GW_ERR_AGAIN);
    say_of("never ", 1, GW_REPORT_MAX);
    assert_int_equal(report(1, GW_REPORT_MAX), GW_ERR_VALUE);
    assert_int_equal(net.below_reports, 0);
}

static void test_said_of_another(void **state)
{
    (void)state;
    say_of("taken ", 1, 20); /* before there is one */
    assert_int_equal(report(1, 20), GW_ERR_AGAIN);
    say_of("taken ", 2, 20);
    say_of("never ", 2, 20);
    say_of("taken ", 1, 21);
    assert_int_equal(report(1, 20), GW_ERR_AGAIN);
    assert_int_equal(net.woken, 0);
}

static void test_everything_else_wakes(void **state)
{
    static const char *const texts[] = { "", "look", "taken", "taken ", "taken 0123456789abcde",
                                         "taken 0123456789abcdef0", "Taken 0123456789abcdef",
                                         "nevermore012345678abcde" };
    (void)state;
    assert_int_equal(report(1, 20), GW_ERR_AGAIN);
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        say_bytes(texts[i], strlen(texts[i]));
        assert_int_equal(net.woken, i + 1);
    }
    assert_int_equal(report(1, 20), GW_ERR_AGAIN);
}

static void test_nothing_is_said(void **state)
{
    (void)state;
    assert_int_equal(report(1, 20), GW_ERR_AGAIN);
    net.now += GWC_COURIER_ACK_MS;
    assert_int_equal(report(1, 20), GW_ERR_AGAIN);
    assert_int_equal(net.below_reports, 0);
    net.now++;
    net.below_report = GW_ERR_AGAIN;
    assert_int_equal(report(1, 20), GW_ERR_AGAIN);
    assert_int_equal(net.below_reports, 1);
    say_of("never ", 1, 20); /* too late: it goes below until that has an answer */
    assert_int_equal(report(1, 20), GW_ERR_AGAIN);
    net.below_report = GW_OK;
    assert_int_equal(report(1, 20), GW_OK);
    assert_int_equal(net.below_reports, 3);
    assert_int_equal(net.below_n, 20);
    assert_int_equal(net.published, 1);
    assert_int_equal(report(1, 20), GW_ERR_AGAIN); /* from the start */
    assert_int_equal(net.published, 2);
}

static void test_broker_is_lost(void **state)
{
    (void)state;
    assert_int_equal(report(1, 20), GW_ERR_AGAIN);
    net.connected = false;
    net.below_report = GW_ERR_AGAIN;
    assert_int_equal(report(1, 20), GW_ERR_AGAIN);
    assert_int_equal(net.below_reports, 1);
    net.connected = true; /* back, but this report stays below */
    net.below_report = GW_ERR_TIMEOUT;
    assert_int_equal(report(1, 20), GW_ERR_TIMEOUT);
    assert_int_equal(net.below_reports, 2);
}

static void test_taken_then_lost(void **state)
{
    (void)state;
    assert_int_equal(report(1, 20), GW_ERR_AGAIN);
    say_of("taken ", 1, 20);
    net.connected = false;
    assert_int_equal(report(1, 20), GW_OK); /* what was said counts */
    assert_int_equal(net.below_reports, 0);
}

static void test_no_broker(void **state)
{
    (void)state;
    net.publishes = false;
    assert_int_equal(report(1, 20), GW_OK);
    assert_int_equal(net.below_reports, 1);
    net.below_report = GW_ERR_VALUE;
    assert_int_equal(report(1, 20), GW_ERR_VALUE);
    assert_int_equal(net.below_reports, 2);
}

static void test_no_digest(void **state)
{
    (void)state;
    crypto.sha256_start = no_sha256;
    assert_int_equal(report(1, 20), GW_OK);
    assert_int_equal(net.published, 0);
    assert_int_equal(net.below_reports, 1);
}

static void test_nobody_below(void **state)
{
    (void)state;
    below.report = NULL;
    net.publishes = false;
    assert_int_equal(report(1, 20), GW_ERR_TRANSPORT);
}

static void test_another_begins(void **state)
{
    (void)state;
    assert_int_equal(report(1, 20), GW_ERR_AGAIN);
    say_of("taken ", 1, 20);
    assert_int_equal(report(2, 20), GW_ERR_AGAIN); /* not what was taken */
    assert_int_equal(net.published, 2);
    say_of("taken ", 1, 20);
    assert_int_equal(report(2, 20), GW_ERR_AGAIN);
    net.now += GWC_COURIER_ACK_MS; /* its time began with it */
    assert_int_equal(report(2, 21), GW_ERR_AGAIN);
    assert_int_equal(net.published, 3);
    net.now += GWC_COURIER_ACK_MS;
    assert_int_equal(report(2, 21), GW_ERR_AGAIN);
    say_of("taken ", 2, 21);
    assert_int_equal(report(2, 21), GW_OK);
    net.publishes = false; /* one that goes below, and then another */
    net.below_report = GW_ERR_AGAIN;
    assert_int_equal(report(3, 20), GW_ERR_AGAIN);
    net.publishes = true;
    assert_int_equal(report(4, 20), GW_ERR_AGAIN);
    assert_int_equal(net.published, 5);
    say_of("taken ", 4, 20);
    assert_int_equal(report(4, 20), GW_OK);
}

static void test_sizes(void **state)
{
    (void)state;
    assert_int_equal(report(1, GW_REPORT_MAX + 1), GW_ERR_VALUE);
    assert_int_equal(over.report(over.ctx, (const uint8_t *)"", 0), GW_ERR_VALUE);
    assert_int_equal(net.published + net.below_reports, 0);
}

static void test_trust_is_told_to_both(void **state)
{
    const struct gw_transport_trust trust = { .now = 77 };
    (void)state;
    assert_int_equal(over.trust(over.ctx, &trust), GW_OK);
    assert_int_equal(net.own_told, 1);
    assert_int_equal(net.below_told, 1);
    net.own_trust = GW_ERR_LIMIT;
    assert_int_equal(over.trust(over.ctx, &trust), GW_ERR_LIMIT);
    net.below_trust = GW_ERR_CONFIG;
    assert_int_equal(over.trust(over.ctx, &trust), GW_ERR_CONFIG);
    assert_int_equal(net.own_told, 3); /* although the other had failed */
    below.trust = NULL;
    config.trust = NULL;
    assert_int_equal(over.trust(over.ctx, &trust), GW_OK);
}

static void test_the_rest_goes_below(void **state)
{
    const struct gw_request request = { .offset = 5 };
    uint8_t byte = 0;
    size_t n = 0;

    (void)state;
    assert_int_equal(over.open(over.ctx, &request), GW_ERR_TIMEOUT);
    assert_int_equal(over.read(over.ctx, &byte, 1, &n), GW_ERR_NOTHING);
    assert_int_equal(byte * n, 7);
    over.close(over.ctx);
    assert_int_equal(net.opened + net.read + net.closed, 3);
}

static void test_init(void **state)
{
    struct gwc_courier_config all = config;
    struct gw_transport t = below;

    (void)state;
#define MISSING(field)                                                                                                 \
    do {                                                                                                               \
        config = all;                                                                                                  \
        config.field = NULL;                                                                                           \
        assert_int_equal(gwc_courier_init(courier, &config, &over), GW_ERR_CONFIG);                                    \
    } while (0)
    MISSING(below);
    MISSING(crypto);
    MISSING(publish);
    MISSING(connected);
    MISSING(wake);
    MISSING(now_ms);
#undef MISSING
    config = all;
    below.open = NULL;
    assert_int_equal(gwc_courier_init(courier, &config, &over), GW_ERR_CONFIG);
    below = t;
    below.read = NULL;
    assert_int_equal(gwc_courier_init(courier, &config, &over), GW_ERR_CONFIG);
    below = t;
    below.close = NULL;
    assert_int_equal(gwc_courier_init(courier, &config, &over), GW_ERR_CONFIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_taken),          TEST(test_never),      TEST(test_said_of_another), TEST(test_everything_else_wakes),
        TEST(test_nothing_is_said), TEST(test_broker_is_lost), TEST(test_taken_then_lost), TEST(test_no_broker),
        TEST(test_no_digest),      TEST(test_nobody_below), TEST(test_another_begins), TEST(test_sizes),
        TEST(test_trust_is_told_to_both), TEST(test_the_rest_goes_below), TEST(test_init),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
