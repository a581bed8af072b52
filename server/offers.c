/*
 * offers.c - what devices ask at the doors DEVICES and TOKENS: the offer, and the post box of reports (SPEC.md, 16).
 *
 * A look reads memory alone. When it was is written to the database now and then, for all devices at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "offers.h"
#include "resources.h"

#define DEVICE_DOORS (GWS_DOOR_DEVICES | GWS_DOOR_TOKENS)

/* ---- Offers ------------------------------------------------------------------------------------------------------ */

/* Is the tag in the list of If-None-Match? `*` is not taken: a device names what it has. */
static bool is_named(const char *list, const char *etag)
{
    size_t n = strlen(etag);
    for (const char *p = list; p != NULL && (p = strstr(p, etag)) != NULL; p += n) {
        if (p > list && p[-1] == '"' && p[n] == '"') {
            return true;
        }
    }
    return false;
}

static void answer_offer(struct gws_call *call)
{
    static const struct gw_span none = {NULL, 0};
    struct gws_fleet *fleet = call->server->fleet;
    struct gws_device *d = gws_fleet_device(fleet, call->device);
    char quoted[24];
    if (d == NULL || !d->enabled) {
        gws_answer_error(call, 403, "NOT_FOUND", "the device is not known, or disabled");
        return;
    }
    const struct gws_served *served = gws_fleet_offer(fleet, d);
    gws_count(GWS_M_LOOKS, 1);
    if (served->bytes.n == 0) {
        gws_count(GWS_M_LOOKS_NOTHING, 1);
        gws_answer(call, 204, NULL, none);
    } else {
        (void)snprintf(quoted, sizeof quoted, "\"%s\"", served->etag);
        gws_answer_header(call, "ETag", quoted);
        bool same = is_named(gws_header(call, "If-None-Match"), served->etag);
        gws_count(GWS_M_LOOKS_UNCHANGED, same);
        gws_answer(call, same ? 304 : 200, same ? NULL : "application/cbor", same ? none : served->bytes);
    }
}

static void get_offer(struct gws_call *call)
{
    struct gws_server *s = call->server;
    char device[sizeof call->device];
    memcpy(device, call->device, sizeof device);
    answer_offer(call); /* the call is gone */
    struct gws_device *d = gws_fleet_device(s->fleet, device);
    if (d != NULL && d->enabled) {
        gws_fleet_looked(s->fleet, d, gws_now());
    }
    gws_seen_flush(s, false);
}

const struct gws_route gws_offer_routes[] = {
    {.doors = DEVICE_DOORS, .method = "GET", .pattern = "/device/v1/offer", .run = get_offer,
     .summary = "What this device is offered"},
    {.method = NULL},
};

/* ---- Reports ----------------------------------------------------------------------------------------------------- */

static void answer_report(void *ctx, int result, const struct gwh_error *err)
{
    struct gws_call *call = ctx;
    static const struct gw_span none = {NULL, 0};
    if (result == GWH_OK) {
        gws_answer(call, 204, NULL, none);
    } else if (result != GWH_REFUSED) {
        gws_answer_header(call, "Retry-After", "30");
        gws_answer_error(call, 503, "BUSY", "the report cannot be stored now");
    } else if (err->reason == GWS_REPLAY) {
        gws_answer_error(call, 409, "REPLAY", "%s", err->text);
    } else {
        gws_answer_error(call, 403, gws_reason_name(err->reason), "%s", err->text);
    }
}

static void post_report(struct gws_call *call)
{
    const struct gw_pubkey *key = call->key.x.n > 0 ? &call->key : NULL;
    gws_report_take(call->server, call->device, key, call->body, answer_report, call);
}

const struct gws_route gws_report_routes[] = {
    {.doors = DEVICE_DOORS, .method = "POST", .pattern = "/device/v1/report", .body_max = GW_REPORT_MAX,
     .run = post_report, .summary = "A signed report of this device"},
    {.method = NULL},
};

/* ---- When devices were seen -------------------------------------------------------------------------------------- */

#define SEEN_EVERY_S 10  /* looks for devices to write down */
#define SEEN_AHEAD_S 60  /* that memory may be ahead */
#define SEEN_MAX 1000u   /* devices in one change */

struct sighting {
    char id[GW_DEVICE_ID_MAX + 1];
    int64_t seen;
};
struct seeing {
    struct gws_change change; /* first */
    struct gws_server *server;
    size_t n;
    bool all;
    struct sighting device[SEEN_MAX];
};

static int write_seen(struct gws_change *c, sqlite3 *db)
{
    struct seeing *k = (struct seeing *)c;
    int e = GWH_OK;
    for (size_t i = 0; i < k->n && e == GWH_OK; i++) {
        e = gws_exec(db, &c->err, "UPDATE device SET seen = max(seen, ?) WHERE id = ?", "it", k->device[i].seen,
                     k->device[i].id);
    }
    return e;
}

static void wrote_seen(struct gws_change *c)
{
    struct seeing *k = (struct seeing *)c;
    for (size_t i = 0; i < k->n && c->result != GWH_OK; i++) { /* again, later */
        struct gws_device *d = gws_fleet_device(k->server->fleet, k->device[i].id);
        if (d != NULL) {
            d->seen_written = 0;
        }
    }
    free(k);
}

static int gather(void *ctx, struct gws_device *d)
{
    struct seeing *k = ctx;
    if (d->seen - d->seen_written >= (k->all ? 1 : SEEN_AHEAD_S)) {
        memcpy(k->device[k->n].id, d->id, sizeof d->id);
        k->device[k->n++].seen = d->seen;
        d->seen_written = d->seen;
    }
    return k->n < SEEN_MAX ? GWH_OK : GWH_REFUSED;
}

void gws_seen_flush(struct gws_server *s, bool all)
{
    int64_t now = gws_now();
    if (!all && (now < s->seen_flushed + SEEN_EVERY_S || gws_db_waiting(s->db) > GWS_DB_BATCH_MAX)) {
        return;
    }
    s->seen_flushed = now;
    for (int more = GWH_REFUSED; more != GWH_OK;) {
        struct seeing *k = calloc(1, sizeof *k);
        if (k == NULL) {
            return;
        }
        *k = (struct seeing){.change = {.apply = write_seen, .done = wrote_seen}, .server = s, .all = all};
        more = gws_fleet_each(s->fleet, gather, k);
        if (k->n == 0) {
            free(k);
            return;
        }
        gws_db_submit(s->db, &k->change);
    }
}
