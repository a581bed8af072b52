/*
 * api_releases.c - REST: releases: begun with a signed manifest, uploaded in parts, finished, deleted.
 *
 * An upload survives everything: what was acknowledged is on the disk, and a publisher who was cut off asks for the
 * release again and goes on where `there` says. Nothing of it can be seen by devices until `finish` has checked all.
 */
#include <string.h>

#include "api.h"
#include "http_head.h"

#define PART_MAX (4u << 20)
#define BEGIN_MAX (512u << 10) /* a manifest, 256 grants, a head, in base64 */

static const struct gws_hints hints = {
    "`godwit release list` shows what is there; `godwit release publish FOLDER` begins one",
    "`godwit release show DIGEST` says what it has, `godwit rollout status` who needs it",
};
static const struct gws_hints put_hints = {
    "begin the release first: `godwit release publish FOLDER` does all of it",
    "go on at the offset that \"there\" says",
};

static const struct gws_field payload_fields[] = {
    {.name = "name", GWS_HEX, GWS_REQUIRED, 32, 32, .summary = "SHA-256 of its bytes"},
    {.name = "size", GWS_NUMBER, GWS_REQUIRED, 0, UINT32_MAX},
    {.name = "there", GWS_NUMBER, GWS_REQUIRED, 0, UINT32_MAX, .summary = "bytes of it that are uploaded"},
    {.name = NULL},
};
static const struct gws_schema payload_schema = {.name = "Payload", .fields = payload_fields};
static const struct gws_field stored_fields[] = {
    {.name = "name", GWS_HEX, GWS_REQUIRED, 32, 32, .summary = "SHA-256 of its bytes"},
    {.name = "size", GWS_NUMBER, GWS_REQUIRED, 0, UINT32_MAX},
    {.name = "whole", GWS_BOOL, GWS_REQUIRED, .summary = "all of it is there, and was checked"},
    {.name = NULL},
};
static const struct gws_schema stored_schema = {.name = "StoredPayload", .fields = stored_fields};
static const struct gws_field release_fields[] = {
    {.name = "digest", GWS_HEX, GWS_REQUIRED, 32, 32},
    {.name = "class", GWS_HEX, GWS_REQUIRED, 16, 16},
    {.name = "epoch", GWS_NUMBER, GWS_REQUIRED, 0, UINT32_MAX},
    {.name = "sequence", GWS_NUMBER, GWS_REQUIRED, 0, UINT32_MAX},
    {.name = "version", GWS_TEXT, GWS_REQUIRED, 0, 64},
    {.name = "state", GWS_WORD, GWS_REQUIRED, .words = "uploading|ready|withdrawn"},
    {.name = "created", GWS_NUMBER, GWS_REQUIRED, 0, INT64_MAX},
    {.name = "creator", GWS_TEXT, GWS_REQUIRED, 0, GWS_NAME_MAX},
    {.name = "grants", GWS_NUMBER, GWS_REQUIRED, 0, GWH_GRANTS_MAX},
    {.name = "payloads", GWS_LIST, 0, 0, 256, .of = &stored_schema, .summary = "of a single release"},
    {.name = NULL},
};
static const struct gws_schema release_schema = {.name = "Release", .fields = release_fields};
static const struct gws_field page_fields[] = {
    {.name = "items", GWS_LIST, GWS_REQUIRED, 0, 1000, .of = &release_schema},
    {.name = "next", GWS_TEXT, GWS_REQUIRED | GWS_NULL, 0, 255},
    {.name = NULL},
};
static const struct gws_schema page_schema = {.name = "Releases", .fields = page_fields};
static const struct gws_field new_fields[] = {
    {.name = "manifest", GWS_BASE64, GWS_REQUIRED, 1, GW_MANIFEST_MAX, .summary = "signed"},
    {.name = "grants", GWS_TEXTS, 0, 0, GWH_GRANTS_MAX, .summary = "base64, each"},
    {.name = "head", GWS_BASE64, 0, 1, 1024, .summary = "a channel head, signed"},
    {.name = NULL},
};
static const struct gws_schema new_schema = {.name = "NewRelease", .fields = new_fields};
static const struct gws_field begun_fields[] = {
    {.name = "digest", GWS_HEX, GWS_REQUIRED, 32, 32},
    {.name = "payloads", GWS_LIST, GWS_REQUIRED, 0, 256, .of = &payload_schema},
    {.name = NULL},
};
static const struct gws_schema begun_schema = {.name = "BegunRelease", .fields = begun_fields};
static const struct gws_field put_fields[] = {
    {.name = "there", GWS_NUMBER, GWS_REQUIRED, 0, UINT32_MAX, .summary = "bytes that are there, and stay"},
    {.name = NULL},
};
static const struct gws_schema put_schema = {.name = "Uploaded", .fields = put_fields};
static const struct gws_field finished_fields[] = {
    {.name = "digest", GWS_HEX, GWS_REQUIRED, 32, 32},
    {.name = "state", GWS_WORD, GWS_REQUIRED, .words = "ready"},
    {.name = NULL},
};
static const struct gws_schema finished_schema = {.name = "FinishedRelease", .fields = finished_fields};

static void list(struct gws_call *call)
{
    struct gwh_error err = {0};
    struct gws_page page;
    const char *class_id = gws_query_text(call, "class");
    if (gws_api_page(call, &page))
        gws_api_show(call, gws_releases_list(gws_db_reader(call->server->db), class_id, &page, &err), &err, &hints);
}

static void show(struct gws_call *call)
{
    struct gwh_error err = {0};
    struct gws_server *s = call->server;
    if (gws_api_hex(call, 0, 32, "the digest of a release"))
        gws_api_show(call, gws_release_show(gws_db_reader(s->db), &s->blobs, call->argument[0], &err), &err, &hints);
}

static void begin(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_release_begin, 200, "release", "begun", &hints};
    json_t *body = gws_api_body(call, &new_schema);
    if (body != NULL)
        gws_api_edit(call, &how, NULL, body);
}

static bool offset_of(struct gws_call *call, uint64_t *offset)
{
    const char *text = gws_header(call, "Upload-Offset");
    if (text != NULL && gws_decimal(text, strlen(text), offset) && *offset <= UINT32_MAX)
        return true;
    gws_api_refuse(call, 400, "bad_request", "Upload-Offset: the number of bytes that are there, 0 at first",
                   "the header Upload-Offset is missing or is no number");
    return false;
}

/* With work on files: `later` reads what that needs. */
static void submit(struct gws_call *call, struct gws_edit *e, int (*later)(struct gws_edit *e, sqlite3 *db))
{
    e->change.result = later(e, gws_db_reader(call->server->db));
    if (e->change.result == GWH_OK)
        gws_api_edit_submit(call, e);
    else
        e->finished(e);
}

static void put(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_release_put, 200, NULL, NULL, &put_hints};
    uint64_t offset;
    if (!gws_api_hex(call, 0, 32, "the digest of a release") || !gws_api_hex(call, 1, 32, "the name of a payload") ||
        !offset_of(call, &offset))
        return;
    struct gws_edit *e = gws_api_edit_new(call, &how, call->argument[0], NULL);
    if (e == NULL || !gws_api_octets(call, e))
        return;
    e->offset = offset;
    memcpy(e->part, call->argument[1], 65);
    submit(call, e, gws_release_put_later);
}

static void finish(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_release_finish, 200, "release", "ready", &hints};
    struct gws_edit *e = gws_api_hex(call, 0, 32, "the digest of a release")
                             ? gws_api_edit_new(call, &how, call->argument[0], NULL)
                             : NULL;
    if (e != NULL)
        submit(call, e, gws_release_finish_later);
}

static void delete(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_release_delete, 204, "release", "deleted", &hints};
    if (gws_api_hex(call, 0, 32, "the digest of a release"))
        gws_api_edit(call, &how, call->argument[0], NULL);
}

const struct gws_route gws_api_releases[] = {
    {.doors = GWS_DOOR_ADMIN,
     .method = "GET",
     .pattern = "/api/v1/releases",
     .role = GWS_ROLE_VIEWER,
     .run = list,
     .summary = "releases",
     .query = "class=,limit=,after=",
     .gives = &page_schema},
    {.doors = GWS_DOOR_ADMIN,
     .method = "POST",
     .pattern = "/api/v1/releases",
     .role = GWS_ROLE_PUBLISHER,
     .body_max = BEGIN_MAX,
     .run = begin,
     .summary = "begins a release: verified at once; answers what has to be uploaded, and how much of it is there",
     .takes = &new_schema,
     .gives = &begun_schema},
    {.doors = GWS_DOOR_ADMIN,
     .method = "GET",
     .pattern = "/api/v1/releases/{}",
     .role = GWS_ROLE_VIEWER,
     .run = show,
     .summary = "a release, with its payloads",
     .gives = &release_schema},
    {.doors = GWS_DOOR_ADMIN,
     .method = "PUT",
     .pattern = "/api/v1/releases/{}/payloads/{}",
     .role = GWS_ROLE_PUBLISHER,
     .body_max = PART_MAX,
     .run = put,
     .summary = "a part of a payload, at Upload-Offset; on the disk when it is answered",
     .takes = &gws_schema_octets,
     .gives = &put_schema},
    {.doors = GWS_DOOR_ADMIN,
     .method = "POST",
     .pattern = "/api/v1/releases/{}/finish",
     .role = GWS_ROLE_PUBLISHER,
     .run = finish,
     .summary = "checks every payload with the device's code; then the release can be rolled out",
     .gives = &finished_schema},
    {.doors = GWS_DOOR_ADMIN,
     .method = "DELETE",
     .pattern = "/api/v1/releases/{}",
     .role = GWS_ROLE_ADMIN,
     .run = delete,
     .summary = "deletes a release, unless a rollout needs it",
     .status = 204},
    {.method = NULL},
};
