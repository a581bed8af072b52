/*
 * env.c - what a start makes ready for edits: blobs, roots, and the trust bundle that the configuration names.
 *
 * A bundle in the file that is newer than the one in use is taken, as if it had been put; an older one is not.
 */
#include <stdlib.h>

#include "resources.h"

static void taken(struct gws_edit *e)
{
    *(bool *)e->ctx = true;
}

/* Waits for it: the loop runs meanwhile. */
static int put_and_wait(struct gws_server *s, struct gws_edit *e, struct gwh_error *err)
{
    bool done = false;
    e->finished = taken;
    e->ctx = &done;
    gws_edit_submit(s, s->env, e);
    while (!done)
        (void)event_base_loop(s->base, EVLOOP_ONCE);
    if (e->change.result == GWH_OK || e->change.err.reason == GW_ERR_TRUST_OLDER)
        return GWH_OK;
    *err = e->change.err;
    return e->change.result;
}

static int take_trust(struct gws_server *s, struct gwh_error *err)
{
    struct gws_edit *e = gws_edit_new(gws_trust_put, "configuration", s->config.trust);
    if (e == NULL)
        return gwh_fail(err, GWH_IO, "no memory for the trust bundle");
    int result = gwh_file_read(&e->octets, s->config.trust, 16384, err);
    if (result == GWH_OK)
        result = put_and_wait(s, e, err);
    gws_edit_free(e);
    return result;
}

int gws_env_open(struct gws_server *s, struct gwh_error *err)
{
    struct gws_env *env = calloc(1, sizeof *env);
    if (env == NULL)
        return gwh_fail(err, GWH_IO, "no memory for the keys of the roots");
    s->env = env;
    env->blobs = &s->blobs;
    if (s->config.roots[0] != '\0' && gws_env_roots(env, s->config.roots, err) != GWH_OK)
        return err->exit;
    return s->config.trust[0] != '\0' ? take_trust(s, err) : GWH_OK;
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
