/*
 * settings.c - what the factory told a device; see settings.h.
 *
 * One reader of lines for the device, which passes over what it does not understand, and for the factory, which
 * refuses it.
 */
#include "settings.h"

#include <string.h>

#include "url.h"

enum line {
    NOTHING, /* blank, or a comment */
    SETTING,
    WRONG,
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_name(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || c == '_';
}

static struct gw_span behind(struct gw_span s, size_t n)
{
    return (struct gw_span){ s.p + n, s.n - n };
}

static struct gw_span trim(struct gw_span s)
{
    while (s.n > 0 && is_blank(s.p[0])) {
        s = behind(s, 1);
    }
    while (s.n > 0 && is_blank(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

/* The first line of *rest, which becomes what is behind it. False: the text has ended. */
static bool next_line(struct gw_span *rest, struct gw_span *line)
{
    size_t n = 0;

    while (n < rest->n && rest->p[n] != '\n' && rest->p[n] != 0 && rest->p[n] != 0xff) {
        n++;
    }
    *line = (struct gw_span){ rest->p, n };
    if (n < rest->n && rest->p[n] == '\n') {
        *rest = behind(*rest, n + 1);
        return true;
    }
    *rest = (struct gw_span){ NULL, 0 };
    return n > 0;
}

static enum line read_line(struct gw_span line, struct gw_span *name, struct gw_span *value)
{
    struct gw_span rest = trim(line);
    size_t n = 0;

    if (rest.n == 0 || rest.p[0] == '#') {
        return NOTHING;
    }
    while (n < rest.n && is_name(rest.p[n])) {
        n++;
    }
    *name = (struct gw_span){ rest.p, n };
    rest = trim(behind(rest, n));
    if (n == 0 || rest.n == 0 || rest.p[0] != '=') {
        return WRONG;
    }
    *value = trim(behind(rest, 1));
    return value->n > 0 ? SETTING : WRONG;
}

bool gwc_settings_next(struct gw_span *rest, struct gw_span *name, struct gw_span *value)
{
    struct gw_span line;

    while (next_line(rest, &line)) {
        if (read_line(line, name, value) == SETTING) {
            return true;
        }
    }
    return false;
}

unsigned gwc_settings_wrong(struct gw_span text)
{
    struct gw_span line, name, value;

    for (unsigned number = 1; next_line(&text, &line); number++) {
        if (read_line(line, &name, &value) == WRONG) {
            return number;
        }
    }
    return 0;
}

static bool is_called(struct gw_span name, const char *wanted)
{
    for (size_t i = 0; i < name.n; i++) {
        if (wanted[i] == 0 || (uint8_t)wanted[i] != name.p[i]) {
            return false;
        }
    }
    return wanted[name.n] == 0;
}

struct gw_span gwc_setting(struct gw_span text, const char *name, unsigned i)
{
    struct gw_span found, value;

    while (gwc_settings_next(&text, &found, &value)) {
        if (is_called(found, name) && i-- == 0) {
            return value;
        }
    }
    return (struct gw_span){ NULL, 0 };
}

bool gwc_number(struct gw_span s, uint32_t *n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
        v = v * 10 + (s.p[i] - '0');
        if (v > UINT32_MAX) {
            return false;
        }
    }
    if (s.n > 0) {
        *n = (uint32_t)v;
    }
    return s.n > 0;
}

uint32_t gwc_address(struct gw_span text)
{
    uint32_t address = 0, part = 0, parts = 0, digits = 0;

    for (size_t i = 0; i <= text.n; i++) {
        uint8_t c = i < text.n ? text.p[i] : '.';
        if (c == '.' && digits > 0 && parts < 4) {
            address = address << 8 | part;
            part = digits = 0;
            parts++;
        } else if (c >= '0' && c <= '9' && digits < 3 && part * 10 + c - '0' <= 255) {
            part = part * 10 + c - '0';
            digits++;
        } else {
            return 0;
        }
    }
    return parts == 4 ? address : 0;
}

uint32_t gwc_setting_number(struct gw_span text, const char *name, uint32_t otherwise)
{
    (void)gwc_number(gwc_setting(text, name, 0), &otherwise);
    return otherwise;
}

bool gwc_setting_text(struct gw_span text, const char *name, char *out, size_t size)
{
    struct gw_span s = gwc_setting(text, name, 0);

    if (size == 0) {
        return false;
    }
    if (s.n >= size) {
        s.n = 0;
    }
    if (s.n > 0) {
        memcpy(out, s.p, s.n);
    }
    out[s.n] = 0;
    return s.n > 0;
}

/* ---- What a value must be -------------------------------------------------------------------------------------- */

static bool is_server(struct gw_span v)
{
    struct gwc_url url;
    return v.n <= GWC_URL_MAX && gwc_url_parse(&url, v) == GW_OK;
}

/* As the host of a URL, whose reader knows what a name is. With a port, or without. */
static bool is_host(struct gw_span v, bool with_port)
{
    uint8_t text[8 + GWC_HOST_MAX];
    struct gwc_url url;

    if (v.n > GWC_HOST_MAX) {
        return false;
    }
    memcpy(text, "https://", 8);
    memcpy(text + 8, v.p, v.n);
    return gwc_url_parse(&url, (struct gw_span){ text, 8 + v.n }) == GW_OK && url.path.n == 0 &&
           (url.host.n < v.n) == with_port;
}

static bool is_broker(struct gw_span v)
{
    return is_host(v, true);
}

static bool is_path(struct gw_span v)
{
    return v.n <= GWC_SETTING_PATH_MAX;
}

static bool is_count(struct gw_span v)
{
    uint32_t n;
    return gwc_number(v, &n);
}

static bool is_address(struct gw_span v)
{
    return gwc_address(v) != 0;
}

/* Behind the first `c` of *v, which becomes what is before it. n 0: there is none. */
static struct gw_span cut(struct gw_span *v, uint8_t c)
{
    const uint8_t *at = memchr(v->p, c, v->n);
    struct gw_span rest = { NULL, 0 };

    if (at != NULL) {
        rest = behind(*v, (size_t)(at - v->p) + 1);
        v->n = (size_t)(at - v->p);
    }
    return rest;
}

static bool is_network(struct gw_span v)
{
    struct gw_span bits = cut(&v, '/');
    uint32_t n;
    return bits.n > 0 && gwc_number(bits, &n) && n >= 1 && n <= 32 && is_address(v);
}

static bool is_known_host(struct gw_span v)
{
    struct gw_span address = cut(&v, ' ');
    return address.n > 0 && is_address(address) && is_host(v, false);
}

static const struct rule {
    const char *name;
    bool (*takes)(struct gw_span value);
    const char *expected;
} rules[] = {
    { "server", is_server, "https://NAME[:PORT][/PATH]" },
    { "mqtt", is_broker, "NAME:PORT" },
    { "offer", is_path, "a path below the server, or static" },
    { "report", is_path, "a path below the server" },
    { "poll", is_count, "seconds" },
    { "jitter", is_count, "seconds" },
    { "anonymous_after", is_count, "a number" },
    { "address", is_network, "A.B.C.D/BITS" },
    { "gateway", is_address, "A.B.C.D" },
    { "dns", is_address, "A.B.C.D" },
    { "host", is_known_host, "NAME A.B.C.D" },
};

/* NULL: nothing is wrong. */
static const char *judge(struct gw_span text, const struct rule *rule, struct gw_span value)
{
    if (!rule->takes(value)) {
        return rule->expected;
    }
    return rule->takes == is_known_host || gwc_setting(text, rule->name, 0).p == value.p ? NULL : "to be there once";
}

bool gwc_settings_fault(struct gw_span text, struct gwc_settings_fault *fault)
{
    struct gw_span rest = text, line, name, value;
    enum line kind;

    *fault = (struct gwc_settings_fault){ 0, NULL, NULL };
    while (fault->expected == NULL && next_line(&rest, &line)) {
        fault->line++;
        kind = read_line(line, &name, &value);
        fault->expected = kind == WRONG ? "name = value" : NULL;
        for (size_t i = 0; kind == SETTING && i < sizeof rules / sizeof rules[0]; i++) {
            if (is_called(name, rules[i].name)) {
                fault->expected = judge(text, &rules[i], value);
                fault->name = fault->expected != NULL ? rules[i].name : NULL;
            }
        }
    }
    return fault->expected != NULL;
}
