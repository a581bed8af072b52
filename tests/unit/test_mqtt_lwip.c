/*
 * test_mqtt_lwip.c - lwIP's MQTT client over a stream of ours, with a broker that the test is: every packet in every
 * split, every call made to fail, nonsense of every kind, and time.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lwip/altcp_tls.h>
#include <lwip/init.h>
#include <lwip/pbuf.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>

#include "broker.h"
#include "ports/lwip/mqtt_object.h"

#define SAID_MAX 40u
#define ID48 "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ-_"

/* ---- The user ---------------------------------------------------------------------------------------------------- */

static struct broker *broker;
static struct gwl_mqtt *mqtt; /* on the heap, of its exact size */
static struct gwl_mqtt_config config;
static struct {
    unsigned messages, changes, connections;
    int last;                  /* what changed() said */
    uint8_t text[SAID_MAX][GWC_NOTIFY_MAX];
    size_t n[SAID_MAX];
    uint32_t random;
    bool close_in_message, close_in_change;
} user;

static void on_message(void *ctx, struct gw_span bytes)
{
    assert_ptr_equal(ctx, &user);
    assert_true(bytes.n <= GWC_NOTIFY_MAX && user.messages < SAID_MAX);
    memcpy(user.text[user.messages], bytes.p, bytes.n);
    user.n[user.messages++] = bytes.n;
    if (user.close_in_message) {
        gwl_mqtt_close(mqtt);
    }
}

static void on_changed(void *ctx, int status)
{
    assert_ptr_equal(ctx, &user);
    assert_int_equal(gwl_mqtt_connected(mqtt), status == GW_OK);
    user.changes++;
    user.connections += status == GW_OK;
    user.last = status;
    if (user.close_in_change) {
        gwl_mqtt_close(mqtt);
    }
}

static uint32_t any(void *ctx)
{
    assert_ptr_equal(ctx, &user);
    return user.random;
}

static uint32_t now_ms(void *ctx)
{
    assert_ptr_equal(ctx, &user);
    return lwip_ms;
}

static int set_up_id(const char *id)
{
    memset(&user, 0, sizeof user);
    lwipmem_fail = 0;
    broker = malloc(sizeof *broker);
    mqtt = malloc(sizeof *mqtt);
    assert_true(broker != NULL && mqtt != NULL);
    broker_open(broker);
    config = (struct gwl_mqtt_config){ .secure = &broker->secure, .host = "broker.test", .port = 8883, .id = id,
                                       .message = on_message, .changed = on_changed, .random = any,
                                       .now_ms = now_ms, .ctx = &user };
    return gwl_mqtt_init(mqtt, &config);
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(set_up_id("dev1"), GW_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gwl_mqtt_close(mqtt);
    assert_null(mqtt->secure.conn);
    assert_false(broker->connected);
    free(mqtt);
    free(broker);
    return 0;
}

static uint32_t step(void)
{
    uint32_t wait_ms = UINT32_MAX;

    gwl_mqtt_step(mqtt, &wait_ms);
    assert_true(wait_ms <= 120000);
    return wait_ms;
}

/* So many ms go by, with steps when they are due. */
static void run(uint32_t ms)
{
    const uint32_t begin = lwip_ms;

    for (;;) {
        uint32_t wait_ms = step(), rest = ms - (lwip_ms - begin);
        sys_check_timeouts();
        wait_ms = wait_ms > 0 ? wait_ms : 1;
        wait_ms = wait_ms > 1000 ? 1000 : wait_ms; /* lwIP's timers */
        if (wait_ms >= rest) {
            lwip_ms += rest;
            return;
        }
        lwip_ms += wait_ms;
    }
}

static void come_up(void)
{
    for (unsigned i = 0; i < 4000 && !gwl_mqtt_connected(mqtt); i++) {
        run(1);
    }
    assert_true(gwl_mqtt_connected(mqtt));
}

static void hear(void)
{
    for (unsigned i = 0; i < 20000 && !broker_heard(broker); i++) {
        run(1);
    }
    assert_true(broker_heard(broker));
    run(2);
}

static bool report(uint8_t with, size_t n)
{
    uint8_t *p = malloc(n);

    assert_non_null(p);
    memset(p, with, n);
    bool sent = gwl_mqtt_report(mqtt, p, n);
    free(p);
    return sent;
}

static void expect_report(uint8_t with, size_t n)
{
    assert_int_equal(broker->report_n, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(broker->report[i], with);
    }
}

static void expect_message(unsigned i, const char *text)
{
    assert_int_equal(user.n[i], strlen(text));
    assert_memory_equal(user.text[i], text, user.n[i]);
}

/* ---- As it should be --------------------------------------------------------------------------------------------- */

static void test_connects(void **state)
{
    (void)state;
    assert_int_equal(broker->calls, 0);
    assert_false(gwl_mqtt_connected(mqtt));
    assert_false(report(1, 1));
    come_up();
    assert_int_equal(user.changes, 1);
    assert_int_equal(user.last, GW_OK);
    assert_string_equal(broker->host, "broker.test");
    assert_int_equal(broker->port, 8883);
    assert_int_equal(broker->peer, GWC_PEER_OWN);
    assert_string_equal(broker->id, "dev1");
    assert_string_equal(broker->user, "dev1");
    assert_string_equal(broker->subscribed, "godwit/dev1/notify");
    assert_int_equal(broker->keep_alive, 60);
    gwl_mqtt_close(mqtt);
    assert_int_equal(broker->goodbyes, 1);
    assert_int_equal(user.changes, 1); /* it was our own will */
    come_up();
    assert_int_equal(broker->connects, 2);
}

/* All that a good broker says, once. */
static void life(const char *id)
{
    char topic[96], longest[GWC_NOTIFY_MAX + 1] = "";
    uint8_t large[900] = { 0 };
    unsigned reports = broker->reports;

    come_up();
    user.messages = 0;
    sprintf(topic, "godwit/%s/notify", id);
    assert_string_equal(broker->subscribed, topic);
    memset(longest, 'l', sizeof longest - 1);
    broker_publish(broker, topic, "look", 4);
    broker_publish(broker, topic, longest, sizeof longest - 1);
    broker_publish(broker, topic, large, sizeof longest);
    broker_publish(broker, topic, large, sizeof large);
    broker_publish(broker, topic, "", 0);
    broker_publish(broker, "godwit/dev/notify", "other", 5);
    broker_publish(broker, "godwit/other-device/notify/and/a/long/tail", large, 200);
    broker_publish(broker, "", "none", 4);
    broker_publish(broker, topic, "taken 0123456789abcdef", 22);
    hear();
    assert_int_equal(user.messages, 4);
    expect_message(0, "look");
    expect_message(1, longest);
    expect_message(2, "");
    expect_message(3, "taken 0123456789abcdef");
    for (unsigned i = 1; i <= 3; i++) {
        assert_true(report((uint8_t)i, i * GW_REPORT_MAX / 3));
        for (unsigned n = 0; n < 4000 && broker->reports < reports + i; n++) {
            run(1);
        }
        assert_int_equal(broker->reports, reports + i);
        expect_report((uint8_t)i, i * GW_REPORT_MAX / 3);
        sprintf(topic, "godwit/%s/report", id);
        assert_string_equal(broker->topic, topic);
        hear();
    }
    assert_null(mqtt->client.pend_req_queue); /* the PUBACKs were seen */
    assert_true(gwl_mqtt_connected(mqtt));
}

static void test_life_in_pieces(void **state)
{
    static const size_t pieces[] = { 0, 1, 2, 3, 4, 5, 7, 17, 64, 65, 128, 131, 135, 136, 300 };

    (void)state;
    tear_down(NULL);
    for (size_t i = 0; i < 2 * sizeof pieces / sizeof pieces[0]; i++) {
        const char *id = i % 3 == 0 ? ID48 : "d";
        assert_int_equal(set_up_id(id), GW_OK);
        broker->piece = pieces[i / 2];
        broker->again = i % 2 == 1;
        life(id);
        tear_down(NULL);
    }
    set_up(NULL);
}

/* What is before the zero is ours, but the topic is not. */
static void test_zero_in_topic(void **state)
{
    static const uint8_t p[] = "\x30\x18\0\x14godwit/dev1/notify\0xyz";

    (void)state;
    come_up();
    broker_say(broker, p, 26);
    broker_publish(broker, "godwit/dev1/notify", "x", 1);
    hear();
    assert_int_equal(user.messages, 1);
    expect_message(0, "x");
}

static void test_harmless(void **state)
{
    static const uint8_t p[] = { 0x40, 2, 0x12, 0x34,       /* PUBACK of nothing */
                                 0x90, 3, 0x12, 0x34, 0,    /* SUBACK of nothing */
                                 0x90, 3, 0x12, 0x34, 0x80,
                                 0xd0, 0,                   /* PINGRESP that was not asked for */
                                 0x20, 2, 0, 0, 0x20, 2, 1, 0, /* CONNACK, once more and once more */
                                 0x31, 6, 0, 1, 'x', 'y', 'z', '.', /* retained */
                                 0x30, 0x80 + 4, 0, 0, 1, 'x', 'y' }; /* a length that is longer than it has to be */

    (void)state;
    come_up();
    broker_say(broker, p, sizeof p);
    broker_publish(broker, "godwit/dev1/notify", "x", 1);
    hear();
    assert_int_equal(user.messages, 1);
    assert_int_equal(user.changes, 1);
    assert_true(report(1, 10));
    run(20);
    assert_int_equal(broker->reports, 1);
}

/* ---- As it should not -------------------------------------------------------------------------------------------- */

static const struct {
    size_t n;
    uint8_t p[12];
} nonsense[] = {
    /* no such packet */
    { 2, { 0, 0 } },
    /* what only clients send */
    { 4, { 0x10, 2, 0, 0 } }, { 4, { 0x82, 2, 0, 1 } }, { 2, { 0xc0, 0 } }, { 2, { 0xe0, 0 } }, { 2, { 0xf0, 0 } },
    /* PUBREC, PUBREL, PUBCOMP, UNSUBACK: nothing of ours */
    { 4, { 0x50, 2, 0, 1 } }, { 4, { 0x62, 2, 0, 1 } }, { 4, { 0x70, 2, 0, 1 } }, { 4, { 0xb0, 2, 0, 1 } },
    /* flags */
    { 4, { 0x21, 2, 0, 0 } }, { 4, { 0x4f, 2, 0, 1 } }, { 2, { 0xd1, 0 } },
    /* lengths */
    { 2, { 0x20, 0 } }, { 3, { 0x20, 1, 0 } }, { 5, { 0x20, 3, 0, 0, 0 } }, { 3, { 0x40, 1, 1 } }, { 2, { 0x40, 0 } },
    { 4, { 0x90, 2, 0, 1 } }, { 6, { 0x90, 4, 0, 1, 0, 0 } }, { 3, { 0xd0, 1, 0 } },
    /* number 0 */
    { 4, { 0x40, 2, 0, 0 } }, { 5, { 0x90, 3, 0, 0, 0 } },
    /* PUBLISH without a topic */
    { 2, { 0x30, 0 } }, { 3, { 0x30, 1, 0 } },
    /* topics that end behind it */
    { 4, { 0x30, 2, 0, 1 } }, { 6, { 0x30, 4, 0, 3, 'x', 'y' } }, { 6, { 0x30, 4, 0xff, 0xff, 'x', 'y' } },
    /* QoS 1, 2, 3; sent again */
    { 8, { 0x32, 6, 0, 2, 'x', 'y', 0, 1 } }, { 8, { 0x34, 6, 0, 2, 'x', 'y', 0, 1 } },
    { 8, { 0x36, 6, 0, 2, 'x', 'y', 0, 1 } }, { 6, { 0x38, 4, 0, 2, 'x', 'y' } },
    /* 1023 bytes and the head: too long */
    { 3, { 0x30, 0xff, 0x07 } }, { 3, { 0x30, 0xff, 0x7f } },
    /* lengths that go on */
    { 4, { 0x30, 0x80, 0x80, 0x01 } }, { 5, { 0x30, 0xff, 0xff, 0xff, 0x7f } },
    { 12, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } },
    { 12, { 'H', 'T', 'T', 'P', '/', '1', '.', '1', ' ', '4', '0', '0' } },
};

/* Before CONNACK, before SUBACK, or when all is well; and afterwards all is well again. */
static void meet_nonsense(size_t i, unsigned when, size_t piece)
{
    broker->piece = piece;
    broker->mute = when == 0;
    broker->no_suback = when == 1;
    if (when == 2) {
        come_up();
    } else {
        run(300);
    }
    unsigned connects = broker->connects;
    broker_say(broker, nonsense[i].p, nonsense[i].n);
    run(100);
    if (broker->connected || user.last != GW_ERR_TRANSPORT) {
        fail_msg("nonsense %zu at %u in pieces of %zu passed", i, when, piece);
    }
    assert_int_equal(broker->connects, connects);
    assert_int_equal(user.messages, 0);
    broker->mute = broker->no_suback = false;
    come_up();
}

static void test_nonsense(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
        for (unsigned when = 0; when < 3; when++) {
            for (size_t piece = 0; piece < 3; piece++) {
                tear_down(NULL);
                set_up(NULL);
                meet_nonsense(i, when, piece);
            }
        }
    }
}

static void test_refused(void **state)
{
    static const uint8_t codes[] = { 1, 2, 3, 4, 5, 6, 0x80, 0xff };

    (void)state;
    for (size_t i = 0; i < sizeof codes; i++) {
        tear_down(NULL);
        set_up(NULL);
        broker->connack = codes[i];
        run(100);
        assert_int_equal(user.last, GW_ERR_TRANSPORT);
        assert_int_equal(user.changes, 1);
        assert_false(broker->connected);
        broker->connack = 0;
        broker->suback = codes[i] | 0x80; /* the list of who may read what forbids it */
        run(1100);
        assert_int_equal(broker->subscribes, 1);
        assert_int_equal(user.last, GW_ERR_TRANSPORT);
        assert_int_equal(user.changes, 2);
        broker->suback = 0;
        come_up();
    }
}

/* Longer than its own memory, many times over: nothing is kept. */
static void test_floods(void **state)
{
    uint8_t large[1000] = { 0 };

    (void)state;
    come_up();
    for (unsigned i = 0; i < 200; i++) {
        broker->out_n = broker->out_at = 0;
        for (unsigned n = 0; n < 14; n++) {
            broker_publish(broker, "godwit/dev1/notify", large, sizeof large - n);
        }
        broker_publish(broker, "x", large, 60);
        hear();
    }
    assert_int_equal(user.messages, 0);
    broker_publish(broker, "godwit/dev1/notify", "x", 1);
    hear();
    assert_int_equal(user.messages, 1);
    assert_int_equal(user.changes, 1);
}

static void test_closes(void **state)
{
    (void)state;
    come_up();
    broker_publish(broker, "godwit/dev1/notify", "last", 4);
    broker->closes = true;
    run(100);
    assert_int_equal(user.messages, 1);
    assert_int_equal(user.last, GW_ERR_TRANSPORT);
    run(1000); /* and every time, before it says a word */
    assert_true(user.changes > 2);
    broker->closes = false;
    come_up();
}

/* ---- Every call fails -------------------------------------------------------------------------------------------- */

static void test_every_call_fails(void **state)
{
    static const int errors[] = { GW_ERR_TRANSPORT, GW_ERR_TLS, GW_ERR_CERT_UNKNOWN, GW_ERR_CERT_EXPIRED,
                                  GW_ERR_CERT_NAME };
    unsigned at, most;

    (void)state;
    life("dev1");
    most = broker->calls;
    assert_true(most > 40);
    for (at = 1; at <= most; at++) {
        tear_down(NULL);
        set_up(NULL);
        broker->fail_at = at;
        broker->fail_with = errors[at % 5];
        for (unsigned i = 0; i < 500 && user.last == GW_OK; i++) {
            run(1);
            if (user.connections > 0 && i % 50 == 0) {
                broker_publish(broker, "godwit/dev1/notify", "look", 4);
                (void)report(7, 400);
            }
        }
        assert_int_equal(user.last, broker->fail_with);
        assert_false(broker->connected);
        run(900);
        assert_int_equal(user.last, broker->fail_with); /* it waits a second */
        life("dev1");
    }
}

/* Not those of timers: on a board they have a pool of their own, and mqtt.c looks after its size when it is built. */
static void test_memory_fails(void **state)
{
    (void)state;
    lwipmem_fail = 1;
    (void)step(); /* no connection */
    assert_int_equal(lwipmem_fail, 0);
    assert_int_equal(user.last, GW_ERR_TRANSPORT);
    come_up();
    for (unsigned at = 1; at < 12; at++) {
        user.messages = 0;
        lwipmem_fail = at;
        for (unsigned i = 0; i < 48; i++) {
            if (i < 12) {
                broker_publish(broker, "godwit/dev1/notify", "look", 4);
            }
            (void)step();
        }
        assert_int_equal(lwipmem_fail, 0);
        assert_int_equal(user.messages, 12); /* a packet without memory waits; nothing is lost */
    }
    assert_int_equal(user.changes, 2);
    life("dev1");
}

/* ---- Time -------------------------------------------------------------------------------------------------------- */

/* One failure: how long until the next try, in ms. */
static uint32_t pause_of(void)
{
    for (unsigned changes = user.changes; user.changes == changes;) {
        run(1);
    }
    const uint32_t failed = lwip_ms;
    for (unsigned calls = broker->calls; broker->calls == calls;) {
        run(1);
    }
    return lwip_ms - failed;
}

static void test_pauses(void **state)
{
    static const uint32_t longest[] = { 1000, 2000, 4000, 8000, 16000, 32000, 64000, 120000, 120000, 120000 };

    (void)state;
    for (unsigned turn = 0; turn < 3; turn++) {
        tear_down(NULL);
        set_up(NULL);
        broker->connack = 5;
        for (size_t i = 0; i < sizeof longest / sizeof longest[0]; i++) {
            user.random = turn == 2 ? (uint32_t)(i * 2654435761u) : turn * (longest[i] / 4);
            uint32_t pause = pause_of(), less = longest[i] - longest[i] / 4;
            assert_in_range(pause, turn == 0 ? longest[i] - 2 : less - 2, turn == 1 ? less + 2 : longest[i] + 2);
        }
    }
    broker->connack = 0;
    come_up();
    broker->connack = 5;
    broker->closes = true; /* at once after it was let in: that was no success */
    assert_in_range(pause_of(), 90000, 120002);
    broker->closes = false;
    broker->connack = 0;
    come_up();
    run(70000);
    broker->closes = true;
    broker->connack = 5;
    assert_in_range(pause_of(), 700, 1002); /* it stood for a while */
}

static void test_nobody_answers(void **state)
{
    (void)state;
    for (unsigned turn = 0; turn < 3; turn++) {
        tear_down(NULL);
        set_up(NULL);
        broker->absent = turn == 0;
        broker->mute = turn == 1;
        broker->no_suback = turn == 2;
        run(turn == 2 ? 25000 : 59000);
        assert_int_equal(user.changes, 0);
        run(turn == 2 ? 40000 : 3000);
        assert_true(user.changes > 0);
        assert_int_equal(user.last, GW_ERR_TIMEOUT);
        broker->absent = broker->mute = broker->no_suback = false;
        run(70000); /* a try may be under way that nobody answers */
        assert_true(gwl_mqtt_connected(mqtt));
    }
}

static void test_keeps_alive(void **state)
{
    (void)state;
    come_up();
    run(59000);
    assert_int_equal(broker->pings, 0);
    run(10000);
    assert_int_equal(broker->pings, 1);
    run(3600000);
    assert_in_range(broker->pings, 50, 62);
    assert_int_equal(user.changes, 1);
    assert_int_equal(broker->connects, 1);
}

static void test_falls_silent(void **state)
{
    (void)state;
    come_up();
    broker->no_pong = true;
    run(90000);
    assert_int_equal(broker->pings, 1);
    assert_true(gwl_mqtt_connected(mqtt));
    run(10700);
    assert_int_equal(user.last, GW_ERR_TIMEOUT);
    come_up();
    run(1000);
    broker->deaf = true; /* pings go nowhere */
    run(99700);
    assert_int_equal(user.last, GW_ERR_TIMEOUT);
    broker->deaf = false;
    come_up();
}

/* Packets that never end do not count as life. */
static void test_trickles(void **state)
{
    static const uint8_t head[] = { 0x30, 0x80 + 100, 7, 0, 1, 'x' };

    (void)state;
    come_up();
    broker->no_pong = true;
    broker_say(broker, head, sizeof head);
    for (unsigned i = 0; i < 100 && user.last == GW_OK; i++) {
        broker_say(broker, "z", 1);
        run(1000 + 50);
    }
    assert_int_equal(user.last, GW_ERR_TIMEOUT);
}

/* ---- Reports ----------------------------------------------------------------------------------------------------- */

static void test_reports_wait(void **state)
{
    (void)state;
    come_up();
    assert_false(report(1, GW_REPORT_MAX + 1));
    broker->deaf = true;
    assert_true(report(1, GW_REPORT_MAX));
    run(100);
    assert_int_equal(broker->reports, 0);
    assert_true(report(2, 300)); /* 256 bytes of the first are out of the ring */
    assert_false(report(3, 300));
    assert_true(report(4, 1));
    assert_false(report(4, 100));
    broker->deaf = false;
    for (unsigned i = 0; i < 100 && broker->reports == 0; i++) {
        (void)step();
    }
    expect_report(1, GW_REPORT_MAX);
    run(2000);
    assert_int_equal(broker->reports, 3);
    expect_report(4, 1);
    for (size_t n = 1; n <= GW_REPORT_MAX; n++) { /* the ring goes round and round */
        assert_true(report((uint8_t)n, n));
        unsigned reports = broker->reports;
        run(n % 7 == 0 ? 1500 : 20);
        assert_int_equal(broker->reports, reports + 1);
        expect_report((uint8_t)n, n);
    }
    assert_int_equal(user.changes, 1);
}

/* Every fill of the ring: never so full that it looks empty. */
static void test_ring_is_never_full(void **state)
{
    (void)state;
    for (size_t n = 1; n <= GW_REPORT_MAX; n++) {
        unsigned sent = 1;
        tear_down(NULL);
        assert_int_equal(set_up_id(ID48), GW_OK);
        come_up();
        broker->deaf = true;
        assert_true(report(1, n));
        run(10); /* the same bytes are offered again, although more come */
        for (size_t more = GW_REPORT_MAX; more > 0 && sent < 4; more--) {
            sent += report(2, more);
        }
        run(65000); /* and a ping */
        broker->deaf = false;
        run(3000);
        assert_int_equal(broker->reports, sent);
        assert_int_equal(broker->pings, 1);
        assert_int_equal(user.changes, 1);
    }
}

static void test_no_puback(void **state)
{
    (void)state;
    come_up();
    broker->no_puback = true;
    for (unsigned i = 0; i < MQTT_REQ_MAX_IN_FLIGHT; i++) {
        assert_true(report(1, 10));
        run(20);
    }
    assert_false(report(1, 10));
    assert_int_equal(broker->reports, MQTT_REQ_MAX_IN_FLIGHT);
    run(40000); /* lwIP gives up waiting; the courier has long gone another way */
    assert_true(report(1, 10));
    run(20);
    assert_int_equal(broker->reports, MQTT_REQ_MAX_IN_FLIGHT + 1);
    assert_int_equal(user.changes, 1);
}

/* ---- Closed from within ------------------------------------------------------------------------------------------ */

static void test_close_in_callbacks(void **state)
{
    (void)state;
    come_up();
    user.close_in_message = true;
    broker_publish(broker, "godwit/dev1/notify", "one", 3);
    broker_publish(broker, "godwit/dev1/notify", "two", 3);
    for (unsigned i = 0; i < 10 && user.messages == 0; i++) {
        (void)step();
    }
    assert_false(gwl_mqtt_connected(mqtt));
    assert_false(broker->connected);
    assert_int_equal(broker->goodbyes, 1);
    user.close_in_message = false;
    user.close_in_change = true;
    for (unsigned i = 0; i < 10; i++) {
        unsigned changes = user.changes;
        broker->connack = i < 5 ? 0 : 3;
        while (user.changes == changes) {
            (void)step();
        }
        assert_false(broker->connected);
        assert_int_equal(broker->goodbyes, i < 5 ? 2 + i : 6);
    }
    user.close_in_change = false;
    broker->connack = 0;
    come_up();
}

static void test_close_at_any_time(void **state)
{
    (void)state;
    for (unsigned steps = 0; steps < 40; steps++) {
        for (unsigned i = 0; i < steps; i++) {
            (void)step();
            lwip_ms++;
        }
        gwl_mqtt_close(mqtt);
        gwl_mqtt_close(mqtt);
        assert_false(broker->connected);
        assert_false(gwl_mqtt_connected(mqtt));
    }
    life("dev1");
}

/* ---- Init -------------------------------------------------------------------------------------------------------- */

static void test_init(void **state)
{
    const struct gwl_mqtt_config all = config;
    struct gwc_secure whole = broker->secure;
    char host[GWC_HOST_MAX + 2];

    (void)state;
#define WITH(field, value, error)                                                                                      \
    do {                                                                                                               \
        config = all;                                                                                                  \
        config.field = value;                                                                                          \
        assert_int_equal(gwl_mqtt_init(mqtt, &config), error);                                                         \
    } while (0)
    WITH(secure, NULL, GW_ERR_CONFIG);
    WITH(host, NULL, GW_ERR_CONFIG);
    WITH(host, "", GW_ERR_CONFIG);
    WITH(port, 0, GW_ERR_CONFIG);
    WITH(id, NULL, GW_ERR_CONFIG);
    WITH(message, NULL, GW_ERR_CONFIG);
    WITH(random, NULL, GW_ERR_CONFIG);
    WITH(now_ms, NULL, GW_ERR_CONFIG);
    WITH(id, "", GW_ERR_VALUE);
    WITH(id, ID48 "x", GW_ERR_VALUE);
    WITH(id, ID48, GW_OK);
    WITH(changed, NULL, GW_OK);
    memset(host, 'h', sizeof host);
    host[GWC_HOST_MAX + 1] = 0;
    WITH(host, host, GW_ERR_VALUE);
    host[GWC_HOST_MAX] = 0;
#define WITHOUT(field)                                                                                                 \
    do {                                                                                                               \
        config = all;                                                                                                  \
        broker->secure.field = NULL;                                                                                   \
        assert_int_equal(gwl_mqtt_init(mqtt, &config), GW_ERR_CONFIG);                                                 \
        broker->secure = whole;                                                                                        \
    } while (0)
    WITHOUT(peer);
    WITHOUT(stream.connect);
    WITHOUT(stream.send);
    WITHOUT(stream.recv);
    WITHOUT(stream.close);
    config = all;
    config.changed = NULL; /* nobody wants to know */
    assert_int_equal(gwl_mqtt_init(mqtt, &config), GW_OK);
    broker->connack = 1;
    run(100);
    broker->connack = 0;
    come_up();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    lwip_ms = UINT32_MAX - 10000; /* the clock goes over soon */
    const struct CMUnitTest tests[] = {
        TEST(test_connects), TEST(test_life_in_pieces), TEST(test_zero_in_topic), TEST(test_harmless),
        TEST(test_nonsense), TEST(test_refused), TEST(test_floods), TEST(test_closes), TEST(test_every_call_fails),
        TEST(test_memory_fails), TEST(test_pauses), TEST(test_nobody_answers), TEST(test_keeps_alive),
        TEST(test_falls_silent), TEST(test_trickles), TEST(test_reports_wait), TEST(test_ring_is_never_full),
        TEST(test_no_puback), TEST(test_close_in_callbacks), TEST(test_close_at_any_time),
        TEST(test_init),
    };

    lwip_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
