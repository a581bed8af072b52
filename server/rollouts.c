/*
 * rollouts.c - rollouts: this release to those devices. Their states are a table.
 *
 * Starting and resuming look again at what devices will look at: the manifest must still be signed as the bundle in use
 * asks, and the class's head must allow it. Phases, thresholds and windows come later: they have their column.
 */
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "resources.h"
#include "show.h"
#include "uuid.h"

enum { DRAFT, RUNNING, PAUSED, ABORTED, DONE, STATES };
static const char *const state_names[STATES] = {"draft", "running", "paused", "aborted", "done"};

enum step { START, PAUSE, RESUME, ABORT };
static const struct {
    enum step step;
    int from, to;
} transitions[] = {
    {START, DRAFT, RUNNING}, {PAUSE, RUNNING, PAUSED}, {RESUME, PAUSED, RUNNING},
    {ABORT, DRAFT, ABORTED}, {ABORT, RUNNING, ABORTED}, {ABORT, PAUSED, ABORTED},
};
static const char *const step_names[] = {"started", "paused", "resumed", "aborted"};

/* ---- Create ------------------------------------------------------------------------------------------------------ */

/* UUIDv7: later ones sort behind earlier ones. */
static int new_id(char id[37], struct gwh_error *err)
{
    uint8_t u[16];
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    uint64_t ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
    unsigned part = (unsigned)(t.tv_nsec % 1000000 * 4096 / 1000000); /* of the millisecond (RFC 9562, 6.2) */
    if (RAND_bytes(u, sizeof u) != 1) {
        return gwh_fail_reason(err, GW_ERR_CRYPTO, "an id");
    }
    for (int i = 0; i < 6; i++) {
        u[i] = (uint8_t)(ms >> (40 - 8 * i));
    }
    u[6] = (uint8_t)(0x70 | part >> 8);
    u[7] = (uint8_t)part;
    u[8] = (uint8_t)(0x80 | (u[8] & 63));
    gwh_uuid_text(id, u);
    return GWH_OK;
}

struct release_row {
    bool found;
    int64_t state;
    uint8_t class_id[16];
};
static int take_release(void *ctx, sqlite3_stmt *s)
{
    struct release_row *r = ctx;
    r->found = true;
    r->state = sqlite3_column_int64(s, 0);
    gws_column_fixed(s, 1, r->class_id, 16);
    return GWH_OK;
}

static int find_release(struct gws_edit *e, sqlite3 *db, const uint8_t digest[32], struct release_row *r)
{
    struct gwh_error *err = &e->change.err;
    int x = gws_query(db, err, take_release, r, "SELECT state, class FROM release WHERE digest = ?", "b",
                      (struct gw_span){digest, 32});
    if (x == GWH_OK && !r->found) {
        return gws_refuse(err, GWS_NOT_FOUND, "there is no such release");
    }
    return x == GWH_OK && r->state != 1
               ? gws_refuse(err, GWS_CONFLICT, "the release is not ready: payloads are missing, or not checked yet")
               : x;
}

int gws_rollout_create(struct gws_edit *e, sqlite3 *db)
{
    struct gwh_error *err = &e->change.err;
    struct gws_rollout_request r;
    struct release_row row = {.found = false};
    char id[37];
    int x = gws_rollout_request(&r, e->request, err);
    x = x == GWH_OK ? find_release(e, db, r.release, &row) : x;
    x = x == GWH_OK ? new_id(id, err) : x;
    if (x != GWH_OK) {
        return x;
    }
    char *target = json_dumps(r.target, JSON_COMPACT);
    x = target != NULL ? GWH_OK : gwh_fail_reason(err, GW_ERR_SPACE, "a rollout");
    x = x == GWH_OK ? gws_exec(db, err,
                               "INSERT INTO rollout(id, name, class, release, target, priority, created, creator)"
                               " VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                               "ttbbtiit", id, r.name, (struct gw_span){row.class_id, 16},
                               (struct gw_span){r.release, 32}, target, r.priority, e->now, e->who)
                    : x;
    free(target);
    e->touched |= GWS_TOUCH_ROLLOUTS;
    e->answer = json_pack("{s:s, s:s}", "id", id, "state", state_names[DRAFT]);
    return x == GWH_OK ? gws_edit_audit(e, db, "rollout created", id, json_incref(e->request)) : x;
}

/* ---- Start, pause, resume, abort --------------------------------------------------------------------------------- */

struct running_row {
    bool found;
    int64_t state;
    struct gwh_buf manifest, head;
};
static int take_rollout(void *ctx, sqlite3_stmt *s)
{
    struct running_row *r = ctx;
    struct gw_span m = gws_column_bytes(s, 1), h = gws_column_bytes(s, 2);
    r->found = true;
    r->state = sqlite3_column_int64(s, 0);
    int e = gwh_buf_add(&r->manifest, m.p, m.n);
    e = e == GW_OK && h.n > 0 ? gwh_buf_add(&r->head, h.p, h.n) : e;
    return e == GW_OK ? GWH_OK : GWH_IO;
}

/* Would devices take it, as far as signatures go? */
static int check_release(struct gws_edit *e, sqlite3 *db, const struct running_row *r)
{
    struct gwh_error *err = &e->change.err;
    struct gwh_buf bundle = {0};
    struct gw_trust trust;
    struct gw_manifest m;
    struct gw_head head;
    int x = gws_trust_in_use(e->env, db, &bundle, &trust, err);
    int reason = GW_OK;
    if (x == GWH_OK) {
        reason = gw_manifest_open(&m, gwh_openssl()->gw, &trust, r->manifest.p, r->manifest.n);
    }
    if (x == GWH_OK && reason == GW_OK && m.order.epoch != trust.epoch) {
        reason = GW_ERR_EPOCH;
    }
    if (x == GWH_OK && reason == GW_OK && m.use_before != 0 && e->now >= (int64_t)m.use_before) {
        reason = GW_ERR_EXPIRED;
    }
    if (x == GWH_OK && reason == GW_OK && r->head.n > 0) {
        reason = gw_head_open(&head, gwh_openssl()->gw, &trust, r->head.p, r->head.n);
        reason = reason == GW_OK ? gwh_head_allows(&head, m.class_id, m.order) : reason;
    }
    gwh_buf_free(&bundle);
    return x == GWH_OK && reason != GW_OK ? gwh_fail_reason(err, reason, "devices would refuse the release") : x;
}

static int next_state(enum step step, int64_t from)
{
    for (size_t i = 0; i < sizeof transitions / sizeof *transitions; i++) {
        if (transitions[i].step == step && transitions[i].from == from) {
            return transitions[i].to;
        }
    }
    return -1;
}

static int write_state(struct gws_edit *e, sqlite3 *db, int state)
{
    return gws_exec(db, &e->change.err,
                    "UPDATE rollout SET state = ?1, started = CASE WHEN ?1 = 1 AND started = 0 THEN ?2 ELSE started"
                    " END, turn = CASE WHEN ?1 = 1 AND started = 0 THEN (SELECT 1 + max(turn) FROM rollout) ELSE turn"
                    " END, ended = CASE WHEN ?1 = 3 THEN ?2 ELSE ended END WHERE id = ?3",
                    "iit", (int64_t)state, e->now, e->object);
}

static int do_step(struct gws_edit *e, sqlite3 *db, enum step step)
{
    struct gwh_error *err = &e->change.err;
    struct running_row r = {.found = false};
    char what[40];
    int x = gws_query(db, err, take_rollout, &r,
                      "SELECT r.state, l.manifest, c.head FROM rollout r JOIN release l ON l.digest = r.release"
                      " JOIN class c ON c.id = r.class WHERE r.id = ?",
                      "t", e->object);
    int to = next_state(step, r.state);
    if (x == GWH_OK && !r.found) {
        x = gws_refuse(err, GWS_NOT_FOUND, "there is no such rollout");
    } else if (x == GWH_OK && to < 0) {
        x = gws_refuse(err, GWS_CONFLICT, "the rollout is %s and cannot be %s",
                       r.state >= 0 && r.state < STATES ? state_names[r.state] : "of no known state",
                       step_names[step]);
    }
    x = x == GWH_OK && to == RUNNING ? check_release(e, db, &r) : x;
    x = x == GWH_OK ? write_state(e, db, to) : x;
    gwh_buf_free(&r.manifest);
    gwh_buf_free(&r.head);
    (void)snprintf(what, sizeof what, "rollout %s", step_names[step]);
    x = x == GWH_OK ? gws_edit_audit(e, db, what, e->object, NULL) : x;
    e->touched |= GWS_TOUCH_ROLLOUTS;
    e->answer = x == GWH_OK ? json_pack("{s:s, s:s}", "id", e->object, "state", state_names[to]) : NULL;
    return x == GWH_OK ? x : gwh_fail(err, x, "the rollout");
}

int gws_rollout_start(struct gws_edit *e, sqlite3 *db)
{
    return do_step(e, db, START);
}

int gws_rollout_pause(struct gws_edit *e, sqlite3 *db)
{
    return do_step(e, db, PAUSE);
}

int gws_rollout_resume(struct gws_edit *e, sqlite3 *db)
{
    return do_step(e, db, RESUME);
}

int gws_rollout_abort(struct gws_edit *e, sqlite3 *db)
{
    return do_step(e, db, ABORT);
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

#define COLUMNS                                                                                                        \
    "SELECT r.id, r.name, r.class, r.release, r.target, r.priority, r.state, r.created, r.creator, r.started,"         \
    " r.ended, l.version FROM rollout r JOIN release l ON l.digest = r.release "

static json_t *show_row(sqlite3_stmt *s)
{
    int state = sqlite3_column_int(s, 6);
    struct gw_span class_id = gws_column_bytes(s, 2), release = gws_column_bytes(s, 3);
    json_t *o = json_object(), *target = json_loads(gws_column_text(s, 4), 0, NULL);
    (void)json_object_set_new(o, "id", json_string(gws_column_text(s, 0)));
    (void)json_object_set_new(o, "name", json_string(gws_column_text(s, 1)));
    (void)json_object_set_new(o, "class", gwh_show_hex(class_id.p, class_id.n));
    (void)json_object_set_new(o, "release", gwh_show_hex(release.p, release.n));
    (void)json_object_set_new(o, "version", json_string(gws_column_text(s, 11)));
    (void)json_object_set_new(o, "target", target != NULL ? target : json_null());
    (void)json_object_set_new(o, "priority", json_integer(sqlite3_column_int64(s, 5)));
    (void)json_object_set_new(o, "state", json_string(state >= 0 && state < STATES ? state_names[state] : "unknown"));
    (void)json_object_set_new(o, "created", json_integer(sqlite3_column_int64(s, 7)));
    (void)json_object_set_new(o, "creator", json_string(gws_column_text(s, 8)));
    (void)json_object_set_new(o, "started", json_integer(sqlite3_column_int64(s, 9)));
    (void)json_object_set_new(o, "ended", json_integer(sqlite3_column_int64(s, 10)));
    return o;
}

static int take_row(void *ctx, sqlite3_stmt *s)
{
    (void)gws_list_add(ctx, gws_column_text(s, 0), show_row(s));
    return GWH_OK;
}

json_t *gws_rollouts_list(sqlite3 *db, const struct gws_page *page, struct gwh_error *err)
{
    struct gws_list l = {.items = json_array(), .limit = gws_page_limit(page)};
    int e = gws_query(db, err, take_row, &l, COLUMNS "WHERE r.id > ? ORDER BY r.id LIMIT ?", "ti",
                      page != NULL && page->after != NULL ? page->after : "", (int64_t)l.limit + 1);
    return gws_list_end(&l, e);
}

static int take_one(void *ctx, sqlite3_stmt *s)
{
    json_t **o = ctx;
    *o = show_row(s);
    return GWH_OK;
}

json_t *gws_rollout_show(sqlite3 *db, const char *id, struct gwh_error *err)
{
    json_t *o = NULL;
    int e = gws_query(db, err, take_one, &o, COLUMNS "WHERE r.id = ?", "t", id);
    if (e == GWH_OK && o == NULL) {
        (void)gws_refuse(err, GWS_NOT_FOUND, "there is no such rollout");
    }
    return o;
}
