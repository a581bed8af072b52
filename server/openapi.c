/*
 * openapi.c - GET /api/v1/openapi.json: an OpenAPI 3.0 document, made from the tables of routes and of schemas.
 *
 * Keeps true: every route of the door for administration is in it, and nothing else; a part {} of a path is named after
 * the part before it. The examples of how to use the API are in docs/; here is only what a program needs.
 */
#include <stdio.h>
#include <string.h>

#include "api.h"

static void set(json_t *o, const char *name, json_t *value)
{
    (void)json_object_set_new(o, name, value);
}

/* ---- Schemas ----------------------------------------------------------------------------------------------------- */

static void need_schema(json_t *schemas, const struct gws_schema *s);

static json_t *reference(json_t *schemas, const struct gws_schema *s)
{
    if (s == NULL || (s->fields == NULL && s->type == 0))
        return json_pack("{s:s}", "type", "object");
    need_schema(schemas, s);
    return json_pack("{s:s+}", "$ref", "#/components/schemas/", s->name);
}

static json_t *words_of(const char *words)
{
    json_t *list = json_array();
    for (const char *p = words; p != NULL; p = strchr(p, '|') != NULL ? strchr(p, '|') + 1 : NULL)
        (void)json_array_append_new(list, json_stringn(p, strcspn(p, "|")));
    return list;
}

static json_t *text_schema(const struct gws_field *f)
{
    json_t *o = json_pack("{s:s}", "type", "string");
    char pattern[64];
    if (f->type == GWS_WORD) {
        set(o, "enum", words_of(f->words));
    } else if (f->type == GWS_HEX) {
        (void)snprintf(pattern, sizeof pattern, f->least == f->most ? "^[0-9a-f]{%lld}$" : "^[0-9a-f]*$",
                       (long long)f->most * 2);
        set(o, "pattern", json_string(pattern));
    } else if (f->type == GWS_BASE64) {
        set(o, "format", json_string("byte"));
        set(o, "maxLength", json_integer((f->most + 2) / 3 * 4));
    } else {
        set(o, "minLength", json_integer(f->least > 0));
        set(o, "maxLength", json_integer(f->most));
    }
    return o;
}

static json_t *list_schema(json_t *schemas, const struct gws_field *f)
{
    json_t *items = f->type == GWS_TEXTS ? json_pack("{s:s}", "type", "string") : reference(schemas, f->of);
    return json_pack("{s:s, s:o, s:I, s:I}", "type", "array", "items", items, "minItems", (json_int_t)f->least,
                     "maxItems", (json_int_t)f->most);
}

static json_t *order_schema(void)
{
    return json_pack("{s:s, s:[s,s], s:{s:{s:s}, s:{s:s}}}", "type", "object", "required", "epoch", "sequence",
                     "properties", "epoch", "type", "integer", "sequence", "type", "integer");
}

static json_t *value_schema(json_t *schemas, const struct gws_field *f)
{
    switch (f->type) {
    case GWS_NUMBER:
        return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)f->least, "maximum",
                         (json_int_t)f->most);
    case GWS_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case GWS_ORDER:
        return order_schema();
    case GWS_OBJECT:
        return reference(schemas, f->of);
    case GWS_ANY:
        return json_object();
    case GWS_LIST:
    case GWS_TEXTS:
        return list_schema(schemas, f);
    default:
        return text_schema(f);
    }
}

static json_t *field_schema(json_t *schemas, const struct gws_field *f)
{
    json_t *o = value_schema(schemas, f);
    if (f->summary != NULL || (f->flags & GWS_NULL) != 0) {
        if (json_object_get(o, "$ref") != NULL) /* nothing may stand beside a reference */
            o = json_pack("{s:[o]}", "allOf", o);
        if (f->summary != NULL)
            set(o, "description", json_string(f->summary));
        if ((f->flags & GWS_NULL) != 0)
            set(o, "nullable", json_true());
    }
    return o;
}

static void need_schema(json_t *schemas, const struct gws_schema *s)
{
    if (json_object_get(schemas, s->name) != NULL)
        return;
    json_t *o = json_pack("{s:s}", "type", s->type == 0 ? "object" : "string");
    set(schemas, s->name, o);
    if (s->type == GWS_OCTETS)
        set(o, "format", json_string("binary"));
    if (s->type != 0)
        return;
    json_t *properties = json_object(), *required = json_array();
    for (const struct gws_field *f = s->fields; f->name != NULL; f++) {
        set(properties, f->name, field_schema(schemas, f));
        if ((f->flags & GWS_REQUIRED) != 0)
            (void)json_array_append_new(required, json_string(f->name));
    }
    set(o, "properties", properties);
    if (json_array_size(required) > 0)
        set(o, "required", json_incref(required));
    json_decref(required);
    set(o, "additionalProperties", json_boolean(s->open));
}

/* ---- Routes ------------------------------------------------------------------------------------------------------ */

/* "classes" -> "class", "devices" -> "device". */
static void singular(char name[32], const char *part, size_t n)
{
    if (n > 4 && strncmp(part + n - 4, "sses", 4) == 0)
        n -= 2;
    else if (n > 1 && part[n - 1] == 's')
        n--;
    (void)snprintf(name, 32, "%.*s", (int)n, part);
}

/* "/api/v1/devices/{}" -> "/api/v1/devices/{device}", and the parameters. */
static void path_of(char out[256], const char *pattern, json_t *parameters)
{
    char name[32];
    size_t n = 0, part = 0;
    for (const char *p = pattern; *p != '\0' && n < 200; p++) {
        if (p[0] != '{') {
            out[n++] = *p;
            part = *p == '/' && p[1] != '{' ? (size_t)(p + 1 - pattern) : part;
            continue;
        }
        singular(name, pattern + part, (size_t)(p - 1 - pattern) - part);
        n += (size_t)snprintf(out + n, 40, "{%s}", name);
        (void)json_array_append_new(parameters, json_pack("{s:s, s:s, s:b, s:{s:s}}", "name", name, "in", "path",
                                                          "required", 1, "schema", "type", "string"));
        p++;
    }
    out[n] = '\0';
}

static void queries(const char *list, json_t *parameters)
{
    while (list != NULL && *list != '\0') {
        size_t n = strcspn(list, "=");
        (void)json_array_append_new(parameters, json_pack("{s:o, s:s, s:b, s:{s:s}}", "name", json_stringn(list, n),
                                                          "in", "query", "required", 0, "schema", "type", "string"));
        list = strchr(list, ',');
        list = list != NULL ? list + 1 : NULL;
    }
}

static const char *type_of(const struct gws_schema *s)
{
    return s->type == GWS_OCTETS ? "application/octet-stream" : s->type == GWS_LINES ? "text/plain"
                                                                                     : "application/json";
}

static json_t *content_of(json_t *schemas, const struct gws_schema *s)
{
    return json_pack("{s:{s:o}}", type_of(s), "schema", reference(schemas, s));
}

static json_t *answers_of(json_t *schemas, const struct gws_route *r)
{
    char status[8];
    json_t *o = json_object(), *good = json_pack("{s:s}", "description", r->summary);
    (void)snprintf(status, sizeof status, "%d", r->status != 0 ? r->status : 200);
    if (r->gives != NULL)
        set(good, "content", content_of(schemas, r->gives));
    set(o, status, good);
    set(o, "default", json_pack("{s:s, s:o}", "description", "refused, or it did not work", "content",
                                content_of(schemas, &gws_schema_error)));
    return o;
}

static const char *role_of(const struct gws_route *r)
{
    return r->role == GWS_ROLE_ANYBODY ? "anybody" : gws_role_names[r->role];
}

static void add_route(json_t *paths, json_t *schemas, const struct gws_route *r)
{
    char path[256], method[8] = "";
    json_t *parameters = json_array();
    path_of(path, r->pattern, parameters);
    queries(r->query, parameters);
    json_t *o = json_pack("{s:s, s:s, s:o, s:o}", "summary", r->summary, "x-role", role_of(r), "parameters", parameters,
                          "responses", answers_of(schemas, r));
    if (r->takes != NULL)
        set(o, "requestBody", json_pack("{s:b, s:o}", "required", 1, "content", content_of(schemas, r->takes)));
    if (r->role == GWS_ROLE_ANYBODY)
        set(o, "security", json_array());
    if (r->body_max > 0)
        set(o, "x-body-max", json_integer(r->body_max));
    for (size_t i = 0; r->method[i] != '\0' && i + 1 < sizeof method; i++)
        method[i] = (char)(r->method[i] | 0x20);
    if (json_object_get(paths, path) == NULL)
        set(paths, path, json_object());
    set(json_object_get(paths, path), method, o);
}

static void answer_document(struct gws_call *call)
{
    json_t *paths = json_object(), *schemas = json_object();
    for (const struct gws_route *const *table = gws_routes; *table != NULL; table++)
        for (const struct gws_route *r = *table; r->method != NULL; r++)
            if ((r->doors & GWS_DOOR_ADMIN) != 0)
                add_route(paths, schemas, r);
    json_t *o = json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{s:[]}], s:o, s:{s:o, s:{s:{s:s, s:s}}}}", "openapi", "3.0.3",
                          "info", "title", "Godwit", "version", "1", "description",
                          "Administration of godwitd. Words: SPEC.md, section 19.", "security", "token", "paths", paths,
                          "components", "schemas", schemas, "securitySchemes", "token", "type", "http", "scheme",
                          "bearer");
    gws_answer_json(call, 200, o);
}

const struct gws_route gws_api_openapi[] = {
    {.doors = GWS_DOOR_ADMIN,
     .method = "GET",
     .pattern = "/api/v1/openapi.json",
     .role = GWS_ROLE_VIEWER,
     .run = answer_document,
     .summary = "this document",
     .gives = &gws_schema_any},
    {.method = NULL},
};
