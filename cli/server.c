/*
 * server.c - godwit server: init, check, backup, token, tokens, audit. What needs a running server goes over its API
 * (fleet.c has the helpers); the rest works on the server's folder alone.
 */
#include <stdlib.h>
#include <string.h>

#include "fleet.h"
#include "serve.h"

static const struct gwh_option init_options[] = {
    {"name", "HOST", "name or address by which devices and people reach the server", true, true},
    {"device-ca", "FILE", "certificate of the device CA, or the folder of `godwit key new --device-ca`", false, false},
    {"trust", "BUNDLE", "the fleet's trust bundle; BUNDLE.roots.pem beside it", false, false},
    {"root", "KEY", "a root that signs the bundle; those in BUNDLE.roots.pem if none is given", false, true},
    {"threshold", "N", "root signatures that the bundle needs; 2 if not given", false, false},
    {"address", "ADDRESS", "to listen at; 0.0.0.0 if not given", false, false},
    {"port", "N", "the first of six; 8440 if not given", false, false},
    {"days", "N", "how long the certificates are good; 397 if not given", false, false},
    {"user", "NAME", "whom godwitd runs as, when root calls this: data folder and keys become his", false, false},
    {"profile", "NAME", "keep the first token in a profile of this user, instead of showing it", false, false},
    {"force", NULL, "replace a profile of that name; nothing else is ever replaced", false, false},
    GWH_OPTIONS_END,
};
static const struct gwh_option check_options[] = {CLI_JSON, GWH_OPTIONS_END};
static const struct gwh_option backup_options[] = {
    CLI_OUT("the archive, for tar"),
    {"with-keys", NULL, "private keys too: then the archive is as secret as they are", false, false},
    CLI_FORCE,
    GWH_OPTIONS_END,
};
static const struct gwh_option token_options[] = {
    {"name", "NAME", "whose it is: it is in the audit log", true, false},
    {"role", "ROLE", "viewer, publisher, operator or admin", true, false},
    {"days", "N", "how long it is good; 90 if not given", false, false},
    {"o", "FILE", "keep it in a file, 0600, instead of showing it", false, false},
    CLI_SERVER,
    GWH_OPTIONS_END,
};
static const struct gwh_option renew_options[] = {
    {"days", "N", "how long the certificates are good; 397 if not given", false, false},
    {"ca", "DIR", "folder of the server's CA, if it is kept elsewhere", false, false},
    CLI_PASSPHRASE,
    GWH_OPTIONS_END,
};
static const struct gwh_option list_options[] = {CLI_SERVER, CLI_JSON, GWH_OPTIONS_END};
static const struct gwh_option revoke_options[] = {CLI_SERVER, GWH_OPTIONS_END};
static const struct gwh_option audit_options[] = {
    {"limit", "N", "so many, the newest; 100 if not given", false, false},
    CLI_SERVER,
    CLI_JSON,
    GWH_OPTIONS_END,
};

/* ---- Tokens ------------------------------------------------------------------------------------------------------ */

static int hand_over(const struct gwh_args *a, const char *token, struct gwh_error *err)
{
    const char *out = gwh_text(a, "o");
    if (out != NULL) {
        return gwh_file_write(out, (struct gw_span){(const uint8_t *)token, strlen(token)}, 0600, false, err);
    }
    (void)printf("%s\n", token);
    return GWH_OK;
}

/* With the server's folder, for the time when no token is left: godwitd takes it in at its start, or at SIGHUP. */
static int token_here(const struct gwh_args *a, uint32_t days, struct gwh_error *err)
{
    char token[CLI_TOKEN_SIZE];
    struct cli_server *s = calloc(1, sizeof *s);
    int e = s != NULL ? cli_server_open(s, a->operand[0], err) : gwh_fail_reason(err, GW_ERR_SPACE, "server");
    e = e == GWH_OK ? cli_token_add(token, s->config.data, gwh_text(a, "name"), gwh_text(a, "role"), days, err) : e;
    e = e == GWH_OK ? hand_over(a, token, err) : e;
    if (e == GWH_OK) {
        gwh_note("it is good as soon as godwitd has started again, or got SIGHUP");
    }
    gw_wipe(token, sizeof token);
    free(s);
    return e;
}

static int token_there(const struct gwh_args *a, uint32_t days, struct gwh_error *err)
{
    struct gwh_rest r;
    json_t *answer = NULL;
    json_t *body = json_pack("{s:s,s:s,s:I}", "name", gwh_text(a, "name"), "role", gwh_text(a, "role"), "expires",
                             (json_int_t)time(NULL) + (json_int_t)days * 86400);
    int e = cli_rest(&r, a, err);
    e = e == GWH_OK ? gwh_rest_call(&r, "POST", "/api/v1/tokens", body, &answer, err) : e;
    const char *token = json_string_value(json_object_get(answer, "token"));
    if (e == GWH_OK && token == NULL) {
        e = gwh_fail(err, GWH_IO, "the server answered without a token");
    }
    e = e == GWH_OK ? hand_over(a, token, err) : e;
    json_decref(answer);
    json_decref(body);
    gwh_rest_close(&r);
    return e;
}

static int run_token(const struct gwh_args *a, struct gwh_error *err)
{
    uint32_t days = 90;
    int e = gwh_number(a, "days", 90, &days, err);
    if (e != GWH_OK) {
        return e;
    }
    return a->operand_count == 1 ? token_here(a, days, err) : token_there(a, days, err);
}

static int run_tokens(const struct gwh_args *a, struct gwh_error *err)
{
    static const struct cli_column columns[] = {{"id", "ID", 0}, {"name", "NAME", 0}, {"role", "ROLE", 0},
                                                {"created", "CREATED", CLI_TIME}, {"expires", "EXPIRES", CLI_TIME},
                                                {"creator", "BY", 0}, {NULL, NULL, 0}};
    return cli_rest_table(a, "/api/v1/tokens", 0, columns, err);
}

static int run_trust(const struct gwh_args *a, struct gwh_error *err)
{
    return cli_put_file(a, "/api/v1/trust", a->operand[0], err);
}

static int run_revoke(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_rest r;
    char path[400] = "/api/v1/tokens/";
    int e = cli_rest(&r, a, err);
    e = e == GWH_OK ? gwh_rest_add(path, sizeof path, a->operand[0], err) : e;
    e = e == GWH_OK ? gwh_rest_call(&r, "DELETE", path, NULL, NULL, err) : e;
    if (e == GWH_OK) {
        gwh_note("token %s is good no more", a->operand[0]);
    }
    gwh_rest_close(&r);
    return e;
}

static int run_audit(const struct gwh_args *a, struct gwh_error *err)
{
    static const struct cli_column columns[] = {{"time", "TIME", CLI_TIME}, {"who", "WHO", 0}, {"what", "WHAT", 0},
                                                {"object", "OBJECT", 0}, {"detail", "DETAIL", 0}, {NULL, NULL, 0}};
    uint32_t limit = 100;
    int e = gwh_number(a, "limit", 100, &limit, err);
    return e == GWH_OK ? cli_rest_table(a, "/api/v1/audit", limit, columns, err) : e;
}

const struct gwh_command cli_serve[] = {
    {"server", "init", "DIR", 1, 1, "a server's folder: its CA and certificates, configuration, broker, first token",
     init_options,
     "godwit server init /srv/godwit --name updates.example.com --device-ca device-ca --trust trust.cose "
     "--profile fleet",
     cli_server_init},
    {"server", "check", "DIR", 1, 1, "what is wrong with a server's folder, and which command mends it",
     check_options, "godwit server check /srv/godwit", cli_server_check},
    {"server", "renew", "DIR", 1, 1, "new keys and certificates for the server and its broker, from the server's CA",
     renew_options, "godwit server renew /srv/godwit", cli_server_renew},
    {"server", "backup", "DIR", 1, 1, "a consistent copy of a server, running or not, as an archive for tar",
     backup_options, "godwit server backup /srv/godwit -o godwit.tar", cli_server_backup},
    {"server", "reports", "DIR", 1, 1, "verifies every stored report by its device's key: finds what was made up",
     cli_server_reports_options, "godwit server reports /srv/godwit --devices devices/devices.json",
     cli_server_reports},
    {"server", "token", "[DIR]", 0, 1, "make a token: by the API, or in the server's folder when no token is left",
     token_options, "godwit server token --name ci --role publisher -o ci.token", run_token},
    {"server", "tokens", "", 0, 0, "tokens: whose, which role, until when", list_options, "godwit server tokens",
     run_tokens},
    {"server", "revoke", "TOKEN-ID", 1, 1, "a token is good no more", revoke_options, "godwit server revoke 0198c2e4",
     run_revoke},
    {"server", "trust", "BUNDLE", 1, 1, "a newer trust bundle: releases are checked by it, devices are offered it",
     revoke_options, "godwit server trust trust2.cose", run_trust},
    {"server", "audit", "", 0, 0, "who changed what, newest first", audit_options, "godwit server audit --limit 20",
     run_audit},
    CLI_COMMANDS_END,
};
