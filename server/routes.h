/*
 * routes.h - the tables of routes, one for each resource; routes.c lists them.
 */
#ifndef GWS_ROUTES_H
#define GWS_ROUTES_H

#include "httpd.h"

extern const struct gws_route gws_payload_routes[]; /* payloads.c */
extern const struct gws_route gws_metrics_routes[]; /* metrics.c */

#endif
