/*
 * mqtt_object.h - the memory of a gwl_mqtt (mqtt.h), for those who give it; what is inside belongs to mqtt.c.
 */
#ifndef GWL_MQTT_OBJECT_H
#define GWL_MQTT_OBJECT_H

#include <lwip/apps/mqtt.h>
#include <lwip/apps/mqtt_priv.h>

#include "altcp_secure.h"
#include "mqtt.h"

#define GWL_TOPIC_MAX (7u + GW_DEVICE_ID_MAX + 7u) /* "godwit/", the id, "/notify" or "/report" */

struct gwl_mqtt {
    const struct gwl_mqtt_config *config;
    struct mqtt_client_s client;
    struct altcp_tls_config secure;
    char notify[GWL_TOPIC_MAX + 1], report[GWL_TOPIC_MAX + 1];
    uint8_t message[GWC_NOTIFY_MAX];
    uint8_t message_n;
    bool mine;          /* what comes in is for us */
    bool trying;        /* connected, or about to be */
    bool subscribed;
    int refused;        /* < 0: the broker does not let us subscribe; dealt with in the step */
    uint32_t since_ms;  /* trying: since when; not: since when it waits */
    uint32_t pause_ms;  /* so long */
    uint32_t longest_ms; /* of the last pause, before the random part */
    uint32_t heard_ms;  /* when the last packet came */
    uint32_t received;  /* packets, until then */
};

#endif
