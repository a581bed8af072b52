/*
 * url.h - https URLs as Godwit takes them, and who may be asked (SPEC.md, section 16).
 *
 *     https://host[:port][/path]          no user, no query, no fragment; host a name or an IPv4 address
 *
 * Strict: everything else is GW_ERR_VALUE. Views into the text; nothing is decoded or normalized, but hosts are
 * compared without regard to case.
 */
#ifndef GWC_URL_H
#define GWC_URL_H

#include "godwit/manifest.h"
#include "stream.h"

#define GWC_URL_MAX 255u    /* bytes of a URL */
#define GWC_TARGET_MAX 1023u /* bytes of a redirect's target */

struct gwc_url {
    struct gw_span host; /* 1 to GWC_HOST_MAX bytes */
    uint16_t port;       /* 443 if none is given */
    struct gw_span path; /* with the leading slash; n 0: none was given, means "/" */
};
GW_MUST_USE int gwc_url_parse(struct gwc_url *url, struct gw_span text);
/* The target of a redirect from `from`: a URL as above that may have a query, which is then part of the path; or such
 * a path alone, which means the same host. */
GW_MUST_USE int gwc_url_target(struct gwc_url *url, const struct gwc_url *from, struct gw_span text);
/* Without regard to the case of letters (ASCII). */
bool gwc_host_equal(struct gw_span a, struct gw_span b);
/* May payloads come from there: is `host` in the list of a trust bundle (trust->hosts)? */
bool gwc_host_listed(const struct gw_trust *trust, struct gw_span host);

#endif
