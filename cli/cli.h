/*
 * cli.h - what the nouns of `godwit` share. One file per noun; each has a table of commands.
 */
#ifndef GODWIT_CLI_H
#define GODWIT_CLI_H

#include "args.h"
#include "keys.h"
#include "release.h"
#include "show.h"

extern const struct gwh_command cli_key[], cli_release[], cli_publish[], cli_device[], cli_layout[], cli_push[],
    cli_patch[], cli_report[], cli_pki[], cli_serve[],
    cli_devices[], cli_rollout[], cli_other[];
#define CLI_COMMANDS_END                                                                                               \
    {                                                                                                                  \
        NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL                                                                 \
    }

/* Options that several commands have. */
#define CLI_FORCE                                                                                                      \
    {                                                                                                                  \
        "force", NULL, "overwrite what is there", false, false                                                         \
    }
#define CLI_DRY_RUN                                                                                                    \
    {                                                                                                                  \
        "dry-run", NULL, "do all but write", false, false                                                              \
    }
#define CLI_JSON                                                                                                       \
    {                                                                                                                  \
        "json", NULL, "as JSON", false, false                                                                          \
    }
#define CLI_PASSPHRASE                                                                                                 \
    {                                                                                                                  \
        "passphrase-file", "FILE", "its first line decrypts (or encrypts) private keys", false, false                  \
    }
#define CLI_OUT(what)                                                                                                  \
    {                                                                                                                  \
        "o", "FILE", what, true, false                                                                                 \
    }

/* The passphrase that was given, a string in `b`, or NULL. */
int cli_passphrase(const struct gwh_args *a, struct gwh_buf *b, const char **passphrase, struct gwh_error *err);
/* Vendor and class ids from --vendor and --class. */
int cli_ids(const struct gwh_args *a, uint8_t vendor[16], uint8_t class_id[16], struct gwh_error *err);
/* Roots from PEM files: `paths` public or private keys each. */
struct cli_keys {
    struct gwh_key key[GW_KEYS_MAX];
    struct gw_pubkey pub[GW_KEYS_MAX];
    uint32_t count;
};
int cli_keys_add(struct cli_keys *k, const char *path, const char *passphrase, uint32_t roles, struct gwh_error *err);
/* All keys of a file with several public keys. */
int cli_keys_add_all(struct cli_keys *k, const char *path, struct gwh_error *err);
void cli_keys_free(struct cli_keys *k);
/* The holders that an option names, "KEY.pem" or "kek:NAME=FILE". Free with cli_holders_free(), which takes NULL. */
struct cli_holders {
    struct gwh_holder *holder;
    struct gwh_holders set;
};
int cli_holders(struct cli_holders **holders, const struct gwh_args *a, const char *option, struct gwh_error *err);
void cli_holders_free(struct cli_holders *h);
/* Prints a tree and drops it. */
int cli_print(const struct gwh_args *a, json_t *tree);
/* Signs a .cose file as --key, or --public with --digest-out or --signature-in say. */
int cli_sign(const struct gwh_args *a, const struct gwh_object *o, struct gwh_error *err);
/* The bundle of --trust, checked by the roots of --root or of the file beside it; `bytes` holds it. */
int cli_trust(const struct gwh_args *a, struct gwh_buf *bytes, struct gw_trust *trust, struct gwh_error *err);
/* godwit device provision --board: the flash of a unit, for this identity. */
int cli_provision_unit(const struct gwh_args *a, struct gw_span identity, struct gwh_error *err);
/* godwit key new --device-ca. */
int cli_new_ca(const struct gwh_args *a, struct gwh_error *err);
/* Any device in a folder, described: a unit's flash files, or a device on this PC. */
int cli_show_device(const struct gwh_args *a, const char *folder, struct gwh_error *err);
/* The version "1.4.0" as major * 1000000 + minor * 1000 + patch. False: it has another shape. */
bool cli_sequence_of(const char *version, uint32_t *sequence);

#endif
