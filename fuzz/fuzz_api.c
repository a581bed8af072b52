/*
 * fuzz_api.c - a request in HTTP's own form, to the handler of its route: method, path, query, headers, body. No
 * network: what a handler asks is answered by http_ask.c; what http_answer.c does is done here, and counts.
 *
 * Properties: no crash, no leak; exactly one answer, whatever comes; an error is an object with a word and a sentence.
 * The database is a real one in a folder of its own, with a class, a device and a token in it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "http_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) do { if (!(condition)) { abort(); } } while (0)
#define CLASS_ID "bd71790928a85583af07034fc9760499"

struct gws_stream {
    void (*gone)(void *ctx);
    void *ctx;
};
struct request {
    struct gws_request own; /* first */
    struct gws_stream stream;
    unsigned answers;
};
static struct gws_server server;
static struct gws_env env; /* no roots: no bundle is taken */
static char folder[64];

/* ---- http.h, without a connection -------------------------------------------------------------------------------- */

static struct request *request_of(const struct gws_call *call)
{
    return call->library;
}

void gws_call_again(struct gws_call *call)
{
    gws_answer(call, 204, NULL, (struct gw_span){NULL, 0});
}

void gws_answer_header(struct gws_call *call, const char *name, const char *value)
{
    MUST(request_of(call)->answers == 0 && strpbrk(name, "\r\n") == NULL && strpbrk(value, "\r\n") == NULL);
}

void gws_answer(struct gws_call *call, int status, const char *type, struct gw_span body)
{
    (void)type;
    MUST(request_of(call)->answers++ == 0);
    MUST(status >= 200 && status < 600 && (status != 204 || body.n == 0));
}

void gws_answer_json(struct gws_call *call, int status, json_t *tree)
{
    char *text = json_dumps(tree, JSON_COMPACT);
    MUST(text != NULL);
    if (status >= 400)
        MUST(json_is_string(json_object_get(tree, "error")) && json_is_string(json_object_get(tree, "message")));
    gws_answer(call, status, "application/json", (struct gw_span){(const uint8_t *)text, strlen(text)});
    free(text);
    json_decref(tree);
}

void gws_answer_error(struct gws_call *call, int status, const char *code, const char *format, ...)
{
    (void)code;
    (void)format;
    gws_answer(call, status, "application/json", (struct gw_span){NULL, 0});
}

void gws_answer_failure(struct gws_call *call, const struct gwh_error *err)
{
    MUST(err->exit != GWH_OK);
    gws_answer(call, 400, "application/json", (struct gw_span){NULL, 0});
}

void gws_answer_file(struct gws_call *call, int fd, uint64_t size, const char *etag, const char *cache_control)
{
    (void)size;
    (void)etag;
    (void)cache_control;
    (void)close(fd);
    gws_answer(call, 200, NULL, (struct gw_span){NULL, 0});
}

struct gws_stream *gws_answer_stream(struct gws_call *call, const char *type, void (*gone)(void *ctx), void *ctx)
{
    struct request *r = request_of(call);
    MUST(type != NULL && r->answers++ == 0);
    r->stream = (struct gws_stream){gone, ctx};
    return &r->stream;
}

bool gws_stream_send(struct gws_stream *s, struct gw_span bytes)
{
    MUST(s->gone != NULL && bytes.n >= 2 && memcmp(bytes.p + bytes.n - 2, "\n\n", 2) == 0);
    return true;
}

void gws_stream_close(struct gws_stream *s)
{
    s->gone(s->ctx);
    s->gone = NULL;
}

/* What log.c does: nothing is logged here. */
int64_t gws_now(void)
{
    return 1800000000;
}

void gws_log(const struct gws_server *s, const char *event, ...)
{
    (void)s;
    (void)event;
}

unsigned gws_http_connections(const struct gws_http *http)
{
    (void)http;
    return 0;
}

/* ---- A server without doors -------------------------------------------------------------------------------------- */

static void clean_up(void)
{
    char command[100];
    gws_db_close(server.db);
    gws_fleet_free(server.fleet);
    gws_events_free(&server);
    event_base_free(server.base);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    MUST(system(command) == 0);
}

static void done(struct gws_edit *e)
{
    MUST(e->change.result == GWH_OK);
    *(bool *)e->ctx = true;
}

static void edit(int (*run)(struct gws_edit *e, sqlite3 *db), json_t *request)
{
    bool finished = false;
    struct gws_edit *e = gws_edit_new(run, "fuzz", NULL);
    MUST(e != NULL);
    e->request = request;
    e->finished = done;
    e->ctx = &finished;
    gws_edit_submit(&server, server.env, e);
    while (!finished)
        (void)event_base_loop(server.base, EVLOOP_ONCE);
    gws_edit_free(e);
}

static void set_up(void)
{
    struct gwh_error err = {0};
    char path[128];
    (void)snprintf(folder, sizeof folder, "%s", access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz-api-XXXXXX"
                                                                              : "/tmp/fuzz-api-XXXXXX");
    MUST(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof path, "%s/godwit.db", folder);
    server.base = event_base_new();
    MUST(server.base != NULL && gws_blobs_open(&server.blobs, folder, &err) == GWH_OK);
    env.blobs = &server.blobs;
    server.env = &env;
    MUST(gws_db_open(&server.db, path, server.base, &err) == GWH_OK);
    MUST(gws_fleet_load(&server.fleet, gws_db_reader(server.db), &err) == GWH_OK);
    edit(gws_class_create, json_pack("{s:s, s:s}", "vendor", "example.com", "name", "sensor-c3"));
    edit(gws_devices_import, json_pack("{s:[{s:s, s:s, s:[s]}]}", "devices", "id", "dev1", "class", CLASS_ID, "tags",
                                       "lab"));
    (void)atexit(clean_up);
}

/* ---- One request ------------------------------------------------------------------------------------------------- */

static const struct gws_route *find(struct request *r)
{
    for (const struct gws_route *const *table = gws_routes; *table != NULL; table++)
        for (const struct gws_route *route = *table; route->method != NULL; route++)
            if (strcmp(route->method, r->own.head.method) == 0 &&
                gws_path_match(route->pattern, r->own.head.path, r->own.arguments, r->own.call.argument))
                return route;
    return NULL;
}

static bool query_ok(struct request *r, const struct gws_route *route)
{
    if (!gws_query_parse(&r->own.query, r->own.head.query))
        return false;
    for (size_t i = 0; i < r->own.query.count; i++)
        if (!gws_query_listed(route->query, r->own.query.item[i].name))
            return false;
    return true;
}

static void run(struct request *r, const struct gws_route *route, struct gw_span body)
{
    struct gws_call *c = &r->own.call;
    bool device = (route->doors & (GWS_DOOR_DEVICES | GWS_DOOR_TOKENS)) != 0;
    c->server = &server;
    c->door = device ? GWS_DOOR_DEVICES : GWS_DOOR_ADMIN;
    c->method = r->own.head.method;
    c->path = r->own.head.path;
    c->body = body;
    c->role = GWS_ROLE_ADMIN;
    c->library = r;
    (void)snprintf(c->who, sizeof c->who, "fuzz");
    (void)snprintf(c->device, sizeof c->device, "%s", device ? "dev1" : "");
    if (device && gws_fleet_device(server.fleet, "dev1") == NULL)
        return; /* an input before deleted it */
    route->run(c);
    for (unsigned i = 0; r->answers == 0; i++) {
        MUST(i < 1000);
        (void)event_base_loop(server.base, EVLOOP_ONCE);
    }
    if (r->stream.gone != NULL)
        gws_stream_close(&r->stream);
    MUST(r->answers == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (server.base == NULL)
        set_up();
    size_t scanned = 0;
    long end = gws_head_end((const char *)data, size, &scanned);
    if (end <= 0)
        return 0;
    char *bytes = malloc((size_t)end);
    uint8_t *body = malloc(size - (size_t)end + 1); /* ends where it ends: nothing may be read behind it */
    struct request *r = calloc(1, sizeof *r);
    MUST(bytes != NULL && body != NULL && r != NULL);
    memcpy(bytes, data, (size_t)end);
    memcpy(body + 1, data + end, size - (size_t)end);
    if (gws_head_parse(&r->own.head, bytes, (size_t)end) == NULL) {
        const struct gws_route *route = find(r);
        if (route != NULL && size - (size_t)end <= route->body_max && query_ok(r, route))
            run(r, route, (struct gw_span){body + 1, size - (size_t)end});
    }
    free(r);
    free(body);
    free(bytes);
    return 0;
}
