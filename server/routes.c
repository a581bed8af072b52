/*
 * routes.c - all that can be asked of this server. What is not listed here does not exist.
 */
#include "api.h"
#include "offers.h"
#include "routes.h"

const struct gws_route *const gws_routes[] = {
    gws_offer_routes, gws_report_routes, gws_payload_routes, gws_metrics_routes, gws_api_classes, gws_api_trust,
    gws_api_devices,  gws_api_releases,  gws_api_rollouts,   gws_api_tokens,     gws_api_audit,   gws_api_events,
    gws_api_openapi,  NULL,
};
