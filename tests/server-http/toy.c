/*
 * toy.c - doors with toy routes and a toy fleet: what tests/server-http/run.py and bench/server/run.py talk to.
 *
 *   toy-server DOOR=ADDRESS:PORT[,cert=F,key=F,ca=F,crl=F,header_ms=N,...] ... [--file FILE] [--payload-etag TEXT]
 *
 * Prints "DOOR PORT" for each door, then reads commands from stdin, one a line, and answers "ok" to each: disable ID,
 * enable ID, reload DOOR cert=...,  drain MS, first-sight on|off. Ends at the end of stdin or after a drain.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_internal.h"
#include "server.h"

static struct gws_server server;
static const char *file = "/dev/null";
static uint64_t counts[GWS_METRICS];
static struct gws_device devices[] = { { .id = "dev1", .enabled = true },
                                       { .id = "dev2", .enabled = true },
                                       { .id = "tok1", .enabled = true } };
static bool seen_new;
static struct gws_device newcomer = { .id = "new1", .enabled = true };

/* ---- What the server's other parts would be ---------------------------------------------------------------------- */

void gws_count(enum gws_metric m, uint64_t n)
{
    counts[m] += n;
}

struct gws_device *gws_fleet_device(struct gws_fleet *fleet, const char *id)
{
    (void)fleet;
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++)
        if (strcmp(devices[i].id, id) == 0)
            return &devices[i];
    return seen_new && strcmp(id, newcomer.id) == 0 ? &newcomer : NULL;
}

struct gws_device *gws_fleet_token(struct gws_fleet *fleet, const uint8_t hash[32])
{
    (void)fleet;
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++)
        if (memcmp(devices[i].token_hash, hash, 32) == 0)
            return &devices[i];
    return NULL;
}

static void later(void (*run)(evutil_socket_t, short, void *), void *ctx, unsigned ms)
{
    struct timeval t = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };
    event_base_once(server.base, -1, EV_TIMEOUT, run, ctx, &t);
}

static void know(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    seen_new = true;
    gws_call_again(ctx);
}

int gws_device_first_sight(struct gws_call *call)
{
    if (strcmp(call->device, newcomer.id) != 0)
        return GWH_REFUSED;
    later(know, call, 50);
    return GWH_OK;
}

enum gws_role gws_token_role(struct gws_server *s, const char *token, char who[64])
{
    (void)s;
    static const struct {
        const char *token;
        enum gws_role role;
    } known[] = { { "viewer-0123456789", GWS_ROLE_VIEWER }, { "admin-0123456789", GWS_ROLE_ADMIN } };
    for (size_t i = 0; i < 2; i++)
        if (strcmp(known[i].token, token) == 0) {
            snprintf(who, 64, "%s", token);
            return known[i].role;
        }
    return GWS_ROLE_NONE;
}

/* ---- Routes ------------------------------------------------------------------------------------------------------ */

static void run_who(struct gws_call *call)
{
    char key[17] = "";
    gwh_hex(key, call->key_bytes, 8);
    gws_answer_json(call, 200,
                    json_pack("{s:s, s:s, s:s, s:i}", "device", call->device, "key", key, "who", call->who, "role",
                              (int)call->role));
}

static void run_look(struct gws_call *call)
{
    static uint8_t offer[1024];
    const char *match = gws_header(call, "If-None-Match");
    gws_answer_header(call, "ETag", "\"1-2\"");
    if (match != NULL && strcmp(match, "\"1-2\"") == 0)
        gws_answer(call, 304, NULL, (struct gw_span){ NULL, 0 });
    else
        gws_answer(call, 200, "application/cbor", (struct gw_span){ offer, sizeof offer });
}

static void run_file(struct gws_call *call)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        gws_answer_error(call, 404, "not_found", "no file");
        return;
    }
    gws_answer_file(call, fd, (uint64_t)st.st_size, "abc", "public, max-age=31536000, immutable");
}

static void run_echo(struct gws_call *call)
{
    gws_answer(call, 200, "application/octet-stream", call->body);
}

static void run_json(struct gws_call *call)
{
    json_t *body = gws_body_json(call);
    if (body != NULL)
        gws_answer_json(call, 200, body);
}

static void run_number(struct gws_call *call)
{
    int64_t n;
    const char *text = gws_query_text(call, "text");
    if (gws_query_number(call, "n", 1, 1000, 100, &n))
        gws_answer_json(
            call, 200,
            json_pack("{s:i, s:s, s:s}", "n", (int)n, "text", text == NULL ? "" : text, "arg", call->argument[0]));
}

static void answer_late(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    gws_answer_json(ctx, 200, json_pack("{s:b}", "late", 1));
}

static void run_late(struct gws_call *call)
{
    later(answer_late, call, 300);
}

static void run_twice(struct gws_call *call)
{
    struct gwh_error err = { .exit = GWH_REFUSED, .reason = GW_ERR_LIMIT, .text = "no" };
    gws_answer_header(call, "X-Bad", "a\r\nInjected: yes");
    gws_answer_failure(call, &err);
}

static struct gws_stream *listener;
static struct gws_conn *listening;
static size_t room; /* most that a listener's bytes took */
static unsigned gone;

static void on_gone(void *ctx)
{
    (void)ctx;
    listener = NULL;
    gone++;
}

static void tick(evutil_socket_t fd, short what, void *ctx)
{
    static char text[65536];
    size_t n = (size_t)(intptr_t)ctx;
    (void)fd;
    (void)what;
    memset(text, 'x', sizeof text);
    memcpy(text + n - 2, "\n\n", 2);
    if (listener != NULL && gws_stream_send(listener, (struct gw_span){ (uint8_t *)text, n }))
        later(tick, ctx, n > 1000 ? 1 : 50);
}

/* There is always something that waits for this listener, and never too much. */
static void tick_steady(evutil_socket_t fd, short what, void *ctx)
{
    static const uint8_t text[16384] = "\n\n";
    (void)fd;
    (void)what;
    while (listener != NULL && listening->out.n - listening->out.at < 12 * sizeof text)
        (void)gws_stream_send(listener, (struct gw_span){ text, sizeof text });
    if (listener == NULL)
        return;
    room = listening->out.room > room ? listening->out.room : room;
    later(tick_steady, ctx, 1);
}

static void run_stream(struct gws_call *call)
{
    bool steady = gws_query_text(call, "steady") != NULL;
    listening = gws_request_of(call)->conn;
    listener = gws_answer_stream(call, "text/event-stream", on_gone, NULL);
    int small = 4096; /* as over a long way, where the system's own buffer never takes all */
    if (steady && setsockopt(listening->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0)
        later(tick_steady, NULL, 1);
    else
        later(tick, (void *)(intptr_t)(gws_query_text(call, "fast") != NULL ? 65536 : 16), 20);
}

static void run_count(struct gws_call *call)
{
    gws_answer_json(call, 200,
                    json_pack("{s:I, s:I, s:I, s:I, s:i, s:i, s:I}", "handshakes", (json_int_t)counts[GWS_M_HANDSHAKES],
                              "resumed", (json_int_t)counts[GWS_M_RESUMED], "refused",
                              (json_int_t)counts[GWS_M_REFUSED], "bytes", (json_int_t)counts[GWS_M_PAYLOAD_BYTES],
                              "gone", (int)gone, "connections", (int)gws_http_connections(server.http), "room",
                              (json_int_t)room));
}

#define ALL (GWS_DOOR_DEVICES | GWS_DOOR_TOKENS | GWS_DOOR_PAYLOADS | GWS_DOOR_ADMIN)
static const struct gws_route table[] = {
    { .doors = ALL, .method = "GET", .pattern = "/who", .role = GWS_ROLE_VIEWER, .unmetered = true, .run = run_who },
    { .doors = ALL, .method = "GET", .pattern = "/look", .role = GWS_ROLE_VIEWER, .run = run_look },
    { .doors = ALL,
      .method = "GET",
      .pattern = "/file/{}",
      .role = GWS_ROLE_ANYBODY,
      .unmetered = true,
      .run = run_file },
    { .doors = GWS_DOOR_ADMIN,
      .method = "POST",
      .pattern = "/echo",
      .role = GWS_ROLE_ADMIN,
      .body_max = 100000,
      .run = run_echo },
    { .doors = GWS_DOOR_DEVICES, .method = "POST", .pattern = "/report", .body_max = 4096, .run = run_echo },
    { .doors = GWS_DOOR_ADMIN,
      .method = "POST",
      .pattern = "/json",
      .role = GWS_ROLE_VIEWER,
      .body_max = 100000,
      .run = run_json },
    { .doors = GWS_DOOR_ADMIN,
      .method = "GET",
      .pattern = "/number/{}/of",
      .role = GWS_ROLE_VIEWER,
      .run = run_number,
      .query = "n=,text=" },
    { .doors = ALL, .method = "GET", .pattern = "/late", .role = GWS_ROLE_ANYBODY, .unmetered = true, .run = run_late },
    { .doors = GWS_DOOR_PAYLOADS, .method = "GET", .pattern = "/failure", .run = run_twice },
    { .doors = GWS_DOOR_PAYLOADS, .method = "GET", .pattern = "/stream", .run = run_stream, .query = "fast=,steady=" },
    { .doors = GWS_DOOR_PAYLOADS | GWS_DOOR_ADMIN,
      .method = "GET",
      .pattern = "/count",
      .role = GWS_ROLE_ANYBODY,
      .run = run_count },
    { .method = NULL },
};
const struct gws_route *const gws_routes[] = { table, NULL };

/* ---- Doors from the command line --------------------------------------------------------------------------------- */

static enum gws_door door_named(const char *name)
{
    static const char *const names[] = { "devices", "tokens", "payloads", "admin" };
    for (unsigned i = 0; i < 4; i++)
        if (strcmp(names[i], name) == 0)
            return (enum gws_door)(1u << i);
    fprintf(stderr, "no door %s\n", name);
    exit(2);
}

static void option(char *text, struct gws_tls_config *tls, struct gws_limits *l)
{
    const struct {
        const char *name;
        const char **text;
        uint32_t *number;
    } known[] = {
        { "cert", &tls->certificate, NULL },
        { "key", &tls->key, NULL },
        { "ca", &tls->client_ca, NULL },
        { "crl", &tls->crl, NULL },
        { "header_bytes", NULL, &l->header_bytes },
        { "header_ms", NULL, &l->header_ms },
        { "idle_ms", NULL, &l->idle_ms },
        { "body_ms", NULL, &l->body_ms },
        { "connections", NULL, &l->connections },
        { "per_address", NULL, &l->per_address },
        { "per_minute", NULL, &l->per_minute },
    };
    char *value = strchr(text, '=');
    for (size_t i = 0; value != NULL && i < sizeof known / sizeof known[0]; i++) {
        if (strncmp(known[i].name, text, (size_t)(value - text)) != 0 || known[i].name[value - text] != '\0')
            continue;
        if (known[i].text != NULL)
            *known[i].text = value + 1;
        else
            *known[i].number = (uint32_t)atoi(value + 1);
        return;
    }
    fprintf(stderr, "no option %s\n", text);
    exit(2);
}

static SSL_CTX *parse(char *text, struct gws_limits *l, struct gwh_error *err)
{
    struct gws_tls_config tls = { .client_required = true };
    for (char *part = strtok(text, ","); part != NULL; part = strtok(NULL, ","))
        option(part, &tls, l);
    return tls.certificate == NULL ? NULL : gws_tls_new(&tls, err);
}

static void fatal(const struct gwh_error *err)
{
    fprintf(stderr, "toy: %s\n", err->text);
    exit(3);
}

static void open_door(char *text)
{
    struct gwh_error err = { 0 };
    struct gws_door_config config = { 0 };
    uint16_t port = 0;
    char *rest = strchr(text, ','), *equals = strchr(text, '=');
    if (rest != NULL)
        *rest++ = '\0';
    *equals = '\0';
    config.door = door_named(text);
    config.listen = equals + 1;
    config.tls = rest == NULL ? NULL : parse(rest, &config.limits, &err);
    if (err.exit != 0 || gws_http_open(server.http, &config, &port, &err) != GWH_OK)
        fatal(&err);
    SSL_CTX_free(config.tls);
    printf("%s %u\n", text, port);
}

/* ---- Commands ---------------------------------------------------------------------------------------------------- */

static void drained(void *ctx)
{
    (void)ctx;
    puts("drained");
    event_base_loopbreak(server.base);
}

static void reload(char *door, char *rest)
{
    struct gwh_error err = { 0 };
    struct gws_limits none = { 0 };
    SSL_CTX *tls = parse(rest, &none, &err);
    if (tls == NULL) {
        printf("refused: %s\n", err.text);
        return;
    }
    gws_http_tls(server.http, door_named(door), tls);
    SSL_CTX_free(tls);
    puts("ok");
}

static void command(char *line)
{
    char *word = strtok(line, " \n"), *a = strtok(NULL, " \n"), *b = strtok(NULL, " \n");
    if (word == NULL || a == NULL)
        return;
    if (strcmp(word, "reload") == 0) {
        reload(a, b);
        return;
    }
    if (strcmp(word, "drain") == 0)
        gws_http_drain(server.http, (uint32_t)atoi(a), drained, NULL);
    else if (strcmp(word, "first-sight") == 0)
        server.config.first_sight = strcmp(a, "on") == 0;
    else if (gws_fleet_device(NULL, a) != NULL)
        gws_fleet_device(NULL, a)->enabled = strcmp(word, "enable") == 0;
    puts("ok");
}

static void on_input(evutil_socket_t fd, short what, void *ctx)
{
    static char text[8192];
    (void)what;
    (void)ctx;
    ssize_t n = read(fd, text, sizeof text - 1);
    if (n <= 0) {
        event_base_loopbreak(server.base);
        return;
    }
    text[n] = '\0';
    command(text);
}

int main(int argc, char **argv)
{
    struct gwh_error err = { 0 };
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    SHA256((const unsigned char *)"device-token-0123456789", 23, devices[2].token_hash);
    server.base = event_base_new();
    if (gws_http_new(&server.http, &server, server.base, &err) != GWH_OK)
        fatal(&err);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--file") == 0 && i + 1 < argc)
            file = argv[++i];
        else
            open_door(argv[i]);
    }
    puts("ready");
    struct event *input = event_new(server.base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, NULL);
    event_add(input, NULL);
    event_base_dispatch(server.base);
    event_free(input);
    gws_http_free(server.http);
    event_base_dispatch(server.base); /* answers that are still to come */
    event_base_free(server.base);
    return 0;
}
