/*
 * api.h - what all resources of the REST API (SPEC.md, section 19) share: schemas, pages, refusals, edits.
 *
 * A *schema* is a table of the fields of an object. The same table checks what comes (strictly: unknown names, other
 * types, sizes out of bounds are refused with a sentence), and describes in the OpenAPI document what comes and goes.
 */
#ifndef GWS_API_H
#define GWS_API_H

#include "resources.h"
#include "server.h"

/* ---- Schemas ----------------------------------------------------------------------------------------------------- */

enum gws_type {
    GWS_TEXT,    /* least, most: bytes of UTF-8 */
    GWS_WORD,    /* one of `words`, "a|b|c" */
    GWS_HEX,     /* lower case; least, most: bytes that it stands for */
    GWS_BASE64,  /* RFC 4648, padded, nothing else between; least, most: bytes that it stands for */
    GWS_NUMBER,  /* least, most */
    GWS_BOOL,
    GWS_ORDER,   /* of a release: {"epoch", "sequence"} as gwh_show_order() */
    GWS_OBJECT,  /* of this schema; NULL: any object */
    GWS_LIST,    /* of objects of this schema; least, most: items */
    GWS_TEXTS,   /* list of texts; least, most: items. Their lengths are for the resource to check */
    GWS_ANY,     /* any value */
    GWS_OCTETS,  /* not JSON: the body itself */
    GWS_LINES,   /* not JSON: text/plain, text/event-stream */
};
enum { GWS_REQUIRED = 1, GWS_NULL = 2 /* may be null */ };

struct gws_schema;
struct gws_field {
    const char *name;
    enum gws_type type;
    unsigned flags;
    int64_t least, most;
    const struct gws_schema *of;
    const char *words;
    const char *summary;
};
struct gws_schema {
    const char *name;
    const struct gws_field *fields; /* ended by a name NULL; NULL: any object */
    bool open;                      /* other names too: only of what is answered */
    enum gws_type type;             /* 0, GWS_OCTETS or GWS_LINES */
};
extern const struct gws_schema gws_schema_error, gws_schema_octets, gws_schema_lines, gws_schema_any;

/* False: `err` says where and why. */
bool gws_schema_check(const struct gws_schema *schema, const json_t *tree, struct gwh_error *err);
/* The body, checked; or NULL, and it was answered. */
json_t *gws_api_body(struct gws_call *call, const struct gws_schema *schema);

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

/* argument i of the path is lower-case hex of n bytes; false: 404 was answered, `what` names what it should be. */
bool gws_api_hex(struct gws_call *call, unsigned i, size_t n, const char *what);
/* limit= and after=; false: it was answered. */
bool gws_api_page(struct gws_call *call, struct gws_page *page);
/* The roles, from "none" on. */
extern const char *const gws_role_names[];

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

/* What somebody may type when this was not found, did not fit. NULL: nothing better than the message is known. */
struct gws_hints {
    const char *missing, *conflict;
};
/* By exit code and reason: 400, 404, 409, 503, 507, 500. `more`: has "there", for the error object, or is NULL. */
void gws_api_failed(struct gws_call *call, const struct gwh_error *err, const struct gws_hints *hints,
                    const json_t *more);
/* Answers 200 with the tree, which it takes, or with the error if it is NULL. */
void gws_api_show(struct gws_call *call, json_t *tree, const struct gwh_error *err, const struct gws_hints *hints);
void gws_api_refuse(struct gws_call *call, int status, const char *code, const char *hint, const char *format, ...)
    GWH_PRINTF(5, 6);

/* ---- Changes ----------------------------------------------------------------------------------------------------- */

/* How an edit of resources.h is answered. */
struct gws_api_edit {
    int (*run)(struct gws_edit *e, sqlite3 *db);
    int status;              /* when it went well; the answer is what run made; 204: nothing */
    const char *event;       /* told to who listens; NULL: nothing */
    const char *what;        /* in the event: "created" */
    const struct gws_hints *hints; /* may be NULL */
    /* More to do when it was done, before it is answered. May be NULL. */
    void (*after)(struct gws_call *call, struct gws_edit *e);
};
/* Begins it: `object` is what it is about, `body` is taken and may be NULL. NULL: it was answered. */
struct gws_edit *gws_api_edit_new(struct gws_call *call, const struct gws_api_edit *how, const char *object,
                                  json_t *body);
/* To the writer; the call is answered when it was committed, or undone. */
void gws_api_edit_submit(struct gws_call *call, struct gws_edit *e);
/* Both; the second takes the body as octets. */
void gws_api_edit(struct gws_call *call, const struct gws_api_edit *how, const char *object, json_t *body);
void gws_api_edit_octets(struct gws_call *call, const struct gws_api_edit *how, const char *object);
/* The body into the edit; false: it was answered, and the edit is gone. */
bool gws_api_octets(struct gws_call *call, struct gws_edit *e);

/* ---- The tables of routes ---------------------------------------------------------------------------------------- */

extern const struct gws_route gws_api_classes[], gws_api_trust[], gws_api_devices[], gws_api_releases[],
    gws_api_rollouts[], gws_api_tokens[], gws_api_audit[], gws_api_events[], gws_api_openapi[];

#endif
