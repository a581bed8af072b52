/*
 * test_fetch.c - the agent's transport against a server by script: SPEC.md, section 16, but for other hosts
 * (test_fetch_hosts.c); with waits at each call, failures at each call, and bytes that come one by one.
 */
#include "fetching.h"

/* ---- Offers ------------------------------------------------------------------------------------------------------ */

static void test_offer(void **state)
{
    struct gw_request r = offer();
    (void)state;

    wire_answer(&wire, OFFER, WIRE_STAYS);
    assert_int_equal(get(&r, 3), GW_OK);
    expect_body("offer");
    assert_string_equal(wire.sent, "GET /fleet/offers/1 HTTP/1.1\r\nUser-Agent: godwit\r\nHost: own\r\n\r\n");
    assert_string_equal(wire.host, "own");
    assert_int_equal(wire.port, 443);
    assert_int_equal(wire.peer, GWC_PEER_OWN);
    assert_true(wire.connected);
}

static void test_offer_unchanged(void **state)
{
    struct gw_request r = offer();
    (void)state;

    wire_answer(&wire, OFFER, WIRE_STAYS);
    wire_answer(&wire, OFFER, WIRE_STAYS);
    wire_answer(&wire, "HTTP/1.1 304 x\r\nETag: \"o1\"\r\n\r\n", WIRE_STAYS);
    wire_answer(&wire, "HTTP/1.1 304 x\r\n\r\n", WIRE_STAYS);
    assert_int_equal(get(&r, 100), GW_OK);
    assert_int_equal(get(&r, 100), GW_OK);
    assert_int_equal(wire_sent(&wire, "If-None-Match"), 0); /* only if it is welcome */
    r.unchanged_ok = true;
    assert_int_equal(get(&r, 100), GW_ERR_NOTHING);
    assert_int_equal(wire_sent(&wire, "If-None-Match: \"o1\"\r\n"), 1);
    assert_int_equal(wire.connects, 1);
    r.unchanged_ok = false;
    assert_int_equal(get(&r, 100), GW_ERR_HTTP_STATUS); /* it was not asked for */
    assert_int_equal(wire_sent(&wire, "If-None-Match"), 1);
}

/* What was not read to its end is not what is unchanged. */
static void test_offer_half_read(void **state)
{
    struct gw_request r = offer();
    uint8_t byte;
    size_t n;
    (void)state;

    wire_answer(&wire, OFFER, WIRE_STAYS);
    wire_answer(&wire, OFFER_HEAD "Content-Length: 5\r\n\r\nof", WIRE_STAYS);
    wire_answer(&wire, "HTTP/1.1 304 x\r\n\r\n", WIRE_STAYS);
    assert_int_equal(get(&r, 100), GW_OK);
    assert_int_equal(open_it(&r), GW_OK);
    assert_int_equal(t.read(t.ctx, &byte, 1, &n), GW_OK);
    t.close(t.ctx);
    assert_false(wire.connected); /* incomplete */
    r.unchanged_ok = true;
    assert_int_equal(get(&r, 100), GW_ERR_HTTP_STATUS);
    assert_int_equal(wire_sent(&wire, "If-None-Match"), 0);
}

static void test_offer_answers(void **state)
{
    struct gw_request r = offer();
    static const char *const errors[] = {
        EMPTY("301"), EMPTY("302"), MOVED("https://own/x"), EMPTY("400"), EMPTY("403"), EMPTY("404"), EMPTY("500"),
        EMPTY("503"), EMPTY("206"), "HTTP/1.1 304 x\r\n\r\n", EMPTY("201"), EMPTY("203"),
    };
    (void)state;

    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        assert_int_equal(one(errors[i], &r, false), GW_ERR_HTTP_STATUS);
    }
    assert_int_equal(one("HTTP/1.1 204 x\r\n\r\n", &r, true), GW_ERR_NOTHING);
    assert_int_equal(one("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\noffer\r\n0\r\n\r\n", &r, true),
                     GW_OK);
    expect_body("offer");
    assert_int_equal(one(EMPTY("200"), &r, true), GW_OK);
    expect_body("");
    assert_int_equal(one("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", &r, false), GW_ERR_HTTP);
    assert_int_equal(one("nonsense\r\n", &r, false), GW_ERR_HTTP);
    anew();
    wire_answer(&wire, "HTTP/1.1 200 OK\r\n\r\noffer", WIRE_CLOSES);
    assert_int_equal(get(&r, 2), GW_OK);
    expect_body("offer");
    assert_false(wire.connected);
    anew();
    wire_answer(&wire, OFFER_HEAD "Content-Length: 9\r\n\r\noffer", WIRE_CLOSES);
    assert_int_equal(get(&r, 100), GW_ERR_TRANSPORT);
}

static void test_offer_size(void **state)
{
    static const char *const heads[] = { "HTTP/1.1 200 x\r\n\r\n", "HTTP/1.1 200 x\r\nContent-Length: 8192\r\n\r\n",
                                         "HTTP/1.1 200 x\r\nContent-Length: 8193\r\n\r\n" };
    static char text[8400];
    struct gw_request r = offer();
    (void)state;

    r.longest = 100000;
    for (unsigned i = 0; i < 4; i++) {
        const char *head = heads[i == 3 ? 0 : i];
        size_t n = strlen(head) + (i < 2 ? 8192 : 8193);
        memset(text, 'o', sizeof text);
        memcpy(text, head, strlen(head));
        anew();
        wire_answer_bytes(&wire, text, n, WIRE_CLOSES);
        assert_int_equal(get(&r, 500), i < 2 ? GW_OK : GW_ERR_LIMIT);
        assert_int_equal(body_n, i == 2 ? 0 : 8192);
    }
    r.longest = 5;
    assert_int_equal(one(OFFER, &r, true), GW_OK);
    r.longest = 4;
    assert_int_equal(one(OFFER, &r, false), GW_ERR_LIMIT);
    assert_int_equal(one("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\noffer\r\n0\r\n\r\n", &r, false),
                     GW_ERR_LIMIT);
    assert_int_equal(body_n, 4);
}

/* ---- Payloads ---------------------------------------------------------------------------------------------------- */

static void test_ranges(void **state)
{
    struct gw_request o = offer(), r = range(0, 4), rest = range(4, 100);
    (void)state;

    wire_answer(&wire, OFFER, WIRE_STAYS);
    wire_answer(&wire, RANGE("0-3/10", "4", "0123"), WIRE_STAYS);
    wire_answer(&wire, RANGE("4-8/10", "5", "45678"), WIRE_STAYS); /* less than was asked for */
    assert_int_equal(get(&o, 100), GW_OK);
    assert_int_equal(get(&r, 100), GW_OK);
    expect_body("0123");
    assert_int_equal(get(&rest, 1), GW_OK);
    expect_body("45678");
    assert_int_equal(wire.connects, 1);
    assert_int_equal(wire_sent(&wire, "GET /fleet/payloads/" HEX " HTTP/1.1\r\n"), 2);
    assert_int_equal(wire_sent(&wire, "\r\nRange: bytes=0-3\r\n"), 1);
    assert_int_equal(wire_sent(&wire, "\r\nRange: bytes=4-9\r\n"), 1); /* never beyond the end */
    assert_int_equal(wire_sent(&wire, "If-None-Match"), 0);
}

static void test_range_answers(void **state)
{
    struct gw_request r = range(2, 4);
    static const char *const wrong[] = {
        STATUS("200"), STATUS("416"), RANGE("1-5/10", "5", "12345"), RANGE("3-5/10", "3", "345"),
        RANGE("2-6/10", "5", "23456"), RANGE("2-5/11", "4", "2345"), RANGE("2-5/9", "4", "2345"),
        RANGE("2-5/*", "4", "2345"), "HTTP/1.1 206 x\r\nContent-Length: 4\r\n\r\n2345",
        "HTTP/1.1 206 x\r\nContent-Type: multipart/byteranges; boundary=x\r\nContent-Length: 4\r\n\r\n2345",
    };
    static const char *const statuses[] = {
        "HTTP/1.1 204 x\r\n\r\n", "HTTP/1.1 304 x\r\n\r\n", STATUS("404"), STATUS("403"), STATUS("500"), STATUS("300"),
        STATUS("305"), STATUS("201"),
    };
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(one(wrong[i], &r, false), GW_ERR_RANGE);
        assert_int_equal(body_n, 0);
    }
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        assert_int_equal(one(statuses[i], &r, false), GW_ERR_HTTP_STATUS);
    }
    assert_int_equal(one(RANGE("2-5/10", "5", "2345"), &r, false), GW_ERR_HTTP);
    assert_int_equal(one(RANGE("2-5/10", "3", "234"), &r, false), GW_ERR_HTTP);
    assert_int_equal(one(RANGE("2-2/10", "1", "2"), &r, true), GW_OK);
    expect_body("2");
}

/* Bodies without a length, and chunked, as far as Content-Range says. */
static void test_range_lengths(void **state)
{
    static const char head[] = "HTTP/1.1 206 x\r\nContent-Range: bytes 2-5/10\r\n";
    static const struct {
        const char *rest;
        int error;
        bool kept;
    } cases[] = {
        { "\r\n2345", GW_OK, false },
        { "\r\n2345678", GW_OK, false },
        { "\r\n234", GW_ERR_TRANSPORT, false },
        { "Transfer-Encoding: chunked\r\n\r\n2\r\n23\r\n2\r\n45\r\n0\r\n\r\n", GW_OK, true },
        { "Transfer-Encoding: chunked\r\n\r\n5\r\n23456\r\n0\r\n\r\n", GW_ERR_HTTP, false },
        { "Transfer-Encoding: chunked\r\n\r\n3\r\n234\r\n0\r\n\r\n", GW_ERR_TRANSPORT, false },
        { "Transfer-Encoding: chunked\r\n\r\n4\r\n2345\r\n", GW_ERR_TRANSPORT, false },
    };
    struct gw_request r = range(2, 4);
    char text[300];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        anew();
        strcpy(text, head);
        strcat(text, cases[i].rest);
        wire_answer(&wire, text, cases[i].kept ? WIRE_STAYS : WIRE_CLOSES);
        assert_int_equal(get(&r, 3), cases[i].error);
        assert_int_equal(wire.connected, cases[i].kept);
        if (cases[i].error == GW_OK) {
            expect_body("2345");
        }
    }
}

static void test_etag(void **state)
{
    static const char other[] = "HTTP/1.1 206 x\r\nContent-Range: bytes 1-1/10\r\nETag: \"q\"\r\n"
                                "Content-Length: 1\r\n\r\n1";
    static const char none[] = "HTTP/1.1 206 x\r\nContent-Range: bytes 1-1/10\r\nContent-Length: 1\r\n\r\n1";
    struct gw_request first = range(0, 1), second = range(1, 1), another = range(1, 1);
    (void)state;

    for (unsigned i = 0; i < 2; i++) {
        anew();
        wire_answer(&wire, RANGE("0-0/10", "1", "0"), WIRE_STAYS);
        wire_answer(&wire, i == 0 ? other : none, WIRE_STAYS);
        wire_answer(&wire, i == 0 ? other : none, WIRE_STAYS);
        assert_int_equal(get(&first, 9), GW_OK);
        assert_int_equal(get(&second, 9), GW_ERR_RANGE);
        assert_int_equal(get(&second, 9), GW_OK); /* told once: from then on it is the new one */
    }
    another.digest[0] = 2; /* of another payload it may be another */
    anew();
    wire_answer(&wire, RANGE("0-0/10", "1", "0"), WIRE_STAYS);
    wire_answer(&wire, other, WIRE_STAYS);
    assert_int_equal(get(&first, 9), GW_OK);
    assert_int_equal(get(&another, 9), GW_OK);
}

/* ---- Connection -------------------------------------------------------------------------------------------------- */

static void test_stale(void **state)
{
    struct gw_request r = offer();
    (void)state;

    wire_answer(&wire, OFFER, WIRE_STAYS);
    wire_answer(&wire, "", WIRE_DROPS);
    wire_answer(&wire, OFFER, WIRE_STAYS);
    assert_int_equal(get(&r, 100), GW_OK);
    assert_int_equal(get(&r, 100), GW_OK); /* made anew, without a word */
    assert_int_equal(wire.connects, 2);
    assert_int_equal(wire.peers[1], GWC_PEER_OWN);
    anew();
    wire_answer(&wire, OFFER, WIRE_STAYS);
    wire_answer(&wire, "", WIRE_DROPS);
    wire_answer(&wire, "", WIRE_DROPS);
    assert_int_equal(get(&r, 100), GW_OK);
    assert_int_equal(get(&r, 100), GW_ERR_TRANSPORT); /* but once only */
    anew();
    wire_answer(&wire, "", WIRE_DROPS);
    wire_answer(&wire, OFFER, WIRE_STAYS);
    assert_int_equal(get(&r, 100), GW_ERR_TRANSPORT); /* and not one that is fresh */
    anew();
    wire_answer(&wire, OFFER, WIRE_STAYS);
    wire_answer(&wire, "H", WIRE_CLOSES);
    wire_answer(&wire, OFFER, WIRE_STAYS);
    assert_int_equal(get(&r, 100), GW_OK);
    assert_int_equal(get(&r, 100), GW_ERR_TRANSPORT); /* nor one that began to answer */
    anew();
    wire_answer(&wire, OFFER, WIRE_STAYS);
    wire_answer(&wire, "", WIRE_DROPS);
    wire_answer(&wire, EMPTY("200"), WIRE_STAYS);
    assert_int_equal(get(&r, 100), GW_OK);
    assert_int_equal(report("x"), GW_ERR_TRANSPORT); /* nor for reports */
    assert_int_equal(wire.connects, 1);
}

static void test_close(void **state)
{
    struct gw_request r = range(0, 4);
    uint8_t four[4];
    size_t n, got = 0;
    (void)state;

    /* complete without having read the end */
    wire_answer(&wire, RANGE("0-3/10", "4", "0123"), WIRE_STAYS);
    wire_answer(&wire, "HTTP/1.1 206 x\r\nContent-Range: bytes 0-3/10\r\nETag: \"p\"\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n0\r\n\r\n", WIRE_STAYS);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(open_it(&r), GW_OK);
        for (got = 0; got < 4; got += n) {
            assert_int_equal(t.read(t.ctx, four, 4, &n), GW_OK);
        }
        t.close(t.ctx);
        assert_true(wire.connected);
    }
    assert_int_equal(wire.connects, 1);
    t.close(t.ctx); /* nothing is open */
    assert_true(wire.connected);
    /* between head and body; before the head */
    anew();
    wire_answer(&wire, RANGE("0-3/10", "4", "0123"), WIRE_STAYS);
    assert_int_equal(open_it(&r), GW_OK);
    t.close(t.ctx);
    assert_false(wire.connected);
    assert_int_equal(t.open(t.ctx, &r), GW_ERR_AGAIN); /* there is no answer any more */
    assert_true(wire.connected);
    t.close(t.ctx);
    assert_false(wire.connected);
    gwc_fetch_end(&fetch);
}

static void test_anonymous(void **state)
{
    struct gw_request r = offer();
    (void)state;

    for (unsigned i = 0; i < 4; i++) {
        wire_answer(&wire, OFFER, WIRE_STAYS);
    }
    r.anonymous = true;
    assert_int_equal(get(&r, 100), GW_OK);
    assert_int_equal(get(&r, 100), GW_OK);
    assert_int_equal(wire.connects, 1);
    assert_int_equal(wire.peers[0], GWC_PEER_ANYBODY);
    r.anonymous = false; /* not over a connection that nobody checked */
    assert_int_equal(get(&r, 100), GW_OK);
    assert_int_equal(wire.connects, 2);
    assert_int_equal(wire.peers[1], GWC_PEER_OWN);
    assert_int_equal(report("x"), GW_OK);
    assert_int_equal(wire.connects, 2);
}

static void test_trust(void **state)
{
    static char pins[2 * (2 + 5 * 34) + 1];
    struct gw_request r = offer();
    (void)state;

    wire_answer(&wire, OFFER, WIRE_STAYS);
    wire_answer(&wire, OFFER, WIRE_STAYS);
    assert_int_equal(get(&r, 100), GW_OK);
    trust_hosts(CDN, "82" "5820" HEX "5820" "0202020202020202020202020202020202020202020202020202020202020202");
    assert_false(wire.connected); /* what is trusted from now on was not asked when it was made */
    assert_int_equal(wire.now, 77);
    assert_int_equal(wire.pin_count, 2);
    assert_true(wire.pins[0][0] == 1 && wire.pins[0][31] == 1 && wire.pins[1][31] == 2);
    assert_int_equal(wire.roots_n, 0);
    trust_all("", "", "82" "41aa" "42bbcc");
    assert_int_equal(wire.pin_count, 0);
    assert_int_equal(wire.roots_n, 6);
    assert_memory_equal(wire.roots, "\x82\x41\xaa\x42\xbb\xcc", 6);
    trust_hosts("", "");
    assert_int_equal(wire.roots_n, 0); /* those that the TLS layer was made with, again */
    struct gw_transport_trust nobody = { NULL, 5 };
    assert_int_equal(t.trust(t.ctx, &nobody), GW_OK);
    assert_int_equal(wire.now, 5);
    /* more than fits */
    strcpy(pins, "85");
    for (unsigned i = 0; i < 5; i++) {
        strcat(pins, "5820" HEX);
    }
    struct t_bytes b = t_hex(pins);
    uint8_t hosts[GWC_HOSTS_SIZE + 1] = { 0x82, 0x79, 0, 0xfd };
    struct gw_trust many = { .pins = { b.p, b.n } }, wide = { .hosts = { hosts, sizeof hosts } };
    struct gw_transport_trust told = { &many, 1 };
    assert_int_equal(t.trust(t.ctx, &told), GW_ERR_LIMIT);
    told.trust = &wide;
    assert_int_equal(t.trust(t.ctx, &told), GW_ERR_LIMIT);
    t_free(&b);
    assert_int_equal(open_it(&r), GW_OK);
    assert_int_equal(t.trust(t.ctx, &nobody), GW_ERR_STATE);
}

/* ---- Reports ----------------------------------------------------------------------------------------------------- */

static void test_report(void **state)
{
    static const struct {
        const char *answer;
        int error;
    } cases[] = {
        { EMPTY("200"), GW_OK },        { EMPTY("201"), GW_OK },
        { EMPTY("299"), GW_OK },        { "HTTP/1.1 204 x\r\n\r\n", GW_OK },
        { EMPTY("400"), GW_ERR_VALUE }, { EMPTY("403"), GW_ERR_VALUE }, { EMPTY("409"), GW_ERR_VALUE },
        { EMPTY("499"), GW_ERR_VALUE }, { EMPTY("408"), GW_ERR_HTTP_STATUS }, { EMPTY("425"), GW_ERR_HTTP_STATUS },
        { EMPTY("429"), GW_ERR_HTTP_STATUS }, { EMPTY("500"), GW_ERR_HTTP_STATUS },
        { EMPTY("503"), GW_ERR_HTTP_STATUS },
        { EMPTY("302"), GW_ERR_HTTP_STATUS }, { MOVED("https://own/x"), GW_ERR_HTTP_STATUS }, { "x\r\n", GW_ERR_HTTP },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        anew();
        wire.again = i % 2 != 0;
        wire.piece = i % 3;
        wire_answer(&wire, cases[i].answer, WIRE_STAYS);
        assert_int_equal(report("12345"), cases[i].error);
        assert_string_equal(wire.sent, "POST /fleet/device/v1/report HTTP/1.1\r\nUser-Agent: godwit\r\nHost: own\r\n"
                                       "Content-Type: application/cose\r\nContent-Length: 5\r\n\r\n12345");
        assert_int_equal(wire.connected, cases[i].error != GW_ERR_HTTP);
    }
    assert_int_equal(t.report(t.ctx, (const uint8_t *)"", 0), GW_ERR_VALUE);
}

static void test_report_order(void **state)
{
    struct gw_request r = offer();
    (void)state;

    wire_answer(&wire, OFFER, WIRE_STAYS);
    wire_answer(&wire, STATUS("200"), WIRE_STAYS);
    wire_answer(&wire, EMPTY("200"), WIRE_STAYS);
    assert_int_equal(open_it(&r), GW_OK);
    assert_int_equal(report("x"), GW_ERR_STATE); /* a request is open */
    t.close(t.ctx);
    anew();
    wire_answer(&wire, STATUS("200"), WIRE_STAYS);
    wire_answer(&wire, EMPTY("200"), WIRE_STAYS);
    assert_int_equal(report("x"), GW_OK);
    assert_false(wire.connected); /* a body that nobody wants to read */
    wire.again = true;
    assert_int_equal(t.report(t.ctx, (const uint8_t *)"x", 1), GW_ERR_AGAIN);
    assert_int_equal(t.open(t.ctx, &r), GW_ERR_STATE);
    assert_int_equal(report("x"), GW_OK);
}

/* ---- Time, failures, pieces -------------------------------------------------------------------------------------- */

static void test_stall(void **state)
{
    struct gw_request r = offer(), p = range(0, 4);
    uint8_t byte;
    size_t n;
    (void)state;

    clock_step = 100; /* each look at the clock */
    assert_int_equal(open_it(&r), GW_ERR_TIMEOUT);
    assert_in_range(wire.calls, 10, 20);
    t.close(t.ctx);
    assert_false(wire.connected);
    wire_answer(&wire, RANGE("0-3/10", "4", "01"), WIRE_STAYS);
    assert_int_equal(open_it(&p), GW_OK);
    assert_int_equal(t.read(t.ctx, &byte, 1, &n), GW_OK);
    clock_ms += 1000000; /* the caller took a rest: that is no stall */
    assert_int_equal(t.read(t.ctx, &byte, 1, &n), GW_OK);
    clock_ms += 1000000;
    unsigned vain = 0;
    int error;
    while ((error = t.read(t.ctx, &byte, 1, &n)) == GW_ERR_AGAIN) {
        vain++;
    }
    assert_int_equal(error, GW_ERR_TIMEOUT);
    assert_int_equal(vain, 10);
    t.close(t.ctx);
    /* slow, but never silent for long */
    anew();
    clock_step = 900;
    wire.again = true;
    wire.piece = 1;
    wire_answer(&wire, OFFER, WIRE_STAYS);
    assert_int_equal(get(&r, 1), GW_OK);
    expect_body("offer");
    anew();
    config.timeout_ms = 0;
    clock_step = 1000;
    assert_int_equal(open_it(&r), GW_ERR_TIMEOUT);
    assert_in_range(wire.calls, 30, 40);
}

static int session(void)
{
    struct gw_request o = offer(), r = range(0, 5), rest = range(5, 5);
    int error;

    trust_hosts(CDN, "");
    error = get(&o, 3);
    error = error == GW_OK ? get(&r, 3) : error;
    error = error == GW_OK ? get(&rest, 3) : error;
    if (error == GW_OK) {
        expect_body("56789");
        error = report("report");
    }
    return error;
}

static void script(void)
{
    wire_answer(&wire, OFFER, WIRE_STAYS);
    wire_answer(&wire, MOVED("https://cdn/x"), WIRE_STAYS);
    wire_answer(&wire, RANGE("0-4/10", "5", "01234"), WIRE_STAYS);
    wire_answer(&wire, RANGE("5-9/10", "5", "56789"), WIRE_STAYS);
    wire_answer(&wire, "HTTP/1.1 204 x\r\n\r\n", WIRE_STAYS);
}

static void test_pieces(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 200; piece++) {
        anew();
        script();
        wire.piece = piece;
        wire.again = piece % 2 == 0;
        assert_int_equal(session(), GW_OK);
        assert_int_equal(wire.connects, 3);
    }
}

/* Each call of the stream fails in turn: that error is told, nothing is left open, and the next session works. */
static void test_failures(void **state)
{
    (void)state;
    script();
    wire.piece = 20;
    assert_int_equal(session(), GW_OK);
    unsigned calls = wire.calls;
    assert_true(calls > 40);
    for (unsigned i = 1; i <= calls; i++) {
        anew();
        script();
        wire.piece = 20;
        wire.fail_at = i;
        wire.fail_with = GW_ERR_CERT_NAME;
        assert_int_equal(session(), GW_ERR_CERT_NAME);
        assert_false(wire.connected);
        wire.fail_at = 0;
        wire_close(&wire);
        wire_again(&wire);
        script();
        assert_int_equal(session(), GW_OK);
    }
}

static void test_order(void **state)
{
    struct gw_request r = offer(), p = range(SIZE, 1), none = range(0, 0), what = { .longest = 5 };
    uint8_t byte;
    size_t n;
    (void)state;

    assert_int_equal(t.read(t.ctx, &byte, 1, &n), GW_ERR_STATE);
    assert_int_equal(t.open(t.ctx, &p), GW_ERR_RANGE);
    assert_int_equal(t.open(t.ctx, &r), GW_ERR_STATE); /* close first */
    t.close(t.ctx);
    assert_int_equal(t.open(t.ctx, &none), GW_ERR_RANGE);
    t.close(t.ctx);
    assert_int_equal(t.open(t.ctx, &what), GW_ERR_RANGE);
    t.close(t.ctx);
    wire_answer(&wire, OFFER, WIRE_STAYS);
    assert_int_equal(open_it(&r), GW_OK);
    assert_int_equal(t.open(t.ctx, &r), GW_ERR_STATE);
    assert_int_equal(t.read(t.ctx, &byte, 0, &n), GW_ERR_STATE);
    assert_int_equal(wire.calls, 3);
}

static void test_config(void **state)
{
    static const char *const servers[] = { "", "own", "http://own", "https://own?x", "https://own/#", "https://u@own" };
    (void)state;

    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        config.server = servers[i];
        assert_int_equal(gwc_fetch_init(&fetch, &config, &t), GW_ERR_VALUE);
    }
    config.server = "https://own/";
    config.report_path = NULL;
    assert_int_equal(gwc_fetch_init(&fetch, &config, &t), GW_OK);
    assert_null(t.report);
    struct gw_request r = offer();
    wire_answer(&wire, OFFER, WIRE_STAYS);
    assert_int_equal(get(&r, 100), GW_OK);
    assert_int_equal(wire_sent(&wire, "GET /offers/1 HTTP/1.1\r\n"), 1);
    config.offer_path = "/absolute";
    assert_int_equal(gwc_fetch_init(&fetch, &config, &t), GW_ERR_VALUE);
    config.offer_path = "";
    assert_int_equal(gwc_fetch_init(&fetch, &config, &t), GW_ERR_VALUE);
    config.offer_path = NULL;
    assert_int_equal(gwc_fetch_init(&fetch, &config, &t), GW_ERR_CONFIG);
    config.offer_path = "x";
    config.secure = NULL;
    assert_int_equal(gwc_fetch_init(&fetch, &config, &t), GW_ERR_CONFIG);
    struct gwc_secure unchecked = wire.secure; /* a stream that nobody checks is not taken */
    unchecked.trust = NULL;
    config.secure = &unchecked;
    assert_int_equal(gwc_fetch_init(&fetch, &config, &t), GW_ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_offer),        TEST(test_offer_unchanged), TEST(test_offer_half_read), TEST(test_offer_answers),
        TEST(test_offer_size),   TEST(test_ranges),          TEST(test_range_answers),   TEST(test_range_lengths),
        TEST(test_etag),         TEST(test_stale),           TEST(test_close),           TEST(test_anonymous),
        TEST(test_trust),        TEST(test_report),          TEST(test_report_order),    TEST(test_stall),
        TEST(test_pieces),       TEST(test_failures),        TEST(test_order),           TEST(test_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
