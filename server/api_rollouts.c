/*
 * api_rollouts.c - REST: rollouts: which release goes to whom, and how far it is.
 */
#include <string.h>

#include "api.h"

static const struct gws_hints hints = {
    "`godwit rollout status` shows the rollouts, `godwit release list` the releases",
    "`godwit rollout status ID` shows where it is",
};

static const struct gws_field count_fields[] = {
    {.name = "all", GWS_NUMBER, 0, 0, UINT32_MAX, .summary = "devices that the target holds"},
    {.name = "offered", GWS_NUMBER, 0, 0, UINT32_MAX},
    {.name = "staged", GWS_NUMBER, 0, 0, UINT32_MAX},
    {.name = "confirmed", GWS_NUMBER, 0, 0, UINT32_MAX, .summary = "they run it, or a newer one"},
    {.name = "failed", GWS_NUMBER, 0, 0, UINT32_MAX},
    {.name = "silent", GWS_NUMBER, 0, 0, UINT32_MAX, .summary = "not seen since it was started"},
    {.name = "other", GWS_NUMBER, 0, 0, UINT32_MAX, .summary = "served by another rollout, or withheld"},
    {.name = NULL},
};
static const struct gws_schema count_schema = {.name = "Counts", .fields = count_fields};
static const struct gws_field target_fields[] = {
    {.name = "all", GWS_BOOL, 0, .summary = "true: every device of the release's class"},
    {.name = "tag", GWS_TEXT, 0, 1, GWS_TAG_MAX},
    {.name = "ids", GWS_TEXTS, 0, 1, GWS_TARGET_IDS_MAX},
    {.name = "share", GWS_NUMBER, 0, 1, 1000, .summary = "per mille"},
    {.name = NULL},
};
static const struct gws_schema target_schema = {.name = "Target", .fields = target_fields};
static const struct gws_field rollout_fields[] = {
    {.name = "id", GWS_TEXT, GWS_REQUIRED, 1, 64},
    {.name = "name", GWS_TEXT, GWS_REQUIRED, 1, GWS_NAME_MAX},
    {.name = "class", GWS_HEX, GWS_REQUIRED, 16, 16},
    {.name = "release", GWS_HEX, GWS_REQUIRED, 32, 32},
    {.name = "version", GWS_TEXT, GWS_REQUIRED, 0, 64, .summary = "of the release"},
    {.name = "created", GWS_NUMBER, GWS_REQUIRED, 0, INT64_MAX},
    {.name = "creator", GWS_TEXT, GWS_REQUIRED, 0, GWS_NAME_MAX},
    {.name = "started", GWS_NUMBER, GWS_REQUIRED, 0, INT64_MAX, .summary = "0: not yet"},
    {.name = "ended", GWS_NUMBER, GWS_REQUIRED, 0, INT64_MAX, .summary = "0: not yet"},
    {.name = "state", GWS_WORD, GWS_REQUIRED, .words = "draft|running|paused|aborted|done"},
    {.name = "target", GWS_OBJECT, GWS_REQUIRED, .of = &target_schema},
    {.name = "priority", GWS_NUMBER, GWS_REQUIRED, -1000, 1000},
    {.name = "devices", GWS_OBJECT, 0, .of = &count_schema,
     .summary = "empty for one that has ended; in long lists of large fleets left out"},
    {.name = NULL},
};
static const struct gws_schema rollout_schema = {.name = "Rollout", .fields = rollout_fields};
static const struct gws_field page_fields[] = {
    {.name = "items", GWS_LIST, GWS_REQUIRED, 0, 1000, .of = &rollout_schema},
    {.name = "next", GWS_TEXT, GWS_REQUIRED | GWS_NULL, 0, 255},
    {.name = NULL},
};
static const struct gws_schema page_schema = {.name = "Rollouts", .fields = page_fields};
static const struct gws_field new_fields[] = {
    {.name = "name", GWS_TEXT, GWS_REQUIRED, 1, GWS_NAME_MAX},
    {.name = "release", GWS_HEX, GWS_REQUIRED, 32, 32},
    {.name = "target", GWS_OBJECT, GWS_REQUIRED, .of = &target_schema, .summary = "one of its members"},
    {.name = "priority", GWS_NUMBER, 0, -1000, 1000, .summary = "the highest serves a device; 0"},
    {.name = NULL},
};
static const struct gws_schema new_schema = {.name = "NewRollout", .fields = new_fields};
static const struct gws_field made_fields[] = {
    {.name = "id", GWS_TEXT, GWS_REQUIRED, 1, 64},
    {.name = "state", GWS_WORD, GWS_REQUIRED, .words = "draft"},
    {.name = NULL},
};
static const struct gws_schema made_schema = {.name = "MadeRollout", .fields = made_fields};
static const struct gws_field state_fields[] = {
    {.name = "id", GWS_TEXT, GWS_REQUIRED, 1, 64},
    {.name = "state", GWS_WORD, GWS_REQUIRED, .words = "draft|running|paused|aborted|done"},
    {.name = NULL},
};
static const struct gws_schema state_schema = {.name = "RolloutState", .fields = state_fields};
static const struct gws_field member_fields[] = {
    {.name = "id", GWS_TEXT, GWS_REQUIRED, 1, GW_DEVICE_ID_MAX},
    {.name = "state", GWS_WORD, GWS_REQUIRED, .words = "confirmed|staged|failed|offered|silent|other"},
    {.name = NULL},
};
static const struct gws_schema member_schema = {.name = "RolloutDevice", .fields = member_fields, .open = true};
static const struct gws_field members_fields[] = {
    {.name = "items", GWS_LIST, GWS_REQUIRED, 0, 1000, .of = &member_schema},
    {.name = "next", GWS_TEXT, GWS_REQUIRED | GWS_NULL, 0, 255},
    {.name = NULL},
};
static const struct gws_schema members_schema = {.name = "RolloutDevices", .fields = members_fields};
static const struct gws_field plan_fields[] = {
    {.name = "devices", GWS_NUMBER, GWS_REQUIRED, 0, UINT32_MAX, .summary = "that are enabled, in the target"},
    {.name = "bytes", GWS_NUMBER, GWS_REQUIRED, 0, INT64_MAX, .summary = "that all of them would fetch"},
    {.name = NULL},
};
static const struct gws_schema plan_schema = {.name = "RolloutPlan", .fields = plan_fields, .open = true};

/* Devices that one list looks at, over all its rollouts: nobody waits longer for it. */
#define COUNT_MAX 500000u

static void add_counts(struct gws_server *s, json_t *rollout)
{
    const char *id = json_string_value(json_object_get(rollout, "id"));
    if (id != NULL)
        (void)json_object_set_new(rollout, "devices", gws_fleet_progress(s->fleet, id));
}

static void list(struct gws_call *call)
{
    struct gwh_error err = {0};
    struct gws_page page;
    size_t i, looked = 0, count = gws_fleet_count(call->server->fleet);
    json_t *item;
    if (!gws_api_page(call, &page))
        return;
    json_t *o = gws_rollouts_list(gws_db_reader(call->server->db), &page, &err);
    json_array_foreach(json_object_get(o, "items"), i, item) {
        if (looked > 0 && looked + count > COUNT_MAX)
            break;
        add_counts(call->server, item);
        looked += count;
    }
    gws_api_show(call, o, &err, &hints);
}

static void show(struct gws_call *call)
{
    struct gwh_error err = {0};
    json_t *o = gws_rollout_show(gws_db_reader(call->server->db), call->argument[0], &err);
    if (o != NULL)
        add_counts(call->server, o);
    gws_api_show(call, o, &err, &hints);
}

static void devices(struct gws_call *call)
{
    struct gwh_error err = {0};
    struct gws_server *s = call->server;
    struct gws_page page;
    if (!gws_api_page(call, &page))
        return;
    json_t *o = gws_rollout_show(gws_db_reader(s->db), call->argument[0], &err);
    if (o != NULL) {
        json_decref(o);
        o = gws_fleet_rollout_devices(s->fleet, call->argument[0], gws_page_limit(&page), page.after);
    }
    gws_api_show(call, o, &err, &hints);
}

static void plan(struct gws_call *call)
{
    struct gwh_error err = {0};
    struct gws_rollout_request r;
    struct gws_server *s = call->server;
    json_t *body = gws_api_body(call, &new_schema), *o = NULL;
    if (body == NULL)
        return;
    if (gws_rollout_request(&r, body, &err) == GWH_OK)
        o = gws_fleet_plan(s->fleet, gws_db_reader(s->db), body, gws_now(), &err);
    json_decref(body);
    gws_api_show(call, o, &err, &hints);
}

static void create(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_rollout_create, 201, "rollout", "created", &hints};
    json_t *body = gws_api_body(call, &new_schema);
    if (body != NULL)
        gws_api_edit(call, &how, NULL, body);
}

static void start(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_rollout_start, 200, "rollout", "started", &hints};
    gws_api_edit(call, &how, call->argument[0], NULL);
}

static void pause(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_rollout_pause, 200, "rollout", "paused", &hints};
    gws_api_edit(call, &how, call->argument[0], NULL);
}

static void resume(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_rollout_resume, 200, "rollout", "resumed", &hints};
    gws_api_edit(call, &how, call->argument[0], NULL);
}

static void abort_it(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_rollout_abort, 200, "rollout", "aborted", &hints};
    gws_api_edit(call, &how, call->argument[0], NULL);
}

#define STEP(word, function, text)                                                                                     \
    {.doors = GWS_DOOR_ADMIN,                                                                                          \
     .method = "POST",                                                                                                 \
     .pattern = "/api/v1/rollouts/{}/" word,                                                                           \
     .role = GWS_ROLE_OPERATOR,                                                                                        \
     .run = function,                                                                                                  \
     .summary = text,                                                                                                  \
     .gives = &state_schema}

const struct gws_route gws_api_rollouts[] = {
    {.doors = GWS_DOOR_ADMIN,
     .method = "GET",
     .pattern = "/api/v1/rollouts",
     .role = GWS_ROLE_VIEWER,
     .run = list,
     .summary = "rollouts, with counts of devices",
     .query = "limit=,after=",
     .gives = &page_schema},
    {.doors = GWS_DOOR_ADMIN,
     .method = "POST",
     .pattern = "/api/v1/rollouts",
     .role = GWS_ROLE_OPERATOR,
     .body_max = 1u << 20,
     .run = create,
     .summary = "a draft of a rollout",
     .takes = &new_schema,
     .gives = &made_schema,
     .status = 201},
    {.doors = GWS_DOOR_ADMIN,
     .method = "POST",
     .pattern = "/api/v1/rollouts/plan",
     .role = GWS_ROLE_VIEWER,
     .body_max = 1u << 20,
     .run = plan,
     .summary = "who would get what, by which payload, in how many bytes; changes nothing",
     .takes = &new_schema,
     .gives = &plan_schema},
    {.doors = GWS_DOOR_ADMIN,
     .method = "GET",
     .pattern = "/api/v1/rollouts/{}",
     .role = GWS_ROLE_VIEWER,
     .run = show,
     .summary = "a rollout, with counts of devices",
     .gives = &rollout_schema},
    {.doors = GWS_DOOR_ADMIN,
     .method = "GET",
     .pattern = "/api/v1/rollouts/{}/devices",
     .role = GWS_ROLE_VIEWER,
     .run = devices,
     .summary = "the devices of a rollout that has not ended, each with its state",
     .query = "limit=,after=",
     .gives = &members_schema},
    STEP("start", start, "starts a draft: devices are offered the release from now on"),
    STEP("pause", pause, "pauses it: devices that have not begun are offered nothing of it"),
    STEP("resume", resume, "goes on after a pause"),
    STEP("abort", abort_it, "ends it for good"),
    {.method = NULL},
};
