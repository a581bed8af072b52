/*
 * reports.c - reports of devices: verified by the device's key, stored, then acknowledged. See server.h, SPEC.md 18.
 *
 * Keeps true: what was acknowledged is on the disk as it came; the counter of a device only grows (the same report once
 * more is acknowledged, as its answer may have been lost); a key, once stored, is not replaced by what a report came
 * with. Reports that are MACed with a pre-shared key cannot be verified here: the server has no such keys.
 */
#include <stdlib.h>
#include <string.h>

#include "resources.h"
#include "show.h"

struct taking {
    struct gws_change change; /* first */
    struct gws_server *server;
    char device[GW_DEVICE_ID_MAX + 1];
    uint8_t key[64];
    uint8_t cose[GW_REPORT_MAX];
    size_t n;
    struct gw_report report; /* views into cose */
    int64_t now;
    bool repeated;
    void (*done)(void *ctx, int result, const struct gwh_error *err);
    void *ctx;
};

/* ---- Verifying --------------------------------------------------------------------------------------------------- */

static void public_key(struct gw_pubkey *key, const uint8_t xy[64])
{
    *key = (struct gw_pubkey){.algorithm = GW_ALG_ES256, .x = {xy, 32}, .y = {xy + 32, 32}};
}

static bool is_zero(const uint8_t *p, size_t n)
{
    while (n > 0 && p[n - 1] == 0) {
        n--;
    }
    return n == 0;
}

/* The key of the certificate, or the stored one; they must agree if both are there. */
static int choose_key(struct taking *t, const struct gws_device *d, const struct gw_pubkey *key)
{
    struct gwh_error *err = &t->change.err;
    bool stored = !is_zero(d->key, 64), shown = key != NULL && key->x.n == 32 && key->y.n == 32;
    if (shown) {
        memcpy(t->key, key->x.p, 32);
        memcpy(t->key + 32, key->y.p, 32);
    }
    if (shown && stored && memcmp(t->key, d->key, 64) != 0) {
        (void)gwh_fail_reason(err, GW_ERR_KEY_UNKNOWN, "%s showed another key than is stored", t->device);
        return gwh_hint(err, "if it has a new key, an operator sets it: PATCH /api/v1/devices/%s", t->device);
    }
    if (!shown && !stored) {
        return gwh_fail_reason(err, GW_ERR_NO_KEY, "no key of %s is known: its reports cannot be verified", t->device);
    }
    if (!shown) {
        memcpy(t->key, d->key, 64);
    }
    return GWH_OK;
}

/* In the writer's thread, which has time for it: the event loop is everybody's. */
static int verify(struct gws_change *c)
{
    struct taking *t = (struct taking *)c;
    struct gwh_error *err = &c->err;
    struct gw_pubkey key;
    public_key(&key, t->key);
    int reason = gw_report_open(&t->report, gwh_openssl()->gw, &key, t->cose, t->n);
    if (reason != GW_OK) {
        return gwh_fail_reason(err, reason, "the report of %s is refused", t->device);
    }
    if (t->report.device.n != strlen(t->device) || memcmp(t->report.device.p, t->device, t->report.device.n) != 0) {
        return gwh_fail_reason(err, GW_ERR_DEVICE, "%s brought a report of another device", t->device);
    }
    return GWH_OK;
}

static int apply(struct gws_change *c, sqlite3 *db)
{
    struct taking *t = (struct taking *)c;
    struct gws_storing k = {.device = t->device, .key = t->key, .cose = {t->cose, t->n}, .report = &t->report,
                            .now = t->now};
    int e = gws_report_store(&k, db, &c->err);
    t->repeated = k.repeated;
    return e;
}

/* ---- After ------------------------------------------------------------------------------------------------------- */

static void tell(const struct taking *t)
{
    const struct gw_report *r = &t->report;
    const char *state = gwh_report_state_name(r->state), *reason = r->reason != 0 ? gw_error_name((int)r->reason) : "";
    json_t *o = json_object();
    (void)json_object_set_new(o, "device", json_string(t->device));
    (void)json_object_set_new(o, "state", json_string(state));
    (void)json_object_set_new(o, "reason", r->reason != 0 ? json_string(reason) : json_null());
    (void)json_object_set_new(o, "about", gwh_show_order(r->release));
    (void)json_object_set_new(o, "running", gwh_show_order(r->running));
    gws_event(t->server, "report", o);
    gws_log(t->server, "report", "device", t->device, "state", state, "reason", reason, NULL);
}

static void finish(struct taking *t, int result)
{
    if (result == GWH_REFUSED) {
        gws_count(GWS_M_REPORTS_REFUSED, 1);
        gws_log(t->server, "report-refused", "device", t->device, "why", t->change.err.text, NULL);
    }
    t->done(t->ctx, result, &t->change.err);
    free(t);
}

static void applied(struct gws_change *c)
{
    struct taking *t = (struct taking *)c;
    struct gws_device *d = gws_fleet_device(t->server->fleet, t->device);
    if (c->result == GWH_OK) {
        gws_count(GWS_M_REPORTS, 1);
    }
    if (c->result == GWH_OK && !t->repeated) {
        if (d != NULL) {
            memcpy(d->key, t->key, 64);
            gws_fleet_reported(t->server->fleet, d, &t->report, t->now);
        }
        tell(t);
    }
    finish(t, c->result);
}

static int check(struct taking *t, const struct gw_pubkey *key, struct gw_span cose)
{
    struct gwh_error *err = &t->change.err;
    const struct gws_device *d = gws_fleet_device(t->server->fleet, t->device);
    if (d == NULL || !d->enabled) {
        return gws_refuse(err, GWS_NOT_FOUND, "%s is not known, or disabled", t->device);
    }
    if (gws_db_waiting(t->server->db) >= GWS_DB_QUEUE_MAX) {
        return gws_refuse(err, GWS_NOW_NOT, "too many reports are waiting: try again");
    }
    if (cose.n == 0 || cose.n > sizeof t->cose) {
        return gwh_fail_reason(err, GW_ERR_LIMIT, "a report has 1 to %u bytes", GW_REPORT_MAX);
    }
    memcpy(t->cose, cose.p, cose.n);
    t->n = cose.n;
    return choose_key(t, d, key);
}

void gws_report_take(struct gws_server *s, const char *device, const struct gw_pubkey *key, struct gw_span cose,
                     void (*done)(void *ctx, int result, const struct gwh_error *err), void *ctx)
{
    struct taking *t = calloc(1, sizeof *t);
    if (t == NULL || strlen(device) > GW_DEVICE_ID_MAX) {
        struct gwh_error err = {.exit = t == NULL ? GWH_IO : GWH_REFUSED, .text = "no memory, or no device id"};
        free(t);
        done(ctx, err.exit, &err);
        return;
    }
    t->server = s;
    t->change.prepare = verify;
    t->change.apply = apply;
    t->change.done = applied;
    t->now = gws_now();
    t->done = done;
    t->ctx = ctx;
    memcpy(t->device, device, strlen(device) + 1);
    int e = check(t, key, cose);
    if (e != GWH_OK) {
        finish(t, e);
        return;
    }
    gws_db_submit(s->db, &t->change);
}

/* ---- The audit of what is stored --------------------------------------------------------------------------------- */

struct auditing {
    sqlite3 *db;
    struct gwh_error *err;
    void (*each)(void *ctx, const char *device, int64_t report, const char *why);
    void *ctx;
    struct gws_audited *found;
};

static const char *compare(sqlite3_stmt *s, const struct gw_report *r, const char *device)
{
    const int64_t says[] = {r->counter,         r->state, r->reason, r->release.epoch,
                            r->release.sequence, r->bytes, r->again};
    if (r->device.n != strlen(device) || memcmp(r->device.p, device, r->device.n) != 0) {
        return "it is a report of another device";
    }
    for (int i = 0; i < 7; i++) {
        if (sqlite3_column_int64(s, 3 + i) != says[i]) {
            return "the columns do not say what the report says";
        }
    }
    return NULL;
}

static bool is_signed(struct gw_report *r, const uint8_t xy[64], struct gw_span cose)
{
    struct gw_pubkey key;
    public_key(&key, xy);
    return gw_report_open(r, gwh_openssl()->gw, &key, cose.p, cose.n) == GW_OK;
}

struct former {
    struct gw_report *report;
    struct gw_span cose;
    bool found;
};
static int try_former(void *ctx, sqlite3_stmt *s)
{
    struct former *f = ctx;
    uint8_t xy[64];
    gws_column_fixed(s, 0, xy, 64);
    f->found |= is_signed(f->report, xy, f->cose);
    return GWH_OK;
}

/* By a key that was the device's when the report came? */
static int is_signed_before(struct auditing *a, const char *device, struct former *f, int64_t counter)
{
    int e = gws_query(a->db, a->err, try_former, f, "SELECT key FROM former_key WHERE device = ? AND last >= ?", "ti",
                      device, counter);
    a->found->former += f->found;
    return e;
}

static int audit_report(void *ctx, sqlite3_stmt *s)
{
    struct auditing *a = ctx;
    struct gw_report r;
    uint8_t xy[64];
    const char *device = gws_column_text(s, 1), *why = NULL;
    struct gw_span cose = gws_column_bytes(s, 2);
    struct former former = {&r, cose, false};
    int e = GWH_OK;
    gws_column_fixed(s, 10, xy, 64);
    a->found->reports++;
    bool good = !is_zero(xy, 64) && is_signed(&r, xy, cose);
    if (!good && !is_zero(xy, 64)) {
        e = is_signed_before(a, device, &former, sqlite3_column_int64(s, 3));
    }
    if (is_zero(xy, 64)) {
        why = "no key of the device is stored";
    } else if (!good && !former.found) {
        why = "the device's key did not sign it";
    } else {
        why = compare(s, &r, device);
    }
    if (why != NULL) {
        a->found->forged++;
        a->each(a->ctx, device, sqlite3_column_int64(s, 0), why);
    }
    return e;
}

/* What a device's row says of its last report, against that report. */
static int audit_device(void *ctx, sqlite3_stmt *s)
{
    struct auditing *a = ctx;
    struct gw_report r;
    struct gw_span map, cose = gws_column_bytes(s, 1);
    const char *why = NULL;
    int64_t counter = sqlite3_column_int64(s, 2);
    a->found->devices++;
    if (cose.n == 0) {
        why = counter != 0 ? "its counter is that of no report" : NULL;
    } else if (gwh_sign_payload(cose, &map) != GW_OK || gw_report_parse(&r, map.p, map.n) != GW_OK) {
        why = "its last report cannot be read";
    } else {
        const int64_t says[] = {r.counter,         r.state,           r.reason,     r.release.epoch, r.release.sequence,
                                r.running.epoch,   r.running.sequence, r.hardware,  r.bootloader,    r.trust_version,
                                r.head_serial};
        for (int i = 0; i < 11; i++) {
            why = sqlite3_column_int64(s, 2 + i) != says[i] ? "its row does not say what its last report says" : why;
        }
    }
    if (why != NULL) {
        a->found->forged++;
        a->each(a->ctx, gws_column_text(s, 0), 0, why);
    }
    return GWH_OK;
}

int gws_reports_audit(sqlite3 *db, void (*each)(void *ctx, const char *device, int64_t report, const char *why),
                      void *ctx, struct gws_audited *found, struct gwh_error *err)
{
    struct auditing a = {db, err, each, ctx, found};
    memset(found, 0, sizeof *found);
    int e = gws_query(db, err, audit_report, &a,
                      "SELECT r.id, r.device, r.cose, r.counter, r.state, r.reason, r.about_epoch, r.about_sequence,"
                      " r.bytes, r.again, d.key FROM report r LEFT JOIN device d ON d.id = r.device ORDER BY r.id",
                      "");
    return e == GWH_OK
               ? gws_query(db, err, audit_device, &a,
                           "SELECT d.id, (SELECT r.cose FROM report r WHERE r.device = d.id ORDER BY r.counter DESC"
                           " LIMIT 1), d.counter, d.state, d.reason, d.about_epoch, d.about_sequence, d.running_epoch,"
                           " d.running_sequence, d.hardware, d.bootloader, d.trust_version, d.head_serial"
                           " FROM device d ORDER BY d.id",
                           "")
               : e;
}
