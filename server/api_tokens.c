/*
 * api_tokens.c - REST: administration tokens. The token itself is in the answer to POST, once; its hash stays.
 */
#include "api.h"

#define ROLES "viewer|publisher|operator|admin"
#define TIME_MAX INT64_C(253402300799)

static const struct gws_hints hints = {"`godwit server tokens` shows the tokens", NULL};
static const struct gws_field token_fields[] = {
    {.name = "id", GWS_TEXT, GWS_REQUIRED, 1, 64},
    {.name = "name", GWS_TEXT, GWS_REQUIRED, 1, GWS_NAME_MAX},
    {.name = "role", GWS_WORD, GWS_REQUIRED, .words = ROLES},
    {.name = "created", GWS_NUMBER, GWS_REQUIRED, 0, TIME_MAX},
    {.name = "creator", GWS_TEXT, GWS_REQUIRED, 0, GWS_NAME_MAX},
    {.name = "expires", GWS_NUMBER, GWS_REQUIRED, 0, TIME_MAX},
    {.name = "used", GWS_NUMBER, GWS_REQUIRED, 0, TIME_MAX, .summary = "last; a minute late; 0: never"},
    {.name = NULL},
};
static const struct gws_schema token_schema = {.name = "Token", .fields = token_fields};
static const struct gws_field page_fields[] = {
    {.name = "items", GWS_LIST, GWS_REQUIRED, 0, 1000, .of = &token_schema},
    {.name = "next", GWS_TEXT, GWS_REQUIRED | GWS_NULL, 0, 255},
    {.name = NULL},
};
static const struct gws_schema page_schema = {.name = "Tokens", .fields = page_fields};
static const struct gws_field new_fields[] = {
    {.name = "name", GWS_TEXT, GWS_REQUIRED, 1, GWS_NAME_MAX - 1, .summary = "whose it is; the audit log names it"},
    {.name = "role", GWS_WORD, GWS_REQUIRED, .words = ROLES},
    {.name = "expires", GWS_NUMBER, GWS_REQUIRED, 1, TIME_MAX, .summary = "seconds since 1970"},
    {.name = NULL},
};
static const struct gws_schema new_schema = {.name = "NewToken", .fields = new_fields};
static const struct gws_field made_fields[] = {
    {.name = "id", GWS_TEXT, GWS_REQUIRED, 1, 64},
    {.name = "token", GWS_TEXT, GWS_REQUIRED, 1, GWS_TOKEN_MAX, .summary = "shown this once"},
    {.name = NULL},
};
static const struct gws_schema made_schema = {.name = "MadeToken", .fields = made_fields};

static void list(struct gws_call *call)
{
    struct gwh_error err = {0};
    struct gws_page page;
    if (gws_api_page(call, &page))
        gws_api_show(call, gws_tokens_list(gws_db_reader(call->server->db), &page, &err), &err, &hints);
}

static void create(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_token_create, 201, NULL, NULL, NULL};
    json_t *body = gws_api_body(call, &new_schema);
    if (body != NULL)
        gws_api_edit(call, &how, NULL, body);
}

static void delete(struct gws_call *call)
{
    static const struct gws_api_edit how = {.run = gws_token_delete, 204, NULL, NULL, &hints};
    gws_api_edit(call, &how, call->argument[0], NULL);
}

const struct gws_route gws_api_tokens[] = {
    {.doors = GWS_DOOR_ADMIN,
     .method = "GET",
     .pattern = "/api/v1/tokens",
     .role = GWS_ROLE_ADMIN,
     .run = list,
     .summary = "administration tokens, without the tokens themselves",
     .query = "limit=,after=",
     .gives = &page_schema},
    {.doors = GWS_DOOR_ADMIN,
     .method = "POST",
     .pattern = "/api/v1/tokens",
     .role = GWS_ROLE_ADMIN,
     .body_max = 4096,
     .run = create,
     .summary = "a new token; it is shown once, in this answer",
     .takes = &new_schema,
     .gives = &made_schema,
     .status = 201},
    {.doors = GWS_DOOR_ADMIN,
     .method = "DELETE",
     .pattern = "/api/v1/tokens/{}",
     .role = GWS_ROLE_ADMIN,
     .run = delete,
     .summary = "revokes a token, at once",
     .status = 204},
    {.method = NULL},
};
