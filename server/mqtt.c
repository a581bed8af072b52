/*
 * mqtt.c - the broker: tells devices that there is something, and takes their reports (SPEC.md, section 20).
 *
 * In the thread of the event loop: the client of host/mqtt.h is stepped when its socket has something and by a timer.
 * Keeps true: the server works the same without a broker, only slower; nothing that comes from there is believed but by
 * its signature; notifications that are due while the broker is away are given up, for devices look by themselves.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keys.h"
#include "mqtt.h"
#include "server.h"

#define NAME "godwitd" /* client id: the broker takes it from the certificate anyway */
#define TOPIC "godwit/"
#define REPORTS_MAX 4096u /* on their way to the database; more are dropped: devices send them again over HTTPS */

struct gws_mqtt {
    struct gws_server *server;
    struct gwh_mqtt *client;
    struct event *timer, *socket;
    int fd;             /* that `socket` is for; -1: none */
    bool writing;
    unsigned reports;   /* on their way */
    bool stopped;       /* freed with the last of them */
};

/* ---- Reports ----------------------------------------------------------------------------------------------------- */

static void free_all(struct gws_mqtt *m)
{
    if (m->stopped && m->reports == 0) {
        free(m);
    }
}

struct taking {
    struct gws_mqtt *mqtt;
    char device[GW_DEVICE_ID_MAX + 1];
    uint8_t digest[32]; /* of the report */
};

static void tell(struct gws_mqtt *m, const char *device, struct gw_span bytes)
{
    char topic[sizeof TOPIC + GW_DEVICE_ID_MAX + sizeof "/notify"];
    (void)snprintf(topic, sizeof topic, TOPIC "%s/notify", device);
    if (gwh_mqtt_publish(m->client, topic, bytes, 0, NULL)) {
        gws_count(GWS_M_NOTIFIED, 1);
    }
}

/* It is durable, or will never be taken: the device may forget it. Not now: nothing is said, and it comes again. */
static void taken(void *ctx, int result, const struct gwh_error *err)
{
    struct taking *t = ctx;
    struct gws_mqtt *m = t->mqtt;
    char text[GWH_MQTT_SAID + 1];
    (void)err; /* reports.c has logged and counted it */
    if (!m->stopped && (result == GWH_OK || result == GWH_REFUSED)) {
        memcpy(text, result == GWH_OK ? GWH_MQTT_TAKEN : GWH_MQTT_NEVER, 6);
        gwh_hex(text + 6, t->digest, 8);
        tell(m, t->device, (struct gw_span){(const uint8_t *)text, GWH_MQTT_SAID});
    }
    free(t);
    m->reports--;
    free_all(m);
}

/* "godwit/ID/report": the ID. */
static bool device_of(char id[GW_DEVICE_ID_MAX + 1], const char *topic)
{
    size_t n;
    if (strncmp(topic, TOPIC, sizeof TOPIC - 1) != 0) {
        return false;
    }
    topic += sizeof TOPIC - 1;
    n = strspn(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    if (n == 0 || n > GW_DEVICE_ID_MAX || strcmp(topic + n, "/report") != 0) {
        return false;
    }
    memcpy(id, topic, n);
    id[n] = '\0';
    return true;
}

/* As many in a minute as it may have requests at its door; those beyond cost nothing, and are told to nobody. */
static bool under_limit(struct gws_server *s, const char *device)
{
    struct gws_device *d = gws_fleet_device(s->fleet, device);
    uint32_t minute = (uint32_t)(gws_now() / 60), most = s->config.door[0].limits.per_minute;
    if (d == NULL) {
        return true; /* reports.c refuses it */
    }
    if (d->mqtt_minute != minute) {
        d->mqtt_minute = minute;
        d->mqtt_reports = 0;
    }
    if (d->mqtt_reports == most) {
        gws_log(s, "too-many-reports", "device", device, "by", "mqtt", NULL);
    }
    d->mqtt_reports += d->mqtt_reports <= most;
    return d->mqtt_reports <= most;
}

static void on_message(void *ctx, const char *topic, struct gw_span bytes)
{
    struct gws_mqtt *m = ctx;
    struct taking *t = calloc(1, sizeof *t);
    if (t == NULL || !device_of(t->device, topic) || bytes.n == 0 || bytes.n > GW_REPORT_MAX ||
        m->reports >= REPORTS_MAX || !under_limit(m->server, t->device) ||
        gw_sha256(gwh_openssl()->gw, bytes.p, bytes.n, t->digest) != GW_OK) {
        gws_count(GWS_M_REPORTS_REFUSED, 1);
        free(t);
        return;
    }
    t->mqtt = m;
    m->reports++;
    gws_report_take(m->server, t->device, NULL, bytes, taken, t);
}

static void on_state(void *ctx, bool connected, const char *why)
{
    struct gws_mqtt *m = ctx;
    if (connected) {
        gws_log(m->server, "broker-connected", "host", m->server->config.mqtt.host, NULL);
    } else {
        gws_log(m->server, "broker-lost", "host", m->server->config.mqtt.host, "why", why, NULL);
    }
}

/* ---- The event loop ---------------------------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static void on_event(evutil_socket_t fd, short what, void *ctx);

/* Waits for what the client waits for. */
static void arm(struct gws_mqtt *m)
{
    uint32_t ms = gwh_mqtt_wait_ms(m->client, now_ms());
    struct timeval wait = {ms / 1000, (ms % 1000) * 1000};
    int fd = gwh_mqtt_fd(m->client);
    bool writing = gwh_mqtt_wants_write(m->client);
    if (m->socket != NULL && (fd != m->fd || writing != m->writing)) {
        event_free(m->socket);
        m->socket = NULL;
    }
    m->fd = fd;
    m->writing = writing;
    if (m->socket == NULL && fd >= 0) {
        m->socket = event_new(m->server->base, fd, (short)(EV_READ | EV_PERSIST | (writing ? EV_WRITE : 0)), on_event,
                              m);
        (void)event_add(m->socket, NULL);
    }
    (void)event_add(m->timer, &wait);
}

static void on_event(evutil_socket_t fd, short what, void *ctx)
{
    struct gws_mqtt *m = ctx;
    int before = gwh_mqtt_fd(m->client);
    (void)fd, (void)what;
    gwh_mqtt_step(m->client, now_ms());
    if (m->socket != NULL && gwh_mqtt_fd(m->client) != before) { /* closed: its number may be another's soon */
        event_free(m->socket);
        m->socket = NULL;
    }
    arm(m);
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static struct gwh_mqtt_config config_of(const struct gws_server *s, struct gws_mqtt *m)
{
    return (struct gwh_mqtt_config){.host = s->config.mqtt.host,
                                    .port = s->config.mqtt.port,
                                    .id = NAME,
                                    .subscribe = TOPIC "+/report",
                                    .qos = 1,
                                    .ca = s->config.mqtt.ca,
                                    .certificate = s->config.mqtt.certificate,
                                    .key = s->config.mqtt.key,
                                    .most_ms = 15000,
                                    .message = on_message,
                                    .state = on_state,
                                    .ctx = m};
}

int gws_mqtt_check(const struct gws_server *s, struct gwh_error *err)
{
    const struct gwh_mqtt_config c = config_of(s, NULL);
    struct gwh_mqtt *client = NULL;
    int e = gwh_mqtt_new(&client, &c, err);
    gwh_mqtt_free(client);
    return e;
}

int gws_mqtt_start(struct gws_server *s, struct gwh_error *err)
{
    struct gws_mqtt *m = calloc(1, sizeof *m);
    const struct gwh_mqtt_config c = config_of(s, m);
    if (m == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "MQTT");
    }
    m->server = s;
    m->fd = -1;
    m->timer = event_new(s->base, -1, 0, on_event, m);
    int e = m->timer != NULL ? gwh_mqtt_new(&m->client, &c, err) : gwh_fail_reason(err, GW_ERR_SPACE, "MQTT");
    if (e != GWH_OK) {
        if (m->timer != NULL) {
            event_free(m->timer);
        }
        free(m);
        return e;
    }
    s->mqtt = m;
    arm(m);
    return GWH_OK;
}

void gws_mqtt_stop(struct gws_server *s)
{
    struct gws_mqtt *m = s->mqtt;
    if (m == NULL) {
        return;
    }
    s->mqtt = NULL;
    if (m->socket != NULL) {
        event_free(m->socket);
    }
    event_free(m->timer);
    gwh_mqtt_free(m->client);
    m->stopped = true;
    free_all(m);
}

int gws_mqtt_reload(struct gws_server *s, struct gwh_error *err)
{
    return s->mqtt != NULL ? gwh_mqtt_reload(s->mqtt->client, err) : GWH_OK;
}

void gws_mqtt_notify(struct gws_server *s, const char *device)
{
    static const struct gw_span look = {(const uint8_t *)"look", 4};
    if (s->mqtt != NULL && device != NULL && strlen(device) <= GW_DEVICE_ID_MAX) {
        tell(s->mqtt, device, look);
        arm(s->mqtt);
    }
}
