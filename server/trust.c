/*
 * trust.c - the trust bundle of the fleet: taken when the roots signed it and it is newer; offered to devices.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "resources.h"
#include "show.h"

static int take_bundle(void *ctx, sqlite3_stmt *s)
{
    struct gw_span b = gws_column_bytes(s, 0);
    return gwh_buf_add(ctx, b.p, b.n) == GW_OK ? GWH_OK : GWH_IO;
}

static int load(sqlite3 *db, struct gwh_buf *bytes, struct gwh_error *err)
{
    int e = gws_query(db, err, take_bundle, bytes, "SELECT cose FROM trust ORDER BY version DESC LIMIT 1", "");
    if (e != GWH_OK) {
        return gwh_fail(err, e, "the trust bundle");
    }
    if (bytes->n > 0) {
        return GWH_OK;
    }
    (void)gws_refuse(err, GWS_NOT_FOUND, "there is no trust bundle yet: nothing can be verified");
    return gwh_hint(err, "put the fleet's trust bundle first");
}

static int verify(const struct gws_env *env, struct gw_span cose, struct gw_trust *trust, struct gwh_error *err)
{
    if (env->roots.count == 0) {
        return gwh_fail(err, GWH_IO, "no roots are configured: trust bundles cannot be verified");
    }
    int reason = gw_trust_open(trust, gwh_openssl()->gw, &env->roots, cose.p, cose.n);
    return reason == GW_OK ? GWH_OK : gwh_fail_reason(err, reason, "the trust bundle is refused");
}

int gws_trust_in_use(const struct gws_env *env, sqlite3 *db, struct gwh_buf *bytes, struct gw_trust *trust,
                     struct gwh_error *err)
{
    int e = load(db, bytes, err);
    return e == GWH_OK ? verify(env, gwh_span(bytes), trust, err) : e;
}

int gws_trust_put(struct gws_edit *e, sqlite3 *db)
{
    struct gwh_error *err = &e->change.err;
    struct gw_span cose = gwh_span(&e->octets);
    struct gw_trust trust;
    int64_t newest = 0;
    int x = verify(e->env, cose, &trust, err);
    x = x == GWH_OK ? gws_number(db, err, &newest, NULL, "SELECT coalesce(max(version), 0) FROM trust", "") : x;
    if (x != GWH_OK) {
        return x;
    }
    if (trust.version <= newest) {
        return gwh_fail_reason(err, GW_ERR_TRUST_OLDER, "version %u is there, this is version %u", (unsigned)newest,
                               (unsigned)trust.version);
    }
    x = gws_exec(db, err, "INSERT INTO trust(version, cose, received) VALUES(?, ?, ?)", "ibi", (int64_t)trust.version,
                 cose, e->now);
    char object[16];
    (void)snprintf(object, sizeof object, "%u", (unsigned)trust.version);
    e->touched |= GWS_TOUCH_ROLLOUTS;
    e->answer = json_pack("{s:i}", "version", (int)trust.version);
    return x == GWH_OK ? gws_edit_audit(e, db, "trust bundle put", object, NULL) : x;
}

json_t *gws_trust_show(sqlite3 *db, struct gwh_error *err)
{
    struct gwh_buf bytes = {0};
    struct gw_trust trust;
    struct gw_span map;
    json_t *o = NULL;
    int e = load(db, &bytes, err);
    int reason = e == GWH_OK ? gwh_sign_payload(gwh_span(&bytes), &map) : GW_OK;
    reason = e == GWH_OK && reason == GW_OK ? gw_trust_parse(&trust, map.p, map.n) : reason;
    if (e == GWH_OK && reason == GW_OK) {
        o = gwh_show_trust(&trust);
        (void)json_object_set_new(o, "cose", gws_base64_json(gwh_span(&bytes)));
    } else if (e == GWH_OK) {
        (void)gwh_fail_reason(err, reason, "the stored trust bundle");
        err->exit = GWH_IO;
    }
    gwh_buf_free(&bytes);
    return o;
}

int gws_trust_from_file(const struct gws_env *env, const char *path, const char *file, struct gwh_error *err)
{
    struct gws_edit *e = gws_edit_new(gws_trust_put, "configuration", NULL);
    sqlite3 *db = NULL;
    int x = e != NULL ? gwh_file_read(&e->octets, file, GW_TRUST_MAX, err) : gwh_fail_reason(err, GW_ERR_SPACE, "-");
    x = x == GWH_OK ? gws_db_open_plain(&db, path, true, err) : x;
    if (x == GWH_OK) {
        e->env = env;
        e->now = (int64_t)time(NULL);
        x = gws_edit_run(e, db);
        if (x != GWH_OK && e->change.err.reason == GW_ERR_TRUST_OLDER) {
            x = GWH_OK; /* as new as what is there, or older: what is there stays */
        } else if (x != GWH_OK) {
            *err = e->change.err;
        }
    }
    gws_db_close_plain(db);
    gws_edit_free(e);
    return x;
}
