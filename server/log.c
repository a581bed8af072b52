/*
 * log.c - one line for each event, on stderr: `time event key=value ...`, or JSON.
 *
 * Keeps true: a line is one line, whatever a value holds: control characters, quotes and bytes beyond ASCII are escaped
 * (values come from clients). A line is written by one write(2). Secrets are not logged: callers name what they log.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "server.h"

struct line {
    char text[2048];
    size_t n;
};

int64_t gws_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec;
}

/* Leaves room for what ends a line. */
static void put(struct line *l, const char *text)
{
    size_t n = strlen(text);
    if (l->n + n > sizeof l->text - 16)
        return;
    memcpy(l->text + l->n, text, n);
    l->n += n;
}

static void put_escaped(struct line *l, const char *text)
{
    char code[8];
    put(l, "\"");
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            snprintf(code, sizeof code, "\\%c", c);
        else if (c < ' ' || c >= 0x7f)
            snprintf(code, sizeof code, "\\u%04x", c);
        else
            snprintf(code, sizeof code, "%c", c);
        put(l, code);
    }
    put(l, "\"");
}

/* Text without quotes when it needs none. */
static void put_value(struct line *l, const char *text)
{
    for (const char *p = text; *p != '\0'; p++)
        if (*p <= ' ' || *p >= 0x7f || *p == '"' || *p == '\\' || *p == '=') {
            put_escaped(l, text);
            return;
        }
    put(l, text[0] == '\0' ? "\"\"" : text);
}

static void put_time(struct line *l)
{
    char text[40];
    struct timeval now;
    struct tm tm;
    gettimeofday(&now, NULL);
    gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%03dZ", (int)(now.tv_usec / 1000));
    put(l, text);
}

static void put_pairs(struct line *l, bool json, va_list list)
{
    const char *key;
    while ((key = va_arg(list, const char *)) != NULL) {
        const char *value = va_arg(list, const char *);
        value = value == NULL ? "" : value;
        if (l->n + strlen(key) + 8 > sizeof l->text - 16)
            return;
        put(l, json ? "," : " ");
        if (json) {
            put_escaped(l, key);
            put(l, ":");
            put_escaped(l, value);
        } else {
            put(l, key);
            put(l, "=");
            put_value(l, value);
        }
    }
}

void gws_log(const struct gws_server *s, const char *event, ...)
{
    struct line l = { .n = 0 };
    bool json = s != NULL && s->config.log_json;
    put(&l, json ? "{\"time\":\"" : "");
    put_time(&l);
    put(&l, json ? "\",\"event\":" : " ");
    (json ? put_escaped : put)(&l, event);
    va_list list;
    va_start(list, event);
    put_pairs(&l, json, list);
    va_end(list);
    l.text[l.n++] = json ? '}' : '\n';
    if (json)
        l.text[l.n++] = '\n';
    ssize_t done = write(STDERR_FILENO, l.text, l.n);
    (void)done; /* there is nowhere to say it */
}
