/*
 * publish.h - a static repository: releases as files that any HTTPS server, CDN or bucket can serve (SPEC.md, 16).
 *
 *     offers/<class id in hex>        what a device of the class asks for: manifest, grants, head, bundle
 *     payloads/<sha256 in hex>        immutable
 *     releases/<digest in hex>.json   what lies here, for people and `godwit release list`; devices never read it
 *
 * What it keeps true: payloads are there, whole, before an offer names them; an offer is replaced in one step; what is
 * there already is not sent again; nothing is published that a device of the class would refuse (the device's own
 * code checks it with the trust bundle that is given); an older release never replaces a newer one unless told so, an
 * older head never.
 */
#ifndef GWH_PUBLISH_H
#define GWH_PUBLISH_H

#include <jansson.h>

#include "release.h"
#include "publish_store.h"

#define GWH_OFFER_MAX 8192u

struct gwh_publish {
    const struct gwh_release *release; /* a folder; or NULL, */
    struct gw_span head;               /* and this head alone: nothing is offered to the class that it names */
    const struct gw_trust *trust;      /* what is published must verify under it */
    struct gw_span bundle;             /* it as COSE, to be offered too; n 0: not offered */
    uint32_t now;                      /* seconds since 1970, for use-before; 0: not checked */
    uint32_t next_look_s;              /* 0: not said */
    const char *payload_base;          /* https URL; NULL: beside the offer */
    const char *class_name;            /* for people, checked against the class id; NULL: not said */
    bool allow_older;                  /* replace a newer release that is offered */
    bool dry_run;                      /* do all but write */
    void (*tell)(void *ctx, const char *line);
    void *ctx;
};
struct gwh_published {
    uint8_t class_id[16];
    uint32_t payloads, payloads_there; /* put now; found there */
    uint64_t bytes;                    /* put now, of all files */
    uint32_t offer_bytes;
    bool offer_changed;
};
/* `done` counts also when it fails on the way. A dry run counts what would be done. */
int gwh_publish(const struct gwh_store *store, const struct gwh_publish *p, struct gwh_published *done,
                struct gwh_error *err);

/*
 * What lies in a repository, for `release list`: classes, what each offers, releases, payloads without a release, and
 * "problems": what an offer needs and is missing, has another size, or (digests) other bytes. `whole`: there are none.
 */
int gwh_repository_list(const struct gwh_store *store, bool digests, json_t **out, bool *whole, struct gwh_error *err);

/* ---- For both ---------------------------------------------------------------------------------------------------- */

#define GWH_DESCRIPTION_MAX 65536u /* bytes of a releases/... file */

void gwh_offer_name(char out[GWH_STORE_NAME_MAX], const uint8_t class_id[16]);
void gwh_payload_name(char out[GWH_STORE_NAME_MAX], const uint8_t name[32]);
void gwh_description_name(char out[GWH_STORE_NAME_MAX], const uint8_t digest[32]);
/* What of a release is shown, and written to releases/. A new reference. class_name may be NULL. */
json_t *gwh_describe(const struct gw_manifest *m, const uint8_t digest[32], const char *class_name);

/* An offer as it lies there: parsed, nothing verified. `has_`: whether it is in there. */
struct gwh_offered {
    struct gwh_buf bytes; /* n 0: there is none */
    struct gw_offer offer;
    bool has_manifest, has_head, has_trust;
    struct gw_manifest m;
    uint8_t digest[32];
    struct gw_head head;
    struct gw_trust trust;
};
/* Fetches and parses. An offer that does not parse: GW_ERR_*, with its bytes kept. Free it with gwh_offered_free(). */
int gwh_offered_get(struct gwh_offered *o, const struct gwh_store *store, const char *name, struct gwh_error *err);
int gwh_offered_parse(struct gwh_offered *o);
void gwh_offered_free(struct gwh_offered *o);

#endif
