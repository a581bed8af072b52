/*
 * resources.h - what is administered (SPEC.md, section 19), without HTTP: requests read, pages of lists, edits.
 *
 * An *edit* is one change that a person makes: `run` checks, writes and leaves an entry in the audit log, all in the
 * transaction of db.h; when it was committed, what it touched is read into memory again, devices whose offer changed
 * are notified, and `finished` is called in the event loop's thread. Nothing here trusts a request: what it names is
 * looked up, what it brings is verified by the device's own code.
 *
 * Functions that read take a connection and give a new reference, or NULL and the error: GWH_USAGE 400, GWH_REFUSED
 * with `reason` GWS_NOT_FOUND 404, other GWH_REFUSED 409, GWH_IO 500 or 503.
 */
#ifndef GWS_RESOURCES_H
#define GWS_RESOURCES_H

#include "release.h"
#include "server.h"

/* Reasons beside GW_ERR_*, in gwh_error.reason: */
enum gws_reason { GWS_NOT_FOUND = 10001, GWS_REPLAY, GWS_CONFLICT, GWS_NOW_NOT };
/* "NOT_FOUND", "REPLAY", "CONFLICT", "BUSY", or the name of a GW_ERR_*; "" for 0. */
const char *gws_reason_name(int reason);
int gws_refuse(struct gwh_error *err, int reason, const char *format, ...) GWH_PRINTF(3, 4);

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

#define GWS_IMPORT_MAX 1000u /* devices in one request */
#define GWS_PART_MAX (4u << 20) /* bytes of one part of an upload */
#define GWS_NAME_MAX 64u     /* bytes of a name that people give: UTF-8 without control characters */

struct gws_class_request {
    const char *vendor, *name; /* views into the JSON */
};
struct gws_device_request {
    const char *id;
    uint8_t class_id[16], key[64];
    bool has_key, token;
    const json_t *tags;        /* checked; may be NULL */
    uint8_t kids[GWS_KIDS_MAX];
    size_t kids_n;
};
struct gws_patch_request {
    uint8_t key[64];
    bool has_enabled, enabled, has_key, has_kids, token;
    const json_t *tags;
    uint8_t kids[GWS_KIDS_MAX];
    size_t kids_n;
};
struct gws_rollout_request {
    const char *name;
    uint8_t release[32];
    const json_t *target; /* checked */
    int64_t priority;
};
struct gws_token_request {
    const char *name;
    int role;        /* enum gws_role */
    int64_t expires; /* seconds since 1970 */
};
/* Each: GWH_OK, or GWH_USAGE with the name of what is wrong. NULL and other things than objects are wrong too. */
int gws_class_request(struct gws_class_request *r, const json_t *o, struct gwh_error *err);
int gws_device_request(struct gws_device_request *r, const json_t *o, struct gwh_error *err);
int gws_patch_request(struct gws_patch_request *r, const json_t *o, struct gwh_error *err);
int gws_rollout_request(struct gws_rollout_request *r, const json_t *o, struct gwh_error *err);
int gws_token_request(struct gws_token_request *r, const json_t *o, struct gwh_error *err);
/* {devices: [...], token?}: checks every device. */
int gws_import_request(const json_t **devices, bool *tokens, const json_t *o, struct gwh_error *err);
/* {manifest, grants?, head?}, base64: appended to a release in memory, parsed; free it with gwh_release_free(). */
int gws_release_request(struct gwh_release *r, const json_t *o, struct gwh_error *err);

/* A string without zeros inside; NULL otherwise. */
const char *gws_text(const json_t *s);
int gws_base64(struct gwh_buf *out, const char *text); /* strict; GW_ERR_FORMAT */
json_t *gws_base64_json(struct gw_span bytes);
bool gws_device_id_ok(const char *id);

/* ---- Edits ------------------------------------------------------------------------------------------------------- */

enum { GWS_TOUCH_DEVICES = 1, GWS_TOUCH_ROLLOUTS = 2, GWS_TOUCH_TOKENS = 4 };

/* What edits need of the server; does not change while it runs. All-zero: nothing can be verified. */
struct gws_env {
    struct gws_blobs *blobs;
    struct gw_roots roots;
    struct gwh_key root_key[GW_ROOTS_MAX];
};
struct gws_edit {
    struct gws_change change; /* first; its result and err are the edit's */
    /* Work on files that may take long, before `run`: outside the transaction, in a thread that holds nobody up. NULL:
     * none. What it needs of the database was read before. */
    int (*work)(struct gws_edit *e);
    bool worked;              /* `work` was done */
    int (*run)(struct gws_edit *e, sqlite3 *db);
    const struct gws_env *env;
    int64_t now;              /* seconds since 1970 */
    char who[64];             /* for the audit log */
    char object[GWH_PATH_MAX / 4]; /* what the path named: an id, or hex */
    char part[80];            /* a second one: a payload's name */
    uint64_t offset, size;    /* Upload-Offset; bytes of the payload */
    json_t *request;          /* owned; may be NULL */
    struct gwh_buf octets;    /* owned */
    /* Made by run: */
    json_t *answer;           /* owned */
    unsigned touched;
    json_t *devices;          /* owned: an array of ids to read again */
    /* The caller's. `finished` frees with gws_edit_free(). */
    struct gws_server *server;
    void (*finished)(struct gws_edit *e);
    void *ctx;
};
/* NULL: no memory. */
struct gws_edit *gws_edit_new(int (*run)(struct gws_edit *e, sqlite3 *db), const char *who, const char *object);
void gws_edit_free(struct gws_edit *e);
/* Into the writer's queue; when that is full, `finished` is called at once with GWH_IO and reason GWS_NOW_NOT. */
void gws_edit_submit(struct gws_server *s, const struct gws_env *env, struct gws_edit *e);
/* For tools and tests: in a transaction of its own. */
int gws_edit_run(struct gws_edit *e, sqlite3 *db);
void gws_edit_touch_device(struct gws_edit *e, const char *id);
int gws_edit_audit(struct gws_edit *e, sqlite3 *db, const char *what, const char *object, json_t *detail);

/* Roots from a file of public keys (PEM), for trust bundles: two signatures are needed, or one if there is one key. */
int gws_env_roots(struct gws_env *env, const char *path, struct gwh_error *err);
void gws_env_free(struct gws_env *env);

/* ---- Pages ------------------------------------------------------------------------------------------------------- */

struct gws_page {
    unsigned limit;    /* 1..1000; 0: 100 */
    const char *after; /* NULL: from the start */
};
/* One list in the making: rows are added, the last one too many becomes `next`. */
struct gws_list {
    json_t *items;
    unsigned limit;
    char next[GWH_PATH_MAX / 4];
    bool more;
};
unsigned gws_page_limit(const struct gws_page *page);
/* Takes the reference; `key` is what `after` will say. False: this one was too many. */
bool gws_list_add(struct gws_list *l, const char *key, json_t *item);
json_t *gws_list_end(struct gws_list *l, int result); /* NULL if the query failed */

/* ---- Classes (classes.c) ----------------------------------------------------------------------------------------- */

json_t *gws_classes_list(sqlite3 *db, const struct gws_page *page, struct gwh_error *err);
int gws_class_create(struct gws_edit *e, sqlite3 *db);
int gws_class_head(struct gws_edit *e, sqlite3 *db); /* object: class in hex; octets: the head */

/* ---- Trust (trust.c) --------------------------------------------------------------------------------------------- */

json_t *gws_trust_show(sqlite3 *db, struct gwh_error *err);
int gws_trust_put(struct gws_edit *e, sqlite3 *db); /* octets */
/* Puts the bundle of a file into the database at `path`, before it is opened, if it is newer than what is there. */
int gws_trust_from_file(const struct gws_env *env, const char *path, const char *file, struct gwh_error *err);
/* The bundle in use, verified by the roots; `bytes` holds it. GWH_REFUSED: there is none yet. */
int gws_trust_in_use(const struct gws_env *env, sqlite3 *db, struct gwh_buf *bytes, struct gw_trust *trust,
                     struct gwh_error *err);

/* ---- Devices (devices.c) ----------------------------------------------------------------------------------------- */

struct gws_device_query {
    const char *class_id, *tag, *state, *text; /* NULL: any. class in hex, state by name, text: part of the id */
};
json_t *gws_devices_list(sqlite3 *db, const struct gws_device_query *q, const struct gws_page *page,
                         struct gwh_error *err);
json_t *gws_device_show(sqlite3 *db, const char *id, struct gwh_error *err);
json_t *gws_device_reports(sqlite3 *db, const char *id, const struct gws_page *page, struct gwh_error *err);
int gws_devices_import(struct gws_edit *e, sqlite3 *db);
int gws_device_patch(struct gws_edit *e, sqlite3 *db);
int gws_device_delete(struct gws_edit *e, sqlite3 *db);

/* ---- Releases (releases.c) --------------------------------------------------------------------------------------- */

json_t *gws_releases_list(sqlite3 *db, const char *class_id, const struct gws_page *page, struct gwh_error *err);
json_t *gws_release_show(sqlite3 *db, const struct gws_blobs *blobs, const char *digest, struct gwh_error *err);
int gws_release_begin(struct gws_edit *e, sqlite3 *db);
/* object: digest; part: name of the payload; offset; octets. Answers {there}, also when it is refused. */
int gws_release_put(struct gws_edit *e, sqlite3 *db);
int gws_release_finish(struct gws_edit *e, sqlite3 *db);
/* In a running server: reads what the work of the two above needs, and sets it. The event loop's thread. */
int gws_release_put_later(struct gws_edit *e, sqlite3 *db);
int gws_release_finish_later(struct gws_edit *e, sqlite3 *db);
int gws_release_delete(struct gws_edit *e, sqlite3 *db);
/* Removes blobs that no release names, and stale uploads: {removed}. In the writer's thread, as nothing begins then. */
int gws_releases_collect(struct gws_edit *e, sqlite3 *db);

/* ---- Rollouts (rollouts.c) --------------------------------------------------------------------------------------- */

json_t *gws_rollouts_list(sqlite3 *db, const struct gws_page *page, struct gwh_error *err);
json_t *gws_rollout_show(sqlite3 *db, const char *id, struct gwh_error *err); /* gws_fleet_progress() has the counts */
int gws_rollout_create(struct gws_edit *e, sqlite3 *db);
int gws_rollout_start(struct gws_edit *e, sqlite3 *db);
int gws_rollout_pause(struct gws_edit *e, sqlite3 *db);
int gws_rollout_resume(struct gws_edit *e, sqlite3 *db);
int gws_rollout_abort(struct gws_edit *e, sqlite3 *db);

/* ---- Tokens (tokens.c), audit log (audit.c) ---------------------------------------------------------------------- */

#define GWS_TOKEN_MAX 56 /* characters of a token, with its zero: "gwd_" or "gwa_", then 32 bytes in base64url */
json_t *gws_tokens_list(sqlite3 *db, const struct gws_page *page, struct gwh_error *err);
int gws_token_create(struct gws_edit *e, sqlite3 *db);
int gws_token_delete(struct gws_edit *e, sqlite3 *db);
/* A fresh one, and its SHA-256. kind: 'a' administration, 'd' device. */
int gws_token_make(char kind, char token[GWS_TOKEN_MAX], uint8_t hash[32], struct gwh_error *err);
int gws_token_hash(const char *token, uint8_t hash[32]);
json_t *gws_audit_list(sqlite3 *db, const struct gws_page *page, struct gwh_error *err); /* newest first */

/* ---- Reports (reports.c) ----------------------------------------------------------------------------------------- */

/* One that was verified by `key`, into the database: in a transaction. GWS_REPLAY: its counter does not grow. */
struct gws_storing {
    const char *device;
    const uint8_t *key; /* 64 bytes: x || y */
    struct gw_span cose;
    const struct gw_report *report;
    int64_t now;
    bool repeated; /* told: it was there already */
};
int gws_report_store(struct gws_storing *t, sqlite3 *db, struct gwh_error *err);

/* One step of removing old reports, of bounded work, from the device behind `after` on. A device's newest stays. */
struct gws_pruning {
    uint32_t keep_each; /* reports of one device; 0: any number */
    int64_t older_than; /* seconds since 1970: reports that came before go; INT64_MIN: none */
    char after[GW_DEVICE_ID_MAX + 1];
    uint64_t removed; /* told */
    bool more;        /* told: there are devices that were not looked at */
};
int gws_reports_prune(struct gws_pruning *p, sqlite3 *db, struct gwh_error *err);

/* Verifies every stored report by the key of its device, and that the columns say what it says. `each`: of those that
 * are not so; why is one line. */
struct gws_audited {
    uint64_t reports, devices, forged;
    uint64_t former; /* reports by a key that an operator replaced: the database's word, no list of the desk has it */
};
int gws_reports_audit(sqlite3 *db, void (*each)(void *ctx, const char *device, int64_t report, const char *why),
                      void *ctx, struct gws_audited *found, struct gwh_error *err);

/* offers.c: writes down when devices were seen, those that are a minute ahead of the database (all: every one). */
void gws_seen_flush(struct gws_server *s, bool all);

#endif
