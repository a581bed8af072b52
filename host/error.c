/*
 * error.c - see error.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "error.h"

static void put(char *out, size_t size, const char *format, va_list args)
{
    size_t at = strlen(out);
    if (at < size - 1) {
        (void)vsnprintf(out + at, size - at, format, args);
    }
}

static void put_f(char *out, size_t size, const char *format, ...) GWH_PRINTF(3, 4);
static void put_f(char *out, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put(out, size, format, args);
    va_end(args);
}

int gwh_fail(struct gwh_error *e, int exit, const char *format, ...)
{
    if (e->exit != GWH_OK) {
        return e->exit;
    }
    va_list args;
    va_start(args, format);
    put(e->text, sizeof e->text, format, args);
    va_end(args);
    e->exit = exit;
    return exit;
}

int gwh_fail_reason(struct gwh_error *e, int reason, const char *format, ...)
{
    if (e->exit != GWH_OK) {
        return e->exit;
    }
    va_list args;
    va_start(args, format);
    put(e->text, sizeof e->text, format, args);
    va_end(args);
    put_f(e->text, sizeof e->text, ": %s: %s", gw_error_name(reason), gw_strerror(reason));
    e->reason = reason;
    e->exit = reason == GW_ERR_SPACE || reason == GW_ERR_CRYPTO ? GWH_IO : GWH_REFUSED;
    return e->exit;
}

int gwh_fail_errno(struct gwh_error *e, const char *format, ...)
{
    int saved = errno;
    if (e->exit != GWH_OK) {
        return e->exit;
    }
    va_list args;
    va_start(args, format);
    put(e->text, sizeof e->text, format, args);
    va_end(args);
    put_f(e->text, sizeof e->text, ": %s", strerror(saved));
    e->exit = GWH_IO;
    return GWH_IO;
}

int gwh_hint(struct gwh_error *e, const char *format, ...)
{
    if (e->hint[0] == '\0') {
        va_list args;
        va_start(args, format);
        put(e->hint, sizeof e->hint, format, args);
        va_end(args);
    }
    return e->exit;
}
