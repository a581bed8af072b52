/*
 * fleet_plan.c - a rollout over the whole fleet: who would get what before it starts, and how far it is after.
 */
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "fleet_internal.h"
#include "show.h"

static void set(json_t *o, const char *name, json_t *value)
{
    (void)json_object_set_new(o, name, value);
}

/* ---- Before ------------------------------------------------------------------------------------------------------ */

/* Devices that run the same release get the same. */
struct group {
    struct gw_order running;
    bool known; /* what it runs */
    int reason; /* GW_OK: it suits */
    uint32_t devices, bytes;
    bool delta;
};
/* A release that devices run, read once; NULL: it is not here. */
struct running {
    struct gw_order order;
    struct fleet_release *release;
};
struct planning {
    struct gws_fleet *f;
    sqlite3 *db;
    const struct fleet_class *c;
    struct fleet_release *r;
    struct fleet_rollout rollout; /* as if it ran */
    int64_t now;
    struct gwh_error *err;
    struct group *group;
    size_t count;
    struct running *running;
    size_t running_count;
    uint32_t all, runs, served_by_other;
    uint64_t bytes;
};

static bool has_delta(const struct gw_plan *plan)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        if (plan->choice[i].precursor_size != 0) {
            return true;
        }
    }
    return false;
}

static const struct fleet_release *running_release(struct planning *p, struct gw_order order)
{
    uint8_t digest[32];
    for (size_t i = 0; i < p->running_count; i++) {
        if (gw_order_compare(p->running[i].order, order) == 0) {
            return p->running[i].release;
        }
    }
    struct running *grown = realloc(p->running, (p->running_count + 1) * sizeof *grown);
    if (grown == NULL) {
        (void)gwh_fail_reason(p->err, GW_ERR_SPACE, "the plan");
        return NULL;
    }
    p->running = grown;
    struct running *r = &grown[p->running_count++];
    *r = (struct running){.order = order};
    if (fleet_release_of(p->db, p->c->id, order, digest, p->err)) {
        r->release = fleet_release_load(p->db, digest, p->err);
    }
    return r->release;
}

static int plan_group(struct planning *p, struct group *g, const struct gws_device *d)
{
    struct gw_plan plan = {.count = 0};
    const struct fleet_release *installed = running_release(p, d->running);
    g->known = installed != NULL;
    g->running = d->running;
    g->reason = fleet_plan_device(p->c, p->r, installed, d, p->now, NULL, &plan);
    g->bytes = g->reason == GW_OK ? plan.fetch_bytes : 0;
    g->delta = g->reason == GW_OK && has_delta(&plan);
    return p->err->exit;
}

/* The group of this device: by what it runs, and by what its own planner says. */
static struct group *group_of(struct planning *p, const struct gws_device *d)
{
    struct group fresh = {.devices = 0};
    if (plan_group(p, &fresh, d) != GWH_OK) {
        return NULL;
    }
    for (size_t i = 0; i < p->count; i++) {
        struct group *g = &p->group[i];
        if (gw_order_compare(g->running, fresh.running) == 0 && g->reason == fresh.reason && g->bytes == fresh.bytes) {
            return g;
        }
    }
    struct group *grown = realloc(p->group, (p->count + 1) * sizeof *grown);
    if (grown == NULL) {
        (void)gwh_fail_reason(p->err, GW_ERR_SPACE, "the plan");
        return NULL;
    }
    p->group = grown;
    grown[p->count] = fresh;
    return &grown[p->count++];
}

static bool outranked(const struct planning *p, const struct gws_device *d)
{
    const struct fleet_rollout *now = fleet_pick(p->f, d);
    return now != NULL && strcmp(now->id, p->rollout.id) != 0 && now->priority > p->rollout.priority;
}

static int plan_device(void *ctx, struct gws_device *d)
{
    struct planning *p = ctx;
    if (memcmp(d->class_id, p->c->id, 16) != 0 || !d->enabled ||
        !gws_target_holds(p->f, &p->rollout.target, p->rollout.id, d)) {
        return GWH_OK;
    }
    p->all++;
    if (outranked(p, d)) {
        p->served_by_other++;
        return GWH_OK;
    }
    enum fleet_withheld why = fleet_withheld(p->c, p->r, d);
    if (why == RUNS_IT || why == RUNS_NEWER || why == LEFT_IT) {
        p->runs++;
        return GWH_OK;
    }
    struct group *g = group_of(p, d);
    if (g == NULL) {
        return p->err->exit;
    }
    g->devices++;
    p->bytes += g->bytes;
    return GWH_OK;
}

static json_t *show_groups(const struct planning *p)
{
    json_t *list = json_array();
    for (size_t i = 0; i < p->count; i++) {
        const struct group *g = &p->group[i];
        json_t *o = json_object();
        set(o, "running", gwh_show_order(g->running));
        set(o, "known", json_boolean(g->known));
        set(o, "devices", json_integer(g->devices));
        if (g->reason == GW_OK) {
            set(o, "payload", json_string(g->delta ? "delta" : "full"));
            set(o, "bytes", json_integer(g->bytes));
        } else {
            set(o, "refused", json_string(gw_error_name(g->reason)));
        }
        (void)json_array_append_new(list, o);
    }
    return list;
}

static int find_release(struct planning *p, const json_t *rollout)
{
    uint8_t digest[32];
    const char *hex = json_string_value(json_object_get(rollout, "release"));
    if (hex == NULL || !gwh_unhex(digest, 32, hex)) {
        return gwh_fail(p->err, GWH_USAGE, "release: a digest of 64 hexadecimal digits");
    }
    p->r = fleet_release_load(p->db, digest, p->err);
    if (p->r == NULL) {
        return gwh_fail(p->err, GWH_REFUSED, "there is no such release");
    }
    for (size_t i = 0; i < p->f->policy.class_count; i++) {
        if (memcmp(p->f->policy.classes[i].id, p->r->m.class_id, 16) == 0) {
            p->c = &p->f->policy.classes[i];
        }
    }
    return p->c != NULL ? GWH_OK : gwh_fail(p->err, GWH_IO, "the release's class is not there");
}

json_t *gws_fleet_plan(struct gws_fleet *fleet, sqlite3 *db, const json_t *rollout, int64_t now, struct gwh_error *err)
{
    struct planning p = {.f = fleet, .db = db, .now = now, .err = err};
    const char *id = json_string_value(json_object_get(rollout, "id"));
    json_t *o = NULL;
    strncpy(p.rollout.id, id != NULL ? id : "", sizeof p.rollout.id - 1);
    p.rollout.priority = json_integer_value(json_object_get(rollout, "priority"));
    int e = find_release(&p, rollout);
    e = e == GWH_OK ? gws_target_parse(&p.rollout.target, json_object_get(rollout, "target"), err) : e;
    e = e == GWH_OK ? gws_fleet_each(fleet, plan_device, &p) : e;
    if (e == GWH_OK) {
        o = json_object();
        set(o, "devices", json_integer(p.all));
        set(o, "there_already", json_integer(p.runs));
        set(o, "served_by_another", json_integer(p.served_by_other));
        set(o, "groups", show_groups(&p));
        set(o, "bytes", json_integer((json_int_t)p.bytes));
    }
    gws_target_free(&p.rollout.target);
    fleet_release_free(p.r);
    for (size_t i = 0; i < p.running_count; i++) {
        fleet_release_free(p.running[i].release);
    }
    free(p.running);
    free(p.group);
    return o;
}

/* ---- After ------------------------------------------------------------------------------------------------------- */

enum progress { CONFIRMED, STAGED, FAILED, OFFERED_IT, SILENT, OTHER, PROGRESSES };
static const char *const progress_names[] = {"confirmed", "staged", "failed", "offered", "silent", "other"};

static enum progress progress_of(const struct gws_fleet *f, const struct fleet_rollout *r, const struct gws_device *d)
{
    bool about = d->reported != 0 && gw_order_compare(d->about, r->release->m.order) == 0;
    enum fleet_withheld why = fleet_withheld(&f->policy.classes[r->class_at], r->release, d);
    if (why == RUNS_IT || why == RUNS_NEWER) {
        return CONFIRMED;
    }
    if (about && (d->state == GW_REPORT_STAGED || d->state == GW_REPORT_FAILED || d->state == GW_REPORT_LEFT)) {
        return d->state == GW_REPORT_STAGED ? STAGED : FAILED;
    }
    if (r->started == 0 || d->seen < r->started) {
        return SILENT;
    }
    return fleet_pick(f, d) == r && why == OFFERED ? OFFERED_IT : OTHER;
}

struct counting {
    const struct gws_fleet *f;
    const struct fleet_rollout *r;
    uint32_t all, count[PROGRESSES];
    const char *after;
    const struct gws_device **page; /* the `limit` + 1 least ids behind `after`, in order */
    unsigned limit, n;
};

static bool is_of(const struct counting *c, const struct gws_device *d)
{
    return memcmp(d->class_id, c->f->policy.classes[c->r->class_at].id, 16) == 0 &&
           gws_target_holds(c->f, &c->r->target, c->r->id, d);
}

static int count_device(void *ctx, struct gws_device *d)
{
    struct counting *c = ctx;
    if (is_of(c, d)) {
        c->all++;
        c->count[progress_of(c->f, c->r, d)]++;
    }
    return GWH_OK;
}

json_t *gws_fleet_progress(struct gws_fleet *fleet, const char *rollout)
{
    struct counting c = {.f = fleet, .r = fleet_rollout(fleet, rollout)};
    json_t *o = json_object();
    if (c.r == NULL) {
        return o;
    }
    (void)gws_fleet_each(fleet, count_device, &c);
    set(o, "all", json_integer(c.all));
    for (unsigned i = 0; i < PROGRESSES; i++) {
        set(o, progress_names[i], json_integer(c.count[i]));
    }
    return o;
}

static int gather_device(void *ctx, struct gws_device *d)
{
    struct counting *c = ctx;
    if ((c->after != NULL && strcmp(d->id, c->after) <= 0) || !is_of(c, d)) {
        return GWH_OK;
    }
    unsigned at = c->n;
    while (at > 0 && strcmp(c->page[at - 1]->id, d->id) > 0) {
        at--;
    }
    if (at > c->limit) {
        return GWH_OK;
    }
    c->n += c->n <= c->limit;
    memmove(&c->page[at + 1], &c->page[at], (c->n - 1 - at) * sizeof *c->page);
    c->page[at] = d;
    return GWH_OK;
}

json_t *gws_fleet_rollout_devices(struct gws_fleet *fleet, const char *rollout, unsigned limit, const char *after)
{
    struct counting c = {.f = fleet, .r = fleet_rollout(fleet, rollout), .after = after, .limit = limit};
    json_t *o = json_object(), *items = json_array();
    c.page = calloc((size_t)limit + 2, sizeof *c.page);
    if (c.page != NULL && c.r != NULL) {
        (void)gws_fleet_each(fleet, gather_device, &c);
    }
    for (unsigned i = 0; i < c.n && i < limit; i++) {
        json_t *line = json_object();
        set(line, "id", json_string(c.page[i]->id));
        set(line, "state", json_string(progress_names[progress_of(fleet, c.r, c.page[i])]));
        set(line, "running", gwh_show_order(c.page[i]->running));
        set(line, "seen", json_integer(c.page[i]->seen));
        (void)json_array_append_new(items, line);
    }
    set(o, "items", items);
    set(o, "next", c.n > limit ? json_string(c.page[limit - 1]->id) : json_null());
    free(c.page);
    return o;
}
