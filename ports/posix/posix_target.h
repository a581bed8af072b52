/*
 * posix_target.h - where a request of posix_curl.c goes: an https URL, read once by libcurl's parser and handed to
 * libcurl as it was read, so that the host that was checked is the host that is asked.
 *
 * https only, no user, no fragment; a query in the target of a redirect only; a host is a name or an IPv4 address.
 */
#ifndef GWP_POSIX_TARGET_H
#define GWP_POSIX_TARGET_H

#include <curl/curl.h>

#include "godwit/manifest.h"

#define GWP_URL_MAX 255u     /* bytes of a URL that is configured or comes in an offer */
#define GWP_TARGET_MAX 1400u /* and with a path after it, or from a redirect */

struct gwp_target {
    CURLU *url;
    char host[256]; /* in lower case */
};

/* "<base>/<path>", or `base` alone if path is NULL. GW_ERR_VALUE; free with gwp_target_free(). */
GW_MUST_USE int gwp_target_make(struct gwp_target *t, struct gw_span base, const char *path);
/* Where a redirect points to: an https URL, or a path on the same host. On failure `t` stays as it is. */
GW_MUST_USE int gwp_target_follow(struct gwp_target *t, const char *location);
void gwp_target_free(struct gwp_target *t);

#endif
