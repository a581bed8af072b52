/*
 * fleet.c - see fleet.h.
 */
#include <stdlib.h>
#include <string.h>

#include "fleet.h"

#define COLUMNS_MAX 12u
#define CELL_MAX 200u

int cli_rest_at(struct gwh_rest *r, const struct gwh_args *a, const char *url, struct gwh_error *err)
{
    const struct gwh_rest_config c = {url, gwh_text(a, "ca"), gwh_text(a, "token-file"), gwh_text(a, "profile")};
    return gwh_rest_open(r, &c, err);
}

int cli_rest(struct gwh_rest *r, const struct gwh_args *a, struct gwh_error *err)
{
    return cli_rest_at(r, a, gwh_text(a, "server"), err);
}

/* ---- Tables ------------------------------------------------------------------------------------------------------ */

static const json_t *find(const json_t *o, const char *key)
{
    char part[40];
    const char *dot = strchr(key, '.');
    if (dot == NULL) {
        return json_object_get(o, key);
    }
    (void)snprintf(part, sizeof part, "%.*s", (int)(dot - key), key);
    return find(json_object_get(o, part), dot + 1);
}

static void time_text(char out[CELL_MAX], json_int_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;
    if (seconds <= 0 || gmtime_r(&t, &tm) == NULL || strftime(out, CELL_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0) {
        (void)snprintf(out, CELL_MAX, "-");
    }
}

static void list_text(char out[CELL_MAX], const json_t *list)
{
    size_t i, n = 0;
    json_t *v;
    json_array_foreach(list, i, v) {
        if (json_is_string(v) && n < CELL_MAX - 1) {
            n += (size_t)snprintf(out + n, CELL_MAX - n, "%s%s", i > 0 ? "," : "", json_string_value(v));
        }
    }
}

/* What stands in a cell. Control characters, which a device may have sent, do not reach the terminal. */
static void cell(char out[CELL_MAX], const json_t *item, const struct cli_column *column)
{
    const json_t *v = find(item, column->key);
    out[0] = '\0';
    if (json_is_integer(v) && (column->kind & CLI_TIME)) {
        time_text(out, json_integer_value(v));
    } else if (json_is_string(v)) {
        (void)snprintf(out, column->kind & CLI_HEX8 ? 13 : CELL_MAX, "%s", json_string_value(v));
    } else if (json_is_integer(v)) {
        (void)snprintf(out, CELL_MAX, "%lld", (long long)json_integer_value(v));
    } else if (json_is_boolean(v)) {
        (void)snprintf(out, CELL_MAX, "%s", json_is_true(v) ? "yes" : "no");
    } else if (json_is_array(v)) {
        list_text(out, v);
    } else if (json_is_object(v)) {
        char *text = json_dumps(v, JSON_COMPACT);
        (void)snprintf(out, CELL_MAX, "%s", text != NULL ? text : "");
        free(text);
    }
    for (char *p = out; *p != '\0'; p++) {
        *p = (unsigned char)*p < ' ' || *p == 0x7f ? '?' : *p;
    }
    if (out[0] == '\0') {
        (void)snprintf(out, CELL_MAX, "-");
    }
}

static void line(const struct cli_column *columns, const size_t *width, const json_t *item)
{
    char text[CELL_MAX];
    for (size_t i = 0; columns[i].key != NULL; i++) {
        bool last = columns[i + 1].key == NULL;
        if (item != NULL) {
            cell(text, item, &columns[i]);
        } else {
            (void)snprintf(text, sizeof text, "%s", columns[i].title);
        }
        int w = (int)width[i];
        (void)printf("%*s%s", last && !(columns[i].kind & CLI_RIGHT) ? 0 : columns[i].kind & CLI_RIGHT ? w : -w, text,
                     last ? "\n" : "  ");
    }
}

void cli_table(const json_t *items, const struct cli_column *columns)
{
    size_t width[COLUMNS_MAX] = {0}, i;
    char text[CELL_MAX];
    json_t *item;
    for (size_t k = 0; columns[k].key != NULL && k < COLUMNS_MAX; k++) {
        width[k] = strlen(columns[k].title);
    }
    json_array_foreach(items, i, item) {
        for (size_t k = 0; columns[k].key != NULL && k < COLUMNS_MAX; k++) {
            cell(text, item, &columns[k]);
            width[k] = strlen(text) > width[k] ? strlen(text) : width[k];
        }
    }
    line(columns, width, NULL);
    json_array_foreach(items, i, item) {
        line(columns, width, item);
    }
}

/* ---- Reading verbs ----------------------------------------------------------------------------------------------- */

int cli_rest_list(const struct gwh_args *a, struct gwh_rest *r, const char *path, unsigned most,
                  const struct cli_column *columns, struct gwh_error *err)
{
    json_t *tree = NULL;
    int e = gwh_rest_list(r, path, most, &tree, err);
    if (e == GWH_OK && gwh_flag(a, "json")) {
        gwh_show_print(json_object_get(tree, "items"), true);
    } else if (e == GWH_OK) {
        cli_table(json_object_get(tree, "items"), columns);
    }
    json_decref(tree);
    return e;
}

int cli_rest_table(const struct gwh_args *a, const char *path, unsigned most, const struct cli_column *columns,
                   struct gwh_error *err)
{
    struct gwh_rest r;
    int e = cli_rest(&r, a, err);
    e = e == GWH_OK ? cli_rest_list(a, &r, path, most, columns, err) : e;
    gwh_rest_close(&r);
    return e;
}

int cli_rest_print(const struct gwh_args *a, json_t *tree)
{
    static const char *const times[] = {"created", "started", "ended", "seen", "reported", "expires"};
    for (size_t i = 0; !gwh_flag(a, "json") && i < sizeof times / sizeof *times; i++) {
        const json_t *seconds = json_object_get(tree, times[i]);
        char text[CELL_MAX];
        if (json_is_integer(seconds)) {
            time_text(text, json_integer_value(seconds));
            (void)json_object_set_new(tree, times[i], json_string(text[0] == '-' ? "never" : text));
        }
    }
    return cli_print(a, tree);
}

int cli_rest_show(const struct gwh_args *a, const char *path, struct gwh_error *err)
{
    struct gwh_rest r;
    json_t *tree = NULL;
    int e = cli_rest(&r, a, err);
    e = e == GWH_OK ? gwh_rest_call(&r, "GET", path, NULL, &tree, err) : e;
    gwh_rest_close(&r);
    return e == GWH_OK ? cli_rest_print(a, tree) : e;
}
