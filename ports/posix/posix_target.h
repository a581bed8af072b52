/*
 * posix_target.h - where a request of posix_curl.c goes: a URL that url.h has read, written anew for libcurl.
 *
 * What libcurl is given is put together from the parts that were checked, in one form, so that the host that was
 * checked is the host that is asked.
 */
#ifndef GWP_POSIX_TARGET_H
#define GWP_POSIX_TARGET_H

#include "url.h"

#define GWP_TARGET_MAX (GWC_TARGET_MAX + GWC_HOST_MAX + 16u) /* scheme, host, port and path */

struct gwp_target {
    char host[GWC_HOST_MAX + 1]; /* in lower case */
    uint16_t port;
    char url[GWP_TARGET_MAX + 1];
};

/* "<base>/<path>", or `base` alone if path is NULL. GW_ERR_VALUE; on failure `t` stays as it is. */
GW_MUST_USE int gwp_target_make(struct gwp_target *t, struct gw_span base, const char *path);
/* Where a redirect from `t` points to: an https URL, or a path on the same host. */
GW_MUST_USE int gwp_target_follow(struct gwp_target *t, const char *location);

#endif
