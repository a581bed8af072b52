/*
 * settings.c - what the factory told a device; see settings.h.
 *
 * One reader of lines for the device, which passes over what it does not understand, and for the factory, which
 * refuses it.
 */
#include "settings.h"

#include <string.h>

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
