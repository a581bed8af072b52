/*
 * devices.c - godwit device and class verbs that ask a server: list, why, retry, reports, import, set; class add, list.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fleet.h"
#include "pki.h"

#define IMPORT 500u /* devices in one request */
#define LIST_MAX (64u * 1024u * 1024u)

static const struct gwh_option list_options[] = {
    {"class", "ID", "class id, 32 hexadecimal digits", false, false},
    {"tag", "TAG", "that have this tag", false, false},
    {"state", "STATE", "of the last report: CONFIRMED, STAGED, FAILED, LEFT, DECLINED", false, false},
    {"text", "TEXT", "whose id has this in it", false, false},
    CLI_SERVER,
    CLI_JSON,
    GWH_OPTIONS_END,
};
static const struct gwh_option read_options[] = {CLI_SERVER, CLI_JSON, GWH_OPTIONS_END};
static const struct gwh_option act_options[] = {CLI_SERVER, GWH_OPTIONS_END};
static const struct gwh_option reports_options[] = {
    {"limit", "N", "so many, the newest; 20 if not given", false, false},
    CLI_SERVER,
    CLI_JSON,
    GWH_OPTIONS_END,
};
static const struct gwh_option import_options[] = {
    {"tokens", "DIR", "these devices have tokens instead of certificates: the server makes them, into DIR/ID.token",
     false, false},
    CLI_SERVER,
    GWH_OPTIONS_END,
};
static const struct gwh_option set_options[] = {
    {"enabled", "yes|no", "no: every request of it is refused", false, false},
    {"tag", "TAG", "its tags are these, and no others", false, true},
    {"no-tags", NULL, "it has none", false, false},
    CLI_SERVER,
    GWH_OPTIONS_END,
};
static const struct gwh_option class_options[] = {
    {"vendor", "DOMAIN", "vendor's domain name", true, false},
    {"class", "NAME", "class of device", true, false},
    CLI_SERVER,
    GWH_OPTIONS_END,
};

/* "/api/v1/devices/ID" and what follows. */
static int device_path(char out[400], const char *id, const char *rest, struct gwh_error *err)
{
    (void)snprintf(out, 400, "/api/v1/devices/");
    int e = gwh_device_id_check(id, err);
    e = e == GWH_OK ? gwh_rest_add(out, 400, id, err) : e;
    (void)strncat(out, rest, 399 - strlen(out));
    return e;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static int run_list(const struct gwh_args *a, struct gwh_error *err)
{
    static const struct cli_column columns[] = {
        {"id", "DEVICE", 0},           {"class", "CLASS", CLI_HEX8}, {"enabled", "ENABLED", 0},
        {"version", "VERSION", 0},     {"state", "STATE", 0},        {"reason", "REASON", 0},
        {"seen", "SEEN", CLI_TIME},    {"tags", "TAGS", 0},          {NULL, NULL, 0}};
    static const char *const filters[] = {"class", "tag", "state", "text"};
    char path[800] = "/api/v1/devices", mark = '?';
    int e = GWH_OK;
    for (size_t i = 0; e == GWH_OK && i < 4; i++) {
        size_t n = strlen(path);
        if (gwh_flag(a, filters[i])) {
            (void)snprintf(path + n, sizeof path - n, "%c%s=", mark, filters[i]);
            e = gwh_rest_add(path, sizeof path, gwh_text(a, filters[i]), err);
            mark = '&';
        }
    }
    return e == GWH_OK ? cli_rest_table(a, path, 0, columns, err) : e;
}

int cli_device_show(const struct gwh_args *a, struct gwh_error *err)
{
    char path[400];
    int e = device_path(path, a->operand[0], "", err);
    return e == GWH_OK ? cli_rest_show(a, path, err) : e;
}

static int run_why(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_rest r = {0};
    char path[400];
    json_t *tree = NULL, *word;
    size_t i;
    int e = device_path(path, a->operand[0], "/why", err);
    e = e == GWH_OK ? cli_rest(&r, a, err) : e;
    e = e == GWH_OK ? gwh_rest_call(&r, "GET", path, NULL, &tree, err) : e;
    gwh_rest_close(&r);
    if (e != GWH_OK || gwh_flag(a, "json") || !json_is_array(json_object_get(tree, "words"))) {
        return e == GWH_OK ? cli_print(a, tree) : e;
    }
    json_array_foreach(json_object_get(tree, "words"), i, word) {
        (void)printf("%s\n", json_string_value(word) != NULL ? json_string_value(word) : "");
    }
    json_decref(tree);
    return GWH_OK;
}

static int run_reports(const struct gwh_args *a, struct gwh_error *err)
{
    static const struct cli_column columns[] = {
        {"received", "RECEIVED", CLI_TIME}, {"counter", "COUNTER", CLI_RIGHT}, {"state", "STATE", 0},
        {"reason", "REASON", 0},            {"about.epoch", "EPOCH", CLI_RIGHT},
        {"about.sequence", "SEQUENCE", CLI_RIGHT}, {"bytes", "BYTES", CLI_RIGHT}, {"again", "TWICE", CLI_RIGHT},
        {NULL, NULL, 0}};
    char path[400];
    uint32_t limit = 20;
    int e = gwh_number(a, "limit", 20, &limit, err);
    e = e == GWH_OK ? device_path(path, a->operand[0], "/reports", err) : e;
    return e == GWH_OK ? cli_rest_table(a, path, limit, columns, err) : e;
}

/* ---- Changing ---------------------------------------------------------------------------------------------------- */

static int change(const struct gwh_args *a, const char *method, const char *rest, const json_t *body,
                  struct gwh_error *err)
{
    struct gwh_rest r;
    char path[400];
    int e = device_path(path, a->operand[0], rest, err);
    if (e != GWH_OK) {
        return e;
    }
    e = cli_rest(&r, a, err);
    e = e == GWH_OK ? gwh_rest_call(&r, method, path, body, NULL, err) : e;
    gwh_rest_close(&r);
    return e;
}

static int run_retry(const struct gwh_args *a, struct gwh_error *err)
{
    int e = change(a, "POST", "/retry", NULL, err);
    if (e == GWH_OK) {
        gwh_note("%s is told to look now, if it hears the broker", a->operand[0]);
    }
    return e;
}

static int run_remove(const struct gwh_args *a, struct gwh_error *err)
{
    int e = change(a, "DELETE", "", NULL, err);
    if (e == GWH_OK) {
        gwh_note("%s and its reports are forgotten; a certificate still good may bring it back by first sight",
                 a->operand[0]);
    }
    return e;
}

static int run_set(const struct gwh_args *a, struct gwh_error *err)
{
    const char *enabled = gwh_text(a, "enabled");
    json_t *body = json_object(), *tags = json_array();
    int e = GWH_OK;
    for (unsigned i = 0; gwh_text_i(a, "tag", i) != NULL; i++) {
        (void)json_array_append_new(tags, json_string(gwh_text_i(a, "tag", i)));
    }
    if (gwh_flag(a, "tag") || gwh_flag(a, "no-tags")) {
        (void)json_object_set(body, "tags", tags);
    }
    if (enabled != NULL && strcmp(enabled, "yes") != 0 && strcmp(enabled, "no") != 0) {
        e = gwh_fail(err, GWH_USAGE, "--enabled %.20s: expected yes or no", enabled);
    } else if (enabled != NULL) {
        (void)json_object_set_new(body, "enabled", json_boolean(enabled[0] == 'y'));
    }
    if (e == GWH_OK && (json_object_size(body) == 0 || (gwh_flag(a, "tag") && gwh_flag(a, "no-tags")))) {
        e = gwh_fail(err, GWH_USAGE, "expected --enabled, --tag or --no-tags");
    }
    e = e == GWH_OK ? change(a, "PATCH", "", body, err) : e;
    json_decref(tags);
    json_decref(body);
    return e;
}

/* ---- Import ------------------------------------------------------------------------------------------------------ */

/* Tokens are in the answer, once. */
static int keep_tokens(const char *folder, const json_t *tokens, struct gwh_error *err)
{
    char path[GWH_PATH_MAX], name[80];
    size_t i;
    json_t *t;
    int e = GWH_OK;
    json_array_foreach(tokens, i, t) {
        const char *id = json_string_value(json_object_get(t, "id"));
        const char *token = json_string_value(json_object_get(t, "token"));
        if (id == NULL || token == NULL || gwh_device_id_check(id, err) != GWH_OK) {
            return gwh_fail(err, GWH_IO, "the server answered without tokens");
        }
        (void)snprintf(name, sizeof name, "%s.token", id);
        e = gwh_path(path, folder, name, err);
        e = e == GWH_OK ? gwh_file_write(path, (struct gw_span){(const uint8_t *)token, strlen(token)}, 0600, false,
                                         err) : e;
        if (e != GWH_OK) {
            return e;
        }
    }
    return e;
}

static int import_some(struct gwh_rest *r, const json_t *all, size_t from, const char *tokens, struct gwh_error *err)
{
    json_t *some = json_array(), *answer = NULL;
    for (size_t i = from; i < from + IMPORT && i < json_array_size(all); i++) {
        (void)json_array_append(some, json_array_get(all, i));
    }
    json_t *body = json_pack("{s:o}", "devices", some);
    if (tokens != NULL) {
        (void)json_object_set_new(body, "token", json_true());
    }
    int e = gwh_rest_call(r, "POST", "/api/v1/devices", body, &answer, err);
    e = e == GWH_OK && tokens != NULL ? keep_tokens(tokens, json_object_get(answer, "tokens"), err) : e;
    json_decref(answer);
    json_decref(body);
    return e;
}

static int run_import(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_buf text = {0};
    struct gwh_rest r = {0};
    const char *tokens = gwh_text(a, "tokens");
    int e = gwh_file_read(&text, a->operand[0], LIST_MAX, err);
    json_t *tree = e == GWH_OK ? json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *all = json_object_get(tree, "devices");
    if (e == GWH_OK && !json_is_array(all)) {
        (void)gwh_fail(err, GWH_REFUSED, "%s is no list of devices", a->operand[0]);
        e = gwh_hint(err, "godwit device provision --csv FILE makes one: devices.json");
    }
    if (e == GWH_OK && tokens != NULL && mkdir(tokens, 0700) != 0 && !gwh_is_folder(tokens)) {
        e = gwh_fail_errno(err, "cannot make the folder %s", tokens);
    }
    e = e == GWH_OK ? cli_rest(&r, a, err) : e;
    for (size_t i = 0; e == GWH_OK && i < json_array_size(all); i += IMPORT) {
        e = import_some(&r, all, i, tokens, err);
    }
    if (e == GWH_OK) {
        gwh_note("%zu devices are known to the server", json_array_size(all));
    }
    gwh_rest_close(&r);
    json_decref(tree);
    gwh_buf_free(&text);
    return e;
}

/* ---- Classes ----------------------------------------------------------------------------------------------------- */

static int run_class_add(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_rest r;
    json_t *answer = NULL;
    json_t *body = json_pack("{s:s,s:s}", "vendor", gwh_text(a, "vendor"), "name", gwh_text(a, "class"));
    int e = cli_rest(&r, a, err);
    e = e == GWH_OK ? gwh_rest_call(&r, "POST", "/api/v1/classes", body, &answer, err) : e;
    if (e == GWH_OK) {
        const char *id = json_string_value(json_object_get(answer, "id"));
        (void)printf("%s\n", id != NULL ? id : "");
    }
    json_decref(answer);
    json_decref(body);
    gwh_rest_close(&r);
    return e;
}

/* A file, put as it is. */
int cli_put_file(const struct gwh_args *a, const char *path, const char *file, struct gwh_error *err)
{
    struct gwh_rest r = {0};
    struct gwh_buf bytes = {0};
    json_t *answer = NULL;
    long status = 0;
    int e = gwh_file_read(&bytes, file, GW_TRUST_MAX, err);
    e = e == GWH_OK ? cli_rest(&r, a, err) : e;
    e = e == GWH_OK ? gwh_rest_put(&r, path, gwh_span(&bytes), 0, &status, &answer, err) : e;
    if (e == GWH_OK) {
        gwh_note("the server has %s", file);
    }
    json_decref(answer);
    gwh_buf_free(&bytes);
    gwh_rest_close(&r);
    return e;
}

static int run_class_head(const struct gwh_args *a, struct gwh_error *err)
{
    char path[300] = "/api/v1/classes/";
    int e = gwh_rest_add(path, sizeof path - 8, a->operand[0], err);
    (void)strncat(path, "/head", sizeof path - strlen(path) - 1);
    return e == GWH_OK ? cli_put_file(a, path, a->operand[1], err) : e;
}

static int run_class_list(const struct gwh_args *a, struct gwh_error *err)
{
    static const struct cli_column columns[] = {
        {"id", "CLASS", 0}, {"vendor", "VENDOR", 0}, {"name", "NAME", 0}, {NULL, NULL, 0}};
    return cli_rest_table(a, "/api/v1/classes", 0, columns, err);
}

const struct gwh_command cli_devices[] = {
    {"device", "list", "", 0, 0, "devices that the server knows, with what they reported last", list_options,
     "godwit device list --tag beta --state FAILED", run_list},
    {"device", "why", "ID", 1, 1, "in words: why a device gets the release that it gets, or none", read_options,
     "godwit device why dev1", run_why},
    {"device", "reports", "ID", 1, 1, "what a device reported, newest first", reports_options,
     "godwit device reports dev1", run_reports},
    {"device", "retry", "ID", 1, 1, "tell a device to look now", act_options, "godwit device retry dev1", run_retry},
    {"device", "remove", "ID", 1, 1, "forget a device and all that it reported", act_options,
     "godwit device remove dev1", run_remove},
    {"device", "set", "ID", 1, 1, "tags of a device; whether it may come in", set_options,
     "godwit device set dev1 --enabled no", run_set},
    {"device", "import", "LIST", 1, 1, "make devices known: devices.json of `device provision --csv`", import_options,
     "godwit device import devices/devices.json", run_import},
    {"class", "add", "", 0, 0, "make a class of devices known; prints its id", class_options,
     "godwit class add --vendor example.com --class sensor-c3", run_class_add},
    {"class", "head", "CLASS-ID HEAD", 2, 2, "a newer channel head for a class: what is the newest, what is withdrawn",
     act_options, "godwit class head bd71790928a85583af07034fc9760499 rel/head.cose", run_class_head},
    {"class", "list", "", 0, 0, "classes of devices", read_options, "godwit class list", run_class_list},
    CLI_COMMANDS_END,
};
