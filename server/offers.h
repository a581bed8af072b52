/*
 * offers.h - tables of routes for devices; listed in routes.c.
 */
#ifndef GWS_OFFERS_H
#define GWS_OFFERS_H

#include "httpd.h"

extern const struct gws_route gws_offer_routes[];
extern const struct gws_route gws_report_routes[];

#endif
