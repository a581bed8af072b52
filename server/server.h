/*
 * server.h - godwitd as a whole: what its parts share, and the log.
 *
 *   main.c      command line, configuration, signals        config.c   the configuration file, from a table
 *   http.c http_*.c tls.c routes.c   doors, routes, answers  db.c migrations.c blobs.c
 *   fleet.c     in memory: devices, and what each is offered; nothing on the poll path reads the database
 *   offers.c payloads.c reports.c                            what devices ask (SPEC.md, section 16)
 *   classes.c devices.c releases.c rollouts.c tokens.c audit.c events.c metrics.c openapi.c      administration (19)
 *   mqtt.c      tells devices that there is something, takes reports (SPEC.md, section 20)
 *
 * One thread runs the event loop and all handlers; one more writes to the database; a third does what takes long
 * before that: payloads that are uploaded, and checked.
 */
#ifndef GWS_SERVER_H
#define GWS_SERVER_H

#include "blobs.h"
#include "db.h"
#include "fleet.h"
#include "httpd.h"

struct gws_config {
    char data[GWH_PATH_MAX];         /* folder of database and blobs */
    char trust[GWH_PATH_MAX];        /* trust bundle of the fleet: releases are checked by it; may be changed by API */
    char roots[GWH_PATH_MAX];        /* public keys of the roots that sign it */
    struct {
        char listen[80], certificate[GWH_PATH_MAX], key[GWH_PATH_MAX], client_ca[GWH_PATH_MAX], crl[GWH_PATH_MAX];
        struct gws_limits limits;
    } door[4];                       /* in the order of the bits of enum gws_door; listen "": closed */
    bool first_sight;                /* a certificate of the device CA makes its device known; else only by import */
    char first_sight_class[33];      /* hex: of devices that become known so */
    char payload_base[256];          /* URL that offers name; "": beside the offer */
    uint32_t link_seconds;           /* payload links expire after that; 0: they do not */
    uint32_t next_look_s;            /* that devices are told; jitter of an eighth is added */
    bool log_json;
    struct {
        uint32_t keep_days, keep_each; /* report_prune.c; 0: no limit */
    } reports;
    struct {
        char host[128];              /* "": no MQTT */
        uint16_t port;
        char ca[GWH_PATH_MAX], certificate[GWH_PATH_MAX], key[GWH_PATH_MAX];
    } mqtt;
};
/* Reads it; every option is in one table, which also prints the example that `godwit server init` writes. */
int gws_config_read(struct gws_config *c, const char *path, struct gwh_error *err);
void gws_config_defaults(struct gws_config *c);
/* values: NULL, or what was made of the defaults. What differs from them stands there, the rest as comments. */
void gws_config_example(FILE *out, const struct gws_config *values);

struct gws_mqtt;
struct gws_events;
struct gws_pruner;
struct gws_env;

struct gws_server {
    struct gws_config config;
    struct event_base *base;
    struct gws_db *db;
    struct gws_blobs blobs;
    struct gws_fleet *fleet;
    struct gws_http *http;
    const struct gws_env *env; /* what edits verify releases and bundles with (resources.h) */
    struct gws_mqtt *mqtt;     /* NULL: none */
    struct gws_events *events; /* who listens to server-sent events */
    uint8_t link_key[32];      /* MACs expiring links; from the database, made once */
    int64_t started;           /* seconds since 1970 */
    int64_t collected;         /* collect.c: when that was done last */
    int64_t pruned;            /* report_prune.c: when that was begun last */
    struct gws_pruner *pruner; /* NULL: it is not at work */
    int64_t seen_flushed;      /* offers.c: when sightings of devices were last written down */
};

/* collect.c: once an hour, removes blobs that no release names and uploads that nobody goes on with. */
void gws_collect(struct gws_server *s);

/* report_prune.c: once an hour, removes reports that config.reports does not keep, step by step. Ended after
 * gws_db_close(). */
void gws_prune(struct gws_server *s);
void gws_prune_free(struct gws_server *s);

int64_t gws_now(void); /* seconds since 1970 */

/* One line for each event, text or JSON: gws_log(s, "report", "device", id, "state", name, NULL). Escaped. */
void gws_log(const struct gws_server *s, const char *event, ...) __attribute__((sentinel));

/* ---- What http_route.c asks to know who somebody is -------------------------------------------------------------- */

/* who.c: a certificate of the device CA whose device (call->device, call->key_bytes) is not known, and
 * config.first_sight is on. GWH_OK: it makes it known and calls gws_call_again(), now or later, or answers itself.
 * GWH_REFUSED: 403 is answered. */
int gws_device_first_sight(struct gws_call *call);
/* who.c: role of an administration token, and its name for the audit log. NONE: unknown or expired. From memory;
 * compared by its SHA-256. */
enum gws_role gws_token_role(struct gws_server *s, const char *token, char who[64]);

/* token_use.c: writes down when administration tokens were used last. Lazily: by the minute, and at the end. */
void gws_tokens_flush(struct gws_server *s);

/* ---- payloads.c -------------------------------------------------------------------------------------------------- */

/* The key of expiring links: s->link_key from the database, made and stored at the first start. Runs the loop. */
int gws_payload_key(struct gws_server *s, struct gwh_error *err);

/* The query of an expiring link to a payload, "?expires=N&mac=HEX"; "" if links do not expire. */
#define GWS_LINK_QUERY_MAX 112
void gws_payload_link(const struct gws_server *s, const uint8_t name[32], int64_t now, char out[GWS_LINK_QUERY_MAX]);

/* ---- audit.c: every change that a person made -------------------------------------------------------------------- */

/* In a change's apply(): who did what to what. `detail` may be NULL. */
int gws_audit(sqlite3 *db, struct gwh_error *err, const char *who, const char *what, const char *object,
              const json_t *detail);

/* ---- events.c: what the dashboard and `rollout watch` listen to -------------------------------------------------- */

/* type: "report", "rollout", "device", "release"; takes the reference. */
void gws_event(struct gws_server *s, const char *type, json_t *data);
void gws_events_free(struct gws_server *s); /* after gws_http_free(): nobody listens any more */

/* ---- metrics.c --------------------------------------------------------------------------------------------------- */

enum gws_metric {
    GWS_M_LOOKS, GWS_M_LOOKS_UNCHANGED, GWS_M_LOOKS_NOTHING, GWS_M_PAYLOAD_REQUESTS, GWS_M_PAYLOAD_BYTES,
    GWS_M_REPORTS, GWS_M_REPORTS_REFUSED, GWS_M_REPORTS_PRUNED, GWS_M_REFUSED, GWS_M_NOTIFIED, GWS_M_CONNECTIONS,
    GWS_M_HANDSHAKES, GWS_M_RESUMED, GWS_METRICS
};
void gws_count(enum gws_metric m, uint64_t n);

/* ---- reports.c --------------------------------------------------------------------------------------------------- */

/*
 * A report came, over HTTPS (`key` of the client's certificate, or NULL: the stored one) or MQTT. Verified and stored
 * by the writer, then `done`: GWH_OK it is stored (or was before); GWH_REFUSED never; GWH_IO not now.
 */
void gws_report_take(struct gws_server *s, const char *device, const struct gw_pubkey *key, struct gw_span cose,
                     void (*done)(void *ctx, int result, const struct gwh_error *err), void *ctx);

/* ---- mqtt.c ------------------------------------------------------------------------------------------------------ */

int gws_mqtt_start(struct gws_server *s, struct gwh_error *err);
/* What start would fail for, tried without connecting. */
int gws_mqtt_check(const struct gws_server *s, struct gwh_error *err);
void gws_mqtt_stop(struct gws_server *s);
/* New certificates, from the next connection on. */
int gws_mqtt_reload(struct gws_server *s, struct gwh_error *err);
/* "There is something", to one device. No broker: nothing happens. */
void gws_mqtt_notify(struct gws_server *s, const char *device);

#endif
