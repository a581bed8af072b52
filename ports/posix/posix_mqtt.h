/*
 * posix_mqtt.h - the broker of a device on a PC: notifications wake the agent, reports go there while it is up.
 *
 * Keeps true: nothing that comes over MQTT is believed: a notification only makes the agent look over HTTPS. A report
 * counts as delivered when the server has said so (that a broker has it says little: the server may be down); else,
 * after ten seconds, or without a broker, it goes over HTTPS as before.
 * Key and certificate are those of the identity and stay in memory. A device without a certificate has no broker.
 */
#ifndef GWP_POSIX_MQTT_H
#define GWP_POSIX_MQTT_H

#include "godwit/agent.h"
#include "posix_link.h"

struct gwp_mqtt_config {
    const char *address;               /* "host:port" */
    const char *roots;                 /* CA of the broker (PEM), unless the bundle names some; NULL: none */
    struct gw_agent *agent;            /* to be woken */
    const struct gw_transport *below;  /* what everything else goes over; must outlive it */
};
struct gwp_mqtt; /* opaque */
/* `over` becomes the transport with reports by MQTT. NULL and err. */
struct gwp_mqtt *gwp_mqtt_new(const struct gwp_mqtt_config *config, const struct gwp_link *link,
                              struct gw_transport *over, struct gwh_error *err);
/* NULL is fine: nothing happens. It connects once `over` was told what is trusted: gw_agent_tell_trust(). */
void gwp_mqtt_step(struct gwp_mqtt *m, uint64_t now_ms);
void gwp_mqtt_free(struct gwp_mqtt *m);

#endif
