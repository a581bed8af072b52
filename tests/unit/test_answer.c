/*
 * test_answer.c - what a PC's transport takes for an answer, and for a URL. Lines lie in buffers of their exact size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "posix_answer.h"
#include "posix_target.h"

/* ---- Heads ---- */

static int line(struct gwp_answer *a, const char *text, size_t n)
{
    char *exact = malloc(n > 0 ? n : 1);
    memcpy(exact, text, n);
    int e = gwp_answer_line(a, exact, n);
    free(exact);
    return e;
}

/* Reads a whole head, lines as they come; the first error. */
static int head(struct gwp_answer *a, const char *text)
{
    int e = GW_OK;
    memset(a, 0, sizeof *a);
    while (e == GW_OK && *text != '\0') {
        const char *end = strchr(text, '\n');
        size_t n = end != NULL ? (size_t)(end - text) + 1 : strlen(text);
        e = line(a, text, n);
        text += n;
    }
    return e;
}

static const struct gw_request offer = { .resource = GW_RESOURCE_OFFER, .longest = 5000 };
static const struct gw_request range = {
    .resource = GW_RESOURCE_PAYLOAD, .offset = 100, .longest = 50, .size = 1000
};

static int judged(const struct gw_request *r, bool conditional, const char *etag, const char *text)
{
    struct gwp_answer a;
    int e = head(&a, text);
    return e != GW_OK ? e : a.complete ? gwp_answer_judge(&a, r, conditional, etag) : GW_ERR_AGAIN;
}

static void test_taken(void **state)
{
    struct gwp_answer a;
    (void)state;
    assert_int_equal(head(&a, "HTTP/1.1 206 Partial\r\ncontent-range:  Bytes 100-149/1000 \r\nETag: \"x\"\r\n"
                              "Content-Length: 50\r\nX: y\r\n\r\n"), GW_OK);
    assert_true(a.complete && a.has_range && a.has_length && !a.chunked && !a.coded);
    assert_int_equal(a.length, 50);
    assert_string_equal(a.etag, "\"x\"");
    assert_int_equal(gwp_answer_judge(&a, &range, false, NULL), GW_OK);
    assert_int_equal(gwp_answer_judge(&a, &range, false, ""), GW_ERR_RANGE); /* it came */
    assert_int_equal(gwp_answer_judge(&a, &range, false, "\"x\""), GW_OK);
    assert_int_equal(gwp_answer_judge(&a, &range, false, "\"y\""), GW_ERR_RANGE);
    assert_int_equal(gwp_answer_room(&a, &range), 50);
    assert_int_equal(judged(&offer, false, "", "HTTP/1.0 200\r\n\r\n"), GW_OK);
    assert_int_equal(judged(&offer, false, "", "HTTP/1.1 100 Continue\r\nETag: \"a\"\r\n\r\nHTTP/1.1 200 OK\r\n"
                                               "Transfer-Encoding: chunked\r\n\r\nETag: \"b\"\r\nContent-Length: 1"
                                               "\r\n"),
                     GW_OK); /* what follows the head are trailers, and mean nothing */
}

static void test_no_http(void **state)
{
    static const char *const bad[] = {
        "HTTP/1.1 200 OK\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 99999999999999999999 OK\r\n\r\n", "ICY 200 OK\r\n\r\n", "\r\n\r\n", "HTTP/1.1 200 OK",
        "HTTP/1.1\r\n",
        "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n", "HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        "HTTP/1.1 200 OK\r\nETag: \"a\"\r\n folded\r\n\r\n", "HTTP/1.1 200 OK\r\nETag : \"a\"\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nETag: \"a\"\r\n\r\n", "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n", "HTTP/1.1 302 F\r\nLocation: /a\r\nLocation: /b\r\n\r\n",
        "HTTP/1.1 206 P\r\nContent-Range: bytes 0-1/2\r\nContent-Range: bytes 0-1/2\r\n\r\n",
    };
    struct gwp_answer a;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (head(&a, bad[i]) != GW_ERR_HTTP) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    memset(&a, 0, sizeof a);
    assert_int_equal(line(&a, "HTTP/1.1 200 \0K\r\n", 17), GW_ERR_HTTP);
    assert_int_equal(line(&a, "", 0), GW_ERR_HTTP);
}

static void test_size_of_head(void **state)
{
    struct gwp_answer a = { 0 };
    char text[GWP_HEAD_MAX + 100];
    int lines = 0;
    (void)state;
    assert_int_equal(line(&a, "HTTP/1.1 200 OK\r\n", 17), GW_OK);
    while (line(&a, "X: aaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 30) == GW_OK) {
        lines++;
    }
    assert_int_equal(lines, (GWP_HEAD_MAX - 17) / 30);
    memset(&a, 0, sizeof a);
    memset(text, 'a', sizeof text);
    memcpy(text, "HTTP/1.1 200 ", 13);
    memcpy(text + sizeof text - 2, "\r\n", 2);
    assert_int_equal(line(&a, text, sizeof text), GW_ERR_HTTP);
    memset(&a, 0, sizeof a);
    memcpy(text + GWP_HEAD_MAX - 2, "\r\n", 2);
    assert_int_equal(line(&a, text, GWP_HEAD_MAX), GW_OK);
    assert_int_equal(line(&a, "\r\n", 2), GW_ERR_HTTP);
}

#define R "HTTP/1.1 206 P\r\nContent-Range: "
static void test_ranges(void **state)
{
    static const struct {
        const char *text;
        int error;
    } cases[] = {
        { R "bytes 100-149/1000\r\n\r\n", GW_OK },
        { R "bytes 100-120/1000\r\n\r\n", GW_OK },
        { R "bytes 100-100/1000\r\n\r\n", GW_OK },
        { R "bytes 100-150/1000\r\n\r\n", GW_ERR_RANGE },
        { R "bytes 99-149/1000\r\n\r\n", GW_ERR_RANGE },
        { R "bytes 101-149/1000\r\n\r\n", GW_ERR_RANGE },
        { R "bytes 100-99/1000\r\n\r\n", GW_ERR_HTTP },
        { R "bytes 100-149/1001\r\n\r\n", GW_ERR_RANGE },
        { R "bytes 100-149/*\r\n\r\n", GW_ERR_RANGE },
        { R "bytes */1000\r\n\r\n", GW_ERR_HTTP },
        { R "items 100-149/1000\r\n\r\n", GW_ERR_HTTP },
        { R "bytes 100-149/1000x\r\n\r\n", GW_ERR_HTTP },
        { R "bytes 18446744073709551716-149/1000\r\n\r\n", GW_ERR_HTTP },
        { R "bytes 4294967396-4294967445/1000\r\n\r\n", GW_ERR_HTTP },
        { R "bytes 100-149/1000\r\nContent-Length: 51\r\n\r\n", GW_ERR_HTTP },
        { R "bytes 100-149/1000\r\nContent-Length: 49\r\n\r\n", GW_ERR_HTTP },
        { R "bytes 100-149/1000\r\nContent-Encoding: br\r\n\r\n", GW_ERR_HTTP },
        { R "bytes 100-149/1000\r\nContent-Encoding: identity\r\n\r\n", GW_OK },
        { "HTTP/1.1 206 P\r\n\r\n", GW_ERR_RANGE },
        { "HTTP/1.1 200 OK\r\n\r\n", GW_ERR_RANGE },
        { "HTTP/1.1 416 Not\r\n\r\n", GW_ERR_RANGE },
        { "HTTP/1.1 204 None\r\n\r\n", GW_ERR_HTTP_STATUS },
        { "HTTP/1.1 304 Same\r\n\r\n", GW_ERR_HTTP_STATUS },
        { "HTTP/1.1 300 Some\r\nLocation: /x\r\n\r\n", GW_ERR_HTTP_STATUS },
        { "HTTP/1.1 308 There\r\nLocation: /x\r\n\r\n", GWP_REDIRECTED },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int e = judged(&range, true, "", cases[i].text);
        if (e != cases[i].error) {
            fail_msg("%d, not %d: %s", e, cases[i].error, cases[i].text);
        }
    }
}

static void test_offers(void **state)
{
    (void)state;
    assert_int_equal(judged(&offer, false, "", "HTTP/1.1 204 None\r\n\r\n"), GW_ERR_NOTHING);
    assert_int_equal(judged(&offer, true, "", "HTTP/1.1 304 Same\r\n\r\n"), GW_ERR_NOTHING);
    assert_int_equal(judged(&offer, false, "", "HTTP/1.1 304 Same\r\n\r\n"), GW_ERR_HTTP_STATUS);
    assert_int_equal(judged(&offer, false, "", "HTTP/1.1 302 There\r\nLocation: /x\r\n\r\n"), GW_ERR_HTTP_STATUS);
    assert_int_equal(judged(&offer, false, "", "HTTP/1.1 206 P\r\n\r\n"), GW_ERR_HTTP_STATUS);
    assert_int_equal(judged(&offer, false, "", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"), GW_OK);
    assert_int_equal(judged(&offer, false, "", "HTTP/1.1 200 OK\r\nContent-Length: 5001\r\n\r\n"), GW_ERR_LIMIT);
    assert_int_equal(judged(&offer, false, "", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"), GW_ERR_HTTP);
}

static void test_tags(void **state)
{
    struct gwp_answer a;
    (void)state;
    assert_int_equal(head(&a, "HTTP/1.1 200 OK\r\nETag: W/\"a b\"\r\n\r\n"), GW_OK);
    assert_string_equal(a.etag, "W/\"a b\"");
    assert_int_equal(head(&a, "HTTP/1.1 200 OK\r\nETag: a\r\n\r\n"), GW_OK);
    assert_string_equal(a.etag, ""); /* is not sent back */
    assert_int_equal(head(&a, "HTTP/1.1 200 OK\r\nETag: \"\r\n\r\n"), GW_OK);
    assert_string_equal(a.etag, "");
    assert_int_equal(head(&a, "HTTP/1.1 200 OK\r\nETag: W/\"\r\n\r\n"), GW_OK);
    assert_string_equal(a.etag, "");
}

static void test_reports(void **state)
{
    static const int taken[] = { 200, 201, 202, 204, 299 }, never[] = { 400, 403, 404, 413, 499 };
    static const int later[] = { 300, 302, 304, 408, 425, 429, 500, 503, 600 };
    struct gwp_answer a = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        a.status = (unsigned)taken[i];
        assert_int_equal(gwp_answer_judge_report(&a), GW_OK);
        a.status = (unsigned)never[i];
        assert_int_equal(gwp_answer_judge_report(&a), GW_ERR_VALUE);
    }
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        a.status = (unsigned)later[i];
        assert_int_equal(gwp_answer_judge_report(&a), GW_ERR_HTTP_STATUS);
    }
}

/* ---- URLs ---- */

static int make(struct gwp_target *t, const char *base, const char *path)
{
    return gwp_target_make(t, (struct gw_span){ (const uint8_t *)base, strlen(base) }, path);
}

static void test_urls(void **state)
{
    static const char *const bad[] = {
        "", "https:", "https://", "https:///a", "https://:443/", "https://a:0x1/", "https://a:99999/", "http://a/",
        "ftp://a/",
        "//a/", "a", "https://u@a/", "https://u:p@a/", "https://@a/", "https://a/?b", "https://a?b", "https://a/#b",
        "https://a b/", "https://2130706433/",
        "https://127.1/", "https://a/ b", "https://a\r\nX: y/", "https://a\\b/", "https://[::1]/", "https://a_b/",
        "https://%61/%zz\x01", "https://\xc3\xa4/", "https://a/\x80", "https://a/<",
    };
    struct gwp_target t = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (make(&t, bad[i], NULL) != GW_ERR_VALUE) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    assert_int_equal(make(&t, "https://Updates.Example.com:8443/fleet/", "offers/x"), GW_OK);
    assert_string_equal(t.host, "updates.example.com");
    assert_int_equal(make(&t, "HTTPS://127.0.0.1", NULL), GW_OK);
    assert_string_equal(t.host, "127.0.0.1");
}

static void test_redirects(void **state)
{
    static const char *const bad[] = { "", "x", "x/y", "?a", "//b/x", "http://a/x", "https://u@b/x", "https://b/#x",
                                       "/a b", "/a\tb", "/#", "https:b", "javascript:x" };
    struct gwp_target t = { 0 };
    (void)state;
    assert_int_equal(make(&t, "https://a.example:8443/b", "c"), GW_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (gwp_target_follow(&t, bad[i]) != GW_ERR_VALUE) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    assert_string_equal(t.url, "https://a.example:8443/b/c");
    assert_int_equal(gwp_target_follow(&t, "/d?e=f"), GW_OK);
    assert_string_equal(t.url, "https://a.example:8443/d?e=f");
    assert_int_equal(gwp_target_follow(&t, "https://b.example/x?y"), GW_OK);
    assert_string_equal(t.url, "https://b.example:443/x?y");
    assert_string_equal(t.host, "b.example");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),  cmocka_unit_test(test_no_http), cmocka_unit_test(test_size_of_head),
        cmocka_unit_test(test_ranges), cmocka_unit_test(test_offers),  cmocka_unit_test(test_tags),
        cmocka_unit_test(test_reports), cmocka_unit_test(test_urls),   cmocka_unit_test(test_redirects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
