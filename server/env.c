/*
 * env.c - what edits verify with, from the configuration; and, every hour, what nobody needs is removed.
 *
 * A trust bundle in the file that is newer than the one in use is taken, as if it had been put; an older one is not.
 */
#include <stdio.h>
#include <stdlib.h>

#include "resources.h"

#define COLLECT_EVERY_S 3600

int gws_env_open(struct gws_server *s, const char *database, struct gwh_error *err)
{
    struct gws_env *env = calloc(1, sizeof *env);
    if (env == NULL)
        return gwh_fail(err, GWH_IO, "no memory for the keys of the roots");
    s->env = env;
    env->blobs = &s->blobs;
    if (s->config.roots[0] != '\0' && gws_env_roots(env, s->config.roots, err) != GWH_OK)
        return err->exit;
    return s->config.trust[0] != '\0' ? gws_trust_from_file(env, database, s->config.trust, err) : GWH_OK;
}

void gws_env_close(struct gws_server *s)
{
    struct gws_env *env = (struct gws_env *)(uintptr_t)s->env;
    if (env == NULL)
        return;
    gws_env_free(env);
    free(env);
    s->env = NULL;
}

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
