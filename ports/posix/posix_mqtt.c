/*
 * posix_mqtt.c - see posix_mqtt.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "courier.h"
#include "keys.h"
#include "mqtt.h"
#include "posix_mqtt.h"
#include "posix_run.h"
#include "posix_tls.h"

struct gwp_mqtt {
    struct gwh_mqtt *client;
    struct gwp_mqtt_config config;
    struct gwp_tls tls; /* whom the broker may be */
    bool told;          /* what is trusted; before, nobody is asked */
    struct gwc_courier courier;
    struct gwc_courier_config to;
    char host[128];
    char topic[80]; /* of reports */
};

/* ---- What the courier needs -------------------------------------------------------------------------------------- */

static void on_message(void *ctx, const char *topic, struct gw_span bytes)
{
    (void)topic;
    gwc_courier_message(&((struct gwp_mqtt *)ctx)->courier, bytes);
}

/* The broker is held to what servers are: a connection that other CAs or pins were asked for ends. */
static int trust_broker(void *ctx, const struct gw_transport_trust *trust)
{
    struct gwp_mqtt *m = ctx;
    bool changed = true;
    int error = gwp_tls_trust(&m->tls, trust, &changed);
    m->told = true;
    if (changed || error != GW_OK) {
        gwh_mqtt_drop(m->client, "what the device trusts has changed");
    }
    return error;
}

static bool verify(void *ctx, SSL_CTX *tls)
{
    struct gwp_mqtt *m = ctx;
    gwp_tls_begin(&m->tls, m->host);
    return gwp_tls_attach(&m->tls, tls, false) == GW_OK;
}

static bool publish(void *ctx, const uint8_t *bytes, size_t n)
{
    struct gwp_mqtt *m = ctx;
    return gwh_mqtt_publish(m->client, m->topic, (struct gw_span){bytes, n}, 1, NULL);
}

static bool connected(void *ctx)
{
    return gwh_mqtt_connected(((struct gwp_mqtt *)ctx)->client);
}

static void wake(void *ctx)
{
    gw_agent_wake(((struct gwp_mqtt *)ctx)->config.agent);
}

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return (uint32_t)gwp_now_ms();
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
    m->to = (struct gwc_courier_config){.below = config->below, .crypto = gwh_openssl()->gw, .publish = publish,
                                        .connected = connected, .wake = wake, .trust = trust_broker,
                                        .now_ms = now_ms, .ctx = m};
    int e = set_up(m, link, err);
    if (e == GWH_OK && gwc_courier_init(&m->courier, &m->to, over) != GW_OK) {
        e = gwh_fail_reason(err, GW_ERR_CONFIG, "MQTT");
    }
    if (e != GWH_OK) {
        gwp_mqtt_free(m);
        return NULL;
    }
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
