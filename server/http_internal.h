/*
 * http_internal.h - what the files http*.c share: connections, requests, bytes on their way.
 *
 * A connection goes through states, each with one function in http.c: HANDSHAKE -> HEAD -> (BODY) -> RUNNING -> WRITING
 * -> HEAD ..., or STREAMING, or LINGERING before it is closed. A request belongs to its connection until the connection
 * is gone or the answer is written; one that is still RUNNING then lives on alone until its handler answers.
 */
#ifndef GWS_HTTP_INTERNAL_H
#define GWS_HTTP_INTERNAL_H

#include <event2/event_struct.h>
#include <event2/listener.h>

#include "httpd.h"
#include "http_head.h"
#include "server.h"

#define GWS_LINGER_MS 1000u
#define GWS_STREAM_MAX (256u * 1024u) /* bytes that wait for a slow listener */
/* Of one connection, before others have their turn. Smaller wakes the reader more often: 256 KB cost a fifth more. */
#define GWS_WRITE_SLICE (1100u * 1024u)
#define GWS_RECORD 16384u /* bytes that a TLS record holds */
#define GWS_FILE_CHUNK (64u * 1024u)

struct gws_http_door;
struct gws_request;

/* Bytes on their way out: a buffer, then a mapped part of a file. */
struct gws_out {
    char *bytes;
    size_t n, at, room;
    struct gws_map *map;
    size_t file_at, file_end; /* within the map */
};

/* A part of a file in memory, shared by all that send it. */
struct gws_map {
    struct gws_http *http;
    struct gws_map *next; /* of those that are kept */
    char etag[80];        /* of a whole file, which is kept for a while; "": one range */
    uint8_t *bytes;
    size_t n;
    unsigned users;
    int64_t unused; /* since when */
};

/* How many connections an address has. For IPv6 a /64 counts as one. */
struct gws_address {
    struct gws_address *next;
    uint8_t bytes[17];
    uint32_t connections;
};

enum gws_state { GWS_HANDSHAKE, GWS_HEAD, GWS_BODY, GWS_RUNNING, GWS_WRITING, GWS_STREAMING, GWS_LINGERING };

#define GWS_ADDRESS_TEXT 46 /* bytes of an address as text, with its zero */
struct gws_conn {
    struct gws_http_door *door;
    struct gws_conn *next, *prev;
    struct gws_address *address;
    struct in6_addr from;
    SSL *ssl; /* NULL: a door without TLS */
    evutil_socket_t fd;
    struct event socket, timer; /* one for both directions: 10 000 connections of each */
    short wants;                /* EV_READ, EV_WRITE: what `socket` is added for; 0: it is not */
    enum gws_state state;
    bool pumping, dead, closing, head_begun;
    unsigned generation; /* of the door's certificates */
    char *in;
    size_t in_n, in_room, scanned;
    struct gws_request *request;
    struct gws_out out;
    struct gws_stream *stream;
    /* Who it is, from its certificate; "" nobody. */
    char device[GW_DEVICE_ID_MAX + 1];
    int64_t not_after;
};

struct gws_request {
    struct gws_call call;  /* first: a call's library is its request */
    struct gws_conn *conn; /* NULL: the client is gone */
    const struct gws_route *route;
    struct gws_head head;
    struct gws_query query;
    char *bytes; /* of the head */
    char *body;
    size_t body_n;
    bool answered, close, seen_first;
    char extra[1536]; /* header lines of the answer */
    size_t extra_n;
    char arguments[GWS_PATH_MAX + 1 + GWS_ARGUMENTS_MAX];
};

struct gws_http_door {
    struct gws_http *http;
    struct gws_http_door *next;
    enum gws_door door;
    SSL_CTX *tls;
    unsigned generation;
    struct gws_limits limits;
    struct evconnlistener *listener;
    struct event again; /* accepts again after there were no descriptors */
    struct gws_conn *conns;
    unsigned count;
};

#define GWS_ADDRESS_BUCKETS 1024u
struct gws_http {
    struct gws_server *server;
    struct event_base *base;
    struct gws_http_door *doors;
    struct gws_address *address[GWS_ADDRESS_BUCKETS];
    struct gws_map *maps;
    struct event sweep; /* of the maps */
    bool draining;
    struct event drain; /* the time is over, or the last connection is gone */
    void (*drained)(void *ctx);
    void *drained_ctx;
    char date[40]; /* for the header, of second `date_of` */
    int64_t date_of;
};

/* ---- http_io.c: bytes in and out, with or without TLS ------------------------------------------------------------ */

enum gws_io { GWS_IO_DONE, GWS_IO_READ, GWS_IO_WRITE, GWS_IO_END }; /* READ, WRITE: when the socket is ready */

enum gws_io gws_io_handshake(struct gws_conn *c);
/* Reads what there is, at most up to `room` bytes in c->in. END: the client closed, or an error. */
enum gws_io gws_io_fill(struct gws_conn *c, size_t room);
enum gws_io gws_io_read(struct gws_conn *c, void *p, size_t n, size_t *got);
/* Writes of c->out. DONE: all of it. WRITE also when others are to have their turn. */
enum gws_io gws_io_flush(struct gws_conn *c);
/* No more bytes to the client; what it sends is still read. */
void gws_io_shut(struct gws_conn *c);
/* Appends to c->out.bytes. */
bool gws_out_add(struct gws_out *o, const void *p, size_t n);
void gws_out_free(struct gws_out *o);
/* From the certificate: device, not_after. */
bool gws_io_identify(struct gws_conn *c);
/* Its public key as x || y, if it is on P-256. Read anew where it is needed: 64 bytes of each connection are saved. */
bool gws_io_key(const struct gws_conn *c, uint8_t out[64]);

/* ---- http_file.c ------------------------------------------------------------------------------------------------- */

void gws_map_release(struct gws_map *m);
void gws_maps_start(struct gws_http *h);
void gws_maps_end(struct gws_http *h);

/* ---- http.c ------------------------------------------------------------------------------------------------------ */

/* The answer is in c->out: goes on with the connection, unless it is being pumped already. */
void gws_conn_answered(struct gws_conn *c);
/* Runs the state machine until it has to wait. The connection may be gone afterwards. */
void gws_conn_pump(struct gws_conn *c);
void gws_conn_drop(struct gws_conn *c);
/* A new connection of a door; false: no memory. */
bool gws_conn_start(struct gws_http_door *d, struct gws_conn *c, evutil_socket_t fd);
/* The state that it is in may take that long from now. */
void gws_conn_within(struct gws_conn *c, uint32_t ms);
void gws_request_free(struct gws_request *r);

/* ---- http_door.c ------------------------------------------------------------------------------------------------- */

void gws_address_release(struct gws_http *h, struct gws_address *a);
/* Where it comes from, as people write it. */
void gws_conn_address(const struct gws_conn *c, char out[GWS_ADDRESS_TEXT]);

/* ---- http_route.c ------------------------------------------------------------------------------------------------ */

/* A head came: finds the route, checks who it is and what may come. False: it was answered. */
bool gws_request_check(struct gws_request *r);
/* Who is it? False: it was answered, or the hook for first sight has it (state RUNNING). */
bool gws_request_admit(struct gws_request *r);
void gws_request_run(struct gws_request *r);
/* All routes of the door ADMIN have a role. */
int gws_routes_check(struct gwh_error *err);

/* ---- http_ask.c -------------------------------------------------------------------------------------------------- */

struct gws_request *gws_request_of(const struct gws_call *call);

/* ---- http_answer.c ----------------------------------------------------------------------------------------------- */

/* Status line and headers into c->out; `length` < 0: until the connection closes. */
bool gws_answer_head(struct gws_request *r, int status, const char *type, int64_t length);
/* May an answer be made? False: the client is gone (the request is freed), or it was answered before. */
bool gws_answer_begin(struct gws_call *call);
void gws_answer_refusal(struct gws_request *r, const struct gws_refusal *no);
void gws_stream_end(struct gws_stream *s);

#endif
