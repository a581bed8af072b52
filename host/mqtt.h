/*
 * mqtt.h - a client of an MQTT broker, without a thread: for godwitd and the device on a PC (SPEC.md, section 20).
 *
 *    gwh_mqtt_new(&m, &config, &err)
 *    for (;;) { gwh_mqtt_step(m, now_ms); wait until gwh_mqtt_fd(m) can be read (or written, if it wants that),
 *               at most gwh_mqtt_wait_ms(m, now_ms) }
 *
 * What it keeps true: TLS 1.2 or newer, with the broker's chain, name and purpose checked on every connection; a clean
 * session and no will; a broker that is down, slow or refuses costs a bounded pause with jitter and nothing else. The
 * name of the broker is looked up in the step that connects, which waits for it: give an address where that matters.
 */
#ifndef GWH_MQTT_H
#define GWH_MQTT_H

#include "error.h"
#include "godwit/godwit.h"

#define GWH_MQTT_FIRST_MS 1000u /* pause after the first failure; doubled each time, up to: */
#define GWH_MQTT_MOST_MS 60000u
#define GWH_MQTT_STALL_MS 15000u /* from the connection to the broker's consent */
#define GWH_MQTT_MESSAGE_MAX 1024u /* bytes; longer ones are dropped */

/* What the server says of a report, at the device's notify topic: TAKEN or NEVER, then 16 digits of its SHA-256. */
#define GWH_MQTT_TAKEN "taken "
#define GWH_MQTT_NEVER "never "
#define GWH_MQTT_SAID 22u /* bytes */

struct ssl_ctx_st;
struct gwh_mqtt_config {
    const char *host; /* name or address: what the broker's certificate has to be for */
    uint16_t port;
    const char *id;           /* client id; the broker takes the name from the certificate */
    const char *subscribe;    /* topic */
    int qos;                  /* of the subscription */
    const char *ca;           /* PEM file; NULL: `verify` says whom to trust */
    /* Puts a verification of its own, of chain, name and purpose, into each TLS context. False: it cannot. */
    bool (*verify)(void *ctx, struct ssl_ctx_st *tls);
    const char *certificate, *key;        /* PEM files; or NULL, and: */
    struct gw_span certificate_pem, key_pem; /* in memory; copied into the TLS context */
    uint32_t keepalive_s;     /* 0: 60 */
    uint32_t most_ms;         /* longest pause; 0: GWH_MQTT_MOST_MS */
    /* All are called from gwh_mqtt_step(). May be NULL. */
    void (*message)(void *ctx, const char *topic, struct gw_span bytes);
    void (*sent)(void *ctx, int number); /* the broker has what was published with this number */
    void (*state)(void *ctx, bool connected, const char *why);
    void *ctx;
};

struct gwh_mqtt; /* opaque */
/* Copies what it keeps of the config but the callbacks' ctx. Does not connect yet. */
int gwh_mqtt_new(struct gwh_mqtt **m, const struct gwh_mqtt_config *config, struct gwh_error *err);
/* New certificates, from the next connection on: reads the files again. */
int gwh_mqtt_reload(struct gwh_mqtt *m, struct gwh_error *err);
void gwh_mqtt_free(struct gwh_mqtt *m);
/* Ends the connection, if there is one, in the next step; it is made anew, as after any loss. */
void gwh_mqtt_drop(struct gwh_mqtt *m, const char *why);
/* All that can be done now; never blocks but for the broker's name. */
void gwh_mqtt_step(struct gwh_mqtt *m, uint64_t now_ms);
/* -1: none. */
int gwh_mqtt_fd(const struct gwh_mqtt *m);
bool gwh_mqtt_wants_write(const struct gwh_mqtt *m);
/* At the latest after so long the next step is due. */
uint32_t gwh_mqtt_wait_ms(const struct gwh_mqtt *m, uint64_t now_ms);
/* Is the topic subscribed to? */
bool gwh_mqtt_connected(const struct gwh_mqtt *m);
/* Queues it; *number (may be NULL) for `sent`. False: not connected. */
bool gwh_mqtt_publish(struct gwh_mqtt *m, const char *topic, struct gw_span bytes, int qos, int *number);
/* Why it is not connected; never NULL. */
const char *gwh_mqtt_why(const struct gwh_mqtt *m);

#endif
