/*
 * show.h - objects described: one tree, printed as words or as JSON. Needs no key and shows no secret.
 *
 * Functions return a new reference, never NULL: an object that does not parse is described by its error.
 */
#ifndef GWH_SHOW_H
#define GWH_SHOW_H

#include <jansson.h>

#include "release.h"

/* Prints on stdout. Keys keep the order in which they were set. */
void gwh_show_print(const json_t *tree, bool as_json);

json_t *gwh_show_hex(const uint8_t *p, size_t n);
json_t *gwh_show_text(struct gw_span s);
json_t *gwh_show_order(struct gw_order o);
json_t *gwh_show_roles(uint32_t roles);
json_t *gwh_show_uuid(const uint8_t uuid[16]);
json_t *gwh_show_time(uint32_t seconds);

json_t *gwh_show_manifest(const struct gw_manifest *m, const uint8_t digest[32]);
json_t *gwh_show_trust(const struct gw_trust *t);
json_t *gwh_show_head(const struct gw_head *h);
json_t *gwh_show_identity(struct gw_span bytes);
json_t *gwh_show_grant(struct gw_span bytes);
struct gw_report;
json_t *gwh_show_report(const struct gw_report *r);
/* "CONFIRMED", "FAILED" ...; "UNKNOWN". */
const char *gwh_report_state_name(uint32_t state);
/* Who has signed a COSE_Sign object, by key id and algorithm. */
json_t *gwh_show_signatures(struct gw_span cose);
json_t *gwh_show_release(const struct gwh_release *r, bool with_files);
json_t *gwh_show_key(const struct gwh_key *k);
/* Any of the objects above, by what it parses as; "kind" names it. GW_ERR_FORMAT if it is none. */
int gwh_show_any(json_t **tree, struct gw_span bytes);

#endif
