/*
 * routes.c - all that can be asked of this server. What is not listed here does not exist.
 */
#include "routes.h"

#include "offers.h"

const struct gws_route *const gws_routes[] = {
    gws_offer_routes, gws_report_routes, gws_payload_routes, gws_metrics_routes, gws_event_routes, NULL,
};
