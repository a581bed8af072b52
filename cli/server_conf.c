/*
 * server_conf.c - the files that `godwit server init` writes: godwitd's configuration, the broker's, and its ACLs.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

static bool put(struct gwh_buf *out, const char *format, ...) GWH_PRINTF(2, 3);
static bool put(struct gwh_buf *out, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return n >= 0 && (size_t)n < sizeof text && gwh_buf_add(out, text, (size_t)n) == GW_OK;
}

/* ---- godwitd ----------------------------------------------------------------------------------------------------- */

struct option {
    const char *section, *name, *comment;
    const char *value; /* %A the address, %0 to %5 a port, %N the first name; NULL: not set, shown as a comment */
    bool devices, trust; /* only set if there is a device CA, a trust bundle */
};
#define CRL "tls/device-crl.pem"
static const struct option options[] = {
    {"server", "data", "Folder of the database and of the payloads; one godwitd has it.", "data", false, false},
    {"server", "trust", "Trust bundle of the fleet: a release that devices would refuse is refused here too.",
     "trust.cose", false, true},
    {"server", "roots", "Public keys of the roots that sign it (PEM).", "trust.cose.roots.pem", false, true},
    {"server", "next_look", "Seconds after which devices look again; an eighth of it is added at random.", "3600",
     false, false},
    {"server", "log", "One line for each event: text or json.", "text", false, false},
    {"devices", "listen", "Where devices with certificates look, fetch and report. Empty: nowhere.", "%A:%0", true,
     false},
    {"devices", "certificate", "The server's certificate, and its key.", "tls/server.pem", false, false},
    {"devices", "key", NULL, "tls/server.key", false, false},
    {"devices", "client_ca", "The CA of the devices. Its key is not here: it stays with the manufacturer.",
     "tls/device-ca.pem", false, false},
    {"devices", "crl", "Certificates of devices that are revoked, from `godwit key revoke`.", CRL, false, false},
    {"devices", "first_sight", "A certificate of the device CA makes its device known; no: only by import.", "no",
     false, false},
    {"devices", "first_sight_class", "Class id, in hex, of devices that become known so.", NULL, false, false},
    {"tokens", "listen", "Where devices with tokens instead of certificates do the same. Empty: nowhere.", "", false,
     false},
    {"tokens", "certificate", NULL, "tls/server.pem", false, false},
    {"tokens", "key", NULL, "tls/server.key", false, false},
    {"payloads", "listen", "Where anybody may fetch payloads (they are sealed), for proxies. Empty: nowhere.", "", false,
     false},
    {"payloads", "certificate", NULL, "tls/server.pem", false, false},
    {"payloads", "key", NULL, "tls/server.key", false, false},
    {"payloads", "base", "URL that offers name for payloads. Empty: beside the offer.", "", false, false},
    {"payloads", "link_seconds", "Links to payloads expire after that. 0: they do not.", "0", false, false},
    {"admin", "listen", "Where people and programs administer, with tokens.", "%A:%3", false, false},
    {"admin", "certificate", NULL, "tls/server.pem", false, false},
    {"admin", "key", NULL, "tls/server.key", false, false},
    {"mqtt", "host", "The broker, which tells devices to look now. Empty: devices look by themselves alone.",
     "127.0.0.1", false, false},
    {"mqtt", "port", "The listener that is godwitd's own.", "%5", false, false},
    {"mqtt", "ca", "CA of the broker, and the certificate that godwitd shows there.", "ca/ca.pem", false, false},
    {"mqtt", "certificate", NULL, "tls/godwitd.pem", false, false},
    {"mqtt", "key", NULL, "tls/godwitd.key", false, false},
};

static bool put_value(struct gwh_buf *out, const char *value, const struct cli_setup *s)
{
    bool ok = true;
    bool brackets = strchr(s->address, ':') != NULL;
    for (; ok && *value != '\0'; value++) {
        if (*value != '%') {
            ok = gwh_buf_add(out, value, 1) == GW_OK;
        } else if (*++value == 'A') {
            ok = put(out, brackets ? "[%s]" : "%s", s->address);
        } else if (*value == 'N') {
            ok = put(out, "%s", s->names[0]);
        } else {
            ok = put(out, "%u", (unsigned)s->port + (unsigned)(*value - '0'));
        }
    }
    return ok;
}

int cli_server_conf(struct gwh_buf *out, const struct cli_setup *s, struct gwh_error *err)
{
    const char *section = "";
    bool ok = put(out, "# godwitd: the distribution server. Relative paths are below the folder of this file.\n"
                       "# `godwit server check DIR` says what is wrong here; SIGHUP reloads certificates.\n");
    for (size_t i = 0; ok && i < sizeof options / sizeof *options; i++) {
        const struct option *o = &options[i];
        bool set = o->value != NULL && (!o->devices || s->devices) && (!o->trust || s->trust) &&
                   (s->crl || strcmp(o->name, "crl") != 0);
        if (strcmp(o->section, section) != 0) {
            ok = put(out, "\n[%s]\n", section = o->section);
        }
        ok = ok && (o->comment == NULL || put(out, "# %s\n", o->comment));
        ok = ok && put(out, "%s%s =%s", set ? "" : "#", o->name, set && o->value[0] == '\0' ? "" : " ");
        ok = ok && (!set || put_value(out, o->value, s)) && put(out, "\n");
    }
    return ok ? GWH_OK : gwh_fail_reason(err, GW_ERR_SPACE, CLI_CONF);
}

/* ---- The broker -------------------------------------------------------------------------------------------------- */

const char cli_broker_devices[] =
    "# Who may do what at the listener for devices. %u is the common name of the client's certificate, its device id;\n"
    "# the broker refuses names with + # or / here. Nothing else is allowed to anybody.\n"
    "pattern read godwit/%u/notify\n"
    "pattern write godwit/%u/report\n";

const char cli_broker_server[] =
    "# Who may do what at godwitd's own listener, where certificates of the server's CA are shown.\n"
    "user " CLI_BROKER_USER "\n"
    "topic write godwit/+/notify\n"
    "topic read godwit/+/report\n";

static const char broker_common[] =
    "# Mosquitto 2.0 for Godwit: mosquitto -c %1$s/mosquitto/mosquitto.conf\n"
    "# It carries hints and signed reports; without it devices look at their own pace.\n"
    "\n"
    "per_listener_settings true\n"
    "user %2$s\n"
    "\n"
    "# Nothing is kept: devices subscribe anew with each connection.\n"
    "persistence false\n"
    "retain_available false\n"
    "max_queued_messages 100\n"
    "max_inflight_messages 20\n"
    "allow_zero_length_clientid false\n"
    "\n"
    "# A report has at most 512 bytes, a notification 64.\n"
    "message_size_limit 1024\n"
    "max_packet_size 2048\n"
    "max_keepalive 3600\n"
    "sys_interval 0\n"
    "set_tcp_nodelay true\n"
    "log_dest stderr\n"
    "log_type error\n"
    "log_type warning\n"
    "log_type notice\n"
    "connection_messages false\n";

static const char broker_listener[] =
    "\n"
    "# %5$s\n"
    "listener %1$u %2$s\n"
    "protocol mqtt\n"
    "cafile %3$s/%4$s\n"
    "certfile %3$s/tls/broker.pem\n"
    "keyfile %3$s/tls/broker.key\n"
    "tls_version tlsv1.2\n"
    "require_certificate true\n"
    "use_identity_as_username true\n"
    "use_username_as_clientid true\n"
    "allow_anonymous false\n";

int cli_broker_conf(struct gwh_buf *out, const struct cli_setup *s, struct gwh_error *err)
{
    char folder[PATH_MAX];
    if (realpath(s->folder, folder) == NULL) {
        return gwh_fail_errno(err, "%s", s->folder);
    }
    if (strpbrk(folder, "\n\r#") != NULL) {
        return gwh_fail(err, GWH_USAGE, "%s: the broker takes no such path", folder);
    }
    bool ok = put(out, broker_common, folder, s->user);
    if (s->devices) {
        ok = ok &&
             put(out, broker_listener, (unsigned)s->port + 4, s->address, folder, "tls/device-ca.pem",
                 "Devices: certificates of the device CA; the name in it is the device.") &&
             (!s->crl || put(out, "crlfile %s/" CRL "\n", folder)) &&
             put(out, "acl_file %s/mosquitto/devices.acl\n", folder);
    }
    ok = ok &&
         put(out, broker_listener, (unsigned)s->port + 5, "127.0.0.1", folder, "ca/ca.pem",
             "godwitd: its own listener, on this machine, with certificates of the server's CA.") &&
         put(out, "acl_file %s/mosquitto/server.acl\n", folder);
    return ok ? GWH_OK : gwh_fail_reason(err, GW_ERR_SPACE, "mosquitto.conf");
}

/* ---- Reading it again -------------------------------------------------------------------------------------------- */

int cli_server_open(struct cli_server *s, const char *folder, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    *s = (struct cli_server){.folder = folder};
    int e = gwh_path(path, folder, CLI_CONF, err);
    if (e == GWH_OK && !gwh_file_exists(path)) {
        (void)gwh_fail(err, GWH_REFUSED, "%s is no server's folder: there is no %s", folder, path);
        return gwh_hint(err, "godwit server init %s --name HOST", folder);
    }
    e = e == GWH_OK ? gwh_file_read(&s->conf, path, 65536, err) : e;
    if (e == GWH_OK && gwh_buf_add(&s->conf, "", 1) != GW_OK) {
        e = gwh_fail_reason(err, GW_ERR_SPACE, "%s", path);
    }
    return e;
}

void cli_server_close(struct cli_server *s)
{
    gwh_buf_free(&s->conf);
}

/* "option = value" in this line? The value, or NULL. */
static const char *value_of(const char *line, size_t n, const char *option)
{
    static char value[GWH_PATH_MAX];
    size_t length = strlen(option), at = length;
    if (n < length || strncmp(line, option, length) != 0) {
        return NULL;
    }
    while (at < n && (line[at] == ' ' || line[at] == '\t')) {
        at++;
    }
    if (at == n || line[at++] != '=') {
        return NULL;
    }
    while (at < n && (line[at] == ' ' || line[at] == '\t')) {
        at++;
    }
    while (n > at && (line[n - 1] == ' ' || line[n - 1] == '\r' || line[n - 1] == '\t')) {
        n--;
    }
    (void)snprintf(value, sizeof value, "%.*s", (int)(n - at), line + at);
    return value;
}

const char *cli_conf_get(const struct cli_server *s, const char *section, const char *option)
{
    bool inside = false;
    for (const char *line = (const char *)s->conf.p; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        size_t n = end != NULL ? (size_t)(end - line) : strlen(line);
        const char *value = inside ? value_of(line, n, option) : NULL;
        if (value != NULL) {
            return value;
        }
        if (line[0] == '[') {
            inside = strncmp(line + 1, section, strlen(section)) == 0 && line[1 + strlen(section)] == ']';
        }
        line = end != NULL ? end + 1 : NULL;
    }
    return "";
}

int cli_conf_path(char out[GWH_PATH_MAX], const struct cli_server *s, const char *section, const char *option,
                  struct gwh_error *err)
{
    const char *value = cli_conf_get(s, section, option);
    out[0] = '\0';
    if (value[0] == '\0') {
        return GWH_OK;
    }
    if (value[0] == '/') {
        (void)snprintf(out, GWH_PATH_MAX, "%s", value);
        return GWH_OK;
    }
    return gwh_path(out, s->folder, value, err);
}
