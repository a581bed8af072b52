/*
 * fleet.h - in memory: every device, and what it is offered. The poll path reads nothing else.
 *
 * Built from the database at the start and kept true by those who change it: a change is applied here in its `done`,
 * after it was committed. 10 000 devices take a few megabytes.
 *
 * Which rollout serves a device (precedence; `rollout plan` and `device why` say it in these words): of the rollouts
 * that are running, of the device's class, and whose target holds it, the one with the highest priority; of equals the
 * newest. Targets: all; a tag; a list of ids; a share in per mille (of SHA-256(rollout id || device id), so that a
 * larger
 * share holds the devices of a smaller one). A device that runs that release, or a newer one, is offered the head
 * alone.
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

struct gws_device {
    char id[GW_DEVICE_ID_MAX + 1];
    uint8_t class_id[GW_UUID_SIZE];
    bool enabled;
    uint8_t key[64];          /* public key (P-256, x || y) that signs its reports; all zero: not known yet */
    uint8_t token_hash[32];   /* SHA-256 of its token; all zero: none */
    char tags[GWS_TAGS_MAX][GWS_TAG_MAX + 1];
    uint32_t tag_count;
    uint32_t counter;         /* of the last report */
    uint8_t state, reason;    /* of the last report */
    struct gw_order running, about; /* by the last report */
    int64_t seen, reported;   /* seconds since 1970; 0: never */
    /* The offer: an index of fleet.c's, made anew when rollouts change. */
    uint32_t offer;
    uint32_t minute, requests; /* for the limit per minute */
};

struct gws_served {         /* what a look gets; shared by all devices that get the same */
    struct gw_span bytes;   /* offer (SPEC.md, section 7); n 0: nothing: 204 */
    char etag[20];          /* without quotes */
};

enum gws_target { GWS_TARGET_ALL, GWS_TARGET_TAG, GWS_TARGET_IDS, GWS_TARGET_SHARE };

struct gws_fleet;
/* Reads all from the database. */
int gws_fleet_load(struct gws_fleet **fleet, sqlite3 *db, struct gwh_error *err);
void gws_fleet_free(struct gws_fleet *fleet);
/* NULL: not known. The pointer is good until the fleet changes. */
struct gws_device *gws_fleet_device(struct gws_fleet *fleet, const char *id);
/* By the SHA-256 of its token (never all zero). Looked up by hash: the time tells nothing about tokens. */
struct gws_device *gws_fleet_token(struct gws_fleet *fleet, const uint8_t hash[32]);
size_t gws_fleet_count(const struct gws_fleet *fleet);
/* What a look of this device gets, with `next_look` seconds in it. */
const struct gws_served *gws_fleet_offer(struct gws_fleet *fleet, const struct gws_device *device);
/* The devices whose offer changed since the last call, for notification: `each` for every one. */
void gws_fleet_changed(struct gws_fleet *fleet, void (*each)(void *ctx, const struct gws_device *d), void *ctx);

/* After a commit: read these again. */
int gws_fleet_reload_device(struct gws_fleet *fleet, sqlite3 *db, const char *id, struct gwh_error *err);
int gws_fleet_reload_rollouts(struct gws_fleet *fleet, sqlite3 *db, struct gwh_error *err);

/* Why does this device get what it gets? In words, and as data: rollouts considered, with the reason for or against
 * each; the plan that the device's own planner makes (gw_plan_make with what its reports say). */
json_t *gws_fleet_why(struct gws_fleet *fleet, sqlite3 *db, const char *id, struct gwh_error *err);
/* Who would get what, before a rollout starts: counts, payloads, bytes. */
json_t *gws_fleet_plan(struct gws_fleet *fleet, sqlite3 *db, const json_t *rollout, struct gwh_error *err);

#endif
