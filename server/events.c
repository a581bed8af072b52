/*
 * events.c - GET /api/v1/events: what happens, as server-sent events, for the dashboard and `rollout watch`.
 *
 * A listener that is too slow is dropped (http.h bounds what waits for it) and looks again when it is back: events are
 * hints, the lists are the truth. At most LISTENERS_MAX listen at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routes.h"
#include "server.h"

#define LISTENERS_MAX 64u

struct gws_events {
    struct gws_stream *stream[LISTENERS_MAX]; /* NULL: free */
};

struct place {
    struct gws_events *events;
    size_t i;
};

static void gone(void *ctx)
{
    struct place *p = ctx;
    p->events->stream[p->i] = NULL;
    free(p);
}

static void tell(struct gws_events *events, const char *text, size_t n)
{
    for (size_t i = 0; events != NULL && i < LISTENERS_MAX; i++)
        if (events->stream[i] != NULL)
            (void)gws_stream_send(events->stream[i], (struct gw_span){ (const uint8_t *)text, n });
}

static bool nobody(const struct gws_events *events)
{
    for (size_t i = 0; events != NULL && i < LISTENERS_MAX; i++)
        if (events->stream[i] != NULL)
            return false;
    return true;
}

void gws_event(struct gws_server *s, const char *type, json_t *data)
{
    char *json = nobody(s->events) ? NULL : json_dumps(data, JSON_COMPACT);
    size_t room = json == NULL ? 0 : strlen(json) + strlen(type) + 32;
    char *text = json == NULL ? NULL : malloc(room);
    if (text != NULL)
        tell(s->events, text, (size_t)snprintf(text, room, "event: %s\ndata: %s\n\n", type, json));
    free(text);
    free(json);
    json_decref(data);
}

void gws_events_ping(struct gws_server *s)
{
    static const char ping[] = ": still here\n\n";
    tell(s->events, ping, sizeof ping - 1);
}

static size_t free_place(const struct gws_events *events)
{
    size_t i = 0;
    while (i < LISTENERS_MAX && events->stream[i] != NULL)
        i++;
    return i;
}

static void get_events(struct gws_call *call)
{
    struct gws_server *s = call->server;
    if (s->events == NULL)
        s->events = calloc(1, sizeof *s->events);
    size_t i = s->events == NULL ? LISTENERS_MAX : free_place(s->events);
    struct place *p = i < LISTENERS_MAX ? malloc(sizeof *p) : NULL;
    if (p == NULL) {
        gws_answer_header(call, "Retry-After", "10");
        gws_answer_error(call, 503, "busy", "there are %u listeners already", LISTENERS_MAX);
        return;
    }
    *p = (struct place){ s->events, i };
    struct gws_events *events = s->events;
    events->stream[i] = gws_answer_stream(call, "text/event-stream", gone, p);
    if (events->stream[i] == NULL)
        free(p);
    else
        gws_events_ping(s);
}

void gws_events_free(struct gws_server *s)
{
    free(s->events);
    s->events = NULL;
}

const struct gws_route gws_event_routes[] = {
    { .doors = GWS_DOOR_ADMIN,
      .method = "GET",
      .pattern = "/api/v1/events",
      .role = GWS_ROLE_VIEWER,
      .run = get_events,
      .summary = "Server-sent events: report, device, rollout, release" },
    { .method = NULL },
};
