/*
 * edit_submit.c - edits in a running server: through the writer, back into memory, on to the devices. See resources.h.
 */
#include "resources.h"

static int apply(struct gws_change *c, sqlite3 *db)
{
    struct gws_edit *e = (struct gws_edit *)c;
    return e->run(e, db);
}

static int work(struct gws_change *c)
{
    struct gws_edit *e = (struct gws_edit *)c;
    int x = e->work(e);
    e->worked = x == GWH_OK;
    return x;
}

static void notify(void *ctx, const struct gws_device *d)
{
    gws_mqtt_notify(ctx, d->id);
}

/* What was committed, into memory. If that fails, memory is behind the disk: it is told, and mended by a restart. */
static void reload(struct gws_edit *e)
{
    struct gws_server *s = e->server;
    sqlite3 *db = gws_db_reader(s->db);
    struct gwh_error err = {0};
    size_t i;
    json_t *id;
    int failed = GWH_OK;
    json_array_foreach (e->devices, i, id) {
        failed |= gws_fleet_reload_device(s->fleet, db, json_string_value(id), &err);
    }
    failed |= e->touched & GWS_TOUCH_ROLLOUTS ? gws_fleet_reload_rollouts(s->fleet, db, &err) : GWH_OK;
    failed |= e->touched & GWS_TOUCH_TOKENS ? gws_fleet_reload_tokens(s->fleet, db, &err) : GWH_OK;
    if (failed != GWH_OK) {
        gws_log(s, "reload-failed", "error", err.text, "hint", "restart the server", NULL);
    }
    if (e->touched & (GWS_TOUCH_DEVICES | GWS_TOUCH_ROLLOUTS)) {
        gws_fleet_changed(s->fleet, notify, s);
    }
}

static void done(struct gws_change *c)
{
    struct gws_edit *e = (struct gws_edit *)c;
    if (c->result == GWH_OK) {
        reload(e);
    }
    e->finished(e);
}

void gws_edit_submit(struct gws_server *s, const struct gws_env *env, struct gws_edit *e)
{
    e->change.prepare = e->work != NULL ? work : NULL;
    e->change.slow = e->work != NULL;
    e->change.apply = apply;
    e->change.done = done;
    e->server = s;
    e->env = env;
    e->now = gws_now();
    if (gws_db_waiting(s->db) < GWS_DB_QUEUE_MAX) {
        gws_db_submit(s->db, &e->change);
        return;
    }
    e->change.result = gws_refuse(&e->change.err, GWS_NOW_NOT, "too much is waiting to be written: try again");
    e->finished(e);
}
