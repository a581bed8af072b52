/*
 * fleet_internal.h - what the fleet's files share: policy (classes, releases, rollouts) and the cache of offers.
 */
#ifndef GWS_FLEET_INTERNAL_H
#define GWS_FLEET_INTERNAL_H

#include "fleet.h"

enum { ROLLOUT_DRAFT, ROLLOUT_RUNNING, ROLLOUT_PAUSED, ROLLOUT_ABORTED, ROLLOUT_DONE };

struct fleet_class {
    uint8_t id[16];
    char *vendor, *name;
    struct gwh_buf cose; /* of the head; n 0: none */
    struct gw_head head; /* parsed: it was verified before it was stored */
};
struct fleet_release {
    uint8_t digest[32];
    struct gwh_buf cose;
    struct gw_manifest m; /* parsed: it was verified before it was stored */
    struct gwh_buf grant[256]; /* GWH_GRANTS_MAX */
    uint32_t grant_count;
};
struct fleet_rollout {
    char id[40], name[65];
    uint32_t class_at;           /* index in classes */
    struct fleet_release *release;
    struct gws_target_set target;
    int64_t priority, started, turn, created;
    int state;
};
/* All that offers are made from, but devices. */
struct fleet_policy {
    struct fleet_class *classes;
    size_t class_count;
    struct fleet_release **releases;
    size_t release_count;
    struct fleet_rollout *rollouts; /* drafts, running, paused; the others in no look are considered */
    size_t rollout_count;
    uint32_t trust_version;
    struct gwh_buf trust;
};
int fleet_policy_load(struct fleet_policy *p, sqlite3 *db, struct gwh_error *err);
void fleet_policy_free(struct fleet_policy *p);
/* Reads one release, with its grants. NULL: it is not there (err is not filled), or err says. */
struct fleet_release *fleet_release_load(sqlite3 *db, const uint8_t digest[32], struct gwh_error *err);
void fleet_release_free(struct fleet_release *r);
/* The digest of a class's release of this order; false: none, or several, or err says. */
bool fleet_release_of(sqlite3 *db, const uint8_t class_id[16], struct gw_order order, uint8_t digest[32],
                      struct gwh_error *err);

/* What makes two offers the same. */
struct offer_key {
    uint32_t class_at, rollout; /* rollout: index + 1; 0: no manifest */
    uint8_t grant[4];
    uint8_t grant_count;
    uint8_t trust;
    uint8_t step;               /* of the jitter; 0 when no next look is said */
    uint8_t zero;
};
struct cached {
    struct offer_key key;
    struct gwh_buf bytes;
    struct gws_served served;
    uint64_t tag;
};
#define CACHE_MAX 1024u /* offers; then all are forgotten and made anew */
#define CACHE_SLOTS 4096u

struct fleet_token {
    uint8_t hash[32];
    char name[64];
    int role;
    int64_t expires;
    int64_t used, used_written; /* seconds since 1970; what the database has of it */
};
struct gws_fleet {
    struct gws_device **by_id, **by_token;
    size_t buckets, count;
    uint64_t seed;
    char (*tags)[GWS_TAG_MAX + 1];
    size_t tag_count;
    struct gwh_buf *kids;
    size_t kids_count;
    struct fleet_token *tokens;
    size_t token_count;
    struct fleet_policy policy;
    uint32_t next_look_s;
    char payload_base[256];
    struct cached cache[CACHE_MAX];
    uint16_t slot[CACHE_SLOTS]; /* index + 1 */
    uint32_t cached, generation;
};
void fleet_forget_offers(struct gws_fleet *f);

/* Why a rollout does not serve a device. */
enum fleet_against { FOR, NOT_STARTED, PAUSED, NOT_IN_TARGET, LOWER_PRIORITY, STARTED_EARLIER };
/* Why the release of the rollout that serves it is not in its offer. */
enum fleet_withheld { OFFERED, DISABLED, RUNS_IT, RUNS_NEWER, LEFT_IT, WITHDRAWN, HEAD_BEHIND };
const struct fleet_class *fleet_class_of(const struct gws_fleet *f, const struct gws_device *d);
/* The one that serves it, or NULL. */
const struct fleet_rollout *fleet_pick(const struct gws_fleet *f, const struct gws_device *d);
enum fleet_against fleet_against(const struct gws_fleet *f, const struct fleet_rollout *r, const struct gws_device *d,
                                 const struct fleet_rollout *serving);
enum fleet_withheld fleet_withheld(const struct fleet_class *c, const struct fleet_release *r,
                                   const struct gws_device *d);
/* May a device with these keys open this grant? kids n 0: it is not known, so perhaps. */
bool fleet_grant_fits(struct gw_span grant, struct gw_span kids);
struct fleet_rollout *fleet_rollout(const struct gws_fleet *f, const char *id);

/* What the device's planner would choose: GW_OK and a plan, or the reason. installed: the release that it runs, if it
 * is known. */
int fleet_plan_device(const struct fleet_class *c, const struct fleet_release *r,
                      const struct fleet_release *installed, const struct gws_device *d, int64_t now, json_t *passed,
                      struct gw_plan *plan);

#endif
