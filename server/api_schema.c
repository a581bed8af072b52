/*
 * api_schema.c - does a JSON value have the form of a schema? Strictly: unknown names, other types, wrong sizes.
 *
 * Keeps true: what is accepted has no name that the table does not list, and every text and list is within its bounds;
 * the sentence of a refusal names the field. It does not know what fields mean: the resources look at that.
 */
#include <stdio.h>
#include <string.h>

#include "api.h"

static const struct gws_field error_fields[] = {
    {.name = "error", GWS_TEXT, GWS_REQUIRED, 1, 64, .summary = "a word that does not change its meaning"},
    {.name = "message", GWS_TEXT, GWS_REQUIRED, 0, 2000, .summary = "what happened and why"},
    {.name = "hint", GWS_TEXT, 0, 0, 600, .summary = "what to do next"},
    {.name = "there", GWS_NUMBER, 0, 0, INT64_MAX, .summary = "of an upload: bytes that are there"},
    {.name = NULL},
};
const struct gws_schema gws_schema_error = {.name = "Error", .fields = error_fields};
const struct gws_schema gws_schema_octets = {.name = "Octets", .type = GWS_OCTETS};
const struct gws_schema gws_schema_lines = {.name = "Lines", .type = GWS_LINES};
const struct gws_schema gws_schema_any = {.name = "Any", .open = true};

/* Where in the body: "devices[3].tags". */
struct where {
    char text[160];
    size_t n;
};

static size_t enter(struct where *w, const char *name)
{
    size_t before = w->n;
    int n = snprintf(w->text + w->n, sizeof w->text - w->n, "%s%.64s", w->n > 0 ? "." : "", name);
    w->n = (size_t)n < sizeof w->text - w->n ? w->n + (size_t)n : sizeof w->text - 1;
    return before;
}

static size_t enter_item(struct where *w, size_t i)
{
    size_t before = w->n;
    int n = snprintf(w->text + w->n, sizeof w->text - w->n, "[%zu]", i);
    w->n = (size_t)n < sizeof w->text - w->n ? w->n + (size_t)n : sizeof w->text - 1;
    return before;
}

static void leave(struct where *w, size_t before)
{
    w->n = before;
    w->text[before] = '\0';
}

static bool wrong(struct gwh_error *err, const struct where *w, const char *what)
{
    (void)gwh_fail(err, GWH_USAGE, "%s must be %s", w->n > 0 ? w->text : "the body", what);
    return false;
}

/* "%s of %lld to %lld %s", with what there is to say of the bounds. */
static bool wrong_size(struct gwh_error *err, const struct where *w, const struct gws_field *f, const char *what,
                       const char *unit)
{
    char text[120];
    if (f->least == f->most)
        (void)snprintf(text, sizeof text, "%s of %lld %s", what, (long long)f->most, unit);
    else
        (void)snprintf(text, sizeof text, "%s of %lld to %lld %s", what, (long long)f->least, (long long)f->most, unit);
    return wrong(err, w, text);
}

static bool within(const struct gws_field *f, int64_t n)
{
    return n >= f->least && n <= f->most;
}

/* ---- Texts ------------------------------------------------------------------------------------------------------- */

static bool check_text(const struct gws_field *f, const json_t *v, const struct where *w, struct gwh_error *err)
{
    const char *text = json_string_value(v);
    size_t n = json_string_length(v);
    if (text == NULL || !within(f, (int64_t)n) || strlen(text) != n)
        return wrong_size(err, w, f, "a text", "bytes");
    return true;
}

static bool check_hex(const struct gws_field *f, const json_t *v, const struct where *w, struct gwh_error *err)
{
    const char *text = json_string_value(v);
    size_t n = json_string_length(v);
    if (text == NULL || n % 2 != 0 || !within(f, (int64_t)(n / 2)) || strspn(text, "0123456789abcdef") != n)
        return wrong_size(err, w, f, "lower-case hexadecimal digits", "bytes");
    return true;
}

static bool check_base64(const struct gws_field *f, const json_t *v, const struct where *w, struct gwh_error *err)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *text = json_string_value(v);
    size_t n = json_string_length(v), used = text == NULL ? 0 : strspn(text, alphabet);
    if (text == NULL || n % 4 != 0 || n - used > 2 || strspn(text + used, "=") != n - used ||
        !within(f, (int64_t)(n / 4 * 3 - (n - used))))
        return wrong_size(err, w, f, "base64", "bytes");
    return true;
}

static bool check_word(const struct gws_field *f, const json_t *v, const struct where *w, struct gwh_error *err)
{
    const char *text = json_string_value(v);
    char what[160];
    size_t n = text == NULL || strchr(text, '|') != NULL ? 0 : strlen(text);
    for (const char *p = f->words; n > 0 && p != NULL; p = strchr(p, '|') == NULL ? NULL : strchr(p, '|') + 1)
        if (strncmp(p, text, n) == 0 && (p[n] == '|' || p[n] == '\0'))
            return true;
    (void)snprintf(what, sizeof what, "one of %s", f->words);
    return wrong(err, w, what);
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

static bool check_object(const struct gws_schema *schema, const json_t *tree, struct where *w, struct gwh_error *err);

static bool check_list(const struct gws_field *f, const json_t *v, struct where *w, struct gwh_error *err)
{
    size_t n = json_array_size(v);
    if (!json_is_array(v) || !within(f, (int64_t)n))
        return wrong_size(err, w, f, "a list", f->type == GWS_TEXTS ? "texts" : "objects");
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(v, i);
        size_t before = enter_item(w, i);
        if (f->type == GWS_TEXTS ? !json_is_string(item) : !json_is_object(item))
            return wrong(err, w, f->type == GWS_TEXTS ? "a text" : "an object");
        if (f->type == GWS_LIST && f->of != NULL && !check_object(f->of, item, w, err))
            return false;
        leave(w, before);
    }
    return true;
}

static bool check_number(const struct gws_field *f, const json_t *v, const struct where *w, struct gwh_error *err)
{
    char what[80];
    if (json_is_integer(v) && within(f, json_integer_value(v)))
        return true;
    (void)snprintf(what, sizeof what, "a whole number from %lld to %lld", (long long)f->least, (long long)f->most);
    return wrong(err, w, what);
}

static bool check_value(const struct gws_field *f, const json_t *v, struct where *w, struct gwh_error *err)
{
    if (json_is_null(v) && (f->flags & GWS_NULL) != 0)
        return true;
    switch (f->type) {
    case GWS_TEXT:
        return check_text(f, v, w, err);
    case GWS_WORD:
        return check_word(f, v, w, err);
    case GWS_HEX:
        return check_hex(f, v, w, err);
    case GWS_BASE64:
        return check_base64(f, v, w, err);
    case GWS_NUMBER:
        return check_number(f, v, w, err);
    case GWS_BOOL:
        return json_is_boolean(v) || wrong(err, w, "true or false");
    case GWS_OBJECT:
        if (!json_is_object(v))
            return wrong(err, w, "an object");
        return f->of == NULL || check_object(f->of, v, w, err);
    case GWS_LIST:
    case GWS_TEXTS:
        return check_list(f, v, w, err);
    default:
        return wrong(err, w, "something that no request has");
    }
}

static const struct gws_field *find(const struct gws_schema *schema, const char *name)
{
    const struct gws_field *f = schema->fields;
    while (f->name != NULL && strcmp(f->name, name) != 0)
        f++;
    return f->name != NULL ? f : NULL;
}

static bool check_names(const struct gws_schema *schema, const json_t *tree, struct where *w, struct gwh_error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)tree, name, value) {
        const struct gws_field *f = find(schema, name);
        size_t before = enter(w, name);
        if (f == NULL) {
            (void)gwh_fail(err, GWH_USAGE, "\"%s\" is not known here", w->text);
            return false;
        }
        if (!check_value(f, value, w, err))
            return false;
        leave(w, before);
    }
    return true;
}

static bool check_object(const struct gws_schema *schema, const json_t *tree, struct where *w, struct gwh_error *err)
{
    if (!json_is_object(tree))
        return wrong(err, w, "an object");
    if (schema->fields == NULL)
        return true;
    for (const struct gws_field *f = schema->fields; f->name != NULL; f++)
        if ((f->flags & GWS_REQUIRED) != 0 && json_object_get(tree, f->name) == NULL) {
            (void)gwh_fail(err, GWH_USAGE, "%s%s\"%s\" is missing", w->text, w->n > 0 ? ": " : "", f->name);
            return false;
        }
    return check_names(schema, tree, w, err);
}

bool gws_schema_check(const struct gws_schema *schema, const json_t *tree, struct gwh_error *err)
{
    struct where w = {.n = 0};
    return check_object(schema, tree, &w, err);
}
