/*
 * server_conf.c - the files that `godwit server init` writes: godwitd's configuration, the broker's, and its ACLs.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "serve.h"

#define CRL "tls/device-crl.pem"

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

static void listen_at(char out[80], const struct cli_setup *s, unsigned port)
{
    bool brackets = strchr(s->address, ':') != NULL;
    (void)snprintf(out, 80, brackets ? "[%.60s]:%u" : "%.60s:%u", s->address, (unsigned)s->port + port);
}

#define SET(field, value) (void)snprintf((field), sizeof(field), "%s", (value))

/* Doors in the order of gws_config: devices, tokens, payloads, admin. Those of tokens and payloads stay closed. */
static void fill(struct gws_config *c, const struct cli_setup *s)
{
    gws_config_defaults(c);
    SET(c->data, "data");
    if (s->trust) {
        SET(c->trust, "trust.cose");
        SET(c->roots, "trust.cose.roots.pem");
    }
    for (size_t i = 0; i < 4; i++) {
        SET(c->door[i].certificate, "tls/server.pem");
        SET(c->door[i].key, "tls/server.key");
    }
    if (s->devices) {
        listen_at(c->door[0].listen, s, 0);
        SET(c->door[0].client_ca, "tls/device-ca.pem");
        SET(c->door[0].crl, s->crl ? CRL : "");
    }
    listen_at(c->door[3].listen, s, 3);
    SET(c->mqtt.host, "127.0.0.1");
    c->mqtt.port = (uint16_t)(s->port + 5);
    SET(c->mqtt.ca, "ca/ca.pem");
    SET(c->mqtt.certificate, "tls/godwitd.pem");
    SET(c->mqtt.key, "tls/godwitd.key");
}

int cli_server_conf(const struct cli_setup *s, struct gwh_error *err)
{
    struct gws_config *c = calloc(1, sizeof *c);
    char path[GWH_PATH_MAX], *text = NULL;
    size_t n = 0;
    FILE *out = c != NULL ? open_memstream(&text, &n) : NULL;
    int e = out != NULL ? GWH_OK : gwh_fail_reason(err, GW_ERR_SPACE, CLI_CONF);
    if (e == GWH_OK) {
        fill(c, s);
        gws_config_example(out, c);
        e = fclose(out) == 0 ? gwh_path(path, s->folder, CLI_CONF, err) : gwh_fail_errno(err, CLI_CONF);
    }
    e = e == GWH_OK ? gwh_file_write(path, (struct gw_span){(const uint8_t *)text, n}, 0644, false, err) : e;
    free(text);
    free(c);
    return e;
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

/* Nothing in here may be an option of listeners: Mosquitto would open its usual one too, without TLS. */
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
    "\n"
    "# A report has at most 512 bytes, a notification 64.\n"
    "max_packet_size 1024\n"
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
    "allow_zero_length_clientid false\n"
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
    s->folder = folder;
    int e = gwh_path(path, folder, CLI_CONF, err);
    if (e == GWH_OK && !gwh_file_exists(path)) {
        (void)gwh_fail(err, GWH_REFUSED, "%s is no server's folder: there is no %s", folder, path);
        return gwh_hint(err, "godwit server init %s --name HOST", folder);
    }
    return e == GWH_OK ? gws_config_read(&s->config, path, err) : e;
}
