/*
 * first.c - see first.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "first.h"
#include "resources.h"

#define FILE_MAX 65536u

/* One line, checked like a request. */
static int insert(struct gws_edit *e, sqlite3 *db, char *line)
{
    static const char *const roles[] = {"viewer", "publisher", "operator", "admin"};
    struct gwh_error *err = &e->change.err;
    char name[65], role[16], hex[65], id[17];
    long long created, expires;
    uint8_t hash[32];
    int rest = 0;
    size_t r = 0;
    if (sscanf(line, "%64s %15s %lld %lld %64s%n", name, role, &created, &expires, hex, &rest) != 5 ||
        line[rest] != '\0' || !gwh_unhex(hash, 32, hex) || created < 0 || expires < created) {
        return gwh_fail(err, GWH_REFUSED, "a line of " GWS_FIRST_TOKENS " is not as it should be");
    }
    while (r < 4 && strcmp(role, roles[r]) != 0) {
        r++;
    }
    if (r == 4) {
        return gwh_fail(err, GWH_REFUSED, GWS_FIRST_TOKENS ": %s is no role", role);
    }
    gwh_hex(id, hash, 8);
    int x = gws_exec(db, err,
                     "INSERT OR IGNORE INTO token(id, name, hash, role, created, creator, expires)"
                     " VALUES(?, ?, ?, ?, ?, ?, ?)",
                     "ttbiiti", id, name, (struct gw_span){hash, 32}, (int64_t)r + GWS_ROLE_VIEWER, (int64_t)created,
                     "server folder", (int64_t)expires);
    return x == GWH_OK ? gws_edit_audit(e, db, "token created", id, json_pack("{s:s, s:s}", "name", name, "role", role))
                       : x;
}

static int run(struct gws_edit *e, sqlite3 *db)
{
    char *rest = NULL;
    int x = GWH_OK;
    for (char *line = strtok_r((char *)e->octets.p, "\n", &rest); line != NULL && x == GWH_OK;
         line = strtok_r(NULL, "\n", &rest)) {
        x = insert(e, db, line);
    }
    e->touched |= GWS_TOUCH_TOKENS;
    return x;
}

static void finished(struct gws_edit *e)
{
    char path[GWH_PATH_MAX];
    struct gwh_error err = {0};
    bool good = e->change.result == GWH_OK && gwh_path(path, e->server->config.data, GWS_FIRST_TOKENS, &err) == GWH_OK;
    if (good && unlink(path) == 0) {
        gws_log(e->server, "tokens-taken", "from", path, NULL);
    } else {
        gws_log(e->server, "tokens-refused", "from", GWS_FIRST_TOKENS, "error", e->change.err.text, NULL);
    }
    gws_edit_free(e);
}

void gws_first_tokens(struct gws_server *s)
{
    static const struct gws_env nothing;
    char path[GWH_PATH_MAX];
    struct gwh_error err = {0};
    struct stat st;
    if (gwh_path(path, s->config.data, GWS_FIRST_TOKENS, &err) != GWH_OK || lstat(path, &st) != 0) {
        return;
    }
    struct gws_edit *e = gws_edit_new(run, "server folder", GWS_FIRST_TOKENS);
    if (e == NULL) {
        return;
    }
    if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0 || st.st_uid != geteuid()) {
        gws_log(s, "tokens-refused", "from", path, "error", "it is not a file that its owner alone can read", NULL);
    } else if (gwh_file_read(&e->octets, path, FILE_MAX, &err) != GWH_OK || gwh_buf_add(&e->octets, "", 1) != GW_OK) {
        gws_log(s, "tokens-refused", "from", path, "error", err.text, NULL);
    } else {
        e->finished = finished;
        gws_edit_submit(s, &nothing, e);
        return;
    }
    gws_edit_free(e);
}
