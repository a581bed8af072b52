/*
 * httpd.h - HTTP behind one small header, so that what is behind it can be exchanged: doors, routes, calls.
 *
 * A *door* is a listener with its own TLS and its own routes: a route that does not name the door does not exist there.
 * A *call* is one request. Its handler answers exactly once, now or later (after a change was written); the connection
 * may be gone by then, which the call survives. Handlers run in the event loop's thread and never block.
 */
#ifndef GWS_HTTPD_H
#define GWS_HTTPD_H

#include <event2/event.h>
#include <jansson.h>
#include <openssl/ssl.h>

#include "error.h"
#include "godwit/agent.h"

enum gws_door {
    GWS_DOOR_DEVICES = 1,  /* client certificates of the device CA */
    GWS_DOOR_TOKENS = 2,   /* devices with tokens instead; says so in its configuration */
    GWS_DOOR_PAYLOADS = 4, /* anybody who knows a digest (and, if links expire, has one that is signed) */
    GWS_DOOR_ADMIN = 8,    /* bearer tokens */
};

enum gws_role { /* of an administration token; each may do what those before it may */
    GWS_ROLE_NONE,
    GWS_ROLE_VIEWER,
    GWS_ROLE_PUBLISHER, /* releases */
    GWS_ROLE_OPERATOR,  /* devices, rollouts */
    GWS_ROLE_ADMIN,     /* tokens, classes, deletion */
    GWS_ROLE_ANYBODY = 100, /* of a route: no token is needed. Said by name: a role left out opens no door */
};

struct gws_server;
struct gws_schema;

/* One request. */
struct gws_call {
    struct gws_server *server;
    enum gws_door door;
    const char *method;       /* "GET" */
    const char *path;         /* as it came, checked: no escapes, no "..", no empty parts */
    const char *argument[3];  /* what the {} of the route's pattern matched */
    struct gw_span body;      /* whole; at most the route's body_max */
    char address[64];         /* of the client */
    /* Who it is. */
    char device[GW_DEVICE_ID_MAX + 1]; /* DEVICES, TOKENS: the device, known and enabled; "" elsewhere */
    struct gw_pubkey key;     /* of its certificate (P-256); x.n 0: it came with a token */
    uint8_t key_bytes[64];
    enum gws_role role;       /* ADMIN */
    char who[64];             /* ADMIN: name of the token, for the audit log */
    void *own;                /* the handler's, between its steps */
    void *library;            /* http.c's */
};

struct gws_route {
    unsigned doors;         /* bits of enum gws_door */
    const char *method;
    const char *pattern;    /* "/api/v1/devices/{}": a {} matches one part */
    enum gws_role role;     /* least, at the door ADMIN; NONE: nobody gets in there */
    uint32_t body_max;      /* bytes; larger: 413, before it is read. 0: no body */
    bool unmetered;         /* does not count as one of a device's requests per minute: ranges of payloads */
    void (*run)(struct gws_call *call);
    const char *summary;    /* for the OpenAPI document */
    const char *query;      /* "tag=,limit=": names of query parameters, or NULL: none. Others: 400 */
    const struct gws_schema *takes, *gives; /* for the OpenAPI document (api.h): body and answer. NULL: none */
    int status;             /* of an answer that went well; 0: 200 */
};
/* Tables of routes, each ended by a method NULL; each resource has one. Ended by NULL. In routes.c. The first that
 * matches serves; GET serves HEAD too. */
extern const struct gws_route *const gws_routes[];

/* ---- What a handler asks ----------------------------------------------------------------------------------------- */

/* A request header, or NULL. A query parameter, decoded, or NULL; a number in a range, or false: 400 was answered. */
const char *gws_header(const struct gws_call *call, const char *name);
const char *gws_query_text(const struct gws_call *call, const char *name);
bool gws_query_number(struct gws_call *call, const char *name, int64_t least, int64_t most, int64_t otherwise,
                      int64_t *value);
/* The body as a JSON object (strict: no duplicates, nothing behind it), or NULL and a 400 was answered. */
json_t *gws_body_json(struct gws_call *call);
/* For gws_device_first_sight(), once the device is known: checks who it is again, and goes on with its request. */
void gws_call_again(struct gws_call *call);

/* ---- How it answers: exactly one of these, once ------------------------------------------------------------------ */

void gws_answer_header(struct gws_call *call, const char *name, const char *value); /* before answering */
void gws_answer(struct gws_call *call, int status, const char *type, struct gw_span body);
void gws_answer_json(struct gws_call *call, int status, json_t *tree); /* takes the reference */
/* {"error": code, "message": text, "hint": text}. code: a word that stays the same, "not_found". */
void gws_answer_error(struct gws_call *call, int status, const char *code, const char *format, ...) GWH_PRINTF(4, 5);
/* From host code: 409 for GWH_REFUSED (with the reason's name), 400 GWH_USAGE, 500 GWH_IO (details to the log only). */
void gws_answer_failure(struct gws_call *call, const struct gwh_error *err);
/* A file that never changes: Range, If-Range, If-None-Match, HEAD; closes fd. `etag` without quotes. */
void gws_answer_file(struct gws_call *call, int fd, uint64_t size, const char *etag, const char *cache_control);
/* A stream that stays open (server-sent events): begin, then send any number of times; `gone` tells that it ended: the
 * client left, was too slow, or the server drains. The stream is not used after it. */
struct gws_stream;
struct gws_stream *gws_answer_stream(struct gws_call *call, const char *type, void (*gone)(void *ctx), void *ctx);
bool gws_stream_send(struct gws_stream *s, struct gw_span bytes); /* false: the client is too slow, and was dropped */
void gws_stream_close(struct gws_stream *s); /* calls `gone` */

/* ---- Doors ------------------------------------------------------------------------------------------------------- */

struct gws_limits {        /* 0: the default in brackets */
    uint32_t header_bytes; /* [16 KB] */
    uint32_t header_ms;    /* from the connection to the end of the head [10 s] */
    uint32_t idle_ms;      /* between requests [75 s] */
    uint32_t body_ms;      /* for all of the body [300 s] */
    uint32_t connections;  /* in all [8192] */
    uint32_t per_address;  /* [256] */
    uint32_t per_minute;   /* requests of one device, reports and offers [60] */
};
struct gws_door_config {
    enum gws_door door;
    const char *listen;    /* "address:port"; port 0: any, for tests */
    SSL_CTX *tls;          /* NULL: no TLS; only for loopback addresses, behind a proxy */
    struct gws_limits limits;
};
struct gws_http;
int gws_http_new(struct gws_http **http, struct gws_server *server, struct event_base *base, struct gwh_error *err);
int gws_http_open(struct gws_http *http, const struct gws_door_config *door, uint16_t *port, struct gwh_error *err);
/* New certificates (takes a reference). Connections that came in under the old ones are closed, at once or after the
 * answer that is under way: what is revoked is out. */
void gws_http_tls(struct gws_http *http, enum gws_door door, SSL_CTX *tls);
/* No new connections; requests under way get `ms` to end. Then `drained` is called. */
void gws_http_drain(struct gws_http *http, uint32_t ms, void (*drained)(void *ctx), void *ctx);
void gws_http_free(struct gws_http *http);
unsigned gws_http_connections(const struct gws_http *http);

/* ---- tls.c ------------------------------------------------------------------------------------------------------- */

struct gws_tls_config {
    const char *certificate, *key; /* PEM files: the server's chain, its key */
    const char *client_ca;         /* PEM: who signs clients; NULL: none are asked for */
    const char *crl;               /* revoked clients; NULL: none */
    bool client_required;
};
/* TLS 1.2 at least, X25519 and P-256, tickets off, server-side session cache with a session id context. */
SSL_CTX *gws_tls_new(const struct gws_tls_config *config, struct gwh_error *err);

#endif
