/*
 * settings.c - see settings.h.
 */
#include "settings.h"

#include <string.h>

static bool is_end(uint8_t c)
{
    return c == 0xff || c == 0;
}

struct gw_span gwc_setting(struct gw_span text, const char *name, unsigned i)
{
    const struct gw_span none = { NULL, 0 };
    size_t at = 0, n = strlen(name);

    while (at < text.n && !is_end(text.p[at])) {
        size_t end = at;
        while (end < text.n && text.p[end] != '\n' && !is_end(text.p[end])) {
            end++;
        }
        bool here = end - at > n + 3 && memcmp(text.p + at, name, n) == 0 && memcmp(text.p + at + n, " = ", 3) == 0;
        if (here && i-- == 0) {
            return (struct gw_span){ text.p + at + n + 3, end - at - n - 3 };
        }
        at = end < text.n && text.p[end] == '\n' ? end + 1 : end;
    }
    return none;
}

uint32_t gwc_setting_number(struct gw_span text, const char *name, uint32_t otherwise)
{
    struct gw_span value = gwc_setting(text, name, 0);
    uint32_t n = 0;

    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9' || n > 429496728) {
            return otherwise;
        }
        n = n * 10 + (uint32_t)(value.p[i] - '0');
    }
    return value.n > 0 ? n : otherwise;
}

bool gwc_setting_text(struct gw_span text, const char *name, char *out, size_t size)
{
    struct gw_span value = gwc_setting(text, name, 0);

    out[0] = '\0';
    if (value.n == 0 || value.n >= size) {
        return false;
    }
    memcpy(out, value.p, value.n);
    out[value.n] = '\0';
    return true;
}
