/*
 * fleet.c - devices in memory, by id and by token; tags and names of keys once for all that have them. See fleet.h.
 */
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "fleet_internal.h"

#define FIRST_BUCKETS 1024u

/* ---- Where a device is ------------------------------------------------------------------------------------------- */

/* FNV-1a from a seed that nobody knows: ids that collide cannot be prepared. */
static size_t bucket_of(const struct gws_fleet *f, const void *key, size_t n)
{
    const uint8_t *p = key;
    uint64_t h = f->seed;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ p[i]) * 0x100000001b3u;
    }
    return (size_t)(h ^ h >> 32) & (f->buckets - 1);
}

static bool is_zero(const uint8_t *p, size_t n)
{
    while (n > 0 && p[n - 1] == 0) {
        n--;
    }
    return n == 0;
}

static void link_device(struct gws_fleet *f, struct gws_device *d)
{
    struct gws_device **at = &f->by_id[bucket_of(f, d->id, strlen(d->id))];
    d->next = *at;
    *at = d;
    d->next_token = NULL;
    if (!is_zero(d->token_hash, 32)) {
        at = &f->by_token[bucket_of(f, d->token_hash, 32)];
        d->next_token = *at;
        *at = d;
    }
}

static void unlink_device(struct gws_fleet *f, const struct gws_device *d)
{
    struct gws_device **at = &f->by_id[bucket_of(f, d->id, strlen(d->id))];
    while (*at != d) {
        at = &(*at)->next;
    }
    *at = d->next;
    at = is_zero(d->token_hash, 32) ? NULL : &f->by_token[bucket_of(f, d->token_hash, 32)];
    while (at != NULL && *at != d) {
        at = &(*at)->next_token;
    }
    if (at != NULL) {
        *at = d->next_token;
    }
}

static bool grow(struct gws_fleet *f)
{
    struct gws_fleet old = {.by_id = f->by_id, .by_token = f->by_token, .buckets = f->buckets};
    size_t n = old.buckets == 0 ? FIRST_BUCKETS : 2 * old.buckets;
    struct gws_device **ids = calloc(n, sizeof *ids), **tokens = calloc(n, sizeof *tokens);
    if (ids == NULL || tokens == NULL) {
        free(ids);
        free(tokens);
        return false;
    }
    f->by_id = ids;
    f->by_token = tokens;
    f->buckets = n;
    for (size_t i = 0; i < old.buckets; i++) {
        for (struct gws_device *d = old.by_id[i], *next; d != NULL; d = next) {
            next = d->next;
            link_device(f, d);
        }
    }
    free(old.by_id);
    free(old.by_token);
    return true;
}

struct gws_device *gws_fleet_device(struct gws_fleet *fleet, const char *id)
{
    struct gws_device *d = fleet->by_id[bucket_of(fleet, id, strlen(id))];
    while (d != NULL && strcmp(d->id, id) != 0) {
        d = d->next;
    }
    return d;
}

struct gws_device *gws_fleet_token(struct gws_fleet *fleet, const uint8_t hash[32])
{
    struct gws_device *d = is_zero(hash, 32) ? NULL : fleet->by_token[bucket_of(fleet, hash, 32)];
    while (d != NULL && memcmp(d->token_hash, hash, 32) != 0) {
        d = d->next_token;
    }
    return d;
}

size_t gws_fleet_count(const struct gws_fleet *fleet)
{
    return fleet->count;
}

int gws_fleet_each(struct gws_fleet *fleet, int (*each)(void *ctx, struct gws_device *d), void *ctx)
{
    int e = GWH_OK;
    for (size_t i = 0; i < fleet->buckets; i++) {
        for (struct gws_device *d = fleet->by_id[i]; d != NULL && e == GWH_OK; d = d->next) {
            e = each(ctx, d);
        }
    }
    return e;
}

/* ---- What devices share ------------------------------------------------------------------------------------------ */

const char *gws_fleet_tag(const struct gws_fleet *fleet, uint16_t tag)
{
    return tag < fleet->tag_count ? fleet->tags[tag] : "";
}

bool gws_device_has_tag(const struct gws_fleet *fleet, const struct gws_device *d, const char *tag)
{
    for (unsigned i = 0; i < d->tag_count; i++) {
        if (strcmp(gws_fleet_tag(fleet, d->tags[i]), tag) == 0) {
            return true;
        }
    }
    return false;
}

/* The number of a tag, or -1: no memory, or too many. */
static int tag_number(struct gws_fleet *f, const char *tag)
{
    for (size_t i = 0; i < f->tag_count; i++) {
        if (strcmp(f->tags[i], tag) == 0) {
            return (int)i;
        }
    }
    char(*grown)[GWS_TAG_MAX + 1] = f->tag_count < UINT16_MAX ? realloc(f->tags, (f->tag_count + 1) * sizeof *grown)
                                                              : NULL;
    if (grown == NULL) {
        return -1;
    }
    f->tags = grown;
    memset(grown[f->tag_count], 0, sizeof *grown);
    memcpy(grown[f->tag_count], tag, strnlen(tag, GWS_TAG_MAX));
    return (int)f->tag_count++;
}

static int share_kids(struct gws_fleet *f, struct gw_span kids, struct gw_span *out)
{
    *out = (struct gw_span){NULL, 0};
    for (size_t i = 0; i < f->kids_count && kids.n > 0 && out->n == 0; i++) {
        if (f->kids[i].n == kids.n && memcmp(f->kids[i].p, kids.p, kids.n) == 0) {
            *out = gwh_span(&f->kids[i]);
        }
    }
    if (kids.n == 0 || out->n > 0) {
        return GW_OK;
    }
    struct gwh_buf *grown = realloc(f->kids, (f->kids_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return GW_ERR_SPACE;
    }
    f->kids = grown;
    struct gwh_buf *b = &grown[f->kids_count++];
    *b = (struct gwh_buf){0};
    int e = gwh_buf_add(b, kids.p, kids.n);
    *out = gwh_span(b);
    return e;
}

/* ---- From the database ------------------------------------------------------------------------------------------- */

#define DEVICE_COLUMNS                                                                                                 \
    "SELECT id, class, enabled, key, token_hash, kids, counter, state, reason, about_epoch, about_sequence,"           \
    " running_epoch, running_sequence, hardware, bootloader, trust_version, head_serial, seen, reported FROM device"

struct loading {
    struct gws_fleet *f;
    struct gwh_error *err;
    bool found;
};

static uint32_t u32(sqlite3_stmt *s, int column)
{
    return (uint32_t)sqlite3_column_int64(s, column);
}

static int read_device(struct gws_fleet *f, struct gws_device *d, sqlite3_stmt *s)
{
    int64_t seen = sqlite3_column_int64(s, 17);
    strncpy(d->id, gws_column_text(s, 0), sizeof d->id - 1);
    gws_column_fixed(s, 1, d->class_id, 16);
    d->enabled = sqlite3_column_int(s, 2) != 0;
    gws_column_fixed(s, 3, d->key, 64);
    gws_column_fixed(s, 4, d->token_hash, 32);
    d->counter = u32(s, 6);
    d->state = (uint8_t)u32(s, 7);
    d->reason = (uint8_t)u32(s, 8);
    d->about = (struct gw_order){u32(s, 9), u32(s, 10)};
    d->running = (struct gw_order){u32(s, 11), u32(s, 12)};
    d->hardware = u32(s, 13);
    d->bootloader = u32(s, 14);
    d->trust_version = u32(s, 15);
    d->head_serial = u32(s, 16);
    d->seen_written = seen;
    d->seen = d->seen > seen ? d->seen : seen; /* memory is ahead */
    d->reported = sqlite3_column_int64(s, 18);
    return share_kids(f, gws_column_bytes(s, 5), &d->kids);
}

static int take_device(void *ctx, sqlite3_stmt *s)
{
    struct loading *l = ctx;
    struct gws_fleet *f = l->f;
    struct gws_device *d = gws_fleet_device(f, gws_column_text(s, 0));
    bool fresh = d == NULL;
    l->found = true;
    if (fresh) {
        d = f->count < f->buckets || grow(f) ? calloc(1, sizeof *d) : NULL;
    } else {
        unlink_device(f, d);
    }
    if (d == NULL) {
        return gwh_fail_reason(l->err, GW_ERR_SPACE, "the fleet");
    }
    int e = read_device(f, d, s);
    link_device(f, d);
    f->count += fresh;
    d->tag_count = 0;
    d->generation = 0;
    return e == GW_OK ? GWH_OK : gwh_fail_reason(l->err, e, "the fleet");
}

static int take_tag(void *ctx, sqlite3_stmt *s)
{
    struct loading *l = ctx;
    struct gws_device *d = gws_fleet_device(l->f, gws_column_text(s, 0));
    int tag = tag_number(l->f, gws_column_text(s, 1));
    if (tag < 0) {
        return gwh_fail_reason(l->err, GW_ERR_SPACE, "the fleet's tags");
    }
    if (d != NULL && d->tag_count < GWS_TAGS_MAX) {
        d->tags[d->tag_count++] = (uint16_t)tag;
    }
    return GWH_OK;
}

static void forget_device(struct gws_fleet *f, const char *id)
{
    struct gws_device *d = gws_fleet_device(f, id);
    if (d != NULL) {
        unlink_device(f, d);
        free(d);
        f->count--;
    }
}

int gws_fleet_reload_device(struct gws_fleet *fleet, sqlite3 *db, const char *id, struct gwh_error *err)
{
    struct loading l = {.f = fleet, .err = err};
    int e = gws_query(db, err, take_device, &l, DEVICE_COLUMNS " WHERE id = ?", "t", id);
    e = e == GWH_OK ? gws_query(db, err, take_tag, &l, "SELECT device, name FROM tag WHERE device = ?", "t", id) : e;
    if (e == GWH_OK && !l.found) {
        forget_device(fleet, id);
    }
    return e;
}

/* ---- Administration tokens --------------------------------------------------------------------------------------- */

struct tokens {
    struct fleet_token *token;
    size_t count;
    struct gwh_error *err;
};
static int take_token(void *ctx, sqlite3_stmt *s)
{
    struct tokens *t = ctx;
    struct fleet_token *grown = realloc(t->token, (t->count + 1) * sizeof *grown);
    if (grown == NULL) {
        return gwh_fail_reason(t->err, GW_ERR_SPACE, "the tokens");
    }
    t->token = grown;
    struct fleet_token *k = &grown[t->count++];
    memset(k, 0, sizeof *k);
    gws_column_fixed(s, 0, k->hash, 32);
    strncpy(k->name, gws_column_text(s, 1), sizeof k->name - 1);
    k->role = sqlite3_column_int(s, 2);
    k->expires = sqlite3_column_int64(s, 3);
    k->used = k->used_written = sqlite3_column_int64(s, 4);
    return GWH_OK;
}

/* What was noted of tokens and is not in the database yet. */
static void keep_use(const struct gws_fleet *fleet, struct tokens *t)
{
    for (size_t i = 0; i < t->count; i++) {
        for (size_t j = 0; j < fleet->token_count; j++) {
            if (memcmp(t->token[i].hash, fleet->tokens[j].hash, 32) == 0) {
                t->token[i].used = fleet->tokens[j].used;
            }
        }
    }
}

int gws_fleet_reload_tokens(struct gws_fleet *fleet, sqlite3 *db, struct gwh_error *err)
{
    struct tokens t = {.err = err};
    int e = gws_query(db, err, take_token, &t, "SELECT hash, name, role, expires, used FROM token", "");
    if (e != GWH_OK) {
        free(t.token);
        return e;
    }
    keep_use(fleet, &t);
    free(fleet->tokens);
    fleet->tokens = t.token;
    fleet->token_count = t.count;
    return GWH_OK;
}

int gws_fleet_role(const struct gws_fleet *fleet, const uint8_t hash[32], int64_t now, char who[64])
{
    for (size_t i = 0; i < fleet->token_count; i++) {
        struct fleet_token *t = &fleet->tokens[i];
        if (gw_equal(t->hash, hash, 32)) {
            memcpy(who, t->name, 64);
            t->used = t->expires > now ? now : t->used;
            return t->expires > now ? t->role : 0;
        }
    }
    who[0] = '\0';
    return 0;
}

/* ---- Its life ---------------------------------------------------------------------------------------------------- */

int gws_fleet_load(struct gws_fleet **fleet, sqlite3 *db, struct gwh_error *err)
{
    struct gws_fleet *f = calloc(1, sizeof *f);
    struct loading l = {.f = f, .err = err};
    if (f == NULL || RAND_bytes((unsigned char *)&f->seed, sizeof f->seed) != 1 || !grow(f)) {
        gws_fleet_free(f);
        return gwh_fail_reason(err, GW_ERR_SPACE, "the fleet");
    }
    f->generation = 1;
    int e = gws_query(db, err, take_device, &l, DEVICE_COLUMNS, "");
    e = e == GWH_OK ? gws_query(db, err, take_tag, &l, "SELECT device, name FROM tag", "") : e;
    e = e == GWH_OK ? gws_fleet_reload_tokens(f, db, err) : e;
    e = e == GWH_OK ? gws_fleet_reload_rollouts(f, db, err) : e;
    if (e != GWH_OK) {
        gws_fleet_free(f);
        return e;
    }
    *fleet = f;
    return gws_fleet_configure(f, 0, NULL, err);
}

int gws_fleet_reload_rollouts(struct gws_fleet *fleet, sqlite3 *db, struct gwh_error *err)
{
    struct fleet_policy fresh = {0};
    int e = fleet_policy_load(&fresh, db, err);
    if (e != GWH_OK) {
        fleet_policy_free(&fresh);
        return e;
    }
    fleet_policy_free(&fleet->policy);
    fleet->policy = fresh;
    fleet_forget_offers(fleet);
    return GWH_OK;
}

void gws_fleet_free(struct gws_fleet *fleet)
{
    if (fleet == NULL) {
        return;
    }
    for (size_t i = 0; i < fleet->buckets; i++) {
        for (struct gws_device *d = fleet->by_id[i], *next; d != NULL; d = next) {
            next = d->next;
            free(d);
        }
    }
    fleet_forget_offers(fleet);
    fleet_policy_free(&fleet->policy);
    for (size_t i = 0; i < fleet->kids_count; i++) {
        gwh_buf_free(&fleet->kids[i]);
    }
    free(fleet->kids);
    free(fleet->tags);
    free(fleet->tokens);
    free(fleet->by_id);
    free(fleet->by_token);
    free(fleet);
}
