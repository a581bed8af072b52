/*
 * client.h - who a device is to servers, from its identity: id, class, key and certificate as a TLS layer takes them.
 */
#ifndef GWC_CLIENT_H
#define GWC_CLIENT_H

#include "godwit/boot.h"

#define GWC_KEY_DER 51u /* ECPrivateKey on P-256 without its public key (RFC 5915) */

struct gwc_client {
    char id[GW_DEVICE_ID_MAX + 1];
    char class_id[2 * GW_UUID_SIZE + 1]; /* in hex */
    struct gw_span certificate;          /* DER, a view into `memory`; n 0: it has none */
    uint8_t key[GWC_KEY_DER];            /* DER; secret. All of it, if there is a certificate */
};

/*
 * Reads the identity of a device. `memory`: GW_IDENTITY_MAX bytes that stay as they are while `certificate` is used,
 * and hold secrets: call gwc_client_forget() when the TLS layer has taken key and certificate. Errors: GW_ERR_SPACE,
 * those of flash and of gw_identity_parse().
 */
GW_MUST_USE int gwc_client_read(struct gwc_client *c, const struct gw_device *dev, uint8_t *memory, size_t size);
/* Wipes key and memory; id and class stay. */
void gwc_client_forget(struct gwc_client *c, uint8_t *memory, size_t size);

#endif
