/*
 * posix_mqtt.c - see posix_mqtt.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "file.h"
#include "keys.h"
#include "mqtt.h"
#include "posix_mqtt.h"
#include "posix_run.h"
#include "posix_tls.h"

#define ACK_MS 10000u /* for the server to take a report; then it goes over HTTPS */

struct gwp_mqtt {
    struct gwh_mqtt *client;
    struct gwp_mqtt_config config;
    struct gwp_tls tls;         /* whom the broker may be */
    bool told;                  /* what is trusted; before, nobody is asked */
    char host[128];
    char topic[80];             /* of reports */
    uint8_t report[GW_REPORT_MAX];
    size_t report_n;            /* 0: none is on its way */
    char said[17];              /* what the server says of it: digits of its SHA-256 */
    bool taken, never;          /* the server has it; will never take it */
    bool below;                 /* it goes over HTTPS */
    uint64_t sent_ms;
};

/* ---- What the broker tells --------------------------------------------------------------------------------------- */

static void on_message(void *ctx, const char *topic, struct gw_span bytes)
{
    struct gwp_mqtt *m = ctx;
    bool taken = bytes.n == GWH_MQTT_SAID && memcmp(bytes.p, GWH_MQTT_TAKEN, 6) == 0;
    bool never = bytes.n == GWH_MQTT_SAID && memcmp(bytes.p, GWH_MQTT_NEVER, 6) == 0;
    (void)topic;
    if (!taken && !never) {
        gw_agent_wake(m->config.agent);
    } else if (m->report_n > 0 && memcmp(bytes.p + 6, m->said, 16) == 0) {
        m->taken |= taken;
        m->never |= never;
    }
}

/* ---- Transport --------------------------------------------------------------------------------------------------- */

/* The broker is held to what servers are: a connection that other CAs or pins were asked for ends. */
static int over_trust(void *ctx, const struct gw_transport_trust *trust)
{
    struct gwp_mqtt *m = ctx;
    const struct gw_transport *t = m->config.below;
    bool changed = true;
    int error = gwp_tls_trust(&m->tls, trust, &changed);
    m->told = true;
    if (changed || error != GW_OK) {
        gwh_mqtt_drop(m->client, "what the device trusts has changed");
    }
    int below = t->trust != NULL ? t->trust(t->ctx, trust) : GW_OK;
    return below != GW_OK ? below : error;
}

static bool verify(void *ctx, SSL_CTX *tls)
{
    struct gwp_mqtt *m = ctx;
    gwp_tls_begin(&m->tls, m->host);
    return gwp_tls_attach(&m->tls, tls, false) == GW_OK;
}

static int over_open(void *ctx, const struct gw_request *request)
{
    const struct gw_transport *t = ((struct gwp_mqtt *)ctx)->config.below;
    return t->open(t->ctx, request);
}

static int over_read(void *ctx, uint8_t *data, size_t size, size_t *n)
{
    const struct gw_transport *t = ((struct gwp_mqtt *)ctx)->config.below;
    return t->read(t->ctx, data, size, n);
}

static void over_close(void *ctx)
{
    const struct gw_transport *t = ((struct gwp_mqtt *)ctx)->config.below;
    t->close(t->ctx);
}

static int report_below(struct gwp_mqtt *m, const uint8_t *bytes, size_t n)
{
    const struct gw_transport *t = m->config.below;
    m->below = true;
    int status = t->report != NULL ? t->report(t->ctx, bytes, n) : GW_ERR_TRANSPORT;
    if (status != GW_ERR_AGAIN) {
        m->report_n = 0;
    }
    return status;
}

/* A report that is not the one on its way: by MQTT if the broker is there, else not. */
static void begin(struct gwp_mqtt *m, const uint8_t *bytes, size_t n)
{
    uint8_t digest[32];
    memcpy(m->report, bytes, n);
    m->report_n = n;
    m->taken = m->never = false;
    m->sent_ms = gwp_now_ms();
    m->below = gw_sha256(gwh_openssl()->gw, bytes, n, digest) != GW_OK ||
               !gwh_mqtt_publish(m->client, m->topic, (struct gw_span){bytes, n}, 1, NULL);
    gwh_hex(m->said, digest, 8);
}

static int over_report(void *ctx, const uint8_t *bytes, size_t n)
{
    struct gwp_mqtt *m = ctx;
    if (n > sizeof m->report) {
        return GW_ERR_VALUE;
    }
    if (m->report_n != n || memcmp(m->report, bytes, n) != 0) {
        begin(m, bytes, n);
    }
    if (m->below) {
        return report_below(m, bytes, n);
    }
    if (m->taken || m->never) {
        m->report_n = 0;
        return m->taken ? GW_OK : GW_ERR_VALUE;
    }
    if (!gwh_mqtt_connected(m->client) || gwp_now_ms() - m->sent_ms > ACK_MS) {
        return report_below(m, bytes, n);
    }
    return GW_ERR_AGAIN;
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

/* "host:port"; an address of IPv6 in brackets. */
static int take_address(const char *text, char host[128], uint16_t *port, struct gwh_error *err)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon != NULL ? (size_t)(colon - text) : 0;
    uint32_t number = 0;
    if (n > 2 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    if (n == 0 || n >= 128 || gwh_number_parse(colon + 1, "--mqtt", &number, err) != GWH_OK || number == 0 ||
        number > 65535) {
        return gwh_fail(err, GWH_USAGE, "--mqtt %.100s: expected HOST:PORT", text);
    }
    memcpy(host, text, n);
    host[n] = '\0';
    *port = (uint16_t)number;
    return GWH_OK;
}

static int set_up(struct gwp_mqtt *m, const struct gwp_link *link, struct gwh_error *err)
{
    struct gwp_link_client who;
    char notify[80];
    struct gwh_mqtt_config c = {.host = m->host, .subscribe = notify, .verify = verify, .message = on_message,
                                .ctx = m};
    int e = take_address(m->config.address, m->host, &c.port, err);
    if (e == GWH_OK && !gwp_link_client(link, &who)) {
        (void)gwh_fail(err, GWH_REFUSED, "a device without a certificate cannot have a broker");
        e = gwh_hint(err, "leave out --mqtt, or provision the device with --own-key and --certificate");
    }
    if (e == GWH_OK) {
        e = gwp_tls_open(&m->tls, m->config.roots != NULL ? m->config.roots : "", NULL, err);
    }
    if (e == GWH_OK) {
        (void)snprintf(notify, sizeof notify, "godwit/%s/notify", who.id);
        (void)snprintf(m->topic, sizeof m->topic, "godwit/%s/report", who.id);
        c.id = who.id;
        c.certificate_pem = who.certificate;
        c.key_pem = who.key;
        e = gwh_mqtt_new(&m->client, &c, err);
    }
    return e;
}

struct gwp_mqtt *gwp_mqtt_new(const struct gwp_mqtt_config *config, const struct gwp_link *link,
                              struct gw_transport *over, struct gwh_error *err)
{
    struct gwp_mqtt *m = calloc(1, sizeof *m);
    if (m == NULL) {
        (void)gwh_fail_reason(err, GW_ERR_SPACE, "MQTT");
        return NULL;
    }
    m->config = *config;
    if (set_up(m, link, err) != GWH_OK) {
        gwp_mqtt_free(m);
        return NULL;
    }
    *over = (struct gw_transport){.ctx = m,
                                  .trust = over_trust,
                                  .open = over_open,
                                  .read = over_read,
                                  .close = over_close,
                                  .report = over_report};
    return m;
}

void gwp_mqtt_step(struct gwp_mqtt *m, uint64_t now_ms)
{
    if (m != NULL && m->told) {
        gwh_mqtt_step(m->client, now_ms);
    }
}

void gwp_mqtt_free(struct gwp_mqtt *m)
{
    if (m != NULL) {
        gwh_mqtt_free(m->client);
        gwp_tls_close(&m->tls);
        free(m);
    }
}
