/*
 * collect.c - every hour, blobs that no release names and uploads that nobody goes on with are removed.
 */
#include <stdio.h>

#include "resources.h"

#define COLLECT_EVERY_S 3600

static void collected(struct gws_edit *e)
{
    char count[24];
    (void)snprintf(count, sizeof count, "%lld", (long long)json_integer_value(json_object_get(e->answer, "removed")));
    if (e->change.result != GWH_OK)
        gws_log(e->server, "collect-failed", "error", e->change.err.text, NULL);
    else if (json_integer_value(json_object_get(e->answer, "removed")) > 0)
        gws_log(e->server, "collected", "files", count, NULL);
    gws_edit_free(e);
}

void gws_collect(struct gws_server *s)
{
    if (gws_now() < s->collected + COLLECT_EVERY_S)
        return;
    struct gws_edit *e = gws_edit_new(gws_releases_collect, "server", NULL);
    if (e == NULL)
        return;
    s->collected = gws_now();
    e->finished = collected;
    gws_edit_submit(s, s->env, e);
}
