/*
 * releases.c - releases: begun with what is signed, uploaded in parts, finished when the device's own code has taken
 * every payload apart. Only then can one be rolled out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "class_head.h"
#include "resources.h"
#include "show.h"

enum { UPLOADING, READY, WITHDRAWN_FROM_USE };

/* ---- Begin ------------------------------------------------------------------------------------------------------- */

static int verify(struct gws_edit *e, sqlite3 *db, const struct gwh_release *r, struct gw_head *head)
{
    struct gwh_error *err = &e->change.err;
    struct gwh_buf bundle = {0};
    struct gw_trust trust;
    struct gwh_verify v = {.trust = &trust, .now = (uint32_t)e->now};
    int x = gws_trust_in_use(e->env, db, &bundle, &trust, err);
    x = x == GWH_OK ? gwh_release_verify_signed(r, &v, err) : x;
    if (x == GWH_OK && r->grant_count > 0 && r->m.key_check.n == 0) {
        x = gws_refuse(err, GWS_CONFLICT, "the release is not encrypted, and there are grants: they are of another");
    }
    if (x == GWH_OK && r->head.n > 0) { /* verified above; opened again for what it says */
        int reason = gw_head_open(head, gwh_openssl()->gw, &trust, r->head.p, r->head.n);
        x = reason == GW_OK ? GWH_OK : gwh_fail_reason(err, reason, "the head is refused");
    }
    gwh_buf_free(&bundle);
    return x;
}

static int check_order(struct gws_edit *e, sqlite3 *db, const struct gwh_release *r, bool *there)
{
    struct gwh_error *err = &e->change.err;
    struct gw_span class_id = {r->m.class_id, 16}, digest = {r->digest, 32};
    int64_t classes = 0, others = 0, same = 0;
    int x = gws_number(db, err, &classes, NULL, "SELECT count(*) FROM class WHERE id = ?", "b", class_id);
    x = x == GWH_OK ? gws_number(db, err, &same, NULL, "SELECT count(*) FROM release WHERE digest = ?", "b", digest)
                    : x;
    x = x == GWH_OK ? gws_number(db, err, &others, NULL,
                                 "SELECT count(*) FROM release WHERE class = ? AND epoch = ? AND sequence = ? AND"
                                 " digest <> ?",
                                 "biib", class_id, (int64_t)r->m.order.epoch, (int64_t)r->m.order.sequence, digest)
                    : x;
    if (x == GWH_OK && classes == 0) {
        return gws_refuse(err, GWS_NOT_FOUND, "the class of the release is not there: create it first");
    }
    if (x == GWH_OK && others > 0) {
        (void)gws_refuse(err, GWS_CONFLICT, "another release of epoch %u, sequence %u is there",
                         (unsigned)r->m.order.epoch, (unsigned)r->m.order.sequence);
        return gwh_hint(err, "build with a higher --sequence: devices that have the other would not take this one");
    }
    *there = same > 0;
    return x;
}

static int insert_release(struct gws_edit *e, sqlite3 *db, const struct gwh_release *r)
{
    char version[65];
    (void)snprintf(version, sizeof version, "%.*s", (int)r->m.version.n, (const char *)r->m.version.p);
    return gws_exec(db, &e->change.err,
                    "INSERT INTO release(digest, class, epoch, sequence, version, created, creator, manifest)"
                    " VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                    "bbiititb", (struct gw_span){r->digest, 32}, (struct gw_span){r->m.class_id, 16},
                    (int64_t)r->m.order.epoch, (int64_t)r->m.order.sequence, version, e->now, e->who,
                    gwh_span(&r->cose));
}

/* Those that are there already stay; more may come later, for more devices. */
static int insert_grants(struct gws_edit *e, sqlite3 *db, const struct gwh_release *r)
{
    struct gw_span digest = {r->digest, 32};
    int64_t n = 0;
    int x = GWH_OK;
    for (size_t i = 0; x == GWH_OK && i < r->grant_count; i++) {
        x = gws_exec(db, &e->change.err,
                     "INSERT INTO key_grant(release, number, cose) SELECT ?1, coalesce(max(number), 0) + 1, ?2 FROM"
                     " key_grant WHERE release = ?1 HAVING NOT EXISTS (SELECT 1 FROM key_grant WHERE release = ?1 AND"
                     " cose = ?2)",
                     "bb", digest, gwh_span(&r->grants[i].bytes));
    }
    x = x == GWH_OK ? gws_number(db, &e->change.err, &n, NULL, "SELECT count(*) FROM key_grant WHERE release = ?", "b",
                                 digest)
                    : x;
    return x == GWH_OK && n > (int64_t)GWH_GRANTS_MAX
               ? gws_refuse(&e->change.err, GWS_CONFLICT, "a release has at most %u grants", GWH_GRANTS_MAX)
               : x;
}

struct beginning {
    struct gws_edit *e;
    sqlite3 *db;
    const struct gwh_release *r;
    json_t *payloads;
};

static int begin_payload(void *ctx, const struct gwh_place *at)
{
    struct beginning *b = ctx;
    struct gwh_error *err = &b->e->change.err;
    uint64_t there = 0;
    int x = gws_exec(b->db, err, "INSERT INTO payload(release, name, size) VALUES(?, ?, ?) ON CONFLICT DO NOTHING",
                     "bbi", (struct gw_span){b->r->digest, 32}, (struct gw_span){at->p.name, 32},
                     (int64_t)at->p.size);
    x = x == GWH_OK ? gws_upload_begin(b->e->env->blobs, at->p.name, at->p.size, &there, err) : x;
    json_t *o = json_object();
    (void)json_object_set_new(o, "name", gwh_show_hex(at->p.name, 32));
    (void)json_object_set_new(o, "size", json_integer(at->p.size));
    (void)json_object_set_new(o, "there", json_integer((json_int_t)there));
    for (size_t i = 0; i < json_array_size(b->payloads); i++) {
        if (json_equal(json_object_get(json_array_get(b->payloads, i), "name"), json_object_get(o, "name"))) {
            json_decref(o); /* named twice in the manifest */
            return x;
        }
    }
    (void)json_array_append_new(b->payloads, o);
    return x;
}

static int take_bytes(void *ctx, sqlite3_stmt *s)
{
    struct gw_span b = gws_column_bytes(s, 0);
    return b.n == 0 || gwh_buf_add(ctx, b.p, b.n) == GW_OK ? GWH_OK : GWH_IO;
}

/* Do they say the same, whoever signed them? */
static bool is_same_head(struct gw_span a, struct gw_span b)
{
    struct gw_span x, y;
    return a.n > 0 && b.n > 0 && gwh_sign_payload(a, &x) == GW_OK && gwh_sign_payload(b, &y) == GW_OK &&
           x.n == y.n && memcmp(x.p, y.p, x.n) == 0;
}

/* The head that came with it is the class's from now on, if it is newer; the same one again is fine. */
static int take_head(struct gws_edit *e, sqlite3 *db, const struct gwh_release *r, const struct gw_head *head)
{
    struct gwh_buf stored = {0};
    if (r->head.n == 0) {
        return GWH_OK;
    }
    int x = gws_query(db, &e->change.err, take_bytes, &stored, "SELECT head FROM class WHERE id = ?", "b",
                      (struct gw_span){r->m.class_id, 16});
    bool same = is_same_head(gwh_span(&stored), gwh_span(&r->head));
    gwh_buf_free(&stored);
    return x == GWH_OK && !same ? gws_class_head_store(e, db, r->m.class_id, head, gwh_span(&r->head)) : x;
}

static int begin(struct gws_edit *e, sqlite3 *db, const struct gwh_release *r)
{
    struct beginning b = {e, db, r, json_array()};
    struct gw_head head = {.serial = 0};
    bool there = false;
    char hex[65];
    gwh_hex(hex, r->digest, 32);
    int x = verify(e, db, r, &head);
    x = x == GWH_OK ? check_order(e, db, r, &there) : x;
    x = x == GWH_OK && !there ? insert_release(e, db, r) : x;
    x = x == GWH_OK ? insert_grants(e, db, r) : x;
    x = x == GWH_OK ? take_head(e, db, r, &head) : x;
    x = x == GWH_OK ? gwh_each_payload(&r->m, begin_payload, &b) : x;
    e->touched |= GWS_TOUCH_ROLLOUTS; /* grants may be more */
    if (x == GWH_OK) {
        e->answer = json_pack("{s:s, s:O}", "digest", hex, "payloads", b.payloads);
        x = gws_edit_audit(e, db, there ? "release begun again" : "release begun", hex, NULL);
    }
    json_decref(b.payloads);
    return x;
}

int gws_release_begin(struct gws_edit *e, sqlite3 *db)
{
    struct gwh_release r;
    int x = gws_release_request(&r, e->request, &e->change.err);
    if (x == GWH_OK && e->env->blobs == NULL) {
        x = gwh_fail(&e->change.err, GWH_IO, "there is no store for payloads");
    }
    x = x == GWH_OK ? begin(e, db, &r) : x;
    gwh_release_free(&r);
    if (x == GWH_OK || e->change.err.exit != GWH_OK) {
        return x;
    }
    return x < 0 ? gwh_fail_reason(&e->change.err, x, "the release") : gwh_fail(&e->change.err, x, "the release");
}

/* ---- Parts ------------------------------------------------------------------------------------------------------- */

static int find_state(struct gws_edit *e, sqlite3 *db, uint8_t digest[32], int64_t *state)
{
    struct gwh_error *err = &e->change.err;
    bool found = false;
    int x = GWH_OK;
    if (gwh_unhex(digest, 32, e->object)) {
        x = gws_number(db, err, state, &found, "SELECT state FROM release WHERE digest = ?", "b",
                       (struct gw_span){digest, 32});
    }
    return x == GWH_OK && !found ? gws_refuse(err, GWS_NOT_FOUND, "there is no such release") : x;
}

/* Which payload is it, and may it have this part? */
static int find_part(struct gws_edit *e, sqlite3 *db)
{
    struct gwh_error *err = &e->change.err;
    uint8_t digest[32], name[32];
    int64_t state = 0, size = 0;
    bool found = false;
    int x = find_state(e, db, digest, &state);
    if (x == GWH_OK && gwh_unhex(name, 32, e->part)) {
        x = gws_number(db, err, &size, &found, "SELECT size FROM payload WHERE release = ? AND name = ?", "bb",
                       (struct gw_span){digest, 32}, (struct gw_span){name, 32});
    }
    if (x == GWH_OK && !found) {
        return gws_refuse(err, GWS_NOT_FOUND, "the release has no such payload");
    }
    if (x != GWH_OK) {
        return x;
    }
    if (e->octets.n > GWS_PART_MAX || e->offset > (uint64_t)size || e->octets.n > (uint64_t)size - e->offset) {
        return gwh_fail(err, GWH_USAGE, "the part is larger than 4 MB, or ends behind the payload's %lld bytes",
                        (long long)size);
    }
    e->size = (uint64_t)size;
    return GWH_OK;
}

static int write_part(struct gws_edit *e)
{
    struct gwh_error *err = &e->change.err;
    uint8_t name[32];
    uint64_t there = 0;
    if (!gwh_unhex(name, 32, e->part)) {
        return gws_refuse(err, GWS_NOT_FOUND, "the release has no such payload");
    }
    if (gws_blob_size(e->env->blobs, name) == (int64_t)e->size) { /* there already, from this or another release */
        e->answer = json_pack("{s:I}", "there", (json_int_t)e->size);
        return e->offset == e->size ? GWH_OK : gws_refuse(err, GWS_CONFLICT, "the payload is there");
    }
    int x = gws_upload_put(e->env->blobs, name, e->offset, gwh_span(&e->octets), &there, err);
    if (x == GWH_REFUSED) {
        err->reason = GWS_CONFLICT;
    }
    e->answer = json_pack("{s:I}", "there", (json_int_t)there);
    return x;
}

int gws_release_put(struct gws_edit *e, sqlite3 *db)
{
    int x = e->worked ? GWH_OK : find_part(e, db);
    return x == GWH_OK && !e->worked ? write_part(e) : x;
}

int gws_release_put_later(struct gws_edit *e, sqlite3 *db)
{
    e->work = write_part;
    return find_part(e, db);
}

/* ---- Finish ------------------------------------------------------------------------------------------------------ */

static int check_payload(void *ctx, const struct gwh_place *at)
{
    struct gws_edit *e = ctx;
    struct gwh_error *err = &e->change.err;
    uint64_t size = 0;
    char hex[65];
    gwh_hex(hex, at->p.name, 32);
    int x = gws_upload_finish(e->env->blobs, at->p.name, at->p.size, err);
    if (x != GWH_OK) {
        return x;
    }
    int fd = gws_blob_fd(e->env->blobs, at->p.name, &size);
    void *p = fd >= 0 && size > 0 ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (p == MAP_FAILED) {
        return gwh_fail_errno(err, "cannot read the payload %s", hex);
    }
    int reason = gwh_payload_check(gwh_openssl()->gw, at, (struct gw_span){NULL, 0}, (struct gw_span){p, size});
    (void)munmap(p, size);
    return reason == GW_OK ? GWH_OK : gwh_fail_reason(err, reason, "the payload %s is refused", hex);
}

/* The manifest, into the edit's octets. What its digest is says what its payloads are, whoever signed it. */
static int load_manifest(struct gws_edit *e, sqlite3 *db)
{
    uint8_t digest[32];
    int64_t state = 0;
    int x = find_state(e, db, digest, &state);
    if (x != GWH_OK) {
        return x;
    }
    gwh_buf_free(&e->octets);
    x = gws_query(db, &e->change.err, take_bytes, &e->octets, "SELECT manifest FROM release WHERE digest = ?", "b",
                  (struct gw_span){digest, 32});
    return x == GWH_OK ? x : gwh_fail(&e->change.err, x, "the manifest");
}

static int check_payloads(struct gws_edit *e)
{
    struct gw_span map;
    struct gw_manifest m;
    int x = gwh_sign_payload(gwh_span(&e->octets), &map);
    x = x == GW_OK ? gw_manifest_parse(&m, map.p, map.n) : x;
    x = x == GW_OK ? gwh_each_payload(&m, check_payload, e) : x;
    return x < 0 ? gwh_fail_reason(&e->change.err, x, "the stored manifest") : x;
}

int gws_release_finish_later(struct gws_edit *e, sqlite3 *db)
{
    e->work = check_payloads;
    return load_manifest(e, db);
}

int gws_release_finish(struct gws_edit *e, sqlite3 *db)
{
    struct gwh_error *err = &e->change.err;
    uint8_t digest[32];
    int64_t state = 0;
    int x = e->worked ? GWH_OK : load_manifest(e, db);
    x = x == GWH_OK && !e->worked ? check_payloads(e) : x;
    x = x == GWH_OK ? find_state(e, db, digest, &state) : x;
    if (x == GWH_OK && state == UPLOADING) {
        x = gws_exec(db, err, "UPDATE release SET state = 1 WHERE digest = ?", "b", (struct gw_span){digest, 32});
        x = x == GWH_OK ? gws_edit_audit(e, db, "release ready", e->object, NULL) : x;
    }
    e->answer = x == GWH_OK ? json_pack("{s:s, s:s}", "digest", e->object, "state", "ready") : NULL;
    return x;
}

/* ---- Delete ------------------------------------------------------------------------------------------------------ */

int gws_release_delete(struct gws_edit *e, sqlite3 *db)
{
    struct gwh_error *err = &e->change.err;
    uint8_t digest[32];
    int64_t state, rollouts = 0;
    int x = find_state(e, db, digest, &state);
    x = x == GWH_OK ? gws_number(db, err, &rollouts, NULL, "SELECT count(*) FROM rollout WHERE release = ?", "b",
                                 (struct gw_span){digest, 32})
                    : x;
    if (x == GWH_OK && rollouts > 0) {
        return gws_refuse(err, GWS_CONFLICT, "%lld rollouts name the release", (long long)rollouts);
    }
    x = x == GWH_OK ? gws_exec(db, err, "DELETE FROM release WHERE digest = ?", "b", (struct gw_span){digest, 32}) : x;
    return x == GWH_OK ? gws_edit_audit(e, db, "release deleted", e->object, NULL) : x;
}

struct needing {
    sqlite3 *db;
    struct gwh_error *err;
};
static bool is_needed(void *ctx, const uint8_t name[32])
{
    struct needing *n = ctx;
    int64_t count = 1;
    int e = gws_number(n->db, n->err, &count, NULL, "SELECT count(*) FROM payload WHERE name = ?", "b",
                       (struct gw_span){name, 32});
    return e != GWH_OK || count > 0; /* when in doubt it stays */
}

int gws_releases_collect(struct gws_edit *e, sqlite3 *db)
{
    struct needing n = {db, &e->change.err};
    unsigned removed = e->env->blobs != NULL ? gws_blobs_collect(e->env->blobs, is_needed, &n) : 0;
    e->answer = json_pack("{s:i}", "removed", (int)removed);
    return e->change.err.exit;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static json_t *show_row(sqlite3_stmt *s)
{
    static const char *const states[] = {"uploading", "ready", "withdrawn"};
    int state = sqlite3_column_int(s, 5);
    struct gw_span digest = gws_column_bytes(s, 0), class_id = gws_column_bytes(s, 1);
    struct gw_order order = {(uint32_t)sqlite3_column_int64(s, 2), (uint32_t)sqlite3_column_int64(s, 3)};
    json_t *o = json_object();
    (void)json_object_set_new(o, "digest", gwh_show_hex(digest.p, digest.n));
    (void)json_object_set_new(o, "class", gwh_show_hex(class_id.p, class_id.n));
    (void)json_object_set_new(o, "epoch", json_integer(order.epoch));
    (void)json_object_set_new(o, "sequence", json_integer(order.sequence));
    (void)json_object_set_new(o, "version", json_string(gws_column_text(s, 4)));
    (void)json_object_set_new(o, "state", json_string(state >= 0 && state <= 2 ? states[state] : "unknown"));
    (void)json_object_set_new(o, "created", json_integer(sqlite3_column_int64(s, 6)));
    (void)json_object_set_new(o, "creator", json_string(gws_column_text(s, 7)));
    (void)json_object_set_new(o, "grants", json_integer(sqlite3_column_int64(s, 8)));
    return o;
}
#define COLUMNS                                                                                                        \
    "SELECT digest, class, epoch, sequence, version, state, created, creator,"                                         \
    " (SELECT count(*) FROM key_grant WHERE release = digest) FROM release "

static int take_row(void *ctx, sqlite3_stmt *s)
{
    uint8_t digest[32];
    char hex[65];
    gws_column_fixed(s, 0, digest, 32);
    gwh_hex(hex, digest, 32);
    (void)gws_list_add(ctx, hex, show_row(s));
    return GWH_OK;
}

json_t *gws_releases_list(sqlite3 *db, const char *class_id, const struct gws_page *page, struct gwh_error *err)
{
    struct gws_list l = {.items = json_array(), .limit = gws_page_limit(page)};
    uint8_t after[32], id[16] = {0};
    bool from = page != NULL && page->after != NULL && gwh_unhex(after, 32, page->after);
    int e = class_id == NULL || gwh_unhex(id, 16, class_id)
                ? GWH_OK
                : gwh_fail(err, GWH_USAGE, "class: 32 hexadecimal digits");
    e = e == GWH_OK ? gws_query(db, err, take_row, &l,
                                COLUMNS "WHERE digest > ?1 AND (?2 IS NULL OR class = ?2) ORDER BY digest LIMIT ?3",
                                "bbi", (struct gw_span){from ? after : (const uint8_t *)"", from ? 32 : 0},
                                (struct gw_span){class_id != NULL ? id : NULL, 16}, (int64_t)l.limit + 1)
                    : e;
    return gws_list_end(&l, e);
}

static int take_one(void *ctx, sqlite3_stmt *s)
{
    json_t **o = ctx;
    *o = show_row(s);
    return GWH_OK;
}

struct showing {
    const struct gws_blobs *blobs;
    json_t *list;
};
static int take_payload(void *ctx, sqlite3_stmt *s)
{
    struct showing *k = ctx;
    uint8_t name[32];
    json_t *o = json_object();
    gws_column_fixed(s, 0, name, 32);
    (void)json_object_set_new(o, "name", gwh_show_hex(name, 32));
    (void)json_object_set_new(o, "size", json_integer(sqlite3_column_int64(s, 1)));
    (void)json_object_set_new(o, "whole", json_boolean(gws_blob_size(k->blobs, name) == sqlite3_column_int64(s, 1)));
    (void)json_array_append_new(k->list, o);
    return GWH_OK;
}

json_t *gws_release_show(sqlite3 *db, const struct gws_blobs *blobs, const char *digest, struct gwh_error *err)
{
    uint8_t name[32];
    json_t *o = NULL;
    struct showing k = {blobs, json_array()};
    int e = GWH_OK;
    if (gwh_unhex(name, 32, digest)) {
        e = gws_query(db, err, take_one, &o, COLUMNS "WHERE digest = ?", "b", (struct gw_span){name, 32});
        e = e == GWH_OK ? gws_query(db, err, take_payload, &k, "SELECT name, size FROM payload WHERE release = ?", "b",
                                    (struct gw_span){name, 32})
                        : e;
    }
    if (e == GWH_OK && o == NULL) {
        (void)gws_refuse(err, GWS_NOT_FOUND, "there is no such release");
    }
    (void)json_object_set(o, "payloads", k.list);
    json_decref(k.list);
    return o;
}
