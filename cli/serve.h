/*
 * serve.h - what the files of `godwit server` share: a server's folder.
 *
 *    DIR/godwitd.conf            DIR/data/         database and payloads of godwitd, 0700
 *    DIR/tls/                    certificates; private keys 0600        DIR/ca/   the server's CA
 *    DIR/mosquitto/              configuration of the broker, and who may do what there
 */
#ifndef GODWIT_CLI_SERVE_H
#define GODWIT_CLI_SERVE_H

#include "cli.h"
#include "pki.h"
#include "server/first.h"
#include "server/server.h"

#define CLI_CONF "godwitd.conf"
#define CLI_FIRST_TOKENS GWS_FIRST_TOKENS
#define CLI_BROKER_USER "godwitd" /* common name of godwitd's certificate at the broker */

struct cli_server {
    const char *folder;
    struct gws_config config; /* paths are whole */
};
/* Reads godwitd's configuration, as godwitd does. */
int cli_server_open(struct cli_server *s, const char *folder, struct gwh_error *err);

/* A token for administration, written down (as its SHA-256) in the data folder, for godwitd to
 * take in at its next start or SIGHUP. */
#define CLI_TOKEN_SIZE 48 /* with its zero */
int cli_token_add(char token[CLI_TOKEN_SIZE], const char *data, const char *name, const char *role, uint32_t days,
                  struct gwh_error *err);
/* Text of the files that `init` writes. */
struct cli_setup {
    const char *folder, *address;
    const char *const *names;
    unsigned name_count;
    uint32_t port; /* the first of six */
    char user[64]; /* whom the broker becomes when it is started by root */
    bool devices, crl, trust; /* there is a device CA, its list of revoked ones, a trust bundle */
};
int cli_server_conf( const struct cli_setup *s, struct gwh_error *err);
int cli_broker_conf(struct gwh_buf *out, const struct cli_setup *s, struct gwh_error *err);
extern const char cli_broker_devices[], cli_broker_server[]; /* ACL files */

int cli_server_init(const struct gwh_args *a, struct gwh_error *err);
int cli_server_check(const struct gwh_args *a, struct gwh_error *err);
int cli_server_renew(const struct gwh_args *a, struct gwh_error *err);
int cli_server_backup(const struct gwh_args *a, struct gwh_error *err);
extern const struct gwh_option cli_server_reports_options[];
int cli_server_reports(const struct gwh_args *a, struct gwh_error *err);

#endif
