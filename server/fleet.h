/*
 * fleet.h - in memory: every device, and what it is offered. The poll path reads nothing else.
 *
 * Built from the database at the start and kept true by those who change it: a change is applied here in its `done`,
 * after it was committed. 10 000 devices take a few megabytes. All of it belongs to the event loop's thread.
 *
 * Which rollout serves a device (precedence; `rollout plan` and `device why` say it in these words): of the rollouts
 * that are running, of the device's class, and whose target holds it, the one with the highest priority; of equals the
 * one that was started last. Targets: all; a tag; a list of ids; a share in per mille (of SHA-256(rollout id || device
 * id), so that a larger share holds the devices of a smaller one). A device that runs that release, or a newer one, or
 * that left it, is offered the head alone; so is everybody while the class's head withdraws the release or is behind.
 */
#ifndef GWS_FLEET_H
#define GWS_FLEET_H

#include <jansson.h>
#include <sqlite3.h>

#include "encode.h"
#include "error.h"
#include "godwit/agent.h"

#define GWS_TAGS_MAX 16u
#define GWS_TAG_MAX 32u
#define GWS_KIDS_MAX 256u /* bytes of the names of a device's keys, each behind its length */

struct gws_device {
    char id[GW_DEVICE_ID_MAX + 1];
    uint8_t class_id[GW_UUID_SIZE];
    bool enabled;
    uint8_t key[64];          /* public key (P-256, x || y) that signs its reports; all zero: not known yet */
    uint8_t token_hash[32];   /* SHA-256 of its token; all zero: none */
    struct gw_span kids;      /* names of keys that open grants: (length, bytes)...; shared; n 0: not known */
    uint16_t tags[GWS_TAGS_MAX]; /* gws_fleet_tag() has the text */
    uint8_t tag_count;
    uint8_t state, reason;    /* of the last report */
    bool bundle_sent;         /* the bundle did not fit beside the release and went before it */
    uint32_t counter;         /* of the last report */
    struct gw_order running, about; /* by the last report */
    uint32_t hardware, bootloader, trust_version, head_serial; /* by the last report */
    int64_t seen, reported;   /* seconds since 1970; 0: never */
    int64_t seen_written;     /* what the database has of `seen` */
    uint32_t minute, requests; /* for the limit per minute; http's */
    uint32_t mqtt_minute, mqtt_reports; /* the same, mqtt's: a broker cannot use up the other */
    /* fleet.c's: */
    uint32_t offer, generation; /* the offer, if the generation is the fleet's */
    uint64_t told;              /* the entity tag of the offer that counts as known to the device */
    struct gws_device *next, *next_token;
};

struct gws_served {         /* what a look gets; shared by all devices that get the same */
    struct gw_span bytes;   /* offer (SPEC.md, section 7); n 0: nothing: 204 */
    char etag[20];          /* without quotes: the first 16 hex digits of the SHA-256 of the bytes */
};

struct gws_fleet;
/* Reads all from the database. */
int gws_fleet_load(struct gws_fleet **fleet, sqlite3 *db, struct gwh_error *err);
void gws_fleet_free(struct gws_fleet *fleet);
/* What offers hold beside the release: seconds until the next look (0: not said; up to an eighth more or less, by the
 * device's id), and the URL of payloads ("" or NULL: beside the offer). Not told before: neither. */
int gws_fleet_configure(struct gws_fleet *fleet, uint32_t next_look_s, const char *payload_base,
                        struct gwh_error *err);
/* NULL: not known. The pointer is good until the device is deleted. */
struct gws_device *gws_fleet_device(struct gws_fleet *fleet, const char *id);
/* By the SHA-256 of its token (never all zero). Looked up by hash: the time tells nothing about tokens. */
struct gws_device *gws_fleet_token(struct gws_fleet *fleet, const uint8_t hash[32]);
size_t gws_fleet_count(const struct gws_fleet *fleet);
const char *gws_fleet_tag(const struct gws_fleet *fleet, uint16_t tag);
bool gws_device_has_tag(const struct gws_fleet *fleet, const struct gws_device *d, const char *tag);
/* All devices in no order, until `each` says other than GWH_OK. */
int gws_fleet_each(struct gws_fleet *fleet, int (*each)(void *ctx, struct gws_device *d), void *ctx);
/* What a look of this device gets. Never NULL; good until the next call of any function of the fleet. */
const struct gws_served *gws_fleet_offer(struct gws_fleet *fleet, struct gws_device *device);
/* It got that, at this time. */
void gws_fleet_looked(struct gws_fleet *fleet, struct gws_device *device, int64_t now);
/* The devices whose offer changed since the last call, for notification: `each` for every one. */
void gws_fleet_changed(struct gws_fleet *fleet, void (*each)(void *ctx, const struct gws_device *d), void *ctx);

/* After a commit: read these again. A device that is not there any more is forgotten. Rollouts: with classes, heads,
 * releases and the trust bundle; on failure they are as before. */
int gws_fleet_reload_device(struct gws_fleet *fleet, sqlite3 *db, const char *id, struct gwh_error *err);
int gws_fleet_reload_rollouts(struct gws_fleet *fleet, sqlite3 *db, struct gwh_error *err);
/* A report was stored. Not a change to notify the device of. */
void gws_fleet_reported(struct gws_fleet *fleet, struct gws_device *d, const struct gw_report *report, int64_t now);

/* Administration tokens: role by the SHA-256 of a token (0: unknown or expired), its name to `who`. */
int gws_fleet_reload_tokens(struct gws_fleet *fleet, sqlite3 *db, struct gwh_error *err);
int gws_fleet_role(const struct gws_fleet *fleet, const uint8_t hash[32], int64_t now, char who[64]);

/* ---- Targets ----------------------------------------------------------------------------------------------------- */

enum gws_target { GWS_TARGET_ALL, GWS_TARGET_TAG, GWS_TARGET_IDS, GWS_TARGET_SHARE };
#define GWS_TARGET_IDS_MAX 10000u

/* Whom a rollout is for. All-zero: all. */
struct gws_target_set {
    enum gws_target kind;
    char tag[GWS_TAG_MAX + 1];
    char (*ids)[GW_DEVICE_ID_MAX + 1]; /* sorted */
    size_t id_count;
    uint32_t share; /* per mille */
};
/* From {"all": true}, {"tag": t}, {"ids": [...]} or {"share": 1..1000}. GWH_USAGE: it is none of them. */
int gws_target_parse(struct gws_target_set *t, const json_t *target, struct gwh_error *err);
void gws_target_free(struct gws_target_set *t);
bool gws_target_holds(const struct gws_fleet *fleet, const struct gws_target_set *t, const char *rollout,
                      const struct gws_device *d);
/* The number 0..999 of which a share is made. */
uint32_t gws_share_of(const char *rollout, const char *device);
bool gws_tag_ok(const char *tag); /* [a-z0-9._-]{1,32} */

/* ---- For people -------------------------------------------------------------------------------------------------- */

/* Why does this device get what it gets? In words, and as data: rollouts considered, with the reason for or against
 * each; the plan that the device's own planner makes (gw_plan_make with its reports). `now`: for use-before. */
json_t *gws_fleet_why(struct gws_fleet *fleet, sqlite3 *db, const char *id, int64_t now, struct gwh_error *err);
/* Who would get what, before a rollout starts: counts, payloads, bytes. rollout: {release, target, priority?, id?}. */
json_t *gws_fleet_plan(struct gws_fleet *fleet, sqlite3 *db, const json_t *rollout, int64_t now,
                       struct gwh_error *err);
/* How far a rollout is: {all, offered, staged, confirmed, failed, silent}; each_state: of one device, in words. */
json_t *gws_fleet_progress(struct gws_fleet *fleet, const char *rollout);
/* A page of its devices in order of id, from behind `after` (may be NULL): {items, next}. */
json_t *gws_fleet_rollout_devices(struct gws_fleet *fleet, const char *rollout, unsigned limit, const char *after);

#endif
