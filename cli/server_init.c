/*
 * server_init.c - godwit server init and token: a server's folder, with its CA, certificates, configuration, broker and
 * first token.
 *
 * What it keeps true: nothing that is there is overwritten; private keys and the list of tokens are 0600, the folders
 * with secrets 0700; a token is shown once, or goes into a file 0600 of a profile; the server has its SHA-256 alone.
 * Who owns the data folder runs godwitd: what root writes for it later is given to that user, who must read it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "rest.h"
#include "serve.h"

#define NAMES_MAX 16u

/* ---- Tokens ------------------------------------------------------------------------------------------------------ */

static int make_token(char token[CLI_TOKEN_SIZE], struct gwh_error *err)
{
    uint8_t random[32], text[48];
    if (RAND_bytes(random, sizeof random) != 1 || EVP_EncodeBlock(text, random, sizeof random) != 44) {
        return gwh_fail_reason(err, GW_ERR_CRYPTO, "cannot make a token");
    }
    for (size_t i = 0; i < 43; i++) { /* base64url, without its padding */
        text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    }
    (void)snprintf(token, CLI_TOKEN_SIZE, "gwa_%.43s", (const char *)text);
    gw_wipe(random, sizeof random);
    gw_wipe(text, sizeof text);
    return GWH_OK;
}

static int check_token(const char *name, const char *role, uint32_t days, struct gwh_error *err)
{
    static const char *const roles[] = {"viewer", "publisher", "operator", "admin"};
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@-"), i = 0;
    while (i < 4 && strcmp(role, roles[i]) != 0) {
        i++;
    }
    if (i == 4) {
        return gwh_fail(err, GWH_USAGE, "--role %.40s: expected viewer, publisher, operator or admin", role);
    }
    if (n == 0 || n > 60 || name[n] != '\0') {
        return gwh_fail(err, GWH_USAGE, "a token's name is of letters, digits, _ . @ -, at most 60");
    }
    return days == 0 || days > 3650 ? gwh_fail(err, GWH_USAGE, "a token is good for 1 to 3650 days") : GWH_OK;
}

/* By root: to whom the data folder belongs. */
static int give_to_daemon(const char *path, const struct stat *data, struct gwh_error *err)
{
    if (geteuid() == 0 && chown(path, data->st_uid, data->st_gid) != 0) {
        return gwh_fail_errno(err, "cannot give %s to the user of godwitd", path);
    }
    return GWH_OK;
}

/* "NAME ROLE CREATED EXPIRES SHA256": one line for each; godwitd takes them in and removes the file. */
int cli_token_add(char token[CLI_TOKEN_SIZE], const char *data, const char *name, const char *role, uint32_t days,
                  struct gwh_error *err)
{
    char path[GWH_PATH_MAX], line[300], hex[65];
    uint8_t hash[32];
    struct stat owner;
    long long now = (long long)time(NULL);
    int e = check_token(name, role, days, err);
    e = e == GWH_OK ? gwh_path(path, data, CLI_FIRST_TOKENS, err) : e;
    e = e == GWH_OK ? make_token(token, err) : e;
    if (e != GWH_OK) {
        return e;
    }
    if (gw_sha256(gwh_openssl()->gw, (const uint8_t *)token, strlen(token), hash) != GW_OK) {
        return gwh_fail_reason(err, GW_ERR_CRYPTO, "token");
    }
    gwh_hex(hex, hash, 32);
    int n = snprintf(line, sizeof line, "%s %s %lld %lld %s\n", name, role, now, now + (long long)days * 86400, hex);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || write(fd, line, (size_t)n) != n || fsync(fd) != 0) {
        e = gwh_fail_errno(err, "cannot write %s", path);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return e == GWH_OK && stat(data, &owner) == 0 ? give_to_daemon(path, &owner, err) : e;
}

/* ---- Parts of the folder ----------------------------------------------------------------------------------------- */

struct init {
    const struct gwh_args *a;
    struct cli_setup setup;
    const char *names[NAMES_MAX];
    struct gwh_ca ca;
    uint32_t days;
};

static int sub(char out[GWH_PATH_MAX], const struct init *s, const char *name, struct gwh_error *err)
{
    return gwh_path(out, s->setup.folder, name, err);
}

static int folder(const char *path, mode_t mode, struct gwh_error *err)
{
    if (mkdir(path, mode) != 0 && (errno != EEXIST || !gwh_is_folder(path))) {
        return gwh_fail_errno(err, "cannot make the folder %s", path);
    }
    return GWH_OK;
}

static int folders(const struct init *s, struct gwh_error *err)
{
    static const struct {
        const char *name;
        mode_t mode;
    } all[] = {{"data", 0700}, {"tls", 0755}, {"mosquitto", 0755}};
    char path[GWH_PATH_MAX];
    int e = folder(s->setup.folder, 0755, err);
    e = e == GWH_OK ? sub(path, s, CLI_CONF, err) : e;
    if (e == GWH_OK && gwh_file_exists(path)) {
        (void)gwh_fail(err, GWH_REFUSED, "%s is a server's folder already", s->setup.folder);
        e = gwh_hint(err, "godwit server check %s", s->setup.folder);
    }
    for (size_t i = 0; e == GWH_OK && i < sizeof all / sizeof *all; i++) {
        e = sub(path, s, all[i].name, err);
        e = e == GWH_OK ? folder(path, all[i].mode, err) : e;
    }
    return e;
}

/* A file of the caller's becomes one of the server's. */
static int copy(const struct init *s, const char *from, const char *name, struct gwh_error *err)
{
    struct gwh_buf bytes = {0};
    char to[GWH_PATH_MAX];
    int e = gwh_file_read(&bytes, from, 64u * 1024u * 1024u, err);
    e = e == GWH_OK ? sub(to, s, name, err) : e;
    e = e == GWH_OK ? gwh_file_write(to, gwh_span(&bytes), 0644, false, err) : e;
    gwh_buf_free(&bytes);
    return e;
}

/* The device CA: a file, or the folder of `godwit key new --device-ca`, from which its key is not taken. */
static int take_device_ca(struct init *s, struct gwh_error *err)
{
    const char *from = gwh_text(s->a, "device-ca");
    char path[GWH_PATH_MAX], list[GWH_PATH_MAX] = "";
    struct gwh_certificate c;
    if (from == NULL) {
        return GWH_OK;
    }
    int e = gwh_is_folder(from) ? gwh_path(path, from, "ca.pem", err) : GWH_OK;
    if (e == GWH_OK && gwh_is_folder(from)) {
        e = gwh_path(list, from, "crl.pem", err);
        from = path;
    }
    e = e == GWH_OK ? gwh_certificate_info(&c, from, err) : e;
    if (e == GWH_OK && !c.is_ca) {
        e = gwh_fail(err, GWH_REFUSED, "%s is not the certificate of a CA", from);
    }
    s->setup.devices = e == GWH_OK;
    e = e == GWH_OK ? copy(s, from, "tls/device-ca.pem", err) : e;
    s->setup.crl = e == GWH_OK && list[0] != '\0' && gwh_file_exists(list);
    return e == GWH_OK && s->setup.crl ? copy(s, list, "tls/device-crl.pem", err) : e;
}

static int take_trust(struct init *s, struct gwh_error *err)
{
    const char *from = gwh_text(s->a, "trust");
    struct gwh_buf bytes = {0};
    struct gw_trust trust;
    char roots[GWH_PATH_MAX];
    if (from == NULL) {
        return GWH_OK;
    }
    int e = cli_trust(s->a, &bytes, &trust, err);
    gwh_buf_free(&bytes);
    e = e == GWH_OK ? copy(s, from, "trust.cose", err) : e;
    if (e == GWH_OK && (size_t)snprintf(roots, sizeof roots, "%s.roots.pem", from) >= sizeof roots) {
        e = gwh_fail(err, GWH_IO, "the path %.80s... is too long", from);
    }
    s->setup.trust = e == GWH_OK;
    return e == GWH_OK ? copy(s, roots, "trust.cose.roots.pem", err) : e;
}

/* What the broker must read, when it is started by root and becomes another user. */
static int give_to_broker(const char *folder, uid_t owner, struct gwh_error *err)
{
    static const char *const files[] = {"tls/broker.key", "mosquitto/devices.acl", "mosquitto/server.acl"};
    char path[GWH_PATH_MAX];
    int e = GWH_OK;
    for (size_t i = 0; e == GWH_OK && owner != geteuid() && i < sizeof files / sizeof *files; i++) {
        e = gwh_path(path, folder, files[i], err);
        if (e == GWH_OK && chown(path, owner, (gid_t)-1) != 0) {
            e = gwh_fail_errno(err, "cannot give %s to the user of the broker", path);
        }
    }
    return e;
}

/* The keys of godwitd; that of the broker is the broker's. */
static int give_keys(const char *folder, struct gwh_error *err)
{
    static const char *const files[] = {"tls/server.key", "tls/godwitd.key"};
    char path[GWH_PATH_MAX];
    struct stat data;
    int e = gwh_path(path, folder, "data", err);
    if (e != GWH_OK || stat(path, &data) != 0) {
        return e; /* data is elsewhere: then whoever moved it gives the keys away */
    }
    for (size_t i = 0; e == GWH_OK && i < sizeof files / sizeof *files; i++) {
        e = gwh_path(path, folder, files[i], err);
        e = e == GWH_OK ? give_to_daemon(path, &data, err) : e;
    }
    return e;
}

/* --user: the data folder becomes that user's, and with it all that godwitd alone may read. */
static int give_data(const struct init *s, struct gwh_error *err)
{
    const char *name = gwh_text(s->a, "user");
    const struct passwd *user = name != NULL ? getpwnam(name) : NULL;
    char path[GWH_PATH_MAX];
    if (name == NULL) {
        return GWH_OK;
    }
    int e = sub(path, s, "data", err);
    if (e == GWH_OK && (user == NULL || chown(path, user->pw_uid, user->pw_gid) != 0)) {
        e = gwh_fail_errno(err, "cannot give %s to %s", path, name);
    }
    e = e == GWH_OK ? sub(path, s, "ca", err) : e;
    if (e == GWH_OK && chmod(path, 0711) != 0) { /* godwitd reads ca.pem; ca.key is 0600 */
        e = gwh_fail_errno(err, "cannot open %s to %s", path, name);
    }
    return e == GWH_OK ? give_keys(s->setup.folder, err) : e;
}

static uid_t user_id(const char *name)
{
    const struct passwd *user = getpwnam(name);
    return user != NULL ? user->pw_uid : geteuid();
}

/* What the server's CA signs: for godwitd's doors, for the broker, for godwitd at the broker. */
static int sign_all(const struct gwh_ca *ca, const char *folder, const char *const *names, unsigned n, uint32_t days,
                    bool force, struct gwh_error *err)
{
    char tls[GWH_PATH_MAX];
    const char *hosts[NAMES_MAX + 2];
    for (unsigned i = 0; i < n; i++) {
        hosts[i] = names[i];
    }
    hosts[n] = "127.0.0.1"; /* where godwitd finds its broker */
    hosts[n + 1] = "localhost";
    const struct gwh_leaf server = {names[0], hosts, n, GWH_SERVER, days};
    const struct gwh_leaf broker = {names[0], hosts, n + 2, GWH_SERVER, days};
    const struct gwh_leaf client = {CLI_BROKER_USER, NULL, 0, GWH_CLIENT, days};
    int e = gwh_path(tls, folder, "tls", err);
    e = e == GWH_OK ? gwh_ca_sign_new(ca, &server, tls, "server", force, err) : e;
    e = e == GWH_OK ? gwh_ca_sign_new(ca, &broker, tls, "broker", force, err) : e;
    return e == GWH_OK ? gwh_ca_sign_new(ca, &client, tls, "godwitd", force, err) : e;
}

static int certificates(struct init *s, struct gwh_error *err)
{
    char path[GWH_PATH_MAX], name[80];
    (void)snprintf(name, sizeof name, "Godwit server CA %.40s", s->names[0]);
    int e = sub(path, s, "ca", err);
    e = e == GWH_OK ? gwh_ca_new(&s->ca, path, name, GWH_CA_DAYS, NULL, false, err) : e;
    return e == GWH_OK ? sign_all(&s->ca, s->setup.folder, s->names, s->setup.name_count, s->days, false, err) : e;
}

/* The names are those of the certificate that is there. */
int cli_server_renew(const struct gwh_args *a, struct gwh_error *err)
{
    char path[GWH_PATH_MAX], hosts[NAMES_MAX][256];
    const char *names[NAMES_MAX], *passphrase = NULL;
    struct gwh_ca ca = {0};
    struct gwh_buf secret = {0};
    uint32_t days = GWH_SERVER_DAYS;
    unsigned n = 0;
    struct stat broker;
    int e = gwh_number(a, "days", GWH_SERVER_DAYS, &days, err);
    e = e == GWH_OK ? gwh_path(path, a->operand[0], "mosquitto/devices.acl", err) : e;
    uid_t owner = e == GWH_OK && stat(path, &broker) == 0 ? broker.st_uid : geteuid();
    e = e == GWH_OK ? cli_passphrase(a, &secret, &passphrase, err) : e;
    e = e == GWH_OK ? gwh_path(path, a->operand[0], "tls/server.pem", err) : e;
    e = e == GWH_OK ? gwh_certificate_hosts(path, hosts, NAMES_MAX, &n, err) : e;
    for (unsigned i = 0; i < n; i++) {
        names[i] = hosts[i];
    }
    e = e == GWH_OK ? gwh_path(path, a->operand[0], "ca", err) : e;
    e = e == GWH_OK ? gwh_ca_load(&ca, gwh_text(a, "ca") != NULL ? gwh_text(a, "ca") : path, passphrase, err) : e;
    e = e == GWH_OK ? sign_all(&ca, a->operand[0], names, n, days, true, err) : e;
    e = e == GWH_OK ? give_to_broker(a->operand[0], owner, err) : e;
    e = e == GWH_OK ? give_keys(a->operand[0], err) : e;
    if (e == GWH_OK) {
        gwh_note("%s: new keys and certificates for %s, good for %u days; next: SIGHUP to godwitd, restart the broker",
                 a->operand[0], names[0], (unsigned)days);
    }
    gwh_ca_free(&ca);
    gwh_buf_free(&secret);
    return e;
}

static int write_text(const struct init *s, const char *name, struct gw_span text, mode_t mode, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    int e = sub(path, s, name, err);
    return e == GWH_OK ? gwh_file_write(path, text, mode, false, err) : e;
}

static int texts(struct init *s, struct gwh_error *err)
{
    struct gwh_buf broker = {0};
    const struct gw_span devices = {(const uint8_t *)cli_broker_devices, strlen(cli_broker_devices)};
    const struct gw_span server = {(const uint8_t *)cli_broker_server, strlen(cli_broker_server)};
    int e = cli_broker_conf(&broker, &s->setup, err);
    e = e == GWH_OK ? write_text(s, "mosquitto/mosquitto.conf", gwh_span(&broker), 0644, err) : e;
    e = e == GWH_OK ? write_text(s, "mosquitto/devices.acl", devices, 0600, err) : e;
    e = e == GWH_OK ? write_text(s, "mosquitto/server.acl", server, 0600, err) : e;
    e = e == GWH_OK ? cli_server_conf(&s->setup, err) : e; /* last: now it is a server's folder */
    gwh_buf_free(&broker);
    return e;
}

/* ---- init -------------------------------------------------------------------------------------------------------- */

static int options(struct init *s, struct gwh_error *err)
{
    const struct gwh_args *a = s->a;
    const struct passwd *user = getpwuid(geteuid());
    s->setup.folder = a->operand[0];
    s->setup.address = gwh_text(a, "address") != NULL ? gwh_text(a, "address") : "0.0.0.0";
    s->setup.names = s->names;
    s->setup.name_count = gwh_text_count(a, "name");
    if (geteuid() == 0 && getpwnam("mosquitto") != NULL) {
        (void)snprintf(s->setup.user, sizeof s->setup.user, "mosquitto");
    } else {
        (void)snprintf(s->setup.user, sizeof s->setup.user, "%.60s", user != NULL ? user->pw_name : "mosquitto");
    }
    if (s->setup.name_count > NAMES_MAX) {
        return gwh_fail(err, GWH_USAGE, "at most %u names", NAMES_MAX);
    }
    for (unsigned i = 0; i < s->setup.name_count; i++) {
        s->names[i] = gwh_text_i(a, "name", i);
    }
    if (strlen(s->names[0]) > 64) {
        return gwh_fail(err, GWH_USAGE, "the first name has at most 64 bytes; longer ones can follow");
    }
    if (gwh_flag(a, "user") && geteuid() != 0) {
        return gwh_fail(err, GWH_USAGE, "--user is for root: without it the folder is yours, and godwitd runs as you");
    }
    if (gwh_flag(a, "user") && getpwnam(gwh_text(a, "user")) == NULL) {
        (void)gwh_fail(err, GWH_USAGE, "--user %.60s: there is no such user", gwh_text(a, "user"));
        return gwh_hint(err, "useradd --system --no-create-home --shell /usr/sbin/nologin %.60s", gwh_text(a, "user"));
    }
    if (strspn(s->setup.address, "0123456789abcdefABCDEF.:") != strlen(s->setup.address)) {
        return gwh_fail(err, GWH_USAGE, "--address %.60s: expected an address of this machine", s->setup.address);
    }
    int e = gwh_number(a, "port", 8440, &s->setup.port, err);
    e = e == GWH_OK ? gwh_number(a, "days", GWH_SERVER_DAYS, &s->days, err) : e;
    if (e == GWH_OK && (s->setup.port == 0 || s->setup.port > 65530)) {
        e = gwh_fail(err, GWH_USAGE, "--port: six ports from there on are used, at most to 65535");
    }
    return e;
}

/* Shown once, or kept in a profile. */
static int first_token(const struct init *s, struct gwh_error *err)
{
    char token[CLI_TOKEN_SIZE], url[300], ca[GWH_PATH_MAX];
    const char *profile = gwh_text(s->a, "profile");
    bool brackets = strchr(s->names[0], ':') != NULL;
    (void)snprintf(url, sizeof url, brackets ? "https://[%s]:%u" : "https://%s:%u", s->names[0],
                   (unsigned)s->setup.port + 3);
    int e = sub(ca, s, "data", err);
    e = e == GWH_OK ? cli_token_add(token, ca, "first", "admin", 90, err) : e;
    e = e == GWH_OK ? sub(ca, s, "ca/ca.pem", err) : e;
    if (e == GWH_OK && profile != NULL) {
        e = gwh_profile_add(profile, url, ca, token, gwh_flag(s->a, "force"), err);
    } else if (e == GWH_OK) {
        gwh_note("the first token for administration, good for 90 days, shown once:");
        (void)printf("%s\n", token);
    }
    gw_wipe(token, sizeof token);
    return e;
}

static void tell(const struct init *s)
{
    const char *f = s->setup.folder;
    gwh_note("%s: a server for %s at ports %u (devices), %u (administration), %u (MQTT)", f, s->names[0],
             (unsigned)s->setup.port, (unsigned)s->setup.port + 3, (unsigned)s->setup.port + 4);
    gwh_note("  ca/ca.pem     what devices and people check the server by; ca/ca.key signs: keep it elsewhere");
    if (!s->setup.devices) {
        gwh_note("  no --device-ca was given: devices with certificates find no listener yet");
    }
    if (strcmp(s->setup.user, "root") == 0) {
        gwh_note("  the broker would run as root: make a user for it, name it in mosquitto.conf, give it "
                 "tls/broker.key and the access lists");
    }
    if (!s->setup.trust) {
        gwh_note("  no --trust was given: no release can be published yet");
    }
    gwh_note("next: mosquitto -c %s/mosquitto/mosquitto.conf, godwitd %s/" CLI_CONF ", godwit server check %s", f, f,
             f);
}

int cli_server_init(const struct gwh_args *a, struct gwh_error *err)
{
    struct init s = {.a = a};
    int e = options(&s, err);
    e = e == GWH_OK ? folders(&s, err) : e;
    e = e == GWH_OK ? take_device_ca(&s, err) : e;
    e = e == GWH_OK ? take_trust(&s, err) : e;
    e = e == GWH_OK ? certificates(&s, err) : e;
    e = e == GWH_OK ? texts(&s, err) : e;
    e = e == GWH_OK ? give_to_broker(s.setup.folder, user_id(s.setup.user), err) : e;
    e = e == GWH_OK ? give_data(&s, err) : e;
    e = e == GWH_OK ? first_token(&s, err) : e;
    if (e == GWH_OK) {
        tell(&s);
    }
    gwh_ca_free(&s.ca);
    return e;
}
