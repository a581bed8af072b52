/*
 * api_classes.c - REST: classes of devices, and their channel heads.
 */
#include "api.h"

static const struct gws_hints hints = {
    "`godwit class list` shows the classes; an administrator adds one with `godwit class add --vendor V --name N`",
    "`godwit class list` shows what is there",
};

static const struct gws_field class_fields[] = {
    {.name = "id", GWS_HEX, GWS_REQUIRED, 16, 16, .summary = "made from vendor and name (SPEC.md, section 1)"},
    {.name = "vendor", GWS_TEXT, GWS_REQUIRED, 1, GWS_NAME_MAX},
    {.name = "name", GWS_TEXT, GWS_REQUIRED, 1, GWS_NAME_MAX},
    {.name = "created", GWS_NUMBER, GWS_REQUIRED, 0, INT64_MAX},
    {.name = "head", GWS_OBJECT, GWS_REQUIRED | GWS_NULL, .summary = "the channel head, in words; null: there is none"},
    {.name = "devices", GWS_NUMBER, GWS_REQUIRED, 0, UINT32_MAX, .summary = "how many there are of it"},
    {.name = NULL},
};
static const struct gws_schema class_schema = {.name = "Class", .fields = class_fields};
static const struct gws_field page_fields[] = {
    {.name = "items", GWS_LIST, GWS_REQUIRED, 0, 1000, .of = &class_schema},
    {.name = "next", GWS_TEXT, GWS_REQUIRED | GWS_NULL, 0, 255},
    {.name = NULL},
};
static const struct gws_schema page_schema = {.name = "Classes", .fields = page_fields};
static const struct gws_field new_fields[] = {
    {.name = "vendor", GWS_TEXT, GWS_REQUIRED, 1, GWS_NAME_MAX, .summary = "a domain name"},
    {.name = "name", GWS_TEXT, GWS_REQUIRED, 1, GWS_NAME_MAX},
    {.name = NULL},
};
static const struct gws_schema new_schema = {.name = "NewClass", .fields = new_fields};
static const struct gws_field made_fields[] = {
    {.name = "id", GWS_HEX, GWS_REQUIRED, 16, 16},
    {.name = "vendor", GWS_TEXT, GWS_REQUIRED, 1, GWS_NAME_MAX},
    {.name = "name", GWS_TEXT, GWS_REQUIRED, 1, GWS_NAME_MAX},
    {.name = NULL},
};
static const struct gws_schema made_schema = {.name = "MadeClass", .fields = made_fields};
static const struct gws_field head_fields[] = {
    {.name = "serial", GWS_NUMBER, GWS_REQUIRED, 0, UINT32_MAX},
    {.name = NULL},
};
static const struct gws_schema head_schema = {.name = "HeadTaken", .fields = head_fields, .open = true};

static void list(struct gws_call *call)
{
    struct gwh_error err = {0};
    struct gws_page page;
    if (gws_api_page(call, &page))
        gws_api_show(call, gws_classes_list(gws_db_reader(call->server->db), &page, &err), &err, &hints);
}

static void create(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_class_create, 201, "class", "created", &hints};
    json_t *body = gws_api_body(call, &new_schema);
    if (body != NULL)
        gws_api_edit(call, &how, NULL, body);
}

static void put_head(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_class_head, 200, "class", "head", &hints};
    if (gws_api_hex(call, 0, 16, "the id of a class"))
        gws_api_edit_octets(call, &how, call->argument[0]);
}

const struct gws_route gws_api_classes[] = {
    {.doors = GWS_DOOR_ADMIN,
     .method = "GET",
     .pattern = "/api/v1/classes",
     .role = GWS_ROLE_VIEWER,
     .run = list,
     .summary = "classes of devices",
     .query = "limit=,after=",
     .gives = &page_schema},
    {.doors = GWS_DOOR_ADMIN,
     .method = "POST",
     .pattern = "/api/v1/classes",
     .role = GWS_ROLE_ADMIN,
     .body_max = 4096,
     .run = create,
     .summary = "adds a class; its id is made from vendor and name",
     .takes = &new_schema,
     .gives = &made_schema,
     .status = 201},
    {.doors = GWS_DOOR_ADMIN,
     .method = "PUT",
     .pattern = "/api/v1/classes/{}/head",
     .role = GWS_ROLE_PUBLISHER,
     .body_max = 4096,
     .run = put_head,
     .summary = "a channel head, checked as a device would; its serial must be above that of the one before",
     .takes = &gws_schema_octets,
     .gives = &head_schema},
    {.method = NULL},
};
