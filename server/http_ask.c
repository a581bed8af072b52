/*
 * http_ask.c - what a handler asks of a request: headers, query, a body in JSON. It knows no connection, so fuzz_api
 * runs it as it is.
 */
#include <string.h>

#include "http_internal.h"

struct gws_request *gws_request_of(const struct gws_call *call)
{
    return call->library;
}

const char *gws_header(const struct gws_call *call, const char *name)
{
    return gws_head_find(&gws_request_of(call)->head, name);
}

const char *gws_query_text(const struct gws_call *call, const char *name)
{
    const struct gws_query *q = &gws_request_of(call)->query;
    for (size_t i = 0; i < q->count; i++)
        if (strcmp(q->item[i].name, name) == 0)
            return q->item[i].value;
    return NULL;
}

bool gws_query_number(struct gws_call *call, const char *name, int64_t least, int64_t most, int64_t otherwise,
                      int64_t *value)
{
    const char *text = gws_query_text(call, name);
    uint64_t n;
    *value = otherwise;
    if (text == NULL)
        return true;
    if (gws_decimal(text, strlen(text), &n) && n <= INT64_MAX && (int64_t)n >= least && (int64_t)n <= most) {
        *value = (int64_t)n;
        return true;
    }
    gws_answer_error(call, 400, "bad_query", "%s must be a number from %lld to %lld", name, (long long)least,
                     (long long)most);
    return false;
}

json_t *gws_body_json(struct gws_call *call)
{
    json_error_t e;
    json_t *tree = json_loadb((const char *)call->body.p, call->body.n, JSON_REJECT_DUPLICATES, &e);
    if (json_is_object(tree))
        return tree;
    if (tree != NULL)
        gws_answer_error(call, 400, "bad_json", "the body must be a JSON object");
    else
        gws_answer_error(call, 400, "bad_json", "the body is not JSON: line %d, column %d: %s", e.line, e.column,
                         e.text);
    json_decref(tree);
    return NULL;
}
