/*
 * test_altcp_secure.c - a stream as a layer of lwIP's altcp: what lwIP's rules ask of it, with callbacks that refuse,
 * close and abort wherever they are called.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <lwip/altcp_tls.h>
#include <lwip/init.h>
#include <lwip/pbuf.h>
#include <lwip/sys.h>

#include "broker.h"
#include "ports/lwip/altcp_secure.h"

static struct broker *broker;

static int set_up(void **state)
{
    (void)state;
    lwipmem_fail = 0;
    broker = malloc(sizeof *broker);
    assert_non_null(broker);
    broker_open(broker);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_false(broker->connected);
    free(broker);
    return 0;
}

/* ---- The layer above --------------------------------------------------------------------------------------------- */

static struct altcp_tls_config layer;
static struct {
    unsigned connected, sent, polled, received, ended, errors;
    size_t sent_n;
    err_t answer, error;
    enum { STAY, CLOSE, ABORT } act;
    struct pbuf *kept;
} upper;

static err_t act(struct altcp_pcb *conn)
{
    if (upper.act == CLOSE) {
        assert_int_equal(altcp_close(conn), ERR_OK);
    }
    if (upper.act == ABORT) {
        altcp_abort(conn);
        return ERR_ABRT;
    }
    return ERR_OK;
}

static err_t up_connected(void *arg, struct altcp_pcb *conn, err_t err)
{
    assert_ptr_equal(arg, &upper);
    assert_int_equal(err, ERR_OK);
    upper.connected++;
    return act(conn);
}

static err_t up_sent(void *arg, struct altcp_pcb *conn, u16_t n)
{
    assert_ptr_equal(arg, &upper);
    upper.sent++;
    upper.sent_n += n;
    return act(conn);
}

static err_t up_poll(void *arg, struct altcp_pcb *conn)
{
    assert_ptr_equal(arg, &upper);
    upper.polled++;
    return act(conn);
}

static err_t up_recv(void *arg, struct altcp_pcb *conn, struct pbuf *p, err_t err)
{
    assert_ptr_equal(arg, &upper);
    assert_int_equal(err, ERR_OK);
    if (p == NULL) {
        upper.ended++;
        return act(conn);
    }
    assert_int_equal(p->len, p->tot_len);
    assert_int_equal(p->len, 4);
    assert_memory_equal(p->payload, "\x40\x02\x01\x02", 4);
    if (upper.answer != ERR_OK) {
        assert_true(upper.kept == NULL || upper.kept == p);
        upper.kept = p;
        return upper.answer;
    }
    upper.received++;
    pbuf_free(p);
    return act(conn);
}

static void up_err(void *arg, err_t err)
{
    assert_ptr_equal(arg, &upper);
    assert_null(layer.conn);
    upper.errors++;
    upper.error = err;
}

static int four(const uint8_t *p, size_t n)
{
    return n > 0 && p[0] != 0x40 ? -1 : 4 - (int)n;
}

static struct altcp_pcb *layer_open(void)
{
    const struct altcp_tls_config fresh = { .secure = &broker->secure, .host = "h", .port = 1, .missing = four };

    memset(&upper, 0, sizeof upper);
    layer = fresh;
    broker->mute = true;
    struct altcp_pcb *conn = altcp_tls_new(&layer, 0);
    assert_non_null(conn);
    altcp_arg(conn, &upper);
    altcp_err(conn, up_err);
    altcp_recv(conn, up_recv);
    altcp_sent(conn, up_sent);
    altcp_poll(conn, up_poll, 2);
    return conn;
}

static struct altcp_pcb *layer_connected(void)
{
    struct altcp_pcb *conn = layer_open();

    assert_int_equal(altcp_connect(conn, IP4_ADDR_ANY, 7, up_connected), ERR_OK);
    assert_true(gwl_secure_step(&layer));
    assert_int_equal(upper.connected, 1);
    assert_int_equal(broker->port, 1); /* what the struct says */
    return conn;
}

static void test_rules(void **state)
{
    struct altcp_pcb *conn = layer_open();
    uint8_t bytes[GWL_SECURE_OUT + 1] = { 0x40, 2, 1, 2 };

    (void)state;
    assert_null(altcp_tls_new(&layer, 0)); /* one at a time */
    assert_int_equal(altcp_bind(conn, IP4_ADDR_ANY, 0), ERR_OK);
    assert_int_equal(altcp_write(conn, bytes, 1, 0), ERR_CONN);
    assert_int_equal(altcp_sndbuf(conn), 0);
    assert_false(gwl_secure_step(&layer));
    assert_int_equal(altcp_connect(conn, IP4_ADDR_ANY, 7, up_connected), ERR_OK);
    assert_int_equal(altcp_connect(conn, IP4_ADDR_ANY, 7, up_connected), ERR_ISCONN);
    assert_int_equal(altcp_write(conn, bytes, 1, 0), ERR_CONN);
    assert_true(gwl_secure_busy(&layer));
    assert_true(gwl_secure_step(&layer));
    assert_int_equal(altcp_sndbuf(conn), GWL_SECURE_OUT);
    assert_int_equal(altcp_write(conn, bytes, sizeof bytes, 0), ERR_MEM);
    assert_int_equal(altcp_write(conn, bytes, 0, 0), ERR_OK);
    assert_int_equal(altcp_write(conn, bytes, GWL_SECURE_OUT, 0), ERR_OK);
    assert_int_equal(altcp_sndbuf(conn), 0);
    assert_int_equal(altcp_write(conn, bytes, 1, 0), ERR_MEM);
    assert_int_equal(altcp_output(conn), ERR_OK);
    assert_int_equal(altcp_shutdown(conn, 1, 1), ERR_VAL); /* what is not there says so */
    assert_int_equal(altcp_close(conn), ERR_OK);
    assert_int_equal(upper.errors, 0);
    assert_null(layer.conn);
    assert_false(gwl_secure_step(&layer));
    lwipmem_fail = 1;
    assert_null(altcp_tls_new(&layer, 0));
}

static void test_polls(void **state)
{
    struct altcp_pcb *conn = layer_connected();

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        (void)gwl_secure_step(&layer);
        lwip_ms += 100;
    }
    assert_in_range(upper.polled, 9, 10); /* each second */
    altcp_poll(conn, NULL, 0);
    lwip_ms += 10000;
    (void)gwl_secure_step(&layer);
    assert_in_range(upper.polled, 9, 10);
    altcp_abort(conn);
    assert_int_equal(upper.errors, 1);
    assert_int_equal(upper.error, ERR_ABRT);
}

static void test_refused(void **state)
{
    static const uint8_t p[] = { 0x40, 2, 1, 2, 0x40, 2, 1, 2 };

    (void)state;
    for (unsigned turn = 0; turn < 2; turn++) {
        struct altcp_pcb *conn = layer_connected();
        broker_say(broker, p, sizeof p);
        upper.answer = ERR_MEM;
        for (unsigned i = 0; i < 5; i++) {
            assert_false(gwl_secure_step(&layer));
            assert_int_equal(broker->out_at, 4); /* nothing more is taken meanwhile */
        }
        assert_true(gwl_secure_busy(&layer));
        if (turn == 0) {
            upper.answer = ERR_OK;
            assert_true(gwl_secure_step(&layer));
            assert_true(gwl_secure_step(&layer));
            assert_int_equal(upper.received, 2);
        }
        assert_int_equal(altcp_close(conn), ERR_OK); /* frees what is refused */
    }
}

static void test_without_callbacks(void **state)
{
    static const uint8_t p[] = { 0x40, 2, 1, 2 };
    struct altcp_pcb *conn = layer_open();

    (void)state;
    altcp_recv(conn, NULL);
    altcp_sent(conn, NULL);
    altcp_poll(conn, NULL, 0);
    altcp_err(conn, NULL);
    assert_int_equal(altcp_connect(conn, IP4_ADDR_ANY, 7, NULL), ERR_OK);
    assert_true(gwl_secure_step(&layer));
    broker_say(broker, p, sizeof p);
    assert_int_equal(altcp_write(conn, "\xc0\0", 2, 0), ERR_OK);
    assert_true(gwl_secure_step(&layer));
    assert_int_equal(broker->pings, 1);
    assert_true(broker_heard(broker));
    broker->closes = true;
    assert_false(gwl_secure_step(&layer));
    assert_null(layer.conn);
    conn = layer_open();
    altcp_err(conn, NULL);
    altcp_abort(conn);
    assert_null(layer.conn);
}

/* What the callbacks do to the connection, in each of them. */
static void test_gone_in_callbacks(void **state)
{
    static const uint8_t p[] = { 0x40, 2, 1, 2 };

    (void)state;
    for (unsigned turn = 0; turn < 10; turn++) {
        struct altcp_pcb *conn = layer_open();
        assert_int_equal(altcp_connect(conn, IP4_ADDR_ANY, 7, up_connected), ERR_OK);
        broker->closes = false;
        if (turn >= 2) {
            assert_true(gwl_secure_step(&layer));
        }
        upper.act = turn % 2 == 0 ? CLOSE : ABORT;
        switch (turn / 2) {
        case 1: assert_int_equal(altcp_write(conn, "\xc0\0", 2, 0), ERR_OK); break;
        case 2: lwip_ms += 1000; break;
        case 3: broker_say(broker, p, sizeof p); break;
        case 4: broker->closes = true; break;
        default: break;
        }
        assert_false(gwl_secure_step(&layer));
        assert_null(layer.conn);
        assert_false(broker->connected);
        assert_int_equal(upper.errors, turn % 2);
        assert_null(layer.refused);
        assert_false(gwl_secure_step(&layer));
    }
}

/* The other side has closed, the callback was told and keeps the connection for now. */
static void test_ended(void **state)
{
    struct altcp_pcb *conn = layer_connected();

    (void)state;
    broker->closes = true;
    assert_false(gwl_secure_step(&layer));
    assert_int_equal(upper.ended, 1);
    assert_false(gwl_secure_step(&layer));
    assert_int_equal(upper.ended, 1);
    assert_int_equal(layer.error, GW_ERR_TRANSPORT);
    assert_int_equal(altcp_write(conn, "x", 1, 0), ERR_CONN);
    assert_int_equal(altcp_close(conn), ERR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    lwip_ms = UINT32_MAX - 2000; /* the clock goes over soon */
    const struct CMUnitTest tests[] = {
        TEST(test_rules),
        TEST(test_polls),
        TEST(test_refused),
        TEST(test_without_callbacks),
        TEST(test_gone_in_callbacks),
        TEST(test_ended),
    };

    lwip_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
