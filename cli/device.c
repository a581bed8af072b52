/*
 * device.c - godwit device: provision, show. Makes identities: what a device is, whom it trusts, which keys it holds;
 * for a board, the flash of a unit around it (board.c).
 */
#include <stdlib.h>
#include <string.h>

#include "cose.h"
#include "fleet.h"
#include "pki.h"
#include "provision.h"

static const struct gwh_option provision_options[] = {
    {"id", "ID", "of the device: letters, digits, _ and -, at most 48; needed without --identity", false, false},
    {"vendor", "DOMAIN", "vendor's domain name; needed without --identity", false, false},
    {"class", "NAME", "class of device (for --csv: of lines that name none); needed without --identity", false, false},
    {"hardware", "N", "hardware revision; 0 if not given", false, false},
    {"root", "KEY", "a root that signs trust bundles; 2 to 4; needed without --identity", false, true},
    {"threshold", "N", "root signatures that a bundle needs; 2 if not given", false, false},
    {"device-key", "KEY", "private P-256 key for content keys granted to this device or its group", false, true},
    {"kek", "NAME=FILE", "pre-shared key-encryption key", false, true},
    {"own-key", "KEY", "private P-256 key of the device itself: signs its reports, goes with --certificate", false,
     false},
    {"certificate", "FILE", "X.509 certificate for --own-key, PEM or DER: what the device shows to servers", false,
     false},
    {"csv", "FILE", "a batch: for each line id[,class[,hardware[,tags]]] a key, a certificate by --device-ca and an "
                    "identity, in the folder -o; and devices.json for `device import`. Tags with ; between them",
     false, false},
    {"device-ca", "DIR", "for --csv: the CA of the devices, from `godwit key new --device-ca`", false, false},
    {"days", "N", "for --csv: how long certificates are good; 20 years if not given", false, false},
    {"factory", "FILE", "factory image, which the identity names by its digest; with --board it is written too",
     false, false},
    {"identity", "FILE", "an identity made before, instead of all of the above", false, false},
    {"board", "BOARD", "make flash files of a unit: name of a board, or a board.json", false, false},
    {"bootloader", "FILE", "for --board: raw binary of the bootloader", false, false},
    {"trust", "FILE", "for --board: the trust bundle", false, false},
    {"settings", "FILE", "for --board: what it is told beside its identity, as its server: lines `name = value`", false,
     false},
    {"release", "RELEASE", "for --board: first release, installed and confirmed", false, false},
    CLI_OUT("the identity, or the unit's folder; it holds secrets, mode 0600"),
    CLI_PASSPHRASE,
    CLI_FORCE,
    CLI_DRY_RUN,
    GWH_OPTIONS_END,
};
static const struct gwh_option show_options[] = {CLI_SERVER, CLI_JSON, GWH_OPTIONS_END};

static int add_keks(const struct gwh_args *a, struct provisioning *p, struct gwh_error *err)
{
    char text[GWH_PATH_MAX];
    for (unsigned i = 0; gwh_text_i(a, "kek", i) != NULL; i++) {
        if (i == SECRETS_MAX || (size_t)snprintf(text, sizeof text, "kek:%s", gwh_text_i(a, "kek", i)) >= sizeof text) {
            return gwh_fail(err, GWH_USAGE, "--kek: at most %u, each NAME=FILE", SECRETS_MAX);
        }
        int e = gwh_holder_parse(&p->kek[i], text, NULL, err);
        if (e != GWH_OK) {
            return e;
        }
        p->kek_secret[i].kid = (struct gw_span){p->kek[i].kid, p->kek[i].kid_size};
        p->kek_secret[i].key = (struct gw_span){p->kek[i].kek, p->kek[i].kek_size};
        p->id.kek_count = i + 1;
    }
    return GWH_OK;
}

static int add_device_keys(const struct gwh_args *a, struct provisioning *p, struct gwh_error *err)
{
    for (unsigned i = 0; gwh_text_i(a, "device-key", i) != NULL; i++) {
        const char *path = gwh_text_i(a, "device-key", i);
        if (i == SECRETS_MAX) {
            return gwh_fail(err, GWH_USAGE, "--device-key: at most %u", SECRETS_MAX);
        }
        int e = gwh_holder_parse(&p->ec[i], path, p->passphrase, err);
        if (e != GWH_OK) {
            return e;
        }
        if (gwh_key_secret(&p->ec[i].key, p->d[i]) != GW_OK) {
            return gwh_fail(err, GWH_REFUSED, "%s is a public key: the device needs the private one", path);
        }
        p->ec_secret[i].kid = (struct gw_span){p->ec[i].kid, p->ec[i].kid_size};
        p->ec_secret[i].key = (struct gw_span){p->d[i], 32};
        p->id.ec_count = i + 1;
    }
    return GWH_OK;
}

/* The certificate in DER; it must be for the device's own key. */
static int add_certificate(const struct gwh_args *a, struct provisioning *p, struct gwh_error *err)
{
    const char *path = gwh_text(a, "certificate");
    if (path == NULL) {
        return GWH_OK;
    }
    if (!gwh_flag(a, "own-key")) {
        return gwh_fail(err, GWH_USAGE, "--certificate needs the key that it is for: --own-key KEY");
    }
    int e = gwh_certificate_read(&p->certificate, path, &p->own, err);
    p->id.certificate = gwh_span(&p->certificate);
    return e;
}

int cli_use_own_key(struct provisioning *p, const char *path, struct gwh_error *err)
{
    if (gwh_key_secret(&p->own, p->own_d) != GW_OK) {
        return gwh_fail(err, GWH_REFUSED, "%s is no P-256 key, and devices sign with ES256", path);
    }
    for (uint32_t i = 0; i < p->id.ec_count; i++) {
        if (memcmp(p->ec[i].key.thumbprint, p->own.thumbprint, 32) == 0) {
            return gwh_fail(err, GWH_REFUSED, "%s is a --device-key too: a key has one use", path);
        }
    }
    p->id.own = (struct gwh_secret){{p->own.thumbprint, GW_KEY_ID_SIZE}, {p->own_d, sizeof p->own_d}};
    return GWH_OK;
}

static int add_own_key(const struct gwh_args *a, struct provisioning *p, struct gwh_error *err)
{
    const char *path = gwh_text(a, "own-key");
    if (path == NULL) {
        return add_certificate(a, p, err);
    }
    int e = gwh_key_load_private(&p->own, path, p->passphrase, err);
    if (e != GWH_OK) {
        return e;
    }
    e = cli_use_own_key(p, path, err);
    return e == GWH_OK ? add_certificate(a, p, err) : e;
}

static int add_factory(const struct gwh_args *a, struct provisioning *p, struct gwh_error *err)
{
    struct gwh_buf image = {0};
    if (!gwh_flag(a, "factory")) {
        return GWH_OK;
    }
    int e = gwh_file_read(&image, gwh_text(a, "factory"), GWH_IMAGE_MAX, err);
    if (e == GWH_OK && image.n == 0) {
        e = gwh_fail(err, GWH_REFUSED, "%s is empty", gwh_text(a, "factory"));
    }
    if (e == GWH_OK) {
        p->id.factory_size = (uint32_t)image.n;
        int reason = gw_sha256(gwh_openssl()->gw, image.p, image.n, p->id.factory_digest);
        e = reason == GW_OK ? GWH_OK : gwh_fail_reason(err, reason, "factory image");
    }
    gwh_buf_free(&image);
    return e;
}

static int add_roots(const struct gwh_args *a, struct provisioning *p, struct gwh_error *err)
{
    int e = GWH_OK;
    for (unsigned i = 0; e == GWH_OK && gwh_text_i(a, "root", i) != NULL; i++) {
        e = cli_keys_add(&p->roots, gwh_text_i(a, "root", i), p->passphrase, GW_ROLE_ROOT, err);
    }
    if (e == GWH_OK && (p->roots.count < 2 || p->roots.count > GW_ROOTS_MAX)) {
        e = gwh_fail(err, GWH_USAGE, "2 to %u different roots are needed; %u given", GW_ROOTS_MAX,
                     (unsigned)p->roots.count);
    }
    p->id.roots = p->roots.pub;
    p->id.root_count = p->roots.count;
    return e == GWH_OK ? gwh_number(a, "threshold", 2, &p->id.threshold, err) : e;
}

/* Made as told, and taken by the device's own parser. */
int cli_encode_identity(struct provisioning *p, struct gwh_error *err)
{
    struct gw_identity parsed;
    struct gw_roots roots;
    p->id.keks = p->kek_secret;
    p->id.ec = p->ec_secret;
    int e = gwh_identity_encode(&p->out, &p->id);
    if (e == GW_OK && p->out.n > GW_IDENTITY_MAX) {
        e = GW_ERR_LIMIT;
    }
    if (e == GW_OK) {
        e = gw_identity_parse(&parsed, &roots, p->out.p, p->out.n);
    }
    return e == GW_OK ? GWH_OK : gwh_fail_reason(err, e, "no device would take this identity");
}

void cli_provision_free(struct provisioning *p)
{
    cli_keys_free(&p->roots);
    for (unsigned i = 0; i < SECRETS_MAX; i++) {
        gwh_holder_free(&p->kek[i]);
        gwh_holder_free(&p->ec[i]);
    }
    gwh_key_free(&p->own);
    gwh_buf_free(&p->out);
    gwh_buf_free(&p->secret);
    gwh_buf_free(&p->certificate);
    gw_wipe(p, sizeof *p);
    free(p);
}

int cli_provision_common(const struct gwh_args *a, struct provisioning *p, struct gwh_error *err)
{
    static const char *const needed[] = {"vendor", "class", "root"};
    int e = GWH_OK;
    for (size_t i = 0; e == GWH_OK && i < sizeof needed / sizeof *needed; i++) {
        e = gwh_need(a, needed[i], err);
    }
    e = e == GWH_OK ? cli_ids(a, p->id.vendor, p->id.class_id, err) : e;
    e = e == GWH_OK ? gwh_number(a, "hardware", 0, &p->id.hardware, err) : e;
    e = e == GWH_OK ? cli_passphrase(a, &p->secret, &p->passphrase, err) : e;
    e = e == GWH_OK ? add_roots(a, p, err) : e;
    e = e == GWH_OK ? add_device_keys(a, p, err) : e;
    return e == GWH_OK ? add_keks(a, p, err) : e;
}

/* From the options. */
static int make_identity(const struct gwh_args *a, struct provisioning *p, struct gwh_error *err)
{
    int e = gwh_need(a, "id", err);
    p->id.device_id = gwh_text(a, "id");
    e = e == GWH_OK ? gwh_device_id_check(p->id.device_id, err) : e;
    e = e == GWH_OK ? cli_provision_common(a, p, err) : e;
    e = e == GWH_OK ? add_own_key(a, p, err) : e;
    e = e == GWH_OK ? add_factory(a, p, err) : e;
    return e == GWH_OK ? cli_encode_identity(p, err) : e;
}

/* One that was made before. */
static int read_identity(const struct gwh_args *a, struct provisioning *p, struct gwh_error *err)
{
    static const char *const other[] = {"id",         "vendor", "class",   "root",       "hardware", "threshold",
                                        "device-key", "kek",    "own-key", "certificate"};
    const char *path = gwh_text(a, "identity");
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        if (gwh_flag(a, other[i])) {
            return gwh_fail(err, GWH_USAGE, "--identity %s says already what --%s would", path, other[i]);
        }
    }
    if (!gwh_flag(a, "board")) {
        return gwh_fail(err, GWH_USAGE, "--identity is for --board: the identity is there already");
    }
    return gwh_file_read(&p->out, path, GW_IDENTITY_MAX, err);
}

static int write_identity(const struct gwh_args *a, struct provisioning *p, struct gwh_error *err)
{
    int e = GWH_OK;
    if (!gwh_flag(a, "dry-run")) {
        e = gwh_file_write(gwh_text(a, "o"), gwh_span(&p->out), 0600, gwh_flag(a, "force"), err);
    }
    if (e == GWH_OK) {
        gwh_note("%s: identity of %s, %zu bytes, %u roots, %u of them needed, %u private and %u pre-shared keys",
                 gwh_text(a, "o"), p->id.device_id, p->out.n, (unsigned)p->id.root_count, (unsigned)p->id.threshold,
                 (unsigned)p->id.ec_count, (unsigned)p->id.kek_count);
    }
    return e;
}

static int run_provision(const struct gwh_args *a, struct gwh_error *err)
{
    static const char *const for_board[] = {"bootloader", "trust", "settings", "release"};
    for (size_t i = 0; i < sizeof for_board / sizeof *for_board; i++) {
        if (gwh_flag(a, for_board[i]) && !gwh_flag(a, "board")) {
            return gwh_fail(err, GWH_USAGE, "--%s is for units of a board: add --board", for_board[i]);
        }
    }
    if (gwh_flag(a, "csv")) {
        return cli_provision_batch(a, err);
    }
    if (gwh_flag(a, "device-ca") || gwh_flag(a, "days")) {
        (void)gwh_fail(err, GWH_USAGE, "--device-ca and --days are for --csv");
        return gwh_hint(err, "godwit device csr and godwit device certify make the certificate of one device");
    }
    struct provisioning *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "provision");
    }
    int e = gwh_flag(a, "identity") ? read_identity(a, p, err) : make_identity(a, p, err);
    if (e == GWH_OK) {
        e = gwh_flag(a, "board") ? cli_provision_unit(a, gwh_span(&p->out), err) : write_identity(a, p, err);
    }
    cli_provision_free(p);
    return e;
}

static int run_show(const struct gwh_args *a, struct gwh_error *err)
{
    return gwh_file_exists(a->operand[0]) ? cli_show_device(a, a->operand[0], err) : cli_device_show(a, err);
}

const struct gwh_command cli_device[] = {
    {"device", "provision", "", 0, 0, "write the identity of a device, or with --board the whole flash of a unit",
     provision_options,
     "godwit device provision --id dev1 --vendor example.com --class sensor-c3 --root root1.pub.pem --root "
     "root2.pub.pem "
     "--device-key device.pem -o dev1.identity",
     run_provision},
    {"device", "show", "DEVICE", 1, 1,
     "what lies on a device's flash: a unit's files, or a device on this PC; else what the server knows of one",
     show_options, "godwit device show unit1/", run_show},
    CLI_COMMANDS_END,
};
