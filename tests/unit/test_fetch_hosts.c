/*
 * test_fetch_hosts.c - where the agent's transport may go: bases that an offer names, redirects, and to whom the device
 * shows its certificate (SPEC.md, section 16).
 */
#include "fetching.h"

/* ---- Other hosts ------------------------------------------------------------------------------------------------- */

static void test_base(void **state)
{
    struct gw_request r = below("https://cdn:8443/a/");
    static const char *const refused[] = {
        "https://other/a", "https://cdn.evil/a", "http://cdn/a", "https://cdn/a?x", "https://user@cdn/", "cdn", "/a",
        "https://cdn/a#b", "https://cdn\r\n/", "//cdn/a",
    };
    (void)state;

    trust_hosts(CDN, "");
    wire_answer(&wire, RANGE("0-9/10", "10", "0123456789"), WIRE_STAYS);
    assert_int_equal(get(&r, 100), GW_OK);
    assert_int_equal(wire_sent(&wire, "GET /a/" HEX " HTTP/1.1\r\nUser-Agent: godwit\r\nHost: cdn:8443\r\n"), 1);
    assert_int_equal(wire.peer, GWC_PEER_OTHER);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        r = below(refused[i]);
        anew();
        trust_hosts(CDN, "");
        assert_int_equal(get(&r, 100), GW_ERR_REDIRECT);
        assert_int_equal(wire.connects, 0);
    }
    /* not listed, but the server's own: taken; on its port it is the same, on another no certificate is shown */
    anew();
    r = below("https://OWN/a");
    wire_answer(&wire, RANGE("0-9/10", "10", "0123456789"), WIRE_STAYS);
    assert_int_equal(get(&r, 100), GW_OK);
    assert_int_equal(wire.peer, GWC_PEER_OWN);
    anew();
    r = below("https://own:444/a");
    wire_answer(&wire, RANGE("0-9/10", "10", "0123456789"), WIRE_STAYS);
    assert_int_equal(get(&r, 100), GW_OK);
    assert_int_equal(wire.peer, GWC_PEER_OTHER);
}

static void test_redirect(void **state)
{
    struct gw_request r = range(0, 5), rest = range(5, 5), o = offer();
    static const char *const codes[] = { "301", "302", "303", "307", "308" };
    char text[200];
    (void)state;

    for (size_t i = 0; i < 5; i++) {
        anew();
        trust_hosts(CDN, "");
        strcpy(text, "HTTP/1.1 ");
        strcat(text, codes[i]);
        strcat(text, " x\r\nLocation: https://cdn/x?sig=%20\r\nContent-Length: 3\r\n\r\nbye");
        wire_answer(&wire, text, WIRE_STAYS);
        wire_answer(&wire, RANGE("0-4/10", "5", "01234"), WIRE_STAYS);
        wire_answer(&wire, RANGE("5-9/10", "5", "56789"), WIRE_STAYS);
        wire_answer(&wire, OFFER, WIRE_STAYS);
        assert_int_equal(get(&r, 100), GW_OK);
        assert_int_equal(get(&rest, 100), GW_OK);
        expect_body("56789");
        assert_int_equal(wire.connects, 2); /* the target is kept for the ranges that follow */
        assert_int_equal(wire_sent(&wire, "GET /x?sig=%20 HTTP/1.1\r\nUser-Agent: godwit\r\nHost: cdn\r\nRange: "), 2);
        assert_int_equal(wire.peers[0], GWC_PEER_OWN);
        assert_int_equal(wire.peers[1], GWC_PEER_OTHER);
        assert_int_equal(get(&o, 100), GW_OK); /* and not for anything else */
        assert_string_equal(wire.host, "own");
    }
}

static void test_redirect_refused(void **state)
{
    static const char *const targets[] = {
        "https://other/x", "http://cdn/x", "https://cdn:0/x", "https://u@cdn/x", "//cdn/x", "x", "https://cdn/x#f", "",
        "https://cdn.other/",
    };
    struct gw_request r = range(0, 5);
    char text[300];
    (void)state;

    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        anew();
        trust_hosts(CDN, "");
        strcpy(text, "HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: ");
        strcat(text, targets[i]);
        strcat(text, "\r\n\r\n");
        wire_answer(&wire, text, WIRE_STAYS);
        wire_answer(&wire, RANGE("0-4/10", "5", "01234"), WIRE_STAYS);
        assert_int_equal(get(&r, 100), GW_ERR_REDIRECT);
        assert_int_equal(wire.connects, 1);
        assert_int_equal(get(&r, 100), GW_OK); /* the next try begins at the base */
        assert_string_equal(wire.host, "own");
    }
    assert_int_equal(one(EMPTY("302"), &r, false), GW_ERR_REDIRECT); /* to nowhere */
}

static void test_redirect_count(void **state)
{
    struct gw_request r = range(0, 5), rest = range(5, 5);
    (void)state;

    for (unsigned i = 0; i < 3; i++) {
        wire_answer(&wire, MOVED("/next"), WIRE_STAYS);
    }
    wire_answer(&wire, RANGE("0-4/10", "5", "01234"), WIRE_STAYS);
    wire_answer(&wire, RANGE("5-9/10", "5", "56789"), WIRE_STAYS);
    assert_int_equal(get(&r, 100), GW_OK);
    assert_int_equal(wire.connects, 1); /* the same host: a path alone */
    assert_int_equal(wire_sent(&wire, "GET /next HTTP/1.1\r\n"), 3);
    assert_int_equal(get(&rest, 100), GW_OK);
    assert_int_equal(wire_sent(&wire, "GET /fleet/payloads/"), 2);
    anew();
    for (unsigned i = 0; i < 4; i++) {
        wire_answer(&wire, MOVED("https://own/next"), WIRE_STAYS);
    }
    assert_int_equal(get(&r, 100), GW_ERR_REDIRECT);
    assert_int_equal(wire.next, 4);
}

/* A target that is longer than what comes in while it is used, byte by byte, in every split. */
static void test_redirect_chain_in_pieces(void **state)
{
    struct gw_request r = range(0, 5), rest = range(5, 5);
    (void)state;

    for (size_t piece = 1; piece < 90; piece++) {
        anew();
        trust_hosts(CDN, "");
        wire.piece = piece;
        wire.again = piece % 2 != 0;
        wire_answer(&wire, MOVED("https://cdn/a-longer-way/to/go"), WIRE_STAYS);
        wire_answer(&wire, MOVED("https://own:9/b"), WIRE_STAYS);
        wire_answer(&wire, RANGE("0-4/10", "5", "01234"), WIRE_STAYS);
        wire_answer(&wire, RANGE("5-9/10", "5", "56789"), WIRE_STAYS);
        assert_int_equal(get(&r, 100), GW_OK);
        assert_int_equal(get(&rest, 100), GW_OK);
        assert_int_equal(wire.connects, 3);
        assert_int_equal(wire.port, 9);
        assert_int_equal(wire_sent(&wire, "GET /b HTTP/1.1\r\n"), 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_base),           TEST(test_redirect), TEST(test_redirect_refused),
        TEST(test_redirect_count), TEST(test_redirect_chain_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
