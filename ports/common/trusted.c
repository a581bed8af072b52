/*
 * trusted.c - from a trust bundle to what a TLS layer checks by; see trusted.h.
 */
#include "trusted.h"

#include <string.h>

#include "cbor.h"
#include "fields.h"

static void read_pin(struct gw_cbor *c, void *out)
{
    gw_cbor_fixed(c, out, GW_DIGEST_SIZE);
}

static void read_root(struct gw_cbor *c, void *out)
{
    struct gw_span der = gw_cbor_bytes(c);

    memcpy(out, &der, sizeof der);
}

int gwc_trusted_from(struct gwc_trusted *out, uint8_t pins[GWC_PINS_MAX][GW_DIGEST_SIZE],
                     const struct gw_transport_trust *t)
{
    uint32_t count = t->trust != NULL ? gw_list_count(t->trust->pins) : 0;

    memset(out, 0, sizeof *out);
    if (count > GWC_PINS_MAX) {
        return GW_ERR_LIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        int error = gw_list_read(t->trust->pins, i, read_pin, pins[i]);
        if (error != GW_OK) {
            return error;
        }
    }
    out->now = t->now;
    out->pins = (const uint8_t (*)[GW_DIGEST_SIZE])pins;
    out->pin_count = count;
    if (t->trust != NULL) {
        out->roots = t->trust->server_cas;
    }
    return GW_OK;
}

int gwc_trusted_root(const struct gwc_trusted *t, uint32_t i, struct gw_span *der)
{
    return gw_list_read(t->roots, i, read_root, der);
}
