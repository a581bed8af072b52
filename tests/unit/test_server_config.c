/*
 * test_server_config.c - the configuration of godwitd: every option, what is refused and in which line, the example
 * read back; and the lines of its log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server.h"

static char folder[] = "/tmp/godwit-config-XXXXXX";
static char path[64];
static struct gws_config config;
static struct gwh_error err;

static int read_text(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    memset(&err, 0, sizeof err);
    return gws_config_read(&config, path, &err);
}

static void expect(const char *text, const char *message)
{
    assert_int_not_equal(read_text(text), GWH_OK);
    if (strstr(err.text, message) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, message);
}

#define MINIMAL "[server]\ndata = d\n[payloads]\nlisten = 127.0.0.1:0\n"

static void test_minimal(void **state)
{
    char expected[80];
    (void)state;
    assert_int_equal(read_text(MINIMAL), GWH_OK);
    snprintf(expected, sizeof expected, "%s/d", folder);
    assert_string_equal(config.data, expected);
    assert_string_equal(config.door[2].listen, "127.0.0.1:0");
    assert_int_equal(config.next_look_s, 3600);
    assert_int_equal(config.door[0].limits.per_minute, 60);
    assert_int_equal(config.mqtt.port, 8883);
    assert_int_equal(config.reports.keep_days, 365);
    assert_int_equal(config.reports.keep_each, 1000);
    assert_false(config.log_json);
}

static void test_everything(void **state)
{
    (void)state;
    assert_int_equal(
        read_text("# comment\n; comment\n\n[server]\ndata = /d\ntrust = /t\nroots = r\nlog = json\nnext_look = 60\n"
                  "first_sight = yes\nfirst_sight_class = 00112233445566778899aabbccddeeff\n"
                  "payload_base = https://cdn.example/p\nlink_seconds = 300\n"
                  "[devices]\nlisten=[::]:8443\ncertificate = c\nkey = k\nclient_ca = a\ncrl = l\nper_minute = 7\n"
                  "[reports]\nkeep_days = 0\nkeep_each = 20\n"
                  "[mqtt]\nhost = broker\nport = 1\nca = a\ncertificate = c\nkey = k\n"),
        GWH_OK);
    assert_true(config.log_json && config.first_sight);
    assert_string_equal(config.data, "/d");
    assert_string_equal(config.door[0].listen, "[::]:8443");
    assert_int_equal(config.door[0].limits.per_minute, 7);
    assert_int_equal(config.mqtt.port, 1);
    assert_int_equal(config.link_seconds, 300);
    assert_true(config.reports.keep_days == 0 && config.reports.keep_each == 20);
}

static void test_refused(void **state)
{
    (void)state;
    expect("[server]\ndata = d\nnext_loook = 5\n", ":3: no such option: \"next_loook\"");
    expect("[server]\ndata = d\n\n[servers]\nx = 1\n", ":4: no such section");
    expect("[servers]\n", ":1: no such section");
    expect("data = d\n", ":1: no such section");
    expect("[admin]\nlisten = a\nfoo = b\n", ":3: no such option of a door");
    expect("[server]\ndata = a\ndata = b\n", ":3: given twice");
    expect("[server]\nnext_look = 0\n", ":2: next_look must be a number from 1 to 604800");
    expect("[server]\nnext_look = 5s\n", "must be a number");
    expect("[server]\nnext_look = 4294967296\n", "must be a number");
    expect("[server]\nfirst_sight = true\n", "neither yes nor no");
    expect("[server]\nfirst_sight_class = 12\n", "not a value");
    expect("[server]\nlog = xml\n", "not a value");
    expect("[reports]\nkeep_days = -1\n", ":2: keep_days must be a number from 0 to 36500");
    expect("[reports]\nkeep = 1\n", ":2: no such option");
    expect("[mqtt]\nport = 65536\n", "must be a number");
    expect("[server]\ndata = a ; b\n", ":2: a comment stands on a line of its own");
    expect("[server]\ndata = a\n b\n", ":3: options begin at the left margin");
    expect("[server]\ndata\n", ":2: neither a section");
    expect("[server\ndata = a\n", "no such section");
}

static void test_long(void **state)
{
    char text[700] = "[server]\ndata = ";
    (void)state;
    memset(text + strlen(text), 'x', 400);
    expect(text, ":2: the line is too long");
}

static void test_together(void **state)
{
    (void)state;
    expect("[server]\ndata = d\n", "no door has listen");
    expect("[admin]\nlisten = a\n", "needs data");
    expect("[server]\ndata = d\n[devices]\nlisten = a\n", "[devices] needs certificate");
    expect("[server]\ndata = d\n[devices]\nlisten = a\ncertificate = c\nkey = k\n", "needs client_ca");
    expect("[server]\ndata = d\n[admin]\nlisten = a\ncertificate = c\n", "it needs both");
    expect("[server]\ndata = d\n[admin]\nlisten = a\ncertificate = c\nkey = k\ncrl = l\n", "crl without client_ca");
    expect("[server]\ndata = d\ntrust = t\n[admin]\nlisten = a\n", "trust needs roots");
    expect("[server]\ndata = d\nfirst_sight = yes\n[admin]\nlisten = a\n", "needs first_sight_class");
    expect("[server]\ndata = d\npayload_base = http://x\n[admin]\nlisten = a\n", "must be an https URL");
    expect(MINIMAL "[mqtt]\nhost = b\n", "[mqtt] needs");
    memset(&err, 0, sizeof err);
    assert_int_equal(gws_config_read(&config, "/nonexistent", &err), GWH_IO);
}

/* What is written is read back the same; as it is, it says what is missing. */
static void test_example(void **state)
{
    static struct gws_config made;
    (void)state;
    assert_int_equal(read_text(MINIMAL "[mqtt]\nhost = b\nca = /a\ncertificate = /c\nkey = /k\n"), GWH_OK);
    memset(config.data, 0, sizeof config.data);
    strcpy(config.data, "/data");
    config.next_look_s = 77;
    config.door[3].limits.connections = 9;
    made = config;
    FILE *f = fopen(path, "w");
    gws_config_example(f, &made);
    fclose(f);
    assert_int_equal(gws_config_read(&config, path, &err), GWH_OK);
    assert_memory_equal(&config, &made, sizeof made);
    f = fopen(path, "w");
    gws_config_example(f, NULL);
    fclose(f);
    assert_int_equal(gws_config_read(&config, path, &err), GWH_USAGE);
    assert_non_null(strstr(err.text, "needs data"));
}

/* One line of the log, as it is written. */
static void log_line(char *out, size_t room, bool json, const char *value)
{
    int pipes[2], kept = dup(STDERR_FILENO);
    struct gws_server s = { .config.log_json = json };
    assert_int_equal(pipe(pipes), 0);
    dup2(pipes[1], STDERR_FILENO);
    gws_log(&s, "event", "key", value, "other", "b", NULL);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(pipes[1]);
    ssize_t n = read(pipes[0], out, room - 1);
    assert_true(n > 0);
    out[n] = '\0';
    close(pipes[0]);
}

static void test_log_text(void **state)
{
    char line[4096];
    (void)state;
    log_line(line, sizeof line, false, "plain");
    assert_string_equal(line + 24, " event key=plain other=b\n");
    assert_true(line[4] == '-' && line[10] == 'T' && line[23] == 'Z');
    log_line(line, sizeof line, false, "a b\n\"\\\x7f\xc3");
    assert_string_equal(line + 24, " event key=\"a b\\u000a\\\"\\\\\\u007f\\u00c3\" other=b\n");
    log_line(line, sizeof line, false, "");
    assert_string_equal(line + 24, " event key=\"\" other=b\n");
}

static void test_log_json(void **state)
{
    char line[4096], value[4000];
    (void)state;
    log_line(line, sizeof line, true, "a\"b\n");
    json_t *tree = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(tree);
    assert_string_equal(json_string_value(json_object_get(tree, "key")), "a\"b\n");
    assert_string_equal(json_string_value(json_object_get(tree, "event")), "event");
    json_decref(tree);
    memset(value, '\n', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (int json = 0; json < 2; json++) { /* one line still, and it ends */
        log_line(line, sizeof line, json, value);
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
        assert_true(strlen(line) < 2100);
    }
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/c.conf", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minimal),  cmocka_unit_test(test_everything), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_long),     cmocka_unit_test(test_together),   cmocka_unit_test(test_example),
        cmocka_unit_test(test_log_text), cmocka_unit_test(test_log_json),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
