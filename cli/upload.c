/*
 * upload.c - godwit release publish, list and show where the repository is a server: https://HOST:PORT.
 *
 * Payloads go up in parts, each on the server's disk before it is acknowledged; what is there already, from an upload
 * that was cut off too, is not sent again.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "fleet.h"

#define PART (1024u * 1024u)

bool cli_is_server(const char *where)
{
    return where != NULL && strncmp(where, "https://", 8) == 0;
}

static json_t *base64(struct gw_span bytes)
{
    uint8_t *text = malloc(bytes.n / 3 * 4 + 8);
    int n = text != NULL ? EVP_EncodeBlock(text, bytes.p, (int)bytes.n) : -1;
    json_t *o = n >= 0 ? json_stringn((const char *)text, (size_t)n) : NULL;
    free(text);
    return o;
}

static json_t *describe(const struct gwh_release *r)
{
    json_t *grants = json_array();
    for (size_t i = 0; i < r->grant_count; i++) {
        (void)json_array_append_new(grants, base64(gwh_span(&r->grants[i].bytes)));
    }
    json_t *o = json_pack("{s:o,s:o}", "manifest", base64(gwh_span(&r->cose)), "grants", grants);
    if (o != NULL && r->head.n > 0) {
        (void)json_object_set_new(o, "head", base64(gwh_span(&r->head)));
    }
    return o;
}

/* ---- Payloads ---------------------------------------------------------------------------------------------------- */

struct upload {
    struct gwh_rest rest;
    struct gwh_release *release;
    const char *digest;
    unsigned payloads, there;
    uint64_t sent;
};

/* One part at *at; *at becomes what is there then. */
static int put_part(struct upload *u, int fd, const char *path, uint64_t *at, uint64_t size, struct gwh_error *err)
{
    uint8_t *bytes = malloc(PART);
    json_t *answer = NULL;
    long status = 0;
    size_t want = size - *at < PART ? (size_t)(size - *at) : PART;
    ssize_t n = bytes != NULL ? pread(fd, bytes, want, (off_t)*at) : -1;
    int e = n == (ssize_t)want ? GWH_OK : gwh_fail(err, GWH_IO, "a payload's file cannot be read");
    e = e == GWH_OK ? gwh_rest_put(&u->rest, path, (struct gw_span){bytes, want}, *at, &status, &answer, err) : e;
    json_int_t there = json_integer_value(json_object_get(answer, "there"));
    if (e == GWH_OK && (there < 0 || (uint64_t)there > size || (status != 409 && (uint64_t)there <= *at) ||
                        (uint64_t)there == *at)) {
        e = gwh_fail(err, GWH_IO, "the server does not take the payload: it has %lld of %llu bytes", (long long)there,
                     (unsigned long long)size);
    }
    u->sent += e == GWH_OK && status != 409 ? want : 0;
    *at = e == GWH_OK ? (uint64_t)there : *at;
    json_decref(answer);
    free(bytes);
    return e;
}

static int put_payload(struct upload *u, const json_t *p, struct gwh_error *err)
{
    const char *hex = json_string_value(json_object_get(p, "name"));
    json_int_t size = json_integer_value(json_object_get(p, "size"));
    json_int_t there = json_integer_value(json_object_get(p, "there"));
    uint8_t name[32];
    char file[GWH_PATH_MAX], path[300];
    if (hex == NULL || !gwh_unhex(name, 32, hex) || size <= 0 || there < 0 || there > size) {
        return gwh_fail(err, GWH_IO, "the server's answer makes no sense");
    }
    uint64_t at = (uint64_t)there;
    u->payloads++;
    u->there += there == size;
    (void)snprintf(path, sizeof path, "/api/v1/releases/%s/payloads/%s", u->digest, hex);
    int e = gwh_release_payload_path(file, u->release, name, err);
    int fd = e == GWH_OK && there < size ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    if (e == GWH_OK && there < size && fd < 0) {
        e = gwh_fail_errno(err, "cannot open %s", file);
    }
    for (unsigned tries = 0; e == GWH_OK && at < (uint64_t)size && tries < 100000; tries++) {
        e = put_part(u, fd, path, &at, (uint64_t)size, err);
        if (isatty(STDERR_FILENO)) {
            (void)fprintf(stderr, "\r%.12s  %3u %%", hex, (unsigned)(at * 100 / (uint64_t)size));
        }
    }
    if (fd >= 0) {
        (void)close(fd);
        if (isatty(STDERR_FILENO)) {
            (void)fputs("\r\033[K", stderr);
        }
    }
    return e;
}

/* ---- publish ----------------------------------------------------------------------------------------------------- */

static int upload(struct upload *u, json_t **done, struct gwh_error *err)
{
    json_t *body = describe(u->release), *answer = NULL, *p;
    char path[200];
    size_t i;
    int e = body != NULL ? gwh_rest_call(&u->rest, "POST", "/api/v1/releases", body, &answer, err)
                         : gwh_fail_reason(err, GW_ERR_SPACE, "publish");
    u->digest = json_string_value(json_object_get(answer, "digest"));
    char mine[65];
    gwh_hex(mine, u->release->digest, 32);
    if (e == GWH_OK && (u->digest == NULL || strcmp(u->digest, mine) != 0)) {
        e = gwh_fail(err, GWH_IO, "the server answered for another release");
    }
    json_array_foreach(json_object_get(answer, "payloads"), i, p) {
        e = e == GWH_OK ? put_payload(u, p, err) : e;
    }
    (void)snprintf(path, sizeof path, "/api/v1/releases/%s/finish", mine);
    e = e == GWH_OK ? gwh_rest_call(&u->rest, "POST", path, NULL, done, err) : e;
    json_decref(answer);
    json_decref(body);
    return e;
}

static int check_options(const struct gwh_args *a, struct gwh_error *err)
{
    static const char *const others[] = {"trust", "root", "threshold", "offer-trust", "head-only", "next-look",
                                         "payload-base", "class", "allow-older"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (gwh_flag(a, others[i])) {
            return gwh_fail(err, GWH_USAGE, "--%s is for static repositories: a server knows that itself", others[i]);
        }
    }
    return a->operand_count == 1 ? GWH_OK : gwh_fail(err, GWH_USAGE, "expected RELEASE");
}

int cli_server_publish(const struct gwh_args *a, struct gwh_error *err)
{
    struct upload *u = calloc(1, sizeof *u);
    struct gwh_release *r = calloc(1, sizeof *r);
    json_t *done = NULL;
    char hex[65];
    int e = u != NULL && r != NULL ? check_options(a, err) : gwh_fail_reason(err, GW_ERR_SPACE, "publish");
    e = e == GWH_OK ? gwh_release_load(r, a->operand[0], err) : e;
    e = e == GWH_OK ? cli_rest_at(&u->rest, a, gwh_text(a, "to"), err) : e;
    if (e == GWH_OK) {
        u->release = r;
        gwh_hex(hex, r->digest, 32);
    }
    e = e == GWH_OK && !gwh_flag(a, "dry-run") ? upload(u, &done, err) : e;
    if (e == GWH_OK) {
        gwh_note("%s: %u payloads, %u there already, %llu bytes sent; next: godwit rollout plan %s --all",
                 gwh_text(a, "to"), u->payloads, u->there, (unsigned long long)u->sent, hex);
        if (gwh_flag(a, "json")) {
            e = cli_print(a, json_pack("{s:s,s:s,s:i,s:i,s:I}", "to", gwh_text(a, "to"), "digest", hex, "payloads",
                                       (int)u->payloads, "payloads there", (int)u->there, "bytes sent",
                                       (json_int_t)u->sent));
        } else {
            (void)printf("%s\n", hex);
        }
    }
    json_decref(done);
    if (r != NULL) {
        gwh_release_free(r);
    }
    if (u != NULL) {
        gwh_rest_close(&u->rest);
    }
    free(r);
    free(u);
    return e;
}

/* ---- list, show -------------------------------------------------------------------------------------------------- */

int cli_server_releases(const struct gwh_args *a, struct gwh_error *err)
{
    static const struct cli_column columns[] = {
        {"digest", "RELEASE", 0},         {"version", "VERSION", 0},  {"epoch", "EPOCH", CLI_RIGHT},
        {"sequence", "SEQUENCE", CLI_RIGHT}, {"state", "STATE", 0}, {"created", "CREATED", CLI_TIME},
        {"creator", "BY", 0},             {NULL, NULL, 0}};
    struct gwh_rest r;
    int e = cli_rest_at(&r, a, gwh_text(a, "from"), err);
    e = e == GWH_OK ? cli_rest_list(a, &r, "/api/v1/releases", 0, columns, err) : e;
    gwh_rest_close(&r);
    return e;
}

int cli_server_delete(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_rest r;
    char path[200] = "/api/v1/releases/";
    int e = cli_rest_at(&r, a, gwh_text(a, "from"), err);
    e = e == GWH_OK ? gwh_rest_add(path, sizeof path, a->operand[0], err) : e;
    e = e == GWH_OK ? gwh_rest_call(&r, "DELETE", path, NULL, NULL, err) : e;
    gwh_rest_close(&r);
    if (e == GWH_OK) {
        gwh_note("release %s is deleted; its payloads go within the hour, unless another release needs them",
                 a->operand[0]);
    }
    return e;
}

int cli_server_release(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_rest r;
    char path[200] = "/api/v1/releases/";
    json_t *tree = NULL;
    int e = cli_rest_at(&r, a, gwh_text(a, "from"), err);
    e = e == GWH_OK ? gwh_rest_add(path, sizeof path, a->operand[0], err) : e;
    e = e == GWH_OK ? gwh_rest_call(&r, "GET", path, NULL, &tree, err) : e;
    gwh_rest_close(&r);
    return e == GWH_OK ? cli_rest_print(a, tree) : e;
}
