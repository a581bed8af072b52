/*
 * test_alike.c - the two transports, libcurl's on a PC and the strict client of boards, judge an answer alike: what a
 * product sees in its tests on a PC is what its boards report. Each answer goes to both; the same reason comes out.
 */
#include "fetching.h"

#include <stdio.h>

#include "posix_answer.h"

/* What the PC's transport says of a head; GW_OK for one that is taken, with a body or without. */
static int on_pc(const struct gw_request *r, bool conditional, const char *etag, const char *text)
{
    struct gwp_answer a;
    int e = GW_OK;

    memset(&a, 0, sizeof a);
    for (const char *end; e == GW_OK && !a.complete && (end = strchr(text, '\n')) != NULL; text = end + 1) {
        e = gwp_answer_line(&a, text, (size_t)(end - text) + 1);
    }
    e = e != GW_OK ? e : a.complete ? gwp_answer_judge(&a, r, conditional, etag) : GW_ERR_TRANSPORT;
    return e == GW_ERR_NOTHING ? GW_OK : e;
}

static int on_board(const struct gw_request *r, const char *before, const char *text)
{
    int e;

    anew();
    if (before != NULL) {
        struct gw_request first = range(0, 1);
        wire_answer(&wire, before, WIRE_STAYS);
        assert_int_equal(get(&first, 9), GW_OK);
    }
    wire_answer(&wire, text, WIRE_STAYS);
    e = open_it(r);
    t.close(t.ctx);
    return e;
}

static void alike(const struct gw_request *r, const char *before, const char *etag, const char *text, int expected)
{
    int pc = on_pc(r, false, etag, text), board = on_board(r, before, text);

    if (pc != expected || board != expected) {
        fail_msg("on a PC %d, on a board %d, expected %d:\n%s", pc, board, expected, text);
    }
}

#define R "HTTP/1.1 206 P\r\nContent-Range: "
#define FOUR "\r\nContent-Length: 4\r\n\r\n1234"
static const struct {
    const char *text;
    int error;
} ranges[] = { /* bytes 1 to 4 of 10 are asked for */
    { R "bytes 1-4/10" FOUR, GW_OK },
    { R "bytes 1-4/10\r\n\r\n1234", GW_OK },
    { R "bytes 1-4/10\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n0\r\n\r\n", GW_OK },
    { R "bytes 1-2/10\r\nContent-Length: 2\r\n\r\n12", GW_OK },
    { R "bytes 1-4/10\r\nX-Note: caf\xc3\xa9" FOUR, GW_OK },
    { "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" R "bytes 1-4/10" FOUR, GW_OK },
    { R "bytes 1-5/10" FOUR, GW_ERR_RANGE },
    { R "bytes 0-3/10" FOUR, GW_ERR_RANGE },
    { R "bytes 2-4/10" FOUR, GW_ERR_RANGE },
    { R "bytes 1-0/10" FOUR, GW_ERR_HTTP },
    { R "bytes 1-4/11" FOUR, GW_ERR_RANGE },
    { R "bytes 1-4/*" FOUR, GW_ERR_RANGE },
    { R "bytes */10" FOUR, GW_ERR_HTTP },
    { R "bytes 1-4" FOUR, GW_ERR_HTTP },
    { R "bytes 1-4/10x" FOUR, GW_ERR_HTTP },
    { R "bytes +1-4/10" FOUR, GW_ERR_HTTP },
    { R "bytes -1-4/10" FOUR, GW_ERR_HTTP },
    { R "items 1-4/10" FOUR, GW_ERR_HTTP },
    { R "bytes 4294967297-4294967300/10" FOUR, GW_ERR_HTTP },
    { R "bytes 18446744073709551617-4/10" FOUR, GW_ERR_HTTP },
    { R "bytes 1-4/10, bytes 1-4/10" FOUR, GW_ERR_HTTP },
    { "HTTP/1.1 206 P" FOUR, GW_ERR_RANGE },
    { R "bytes 1-10/10" FOUR, GW_ERR_HTTP },
    { R "bytes 1-4/10\r\nContent-Range: bytes 1-4/10" FOUR, GW_ERR_HTTP },
    { R "bytes 1-4/10\r\nContent-Length: 5\r\n\r\n12345", GW_ERR_HTTP },
    { R "bytes 1-4/10\r\nContent-Length: 3\r\n\r\n123", GW_ERR_HTTP },
    { R "bytes 1-4/10\r\nContent-Length: +4\r\n\r\n1234", GW_ERR_HTTP },
    { R "bytes 1-4/10\r\nContent-Length: -4\r\n\r\n1234", GW_ERR_HTTP },
    { R "bytes 1-4/10\r\nContent-Length: 0x4\r\n\r\n1234", GW_ERR_HTTP },
    { R "bytes 1-4/10\r\nContent-Length: 4, 4\r\n\r\n1234", GW_ERR_HTTP },
    { R "bytes 1-4/10\r\nContent-Length: 99999999999999999999\r\n\r\n1234", GW_ERR_HTTP },
    { R "bytes 1-4/10\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n1234", GW_ERR_HTTP },
    { R "bytes 1-4/10\r\nTransfer-Encoding: chunked" FOUR, GW_ERR_HTTP },
    { R "bytes 1-4/10\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", GW_ERR_HTTP },
    { R "bytes 1-4/10\r\nContent-Encoding: gzip" FOUR, GW_ERR_HTTP },
    { R "bytes 1-4/10\r\n folded" FOUR, GW_ERR_HTTP },
    { R "bytes 1-4/10\r\nX y: z" FOUR, GW_ERR_HTTP },
    { R "bytes 1-4/10\r\nX : z" FOUR, GW_ERR_HTTP },
    { "HTTP/1.1 101 Switching\r\n\r\n", GW_ERR_HTTP },
    { "HTTP/2 206\r\n\r\n", GW_ERR_HTTP },
    { "HTTP/1.1 2060 x\r\n\r\n", GW_ERR_HTTP },
    { "HTTP/1.1 +206 x\r\n\r\n", GW_ERR_HTTP },
    { "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", GW_ERR_RANGE },
    { "HTTP/1.1 416 Not" FOUR, GW_ERR_RANGE },
    { "HTTP/1.1 204 None\r\n\r\n", GW_ERR_HTTP_STATUS },
    { "HTTP/1.1 304 Same\r\n\r\n", GW_ERR_HTTP_STATUS },
    { "HTTP/1.1 300 Some\r\nLocation: /x" FOUR, GW_ERR_HTTP_STATUS },
    { "HTTP/1.1 404 Not" FOUR, GW_ERR_HTTP_STATUS },
    { "HTTP/1.1 503 Not" FOUR, GW_ERR_HTTP_STATUS },
};

static void test_ranges(void **state)
{
    struct gw_request r = range(1, 4);
    (void)state;

    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        alike(&r, NULL, NULL, ranges[i].text, ranges[i].error);
    }
}

/* An entity tag that changes, comes or goes between two ranges of one payload. */
static void test_entity_tags(void **state)
{
    static const char *const tags[] = { "", "\"p\"", "\"q\"", "W/\"p\"" };
    struct gw_request r = range(1, 4);
    char before[200], after[200];
    (void)state;

    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 4; k++) {
            (void)snprintf(before, sizeof before, R "bytes 0-0/10\r\n%s%s%sContent-Length: 1\r\n\r\n0",
                           i > 0 ? "ETag: " : "", tags[i], i > 0 ? "\r\n" : "");
            (void)snprintf(after, sizeof after, R "bytes 1-4/10\r\n%s%s%sContent-Length: 4\r\n\r\n1234",
                           k > 0 ? "ETag: " : "", tags[k], k > 0 ? "\r\n" : "");
            alike(&r, before, tags[i], after, i == k ? GW_OK : GW_ERR_RANGE);
        }
    }
}

static const struct {
    const char *text;
    int error;
} offers[] = {
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\noffer", GW_OK },
    { "HTTP/1.1 200 OK\r\n\r\noffer", GW_OK },
    { "HTTP/1.1 204 None\r\n\r\n", GW_OK },
    { "HTTP/1.1 200 OK\r\nContent-Length: 8193\r\n\r\n", GW_ERR_LIMIT },
    { "HTTP/1.1 304 Same\r\n\r\n", GW_ERR_HTTP_STATUS },
    { "HTTP/1.1 206 P\r\nContent-Range: bytes 0-4/5\r\nContent-Length: 5\r\n\r\noffer", GW_ERR_HTTP_STATUS },
    { "HTTP/1.1 302 Found\r\nLocation: https://own/x\r\nContent-Length: 0\r\n\r\n", GW_ERR_HTTP_STATUS },
    { "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", GW_ERR_HTTP_STATUS },
    { "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\noffer", GW_ERR_HTTP },
};

static void test_offers(void **state)
{
    struct gw_request r = offer();
    (void)state;

    for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) {
        alike(&r, NULL, NULL, offers[i].text, offers[i].error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ranges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_entity_tags, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_offers, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
