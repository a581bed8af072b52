/*
 * test_url.c - URLs that are taken and all the others; which hosts a trust bundle lists.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "objects.h"
#include "url.h"

static struct gw_span span(const char *text)
{
    return (struct gw_span){ (const uint8_t *)text, strlen(text) };
}

/* A copy of its exact size on the heap; freed by the next call. */
static struct gw_span exact(const char *text, size_t n)
{
    static uint8_t *copy;

    free(copy);
    copy = malloc(n > 0 ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    return (struct gw_span){ copy, n };
}

static void expect(struct gw_span s, const char *text)
{
    assert_int_equal(s.n, strlen(text));
    assert_memory_equal(s.p, text, s.n);
}

static void test_taken(void **state)
{
    static const struct {
        const char *url, *host;
        uint16_t port;
        const char *path;
    } good[] = {
        { "https://updates.example.com", "updates.example.com", 443, "" },
        { "https://updates.example.com/", "updates.example.com", 443, "/" },
        { "https://updates.example.com:8443/fleet/a-b_c~d", "updates.example.com", 8443, "/fleet/a-b_c~d" },
        { "HTTPS://Host:1", "Host", 1, "" },
        { "https://h:65535/x", "h", 65535, "/x" },
        { "https://127.0.0.1:4/", "127.0.0.1", 4, "/" },
        { "https://255.255.255.255", "255.255.255.255", 443, "" },
        { "https://1a.b2.c", "1a.b2.c", 443, "" },
        { "https://h/%41%7e!$&'()*+,;=:@//..", "h", 443, "/%41%7e!$&'()*+,;=:@//.." },
    };
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct gwc_url u;
        struct gw_span text = exact(good[i].url, strlen(good[i].url));
        if (gwc_url_parse(&u, text) != GW_OK) {
            fail_msg("refused: %s", good[i].url);
        }
        expect(u.host, good[i].host);
        assert_int_equal(u.port, good[i].port);
        expect(u.path, good[i].path);
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "", "h", "https:/", "https://", "https:///x", "http://host/", "https//host", " https://host", "https://host ",
        "https://user@host/", "https://user:word@host/", "https://host/?q", "https://host?q", "https://host/#f",
        "https://host#f", "https://host:/", "https://host:0/", "https://host:065/", "https://host:65536/",
        "https://host:99999999999/", "https://host:1a/", "https://host:-1/", "https://host:1:2/", "https://:1/",
        "https://-a.b/", "https://a-/", "https://a..b/", "https://.a/", "https://a./", "https://a_b/", "https://a%41/",
        "https://[::1]/", "https://1.2.3/", "https://1.2.3.4.5/", "https://1.2.3.256/", "https://01.2.3.4/",
        "https://127.1/", "https://0x7f.1/", "https://a.1/", "https://a.0x1/", "https://2130706433/",
        "https://host/ ", "https://host/\"", "https://host/<", "https://host/\\", "https://host/%", "https://host/%4",
        "https://host/%4g", "https://host/a\nb", "https://host/\x7f", "https://host/\xc3\xa4", "https://h\xc3\xa4/",
        "https://host\r\n/", "https://host/a\r\nHost: b", "https://host/a b",
    };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gwc_url u;
        if (gwc_url_parse(&u, exact(bad[i], strlen(bad[i]))) != GW_ERR_VALUE) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    struct gwc_url u;
    assert_int_equal(gwc_url_parse(&u, exact("https://host/a\0b", 16)), GW_ERR_VALUE);
}

/* "https://" and labels of `label` bytes, n in all. */
static struct gw_span long_url(size_t n, size_t label, char tail)
{
    static char text[2048];

    memset(text, 'a', sizeof text);
    memcpy(text, "https://", 8);
    for (size_t i = 8 + label; i < n; i += label + 1) {
        text[i] = '.';
    }
    if (tail == '/') {
        text[12] = tail;
    }
    return exact(text, n);
}

static void test_lengths(void **state)
{
    struct gwc_url u, from;
    (void)state;

    assert_int_equal(gwc_url_parse(&u, long_url(8 + 63, 63, 0)), GW_OK);
    assert_int_equal(gwc_url_parse(&u, long_url(8 + 64, 64, 0)), GW_ERR_VALUE);
    assert_int_equal(gwc_url_parse(&u, long_url(255, 2000, '/')), GW_OK);
    assert_int_equal(gwc_url_parse(&u, long_url(256, 2000, '/')), GW_ERR_VALUE);
    assert_int_equal(gwc_url_parse(&from, span("https://h")), GW_OK);
    assert_int_equal(gwc_url_target(&u, &from, long_url(1023, 2000, '/')), GW_OK);
    assert_int_equal(gwc_url_target(&u, &from, long_url(1024, 2000, '/')), GW_ERR_VALUE);
    assert_int_equal(gwc_url_target(&u, &from, long_url(8 + 253, 50, 0)), GW_OK);
    assert_int_equal(u.host.n, 253);
    assert_int_equal(gwc_url_target(&u, &from, long_url(8 + 254, 50, 0)), GW_ERR_VALUE);
}

static void test_target(void **state)
{
    static const char *const bad[] = {
        "", "x", "//other/x", "?q", "http://a/", "https://a/#f", "https://a/x?y#z", "https://a?x", "/a b", "/a#f",
        "/\n", "/a\r\nb",
    };
    struct gwc_url from, u;
    (void)state;

    assert_int_equal(gwc_url_parse(&from, span("https://here:8443/base")), GW_OK);
    assert_int_equal(gwc_url_target(&u, &from, span("/there?x=/?%20&y")), GW_OK);
    expect(u.host, "here");
    assert_int_equal(u.port, 8443);
    expect(u.path, "/there?x=/?%20&y");
    assert_int_equal(gwc_url_target(&u, &from, span("https://there/p?q")), GW_OK);
    expect(u.host, "there");
    assert_int_equal(u.port, 443);
    expect(u.path, "/p?q");
    assert_int_equal(gwc_url_target(&u, &from, span("/")), GW_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (gwc_url_target(&u, &from, exact(bad[i], strlen(bad[i]))) != GW_ERR_VALUE) {
            fail_msg("taken: %s", bad[i]);
        }
    }
}

static void test_hosts(void **state)
{
    struct t_bytes list = t_hex("82" "65612e636f6d" "6142"); /* ["a.com", "B"] */
    struct gw_trust trust = { .hosts = { list.p, list.n } }, none = { .version = 1 };
    (void)state;

    assert_true(gwc_host_equal(span("UPDATES-1.Example.com"), span("updates-1.eXAMPLE.COM")));
    assert_false(gwc_host_equal(span("a"), span("b")));
    assert_false(gwc_host_equal(span("a"), span("ab")));
    assert_false(gwc_host_equal(span("@"), span("`"))); /* differ in the bit of letters' case, but are none */
    assert_true(gwc_host_listed(&trust, span("A.com")));
    assert_true(gwc_host_listed(&trust, span("b")));
    assert_false(gwc_host_listed(&trust, span("a.co")));
    assert_false(gwc_host_listed(&trust, span("a.com.")));
    assert_false(gwc_host_listed(&trust, span("x.a.com")));
    assert_false(gwc_host_listed(&trust, span("")));
    assert_false(gwc_host_listed(&none, span("b")));
    t_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),   cmocka_unit_test(test_refused), cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_target), cmocka_unit_test(test_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
