/*
 * test_http.c - the HTTP client against a server by script: requests byte by byte; answers in every split, with waits
 * between, cut off at every byte; each refusal that http.h names, and the limits from both sides.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "wire.h"

#define BODY_MAX 16384u
#define CALLS_MAX 200000u /* in vain */
#define OK_HEAD "HTTP/1.1 200 OK\r\n"
#define OK5 OK_HEAD "Content-Length: 5\r\n\r\nhello"

static struct wire wire;
static struct gwc_http *http;
static uint8_t *location;
static uint8_t body[BODY_MAX];
static size_t body_n;
static char text[40000];

static struct gw_span span(const char *s)
{
    return (struct gw_span){ (const uint8_t *)s, strlen(s) };
}

static struct gwc_http_request request(void)
{
    return (struct gwc_http_request){ .host = span("host"), .port = 443, .path = { span("/x") } };
}

static int set_up(void **state)
{
    (void)state;
    wire_open(&wire);
    http = malloc(sizeof *http);
    location = malloc(20);
    return http == NULL || location == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    wire_close(&wire);
    free(http);
    free(location);
    return 0;
}

static int head(const struct gwc_http_request *r)
{
    int error = GW_ERR_AGAIN;

    gwc_http_start(http);
    for (unsigned i = 0; i < CALLS_MAX && error == GW_ERR_AGAIN; i++) {
        error = gwc_http_head(http, r);
    }
    return error;
}

/* The body, in pieces of `size` bytes, each in a buffer of that size. */
static int read_all(size_t size)
{
    uint8_t *piece = malloc(size);
    size_t n = 1;
    int error = GW_OK;

    body_n = 0;
    for (unsigned i = 0; i < CALLS_MAX && (error == GW_ERR_AGAIN || (error == GW_OK && n > 0)); i++) {
        error = gwc_http_read(http, piece, size, &n);
        assert_true(n <= size && body_n + n <= BODY_MAX && (error == GW_OK || n == 0));
        memcpy(body + body_n, piece, n);
        body_n += n;
    }
    free(piece);
    return error;
}

/* Connects, asks and reads on a fresh connection. */
static int exchange(size_t size)
{
    struct gwc_http_request r = request();

    wire_again(&wire);
    while (wire.secure.stream.connect(&wire, r.host, r.port) == GW_ERR_AGAIN) {
    }
    gwc_http_init(http, &wire.secure.stream, location, 20);
    int error = head(&r);
    return error == GW_OK ? read_all(size) : error;
}

static void only_answer(const char *s, size_t n, enum wire_then then)
{
    wire_close(&wire);
    wire_answer_bytes(&wire, s, n, then);
}

/* An answer in one way: pieces of `piece` bytes, with waits or without. */
static int try_it(const char *s, size_t n, size_t piece, bool again)
{
    only_answer(s, n, WIRE_CLOSES);
    wire.piece = piece;
    wire.again = again;
    return exchange(piece == 1 ? 1 : 100);
}

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

static void expect_request(const struct gwc_http_request *r, const char *expected)
{
    static const size_t pieces[] = { 0, 1, 2, 7, 255 };

    for (unsigned i = 0; i < 10; i++) {
        only_answer(OK5, strlen(OK5), WIRE_STAYS);
        wire_again(&wire);
        wire.piece = pieces[i / 2];
        wire.again = i % 2 != 0;
        while (wire.secure.stream.connect(&wire, r->host, r->port) == GW_ERR_AGAIN) {
        }
        gwc_http_init(http, &wire.secure.stream, NULL, 0);
        assert_int_equal(head(r), GW_OK);
        assert_string_equal(wire.sent, expected);
        assert_int_equal(http->answer.status, 200);
    }
}

static void test_requests(void **state)
{
    struct gwc_http_request r = request();
    (void)state;

    expect_request(&r, "GET /x HTTP/1.1\r\nUser-Agent: godwit\r\nHost: host\r\n\r\n");
    r.port = 8443;
    r.path[1] = span("yy/");
    r.path[2] = span("z");
    r.etag = span("\"a\"");
    expect_request(&r, "GET /xyy/z HTTP/1.1\r\nUser-Agent: godwit\r\nHost: host:8443\r\nIf-None-Match: \"a\"\r\n\r\n");
    r.etag.n = 0;
    r.ranged = true;
    r.last = UINT32_MAX;
    expect_request(&r, "GET /xyy/z HTTP/1.1\r\nUser-Agent: godwit\r\nHost: host:8443\r\n"
                       "Range: bytes=0-4294967295\r\n\r\n");
    r = request();
    r.body = span("12345678901");
    expect_request(&r, "POST /x HTTP/1.1\r\nUser-Agent: godwit\r\nHost: host\r\nContent-Type: application/cose\r\n"
                       "Content-Length: 11\r\n\r\n12345678901");
}

/* Longer than the window, with each boundary somewhere else. */
static void test_long_requests(void **state)
{
    char path[700], expected[1000];
    (void)state;

    for (size_t n = 230; n < 700; n += 1) {
        struct gwc_http_request r = request();
        memset(path, 'p', sizeof path);
        r.path[1] = (struct gw_span){ (const uint8_t *)path, n };
        strcpy(expected, "GET /x");
        memcpy(expected + 6, path, n);
        strcpy(expected + 6 + n, " HTTP/1.1\r\nUser-Agent: godwit\r\nHost: host\r\n\r\n");
        expect_request(&r, expected);
    }
}

/* ---- Answers that are taken -------------------------------------------------------------------------------------- */

struct good {
    const char *answer, *body;
    uint16_t status;
    bool reusable;
};

static const struct good good[] = {
    { OK5, "hello", 200, true },
    { "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", "hello", 200, true },
    { "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", "hello", 200, true },
    { OK_HEAD "content-length:5\r\nX:\r\nY: \t \r\n\r\nhello", "hello", 200, true },
    { OK_HEAD "CONTENT-LENGTH: \t 00005 \t\r\n\r\nhello", "hello", 200, true },
    { OK_HEAD "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "hello", 200, true },
    { OK_HEAD "Content-Length: 5\r\nConnection: close\r\n\r\nhello", "hello", 200, false },
    { OK_HEAD "Content-Length: 5\r\nConnection: a, CLOSE ,b\r\n\r\nhello", "hello", 200, false },
    { OK_HEAD "Content-Length: 5\r\nConnection: keep-alive, closed\r\n\r\nhello", "hello", 200, true },
    { OK_HEAD "Content-Length: 0\r\n\r\n", "", 200, true },
    { OK_HEAD "\r\nuntil the end", "until the end", 200, false },
    { OK_HEAD "\r\n", "", 200, false },
    { OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", 200, true },
    { OK_HEAD "transfer-encoding: CHUNKED\r\n\r\n2\r\nhe\r\n03\r\nllo\r\n000\r\nA: b\r\nC:\r\n\r\n", "hello", 200,
      true },
    { OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0 ; \"x\"\r\n\r\n", "hello", 200, true },
    { OK_HEAD "Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n",
      "01234567890123456789a", 200, true },
    { OK_HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", 200, true },
    { OK_HEAD "Content-Encoding:\r\nContent-Length: 0\r\n\r\n", "", 200, true },
    { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nContent-Length: 9\r\n\r\n" OK5, "hello", 200, true },
    { "HTTP/1.1 204 No Content\r\n\r\n", "", 204, true },
    { "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"e\"\r\n\r\n", "", 304, true },
    { "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "no", 404, true },
    { "HTTP/1.1 206 Partial\r\nContent-Range: bytes 3-7/10\r\nContent-Length: 5\r\n\r\nhello", "hello", 206, true },
    { "HTTP/1.1 416 No\r\nContent-Range: bytes */10\r\nContent-Length: 0\r\n\r\n", "", 416, true },
    { OK_HEAD "!#$%&'*+-.^_`|~09azAZ: \x80\xff\r\nContent-Length: 0\r\n\r\n", "", 200, true },
    { "HTTP/1.1 599 x\r\nContent-Length: 0\r\n\r\n", "", 599, true },
};

static void test_splits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        const struct good *g = &good[i];
        size_t n = strlen(g->answer);
        for (size_t piece = 1; piece <= n; piece++) {
            int error = try_it(g->answer, n, piece, piece % 2 != 0);
            if (error != GW_OK || http->answer.status != g->status || body_n != strlen(g->body) ||
                memcmp(body, g->body, body_n) != 0 || gwc_http_reusable(http) != g->reusable) {
                fail_msg("%s: in pieces of %u: %d", g->answer, (unsigned)piece, error);
            }
        }
    }
}

/* Cut off at every byte: never complete, but where the end of the connection is the end of the answer. */
static void test_cut_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        const char *end = strstr(good[i].answer, "\r\n\r\n");
        for (size_t n = 0; n < strlen(good[i].answer); n++) {
            size_t head_n = (size_t)(end - good[i].answer) + 4;
            bool until_end = strncmp(good[i].answer, OK_HEAD "\r\n", 19) == 0 && n >= head_n;
            assert_int_equal(try_it(good[i].answer, n, n % 3, n % 2 != 0), until_end ? GW_OK : GW_ERR_TRANSPORT);
            assert_false(gwc_http_reusable(http));
            assert_int_equal(gwc_http_silent(http), n == 0);
        }
    }
}

static void test_answer(void **state)
{
    const struct gwc_http_answer *a = &http->answer;
    static const char answer[] = "HTTP/1.1 206 x\r\nContent-Range: bytes 7-4294967293/4294967294\r\n"
                                 "ETag:  W/\"a b\" \r\n"
                                 "Location: https://h/x\r\nContent-Length: 0\r\n\r\n";
    (void)state;

    assert_int_equal(try_it(answer, sizeof answer - 1, 0, false), GW_OK);
    assert_true(a->has_range && a->has_length && a->located && !a->closes && !a->chunked);
    assert_int_equal(a->range_first, 7);
    assert_int_equal(a->range_last, 4294967293u);
    assert_int_equal(a->range_size, 4294967294u);
    assert_int_equal(a->etag_n, 7);
    assert_memory_equal(a->etag, "W/\"a b\"", 7);
    assert_int_equal(http->location_n, 11);
    assert_memory_equal(location, "https://h/x", 11);
    static const char unknown[] = "HTTP/1.1 206 x\r\nContent-Range: bytes 1-1/*\r\n\r\n";
    assert_int_equal(try_it(unknown, sizeof unknown - 1, 0, false), GW_OK);
    assert_true(a->has_range && a->range_size == 0 && a->range_first == 1 && a->range_last == 1);
    assert_true(!a->located && http->location_n == 0 && a->etag_n == 0);
    assert_int_equal(try_it(OK5, sizeof OK5 - 1, 0, false), GW_OK);
    assert_false(a->has_range);
}

/* ---- Answers that are refused ------------------------------------------------------------------------------------ */

#define TE "Transfer-Encoding: chunked\r\n"
#define CHUNKED OK_HEAD TE "\r\n"

static const char *const bad[] = {
    "HTTP/1.0 200 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 099 x\r\n\r\n", "HTTP/1.1 600 x\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
    "http/1.1 200 OK\r\n\r\n", "\r\nHTTP/1.1 200 OK\r\n\r\n", " HTTP/1.1 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n",
    "HTTP/1.1 101 Switching\r\n\r\n", "HTTP/1.1 -20 OK\r\n\r\n", "<html>\r\n\r\n", "HTTP/1.1 200\tOK\r\n\r\n",
    /* lines */
    "HTTP/1.1 200 OK\n\n", "HTTP/1.1 200 OK\r\n\n", OK_HEAD "A: b\n\r\n", OK_HEAD "A: b\r\r\n\r\n",
    OK_HEAD "A: \rb\r\n\r\n", OK_HEAD "A: \x01\r\n\r\n", OK_HEAD "A: \x7f\r\n\r\n", "HTTP/1.1 200 \x0bOK\r\n\r\n",
    /* names */
    OK_HEAD "A: b\r\n c\r\n\r\n", OK_HEAD "A: b\r\n\tc\r\n\r\n", OK_HEAD " A: b\r\n\r\n", OK_HEAD ": b\r\n\r\n",
    OK_HEAD "A : b\r\n\r\n", OK_HEAD "A\r\n\r\n", OK_HEAD "A b: c\r\n\r\n", OK_HEAD "A(: c\r\n\r\n",
    OK_HEAD "\x80: c\r\n\r\n", OK_HEAD "Content-Length : 5\r\n\r\n",
    /* lengths */
    OK_HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", OK_HEAD "Content-Length: 5, 5\r\n\r\nhello",
    OK_HEAD "Content-Length:\r\n\r\n", OK_HEAD "Content-Length: -1\r\n\r\n", OK_HEAD "Content-Length: +5\r\n\r\nhello",
    OK_HEAD "Content-Length: 0x5\r\n\r\nhello", OK_HEAD "Content-Length: 5 5\r\n\r\nhello",
    OK_HEAD "Content-Length: 4294967296\r\n\r\n", OK_HEAD "Content-Length: 99999999999999999999\r\n\r\n",
    /* codings */
    OK_HEAD TE "Content-Length: 5\r\n\r\n0\r\n\r\n", OK_HEAD "Content-Length: 5\r\n" TE "\r\n0\r\n\r\n",
    OK_HEAD TE TE "\r\n0\r\n\r\n", OK_HEAD "Transfer-Encoding: gzip\r\n\r\n",
    OK_HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", OK_HEAD "Transfer-Encoding: chunked, chunked\r\n\r\n",
    OK_HEAD "Transfer-Encoding: identity\r\n\r\n", OK_HEAD "Transfer-Encoding:\r\n\r\n",
    OK_HEAD "Transfer-Encoding: chunked;q=1\r\n\r\n", OK_HEAD "Content-Encoding: gzip\r\n\r\n",
    OK_HEAD "Content-Encoding: identity\r\n\r\n", "HTTP/1.1 204 x\r\n" TE "\r\n0\r\n\r\n",
    "HTTP/1.1 304 x\r\n" TE "\r\n0\r\n\r\n",
    /* twice */
    OK_HEAD "ETag: \"a\"\r\nETag: \"a\"\r\n\r\n", OK_HEAD "Location: /a\r\nLocation: /a\r\n\r\n",
    "HTTP/1.1 206 x\r\nContent-Range: bytes 0-1/2\r\nContent-Range: bytes 0-1/2\r\n\r\n",
    OK_HEAD "Content-Encoding:\r\nContent-Encoding:\r\n\r\n",
    /* ranges */
    "HTTP/1.1 206 x\r\nContent-Range: bytes 2-1/9\r\n\r\n", "HTTP/1.1 206 x\r\nContent-Range: bytes 0-9/9\r\n\r\n",
    "HTTP/1.1 206 x\r\nContent-Range: bytes */9\r\n\r\n", "HTTP/1.1 206 x\r\nContent-Range: bytes 0-1\r\n\r\n",
    "HTTP/1.1 206 x\r\nContent-Range: bytes=0-1/9\r\n\r\n",
    "HTTP/1.1 206 x\r\nContent-Range: bytes 0-1/9 \x20x\r\n\r\n",
    "HTTP/1.1 206 x\r\nContent-Range: Bytes 0-1/9\r\n\r\n", "HTTP/1.1 206 x\r\nContent-Range: bytes 0-1/**\r\n\r\n",
    "HTTP/1.1 206 x\r\nContent-Range: bytes 0-1/4294967296\r\n\r\n", "HTTP/1.1 206 x\r\nContent-Range:\r\n\r\n",
    "HTTP/1.1 206 x\r\nContent-Range: bytes  0-1/9\r\n\r\n", "HTTP/1.1 206 x\r\nContent-Range: bytes 0-1/0\r\n\r\n",
    /* chunks */
    CHUNKED "\r\n0\r\n\r\n", CHUNKED "x\r\n", CHUNKED "5hello\r\n", CHUNKED "5\r\nhello0\r\n\r\n",
    CHUNKED "5\nhello\r\n0\r\n\r\n", CHUNKED "5\r\nhello\n0\r\n\r\n", CHUNKED "-5\r\nhello\r\n",
    CHUNKED " 5\r\nhello\r\n",
    CHUNKED "0x5\r\nhello\r\n", CHUNKED "5\r\nhelloworld\r\n0\r\n\r\n",
    CHUNKED "00000000000000005\r\nhello\r\n0\r\n\r\n",
    CHUNKED "100000000\r\n", CHUNKED "ffffffffffffffff\r\n", CHUNKED "5\r\nhello\r\nfffffffb\r\n",
    CHUNKED "0\r\n A: b\r\n\r\n", CHUNKED "0\r\nA\r\n\r\n", CHUNKED "0\r\nA: b\n\r\n",
    CHUNKED "5,x\r\nhello\r\n0\r\n\r\n",
    /* 1xx */
    "HTTP/1.1 100 a\r\n\r\nHTTP/1.1 100 b\r\n\r\nHTTP/1.1 100 c\r\n\r\n" OK5, "HTTP/1.1 100 a\r\nA\r\n\r\n" OK5,
};

static void test_refused(void **state)
{
    static const size_t pieces[] = { 0, 1, 2, 3, 17, 255, 256 };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (unsigned k = 0; k < 7; k++) {
            int error = try_it(bad[i], strlen(bad[i]), pieces[k], k % 2 != 0);
            uint8_t byte;
            size_t n;
            if (error != GW_ERR_HTTP) {
                fail_msg("%s: %d", bad[i], error);
            }
            assert_false(gwc_http_reusable(http));
            assert_int_equal(gwc_http_read(http, &byte, 1, &n), GW_ERR_HTTP); /* stays */
            assert_int_equal(gwc_http_head(http, &(struct gwc_http_request){ 0 }), GW_ERR_HTTP);
        }
    }
    static const char zero[] = OK_HEAD "A: \0\r\n\r\n";
    assert_int_equal(try_it(zero, sizeof zero - 1, 0, false), GW_ERR_HTTP);
}

/* ---- Limits ------------------------------------------------------------------------------------------------------ */

/* before, `n` times c, after. */
static size_t build(const char *before, char c, size_t n, const char *after)
{
    size_t at = strlen(before);

    assert_true(at + n + strlen(after) < sizeof text);
    memcpy(text, before, at);
    memset(text + at, c, n);
    strcpy(text + at + n, after);
    return strlen(text);
}

static int try_built(const char *before, char c, size_t n, const char *after)
{
    return try_it(text, build(before, c, n, after), n % 2 == 0 ? 0 : 61, n % 2 != 0);
}

static void test_header_limit(void **state)
{
    static const char before[] = OK_HEAD "Content-Length: 0\r\nA: ", after[] = "\r\n\r\n";
    size_t fits = GWC_HTTP_HEADERS - strlen(before) - strlen(after);
    (void)state;

    assert_int_equal(try_built(before, 'x', fits, after), GW_OK);
    assert_int_equal(try_built(before, 'x', fits + 1, after), GW_ERR_HTTP);
    assert_int_equal(try_built("HTTP/1.1 200 ", 'x', 30000, ""), GW_ERR_HTTP);
    assert_int_equal(try_built("HTTP/1.1 200 ", 'x', 500, "\r\nContent-Length: 0\r\n\r\n"), GW_OK);
    assert_int_equal(try_built("HTTP/1.1 100 ", 'x', 5000, "\r\n\r\n" OK_HEAD "Content-Length: 0\r\n\r\n"), GW_OK);
    assert_int_equal(try_built(CHUNKED "0\r\nA: ", 'x', 8100, "\r\n\r\n"), GW_OK);
    assert_int_equal(try_built(CHUNKED "0\r\nA: ", 'x', 8200, "\r\n\r\n"), GW_ERR_HTTP);
    /* many small ones */
    size_t at = build(OK_HEAD, 0, 0, "");
    while (at < 8300) {
        strcpy(text + at, "A:\r\n");
        at += 4;
    }
    assert_int_equal(try_it(text, at, 0, false), GW_ERR_HTTP);
}

/* Lines around the size of the window, of every length. */
static void test_lines_around_the_window(void **state)
{
    (void)state;
    for (size_t n = 200; n < 530; n++) {
        assert_int_equal(try_built(OK_HEAD "Some: ", 'x', n, "\r\nContent-Length: 2\r\n\r\nhi"), GW_OK);
        assert_int_equal(body_n, 2);
        assert_int_equal(try_built(OK_HEAD "Some: ", 'x', n, "\n\r\n"), GW_ERR_HTTP);
        assert_int_equal(try_built(OK_HEAD "Some: ", 'x', n, "\r\r\n\r\n"), GW_ERR_HTTP);
        assert_int_equal(try_built(OK_HEAD "Some: ", 'x', n, "\x01\r\n\r\n"), GW_ERR_HTTP);
    }
    assert_int_equal(try_built(OK_HEAD, 'n', 255, ": 1\r\nContent-Length: 0\r\n\r\n"), GW_OK);
    assert_int_equal(try_built(OK_HEAD, 'n', 256, ": 1\r\nContent-Length: 0\r\n\r\n"), GW_ERR_HTTP);
}

/* What is of interest may not hide behind blanks. */
static void test_long_fields(void **state)
{
    static const char *const names[] = { "Content-Length: 5", "Transfer-Encoding: chunked",
                                         "Content-Range: bytes 0-1/2",
                                         "Connection: close", "Content-Encoding:" };
    char line[100];
    (void)state;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        strcpy(line, "HTTP/1.1 206 x\r\n");
        strcat(line, names[i]);
        assert_int_equal(try_built(line, ' ', 300, "\r\n\r\n"), GW_ERR_HTTP);
        assert_int_equal(try_built(line, ' ', 300, ", gzip\r\n\r\n"), GW_ERR_HTTP);
    }
}

static void test_etag_limit(void **state)
{
    (void)state;
    assert_int_equal(try_built(OK_HEAD "ETag: \"", 'x', 62, "\"\r\nContent-Length: 0\r\n\r\n"), GW_OK);
    assert_int_equal(http->answer.etag_n, 64);
    assert_int_equal(try_built(OK_HEAD "ETag: \"", 'x', 63, "\"\r\nContent-Length: 0\r\n\r\n"), GW_OK);
    assert_int_equal(http->answer.etag_n, 0);
    assert_int_equal(try_built(OK_HEAD "ETag: \"", 'x', 700, "\"\r\nContent-Length: 0\r\n\r\n"), GW_OK);
    assert_int_equal(http->answer.etag_n, 0);
    /* short, and then blanks beyond the window: not known to be whole */
    assert_int_equal(try_built(OK_HEAD "ETag: \"x\"", ' ', 400, "\r\nContent-Length: 0\r\n\r\n"), GW_OK);
    assert_int_equal(http->answer.etag_n, 0);
}

static int locate(size_t n, size_t room, size_t piece)
{
    struct gwc_http_request r = request();
    size_t size = build(OK_HEAD "Location: ", 'x', n, "\r\nX: yyyyyyyyyyyyyyyyyyyyy\r\nContent-Length: 0\r\n\r\n");

    only_answer(text, size, WIRE_CLOSES);
    wire_again(&wire);
    wire.piece = piece;
    free(location);
    location = malloc(room > 0 ? room : 1);
    assert_non_null(location);
    memset(location, 0, room);
    assert_int_equal(wire.secure.stream.connect(&wire, r.host, r.port), GW_OK);
    gwc_http_init(http, &wire.secure.stream, room > 0 ? location : NULL, (uint16_t)room);
    return head(&r);
}

static void test_location_limit(void **state)
{
    static const size_t pieces[] = { 0, 1, 100 };
    (void)state;

    wire.again = false;
    for (size_t n = 1; n < 1100; n += n < 270 ? 1 : 37) {
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(locate(n, 1023, pieces[i]), GW_OK);
            assert_true(http->answer.located);
            assert_int_equal(http->location_n, n <= 1023 ? n : 0);
            for (size_t k = 0; n <= 1023 && k < n; k++) {
                assert_true(location[k] == 'x');
            }
        }
        assert_int_equal(locate(n, n, 0), GW_OK);
        assert_int_equal(http->location_n, n);
        assert_int_equal(locate(n, n - 1, 0), GW_OK);
        assert_int_equal(http->location_n, 0);
        assert_true(http->answer.located);
    }
}

static void test_chunk_limits(void **state)
{
    (void)state;
    assert_int_equal(try_built(CHUNKED, '0', 15, "5\r\nhello\r\n0\r\n\r\n"), GW_OK);
    assert_int_equal(try_built(CHUNKED, '0', 16, "5\r\nhello\r\n0\r\n\r\n"), GW_ERR_HTTP);
    assert_int_equal(try_built(CHUNKED "5;", 'x', 63, "\r\nhello\r\n0\r\n\r\n"), GW_OK);
    assert_int_equal(try_built(CHUNKED "5;", 'x', 64, "\r\nhello\r\n0\r\n\r\n"), GW_ERR_HTTP);
    assert_int_equal(try_built(CHUNKED "5;", 'x', 4000, "\r\nhello\r\n0\r\n\r\n"), GW_ERR_HTTP);
    /* more chunk lines than a head may have bytes */
    size_t at = build(CHUNKED, 0, 0, "");
    for (unsigned i = 0; i < 3000; i++) {
        strcpy(text + at, "1\r\nx\r\n");
        at += 6;
    }
    strcpy(text + at, "0\r\n\r\n");
    assert_int_equal(try_it(text, at + 5, 0, false), GW_OK);
    assert_int_equal(body_n, 3000);
    /* lengths of 32 bits */
    static const char most[] = OK_HEAD "Content-Length: 4294967295\r\n\r\nx";
    assert_int_equal(try_it(most, sizeof most - 1, 0, false), GW_ERR_TRANSPORT);
    assert_int_equal(http->answer.length, UINT32_MAX);
    static const char chunks[] = CHUNKED "5\r\nhello\r\nfffffffa\r\n";
    assert_int_equal(try_it(chunks, sizeof chunks - 1, 0, false), GW_ERR_TRANSPORT);
}

/* ---- Connection -------------------------------------------------------------------------------------------------- */

static void test_keep(void **state)
{
    struct gwc_http_request r = request();
    (void)state;

    wire_answer(&wire, OK5, WIRE_STAYS);
    wire_answer(&wire, CHUNKED "3\r\nabc\r\n0\r\n\r\n", WIRE_STAYS);
    wire_answer(&wire, OK5 "HTTP/1.1 200 OK\r\n", WIRE_STAYS); /* a byte too many: whose answer would that be? */
    assert_int_equal(exchange(100), GW_OK);
    assert_true(gwc_http_reusable(http));
    assert_int_equal(head(&r), GW_OK);
    assert_false(gwc_http_reusable(http));
    assert_int_equal(read_all(2), GW_OK);
    assert_int_equal(body_n, 3);
    assert_true(gwc_http_reusable(http));
    assert_int_equal(head(&r), GW_OK);
    assert_int_equal(read_all(100), GW_OK);
    assert_int_equal(body_n, 5);
    assert_false(gwc_http_reusable(http));
    assert_int_equal(wire_sent(&wire, "GET /x HTTP/1.1\r\n"), 3);
}

/* A failure at each call in turn is told, and stays. */
static void test_failures(void **state)
{
    static const char answer[] = CHUNKED "5\r\nhello\r\n0\r\nA: b\r\n\r\n";
    static const int errors[] = { GW_ERR_TRANSPORT, GW_ERR_TLS };
    (void)state;

    only_answer(answer, sizeof answer - 1, WIRE_STAYS);
    wire.piece = 3;
    wire.again = false;
    assert_int_equal(exchange(100), GW_OK);
    unsigned calls = wire.calls;
    assert_true(calls > 20);
    for (unsigned i = 2; i <= calls; i++) { /* the first connects */
        uint8_t byte;
        size_t n;
        wire.fail_at = i;
        wire.fail_with = errors[i % 2];
        assert_int_equal(exchange(100), errors[i % 2]);
        wire.fail_at = 0;
        assert_int_equal(gwc_http_read(http, &byte, 1, &n), errors[i % 2]);
        assert_false(gwc_http_reusable(http));
    }
}

static int send_nothing(void *ctx, const uint8_t *p, size_t n, size_t *used)
{
    (void)ctx, (void)p;
    *used = n + 1;
    return GW_OK;
}

static int recv_too_much(void *ctx, uint8_t *p, size_t n, size_t *got)
{
    (void)ctx;
    memset(p, 'H', n);
    *got = n + 1;
    return GW_OK;
}

static void test_streams_that_lie(void **state)
{
    struct gwc_http_request r = request();
    struct gwc_stream s = wire.secure.stream;
    (void)state;

    only_answer(OK5, sizeof OK5 - 1, WIRE_STAYS);
    wire_again(&wire);
    assert_int_equal(s.connect(&wire, r.host, r.port), GW_OK);
    s.recv = recv_too_much;
    gwc_http_init(http, &s, NULL, 0);
    assert_int_equal(head(&r), GW_ERR_TRANSPORT);
    s.send = send_nothing;
    assert_int_equal(head(&r), GW_ERR_TRANSPORT);
}

static void test_order(void **state)
{
    struct gwc_http_request r = request();
    uint8_t byte;
    size_t n;
    (void)state;

    gwc_http_init(http, &wire.secure.stream, NULL, 0);
    assert_int_equal(gwc_http_head(http, &r), GW_ERR_STATE);
    gwc_http_init(http, &wire.secure.stream, NULL, 0);
    assert_int_equal(gwc_http_read(http, &byte, 1, &n), GW_ERR_STATE);
    assert_false(gwc_http_reusable(http));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_requests),      TEST(test_long_requests), TEST(test_splits),       TEST(test_cut_off),
        TEST(test_answer),        TEST(test_refused),       TEST(test_header_limit), TEST(test_lines_around_the_window),
        TEST(test_long_fields),   TEST(test_etag_limit),    TEST(test_location_limit), TEST(test_chunk_limits),
        TEST(test_keep),          TEST(test_failures),      TEST(test_streams_that_lie), TEST(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
