/*
 * api.c - parts of requests, refusals, edits: what the files api_*.c share.
 *
 * Keeps true: a call is answered once, whatever happens to its edit; what failed inside the server goes to the log, not
 * to the client; an event is told only of what was committed.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api.h"

const char *const gws_role_names[] = {"none", "viewer", "publisher", "operator", "admin", NULL};

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

json_t *gws_api_body(struct gws_call *call, const struct gws_schema *schema)
{
    struct gwh_error err = {0};
    json_t *body = gws_body_json(call);
    if (body == NULL || gws_schema_check(schema, body, &err))
        return body;
    json_decref(body);
    gws_api_failed(call, &err, NULL, NULL);
    return NULL;
}

bool gws_api_hex(struct gws_call *call, unsigned i, size_t n, const char *what)
{
    const char *text = call->argument[i];
    if (strlen(text) == 2 * n && strspn(text, "0123456789abcdef") == 2 * n)
        return true;
    gws_api_refuse(call, 404, "not_found", NULL, "%s has %zu lower-case hexadecimal digits", what, 2 * n);
    return false;
}

bool gws_api_page(struct gws_call *call, struct gws_page *page)
{
    int64_t limit;
    if (!gws_query_number(call, "limit", 1, 1000, 100, &limit))
        return false;
    *page = (struct gws_page){.limit = (unsigned)limit, .after = gws_query_text(call, "after")};
    if (page->after == NULL || strlen(page->after) <= 200)
        return true;
    gws_api_refuse(call, 400, "bad_query", "give what \"next\" of the page before said", "after is too long");
    return false;
}

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

static void answer_error(struct gws_call *call, int status, const char *code, const char *message, const char *hint,
                         const json_t *more)
{
    json_t *tree = json_pack("{s:s, s:s}", "error", code, "message", message);
    if (tree == NULL) /* text that is no UTF-8, in a message of a library */
        tree = json_pack("{s:s, s:s}", "error", code, "message", "this was refused");
    if (hint != NULL && hint[0] != '\0')
        (void)json_object_set_new(tree, "hint", json_string(hint));
    if (more != NULL) /* nothing else of what a change that failed had made */
        (void)json_object_set(tree, "there", json_object_get(more, "there"));
    gws_answer_json(call, status, tree);
}

void gws_api_refuse(struct gws_call *call, int status, const char *code, const char *hint, const char *format, ...)
{
    char text[600];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    answer_error(call, status, code, text, hint, NULL);
}

static void failed_inside(struct gws_call *call, const struct gwh_error *err)
{
    gws_log(call->server, "failed", "path", call->path, "error", err->text, NULL);
    if (strstr(err->text, "No space left") != NULL || strstr(err->text, "disk is full") != NULL)
        answer_error(call, 507, "no_space", "the server's disk is full",
                     "make room on the server, then go on: nothing that was acknowledged is lost", NULL);
    else
        answer_error(call, 500, "internal", "this did not work; the server's log says why",
                     "look at the log of godwitd; `godwit server check` names what is wrong with its files", NULL);
}

static const char *either(const char *first, const char *otherwise)
{
    return first != NULL && first[0] != '\0' ? first : otherwise;
}

void gws_api_failed(struct gws_call *call, const struct gwh_error *err, const struct gws_hints *hints,
                    const json_t *more)
{
    static const struct gws_hints none = {NULL, NULL};
    hints = hints == NULL ? &none : hints;
    if (err->exit == GWH_USAGE) {
        answer_error(call, 400, "bad_request", err->text, either(err->hint, NULL), more);
    } else if (err->exit == GWH_REFUSED && err->reason == GWS_NOT_FOUND) {
        answer_error(call, 404, "not_found", err->text, either(err->hint, hints->missing), more);
    } else if (err->exit == GWH_REFUSED) {
        bool plain = err->reason == 0 || err->reason == GWS_CONFLICT;
        answer_error(call, 409, plain ? "conflict" : gws_reason_name(err->reason), err->text,
                     either(err->hint, plain ? hints->conflict : NULL), more);
    } else if (err->reason == GWS_NOW_NOT) {
        gws_answer_header(call, "Retry-After", "5");
        answer_error(call, 503, "busy", "too many changes wait to be written", "try again in a few seconds", more);
    } else {
        failed_inside(call, err);
    }
}

void gws_api_show(struct gws_call *call, json_t *tree, const struct gwh_error *err, const struct gws_hints *hints)
{
    if (tree != NULL)
        gws_answer_json(call, 200, tree);
    else
        gws_api_failed(call, err, hints, NULL);
}

/* ---- Changes ----------------------------------------------------------------------------------------------------- */

static void tell(struct gws_server *s, const struct gws_api_edit *how, const struct gws_edit *e)
{
    if (how->event == NULL)
        return;
    const char *id = e->object[0] != '\0' ? e->object : json_string_value(json_object_get(e->answer, "id"));
    gws_event(s, how->event, json_pack("{s:s, s:s*, s:s}", "what", how->what, "id", id, "who", e->who));
}

static void finished(struct gws_edit *e)
{
    struct gws_call *call = e->ctx;
    const struct gws_api_edit *how = call->own;
    if (e->change.result != GWH_OK) {
        gws_api_failed(call, &e->change.err, how->hints, e->answer);
    } else {
        tell(call->server, how, e);
        if (how->after != NULL)
            how->after(call, e);
        if (how->status == 204)
            gws_answer(call, 204, NULL, (struct gw_span){NULL, 0});
        else
            gws_answer_json(call, how->status != 0 ? how->status : 200,
                            e->answer != NULL ? json_incref(e->answer) : json_object());
    }
    gws_edit_free(e);
}

struct gws_edit *gws_api_edit_new(struct gws_call *call, const struct gws_api_edit *how, const char *object,
                                  json_t *body)
{
    struct gws_edit *e = gws_edit_new(how->run, call->who, object);
    if (e == NULL) {
        struct gwh_error err = {.exit = GWH_IO, .text = "no memory for a change"};
        json_decref(body);
        gws_api_failed(call, &err, NULL, NULL);
        return NULL;
    }
    call->own = (void *)(uintptr_t)how;
    e->request = body;
    e->server = call->server;
    e->ctx = call;
    e->finished = finished;
    return e;
}

void gws_api_edit_submit(struct gws_call *call, struct gws_edit *e)
{
    gws_edit_submit(call->server, call->server->env, e);
}

void gws_api_edit(struct gws_call *call, const struct gws_api_edit *how, const char *object, json_t *body)
{
    struct gws_edit *e = gws_api_edit_new(call, how, object, body);
    if (e != NULL)
        gws_api_edit_submit(call, e);
}

bool gws_api_octets(struct gws_call *call, struct gws_edit *e)
{
    if (call->body.n == 0)
        gws_api_refuse(call, 400, "bad_request", NULL, "the body is empty: octets are wanted");
    else if (gwh_buf_add(&e->octets, call->body.p, call->body.n) != GW_OK)
        gws_api_refuse(call, 503, "busy", "try again in a few seconds", "there is no memory for this body");
    else
        return true;
    gws_edit_free(e);
    return false;
}

void gws_api_edit_octets(struct gws_call *call, const struct gws_api_edit *how, const char *object)
{
    struct gws_edit *e = gws_api_edit_new(call, how, object, NULL);
    if (e != NULL && gws_api_octets(call, e))
        gws_api_edit_submit(call, e);
}
