/*
 * rest.c - see rest.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <curl/curl.h>

#include "encode.h"
#include "rest.h"

#define STALL_S 60L
#define CONNECT_S 20L
#define PAGE 1000
#define EVENT_MAX (256u * 1024u)

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

static int take_token(struct gwh_rest *r, const char *text, size_t n, const char *from, struct gwh_error *err)
{
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r')) {
        n--;
    }
    if (n == 0 || n > GWH_TOKEN_MAX ||
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") < n) {
        return gwh_fail(err, GWH_REFUSED, "%s holds no token", from);
    }
    memcpy(r->token, text, n);
    r->token[n] = '\0';
    return GWH_OK;
}

static int read_token(struct gwh_rest *r, const char *path, struct gwh_error *err)
{
    struct gwh_buf bytes = {0};
    struct stat st;
    if (stat(path, &st) != 0) {
        return gwh_fail_errno(err, "the token's file %s", path);
    }
    if ((st.st_mode & 077) != 0) {
        (void)gwh_fail(err, GWH_REFUSED, "%s can be read by others", path);
        return gwh_hint(err, "chmod 600 %s; and make a new token, if others may have read it", path);
    }
    int e = gwh_file_read(&bytes, path, 4096, err);
    e = e == GWH_OK && gwh_buf_add(&bytes, "", 1) != GW_OK ? gwh_fail_reason(err, GW_ERR_SPACE, "%s", path) : e;
    e = e == GWH_OK ? take_token(r, (const char *)bytes.p, bytes.n - 1, path, err) : e;
    gwh_buf_free(&bytes);
    return e;
}

static int find_token(struct gwh_rest *r, const struct gwh_rest_config *c, const struct gwh_profile *p,
                      struct gwh_error *err)
{
    const char *given = getenv("GODWIT_TOKEN");
    if (c->token_file != NULL) {
        return read_token(r, c->token_file, err);
    }
    if (given != NULL && *given != '\0') {
        return take_token(r, given, strlen(given), "GODWIT_TOKEN", err);
    }
    if (p->token_file[0] != '\0') {
        return read_token(r, p->token_file, err);
    }
    (void)gwh_fail(err, GWH_USAGE, "no token for %s", r->base);
    return gwh_hint(err, "add --token-file FILE, or set GODWIT_TOKEN, or --profile NAME");
}

static bool set_up(struct gwh_rest *r)
{
    CURL *c = r->curl = curl_easy_init();
    return c != NULL && curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_S) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           (r->ca[0] == '\0' || (curl_easy_setopt(c, CURLOPT_CAINFO, r->ca) == CURLE_OK &&
                                 curl_easy_setopt(c, CURLOPT_CAPATH, NULL) == CURLE_OK));
}

/* A server that is named by its URL, and whose profile there is: its CA and token are used; those of others never. */
static void fitting_profile(struct gwh_profile *p, const struct gwh_rest_config *c)
{
    struct gwh_error none = {0};
    size_t n = strlen(c->server);
    while (n > 0 && c->server[n - 1] == '/') {
        n--;
    }
    if (gwh_profile_find(p, c->profile, &none) != GWH_OK || strlen(p->server) != n ||
        strncmp(p->server, c->server, n) != 0) {
        *p = (struct gwh_profile){0};
    }
}

int gwh_rest_open(struct gwh_rest *r, const struct gwh_rest_config *c, struct gwh_error *err)
{
    struct gwh_profile p = {0};
    int e = GWH_OK;
    memset(r, 0, sizeof *r);
    if (c->server == NULL) {
        e = gwh_profile_find(&p, c->profile, err);
    } else {
        fitting_profile(&p, c);
    }
    const char *server = c->server != NULL ? c->server : p.server, *ca = c->ca != NULL ? c->ca : p.ca;
    size_t n = strlen(server);
    while (n > 0 && server[n - 1] == '/') {
        n--;
    }
    if (e == GWH_OK && (strncmp(server, "https://", 8) != 0 || n <= 8 || n >= sizeof r->base ||
                        strcspn(server, "?#@ ") < n)) {
        e = gwh_fail(err, GWH_USAGE, "%.200s: expected https://HOST:PORT", server);
    }
    if (e == GWH_OK) {
        memcpy(r->base, server, n);
        (void)snprintf(r->ca, sizeof r->ca, "%s", ca);
        e = find_token(r, c, &p, err);
    }
    if (e == GWH_OK && (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !set_up(r))) {
        e = gwh_fail(err, GWH_IO, "libcurl does not start; it has to be 7.87 or newer");
    }
    return e;
}

void gwh_rest_close(struct gwh_rest *r)
{
    if (r->curl != NULL) {
        curl_easy_cleanup(r->curl);
        curl_global_cleanup();
    }
    gw_wipe(r, sizeof *r);
}

int gwh_rest_add(char *path, size_t size, const char *text, struct gwh_error *err)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.~";
    size_t n = strlen(path);
    for (; *text != '\0'; text++) {
        if (n + 4 > size) {
            return gwh_fail(err, GWH_USAGE, "%.60s... is too long", path);
        }
        n += (size_t)snprintf(path + n, size - n, strchr(plain, *text) != NULL ? "%c" : "%%%02X",
                              (unsigned char)*text);
    }
    return GWH_OK;
}

/* ---- One request ------------------------------------------------------------------------------------------------- */

struct exchange {
    struct gwh_rest *r;
    struct gwh_buf answer;
    size_t max;
    bool full;
    struct curl_slist *headers;
    char url[2048], why[CURL_ERROR_SIZE];
    /* events: */
    bool (*each)(void *ctx, const char *event, const json_t *data);
    bool (*idle)(void *ctx);
    void *ctx;
    bool ended;
};

static size_t take(char *p, size_t one, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    if (x->answer.n + one * n > x->max || gwh_buf_add(&x->answer, p, one * n) != GW_OK) {
        x->full = true;
        return 0;
    }
    return one * n;
}

static bool header(struct exchange *x, const char *text)
{
    struct curl_slist *grown = curl_slist_append(x->headers, text);
    x->headers = grown != NULL ? grown : x->headers;
    return grown != NULL;
}

static bool begin(struct exchange *x, struct gwh_rest *r, const char *method, const char *path, const char *type)
{
    char line[GWH_TOKEN_MAX + 32];
    CURL *c = r->curl;
    x->r = r;
    x->max = GWH_REST_ANSWER_MAX;
    (void)snprintf(line, sizeof line, "Authorization: Bearer %s", r->token);
    bool ok = (size_t)snprintf(x->url, sizeof x->url, "%s%s", r->base, path) < sizeof x->url && header(x, line) &&
              header(x, "Expect:") && (type == NULL || header(x, type));
    gw_wipe(line, sizeof line);
    return ok && curl_easy_setopt(c, CURLOPT_URL, x->url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_POST, 0L) == CURLE_OK && curl_easy_setopt(c, CURLOPT_HTTPGET, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->why) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, x) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, STALL_S) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTPHEADER, x->headers) == CURLE_OK;
}

static bool with_body(struct gwh_rest *r, const char *method, const char *bytes, size_t n)
{
    return curl_easy_setopt(r->curl, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(r->curl, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK &&
           curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, bytes) == CURLE_OK &&
           curl_easy_setopt(r->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n) == CURLE_OK;
}

static void end(struct exchange *x)
{
    if (x->r != NULL) {
        (void)curl_easy_setopt(x->r->curl, CURLOPT_HTTPHEADER, NULL);
        (void)curl_easy_setopt(x->r->curl, CURLOPT_ERRORBUFFER, NULL);
    }
    for (struct curl_slist *l = x->headers; l != NULL; l = l->next) {
        gw_wipe(l->data, strlen(l->data));
    }
    curl_slist_free_all(x->headers);
    gwh_buf_free(&x->answer);
}

/* No answer came: why, and what to do. */
static int no_answer(const struct exchange *x, CURLcode code, struct gwh_error *err)
{
    if (x->full) {
        return gwh_fail_reason(err, GW_ERR_LIMIT, "the answer of %s is too long", x->r->base);
    }
    (void)gwh_fail(err, GWH_IO, "%s: %s", x->r->base, x->why[0] != '\0' ? x->why : curl_easy_strerror(code));
    if (code == CURLE_PEER_FAILED_VERIFICATION) {
        return gwh_hint(err, "--ca FILE names the server's CA: ca/ca.pem of `godwit server init`");
    }
    return gwh_hint(err, "is the server running? where it runs: godwit server check DIR");
}

/* The server said no: in its own words. */
static int refused(const struct exchange *x, long status, const json_t *tree, struct gwh_error *err)
{
    const char *code = json_string_value(json_object_get(tree, "error"));
    const char *message = json_string_value(json_object_get(tree, "message"));
    const char *hint = json_string_value(json_object_get(tree, "hint"));
    int exit = status >= 500 || status == 429 ? GWH_IO : GWH_REFUSED;
    if (message != NULL) {
        (void)gwh_fail(err, exit, "%s%s%.400s", code != NULL ? code : "", code != NULL ? ": " : "", message);
    } else {
        (void)gwh_fail(err, exit, "%s answered with status %ld", x->r->base, status);
    }
    if (hint != NULL && *hint != '\0') {
        return gwh_hint(err, "%.290s", hint);
    }
    if (status == 401) {
        return gwh_hint(err, "the token is wrong or has expired: godwit server token makes one");
    }
    return err->exit;
}

static int finish(struct exchange *x, long *status, json_t **answer, struct gwh_error *err)
{
    json_error_t where;
    CURLcode code = curl_easy_perform(x->r->curl);
    *answer = NULL;
    if (code != CURLE_OK) {
        return no_answer(x, code, err);
    }
    (void)curl_easy_getinfo(x->r->curl, CURLINFO_RESPONSE_CODE, status);
    if (x->answer.n > 0) {
        *answer = json_loadb((const char *)x->answer.p, x->answer.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
    }
    bool good = *status >= 200 && *status < 300;
    if (good && *answer == NULL && x->answer.n > 0) {
        return gwh_fail(err, GWH_IO, "%s answered with something that is no JSON", x->r->base);
    }
    return good ? GWH_OK : GWH_REFUSED;
}

int gwh_rest_call(struct gwh_rest *r, const char *method, const char *path, const json_t *body, json_t **answer,
                  struct gwh_error *err)
{
    struct exchange x = {0};
    long status = 0;
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    json_t *tree = NULL;
    bool posts = strcmp(method, "GET") != 0 && strcmp(method, "DELETE") != 0;
    bool ok = begin(&x, r, method, path, text != NULL ? "Content-Type: application/json" : NULL) &&
              (!posts || with_body(r, method, text != NULL ? text : "", text != NULL ? strlen(text) : 0));
    int e = ok ? finish(&x, &status, &tree, err) : gwh_fail(err, GWH_IO, "libcurl takes no such request");
    if (e == GWH_REFUSED && err->exit == GWH_OK) {
        e = refused(&x, status, tree, err);
    }
    end(&x);
    free(text);
    if (e == GWH_OK && answer != NULL) {
        *answer = tree;
    } else {
        json_decref(tree);
    }
    return e;
}

int gwh_rest_put(struct gwh_rest *r, const char *path, struct gw_span bytes, uint64_t offset, long *status,
                 json_t **answer, struct gwh_error *err)
{
    struct exchange x = {0};
    char line[64];
    (void)snprintf(line, sizeof line, "Upload-Offset: %llu", (unsigned long long)offset);
    *status = 0;
    *answer = NULL;
    bool ok = begin(&x, r, "PUT", path, "Content-Type: application/octet-stream") && header(&x, line) &&
              curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, x.headers) == CURLE_OK &&
              with_body(r, "PUT", (const char *)bytes.p, bytes.n);
    int e = ok ? finish(&x, status, answer, err) : gwh_fail(err, GWH_IO, "libcurl takes no such request");
    if (e == GWH_REFUSED && err->exit == GWH_OK) {
        e = *status == 409 && json_is_integer(json_object_get(*answer, "there"))
                ? GWH_OK : refused(&x, *status, *answer, err);
    }
    if (e != GWH_OK) {
        json_decref(*answer);
        *answer = NULL;
    }
    end(&x);
    return e;
}

int gwh_rest_list(struct gwh_rest *r, const char *path, unsigned most, json_t **answer, struct gwh_error *err)
{
    json_t *all = json_array();
    char page[1500], after[300] = "";
    int e = all != NULL ? GWH_OK : gwh_fail_reason(err, GW_ERR_SPACE, "list");
    while (e == GWH_OK) {
        json_t *tree = NULL;
        char before[sizeof after];
        memcpy(before, after, sizeof after);
        unsigned limit = most == 0 || most > PAGE ? PAGE : most;
        (void)snprintf(page, sizeof page, "%.900s%climit=%u", path, strchr(path, '?') != NULL ? '&' : '?', limit);
        if (after[0] != '\0') {
            (void)strncat(page, "&after=", sizeof page - strlen(page) - 1);
            e = gwh_rest_add(page, sizeof page, after, err);
        }
        e = e == GWH_OK ? gwh_rest_call(r, "GET", page, NULL, &tree, err) : e;
        if (e == GWH_OK && !json_is_array(json_object_get(tree, "items"))) {
            e = gwh_fail(err, GWH_IO, "%s answered with no list", r->base);
        }
        const char *next = json_string_value(json_object_get(tree, "next"));
        if (e == GWH_OK) {
            (void)json_array_extend(all, json_object_get(tree, "items"));
            (void)snprintf(after, sizeof after, "%s", next != NULL ? next : "");
        }
        json_decref(tree);
        if (after[0] == '\0' || strcmp(before, after) == 0 || (most != 0 && json_array_size(all) >= most)) {
            break;
        }
    }
    *answer = e == GWH_OK ? json_pack("{s:O}", "items", all) : NULL;
    json_decref(all);
    return e;
}

/* ---- Server-sent events ------------------------------------------------------------------------------------------ */

/* One event, lines of "field: value". */
static bool tell(struct exchange *x, char *text)
{
    const char *event = "message";
    json_t *data = NULL;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strncmp(line, "event:", 6) == 0) {
            event = line + 6 + (line[6] == ' ');
        } else if (strncmp(line, "data:", 5) == 0 && data == NULL) {
            data = json_loads(line + 5, JSON_DECODE_ANY, NULL);
        }
    }
    bool more = data == NULL || x->each(x->ctx, event, data);
    json_decref(data);
    return more;
}

static size_t take_events(char *p, size_t one, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    for (size_t i = 0; i < one * n; i++) {
        if (p[i] != '\r' && (x->answer.n >= EVENT_MAX || gwh_buf_add(&x->answer, &p[i], 1) != GW_OK)) {
            x->full = true;
            return 0;
        }
        if (p[i] == '\n' && x->answer.n >= 2 && x->answer.p[x->answer.n - 2] == '\n') {
            x->answer.p[x->answer.n - 1] = '\0';
            if (!tell(x, (char *)x->answer.p)) {
                x->ended = true;
                return 0;
            }
            x->answer.n = 0;
        }
    }
    return one * n;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct exchange *x = ctx;
    (void)a, (void)b, (void)c, (void)d;
    if (x->idle != NULL && !x->idle(x->ctx)) {
        x->ended = true;
        return 1;
    }
    return 0;
}

int gwh_rest_events(struct gwh_rest *r, const char *path,
                    bool (*each)(void *ctx, const char *event, const json_t *data), bool (*idle)(void *ctx),
                    void *ctx, struct gwh_error *err)
{
    struct exchange x = {.each = each, .idle = idle, .ctx = ctx};
    CURL *c = r->curl;
    long status = 0;
    bool ok = begin(&x, r, "GET", path, "Accept: text/event-stream") &&
              curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_events) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 0L) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_XFERINFODATA, &x) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
    CURLcode code = ok ? curl_easy_perform(c) : CURLE_FAILED_INIT;
    (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    int e = GWH_OK;
    if (code == CURLE_HTTP_RETURNED_ERROR) {
        e = refused(&x, status, NULL, err);
    } else if (code != CURLE_OK && !x.ended) {
        e = no_answer(&x, code, err);
    }
    (void)curl_easy_setopt(c, CURLOPT_FAILONERROR, 0L);
    (void)curl_easy_setopt(c, CURLOPT_NOPROGRESS, 1L);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFODATA, NULL);
    end(&x);
    return e;
}
