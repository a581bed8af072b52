/*
 * http_answer.c - how a handler answers a request.
 *
 * Keeps true: one answer to a request; no header that carries CR or LF; every answer has a length or ends the
 * connection; an answer to a client that is gone is dropped, and so is the request. Errors are JSON with a word that
 * stays the same; what failed inside goes to the log, not to the client.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http_internal.h"

/* ---- Status line and headers ------------------------------------------------------------------------------------- */

static const char *phrase(int status)
{
    static const struct {
        int status;
        const char *text;
    } known[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 206, "Partial Content" },
        { 302, "Found" },
        { 304, "Not Modified" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 411, "Length Required" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 416, "Range Not Satisfiable" },
        { 417, "Expectation Failed" },
        { 422, "Unprocessable Content" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 503, "Service Unavailable" },
        { 505, "HTTP Version Not Supported" },
        { 507, "Insufficient Storage" },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].status == status)
            return known[i].text;
    return "Unknown";
}

void gws_answer_header(struct gws_call *call, const char *name, const char *value)
{
    struct gws_request *r = gws_request_of(call);
    size_t room = sizeof r->extra - r->extra_n, n = strlen(name) + strlen(value) + 4;
    for (const char *p = value; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return;
    if (n >= room)
        return;
    r->extra_n += (size_t)snprintf(r->extra + r->extra_n, room, "%s: %s\r\n", name, value);
}

static const char *date(struct gws_http *h)
{
    int64_t now = gws_now();
    if (h->date_of != now) {
        time_t t = (time_t)now;
        struct tm tm;
        gmtime_r(&t, &tm);
        strftime(h->date, sizeof h->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        h->date_of = now;
    }
    return h->date;
}

bool gws_answer_head(struct gws_request *r, int status, const char *type, int64_t length)
{
    struct gws_conn *c = r->conn;
    struct gws_http *h = c->door->http;
    char text[512];
    r->close |= length < 0 || h->draining || c->generation != c->door->generation;
    int n = snprintf(text, sizeof text, "HTTP/1.1 %d %s\r\nDate: %s\r\n%s", status, phrase(status), date(h),
                     r->close ? "Connection: close\r\n" : "");
    if (type != NULL)
        n += snprintf(text + n, sizeof text - (size_t)n, "Content-Type: %.80s\r\nX-Content-Type-Options: nosniff\r\n",
                      type);
    if (length >= 0 && status != 204 && status != 304)
        n += snprintf(text + n, sizeof text - (size_t)n, "Content-Length: %lld\r\n", (long long)length);
    return gws_out_add(&c->out, text, (size_t)n) && gws_out_add(&c->out, r->extra, r->extra_n) &&
           gws_out_add(&c->out, "\r\n", 2);
}

bool gws_answer_begin(struct gws_call *call)
{
    struct gws_request *r = gws_request_of(call);
    if (r->conn == NULL) {
        gws_request_free(r);
        return false;
    }
    if (r->answered) {
        gws_log(call->server, "bug", "text", "answered twice", "path", call->path, NULL);
        return false;
    }
    r->answered = true;
    return true;
}

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

void gws_answer(struct gws_call *call, int status, const char *type, struct gw_span body)
{
    if (!gws_answer_begin(call))
        return;
    struct gws_request *r = gws_request_of(call);
    struct gws_conn *c = r->conn;
    bool bodiless = strcmp(call->method, "HEAD") == 0 || status == 204 || status == 304;
    c->state = GWS_WRITING;
    if (!gws_answer_head(r, status, type, (int64_t)body.n) || (!bodiless && !gws_out_add(&c->out, body.p, body.n))) {
        gws_conn_drop(c);
        return;
    }
    gws_conn_answered(c);
}

void gws_answer_json(struct gws_call *call, int status, json_t *tree)
{
    char *text = json_dumps(tree, JSON_COMPACT);
    json_decref(tree);
    if (text == NULL) {
        gws_answer(call, 500, NULL, (struct gw_span){ NULL, 0 });
        return;
    }
    gws_answer_header(call, "Cache-Control", "no-store");
    gws_answer(call, status, "application/json", (struct gw_span){ (const uint8_t *)text, strlen(text) });
    free(text);
}

static void answer_error(struct gws_call *call, int status, const char *code, const char *message, const char *hint)
{
    json_t *tree = json_pack("{s:s, s:s}", "error", code, "message", message);
    if (tree != NULL && hint != NULL && hint[0] != '\0')
        json_object_set_new(tree, "hint", json_string(hint));
    gws_answer_json(call, status, tree);
}

void gws_answer_error(struct gws_call *call, int status, const char *code, const char *format, ...)
{
    char text[600];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    answer_error(call, status, code, text, NULL);
}

/* What a person may do about a refusal, by its code; NULL: nothing better than its sentence is known. */
static const char *hint_of(const char *code)
{
    static const struct {
        const char *code, *hint;
    } known[] = {
        {"token", "`godwit server token --name NAME --role ROLE` makes one; `Authorization: Bearer TOKEN` shows it"},
        {"role", "an admin makes a token of another role: `godwit server token --name NAME --role ROLE`"},
        {"device_unknown", "`godwit device import` makes devices known"},
        {"device_disabled", "`godwit device set ID --enabled yes` lets it in again"},
        {"bad_query", "GET /api/v1/openapi.json names the parameters of every path"},
        {"not_found", "GET /api/v1/openapi.json names every path"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].code, code) == 0)
            return known[i].hint;
    return NULL;
}

void gws_answer_refusal(struct gws_request *r, const struct gws_refusal *no)
{
    /* Devices read no hints, and strangers need none. */
    answer_error(&r->call, no->status, no->code, no->text,
                 r->call.door == GWS_DOOR_ADMIN || no->status == 403 ? hint_of(no->code) : NULL);
}

void gws_answer_failure(struct gws_call *call, const struct gwh_error *err)
{
    char code[40];
    if (err->exit == GWH_REFUSED) {
        snprintf(code, sizeof code, "%s", err->reason != 0 ? gw_error_name(err->reason) : "refused");
        answer_error(call, 409, code, err->text, err->hint);
    } else if (err->exit == GWH_USAGE) {
        answer_error(call, 400, "bad_request", err->text, err->hint);
    } else {
        gws_log(call->server, "failed", "path", call->path == NULL ? "" : call->path, "error", err->text, NULL);
        answer_error(call, 500, "internal", "this did not work; the server's log says why", NULL);
    }
}

/* ---- Streams ----------------------------------------------------------------------------------------------------- */

struct gws_stream {
    struct gws_conn *conn;
    void (*gone)(void *ctx);
    void *ctx;
};

struct gws_stream *gws_answer_stream(struct gws_call *call, const char *type, void (*gone)(void *ctx), void *ctx)
{
    struct gws_stream *s = calloc(1, sizeof *s);
    if (!gws_answer_begin(call)) {
        free(s);
        return NULL;
    }
    struct gws_conn *c = gws_request_of(call)->conn;
    gws_answer_header(call, "Cache-Control", "no-store");
    if (s == NULL || strcmp(call->method, "HEAD") == 0 || !gws_answer_head(gws_request_of(call), 200, type, -1)) {
        free(s);
        gws_conn_drop(c);
        return NULL;
    }
    *s = (struct gws_stream){ c, gone, ctx };
    c->stream = s;
    c->state = GWS_STREAMING;
    event_active(&c->socket, EV_WRITE, 0); /* in the loop: it may end at once, and the caller wants it first */
    return s;
}

bool gws_stream_send(struct gws_stream *s, struct gw_span bytes)
{
    struct gws_conn *c = s->conn;
    if (c->out.n - c->out.at + bytes.n > GWS_STREAM_MAX || !gws_out_add(&c->out, bytes.p, bytes.n)) {
        char address[GWS_ADDRESS_TEXT];
        gws_conn_address(c, address);
        gws_log(c->door->http->server, "listener-dropped", "address", address, NULL);
        gws_conn_drop(c);
        return false;
    }
    /* In the loop, not here: the caller walks over its listeners. */
    event_active(&c->socket, EV_WRITE, 0);
    return true;
}

void gws_stream_close(struct gws_stream *s)
{
    gws_conn_drop(s->conn);
}

void gws_stream_end(struct gws_stream *s)
{
    s->gone(s->ctx);
    free(s);
}
