/*
 * api_devices.c - REST: devices: import, change, delete, why, retry, reports.
 */
#include <string.h>

#include "api.h"

#define IMPORT_MAX (2u << 20)
#define STATES "CONFIRMED|STAGED|FAILED|LEFT|DECLINED"

static const struct gws_hints hints = {
    "`godwit device list` shows the devices; `godwit device import devices.json` makes them known",
    "`godwit device show ID` shows what is known of it",
};

#define REPORTED                                                                                                       \
    {.name = "state", GWS_WORD, GWS_REQUIRED | GWS_NULL, .words = STATES, .summary = "of its last report"},            \
        {.name = "reason", GWS_TEXT, GWS_REQUIRED | GWS_NULL, 1, 40},                                                  \
    {                                                                                                                  \
        .name = "about", GWS_ORDER, GWS_REQUIRED | GWS_NULL, .summary = "the release that it speaks of"                \
    }
#define COUNTED(text, help)                                                                                            \
    {                                                                                                                  \
        .name = text, GWS_NUMBER, GWS_REQUIRED, 0, INT64_MAX, .summary = help                                          \
    }

static const struct gws_field device_fields[] = {
    {.name = "id", GWS_TEXT, GWS_REQUIRED, 1, GW_DEVICE_ID_MAX},
    {.name = "class", GWS_HEX, GWS_REQUIRED, 16, 16},
    {.name = "enabled", GWS_BOOL, GWS_REQUIRED},
    {.name = "key", GWS_HEX, GWS_REQUIRED | GWS_NULL, 64, 64, .summary = "that signs its reports; null: not known"},
    {.name = "token", GWS_BOOL, GWS_REQUIRED, .summary = "it has one"},
    {.name = "origin", GWS_WORD, GWS_REQUIRED, .words = "import|certificate"},
    {.name = "tags", GWS_TEXTS, GWS_REQUIRED, 0, GWS_TAGS_MAX},
    REPORTED,
    {.name = "running", GWS_ORDER, GWS_REQUIRED | GWS_NULL},
    {.name = "version", GWS_TEXT, GWS_REQUIRED | GWS_NULL, 1, 64, .summary = "of what it runs, if that is here"},
    COUNTED("created", NULL),
    COUNTED("counter", "of its last report"),
    COUNTED("hardware", NULL),
    COUNTED("bootloader", NULL),
    COUNTED("trust_version", NULL),
    COUNTED("head_serial", NULL),
    COUNTED("seen", "0: never"),
    COUNTED("reported", "0: never"),
    {.name = "new_token", GWS_TEXT, 0, 1, GWS_TOKEN_MAX, .summary = "after PATCH with token: shown this once"},
    {.name = NULL},
};
static const struct gws_schema device_schema = {.name = "Device", .fields = device_fields};
static const struct gws_field page_fields[] = {
    {.name = "items", GWS_LIST, GWS_REQUIRED, 0, 1000, .of = &device_schema},
    {.name = "next", GWS_TEXT, GWS_REQUIRED | GWS_NULL, 0, 255},
    {.name = NULL},
};
static const struct gws_schema page_schema = {.name = "Devices", .fields = page_fields};

static const struct gws_field new_fields[] = {
    {.name = "id", GWS_TEXT, GWS_REQUIRED, 1, GW_DEVICE_ID_MAX, .summary = "letters, digits, - and _"},
    {.name = "class", GWS_HEX, GWS_REQUIRED, 16, 16},
    {.name = "key", GWS_HEX, 0, 64, 64, .summary = "public key x || y that signs its reports"},
    {.name = "tags", GWS_TEXTS, 0, 0, GWS_TAGS_MAX},
    {.name = "kids", GWS_TEXTS, 0, 0, 64, .summary = "names of its keys that open grants, in hex"},
    {.name = NULL},
};
static const struct gws_schema new_schema = {.name = "NewDevice", .fields = new_fields};
static const struct gws_field import_fields[] = {
    {.name = "devices", GWS_LIST, GWS_REQUIRED, 1, GWS_IMPORT_MAX, .of = &new_schema},
    {.name = "token", GWS_BOOL, 0, .summary = "true: a token for each is in the answer, once"},
    {.name = NULL},
};
static const struct gws_schema import_schema = {.name = "Import", .fields = import_fields};
static const struct gws_field given_fields[] = {
    {.name = "id", GWS_TEXT, GWS_REQUIRED, 1, GW_DEVICE_ID_MAX},
    {.name = "token", GWS_TEXT, GWS_REQUIRED, 1, GWS_TOKEN_MAX, .summary = "shown this once"},
    {.name = NULL},
};
static const struct gws_schema given_schema = {.name = "DeviceToken", .fields = given_fields};
static const struct gws_field imported_fields[] = {
    {.name = "devices", GWS_NUMBER, GWS_REQUIRED, 1, GWS_IMPORT_MAX},
    {.name = "tokens", GWS_LIST, GWS_REQUIRED, 0, GWS_IMPORT_MAX, .of = &given_schema},
    {.name = NULL},
};
static const struct gws_schema imported_schema = {.name = "Imported", .fields = imported_fields};

static const struct gws_field patch_fields[] = {
    {.name = "enabled", GWS_BOOL, 0},
    {.name = "tags", GWS_TEXTS, 0, 0, GWS_TAGS_MAX, .summary = "instead of those that it has"},
    {.name = "key", GWS_HEX, 0, 64, 64},
    {.name = "kids", GWS_TEXTS, 0, 0, 64},
    {.name = "token", GWS_BOOL, 0, .summary = "true: a new token, in the answer, once; the old one is void"},
    {.name = NULL},
};
static const struct gws_schema patch_schema = {.name = "DevicePatch", .fields = patch_fields};

static const struct gws_field report_fields[] = {
    {.name = "id", GWS_TEXT, GWS_REQUIRED, 1, 24},
    {.name = "counter", GWS_NUMBER, GWS_REQUIRED, 1, UINT32_MAX},
    {.name = "received", GWS_NUMBER, GWS_REQUIRED, 0, INT64_MAX},
    REPORTED,
    COUNTED("bytes", "of payloads, read for it"),
    COUNTED("again", "of them, read twice"),
    {.name = "cose", GWS_BASE64, GWS_REQUIRED, 1, GW_REPORT_MAX, .summary = "as it came"},
    {.name = NULL},
};
static const struct gws_schema report_schema = {.name = "Report", .fields = report_fields};
static const struct gws_field reports_fields[] = {
    {.name = "items", GWS_LIST, GWS_REQUIRED, 0, 1000, .of = &report_schema},
    {.name = "next", GWS_TEXT, GWS_REQUIRED | GWS_NULL, 0, 255},
    {.name = NULL},
};
static const struct gws_schema reports_schema = {.name = "Reports", .fields = reports_fields};

static void list(struct gws_call *call)
{
    struct gwh_error err = {0};
    struct gws_page page;
    struct gws_device_query q = {gws_query_text(call, "class"), gws_query_text(call, "tag"),
                                 gws_query_text(call, "state"), gws_query_text(call, "text")};
    if (gws_api_page(call, &page))
        gws_api_show(call, gws_devices_list(gws_db_reader(call->server->db), &q, &page, &err), &err, &hints);
}

static void import(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_devices_import, 201, "device", "imported", &hints};
    json_t *body = gws_api_body(call, &import_schema);
    if (body != NULL)
        gws_api_edit(call, &how, NULL, body);
}

static void show(struct gws_call *call)
{
    struct gwh_error err = {0};
    gws_api_show(call, gws_device_show(gws_db_reader(call->server->db), call->argument[0], &err), &err, &hints);
}

/* The device as it is now, and its token if it got one. */
static void show_changed(struct gws_call *call, struct gws_edit *e)
{
    struct gwh_error err = {0};
    json_t *o = gws_device_show(gws_db_reader(call->server->db), e->object, &err);
    json_t *token = json_object_get(e->answer, "token");
    if (o == NULL) /* deleted meanwhile */
        return;
    if (token != NULL)
        (void)json_object_set(o, "new_token", token);
    json_decref(e->answer);
    e->answer = o;
}

static void patch(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_device_patch, 200, "device", "changed", &hints, show_changed};
    json_t *body = gws_api_body(call, &patch_schema);
    if (body != NULL)
        gws_api_edit(call, &how, call->argument[0], body);
}

static void delete(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_device_delete, 204, "device", "deleted", &hints};
    gws_api_edit(call, &how, call->argument[0], NULL);
}

/* False: 404 was answered. */
static bool is_known(struct gws_call *call)
{
    struct gwh_error err = {0};
    if (gws_fleet_device(call->server->fleet, call->argument[0]) != NULL)
        return true;
    (void)gws_refuse(&err, GWS_NOT_FOUND, "there is no such device");
    gws_api_failed(call, &err, &hints, NULL);
    return false;
}

static void why(struct gws_call *call)
{
    struct gwh_error err = {0};
    struct gws_server *s = call->server;
    if (!is_known(call))
        return;
    gws_api_show(call, gws_fleet_why(s->fleet, gws_db_reader(s->db), call->argument[0], gws_now(), &err), &err, &hints);
}

static int run_retry(struct gws_edit *e, sqlite3 *db)
{
    int64_t one;
    bool found = false;
    int x = gws_number(db, &e->change.err, &one, &found, "SELECT 1 FROM device WHERE id = ?", "t", e->object);
    if (x == GWH_OK && !found)
        return gws_refuse(&e->change.err, GWS_NOT_FOUND, "there is no such device");
    return x == GWH_OK ? gws_edit_audit(e, db, "device notified", e->object, NULL) : x;
}

static void notify(struct gws_call *call, struct gws_edit *e)
{
    gws_mqtt_notify(call->server, e->object);
    e->answer = json_pack("{s:b}", "notified", call->server->mqtt != NULL);
}

static void retry(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = run_retry, 200, NULL, NULL, &hints, notify};
    gws_api_edit(call, &how, call->argument[0], NULL);
}

static const struct gws_field notified_fields[] = {
    {.name = "notified", GWS_BOOL, GWS_REQUIRED, .summary = "false: there is no broker; it looks when its time comes"},
    {.name = NULL},
};
static const struct gws_schema notified_schema = {.name = "Notified", .fields = notified_fields};

static void reports(struct gws_call *call)
{
    struct gwh_error err = {0};
    struct gws_page page;
    if (is_known(call) && gws_api_page(call, &page))
        gws_api_show(call, gws_device_reports(gws_db_reader(call->server->db), call->argument[0], &page, &err), &err,
                     &hints);
}

static const struct gws_field why_fields[] = {
    {.name = "id", GWS_TEXT, GWS_REQUIRED, 1, GW_DEVICE_ID_MAX},
    {.name = "words", GWS_TEXTS, GWS_REQUIRED, 1, 4096, .summary = "for people"},
    {.name = "rollouts", GWS_LIST, GWS_REQUIRED, 0, 100000, .summary = "each with serves and reason"},
    {.name = "offer", GWS_OBJECT, GWS_REQUIRED, .summary = "what a look of it gets now"},
    {.name = "plan", GWS_OBJECT, 0, .summary = "what its own planner makes of the release"},
    {.name = NULL},
};
static const struct gws_schema why_schema = {.name = "Why", .fields = why_fields, .open = true};

const struct gws_route gws_api_devices[] = {
    {.doors = GWS_DOOR_ADMIN,
     .method = "GET",
     .pattern = "/api/v1/devices",
     .role = GWS_ROLE_VIEWER,
     .run = list,
     .summary = "devices, with what they reported last",
     .query = "class=,tag=,state=,text=,limit=,after=",
     .gives = &page_schema},
    {.doors = GWS_DOOR_ADMIN,
     .method = "POST",
     .pattern = "/api/v1/devices",
     .role = GWS_ROLE_OPERATOR,
     .body_max = IMPORT_MAX,
     .run = import,
     .summary = "makes devices known, all or none",
     .takes = &import_schema,
     .gives = &imported_schema,
     .status = 201},
    {.doors = GWS_DOOR_ADMIN,
     .method = "GET",
     .pattern = "/api/v1/devices/{}",
     .role = GWS_ROLE_VIEWER,
     .run = show,
     .summary = "a device, with what it reported last",
     .gives = &device_schema},
    {.doors = GWS_DOOR_ADMIN,
     .method = "PATCH",
     .pattern = "/api/v1/devices/{}",
     .role = GWS_ROLE_OPERATOR,
     .body_max = 16384,
     .run = patch,
     .summary = "changes a device; a disabled one is refused from then on, on every request",
     .takes = &patch_schema,
     .gives = &device_schema},
    {.doors = GWS_DOOR_ADMIN,
     .method = "DELETE",
     .pattern = "/api/v1/devices/{}",
     .role = GWS_ROLE_ADMIN,
     .run = delete,
     .summary = "forgets a device, with its reports",
     .status = 204},
    {.doors = GWS_DOOR_ADMIN,
     .method = "GET",
     .pattern = "/api/v1/devices/{}/why",
     .role = GWS_ROLE_VIEWER,
     .run = why,
     .summary = "which rollouts were considered, which one serves it and why; what its planner makes of the release",
     .gives = &why_schema},
    {.doors = GWS_DOOR_ADMIN,
     .method = "POST",
     .pattern = "/api/v1/devices/{}/retry",
     .role = GWS_ROLE_OPERATOR,
     .run = retry,
     .summary = "notifies it: look now",
     .gives = &notified_schema},
    {.doors = GWS_DOOR_ADMIN,
     .method = "GET",
     .pattern = "/api/v1/devices/{}/reports",
     .role = GWS_ROLE_VIEWER,
     .run = reports,
     .summary = "its reports, newest first, as they came",
     .query = "limit=,after=",
     .gives = &reports_schema},
    {.method = NULL},
};
