/*
 * pki.c - godwit key new --device-ca, key revoke; godwit device csr, certify: the CA of the devices, at the
 * manufacturer's.
 */
#include <string.h>
#include <time.h>

#include "cli.h"
#include "pki.h"

int cli_new_ca(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_ca ca = {0};
    struct gwh_buf secret = {0};
    const char *passphrase = NULL, *folder = a->operand[0];
    uint32_t days = GWH_CA_DAYS;
    int e = gwh_number(a, "days", GWH_CA_DAYS, &days, err);
    e = e == GWH_OK ? cli_passphrase(a, &secret, &passphrase, err) : e;
    if (e == GWH_OK && (days == 0 || days > 36500)) {
        e = gwh_fail(err, GWH_USAGE, "--days: 1 to 36500");
    }
    if (e == GWH_OK && !gwh_flag(a, "dry-run")) {
        e = gwh_ca_new(&ca, folder, gwh_text(a, "device-ca"), days, passphrase, gwh_flag(a, "force"), err);
    }
    if (e == GWH_OK) {
        gwh_note("%s: a CA for devices, good for %u days; ca.key stays here, ca.pem and crl.pem go to the server",
                 folder, (unsigned)days);
    }
    gwh_ca_free(&ca);
    gwh_buf_free(&secret);
    return e;
}

/* ---- key revoke -------------------------------------------------------------------------------------------------- */

static const struct gwh_option revoke_options[] = {
    {"ca", "DIR", "the CA that signed them", true, false},
    {"days", "N", "until when the list is good; 10 years if not given", false, false},
    CLI_PASSPHRASE,
    GWH_OPTIONS_END,
};

static int run_revoke(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_ca ca = {0};
    struct gwh_buf secret = {0};
    const char *passphrase = NULL;
    uint32_t days = GWH_CRL_DAYS;
    int e = gwh_number(a, "days", GWH_CRL_DAYS, &days, err);
    e = e == GWH_OK ? cli_passphrase(a, &secret, &passphrase, err) : e;
    e = e == GWH_OK ? gwh_ca_load(&ca, gwh_text(a, "ca"), passphrase, err) : e;
    for (unsigned i = 0; e == GWH_OK && i < (a->operand_count == 0 ? 1 : a->operand_count); i++) {
        e = gwh_ca_revoke(&ca, a->operand_count == 0 ? NULL : a->operand[i], days, err);
    }
    if (e == GWH_OK) {
        gwh_note("%s/crl.pem: %u revoked now, signed anew; next: copy it to the server (and to the broker), and reload "
                 "both", gwh_text(a, "ca"), a->operand_count);
    }
    gwh_ca_free(&ca);
    gwh_buf_free(&secret);
    return e;
}

/* ---- device csr, certify ----------------------------------------------------------------------------------------- */

static const struct gwh_option csr_options[] = {
    {"id", "ID", "of the device", true, false},
    {"own-key", "KEY", "private P-256 key of the device; it does not leave it", true, false},
    CLI_OUT("the request"),
    CLI_PASSPHRASE,
    CLI_FORCE,
    GWH_OPTIONS_END,
};

static int run_csr(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_key key = {0};
    struct gwh_buf secret = {0}, pem = {0};
    const char *passphrase = NULL;
    int e = cli_passphrase(a, &secret, &passphrase, err);
    e = e == GWH_OK ? gwh_key_load_private(&key, gwh_text(a, "own-key"), passphrase, err) : e;
    if (e == GWH_OK && key.pub.algorithm != GW_ALG_ES256) {
        e = gwh_fail(err, GWH_REFUSED, "%s is no P-256 key", gwh_text(a, "own-key"));
    }
    e = e == GWH_OK ? gwh_csr_make(&pem, &key, gwh_text(a, "id"), err) : e;
    e = e == GWH_OK ? gwh_file_write(gwh_text(a, "o"), gwh_span(&pem), 0644, gwh_flag(a, "force"), err) : e;
    if (e == GWH_OK) {
        gwh_note("%s: a request for %s; next, where the CA is: godwit device certify %s --device-ca DIR -o %s.pem",
                 gwh_text(a, "o"), gwh_text(a, "id"), gwh_text(a, "o"), gwh_text(a, "id"));
    }
    gwh_key_free(&key);
    gwh_buf_free(&secret);
    gwh_buf_free(&pem);
    return e;
}

static const struct gwh_option certify_options[] = {
    {"device-ca", "DIR", "the CA of the devices, from `godwit key new --device-ca`", true, false},
    {"id", "ID", "of the device, to be compared with what the request says", false, false},
    {"days", "N", "how long the certificate is good; 20 years if not given", false, false},
    CLI_OUT("the certificate"),
    CLI_PASSPHRASE,
    CLI_FORCE,
    GWH_OPTIONS_END,
};

static int certify(const struct gwh_args *a, const struct gwh_ca *ca, uint32_t days, struct gwh_error *err)
{
    struct gwh_key key = {0};
    struct gwh_buf pem = {0};
    char id[GW_DEVICE_ID_MAX + 1], hex[129];
    int e = gwh_csr_read(&key, id, a->operand[0], gwh_text(a, "id"), err);
    struct gwh_leaf leaf = {.name = id, .purpose = GWH_CLIENT, .days = days};
    e = e == GWH_OK ? gwh_ca_sign(ca, &leaf, &key, &pem, err) : e;
    e = e == GWH_OK ? gwh_file_write(gwh_text(a, "o"), gwh_span(&pem), 0644, gwh_flag(a, "force"), err) : e;
    if (e == GWH_OK) {
        gwh_hex(hex, key.bytes, 64);
        gwh_note("%s: the certificate of %s, good for %u days", gwh_text(a, "o"), id, (unsigned)days);
        (void)printf("%s %s\n", id, hex); /* what `device import` needs of it: id, and public key */
    }
    gwh_key_free(&key);
    gwh_buf_free(&pem);
    return e;
}

static int run_certify(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_ca ca = {0};
    struct gwh_buf secret = {0};
    const char *passphrase = NULL;
    uint32_t days = GWH_DEVICE_DAYS;
    int e = gwh_number(a, "days", GWH_DEVICE_DAYS, &days, err);
    e = e == GWH_OK ? cli_passphrase(a, &secret, &passphrase, err) : e;
    e = e == GWH_OK ? gwh_ca_load(&ca, gwh_text(a, "device-ca"), passphrase, err) : e;
    e = e == GWH_OK ? certify(a, &ca, days, err) : e;
    gwh_ca_free(&ca);
    gwh_buf_free(&secret);
    return e;
}

const struct gwh_command cli_pki[] = {
    {"key", "revoke", "[CERTIFICATE ...]", 0, GWH_OPERANDS_MAX,
     "add certificates to a CA's list of revoked ones, or sign the list anew", revoke_options,
     "godwit key revoke dev1.pem --ca device-ca", run_revoke},
    {"device", "csr", "", 0, 0, "on the device's side: a request for its certificate, signed by its own key",
     csr_options, "godwit device csr --id dev1 --own-key own.pem -o dev1.csr", run_csr},
    {"device", "certify", "CSR", 1, 1, "sign a device's certificate, if its request is right", certify_options,
     "godwit device certify dev1.csr --device-ca device-ca --id dev1 -o dev1.pem", run_certify},
    CLI_COMMANDS_END,
};
