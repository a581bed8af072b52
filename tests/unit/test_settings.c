/*
 * test_settings.c - what the factory tells a device: every form of a line, where the text ends, numbers and texts.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "objects.h"
#include "settings.h"

/* The text in a heap buffer of its exact size. */
static struct t_bytes text_of(const char *text)
{
    return t_exact((const uint8_t *)text, strlen(text));
}

static struct gw_span span(struct t_bytes b)
{
    return (struct gw_span){ b.p, b.n };
}

static void equal(struct gw_span got, const char *wanted)
{
    if (got.n != strlen(wanted) || (got.n > 0 && memcmp(got.p, wanted, got.n) != 0)) {
        fail_msg("\"%.*s\", not \"%s\"", (int)got.n, (const char *)got.p, wanted);
    }
}

static void test_as_it_is_written(void **state)
{
    struct t_bytes b = text_of("# a comment\nserver = https://updates.example.com:8443\n"
                               "host = updates.example.com 10.0.2.2\n\nhost = cdn.example.com 10.0.2.3\n");
    (void)state;
    equal(gwc_setting(span(b), "server", 0), "https://updates.example.com:8443");
    equal(gwc_setting(span(b), "host", 0), "updates.example.com 10.0.2.2");
    equal(gwc_setting(span(b), "host", 1), "cdn.example.com 10.0.2.3");
    assert_int_equal(gwc_setting(span(b), "host", 2).n, 0);
    assert_int_equal(gwc_setting(span(b), "server", 1).n, 0);
    assert_int_equal(gwc_setting(span(b), "serve", 0).n, 0);
    assert_int_equal(gwc_setting(span(b), "servers", 0).n, 0);
    assert_int_equal(gwc_setting(span(b), "", 0).n, 0);
    assert_int_equal(gwc_settings_wrong(span(b)), 0);
    t_free(&b);
}

/* One line: the value of `a` in it, and whether a factory takes it. */
static void test_lines(void **state)
{
    static const struct {
        const char *line, *value;
        bool wrong;
    } rows[] = {
        { "a = 1", "1", false },       { "a=1", "1", false },          { "\ta\t=\t1\t", "1", false },
        { "  a  =  1  2  ", "1  2", false }, { "a = 1\r", "1", false }, { "a = b = c", "b = c", false },
        { "a = # no comment", "# no comment", false }, { "a = \xc3\xa4", "\xc3\xa4", false },
        { "", "", false },             { "   ", "", false },           { "#", "", false },
        { "  # a = 1", "", false },    { "a", "", true },              { "a =", "", true },
        { "a =  \t", "", true },       { "= 1", "", true },            { "A = 1", "", true },
        { "a1 = 1", "", true },        { "a b = 1", "", true },        { "a: 1", "", true },
        { "a-b = 1", "", true },       { "\xef\xbb\xbf" "a = 1", "", true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "b = 2\n%s\nc_d = 3\n", rows[i].line);
        struct t_bytes b = text_of(text), alone = text_of(rows[i].line);
        equal(gwc_setting(span(b), "a", 0), rows[i].value);
        equal(gwc_setting(span(alone), "a", 0), rows[i].value); /* the last line needs no line feed */
        equal(gwc_setting(span(b), "b", 0), "2");
        equal(gwc_setting(span(b), "c_d", 0), "3"); /* what is wrong is passed over */
        assert_int_equal(gwc_settings_wrong(span(b)), rows[i].wrong ? 2 : 0);
        assert_int_equal(gwc_settings_wrong(span(alone)), rows[i].wrong ? 1 : 0);
        t_free(&b);
        t_free(&alone);
    }
}

/* The first byte 00 or ff ends the text: an erased area, or the erased rest of one. */
static void test_end(void **state)
{
    static const uint8_t ends[] = { 0x00, 0xff };
    (void)state;
    for (size_t e = 0; e < sizeof ends; e++) {
        uint8_t area[64];
        memset(area, ends[e], sizeof area);
        struct t_bytes b = t_exact(area, sizeof area);
        struct gw_span rest = span(b), name, value;
        assert_false(gwc_settings_next(&rest, &name, &value));
        assert_int_equal(gwc_settings_wrong(span(b)), 0);
        memcpy(b.p, "a = 1\nb = 2", 11);
        memcpy(b.p + 20, "\nc = 3\nwrong\n", 13);
        equal(gwc_setting(span(b), "b", 0), "2");
        assert_int_equal(gwc_setting(span(b), "c", 0).n, 0);
        assert_int_equal(gwc_settings_wrong(span(b)), 0);
        b.p[6] = ends[e];
        equal(gwc_setting(span(b), "a", 0), "1");
        assert_int_equal(gwc_setting(span(b), "b", 0).n, 0);
        t_free(&b);
    }
    assert_int_equal(gwc_setting((struct gw_span){ NULL, 0 }, "a", 0).n, 0);
    assert_int_equal(gwc_settings_wrong((struct gw_span){ NULL, 0 }), 0);
}

static void test_walk(void **state)
{
    struct t_bytes b = text_of("# no\na = 1\nwrong\nb = 2\n\na = 3");
    struct gw_span rest = span(b), name, value;
    static const char *const wanted[][2] = { { "a", "1" }, { "b", "2" }, { "a", "3" } };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_true(gwc_settings_next(&rest, &name, &value));
        equal(name, wanted[i][0]);
        equal(value, wanted[i][1]);
    }
    assert_false(gwc_settings_next(&rest, &name, &value));
    assert_false(gwc_settings_next(&rest, &name, &value));
    t_free(&b);
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        uint32_t value;
    } rows[] = {
        { "n = 0", 0 },           { "n = 1", 1 },           { "n = 4294967295", UINT32_MAX },
        { "n = 4294967296", 77 }, { "n = 99999999999999999999999", 77 },
        { "n = 007", 7 },         { "n = -1", 77 },         { "n = +1", 77 },          { "n = 1 2", 77 },
        { "n = 0x10", 77 },       { "n = 1k", 77 },         { "n =", 77 },             { "m = 1", 77 },
        { "n = x\nn = 5", 77 }, /* the first one counts, right or not */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct t_bytes b = text_of(rows[i].text);
        assert_int_equal(gwc_setting_number(span(b), "n", 77), rows[i].value);
        t_free(&b);
    }
}

static void test_texts(void **state)
{
    struct t_bytes b = text_of("s = four\n");
    char out[8];
    (void)state;
    memset(out, 'x', sizeof out);
    assert_true(gwc_setting_text(span(b), "s", out, 5));
    assert_string_equal(out, "four");
    assert_int_equal(out[5], 'x');
    assert_false(gwc_setting_text(span(b), "s", out, 4)); /* not cut off in silence */
    assert_string_equal(out, "");
    assert_false(gwc_setting_text(span(b), "t", out, sizeof out));
    assert_string_equal(out, "");
    out[0] = 'x';
    assert_false(gwc_setting_text(span(b), "s", out, 0));
    assert_int_equal(out[0], 'x');
    t_free(&b);
}

/* One line at a time: what it must be, NULL when it is. What follows is looked at too. */
static void test_faults(void **state)
{
    static const char number[] = "4294967295", many[] = "4294967296";
    static const struct {
        const char *name, *value, *expected;
    } rows[] = {
        { "server", "https://updates.example.com:8443/below", NULL },
        { "server", "http://updates.example.com", "https://NAME[:PORT][/PATH]" },
        { "server", "updates.example.com", "https://NAME[:PORT][/PATH]" },
        { "mqtt", "updates.example.com:8444", NULL },  { "mqtt", "10.0.2.2:1", NULL },
        { "mqtt", "updates.example.com", "NAME:PORT" }, { "mqtt", "updates.example.com:", "NAME:PORT" },
        { "mqtt", "a.example:65536", "NAME:PORT" },    { "mqtt", "a.example:0", "NAME:PORT" },
        { "mqtt", ":8444", "NAME:PORT" },              { "mqtt", "a.example:8444/x", "NAME:PORT" },
        { "mqtt", "a.example 8444", "NAME:PORT" },     { "mqtt", "mqtts://a.example:8444", "NAME:PORT" },
        { "offer", "static", NULL },                   { "report", "device/v1/report", NULL },
        { "poll", number, NULL },                      { "poll", many, "seconds" },
        { "poll", "1h", "seconds" },                   { "jitter", "-1", "seconds" },
        { "anonymous_after", "3", NULL },              { "anonymous_after", "never", "a number" },
        { "address", "10.0.2.15/24", NULL },           { "address", "10.0.2.15", "A.B.C.D/BITS" },
        { "address", "10.0.2.15/33", "A.B.C.D/BITS" }, { "address", "10.0.2.15/0", "A.B.C.D/BITS" },
        { "address", "10.0.2/24", "A.B.C.D/BITS" },    { "address", "/24", "A.B.C.D/BITS" },
        { "address", "10.0.2.15/", "A.B.C.D/BITS" },   { "gateway", "10.0.2.2", NULL },
        { "gateway", "10.0.2.256", "A.B.C.D" },        { "dns", "one.one.one.one", "A.B.C.D" },
        { "host", "a.example 10.0.2.2", NULL },        { "host", "a.example", "NAME A.B.C.D" },
        { "host", "10.0.2.2 a.example", "NAME A.B.C.D" }, { "host", "a.example  10.0.2.2", "NAME A.B.C.D" },
        { "host", "a.example:1 10.0.2.2", "NAME A.B.C.D" }, { "own", "anything", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gwc_settings_fault fault;
        char text[128];
        (void)snprintf(text, sizeof text, "# where\n\n%s = %s\nafter\n", rows[i].name, rows[i].value);
        struct t_bytes b = text_of(text);
        assert_true(gwc_settings_fault(span(b), &fault)); /* the last line, if no other */
        if (rows[i].expected == NULL) {
            assert_int_equal(fault.line, 4);
            assert_null(fault.name);
        } else {
            assert_int_equal(fault.line, 3);
            assert_string_equal(fault.name, rows[i].name);
            assert_string_equal(fault.expected, rows[i].expected);
        }
        t_free(&b);
    }
}

static void test_faults_of_several_lines(void **state)
{
    struct gwc_settings_fault fault;
    char text[2 * GWC_SETTING_PATH_MAX];
    struct t_bytes twice = text_of("mqtt = a.example:1\npoll = 5\nmqtt = a.example:1\n"),
                   hosts = text_of("host = a.example 10.0.2.2\nhost = b.example 10.0.2.2\nown = 1\nown = 1\n");
    (void)state;
    assert_true(gwc_settings_fault(span(twice), &fault));
    assert_int_equal(fault.line, 3);
    assert_string_equal(fault.name, "mqtt");
    assert_false(gwc_settings_fault(span(hosts), &fault));
    assert_false(gwc_settings_fault((struct gw_span){ NULL, 0 }, &fault));
    t_free(&twice);
    t_free(&hosts);
    for (unsigned n = GWC_SETTING_PATH_MAX; n <= GWC_SETTING_PATH_MAX + 1; n++) {
        (void)snprintf(text, sizeof text, "offer = %0*d", (int)n, 0);
        struct t_bytes b = text_of(text);
        assert_int_equal(gwc_settings_fault(span(b), &fault), n > GWC_SETTING_PATH_MAX);
        t_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_it_is_written), cmocka_unit_test(test_lines),   cmocka_unit_test(test_end),
        cmocka_unit_test(test_walk),             cmocka_unit_test(test_numbers), cmocka_unit_test(test_texts),
        cmocka_unit_test(test_faults),           cmocka_unit_test(test_faults_of_several_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
