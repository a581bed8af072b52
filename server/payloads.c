/*
 * payloads.c - GET and HEAD /payloads/<sha256 in hex>: files that never change, whole or by ranges.
 *
 * A payload is encrypted and named by its digest: at the door PAYLOADS whoever knows the name may have it, unless links
 * expire (link_seconds): then only by a link that this server made. Devices at their own door need none.
 */
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_head.h"
#include "routes.h"
#include "server.h"

/* ---- Expiring links ---------------------------------------------------------------------------------------------- */

static bool link_mac(const struct gws_server *s, const uint8_t name[32], uint64_t expires, uint8_t mac[32])
{
    uint8_t text[40];
    unsigned n = 32;
    memcpy(text, name, 32);
    for (unsigned i = 0; i < 8; i++)
        text[32 + i] = (uint8_t)(expires >> (56 - 8 * i));
    return HMAC(EVP_sha256(), s->link_key, sizeof s->link_key, text, sizeof text, mac, &n) != NULL;
}

void gws_payload_link(const struct gws_server *s, const uint8_t name[32], int64_t now, char out[GWS_LINK_QUERY_MAX])
{
    uint8_t mac[32];
    char hex[65];
    uint64_t expires = (uint64_t)now + s->config.link_seconds;
    out[0] = '\0';
    if (s->config.link_seconds == 0 || !link_mac(s, name, expires, mac))
        return;
    gwh_hex(hex, mac, sizeof mac);
    snprintf(out, GWS_LINK_QUERY_MAX, "?expires=%" PRIu64 "&mac=%s", expires, hex);
}

static bool link_good(struct gws_call *call, const uint8_t name[32])
{
    const char *expires = gws_query_text(call, "expires"), *mac = gws_query_text(call, "mac");
    uint8_t given[32], expected[32];
    uint64_t until;
    if (expires == NULL || mac == NULL || !gws_decimal(expires, strlen(expires), &until) ||
        !gwh_unhex(given, sizeof given, mac) || !link_mac(call->server, name, until, expected))
        return false;
    return CRYPTO_memcmp(given, expected, sizeof given) == 0 && until > (uint64_t)gws_now();
}

/* ---- The key of the links ---------------------------------------------------------------------------------------- */

struct key_change {
    struct gws_change change; /* first */
    uint8_t key[32];
    bool done;
};

static int take_key(void *ctx, sqlite3_stmt *s)
{
    gws_column_fixed(s, 0, ctx, 32);
    return GWH_OK;
}

/* Made by whoever is first; then read, so that all agree. */
static int apply_key(struct gws_change *c, sqlite3 *db)
{
    struct key_change *k = (struct key_change *)c;
    if (RAND_bytes(k->key, sizeof k->key) != 1)
        return gwh_fail(&c->err, GWH_IO, "no random numbers");
    int result = gws_exec(db, &c->err, "INSERT OR IGNORE INTO setting(name, value) VALUES('link_key', ?)", "b",
                          (struct gw_span){ k->key, sizeof k->key });
    if (result == GWH_OK)
        result = gws_query(db, &c->err, take_key, k->key, "SELECT value FROM setting WHERE name = 'link_key'", "");
    return result;
}

static void key_done(struct gws_change *c)
{
    ((struct key_change *)c)->done = true;
}

int gws_payload_key(struct gws_server *s, struct gwh_error *err)
{
    struct key_change k = { .change = { .apply = apply_key, .done = key_done } };
    gws_db_submit(s->db, &k.change);
    while (!k.done)
        event_base_loop(s->base, EVLOOP_ONCE);
    if (k.change.result != GWH_OK)
        *err = k.change.err;
    else
        memcpy(s->link_key, k.key, sizeof s->link_key);
    OPENSSL_cleanse(k.key, sizeof k.key);
    return k.change.result;
}

/* ---- The route --------------------------------------------------------------------------------------------------- */

/* Lower-case: one payload has one name, for caches too. */
static bool parse_name(uint8_t name[32], const char *text)
{
    char hex[65];
    if (!gwh_unhex(name, 32, text))
        return false;
    gwh_hex(hex, name, 32);
    return strcmp(hex, text) == 0;
}

static void run_payload(struct gws_call *call)
{
    struct gws_server *s = call->server;
    uint8_t name[32];
    uint64_t size;
    int fd = -1;
    gws_count(GWS_M_PAYLOAD_REQUESTS, 1);
    if (!parse_name(name, call->argument[0])) {
        gws_answer_error(call, 404, "not_found", "a payload's name is its SHA-256 in lower-case hexadecimal");
        return;
    }
    if (call->door == GWS_DOOR_PAYLOADS && s->config.link_seconds != 0 && !link_good(call, name)) {
        gws_count(GWS_M_REFUSED, 1);
        gws_answer_error(call, 403, "link", "this link was not made here, or has expired");
        return;
    }
    fd = gws_blob_fd(&s->blobs, name, &size);
    if (fd < 0)
        gws_answer_error(call, 404, "not_found", "there is no such payload");
    else
        gws_answer_file(call, fd, size, call->argument[0], "public, max-age=31536000, immutable");
}

const struct gws_route gws_payload_routes[] = {
    { .doors = GWS_DOOR_PAYLOADS | GWS_DOOR_DEVICES | GWS_DOOR_TOKENS,
      .method = "GET",
      .pattern = "/payloads/{}",
      .unmetered = true,
      .run = run_payload,
      .summary = "A payload by its SHA-256; single ranges",
      .query = "expires=,mac=" },
    { .method = NULL },
};
