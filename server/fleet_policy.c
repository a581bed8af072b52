/*
 * fleet_policy.c - classes with their heads, releases, rollouts, the trust bundle: read from the database as one.
 *
 * Keeps true: what is here was verified before it was stored; it is parsed again, and what does not parse (a damaged
 * database) is an error that names it, not something to offer.
 */
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "fleet_internal.h"

struct reading {
    struct fleet_policy *p;
    struct fleet_release *release;
    sqlite3 *db;
    struct gwh_error *err;
};

static int no_memory(struct gwh_error *err)
{
    return gwh_fail_reason(err, GW_ERR_SPACE, "the fleet's rollouts");
}

/* One more, all zero. */
static void *one_more(void *array, size_t count, size_t size)
{
    uint8_t *grown = realloc(array, (count + 1) * size);
    if (grown != NULL) {
        memset(grown + count * size, 0, size);
    }
    return grown;
}

static int copy_bytes(struct gwh_buf *out, struct gw_span b)
{
    return b.n == 0 ? GW_OK : gwh_buf_add(out, b.p, b.n);
}

/* ---- Classes ----------------------------------------------------------------------------------------------------- */

static int parse_head(struct fleet_class *c)
{
    struct gw_span map;
    int e = gwh_sign_payload(gwh_span(&c->cose), &map);
    return e == GW_OK ? gw_head_parse(&c->head, map.p, map.n) : e;
}

static int take_class(void *ctx, sqlite3_stmt *s)
{
    struct reading *r = ctx;
    struct fleet_class *grown = one_more(r->p->classes, r->p->class_count, sizeof *grown);
    if (grown == NULL) {
        return no_memory(r->err);
    }
    r->p->classes = grown;
    struct fleet_class *c = &grown[r->p->class_count++];
    gws_column_fixed(s, 0, c->id, 16);
    c->vendor = strdup(gws_column_text(s, 1));
    c->name = strdup(gws_column_text(s, 2));
    int e = c->vendor != NULL && c->name != NULL ? copy_bytes(&c->cose, gws_column_bytes(s, 3)) : GW_ERR_SPACE;
    e = e == GW_OK && c->cose.n > 0 ? parse_head(c) : e;
    return e == GW_OK ? GWH_OK : gwh_fail_reason(r->err, e, "the head of class %s %s", c->vendor, c->name);
}

static int take_trust(void *ctx, sqlite3_stmt *s)
{
    struct reading *r = ctx;
    r->p->trust_version = (uint32_t)sqlite3_column_int64(s, 0);
    return copy_bytes(&r->p->trust, gws_column_bytes(s, 1)) == GW_OK ? GWH_OK : no_memory(r->err);
}

/* ---- Releases ---------------------------------------------------------------------------------------------------- */

static int take_manifest(void *ctx, sqlite3_stmt *s)
{
    struct reading *r = ctx;
    struct gw_span map;
    r->release = calloc(1, sizeof *r->release);
    int e = r->release != NULL ? copy_bytes(&r->release->cose, gws_column_bytes(s, 0)) : GW_ERR_SPACE;
    e = e == GW_OK ? gwh_sign_payload(gwh_span(&r->release->cose), &map) : e;
    e = e == GW_OK ? gw_manifest_parse(&r->release->m, map.p, map.n) : e;
    return e == GW_OK ? GWH_OK : gwh_fail_reason(r->err, e, "a release in the database");
}

static int take_grant(void *ctx, sqlite3_stmt *s)
{
    struct reading *r = ctx;
    struct fleet_release *k = r->release;
    if (k->grant_count == sizeof k->grant / sizeof *k->grant) {
        return GWH_OK;
    }
    return copy_bytes(&k->grant[k->grant_count++], gws_column_bytes(s, 0)) == GW_OK ? GWH_OK : no_memory(r->err);
}

struct fleet_release *fleet_release_load(sqlite3 *db, const uint8_t digest[32], struct gwh_error *err)
{
    struct reading r = {.db = db, .err = err};
    struct gw_span name = {digest, 32};
    int e = gws_query(db, err, take_manifest, &r, "SELECT manifest FROM release WHERE digest = ?", "b", name);
    if (e == GWH_OK && r.release != NULL) {
        memcpy(r.release->digest, digest, 32);
        memcpy(r.release->m.digest, digest, 32);
        e = gws_query(db, err, take_grant, &r, "SELECT cose FROM key_grant WHERE release = ? ORDER BY number", "b",
                      name);
    }
    if (e != GWH_OK) {
        fleet_release_free(r.release);
        return NULL;
    }
    return r.release;
}

struct found {
    uint8_t *digest;
    unsigned count;
};
static int take_digest(void *ctx, sqlite3_stmt *s)
{
    struct found *f = ctx;
    gws_column_fixed(s, 0, f->digest, 32);
    f->count++;
    return GWH_OK;
}

bool fleet_release_of(sqlite3 *db, const uint8_t class_id[16], struct gw_order order, uint8_t digest[32],
                      struct gwh_error *err)
{
    struct found f = {digest, 0};
    int e = gws_query(db, err, take_digest, &f,
                      "SELECT digest FROM release WHERE class = ? AND epoch = ? AND sequence = ?", "bii",
                      (struct gw_span){class_id, 16}, (int64_t)order.epoch, (int64_t)order.sequence);
    return e == GWH_OK && f.count == 1 && order.sequence != 0;
}

void fleet_release_free(struct fleet_release *r)
{
    if (r == NULL) {
        return;
    }
    gwh_buf_free(&r->cose);
    for (uint32_t i = 0; i < r->grant_count; i++) {
        gwh_buf_free(&r->grant[i]);
    }
    free(r);
}

static struct fleet_release *release_of(struct reading *r, struct gw_span digest)
{
    struct fleet_policy *p = r->p;
    for (size_t i = 0; i < p->release_count && digest.n == 32; i++) {
        if (memcmp(p->releases[i]->digest, digest.p, 32) == 0) {
            return p->releases[i];
        }
    }
    struct fleet_release **grown = one_more(p->releases, p->release_count, sizeof *grown);
    if (grown == NULL || digest.n != 32) {
        p->releases = grown != NULL ? grown : p->releases;
        (void)no_memory(r->err);
        return NULL;
    }
    p->releases = grown;
    struct fleet_release *k = fleet_release_load(r->db, digest.p, r->err);
    if (k != NULL) {
        grown[p->release_count++] = k;
    }
    return k;
}

/* ---- Rollouts ---------------------------------------------------------------------------------------------------- */

static bool find_class(const struct fleet_policy *p, const uint8_t id[16], uint32_t *at)
{
    for (*at = 0; *at < p->class_count; (*at)++) {
        if (memcmp(p->classes[*at].id, id, 16) == 0) {
            return true;
        }
    }
    return false;
}

static int read_target(struct fleet_rollout *k, const char *text, struct gwh_error *err)
{
    json_t *target = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    int e = gws_target_parse(&k->target, target, err);
    json_decref(target);
    return e;
}

static int take_rollout(void *ctx, sqlite3_stmt *s)
{
    struct reading *r = ctx;
    uint8_t class_id[16];
    struct fleet_rollout *grown = one_more(r->p->rollouts, r->p->rollout_count, sizeof *grown);
    if (grown == NULL) {
        return no_memory(r->err);
    }
    r->p->rollouts = grown;
    struct fleet_rollout *k = &grown[r->p->rollout_count++];
    strncpy(k->id, gws_column_text(s, 0), sizeof k->id - 1);
    strncpy(k->name, gws_column_text(s, 1), sizeof k->name - 1);
    gws_column_fixed(s, 2, class_id, 16);
    k->priority = sqlite3_column_int64(s, 5);
    k->state = sqlite3_column_int(s, 6);
    k->created = sqlite3_column_int64(s, 7);
    k->started = sqlite3_column_int64(s, 8);
    k->turn = sqlite3_column_int64(s, 9);
    k->release = release_of(r, gws_column_bytes(s, 3));
    if (k->release == NULL || !find_class(r->p, class_id, &k->class_at)) {
        return gwh_fail(r->err, GWH_IO, "the rollout %s names a release or a class that is not there", k->id);
    }
    return read_target(k, gws_column_text(s, 4), r->err);
}

int fleet_policy_load(struct fleet_policy *p, sqlite3 *db, struct gwh_error *err)
{
    struct reading r = {.p = p, .db = db, .err = err};
    int e = gws_query(db, err, take_class, &r, "SELECT id, vendor, name, head FROM class", "");
    e = e == GWH_OK ? gws_query(db, err, take_trust, &r,
                                "SELECT version, cose FROM trust ORDER BY version DESC LIMIT 1", "")
                    : e;
    return e == GWH_OK ? gws_query(db, err, take_rollout, &r,
                                   "SELECT id, name, class, release, target, priority, state, created, started, turn"
                                   " FROM rollout WHERE state <= 2 ORDER BY id",
                                   "")
                       : e;
}

void fleet_policy_free(struct fleet_policy *p)
{
    for (size_t i = 0; i < p->class_count; i++) {
        free(p->classes[i].vendor);
        free(p->classes[i].name);
        gwh_buf_free(&p->classes[i].cose);
    }
    for (size_t i = 0; i < p->rollout_count; i++) {
        gws_target_free(&p->rollouts[i].target);
    }
    for (size_t i = 0; i < p->release_count; i++) {
        fleet_release_free(p->releases[i]);
    }
    free(p->classes);
    free(p->rollouts);
    free(p->releases);
    gwh_buf_free(&p->trust);
    memset(p, 0, sizeof *p);
}
