/*
 * fuzz_settings.c - any bytes as the settings of a device.
 *
 * Properties: every name and value is a view into the text, before its end, without a line feed and without blanks
 * around it; what is found by its name is what a walk finds; a number is what its digits say; a text ends with a zero.
 */
#include <string.h>

#include "fuzz_formats.h"
#include "settings.h"

static void check_view(struct gw_span text, struct gw_span s)
{
    MUST(s.n > 0 && s.p >= text.p && s.p + s.n <= text.p + text.n);
    for (size_t i = 0; i < s.n; i++) {
        MUST(s.p[i] != '\n' && s.p[i] != 0 && s.p[i] != 0xff);
    }
    MUST(strchr(" \t\r", s.p[0]) == NULL && strchr(" \t\r", s.p[s.n - 1]) == NULL);
}

static void check_number(struct gw_span text, const char *name, struct gw_span first)
{
    uint32_t v = gwc_setting_number(text, name, 77);
    unsigned long long sum = 0;
    bool digits = true;
    for (size_t i = 0; i < first.n; i++) {
        digits = digits && first.p[i] >= '0' && first.p[i] <= '9';
        sum = digits && sum <= UINT32_MAX ? sum * 10 + (first.p[i] - '0') : sum;
    }
    MUST(v == (digits && sum <= UINT32_MAX ? sum : 77));
}

/* By its name, number i is what the walk met as the i-th of this name. */
static void check_name(struct gw_span text, struct gw_span name)
{
    char wanted[64], out[16];
    struct gw_span rest = text, n, v, first = {NULL, 0};
    unsigned i = 0;
    if (name.n >= sizeof wanted) {
        return;
    }
    memcpy(wanted, name.p, name.n);
    wanted[name.n] = '\0';
    while (gwc_settings_next(&rest, &n, &v)) {
        if (n.n == name.n && memcmp(n.p, name.p, n.n) == 0) {
            struct gw_span found = gwc_setting(text, wanted, i++);
            MUST(found.p == v.p && found.n == v.n);
            first = i == 1 ? v : first;
        }
    }
    MUST(i > 0 && gwc_setting(text, wanted, i).n == 0);
    check_number(text, wanted, first);
    bool fits = gwc_setting_text(text, wanted, out, sizeof out);
    MUST(fits == (first.n < sizeof out) && strlen(out) == (fits ? first.n : 0));
    MUST(memcmp(out, first.p, strlen(out)) == 0);
}

/* What a factory takes, a device reads: no line is none, and nothing known is absent that is there. */
static void check_fault(struct gw_span text)
{
    struct gwc_settings_fault fault;
    if (gwc_settings_fault(text, &fault)) {
        MUST(fault.line > 0 && fault.expected != NULL);
        MUST((fault.name == NULL) == (gwc_settings_wrong(text) == fault.line));
        return;
    }
    struct gw_span mqtt = gwc_setting(text, "mqtt", 0), host = gwc_setting(text, "host", 0),
                   poll = gwc_setting(text, "poll", 0);
    MUST(gwc_settings_wrong(text) == 0);
    MUST(gwc_setting(text, "dns", 0).n == 0 || gwc_address(gwc_setting(text, "dns", 0)) != 0);
    MUST(poll.n == 0 || gwc_setting_number(text, "poll", 1) == gwc_setting_number(text, "poll", 2));
    MUST(mqtt.n == 0 || memchr(mqtt.p, ':', mqtt.n) != NULL);
    MUST(host.n == 0 || memchr(host.p, ' ', host.n) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_span text = {data, size}, rest = text, name, value;
    unsigned settings = 0, lines = 1;

    while (gwc_settings_next(&rest, &name, &value)) {
        check_view(text, name);
        check_view(text, value);
        if (settings++ < 8) {
            check_name(text, name);
        }
    }
    for (size_t i = 0; i < size; i++) {
        lines += data[i] == '\n';
    }
    MUST(settings <= lines && gwc_settings_wrong(text) <= lines);
    check_fault(text);
    MUST(gwc_setting(text, "", 0).n == 0 && gwc_setting_number(text, "Server", 5) == 5);
    return 0;
}
