/*
 * report_prune.c - old reports are removed: those beyond so many days, and beyond so many of one device.
 *
 * Keeps true: the newest report of a device stays, whatever its age, so its row can always be held against what it
 * signed (reports.c), and the answer to it can be lost and asked for again. Nothing else is read from old reports: the
 * counter is the device's row's, so what was removed is a replay when it comes again. In the writer's thread, in steps
 * of bounded work with time between them: nobody's acknowledgement waits for more than one step.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resources.h"

#define SWEEP_EVERY_S 3600
#define STEP_DEVICES 100u /* looked at in one step */
#define STEP_REPORTS 256u /* removed in one step */
#define STEP_MS 100       /* between steps; when much waits for the writer: */
#define STEP_BUSY_MS 1000

/* ---- One step, in a transaction ---------------------------------------------------------------------------------- */

static int take_id(void *ctx, sqlite3_stmt *s)
{
    (void)snprintf(ctx, GW_DEVICE_ID_MAX + 1, "%s", gws_column_text(s, 0));
    return GWH_OK;
}

/* Removes of this device's what is to go, the oldest first, as long as the step has room. */
static int prune_device(struct gws_pruning *p, sqlite3 *db, const char *id, uint64_t *removed, struct gwh_error *err)
{
    int64_t newest = 0, over = -1, room = (int64_t)STEP_REPORTS - (int64_t)*removed;
    bool found = false;
    int e = gws_number(db, err, &newest, NULL, "SELECT max(counter) FROM report WHERE device = ?", "t", id);
    if (e == GWH_OK && p->keep_each > 0) {
        e = gws_number(db, err, &over, &found,
                       "SELECT counter FROM report WHERE device = ? ORDER BY counter DESC LIMIT 1 OFFSET ?", "ti", id,
                       (int64_t)p->keep_each);
    }
    e = e == GWH_OK ? gws_exec(db, err,
                               "DELETE FROM report WHERE id IN (SELECT id FROM (SELECT id, counter, received FROM"
                               " report WHERE device = ? AND counter < ? ORDER BY counter LIMIT ?) WHERE counter <= ?"
                               " OR received < ?)",
                               "tiiii", id, newest, room, found ? over : -1, p->older_than)
                    : e;
    *removed += e == GWH_OK ? (uint64_t)sqlite3_changes64(db) : 0;
    return e;
}

int gws_reports_prune(struct gws_pruning *p, sqlite3 *db, struct gwh_error *err)
{
    char id[GW_DEVICE_ID_MAX + 1];
    uint64_t removed = 0;
    int e = GWH_OK;
    p->more = true;
    for (unsigned n = 0; n < STEP_DEVICES && e == GWH_OK; n++) {
        id[0] = '\0';
        e = gws_query(db, err, take_id, id, "SELECT id FROM device WHERE id > ? ORDER BY id LIMIT 1", "t", p->after);
        if (e != GWH_OK || id[0] == '\0') {
            p->more = false;
            break;
        }
        e = prune_device(p, db, id, &removed, err);
        if (removed >= STEP_REPORTS) { /* it may have more: it is the next step's first */
            break;
        }
        memcpy(p->after, id, sizeof id);
    }
    p->removed = e == GWH_OK ? removed : 0;
    return e;
}

/* ---- In a running server ----------------------------------------------------------------------------------------- */

struct gws_pruner {
    struct gws_change change; /* first */
    struct gws_server *server;
    struct gws_pruning step;
    uint64_t removed; /* in this sweep */
};

static int apply(struct gws_change *c, sqlite3 *db)
{
    return gws_reports_prune(&((struct gws_pruner *)c)->step, db, &c->err);
}

static void end_sweep(struct gws_pruner *k)
{
    struct gws_server *s = k->server;
    char count[24];
    (void)snprintf(count, sizeof count, "%llu", (unsigned long long)k->removed);
    if (k->change.result != GWH_OK) {
        gws_log(s, "prune-failed", "error", k->change.err.text, NULL);
    } else if (k->removed > 0) {
        gws_log(s, "reports-pruned", "reports", count, NULL);
    }
    s->pruner = NULL;
    free(k);
}

static void next_step(evutil_socket_t fd, short what, void *ctx)
{
    struct gws_pruner *k = ctx;
    (void)fd;
    (void)what;
    gws_db_submit(k->server->db, &k->change);
}

/* What failed is tried again by the next sweep. */
static void done(struct gws_change *c)
{
    struct gws_pruner *k = (struct gws_pruner *)c;
    long ms = gws_db_waiting(k->server->db) > GWS_DB_BATCH_MAX ? STEP_BUSY_MS : STEP_MS;
    struct timeval later = {ms / 1000, ms % 1000 * 1000};
    if (c->result == GWH_OK) {
        gws_count(GWS_M_REPORTS_PRUNED, k->step.removed);
        k->removed += k->step.removed;
    }
    if (c->result != GWH_OK || !k->step.more ||
        event_base_once(k->server->base, -1, EV_TIMEOUT, next_step, k, &later) != 0) {
        end_sweep(k);
    }
}

void gws_prune(struct gws_server *s)
{
    int64_t now = gws_now(), days = s->config.reports.keep_days;
    if (s->pruner != NULL || now < s->pruned + SWEEP_EVERY_S || (days == 0 && s->config.reports.keep_each == 0)) {
        return;
    }
    struct gws_pruner *k = calloc(1, sizeof *k);
    if (k == NULL) {
        return;
    }
    k->change.apply = apply;
    k->change.done = done;
    k->server = s;
    k->step.keep_each = s->config.reports.keep_each;
    k->step.older_than = days > 0 ? now - days * 24 * 3600 : INT64_MIN;
    s->pruned = now;
    s->pruner = k;
    gws_db_submit(s->db, &k->change);
}

void gws_prune_free(struct gws_server *s)
{
    free(s->pruner);
    s->pruner = NULL;
}
