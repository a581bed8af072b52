/*
 * events.c - server-sent events: a ring of what happened, and who listens.
 *
 * Keeps true: ids only grow, also over restarts of the server (their upper part is the second of its start); a listener
 * that comes back with `Last-Event-ID` gets what it missed, or one event `gap` when that is not known any more: then it
 * reads the state again. Nobody waits for a listener: one that does not read is dropped by http.c. A stream lives no
 * longer than its token: it is looked up at every heartbeat.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api.h"

#define RING 256u
#define EVENT_MAX 900u /* bytes: all of the ring fits into what may wait for a listener */
#define LISTENERS_MAX 64u
#define HEARTBEAT_S 15

struct listener {
    struct listener *next, *prev;
    struct gws_events *events;
    struct gws_stream *stream;
    uint8_t hash[32]; /* of its token */
};
struct gws_events {
    struct gws_server *server;
    int64_t first, next; /* ids: of the oldest one in the ring, of the one to come */
    char text[RING][EVENT_MAX];
    struct listener *listeners;
    unsigned count;
    struct event *heartbeat;
};

static struct gw_span text_span(const char *text)
{
    return (struct gw_span){(const uint8_t *)text, strlen(text)};
}

/* To all; the list may lose its members on the way. */
static void send_all(struct gws_events *v, const char *text)
{
    for (struct listener *l = v->listeners, *next; l != NULL; l = next) {
        next = l->next;
        (void)gws_stream_send(l->stream, text_span(text));
    }
}

static void beat(evutil_socket_t fd, short what, void *ctx)
{
    struct gws_events *v = ctx;
    char who[64];
    (void)fd;
    (void)what;
    for (struct listener *l = v->listeners, *next; l != NULL; l = next) {
        next = l->next;
        if (gws_fleet_role(v->server->fleet, l->hash, gws_now(), who) < GWS_ROLE_VIEWER)
            gws_stream_close(l->stream);
    }
    send_all(v, ":\n\n");
}

/* Made for the first who listens: what was before, nobody can ask for. NULL: no memory. */
static struct gws_events *events_of(struct gws_server *s)
{
    static const struct timeval every = {HEARTBEAT_S, 0};
    if (s->events != NULL)
        return s->events;
    struct gws_events *v = calloc(1, sizeof *v);
    if (v == NULL)
        return NULL;
    v->server = s;
    v->first = v->next = gws_now() * 1000000 + 1;
    v->heartbeat = event_new(s->base, -1, EV_PERSIST, beat, v);
    if (v->heartbeat == NULL || event_add(v->heartbeat, &every) != 0) {
        if (v->heartbeat != NULL)
            event_free(v->heartbeat);
        free(v);
        return NULL;
    }
    s->events = v;
    return v;
}

void gws_event(struct gws_server *s, const char *type, json_t *data)
{
    struct gws_events *v = s->events; /* nobody has listened yet: nobody misses it */
    char *text = json_dumps(data, JSON_COMPACT);
    json_decref(data);
    if (v != NULL) {
        char *at = v->text[v->next % RING];
        int n = snprintf(at, EVENT_MAX, "id: %lld\nevent: %s\ndata: %s\n\n", (long long)v->next, type,
                         text != NULL ? text : "{}");
        if (n < 0 || (size_t)n >= EVENT_MAX)
            (void)snprintf(at, EVENT_MAX, "id: %lld\nevent: %s\ndata: {}\n\n", (long long)v->next, type);
        v->next++;
        if (v->next - v->first > RING)
            v->first = v->next - RING;
        send_all(v, at);
    }
    free(text);
}

/* ---- Who listens ------------------------------------------------------------------------------------------------- */

static void gone(void *ctx)
{
    struct listener *l = ctx;
    struct gws_events *v = l->events;
    *(l->prev != NULL ? &l->prev->next : &v->listeners) = l->next;
    if (l->next != NULL)
        l->next->prev = l->prev;
    v->count--;
    free(l);
}

/* What it missed since `last`; false: that is not known. */
static bool resume(struct gws_events *v, struct listener *l, const char *last)
{
    char *end;
    long long id = strtoll(last, &end, 10);
    if (*last < '0' || *last > '9' || *end != '\0' || id < v->first - 1 || id >= v->next)
        return false;
    for (int64_t i = id + 1; i < v->next; i++)
        if (!gws_stream_send(l->stream, text_span(v->text[i % RING])))
            return true;
    return true;
}

static void greet(struct gws_events *v, struct listener *l, const char *last)
{
    char text[160];
    (void)snprintf(text, sizeof text, ": events from here on\nretry: 3000\n\n");
    if (!gws_stream_send(l->stream, text_span(text)))
        return;
    if (last != NULL && resume(v, l, last))
        return;
    (void)snprintf(text, sizeof text, "id: %lld\n%s\n", (long long)v->next - 1,
                   last != NULL ? "event: gap\ndata: {}\n" : "");
    (void)gws_stream_send(l->stream, text_span(text));
}

static struct listener *listener_new(struct gws_call *call, struct gws_events *v)
{
    const char *token = gws_header(call, "Authorization");
    struct listener *l = calloc(1, sizeof *l);
    if (l == NULL || token == NULL || strncasecmp(token, "Bearer ", 7) != 0 ||
        gws_token_hash(token + 7, l->hash) != GWH_OK) {
        free(l);
        return NULL;
    }
    l->events = v;
    l->next = v->listeners;
    if (l->next != NULL)
        l->next->prev = l;
    v->listeners = l;
    v->count++;
    return l;
}

static void listen_to(struct gws_call *call)
{
    struct gws_events *v = events_of(call->server);
    const char *last = gws_header(call, "Last-Event-ID");
    char since[24] = "";
    if (v == NULL || v->count >= LISTENERS_MAX) {
        gws_answer_header(call, "Retry-After", "30");
        gws_api_refuse(call, 503, "listeners", "close one of the others, or ask again every few seconds",
                       "there are %u listeners already, and there is room for no more", LISTENERS_MAX);
        return;
    }
    struct listener *l = listener_new(call, v);
    if (l == NULL) {
        gws_api_refuse(call, 503, "busy", "try again in a few seconds", "there is no memory for a listener");
        return;
    }
    if (last != NULL) /* the request may not live as long as its stream */
        (void)snprintf(since, sizeof since, "%s", strlen(last) < sizeof since ? last : "-");
    l->stream = gws_answer_stream(call, "text/event-stream", gone, l);
    if (l->stream == NULL)
        gone(l);
    else
        greet(v, l, last != NULL ? since : NULL);
}

void gws_events_free(struct gws_server *s)
{
    if (s->events == NULL)
        return;
    event_free(s->events->heartbeat);
    free(s->events);
    s->events = NULL;
}

const struct gws_route gws_api_events[] = {
    {.doors = GWS_DOOR_ADMIN,
     .method = "GET",
     .pattern = "/api/v1/events",
     .role = GWS_ROLE_VIEWER,
     .run = listen_to,
     .summary = "server-sent events: report, device, rollout, release; resumes after Last-Event-ID",
     .gives = &gws_schema_lines},
    {.method = NULL},
};
