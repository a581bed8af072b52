/*
 * mqtt_none.c - in place of mqtt.c in a build without it: nothing is notified, and a configuration that wants it is
 * refused.
 */
#include "server.h"

int gws_mqtt_start(struct gws_server *s, struct gwh_error *err)
{
    (void)s;
    return gwh_fail(err, GWH_USAGE, "[mqtt] host is given, but this build has no MQTT");
}

int gws_mqtt_check(const struct gws_server *s, struct gwh_error *err)
{
    (void)s;
    return gwh_fail(err, GWH_USAGE, "this godwitd was built without MQTT");
}

int gws_mqtt_reload(struct gws_server *s, struct gwh_error *err)
{
    (void)s;
    (void)err;
    return GWH_OK;
}

void gws_mqtt_stop(struct gws_server *s)
{
    (void)s;
}

void gws_mqtt_notify(struct gws_server *s, const char *device)
{
    (void)s;
    (void)device;
}
