/*
 * provision.h - what device.c and device_batch.c share: an identity being made.
 */
#ifndef GODWIT_CLI_PROVISION_H
#define GODWIT_CLI_PROVISION_H

#include "cli.h"

#define SECRETS_MAX 4u

struct provisioning {
    struct gwh_identity id;
    struct cli_keys roots;
    struct gwh_holder kek[SECRETS_MAX], ec[SECRETS_MAX];
    struct gwh_secret kek_secret[SECRETS_MAX], ec_secret[SECRETS_MAX];
    uint8_t d[SECRETS_MAX][32];
    struct gwh_key own;
    uint8_t own_d[32];
    struct gwh_buf out, secret, certificate;
    const char *passphrase;
};

/* From the options: what all devices of a batch have: vendor, class, hardware, roots, shared keys. */
int cli_provision_common(const struct gwh_args *a, struct provisioning *p, struct gwh_error *err);
/* p->own becomes the key that signs reports; `path` for messages. */
int cli_use_own_key(struct provisioning *p, const char *path, struct gwh_error *err);
/* Into p->out, and taken by the device's own parser. */
int cli_encode_identity(struct provisioning *p, struct gwh_error *err);
/* Wiped. */
void cli_provision_free(struct provisioning *p);
/* godwit device provision --csv. */
int cli_provision_batch(const struct gwh_args *a, struct gwh_error *err);

#endif
