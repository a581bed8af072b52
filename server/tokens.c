/*
 * tokens.c - administration tokens: made of 32 random bytes, kept as their SHA-256, with a role and an end.
 */
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "resources.h"

static const char *const roles[] = {"none", "viewer", "publisher", "operator", "admin"};

/* ---- Making and knowing ------------------------------------------------------------------------------------------ */

int gws_token_hash(const char *token, uint8_t hash[32])
{
    return gw_sha256(gwh_openssl()->gw, token, strlen(token), hash);
}

int gws_token_make(char kind, char token[GWS_TOKEN_MAX], uint8_t hash[32], struct gwh_error *err)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t random[33] = {0};
    if (RAND_bytes(random, 32) != 1) {
        return gwh_fail_reason(err, GW_ERR_CRYPTO, "a token");
    }
    int n = snprintf(token, GWS_TOKEN_MAX, "gw%c_", kind);
    for (unsigned bit = 0; bit < 256; bit += 6) { /* 43 letters */
        unsigned two = (unsigned)random[bit / 8] << 8 | random[bit / 8 + 1];
        token[n++] = letters[two >> (10 - bit % 8) & 63];
    }
    token[n] = '\0';
    gw_wipe(random, sizeof random);
    return gws_token_hash(token, hash) == GW_OK ? GWH_OK : gwh_fail_reason(err, GW_ERR_CRYPTO, "a token");
}

/* ---- Edits ------------------------------------------------------------------------------------------------------- */

int gws_token_create(struct gws_edit *e, sqlite3 *db)
{
    struct gwh_error *err = &e->change.err;
    struct gws_token_request r;
    char token[GWS_TOKEN_MAX], id[17];
    uint8_t hash[32];
    int x = gws_token_request(&r, e->request, err);
    if (x == GWH_OK && r.expires <= e->now) {
        x = gwh_fail(err, GWH_USAGE, "expires: it is past already");
    }
    x = x == GWH_OK ? gws_token_make('a', token, hash, err) : x;
    if (x != GWH_OK) {
        return x;
    }
    gwh_hex(id, hash, 8); /* of the hash: names the token, and helps nobody to find it */
    x = gws_exec(db, err,
                 "INSERT INTO token(id, name, hash, role, created, creator, expires) VALUES(?, ?, ?, ?, ?, ?, ?)",
                 "ttbiiti", id, r.name, (struct gw_span){hash, 32}, (int64_t)r.role, e->now, e->who, r.expires);
    x = x == GWH_OK ? gws_edit_audit(e, db, "token created", id,
                                     json_pack("{s:s, s:s, s:I}", "name", r.name, "role", roles[r.role], "expires",
                                               (json_int_t)r.expires))
                    : x;
    e->answer = x == GWH_OK ? json_pack("{s:s, s:s}", "id", id, "token", token) : NULL;
    e->touched |= GWS_TOUCH_TOKENS;
    gw_wipe(token, sizeof token);
    return x;
}

int gws_token_delete(struct gws_edit *e, sqlite3 *db)
{
    struct gwh_error *err = &e->change.err;
    int x = gws_exec(db, err, "DELETE FROM token WHERE id = ?", "t", e->object);
    if (x == GWH_OK && sqlite3_changes64(db) == 0) {
        return gws_refuse(err, GWS_NOT_FOUND, "there is no such token");
    }
    e->touched |= GWS_TOUCH_TOKENS;
    return x == GWH_OK ? gws_edit_audit(e, db, "token deleted", e->object, NULL) : x;
}

/* ---- The list ---------------------------------------------------------------------------------------------------- */

static int take(void *ctx, sqlite3_stmt *s)
{
    int role = sqlite3_column_int(s, 2);
    json_t *o = json_object();
    (void)json_object_set_new(o, "id", json_string(gws_column_text(s, 0)));
    (void)json_object_set_new(o, "name", json_string(gws_column_text(s, 1)));
    (void)json_object_set_new(o, "role", json_string(role >= 0 && role <= GWS_ROLE_ADMIN ? roles[role] : "none"));
    (void)json_object_set_new(o, "created", json_integer(sqlite3_column_int64(s, 3)));
    (void)json_object_set_new(o, "creator", json_string(gws_column_text(s, 4)));
    (void)json_object_set_new(o, "expires", json_integer(sqlite3_column_int64(s, 5)));
    (void)json_object_set_new(o, "used", json_integer(sqlite3_column_int64(s, 6)));
    (void)gws_list_add(ctx, gws_column_text(s, 0), o);
    return GWH_OK;
}

json_t *gws_tokens_list(sqlite3 *db, const struct gws_page *page, struct gwh_error *err)
{
    struct gws_list l = {.items = json_array(), .limit = gws_page_limit(page)};
    int e = gws_query(db, err, take, &l,
                      "SELECT id, name, role, created, creator, expires, used FROM token WHERE id > ? ORDER BY id"
                      " LIMIT ?",
                      "ti", page != NULL && page->after != NULL ? page->after : "", (int64_t)l.limit + 1);
    return gws_list_end(&l, e);
}
