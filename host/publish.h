/*
 * publish.h - a static repository: releases as files that any HTTPS server, CDN or bucket can serve (SPEC.md, 16).
 *
 *     offers/<class id in hex>        what a device of the class asks for: manifest, grants, head, bundle
 *     payloads/<sha256 in hex>        immutable
 *     releases/<digest in hex>.json   what lies here, for people and `godwit release list`; devices never read it
 *
 * What it keeps true: payloads are there, whole, before an offer names them; an offer is replaced in one step; what is
 * there already is not sent again; nothing is published that a device of the class would refuse (the device's own
 * code checks it with the trust bundle that is given); an older release never replaces a newer one unless told so.
 */
#ifndef GWH_PUBLISH_H
#define GWH_PUBLISH_H

#include <jansson.h>

#include "release.h"

/* Where files go. Names are relative, with slashes. */
struct gwh_store {
    void *ctx;
    /* Size of a file, if it is there and, as far as that can be known without fetching it, is what was put. */
    int (*look)(void *ctx, const char *name, bool *there, uint64_t *size, struct gwh_error *err);
    /* Appends the file, of at most `max` bytes; one that is not there: nothing is appended, GWH_OK. */
    int (*get)(void *ctx, const char *name, size_t max, struct gwh_buf *out, struct gwh_error *err);
    /* From a file (path), or from memory. It appears under its name whole, or not at all. immutable: Cache-Control. */
    int (*put)(void *ctx, const char *name, const char *path, struct gw_span bytes, bool immutable,
               struct gwh_error *err);
    int (*list)(void *ctx, const char *prefix, int (*each)(void *ctx, const char *name, uint64_t size), void *each_ctx,
                struct gwh_error *err);
    void (*free)(void *ctx);
};
/* "DIR", or "s3://bucket/prefix" with AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY. */
int gwh_store_open(struct gwh_store *store, const char *where, struct gwh_error *err);

struct gwh_publish {
    const struct gwh_release *release;
    const struct gw_trust *trust;   /* the release must verify under it */
    struct gw_span bundle;          /* COSE, to be offered too; n 0: none */
    uint32_t next_look_s;           /* 0: not said */
    const char *payload_base;       /* https URL; NULL: beside the offer */
    bool allow_older;               /* replace a newer release that is offered */
    bool dry_run;
    void (*tell)(void *ctx, const char *line);
    void *ctx;
};
struct gwh_published {
    uint32_t payloads, payloads_there; /* put now; found there */
    uint64_t bytes;                    /* put now */
    bool offer_changed;
};
int gwh_publish(const struct gwh_store *store, const struct gwh_publish *p, struct gwh_published *done,
                struct gwh_error *err);

/* What lies in a repository, for `release list`: classes, what each offers, releases, payloads without a release. */
int gwh_repository_list(const struct gwh_store *store, json_t **out, struct gwh_error *err);

#endif
