/*
 * api_audit.c - REST: who changed what, newest first.
 */
#include <string.h>

#include "api.h"

static const struct gws_field entry_fields[] = {
    {.name = "id", GWS_TEXT, GWS_REQUIRED, 1, 24},
    {.name = "time", GWS_NUMBER, GWS_REQUIRED, 0, INT64_MAX},
    {.name = "who", GWS_TEXT, GWS_REQUIRED, 0, GWS_NAME_MAX, .summary = "name of the token"},
    {.name = "what", GWS_TEXT, GWS_REQUIRED, 1, 64},
    {.name = "object", GWS_TEXT, GWS_REQUIRED, 0, 255},
    {.name = "detail", GWS_ANY, 0, .summary = "what was asked, as JSON"},
    {.name = NULL},
};
static const struct gws_schema entry_schema = {.name = "AuditEntry", .fields = entry_fields};
static const struct gws_field page_fields[] = {
    {.name = "items", GWS_LIST, GWS_REQUIRED, 0, 1000, .of = &entry_schema},
    {.name = "next", GWS_TEXT, GWS_REQUIRED | GWS_NULL, 0, 255},
    {.name = NULL},
};
static const struct gws_schema page_schema = {.name = "AuditLog", .fields = page_fields};

static void list(struct gws_call *call)
{
    struct gwh_error err = {0};
    struct gws_page page;
    if (!gws_api_page(call, &page))
        return;
    if (page.after != NULL && (page.after[0] == '\0' || strspn(page.after, "0123456789") != strlen(page.after)))
        gws_api_refuse(call, 400, "bad_query", "give what \"next\" of the page before said", "after is no entry");
    else
        gws_api_show(call, gws_audit_list(gws_db_reader(call->server->db), &page, &err), &err, NULL);
}

const struct gws_route gws_api_audit[] = {
    {.doors = GWS_DOOR_ADMIN,
     .method = "GET",
     .pattern = "/api/v1/audit",
     .role = GWS_ROLE_ADMIN,
     .run = list,
     .summary = "every change that a person made, newest first",
     .query = "limit=,after=",
     .gives = &page_schema},
    {.method = NULL},
};
