/*
 * routes.c - all that can be asked of this server. What is not listed here does not exist.
 */
#include "routes.h"

const struct gws_route *const gws_routes[] = {
    gws_payload_routes,
    gws_metrics_routes,
    NULL,
};
