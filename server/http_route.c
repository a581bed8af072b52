/*
 * http_route.c - which handler serves a request, and whether it may come in at all.
 *
 * Keeps true: what no route of this door names does not exist there. Before a byte of a body is read: the route is
 * known, the client is known and allowed, the body is one that the route takes. A device is looked up in the fleet on
 * every request, so that one that was disabled is out, whatever its session or connection says.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http_internal.h"

static const struct gws_refusal not_found = { 404, "not_found", "there is nothing here" };
static const struct gws_refusal not_allowed = { 405, "method_not_allowed", "this method is not for this path" };
static const struct gws_refusal too_large = { 413, "too_large", "the body is longer than this request may have" };
static const struct gws_refusal no_identity = { 403, "certificate", "the client certificate names no device" };
static const struct gws_refusal expired = { 403, "certificate_expired", "the client certificate has expired" };
static const struct gws_refusal unknown = { 403, "device_unknown", "this device is not known here" };
static const struct gws_refusal disabled = { 403, "device_disabled", "this device is disabled" };
static const struct gws_refusal no_token = { 401, "token", "a valid token is needed" };
static const struct gws_refusal role = { 403, "role", "the role of this token does not allow this" };
static const struct gws_refusal often = { 429, "too_many", "too many requests of this device in this minute" };
static const struct gws_refusal bad_query = { 400, "bad_query", "the query has a parameter that is not known here" };

int gws_routes_check(struct gwh_error *err)
{
    for (const struct gws_route *const *table = gws_routes; *table != NULL; table++)
        for (const struct gws_route *r = *table; r->method != NULL; r++)
            if ((r->doors & GWS_DOOR_ADMIN) != 0 && r->role == GWS_ROLE_NONE)
                return gwh_fail(err, GWH_USAGE, "the route %s %s does not say who may use it", r->method, r->pattern);
    return GWH_OK;
}

static bool refuse(struct gws_request *r, const struct gws_refusal *no)
{
    gws_count(GWS_M_REFUSED, 1);
    gws_answer_refusal(r, no);
    return false;
}

/* ---- Which route? ------------------------------------------------------------------------------------------------ */

static bool serves(const struct gws_route *route, const char *method)
{
    return strcmp(route->method, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static void allow(char text[64], const char *method)
{
    if (strstr(text, method) != NULL || strlen(text) + strlen(method) + 9 > 64)
        return;
    if (text[0] != '\0')
        strcat(text, ", ");
    strcat(text, method);
    if (strcmp(method, "GET") == 0)
        strcat(text, ", HEAD");
}

/* NULL: none. `allowed` receives the methods that there are for this path at this door. */
static const struct gws_route *find(struct gws_request *r, char allowed[64])
{
    for (const struct gws_route *const *table = gws_routes; *table != NULL; table++) {
        for (const struct gws_route *route = *table; route->method != NULL; route++) {
            if ((route->doors & r->call.door) == 0 ||
                !gws_path_match(route->pattern, r->head.path, r->arguments, r->call.argument))
                continue;
            if (serves(route, r->head.method))
                return route;
            allow(allowed, route->method);
        }
    }
    memset(r->call.argument, 0, sizeof r->call.argument);
    return NULL;
}

static bool check_query(struct gws_request *r)
{
    if (!gws_query_parse(&r->query, r->head.query))
        return false;
    for (size_t i = 0; i < r->query.count; i++)
        if (!gws_query_listed(r->route->query, r->query.item[i].name))
            return false;
    return true;
}

/* ---- Who is it? -------------------------------------------------------------------------------------------------- */

/* "Bearer <token>": the token, or NULL. */
static const char *bearer(const struct gws_request *r)
{
    const char *text = gws_head_find(&r->head, "Authorization");
    if (text == NULL || strncasecmp(text, "Bearer ", 7) != 0)
        return NULL;
    size_t n = strlen(text + 7);
    return n >= 16 && n <= 256 ? text + 7 : NULL;
}

static bool under_limit(const struct gws_conn *c, struct gws_device *d, const struct gws_route *route)
{
    uint32_t minute = (uint32_t)(gws_now() / 60);
    if (route->unmetered)
        return true;
    if (d->minute != minute) {
        d->minute = minute;
        d->requests = 0;
    }
    if (d->requests >= c->door->limits.per_minute)
        return false;
    d->requests++;
    return true;
}

static bool admit_device(struct gws_request *r, struct gws_device *d)
{
    if (!d->enabled)
        return refuse(r, &disabled);
    if (!under_limit(r->conn, d, r->route)) {
        char seconds[12];
        snprintf(seconds, sizeof seconds, "%d", (int)(60 - gws_now() % 60));
        gws_answer_header(&r->call, "Retry-After", seconds);
        return refuse(r, &often);
    }
    snprintf(r->call.device, sizeof r->call.device, "%s", d->id);
    return true;
}

static void set_key(struct gws_call *call, const struct gws_conn *c)
{
    if (!gws_io_key(c, call->key_bytes))
        return;
    call->key.algorithm = GW_ALG_ES256;
    call->key.x = (struct gw_span){ call->key_bytes, 32 };
    call->key.y = (struct gw_span){ call->key_bytes + 32, 32 };
}

/* A certificate of the device CA whose device nobody has told us about. */
static bool first_sight(struct gws_request *r)
{
    struct gws_server *s = r->call.server;
    snprintf(r->call.device, sizeof r->call.device, "%s", r->conn->device);
    if (s->config.first_sight && !r->seen_first) {
        r->seen_first = true;
        r->conn->state = GWS_RUNNING;
        if (gws_device_first_sight(&r->call) == GWH_OK)
            return false;
    }
    r->call.device[0] = '\0';
    return refuse(r, &unknown);
}

static bool admit_certificate(struct gws_request *r)
{
    struct gws_conn *c = r->conn;
    if (c->device[0] == '\0')
        return refuse(r, &no_identity);
    if (c->not_after <= gws_now())
        return refuse(r, &expired);
    set_key(&r->call, c);
    struct gws_device *d = gws_fleet_device(r->call.server->fleet, c->device);
    return d == NULL ? first_sight(r) : admit_device(r, d);
}

static bool refuse_token(struct gws_request *r)
{
    gws_answer_header(&r->call, "WWW-Authenticate", "Bearer");
    return refuse(r, &no_token);
}

static bool admit_device_token(struct gws_request *r)
{
    uint8_t hash[32];
    const char *token = bearer(r);
    if (token == NULL || EVP_Digest(token, strlen(token), hash, NULL, EVP_sha256(), NULL) != 1)
        return refuse_token(r);
    struct gws_device *d = gws_fleet_token(r->call.server->fleet, hash);
    if (d == NULL || CRYPTO_memcmp(d->token_hash, hash, sizeof hash) != 0)
        return refuse_token(r);
    return admit_device(r, d);
}

static bool admit_administrator(struct gws_request *r)
{
    if (r->route->role == GWS_ROLE_ANYBODY)
        return true;
    const char *token = bearer(r);
    r->call.role = token == NULL ? GWS_ROLE_NONE : gws_token_role(r->call.server, token, r->call.who);
    if (r->call.role == GWS_ROLE_NONE)
        return refuse_token(r);
    if (r->route->role == GWS_ROLE_NONE || r->call.role < r->route->role)
        return refuse(r, &role);
    return true;
}

bool gws_request_admit(struct gws_request *r)
{
    switch (r->call.door) {
    case GWS_DOOR_DEVICES:
        return admit_certificate(r);
    case GWS_DOOR_TOKENS:
        return admit_device_token(r);
    case GWS_DOOR_PAYLOADS:
        return true;
    case GWS_DOOR_ADMIN:
        return admit_administrator(r);
    }
    return refuse(r, &not_found);
}

/* ---- In order ---------------------------------------------------------------------------------------------------- */

bool gws_request_check(struct gws_request *r)
{
    char allowed[64] = "";
    r->route = find(r, allowed);
    if (r->route == NULL && allowed[0] != '\0')
        gws_answer_header(&r->call, "Allow", allowed);
    r->close |= r->head.length != 0; /* while the body is unread; run() takes it back */
    if (r->route == NULL)
        return refuse(r, allowed[0] != '\0' ? &not_allowed : &not_found);
    if (!gws_request_admit(r))
        return false;
    if (r->head.length > r->route->body_max)
        return refuse(r, &too_large);
    if (!check_query(r))
        return refuse(r, &bad_query);
    return true;
}

/* The body may have taken minutes: who was let in at the head may be revoked by now. (Certificates: http_door.c.) */
static bool is_admitted_still(struct gws_request *r)
{
    if (r->call.door == GWS_DOOR_ADMIN)
        return admit_administrator(r);
    if (r->call.door == GWS_DOOR_PAYLOADS)
        return true;
    const struct gws_device *d = gws_fleet_device(r->call.server->fleet, r->call.device);
    return (d != NULL && d->enabled) || refuse(r, d == NULL ? &unknown : &disabled);
}

void gws_request_run(struct gws_request *r)
{
    if (r->head.length != 0 && !is_admitted_still(r))
        return;
    r->call.body = (struct gw_span){ (const uint8_t *)r->body, r->body_n };
    r->close = !r->head.keep;
    r->route->run(&r->call);
}

void gws_call_again(struct gws_call *call)
{
    struct gws_request *r = gws_request_of(call);
    struct gws_conn *c = r->conn;
    if (c == NULL) {
        gws_request_free(r);
        return;
    }
    if (c->generation != c->door->generation) { /* its certificate may be revoked since */
        c->state = GWS_HEAD; /* nobody works for it any more */
        gws_conn_drop(c);
        return;
    }
    if (!gws_request_check(r))
        return;
    c->state = GWS_BODY;
    if (!c->pumping)
        gws_conn_pump(c);
}
