/*
 * mqtt.h - a device's side of the broker (SPEC.md, section 20) on lwIP's MQTT client, over a TLS layer of ours.
 *
 * lwIP's client speaks MQTT; the connection below it is a gwc_secure (ports/tls), put under it as a layer of altcp
 * (lwIP's own TLS glue does not build against Mbed TLS 3.6, and checks too little). Connects, subscribes to
 * godwit/<id>/notify, keeps alive, and comes back after a loss: after 1 s, doubled each time up to 2 minutes, each wait
 * by a quarter random, so that a fleet does not come back at once. Never blocks; nothing happens but in step().
 *
 * Keeps true: no byte is sent before the broker's certificate was checked; messages longer than GWC_NOTIFY_MAX, and
 * those of other topics, are dropped; memory is this object, lwIP's pools and what the TLS layer takes.
 */
#ifndef GWL_MQTT_H
#define GWL_MQTT_H

#include "courier.h"
#include "stream.h"

struct gwl_mqtt_config {
    const struct gwc_secure *secure; /* a connection of its own: not the one that HTTP runs over. Kept */
    const char *host;                /* of the broker: a name or an IPv4 address; kept */
    uint16_t port;
    const char *id;                  /* device id: client id, user name, topics; kept */
    /* A message of the notify topic, whole. */
    void (*message)(void *ctx, struct gw_span bytes);
    /* Connected and subscribed (0); or not any more, and why (< 0: GW_ERR_CERT_*, GW_ERR_TLS, GW_ERR_TRANSPORT,
     * GW_ERR_TIMEOUT). May be NULL. */
    void (*changed)(void *ctx, int status);
    uint32_t (*random)(void *ctx);   /* any 32 bits; for the waits alone */
    uint32_t (*now_ms)(void *ctx);   /* any clock that goes on, modulo 2^32 */
    void *ctx;
};

struct gwl_mqtt; /* of fixed size, defined in mqtt_object.h for those who give it memory */

/* GW_ERR_CONFIG: something is missing. GW_ERR_VALUE: the id is too long (GW_DEVICE_ID_MAX). Nothing is sent yet. */
GW_MUST_USE int gwl_mqtt_init(struct gwl_mqtt *m, const struct gwl_mqtt_config *config);
/* One bounded unit of work: of the TLS handshake, of sending, of receiving. *wait_ms: when to call again at the latest;
 * sooner when the network has something. */
void gwl_mqtt_step(struct gwl_mqtt *m, uint32_t *wait_ms);
/* Connected and subscribed. */
bool gwl_mqtt_connected(const struct gwl_mqtt *m);
/* Publishes to godwit/<id>/report, QoS 1. False: not connected, or no room. */
bool gwl_mqtt_report(struct gwl_mqtt *m, const uint8_t *bytes, size_t n);
/* Says goodbye and closes. step() would connect again. */
void gwl_mqtt_close(struct gwl_mqtt *m);

#endif
