/*
 * main.c - godwitd: opens everything in order, runs the loop, ends in order.
 *
 * In the foreground; what happens is on stderr. SIGTERM and SIGINT: no new connections, answers under way are given,
 * what was accepted is written, exit code 0. SIGHUP: certificates and lists of revoked ones are read again; what does
 * not load leaves the old ones in use, and the log says so.
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "args.h"
#include "first.h"
#include "resources.h"

#define DRAIN_MS 20000u

static const char *const door_names[4] = { "devices", "tokens", "payloads", "admin" };
static struct gws_server server;
static struct gws_env env;

static void log_failure(const char *event, const char *door, const struct gwh_error *err)
{
    gws_log(&server, event, "door", door, "error", err->text, NULL);
}

/* ---- Doors ------------------------------------------------------------------------------------------------------- */

static const char *given(const char *path)
{
    return path[0] == '\0' ? NULL : path;
}

/* NULL without an error: this door has no TLS. */
static SSL_CTX *door_tls(size_t i, struct gwh_error *err)
{
    struct gws_tls_config tls = {
        .certificate = given(server.config.door[i].certificate),
        .key = given(server.config.door[i].key),
        .client_ca = given(server.config.door[i].client_ca),
        .crl = given(server.config.door[i].crl),
        .client_required = true,
    };
    return tls.certificate == NULL ? NULL : gws_tls_new(&tls, err);
}

static int open_door(size_t i, struct gwh_error *err)
{
    struct gws_door_config door = { .door = (enum gws_door)(1u << i),
                                    .listen = server.config.door[i].listen,
                                    .limits = server.config.door[i].limits };
    uint16_t port;
    char text[8];
    door.tls = door_tls(i, err);
    if (err->exit != 0)
        return err->exit;
    int result = gws_http_open(server.http, &door, &port, err);
    SSL_CTX_free(door.tls);
    if (result != GWH_OK)
        return result;
    snprintf(text, sizeof text, "%u", port);
    gws_log(&server, "listening", "door", door_names[i], "address", door.listen, "port", text, NULL);
    return GWH_OK;
}

static int open_doors(struct gwh_error *err)
{
    if (gws_http_new(&server.http, &server, server.base, err) != GWH_OK)
        return err->exit;
    for (size_t i = 0; i < 4; i++)
        if (server.config.door[i].listen[0] != '\0' && open_door(i, err) != GWH_OK)
            return err->exit;
    return GWH_OK;
}

static void reload_door(size_t i)
{
    struct gwh_error err = { 0 };
    SSL_CTX *tls = door_tls(i, &err);
    if (err.exit != 0) {
        log_failure("reload-failed", door_names[i], &err);
        return;
    }
    if (tls == NULL)
        return;
    gws_http_tls(server.http, (enum gws_door)(1u << i), tls);
    SSL_CTX_free(tls);
    gws_log(&server, "reloaded", "door", door_names[i], "certificate", server.config.door[i].certificate, NULL);
}

/* ---- Signals ----------------------------------------------------------------------------------------------------- */

static void on_drained(void *ctx)
{
    (void)ctx;
    event_base_loopbreak(server.base);
}

static void on_end(evutil_socket_t fd, short what, void *ctx)
{
    bool *ending = ctx;
    (void)fd;
    (void)what;
    if (*ending)
        return;
    *ending = true;
    gws_log(&server, "draining", NULL);
    gws_http_drain(server.http, DRAIN_MS, on_drained, NULL);
}

static void on_reload(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    (void)ctx;
    for (size_t i = 0; i < 4; i++)
        if (server.config.door[i].listen[0] != '\0')
            reload_door(i);
    struct gwh_error err = { 0 };
    if (gws_mqtt_reload(&server, &err) != GWH_OK)
        gws_log(&server, "reload-failed", "error", err.text, NULL);
    gws_first_tokens(&server);
}

/* Every minute: what memory knows and the database does not yet. */
static void on_minute(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    (void)ctx;
    gws_seen_flush(&server, false);
    gws_tokens_flush(&server);
    gws_collect(&server);
    gws_prune(&server);
}

/* ---- In order ---------------------------------------------------------------------------------------------------- */

/* The roots, and the bundle of the file if it is newer than the one in the database. */
static int open_trust(const char *path, struct gwh_error *err)
{
    env.blobs = &server.blobs;
    server.env = &env;
    if (server.config.roots[0] == '\0')
        return GWH_OK;
    if (gws_env_roots(&env, server.config.roots, err) != GWH_OK || server.config.trust[0] == '\0')
        return err->exit;
    return gws_trust_from_file(&env, path, server.config.trust, err);
}

static int open_data(struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    if (gwh_folder_make(server.config.data, err) != GWH_OK ||
        gwh_path(path, server.config.data, "godwit.db", err) != GWH_OK ||
        gws_blobs_open(&server.blobs, server.config.data, err) != GWH_OK || open_trust(path, err) != GWH_OK ||
        gws_db_open(&server.db, path, server.base, err) != GWH_OK ||
        gws_fleet_load(&server.fleet, gws_db_reader(server.db), err) != GWH_OK ||
        gws_fleet_configure(server.fleet, server.config.next_look_s, server.config.payload_base, err) != GWH_OK)
        return err->exit;
    return gws_payload_key(&server, err);
}

static int open_all(struct gwh_error *err)
{
    if (open_data(err) != GWH_OK || open_doors(err) != GWH_OK)
        return err->exit;
    return server.config.mqtt.host[0] == '\0' ? GWH_OK : gws_mqtt_start(&server, err);
}

static void close_all(void)
{
    gws_http_free(server.http);
    if (server.db != NULL && server.fleet != NULL) {
        gws_seen_flush(&server, true);
        gws_tokens_flush(&server);
    }
    if (server.mqtt != NULL)
        gws_mqtt_stop(&server);
    if (server.db != NULL)
        gws_db_close(server.db);
    gws_prune_free(&server);
    if (server.fleet != NULL)
        gws_fleet_free(server.fleet);
    gws_events_free(&server);
    gws_env_free(&env);
}

static void run_loop(void)
{
    bool ending = false;
    const struct timeval minute = { 60, 0 };
    struct event *events[] = {
        evsignal_new(server.base, SIGTERM, on_end, &ending),
        evsignal_new(server.base, SIGINT, on_end, &ending),
        evsignal_new(server.base, SIGHUP, on_reload, NULL),
        event_new(server.base, -1, EV_PERSIST, on_minute, NULL),
    };
    for (size_t i = 0; i < 4; i++)
        event_add(events[i], i == 3 ? &minute : NULL);
    gws_first_tokens(&server);
    gws_prune(&server);
    gws_log(&server, "ready", NULL);
    event_base_dispatch(server.base);
    for (size_t i = 0; i < 4; i++)
        event_free(events[i]);
}

/* As many descriptors as may be: a connection needs one. */
static void raise_limits(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int serve(struct gwh_error *err)
{
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    raise_limits();
    server.started = gws_now();
    server.base = event_base_new();
    if (server.base == NULL)
        return gwh_fail(err, GWH_IO, "no event loop");
    if (open_all(err) == GWH_OK)
        run_loop();
    close_all();
    event_base_free(server.base);
    if (err->exit == GWH_OK)
        gws_log(&server, "ended", NULL);
    return err->exit;
}

/* All that can be tried without listening. */
static int check(struct gwh_error *err)
{
    for (size_t i = 0; i < 4; i++) {
        SSL_CTX *tls = server.config.door[i].listen[0] == '\0' ? NULL : door_tls(i, err);
        SSL_CTX_free(tls);
        if (err->exit != 0)
            return err->exit;
    }
    if (server.config.mqtt.host[0] != '\0' && gws_mqtt_check(&server, err) != GWH_OK)
        return err->exit;
    puts("ok");
    return GWH_OK;
}

static int run(const struct gwh_args *a, struct gwh_error *err)
{
    if (gws_config_read(&server.config, a->operand[0], err) != GWH_OK)
        return err->exit;
    return gwh_flag(a, "check") ? check(err) : serve(err);
}

static const struct gwh_option run_options[] = {
    { "check", NULL, "read the configuration and what it names, say what is wrong, do not start", false, false },
    GWH_OPTIONS_END
};
static const struct gwh_command commands[] = { { NULL, "", "CONFIG", 1, 1,
                                                 "runs the distribution server in the foreground", run_options,
                                                 "godwitd /srv/godwit/godwitd.conf", run },
                                               { .verb = NULL } };
static const struct gwh_command *const tables[] = { commands, NULL };
static const struct gwh_program program = { "godwitd", "the distribution server of Godwit", tables };

int main(int argc, char **argv)
{
    return gwh_main(&program, argc, argv);
}
