/*
 * trusted.h - what a trust bundle says of servers (SPEC.md, section 3, items 7 and 9), as a TLS layer wants it
 * (stream.h): for every connection of a device, to its server and to its broker.
 */
#ifndef GWC_TRUSTED_H
#define GWC_TRUSTED_H

#include "godwit/transport.h"
#include "stream.h"

#define GWC_PINS_MAX 4u /* pins of a trust bundle; more are GW_ERR_LIMIT */

/* Fills `out` with views: of `pins`, which are copied, and of the roots, which lie in the bundle. Without a bundle
 * there are neither. GW_ERR_LIMIT: more pins than there is room for: none is left out in silence. */
GW_MUST_USE int gwc_trusted_from(struct gwc_trusted *out, uint8_t pins[GWC_PINS_MAX][GW_DIGEST_SIZE],
                                 const struct gw_transport_trust *t);
/* Root number i, a view. GW_ERR_NOTHING: there is none. */
GW_MUST_USE int gwc_trusted_root(const struct gwc_trusted *t, uint32_t i, struct gw_span *der);

#endif
