/*
 * config.c - the configuration file, from one table: the table is the parser, the checks, and the documented example.
 *
 * Keeps true: a section, a name or a value that is not known is an error with its line, and so is a name given twice: a
 * misspelt option never means its default. Paths that do not begin with '/' are beside the file. What it does not do:
 * open what it names (godwitd --check does).
 */
#include <ini.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "http_head.h"
#include "server.h"

#define LINE_MAX_BYTES 190u /* libinih cuts lines of 200 bytes */

enum kind { PATH, TEXT, HEX, NUMBER, PORT, YES, JSON };

struct option {
    const char *section, *name;
    enum kind kind;
    size_t at;                       /* offset; in a door, of its struct */
    size_t room;                     /* bytes, for texts */
    uint32_t least, most, otherwise; /* of numbers */
    const char *help;                /* lines of the example */
};

#define AT(field) offsetof(struct gws_config, field), sizeof(((struct gws_config *)0)->field)
#define DOOR(field)                                                                                                    \
    offsetof(struct gws_config, door[0].field) - offsetof(struct gws_config, door),                                    \
        sizeof(((struct gws_config *)0)->door[0].field)

static const struct option options[] = {
    { "server", "data", PATH, AT(data), 0, 0, 0, "Folder of the database and the payloads. One godwitd has it." },
    { "server", "trust", PATH, AT(trust), 0, 0, 0, "Trust bundle of the fleet: releases are checked by it." },
    { "server", "roots", PATH, AT(roots), 0, 0, 0, "Public keys (PEM) of the roots that sign trust bundles." },
    { "server", "log", JSON, AT(log_json), 0, 0, 0, "Lines on stderr, one for each event: text or json." },
    { "server", "next_look", NUMBER, AT(next_look_s), 1, 604800, 3600,
      "Seconds that devices wait until they look again; up to an eighth is added, so that they do not come together." },
    { "server", "first_sight", YES, AT(first_sight), 0, 0, 0,
      "yes: a certificate of the device CA makes its device known. no: only devices that were imported get in." },
    { "server", "first_sight_class", HEX, AT(first_sight_class), 0, 0, 0,
      "Class id (32 hexadecimal digits) of devices that become known so." },
    { "server", "payload_base", TEXT, AT(payload_base), 0, 0, 0,
      "https URL where devices find payloads (a cache, a bucket); without it: here, beside the offer." },
    { "server", "link_seconds", NUMBER, AT(link_seconds), 0, 2592000, 0,
      "Payloads are only given at the door [payloads] to links made by this server, for that long; 0: to anybody." },
    { "reports", "keep_days", NUMBER, AT(reports.keep_days), 0, 36500, 365,
      "Reports older than that are removed; 0: none for its age. The newest one of a device always stays." },
    { "reports", "keep_each", NUMBER, AT(reports.keep_each), 0, 100000, 1000,
      "Of one device so many reports are kept, the newest; 0: any number. It bounds what one device can fill." },
    { "mqtt", "host", TEXT, AT(mqtt.host), 0, 0, 0,
      "Host of the broker that tells devices to look. Without one, everything works at the pace of next_look." },
    { "mqtt", "port", PORT, AT(mqtt.port), 1, 65535, 8883, "Port of the broker's listener for this server." },
    { "mqtt", "ca", PATH, AT(mqtt.ca), 0, 0, 0, "CA (PEM) of the broker's certificate." },
    { "mqtt", "certificate", PATH, AT(mqtt.certificate), 0, 0, 0, "Client certificate of this server at the broker." },
    { "mqtt", "key", PATH, AT(mqtt.key), 0, 0, 0, "Its private key." },
};

static const struct option door_options[] = {
    { NULL, "listen", TEXT, DOOR(listen), 0, 0, 0, "address:port, such as 0.0.0.0:8443 or [::]:8443; none: closed." },
    { NULL, "certificate", PATH, DOOR(certificate), 0, 0, 0, "Certificate chain of this server (PEM)." },
    { NULL, "key", PATH, DOOR(key), 0, 0, 0, "Its private key (PEM)." },
    { NULL, "client_ca", PATH, DOOR(client_ca), 0, 0, 0, "CA (PEM) of clients; given: they must show a certificate." },
    { NULL, "crl", PATH, DOOR(crl), 0, 0, 0, "Clients' certificates that are revoked (PEM); read again on SIGHUP." },
    { NULL, "header_bytes", NUMBER, DOOR(limits.header_bytes), 1024, 65536, 16384,
      "Longest head of a request, bytes." },
    { NULL, "header_ms", NUMBER, DOOR(limits.header_ms), 100, 600000, 10000,
      "Milliseconds from the connection to the end of the first head, handshake included." },
    { NULL, "idle_ms", NUMBER, DOOR(limits.idle_ms), 100, 3600000, 75000, "Milliseconds between requests." },
    { NULL, "body_ms", NUMBER, DOOR(limits.body_ms), 100, 3600000, 300000, "Milliseconds for the body of a request." },
    { NULL, "connections", NUMBER, DOOR(limits.connections), 1, 1000000, 8192, "Connections in all." },
    { NULL, "per_address", NUMBER, DOOR(limits.per_address), 1, 1000000, 256,
      "Connections of one address (of one /64 of IPv6)." },
    { NULL, "per_minute", NUMBER, DOOR(limits.per_minute), 1, 1000000000, 60,
      "Requests of one device in a minute; ranges of payloads do not count." },
};

static const struct {
    const char *name, *help;
} doors[4] = {
    { "devices", "Devices with certificates of the device CA: client_ca is needed." },
    { "tokens", "Devices with tokens instead of certificates. Closed unless it is opened here." },
    { "payloads", "Payloads by their digest, for whoever knows it (and has a link, see link_seconds)." },
    { "admin", "Administration, by tokens with roles. Best on loopback or an inner network." },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

struct reading {
    struct gws_config *config;
    struct gwh_error *err;
    const char *path;
    FILE *file;
    unsigned line;
    bool seen[COUNT(options)], seen_door[4][COUNT(door_options)];
};

/* Quotes what stands there, up to the end of its line. */
static int bad(struct reading *r, const char *what, const char *text)
{
    char quoted[120];
    size_t n = 0;
    for (; n < sizeof quoted - 1 && text[n] != '\0' && text[n] != '\n' && text[n] != '\r'; n++)
        quoted[n] = text[n] < ' ' || text[n] >= 0x7f ? '?' : text[n];
    quoted[n] = '\0';
    gwh_fail(r->err, GWH_USAGE, "%s:%u: %s \"%s\"", r->path, r->line, what, quoted);
    return 0;
}

static bool set_path(struct reading *r, char *out, size_t room, const char *value)
{
    const char *slash = strrchr(r->path, '/');
    size_t folder = value[0] == '/' || value[0] == '\0' || slash == NULL ? 0 : (size_t)(slash - r->path) + 1;
    if (folder + strlen(value) >= room)
        return false;
    memcpy(out, r->path, folder);
    strcpy(out + folder, value);
    return true;
}

static bool set_text(char *out, size_t room, const char *value)
{
    if (strlen(value) >= room)
        return false;
    for (const char *p = value; *p != '\0'; p++)
        if (*p < ' ' || *p == 0x7f)
            return false;
    strcpy(out, value);
    return true;
}

static bool set_hex(char *out, size_t room, const char *value)
{
    uint8_t bytes[16];
    return (value[0] == '\0' || gwh_unhex(bytes, sizeof bytes, value)) && set_text(out, room, value);
}

static bool set_word(bool *out, const char *value, const char *no, const char *yes)
{
    *out = strcmp(value, yes) == 0;
    return *out || strcmp(value, no) == 0;
}

static bool number(uint32_t *n, const struct option *o, const char *value)
{
    uint64_t v;
    if (!gws_decimal(value, strlen(value), &v) || v < o->least || v > o->most)
        return false;
    *n = (uint32_t)v;
    return true;
}

static bool set(struct reading *r, const struct option *o, void *base, const char *value)
{
    char *at = (char *)base + o->at;
    uint32_t n = 0;
    switch (o->kind) {
    case PATH:
        return set_path(r, at, o->room, value);
    case TEXT:
        return set_text(at, o->room, value);
    case HEX:
        return set_hex(at, o->room, value);
    case YES:
        return set_word((bool *)(void *)at, value, "no", "yes");
    case JSON:
        return set_word((bool *)(void *)at, value, "text", "json");
    case NUMBER:
    case PORT:
        break;
    }
    if (!number(&n, o, value))
        return false;
    if (o->kind == PORT)
        *(uint16_t *)(void *)at = (uint16_t)n;
    else
        *(uint32_t *)(void *)at = n;
    return true;
}

static int apply(struct reading *r, const struct option *o, bool *seen, void *base, const char *value)
{
    if (*seen)
        return bad(r, "given twice:", o->name);
    *seen = true;
    if (set(r, o, base, value))
        return 1;
    if (o->kind == NUMBER || o->kind == PORT)
        gwh_fail(r->err, GWH_USAGE, "%s:%u: %s must be a number from %" PRIu32 " to %" PRIu32, r->path, r->line,
                 o->name, o->least, o->most);
    return bad(r, o->kind == YES ? "neither yes nor no:" : "not a value of this option:", value);
}

static int on_door(struct reading *r, size_t door, const char *name, const char *value)
{
    for (size_t i = 0; i < COUNT(door_options); i++)
        if (strcmp(door_options[i].name, name) == 0)
            return apply(r, &door_options[i], &r->seen_door[door][i], &r->config->door[door], value);
    return bad(r, "no such option of a door:", name);
}

/* For each option of the file. 0: stop. */
static int on_option(void *ctx, const char *section, const char *name, const char *value)
{
    struct reading *r = ctx;
    bool known = false;
    if (r->err->exit != 0)
        return 0;
    for (size_t i = 0; i < COUNT(doors); i++)
        if (strcmp(doors[i].name, section) == 0)
            return on_door(r, i, name, value);
    for (size_t i = 0; i < COUNT(options); i++) {
        bool here = strcmp(options[i].section, section) == 0;
        known |= here;
        if (here && strcmp(options[i].name, name) == 0)
            return apply(r, &options[i], &r->seen[i], r->config, value);
    }
    return known ? bad(r, "no such option:", name) : bad(r, "no such section:", section);
}

static bool section_known(const char *line)
{
    char name[32];
    if (sscanf(line, "[%30[a-z]]", name) != 1)
        return false;
    for (size_t i = 0; i < COUNT(doors); i++)
        if (strcmp(doors[i].name, name) == 0)
            return true;
    return strcmp(name, "server") == 0 || strcmp(name, "reports") == 0 || strcmp(name, "mqtt") == 0;
}

/* One line for libinih; counts them, and refuses what it would take otherwise than it looks. */
static char *next_line(char *text, int room, void *ctx)
{
    struct reading *r = ctx;
    char line[LINE_MAX_BYTES + 2];
    if (r->err->exit != 0 || room < (int)sizeof line || fgets(line, sizeof line, r->file) == NULL)
        return NULL;
    r->line++;
    size_t n = strlen(line);
    const char *begin = line + strspn(line, " \t");
    if (n == 0 || (line[n - 1] != '\n' && !feof(r->file)))
        bad(r, "the line is too long, or has a zero byte:", line);
    else if (begin != line && strchr("\r\n#;", *begin) == NULL)
        bad(r, "options begin at the left margin:", begin);
    else if (*begin == '[' && !section_known(begin))
        bad(r, "no such section:", begin);
    else if (strchr("[\r\n#;", *begin) == NULL && strstr(begin, " ;") != NULL)
        bad(r, "a comment stands on a line of its own:", begin);
    return r->err->exit != 0 ? NULL : strcpy(text, line);
}

/* ---- Checks over more than one option ---------------------------------------------------------------------------- */

static int check_door(const struct gws_config *c, size_t i, struct gwh_error *err)
{
    const char *name = doors[i].name;
    if (c->door[i].listen[0] == '\0')
        return GWH_OK;
    if ((c->door[i].certificate[0] == '\0') != (c->door[i].key[0] == '\0'))
        return gwh_fail(err, GWH_USAGE, "[%s] has one of certificate and key; it needs both", name);
    if ((c->door[i].client_ca[0] != '\0' || i == 0) && c->door[i].certificate[0] == '\0')
        return gwh_fail(err, GWH_USAGE, "[%s] needs certificate and key", name);
    if (i == 0 && c->door[i].client_ca[0] == '\0')
        return gwh_fail(err, GWH_USAGE, "[devices] needs client_ca: the CA of the devices' certificates");
    if (c->door[i].crl[0] != '\0' && c->door[i].client_ca[0] == '\0')
        return gwh_fail(err, GWH_USAGE, "[%s] has crl without client_ca", name);
    return GWH_OK;
}

static int check_rest(const struct gws_config *c, struct gwh_error *err)
{
    if (c->data[0] == '\0')
        return gwh_fail(err, GWH_USAGE, "[server] needs data: the folder of the database");
    if (c->trust[0] != '\0' && c->roots[0] == '\0')
        return gwh_fail(err, GWH_USAGE, "[server] trust needs roots: the keys that sign it");
    if (c->first_sight && c->first_sight_class[0] == '\0')
        return gwh_fail(err, GWH_USAGE, "[server] first_sight needs first_sight_class");
    if (c->payload_base[0] != '\0' && strncmp(c->payload_base, "https://", 8) != 0)
        return gwh_fail(err, GWH_USAGE, "[server] payload_base must be an https URL");
    if (c->mqtt.host[0] != '\0' && (c->mqtt.ca[0] == '\0' || c->mqtt.certificate[0] == '\0' || c->mqtt.key[0] == '\0'))
        return gwh_fail(err, GWH_USAGE, "[mqtt] needs ca, certificate and key");
    return GWH_OK;
}

static int check(const struct gws_config *c, struct gwh_error *err)
{
    bool open = false;
    for (size_t i = 0; i < COUNT(doors); i++) {
        open |= c->door[i].listen[0] != '\0';
        if (check_door(c, i, err) != GWH_OK)
            return err->exit;
    }
    if (check_rest(c, err) != GWH_OK)
        return err->exit;
    return open ? GWH_OK : gwh_fail(err, GWH_USAGE, "no door has listen: nobody could connect");
}

void gws_config_defaults(struct gws_config *c)
{
    memset(c, 0, sizeof *c);
    c->next_look_s = 3600;
    c->reports.keep_days = 365;
    c->reports.keep_each = 1000;
    c->mqtt.port = 8883;
    for (size_t d = 0; d < COUNT(doors); d++)
        for (size_t i = 0; i < COUNT(door_options); i++)
            if (door_options[i].kind == NUMBER)
                *(uint32_t *)(void *)((char *)&c->door[d] + door_options[i].at) = door_options[i].otherwise;
}

int gws_config_read(struct gws_config *c, const char *path, struct gwh_error *err)
{
    struct reading r = { .config = c, .err = err, .path = path };
    gws_config_defaults(c);
    r.file = fopen(path, "re");
    if (r.file == NULL)
        return gwh_fail_errno(err, "cannot read %s", path);
    int line = ini_parse_stream(next_line, &r, on_option, &r);
    bool broken = ferror(r.file) != 0;
    fclose(r.file);
    if (err->exit == 0 && broken)
        gwh_fail(err, GWH_IO, "cannot read %s", path);
    if (err->exit == 0 && line != 0)
        gwh_fail(err, GWH_USAGE, "%s:%d: neither a section, nor \"name = value\"", path, line);
    return err->exit != 0 ? err->exit : check(c, err);
}

/* ---- The example ------------------------------------------------------------------------------------------------- */

static void print_help(FILE *out, const char *help)
{
    size_t column = 0;
    while (*help != '\0') {
        size_t n = strcspn(help, " ");
        if (column != 0 && column + n > 110) {
            fputc('\n', out);
            column = 0;
        }
        column += (size_t)fprintf(out, "%s%.*s", column == 0 ? "# " : " ", (int)n, help);
        help += n + (help[n] == ' ');
    }
    fputc('\n', out);
}

/* Text of a value; "" when there is none. */
static void value_text(char text[GWH_PATH_MAX], const struct option *o, const void *base)
{
    const char *at = (const char *)base + o->at;
    if (o->kind == YES || o->kind == JSON)
        snprintf(text, GWH_PATH_MAX, "%s",
                 *(const bool *)at ? (o->kind == YES ? "yes" : "json") : (o->kind == YES ? "no" : "text"));
    else if (o->kind == NUMBER)
        snprintf(text, GWH_PATH_MAX, "%" PRIu32, *(const uint32_t *)(const void *)at);
    else if (o->kind == PORT)
        snprintf(text, GWH_PATH_MAX, "%u", *(const uint16_t *)(const void *)at);
    else
        snprintf(text, GWH_PATH_MAX, "%s", at);
}

/* What is as it would be without the line is a comment. */
static void print_option(FILE *out, const struct option *o, const void *base, const void *otherwise)
{
    char text[GWH_PATH_MAX], usual[GWH_PATH_MAX];
    value_text(text, o, base);
    value_text(usual, o, otherwise);
    print_help(out, o->help);
    fprintf(out, "%s%s =%s%s\n", strcmp(text, usual) == 0 ? "#" : "", o->name, text[0] == '\0' ? "" : " ", text);
}

static void print_section(FILE *out, const char *section, const struct gws_config *c, const struct gws_config *usual)
{
    fprintf(out, "\n[%s]\n", section);
    for (size_t i = 0; i < COUNT(options); i++)
        if (strcmp(options[i].section, section) == 0)
            print_option(out, &options[i], c, usual);
}

void gws_config_example(FILE *out, const struct gws_config *values)
{
    struct gws_config usual, given;
    gws_config_defaults(&usual);
    given = values == NULL ? usual : *values;
    fputs(
        "# Configuration of godwitd. Lines that begin with # are comments; options that are comments have the value\n"
        "# that is shown. Paths are beside this file unless they begin with /. SIGHUP reads certificates and lists of\n"
        "# revoked ones again; everything else needs a restart. `godwitd FILE --check` says what is wrong.\n",
        out);
    print_section(out, "server", &given, &usual);
    for (size_t d = 0; d < COUNT(doors); d++) {
        fprintf(out, "\n[%s]\n", doors[d].name);
        print_help(out, doors[d].help);
        for (size_t i = 0; i < COUNT(door_options); i++)
            print_option(out, &door_options[i], &given.door[d], &usual.door[d]);
    }
    print_section(out, "reports", &given, &usual);
    print_section(out, "mqtt", &given, &usual);
}
