/*
 * metrics.c - what is counted, and /metrics, /healthz, /readyz at the door ADMIN.
 *
 * Counters go up from the start of the process and may be counted in any thread. Nothing here names a device: what is
 * scraped goes to places where fleets are not administered.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routes.h"
#include "server.h"

static _Atomic uint64_t counters[GWS_METRICS];

static const struct {
    const char *name, *help;
} described[GWS_METRICS] = {
    [GWS_M_LOOKS] = { "looks_total", "Requests for an offer." },
    [GWS_M_LOOKS_UNCHANGED] = { "looks_unchanged_total", "Of these, answered with 304." },
    [GWS_M_LOOKS_NOTHING] = { "looks_nothing_total", "Of these, answered with 204." },
    [GWS_M_PAYLOAD_REQUESTS] = { "payload_requests_total", "Requests for payloads or ranges of them." },
    [GWS_M_PAYLOAD_BYTES] = { "payload_bytes_total", "Bytes of payloads that were asked for." },
    [GWS_M_REPORTS] = { "reports_total", "Reports stored." },
    [GWS_M_REPORTS_REFUSED] = { "reports_refused_total", "Reports refused: forged, replayed, malformed." },
    [GWS_M_REPORTS_PRUNED] = { "reports_pruned_total", "Reports removed because they were old, or too many." },
    [GWS_M_REFUSED] = { "refused_total", "Requests and connections refused." },
    [GWS_M_NOTIFIED] = { "notified_total", "Notifications sent over MQTT." },
    [GWS_M_CONNECTIONS] = { "connections_total", "Connections accepted." },
    [GWS_M_HANDSHAKES] = { "handshakes_total", "TLS handshakes." },
    [GWS_M_RESUMED] = { "handshakes_resumed_total", "Of these, of resumed sessions." },
};

void gws_count(enum gws_metric m, uint64_t n)
{
    atomic_fetch_add_explicit(&counters[m], n, memory_order_relaxed);
}

static void one(FILE *f, const char *name, const char *help, const char *type, uint64_t value)
{
    fprintf(f, "# HELP godwit_%s %s\n# TYPE godwit_%s %s\ngodwit_%s %" PRIu64 "\n", name, help, name, type, name,
            value);
}

static void print(FILE *f, const struct gws_server *s)
{
    struct gws_db_counts db = gws_db_counts(s->db);
    for (size_t i = 0; i < GWS_METRICS; i++)
        if (described[i].name != NULL)
            one(f, described[i].name, described[i].help, "counter", counters[i]);
    one(f, "commits_total", "Commits of the database.", "counter", db.commits);
    one(f, "changes_total", "Changes committed.", "counter", db.changes);
    one(f, "devices", "Devices known.", "gauge", gws_fleet_count(s->fleet));
    one(f, "connections", "Connections open.", "gauge", gws_http_connections(s->http));
    one(f, "changes_waiting", "Changes that wait for the database.", "gauge", gws_db_waiting(s->db));
    one(f, "start_time_seconds", "When the process started, in seconds since 1970.", "gauge", (uint64_t)s->started);
}

static void run_metrics(struct gws_call *call)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (f == NULL) {
        gws_answer_error(call, 503, "busy", "no memory");
        return;
    }
    print(f, call->server);
    if (fclose(f) == 0)
        gws_answer(call, 200, "text/plain; version=0.0.4", (struct gw_span){ (const uint8_t *)text, n });
    else
        gws_answer_error(call, 503, "busy", "no memory");
    free(text);
}

static void run_health(struct gws_call *call)
{
    gws_answer_json(call, 200, json_pack("{s:b}", "alive", 1));
}

static void run_ready(struct gws_call *call)
{
    if (gws_db_waiting(call->server->db) < GWS_DB_QUEUE_MAX)
        gws_answer_json(call, 200, json_pack("{s:b}", "ready", 1));
    else
        gws_answer_error(call, 503, "busy", "the database is behind");
}

const struct gws_route gws_metrics_routes[] = {
    { .doors = GWS_DOOR_ADMIN,
      .method = "GET",
      .pattern = "/metrics",
      .role = GWS_ROLE_VIEWER,
      .run = run_metrics,
      .summary = "Counters and gauges, in Prometheus' text format" },
    { .doors = GWS_DOOR_ADMIN,
      .method = "GET",
      .pattern = "/healthz",
      .role = GWS_ROLE_ANYBODY,
      .run = run_health,
      .summary = "200: the process runs" },
    { .doors = GWS_DOOR_ADMIN,
      .method = "GET",
      .pattern = "/readyz",
      .role = GWS_ROLE_ANYBODY,
      .run = run_ready,
      .summary = "200: requests are served; 503: not now" },
    { .method = NULL },
};
