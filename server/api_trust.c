/*
 * api_trust.c - REST: the trust bundle of the fleet.
 */
#include "api.h"

static const struct gws_hints hints = {
    "`godwit key bundle` makes one: name it in the configuration ([server] trust), or PUT it here",
    "`godwit key bundle --version N` makes a newer one, signed by the roots",
};
static const struct gws_field trust_fields[] = {
    {.name = "version", GWS_NUMBER, GWS_REQUIRED, 0, UINT32_MAX},
    {.name = "cose", GWS_BASE64, GWS_REQUIRED, 1, 16384, .summary = "as it came"},
    {.name = NULL},
};
static const struct gws_schema trust_schema = {.name = "Trust", .fields = trust_fields, .open = true};
static const struct gws_field taken_fields[] = {
    {.name = "version", GWS_NUMBER, GWS_REQUIRED, 0, UINT32_MAX},
    {.name = NULL},
};
static const struct gws_schema taken_schema = {.name = "TrustTaken", .fields = taken_fields, .open = true};

static void show(struct gws_call *call)
{
    struct gwh_error err = {0};
    gws_api_show(call, gws_trust_show(gws_db_reader(call->server->db), &err), &err, &hints);
}

static void put(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_trust_put, 200, "trust", "put", &hints};
    gws_api_edit_octets(call, &how, "");
}

const struct gws_route gws_api_trust[] = {
    {.doors = GWS_DOOR_ADMIN,
     .method = "GET",
     .pattern = "/api/v1/trust",
     .role = GWS_ROLE_VIEWER,
     .run = show,
     .summary = "the trust bundle of the fleet",
     .gives = &trust_schema},
    {.doors = GWS_DOOR_ADMIN,
     .method = "PUT",
     .pattern = "/api/v1/trust",
     .role = GWS_ROLE_ADMIN,
     .body_max = 16384,
     .run = put,
     .summary = "a newer trust bundle, signed by the roots of the configuration",
     .takes = &gws_schema_octets,
     .gives = &taken_schema},
    {.method = NULL},
};
