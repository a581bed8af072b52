/*
 * rest.h - a client of godwitd's administration (SPEC.md, section 19), on libcurl; and the profiles that name servers.
 *
 * What it keeps true: https alone, with the server's certificate checked by the CA that the profile names, no redirect
 * followed; the token comes from a file that nobody else can read or from GODWIT_TOKEN, goes to that server alone and
 * is wiped; answers are bounded. What the server refuses becomes an error with the server's own words and hint.
 */
#ifndef GWH_REST_H
#define GWH_REST_H

#include <jansson.h>

#include "error.h"
#include "file.h"

#define GWH_REST_ANSWER_MAX (16u * 1024u * 1024u)
#define GWH_TOKEN_MAX 200u

struct gwh_rest_config {
    const char *server;     /* "https://host:port"; NULL: of the profile */
    const char *ca;         /* PEM; NULL: of the profile, or those of this PC */
    const char *token_file; /* NULL: GODWIT_TOKEN, or of the profile */
    const char *profile;    /* NULL: GODWIT_PROFILE, or "default", or the only one there is */
};

struct gwh_rest {
    char base[300], ca[GWH_PATH_MAX], token[GWH_TOKEN_MAX + 1];
    void *curl;
};
int gwh_rest_open(struct gwh_rest *r, const struct gwh_rest_config *config, struct gwh_error *err);
void gwh_rest_close(struct gwh_rest *r);

/* One request. `path` begins with '/'; body (may be NULL) is not taken. *answer: new reference, NULL: it was empty. */
int gwh_rest_call(struct gwh_rest *r, const char *method, const char *path, const json_t *body, json_t **answer,
                  struct gwh_error *err);
/* Octets at an offset (Upload-Offset). *status 409: *answer says what is there; no error then. */
int gwh_rest_put(struct gwh_rest *r, const char *path, struct gw_span bytes, uint64_t offset, long *status,
                 json_t **answer, struct gwh_error *err);
/* All pages of a list, at most `most` items (0: all): {"items": [...]} */
int gwh_rest_list(struct gwh_rest *r, const char *path, unsigned most, json_t **answer, struct gwh_error *err);
/* Server-sent events until `each` says false, or the connection ends (GWH_OK both), or fails. data: borrowed. */
int gwh_rest_events(struct gwh_rest *r, const char *path,
                    bool (*each)(void *ctx, const char *event, const json_t *data), bool (*idle)(void *ctx),
                    void *ctx, struct gwh_error *err);
/* Adds a text to a path or query, with what is not plain as %xx. GWH_USAGE: too long. */
int gwh_rest_add(char *path, size_t size, const char *text, struct gwh_error *err);

/* ---- Profiles: ${XDG_CONFIG_HOME:-~/.config}/godwit/profiles.ini, 0600 ------------------------------------------- */

struct gwh_profile {
    char server[300], ca[GWH_PATH_MAX], token_file[GWH_PATH_MAX];
};
/* GWH_REFUSED: there is none of that name. name NULL: as in gwh_rest_config. */
int gwh_profile_find(struct gwh_profile *p, const char *name, struct gwh_error *err);
/* Adds one, with copies of the CA and of the token beside it. Refused if there is one, unless forced. */
int gwh_profile_add(const char *name, const char *server, const char *ca, const char *token, bool force,
                    struct gwh_error *err);

#endif
