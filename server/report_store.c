/*
 * report_store.c - a report that was verified, into the database: in the writer's transaction.
 *
 * Keeps true: the counter of a device only grows, also when it was deleted and came back with its key; a report that
 * is there already, byte by byte, is no fault; a key that is stored is not replaced.
 */
#include <string.h>

#include "resources.h"

static bool is_zero(const uint8_t *p, size_t n)
{
    while (n > 0 && p[n - 1] == 0) {
        n--;
    }
    return n == 0;
}

/* ---- Storing ----------------------------------------------------------------------------------------------------- */

struct device_row {
    int64_t counter;
    bool found, enabled;
    uint8_t key[64];
};
static int take_row(void *ctx, sqlite3_stmt *s)
{
    struct device_row *r = ctx;
    r->found = true;
    r->counter = sqlite3_column_int64(s, 0);
    r->enabled = sqlite3_column_int(s, 1) != 0;
    gws_column_fixed(s, 2, r->key, 64);
    return GWH_OK;
}

static int is_same(struct gws_storing *t, sqlite3 *db, struct gwh_error *err)
{
    int64_t n = 0;
    int e = gws_number(db, err, &n, NULL,
                       "SELECT count(*) FROM report WHERE device = ? AND counter = ? AND cose = ?", "tib", t->device,
                       (int64_t)t->report->counter, t->cose);
    t->repeated = n == 1;
    return e;
}

/* Nothing was taken since the device is here: was there, by this key, before it was deleted, or had another? */
static int last_taken(const struct gws_storing *t, sqlite3 *db, int64_t *counter, struct gwh_error *err)
{
    int64_t before = 0;
    int e = gws_number(db, err, &before, NULL, "SELECT last FROM former_key WHERE device = ? AND key = ?", "tb",
                       t->device, (struct gw_span){t->key, 64});
    *counter = before > *counter ? before : *counter;
    return e;
}

/* GWH_OK: it goes on, unless t->repeated. */
static int check_row(struct gws_storing *t, sqlite3 *db, struct device_row *r, struct gwh_error *err)
{
    int e = gws_query(db, err, take_row, r, "SELECT counter, enabled, key FROM device WHERE id = ?", "t", t->device);
    if (e != GWH_OK) {
        return e;
    }
    if (!r->found || !r->enabled) {
        return gws_refuse(err, GWS_NOT_FOUND, "%s is not known, or disabled", t->device);
    }
    if (!is_zero(r->key, 64) && memcmp(r->key, t->key, 64) != 0) {
        return gwh_fail_reason(err, GW_ERR_KEY_UNKNOWN, "%s has another key", t->device);
    }
    e = r->counter == 0 ? last_taken(t, db, &r->counter, err) : GWH_OK;
    if (e != GWH_OK || t->report->counter > r->counter) {
        return e;
    }
    e = is_same(t, db, err);
    if (e != GWH_OK || t->repeated) {
        return e;
    }
    return gws_refuse(err, GWS_REPLAY, "%s: the counter is %u, and a report with %lld was taken", t->device,
                      (unsigned)t->report->counter, (long long)r->counter);
}

static int insert_report(struct gws_storing *t, sqlite3 *db, struct gwh_error *err)
{
    const struct gw_report *r = t->report;
    return gws_exec(db, err,
                    "INSERT INTO report(device, counter, received, state, reason, about_epoch, about_sequence, bytes,"
                    " again, cose) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    "tiiiiiiiib", t->device, (int64_t)r->counter, t->now, (int64_t)r->state, (int64_t)r->reason,
                    (int64_t)r->release.epoch, (int64_t)r->release.sequence, (int64_t)r->bytes, (int64_t)r->again,
                    t->cose);
}

static int update_device(struct gws_storing *t, sqlite3 *db, struct gwh_error *err)
{
    const struct gw_report *r = t->report;
    return gws_exec(db, err,
                    "UPDATE device SET counter = ?, state = ?, reason = ?, about_epoch = ?, about_sequence = ?,"
                    " running_epoch = ?, running_sequence = ?, hardware = ?, bootloader = ?, trust_version = ?,"
                    " head_serial = ?, seen = max(seen, ?), reported = ?, key = coalesce(key, ?) WHERE id = ?",
                    "iiiiiiiiiiiiibt", (int64_t)r->counter, (int64_t)r->state, (int64_t)r->reason,
                    (int64_t)r->release.epoch, (int64_t)r->release.sequence, (int64_t)r->running.epoch,
                    (int64_t)r->running.sequence, (int64_t)r->hardware, (int64_t)r->bootloader,
                    (int64_t)r->trust_version, (int64_t)r->head_serial, t->now, t->now,
                    (struct gw_span){t->key, 64}, t->device);
}

int gws_report_store(struct gws_storing *t, sqlite3 *db, struct gwh_error *err)
{
    struct device_row row = {.counter = 0};
    int e = check_row(t, db, &row, err);
    if (e != GWH_OK || t->repeated) {
        return e;
    }
    e = insert_report(t, db, err);
    return e == GWH_OK ? update_device(t, db, err) : e;
}
