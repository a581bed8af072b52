/*
 * server_check.c - godwit server check: files, modes, certificates, database, ports, broker, clock of a server's
 * folder; for each thing that is wrong the command that mends it. Changes nothing; the server may run or not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "mqtt.h"
#include "serve.h"

#define SOON (30 * 86400) /* a certificate that ends within that is a warning */
#define BROKER_MS 5000u

enum level { OK, WARNING, PROBLEM };
struct checks {
    const struct gwh_args *a;
    struct cli_server s;
    json_t *list;
    unsigned problems;
    bool running; /* a godwitd has the database */
};

static void note(struct checks *c, enum level level, const char *what, const char *text, const char *hint)
{
    static const char *const words[] = {"ok", "warning", "problem"};
    json_t *o = json_pack("{s:s,s:s,s:s}", "check", what, "result", words[level], "text", text);
    if (hint != NULL && hint[0] != '\0') {
        (void)json_object_set_new(o, "mend", json_string(hint));
    }
    (void)json_array_append_new(c->list, o);
    c->problems += level == PROBLEM;
}

static void say(struct checks *c, enum level level, const char *what, const char *hint, const char *format, ...)
    GWH_PRINTF(5, 6);
static void say(struct checks *c, enum level level, const char *what, const char *hint, const char *format, ...)
{
    char text[700];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    note(c, level, what, text, hint);
}

/* ---- Files and their modes --------------------------------------------------------------------------------------- */

static void check_secret(struct checks *c, const char *what, const char *path)
{
    struct stat st;
    char hint[GWH_PATH_MAX + 32];
    (void)snprintf(hint, sizeof hint, "godwit server renew %s", c->s.folder);
    if (stat(path, &st) != 0) {
        say(c, PROBLEM, what, hint, "%s: %s", path, strerror(errno));
        return;
    }
    (void)snprintf(hint, sizeof hint, "chmod go-rwx %s", path);
    if ((st.st_mode & 077) != 0) {
        say(c, PROBLEM, what, hint, "%s can be read or written by others (mode %o)", path,
            (unsigned)(st.st_mode & 0777));
    } else {
        say(c, OK, what, NULL, "%s is private", path);
    }
}

/* Who cannot read his key does not start, or keeps the old one at a SIGHUP. */
static void check_owner(struct checks *c, const char *name, const char *as, const char *who)
{
    char path[GWH_PATH_MAX], other[GWH_PATH_MAX], hint[2 * GWH_PATH_MAX + 40];
    struct gwh_error err = {0};
    struct stat key, owner;
    if (gwh_path(path, c->s.folder, name, &err) != GWH_OK || gwh_path(other, c->s.folder, as, &err) != GWH_OK ||
        stat(path, &key) != 0 || stat(other, &owner) != 0 || key.st_uid == owner.st_uid) {
        return;
    }
    (void)snprintf(hint, sizeof hint, "chown --reference=%s %s", other, path);
    say(c, PROBLEM, "owners", hint, "%s belongs to another user than %s, and %s cannot read it", path, other, who);
}

static void check_ca_folder(struct checks *c)
{
    char path[GWH_PATH_MAX], data[GWH_PATH_MAX], hint[GWH_PATH_MAX + 40];
    struct gwh_error err = {0};
    struct stat ca, owner;
    if (gwh_path(path, c->s.folder, "ca", &err) == GWH_OK && gwh_path(data, c->s.folder, "data", &err) == GWH_OK &&
        stat(path, &ca) == 0 && stat(data, &owner) == 0 && ca.st_uid != owner.st_uid && (ca.st_mode & 01) == 0) {
        (void)snprintf(hint, sizeof hint, "chmod 711 %s", path);
        say(c, PROBLEM, "owners", hint, "%s is closed to the user of godwitd, who needs ca.pem there", path);
    }
}

static void check_owners(struct checks *c)
{
    check_owner(c, "tls/server.key", "data", "godwitd");
    check_owner(c, "tls/godwitd.key", "data", "godwitd");
    check_owner(c, "data/" CLI_FIRST_TOKENS, "data", "godwitd");
    check_owner(c, "data/godwit.db", "data", "godwitd");
    check_ca_folder(c);
    check_owner(c, "tls/broker.key", "mosquitto/devices.acl", "the broker");
}

static void check_folder(struct checks *c)
{
    static const char *const secrets[] = {"data", "tls/server.key", "tls/broker.key", "tls/godwitd.key"};
    char path[GWH_PATH_MAX], hint[GWH_PATH_MAX + 80];
    struct gwh_error err = {0};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        if (gwh_path(path, c->s.folder, secrets[i], &err) == GWH_OK) {
            check_secret(c, "modes", path);
        }
    }
    if (gwh_path(path, c->s.folder, "ca/ca.key", &err) == GWH_OK && gwh_file_exists(path)) {
        check_secret(c, "modes", path);
        (void)snprintf(hint, sizeof hint, "move it to where only you are, and use: godwit server renew %s --ca WHERE",
                       c->s.folder);
        say(c, WARNING, "server CA", hint,
            "%s, which can make servers that devices trust, lies on the server", path);
    }
}

/* ---- Certificates ------------------------------------------------------------------------------------------------ */

static bool check_dates(struct checks *c, const char *what, const char *path, const struct gwh_certificate *info,
                        const char *hint)
{
    time_t now = time(NULL);
    if (now < info->from || now > info->until) {
        say(c, PROBLEM, what, hint, "%s %s", path, now < info->from ? "is not good yet: is the clock right?"
                                                                  : "has expired");
        return false;
    }
    if (info->until - now < SOON) {
        say(c, WARNING, what, hint, "%s expires in %ld days", path, (long)((info->until - now) / 86400));
    }
    return true;
}

struct pair {
    const char *what, *certificate, *key;
    enum gwh_purpose purpose;
};

static void check_pair(struct checks *c, const struct pair *p)
{
    char certificate[GWH_PATH_MAX], key[GWH_PATH_MAX], ca[GWH_PATH_MAX], hint[GWH_PATH_MAX + 40];
    struct gwh_error err = {0};
    struct gwh_certificate info;
    (void)snprintf(hint, sizeof hint, "godwit server renew %s", c->s.folder);
    int e = gwh_path(certificate, c->s.folder, p->certificate, &err);
    e = e == GWH_OK ? gwh_path(key, c->s.folder, p->key, &err) : e;
    e = e == GWH_OK ? gwh_path(ca, c->s.folder, "ca/ca.pem", &err) : e;
    e = e == GWH_OK ? gwh_certificate_info(&info, certificate, &err) : e;
    if (e == GWH_OK && !check_dates(c, p->what, certificate, &info, hint)) {
        return;
    }
    e = e == GWH_OK ? gwh_certificate_fits(certificate, key, &err) : e;
    e = e == GWH_OK ? gwh_certificate_check(certificate, ca, p->purpose, NULL, &err) : e;
    if (e != GWH_OK) {
        say(c, PROBLEM, p->what, hint, "%s", err.text);
    } else {
        say(c, OK, p->what, NULL, "%s: %s, %ld days left", certificate, info.subject,
            (long)((info.until - time(NULL)) / 86400));
    }
}

static void check_device_ca(struct checks *c)
{
    char path[GWH_PATH_MAX];
    struct gwh_error err = {0};
    struct gwh_certificate info;
    const char *hint = "copy ca.pem from where `godwit key new --device-ca` made it";
    (void)snprintf(path, sizeof path, "%s", c->s.config.door[0].client_ca);
    if (c->s.config.door[0].listen[0] == '\0') {
        say(c, WARNING, "device CA", "set [devices] listen and client_ca in " CLI_CONF,
            "no listener for devices with certificates");
        return;
    }
    int e = gwh_certificate_info(&info, path, &err);
    if (e != GWH_OK || !info.is_ca) {
        say(c, PROBLEM, "device CA", hint, "%s", e != GWH_OK ? err.text : "client_ca is not the certificate of a CA");
    } else if (check_dates(c, "device CA", path, &info, hint)) {
        say(c, OK, "device CA", NULL, "%s: %s", path, info.subject);
    }
}

/* Out of date, no device with a certificate is let in: neither by godwitd nor by the broker. */
static void check_crl(struct checks *c)
{
    const char *path = c->s.config.door[0].crl;
    char hint[GWH_PATH_MAX + 160];
    struct gwh_error err = {0};
    time_t until = 0, now = time(NULL);
    if (path[0] == '\0' || c->s.config.door[0].listen[0] == '\0') {
        return;
    }
    (void)snprintf(hint, sizeof hint,
                   "godwit key revoke --ca device-ca, where the device CA's key is; copy its crl.pem to %s; SIGHUP to "
                   "godwitd, restart the broker", path);
    if (gwh_crl_check(path, c->s.config.door[0].client_ca, &until, &err) != GWH_OK) {
        say(c, PROBLEM, "revoked", hint, "%s", err.text);
    } else if (until < now) {
        say(c, PROBLEM, "revoked", hint, "%s is out of date: every device with a certificate is refused", path);
    } else if (until - now < SOON) {
        say(c, WARNING, "revoked", hint, "%s is out of date in %ld days; from then on every device is refused", path,
            (long)((until - now) / 86400));
    } else {
        say(c, OK, "revoked", NULL, "%s: good for %ld days", path, (long)((until - now) / 86400));
    }
}

static void check_certificates(struct checks *c)
{
    static const struct pair pairs[] = {
        {"certificate", "tls/server.pem", "tls/server.key", GWH_SERVER},
        {"certificate", "tls/broker.pem", "tls/broker.key", GWH_SERVER},
        {"certificate", "tls/godwitd.pem", "tls/godwitd.key", GWH_CLIENT},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        check_pair(c, &pairs[i]);
    }
    check_device_ca(c);
    check_crl(c);
}

/* ---- Trust ------------------------------------------------------------------------------------------------------- */

static void check_trust(struct checks *c)
{
    const char *path = c->s.config.trust, *roots = c->s.config.roots;
    if (path[0] == '\0' || roots[0] == '\0') {
        say(c, WARNING, "trust", "set [server] trust and roots in " CLI_CONF ", or PUT /api/v1/trust",
            "no trust bundle: no release can be published");
    } else if (!gwh_file_exists(path) || !gwh_file_exists(roots)) {
        say(c, PROBLEM, "trust", "copy both from where `godwit key bundle` made them", "%s is missing",
            gwh_file_exists(path) ? roots : path);
    } else {
        say(c, OK, "trust", NULL, "%s", path);
    }
}

/* ---- Database ---------------------------------------------------------------------------------------------------- */

static bool locked(const char *database)
{
    char path[GWH_PATH_MAX + 8];
    (void)snprintf(path, sizeof path, "%s.lock", database);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool held = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0) {
        (void)close(fd); /* and with it the lock, if this was the first */
    }
    return held;
}

static void check_sqlite(struct checks *c, const char *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    const char *text = "cannot be opened";
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK) {
        (void)sqlite3_busy_timeout(db, 5000);
        bool row = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &s, NULL) == SQLITE_OK &&
                   sqlite3_step(s) == SQLITE_ROW;
        text = row ? (const char *)sqlite3_column_text(s, 0) : sqlite3_errmsg(db);
    }
    bool good = strcmp(text, "ok") == 0;
    say(c, good ? OK : PROBLEM, "database", good ? NULL : "restore a backup: docs/server.md", "%s%s%s", path,
        good ? (c->running ? ": whole; a godwitd has it" : ": whole; no godwitd has it") : ": ", good ? "" : text);
    (void)sqlite3_finalize(s);
    (void)sqlite3_close(db);
}

static void check_data(struct checks *c)
{
    const char *data = c->s.config.data;
    char path[GWH_PATH_MAX], hint[GWH_PATH_MAX + 80];
    struct gwh_error err = {0};
    struct statvfs fs;
    if (gwh_path(path, data, "godwit.db", &err) != GWH_OK || !gwh_is_folder(data)) {
        (void)snprintf(hint, sizeof hint, "restore a backup (docs/server.md), or for an empty server: mkdir -m 700 %s",
                       data);
        say(c, PROBLEM, "data", hint, "the data folder %s is missing", data);
        return;
    }
    if (access(data, W_OK) != 0) {
        say(c, PROBLEM, "data", "run this, and godwitd, as the owner of the folder", "%s cannot be written", data);
    }
    if (statvfs(data, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < (1u << 30)) {
        say(c, WARNING, "data", "free some space", "%s has %llu MB left", data,
            (unsigned long long)fs.f_bavail * fs.f_frsize >> 20);
    }
    c->running = locked(path);
    if (gwh_file_exists(path)) {
        check_sqlite(c, path);
    } else {
        say(c, OK, "database", NULL, "%s is not there yet: godwitd makes it", path);
    }
    if (gwh_path(path, data, CLI_FIRST_TOKENS, &err) == GWH_OK && gwh_file_exists(path)) {
        check_secret(c, "tokens", path);
        if (c->running) {
            say(c, WARNING, "tokens", "kill -HUP the godwitd", "tokens wait to be taken in: %s", path);
        }
    }
}

/* ---- Ports, broker ----------------------------------------------------------------------------------------------- */

/* Address and port of "address:port", "[address]:port". */
static bool split(const char *text, char host[128], char port[8])
{
    const char *colon = strrchr(text, ':');
    size_t n = colon != NULL ? (size_t)(colon - text) : 0;
    if (n > 2 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    if (colon == NULL || n == 0 || n >= 128 || strlen(colon + 1) > 7) {
        return false;
    }
    (void)snprintf(host, 128, "%.*s", (int)n, text);
    (void)snprintf(port, 8, "%s", colon + 1);
    return true;
}

/* Can it be bound (bind true), or reached? 0, or errno. */
static int try_address(const char *host, const char *port, bool to_bind)
{
    struct addrinfo want = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | (to_bind ? AI_PASSIVE : 0)};
    struct addrinfo *found = NULL;
    int one = 1, result = EHOSTUNREACH;
    if (getaddrinfo(host, port, &want, &found) != 0) {
        return result;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | (to_bind ? 0 : SOCK_NONBLOCK), 0);
    if (to_bind) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        result = bind(fd, found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;
    } else {
        socklen_t n = sizeof result;
        result = connect(fd, found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        if (result == EINPROGRESS) {
            result = ETIMEDOUT;
            if (poll(&p, 1, 3000) > 0) {
                (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &n);
            }
        }
    }
    (void)close(fd);
    freeaddrinfo(found);
    return result;
}

static void check_port(struct checks *c, size_t door)
{
    static const char *const names[] = {"devices", "tokens", "payloads", "admin"};
    const char *section = names[door], *address = c->s.config.door[door].listen;
    char host[128], port[8];
    if (address[0] == '\0') {
        return;
    }
    if (!split(address, host, port)) {
        say(c, PROBLEM, "ports", "expected ADDRESS:PORT in " CLI_CONF, "[%s] listen = %s", section, address);
        return;
    }
    const char *to = strcmp(host, "0.0.0.0") == 0 ? "127.0.0.1" : strcmp(host, "::") == 0 ? "::1" : host;
    int code = c->running ? try_address(to, port, false) : try_address(host, port, true);
    if (code != 0) {
        say(c, PROBLEM, "ports",
            c->running ? "look into the log of godwitd" : "choose another port, or end what uses it", "[%s] %s: %s",
            section, address, strerror(code));
    } else {
        say(c, OK, "ports", NULL, "[%s] %s %s", section, address, c->running ? "answers" : "is free");
    }
}

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* As godwitd does: only while it does not run, for the broker keeps one connection of each client. */
static bool try_broker(struct gwh_mqtt *m)
{
    for (uint64_t end = now_ms() + BROKER_MS; now_ms() < end && !gwh_mqtt_connected(m);) {
        gwh_mqtt_step(m, now_ms());
        struct pollfd p = {.fd = gwh_mqtt_fd(m), .events = (short)(POLLIN | (gwh_mqtt_wants_write(m) ? POLLOUT : 0))};
        if (gwh_mqtt_why(m)[0] != '\0' || poll(&p, 1, 50) < 0) {
            break;
        }
    }
    return gwh_mqtt_connected(m);
}

static void check_broker(struct checks *c)
{
    const char *host = c->s.config.mqtt.host;
    char hint[GWH_PATH_MAX + 60];
    struct gwh_error err = {0};
    struct gwh_mqtt *m = NULL;
    struct gwh_mqtt_config config = {.host = host,
                                     .port = c->s.config.mqtt.port,
                                     .id = CLI_BROKER_USER,
                                     .subscribe = "godwit/+/report",
                                     .ca = c->s.config.mqtt.ca,
                                     .certificate = c->s.config.mqtt.certificate,
                                     .key = c->s.config.mqtt.key};
    if (host[0] == '\0') {
        say(c, OK, "broker", NULL, "none is configured: devices look at their own pace");
        return;
    }
    (void)snprintf(hint, sizeof hint, "mosquitto -c %s/mosquitto/mosquitto.conf", c->s.folder);
    if (c->running) { /* the broker would end godwitd's connection: its name is its client id */
        char port[8];
        (void)snprintf(port, sizeof port, "%u", config.port);
        int code = try_address(host, port, false);
        say(c, code == 0 ? OK : WARNING, "broker", code == 0 ? NULL : hint, "%s:%s: %s", host, port,
            code == 0 ? "answers" : strerror(code));
        return;
    }
    int e = gwh_mqtt_new(&m, &config, &err);
    if (e == GWH_OK && try_broker(m)) {
        say(c, OK, "broker", NULL, "%s:%u takes the server's certificate", host, (unsigned)config.port);
    } else {
        say(c, WARNING, "broker", hint, "%s:%u: %s; until then devices look at their own pace", host,
            (unsigned)config.port, e != GWH_OK ? err.text : gwh_mqtt_why(m));
    }
    gwh_mqtt_free(m);
}

static void check_clock(struct checks *c)
{
    struct timex t = {0};
    bool synchronised = adjtimex(&t) != -1 && (t.status & STA_UNSYNC) == 0;
    if (time(NULL) < 1735689600) { /* 2025 */
        say(c, PROBLEM, "clock", "timedatectl set-ntp true", "the clock is wrong: certificates cannot be checked");
    } else {
        say(c, synchronised ? OK : WARNING, "clock", synchronised ? NULL : "timedatectl set-ntp true",
            synchronised ? "is kept right" : "nothing keeps it right, as far as the kernel knows");
    }
}

/* ---- All of it --------------------------------------------------------------------------------------------------- */

static void print(const struct checks *c)
{
    size_t i;
    json_t *o;
    json_array_foreach(c->list, i, o) {
        const char *mend = json_string_value(json_object_get(o, "mend"));
        (void)printf("%-8s %-12s %s\n", json_string_value(json_object_get(o, "result")),
                     json_string_value(json_object_get(o, "check")), json_string_value(json_object_get(o, "text")));
        if (mend != NULL) {
            (void)printf("%21s mend: %s\n", "", mend);
        }
    }
}

int cli_server_check(const struct gwh_args *a, struct gwh_error *err)
{
    struct checks c = {.a = a, .list = json_array()};
    int e = cli_server_open(&c.s, a->operand[0], err);
    if (e == GWH_OK) {
        check_folder(&c);
        check_owners(&c);
        check_certificates(&c);
        check_trust(&c);
        check_data(&c);
        for (size_t i = 0; i < 4; i++) {
            check_port(&c, i);
        }
        check_broker(&c);
        check_clock(&c);
        if (gwh_flag(a, "json")) {
            gwh_show_print(c.list, true);
        } else {
            print(&c);
        }
        if (c.problems > 0) {
            e = gwh_fail(err, GWH_REFUSED, "%u problem(s)", c.problems);
        }
    }
    json_decref(c.list);
    return e;
}
