/*
 * requests.c - JSON objects of the API into requests: by tables, strict in names, types, lengths and letters.
 *
 * Pure: touches neither database nor files, and is fuzzed (fuzz/fuzz_admin_json.c).
 */
#include <openssl/evp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "resources.h"

#define ID_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

const char *gws_text(const json_t *s)
{
    const char *text = json_string_value(s);
    return text != NULL && strlen(text) == json_string_length(s) ? text : NULL;
}

bool gws_device_id_ok(const char *id)
{
    size_t n = strlen(id);
    return n >= 1 && n <= GW_DEVICE_ID_MAX && strspn(id, ID_LETTERS) == n;
}

/* ---- Base64 ------------------------------------------------------------------------------------------------------ */

int gws_base64(struct gwh_buf *out, const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(text), body = strspn(text, letters), pad = strspn(text + body, "=");
    uint8_t *at;
    if (n % 4 != 0 || body + pad != n || pad > 2 || n > (1u << 30)) {
        return GW_ERR_FORMAT;
    }
    if (n == 0) {
        return GW_OK;
    }
    int e = gwh_buf_grow(out, n / 4 * 3, &at);
    if (e != GW_OK) {
        return e;
    }
    int made = EVP_DecodeBlock(at, (const unsigned char *)text, (int)n);
    out->n -= pad; /* that is how many of the last three bytes are none */
    return made == (int)(n / 4 * 3) ? GW_OK : GW_ERR_FORMAT;
}

json_t *gws_base64_json(struct gw_span bytes)
{
    char *text = malloc((bytes.n + 2) / 3 * 4 + 1);
    if (text == NULL) {
        return json_null();
    }
    int n = EVP_EncodeBlock((unsigned char *)text, bytes.p, (int)bytes.n);
    json_t *o = json_stringn(text, (size_t)n);
    free(text);
    return o;
}

/* ---- Fields by table --------------------------------------------------------------------------------------------- */

enum kind { NAME, ID, UUID, KEY, DIGEST, TAGS, KIDS, BOOL, TRUE, NUMBER, TIME, ROLE, TARGET };
struct field {
    const char *name;
    enum kind kind;
    bool needed;
    size_t at;  /* offset of the value */
    size_t has; /* HAS(): where the bool is that says it is there; 0: none */
};

static int take_hex(const json_t *v, uint8_t *out, size_t n)
{
    const char *text = gws_text(v);
    return text != NULL && strspn(text, "0123456789abcdef") == 2 * n && gwh_unhex(out, n, text) ? GWH_OK : GWH_USAGE;
}

static int take_name(const json_t *v, const char **out)
{
    const char *text = gws_text(v);
    size_t n = text != NULL ? strlen(text) : 0;
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return GWH_USAGE;
        }
    }
    *out = text;
    return n >= 1 && n <= GWS_NAME_MAX ? GWH_OK : GWH_USAGE;
}

static int take_id(const json_t *v, const char **out)
{
    *out = gws_text(v);
    return *out != NULL && gws_device_id_ok(*out) ? GWH_OK : GWH_USAGE;
}

static int take_tags(const json_t *v, const json_t **out)
{
    size_t n = json_array_size(v);
    if (!json_is_array(v) || n > GWS_TAGS_MAX) {
        return GWH_USAGE;
    }
    for (size_t i = 0; i < n; i++) {
        const char *tag = gws_text(json_array_get(v, i));
        if (tag == NULL || !gws_tag_ok(tag)) {
            return GWH_USAGE;
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(tag, json_string_value(json_array_get(v, j))) == 0) {
                return GWH_USAGE; /* twice */
            }
        }
    }
    *out = v;
    return GWH_OK;
}

/* Names of keys in hex, 1..32 bytes each. The buffer is followed by its length. */
static int take_kids(const json_t *v, uint8_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(v); i++) {
        const char *text = gws_text(json_array_get(v, i));
        size_t length = text != NULL ? strlen(text) / 2 : 0;
        if (length < 1 || length > 32 || n + 1 + length > GWS_KIDS_MAX || !gwh_unhex(out + n + 1, length, text)) {
            return GWH_USAGE;
        }
        out[n] = (uint8_t)length;
        n += 1 + length;
    }
    memcpy(out + GWS_KIDS_MAX, &n, sizeof n);
    return json_is_array(v) ? GWH_OK : GWH_USAGE;
}
_Static_assert(offsetof(struct gws_device_request, kids_n) == offsetof(struct gws_device_request, kids) + GWS_KIDS_MAX,
               "take_kids() writes the length behind the names");
_Static_assert(offsetof(struct gws_patch_request, has_enabled) != 0, "an offset of 0 means that there is none");
_Static_assert(offsetof(struct gws_patch_request, kids_n) == offsetof(struct gws_patch_request, kids) + GWS_KIDS_MAX,
               "take_kids() writes the length behind the names");

static int take_number(const json_t *v, int64_t least, int64_t most, int64_t *out)
{
    *out = json_integer_value(v);
    return json_is_integer(v) && *out >= least && *out <= most ? GWH_OK : GWH_USAGE;
}

static int take_role(const json_t *v, int *out)
{
    static const char *const names[] = {"viewer", "publisher", "operator", "admin"};
    const char *text = gws_text(v);
    for (int i = 0; text != NULL && i < 4; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = GWS_ROLE_VIEWER + i;
            return GWH_OK;
        }
    }
    return GWH_USAGE;
}

static int take_target(const json_t *v, const json_t **out)
{
    struct gws_target_set t;
    struct gwh_error ignored = {0};
    int e = gws_target_parse(&t, v, &ignored);
    if (e == GWH_OK) {
        gws_target_free(&t);
        *out = v;
    }
    return e;
}

static int take_value(enum kind kind, const json_t *v, void *at)
{
    switch (kind) {
    case NAME:
        return take_name(v, at);
    case ID:
        return take_id(v, at);
    case UUID:
        return take_hex(v, at, 16);
    case KEY:
        return take_hex(v, at, 64);
    case DIGEST:
        return take_hex(v, at, 32);
    case TAGS:
        return take_tags(v, at);
    case KIDS:
        return take_kids(v, at);
    case BOOL:
    case TRUE:
        *(bool *)at = json_is_true(v);
        return json_is_true(v) || (kind == BOOL && json_is_false(v)) ? GWH_OK : GWH_USAGE;
    case NUMBER:
        return take_number(v, -1000, 1000, at);
    case TIME:
        return take_number(v, 1, INT64_C(253402300799), at); /* the end of the year 9999 */
    case ROLE:
        return take_role(v, at);
    case TARGET:
        return take_target(v, at);
    }
    return GWH_USAGE;
}

static const char *what_is_wanted(enum kind kind)
{
    static const char *const words[] = {
        [NAME] = "a text of 1 to 64 bytes without control characters",
        [ID] = "a device id: 1 to 48 of A-Z a-z 0-9 _ -",
        [UUID] = "32 lower-case hexadecimal digits",
        [KEY] = "a P-256 public key, x || y in 128 lower-case hexadecimal digits",
        [DIGEST] = "64 lower-case hexadecimal digits",
        [TAGS] = "at most 16 different tags of 1 to 32 of a-z 0-9 . _ -",
        [KIDS] = "names of keys in hexadecimal digits, 1 to 32 bytes each",
        [BOOL] = "true or false",
        [TRUE] = "true",
        [NUMBER] = "a number from -1000 to 1000",
        [TIME] = "seconds since 1970",
        [ROLE] = "viewer, publisher, operator or admin",
        [TARGET] = "{\"all\": true}, {\"tag\": text}, {\"ids\": [...]} or {\"share\": 1 to 1000 per mille}",
    };
    return words[kind];
}

static int read_fields(void *out, const json_t *o, const struct field *table, size_t count, struct gwh_error *err)
{
    size_t there = 0;
    if (!json_is_object(o)) {
        return gwh_fail(err, GWH_USAGE, "an object is wanted");
    }
    for (size_t i = 0; i < count; i++) {
        const struct field *f = &table[i];
        const json_t *v = json_object_get(o, f->name);
        if (v == NULL && !f->needed) {
            continue;
        }
        if (v == NULL || take_value(f->kind, v, (uint8_t *)out + f->at) != GWH_OK) {
            return gwh_fail(err, GWH_USAGE, "%s: %s", f->name, what_is_wanted(f->kind));
        }
        if (f->has != 0) {
            *(bool *)((uint8_t *)out + f->has - 1) = true;
        }
        there++;
    }
    return there == json_object_size(o) ? GWH_OK : gwh_fail(err, GWH_USAGE, "the object has a name that is not known");
}
#define READ(r, o, table, err) read_fields(r, o, table, sizeof(table) / sizeof *(table), err)
#define AT(type, member) offsetof(struct gws_##type##_request, member)
#define HAS(type, member) (AT(type, member) + 1)

/* ---- The requests ------------------------------------------------------------------------------------------------ */

int gws_class_request(struct gws_class_request *r, const json_t *o, struct gwh_error *err)
{
    static const struct field table[] = {
        {"vendor", NAME, true, AT(class, vendor), 0},
        {"name", NAME, true, AT(class, name), 0},
    };
    memset(r, 0, sizeof *r);
    return READ(r, o, table, err);
}

int gws_device_request(struct gws_device_request *r, const json_t *o, struct gwh_error *err)
{
    static const struct field table[] = {
        {"id", ID, true, AT(device, id), 0},
        {"class", UUID, true, AT(device, class_id), 0},
        {"key", KEY, false, AT(device, key), HAS(device, has_key)},
        {"tags", TAGS, false, AT(device, tags), 0},
        {"kids", KIDS, false, AT(device, kids), 0},
    };
    memset(r, 0, sizeof *r);
    return READ(r, o, table, err);
}

int gws_patch_request(struct gws_patch_request *r, const json_t *o, struct gwh_error *err)
{
    static const struct field table[] = {
        {"enabled", BOOL, false, AT(patch, enabled), HAS(patch, has_enabled)},
        {"tags", TAGS, false, AT(patch, tags), 0},
        {"key", KEY, false, AT(patch, key), HAS(patch, has_key)},
        {"kids", KIDS, false, AT(patch, kids), HAS(patch, has_kids)},
        {"token", TRUE, false, AT(patch, token), 0},
    };
    memset(r, 0, sizeof *r);
    return READ(r, o, table, err);
}

int gws_rollout_request(struct gws_rollout_request *r, const json_t *o, struct gwh_error *err)
{
    static const struct field table[] = {
        {"name", NAME, true, AT(rollout, name), 0},
        {"release", DIGEST, true, AT(rollout, release), 0},
        {"target", TARGET, true, AT(rollout, target), 0},
        {"priority", NUMBER, false, AT(rollout, priority), 0},
    };
    memset(r, 0, sizeof *r);
    return READ(r, o, table, err);
}

int gws_token_request(struct gws_token_request *r, const json_t *o, struct gwh_error *err)
{
    static const struct field table[] = {
        {"name", NAME, true, AT(token, name), 0},
        {"role", ROLE, true, AT(token, role), 0},
        {"expires", TIME, true, AT(token, expires), 0},
    };
    memset(r, 0, sizeof *r);
    int e = READ(r, o, table, err);
    return e == GWH_OK && strlen(r->name) >= GWS_NAME_MAX ? gwh_fail(err, GWH_USAGE, "name: at most 63 bytes") : e;
}

int gws_import_request(const json_t **devices, bool *tokens, const json_t *o, struct gwh_error *err)
{
    const json_t *list = json_object_get(o, "devices"), *token = json_object_get(o, "token");
    struct gws_device_request r;
    size_t n = json_array_size(list);
    if (!json_is_object(o) || n == 0 || n > GWS_IMPORT_MAX) {
        return gwh_fail(err, GWH_USAGE, "devices: a list of 1 to %u devices", GWS_IMPORT_MAX);
    }
    if ((token != NULL && !json_is_true(token)) || json_object_size(o) != (token != NULL ? 2u : 1u)) {
        return gwh_fail(err, GWH_USAGE, "beside devices: \"token\": true, or nothing");
    }
    for (size_t i = 0; i < n; i++) {
        struct gwh_error why = {0};
        if (gws_device_request(&r, json_array_get(list, i), &why) != GWH_OK) {
            return gwh_fail(err, GWH_USAGE, "device %zu of %zu: %s", i + 1, n, why.text);
        }
    }
    *devices = list;
    *tokens = token != NULL;
    return GWH_OK;
}

/* ---- A release in memory ----------------------------------------------------------------------------------------- */

static int take_object(struct gwh_buf *out, const json_t *v, const char *name, size_t max, struct gwh_error *err)
{
    const char *text = gws_text(v);
    if (text == NULL || strlen(text) > (max + 2) / 3 * 4 || gws_base64(out, text) != GW_OK || out->n == 0) {
        return gwh_fail(err, GWH_USAGE, "%s: at most %zu bytes in base64", name, max);
    }
    return GWH_OK;
}

static int take_grants(struct gwh_release *r, const json_t *list, struct gwh_error *err)
{
    size_t n = json_array_size(list);
    if (list == NULL) {
        return GWH_OK;
    }
    if (!json_is_array(list) || n > GWH_GRANTS_MAX) {
        return gwh_fail(err, GWH_USAGE, "grants: a list of at most %u", GWH_GRANTS_MAX);
    }
    r->grants = calloc(n + 1, sizeof *r->grants);
    if (r->grants == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "grants");
    }
    for (size_t i = 0; i < n; i++) {
        r->grant_count++;
        (void)snprintf(r->grants[i].name, sizeof r->grants[i].name, "number %zu", i + 1);
        int e = take_object(&r->grants[i].bytes, json_array_get(list, i), "a grant", 1024, err);
        if (e != GWH_OK) {
            return e;
        }
    }
    return GWH_OK;
}

static int parse_manifest(struct gwh_release *r, struct gwh_error *err)
{
    int e = gwh_sign_payload(gwh_span(&r->cose), &r->map);
    e = e == GW_OK ? gw_manifest_parse(&r->m, r->map.p, r->map.n) : e;
    e = e == GW_OK ? gw_sha256(gwh_openssl()->gw, r->map.p, r->map.n, r->digest) : e;
    memcpy(r->m.digest, r->digest, 32);
    return e == GW_OK ? GWH_OK : gwh_fail_reason(err, e, "the manifest");
}

int gws_release_request(struct gwh_release *r, const json_t *o, struct gwh_error *err)
{
    const json_t *grants = json_object_get(o, "grants"), *head = json_object_get(o, "head");
    size_t names = 1u + (grants != NULL) + (head != NULL);
    memset(r, 0, sizeof *r);
    (void)snprintf(r->folder, sizeof r->folder, "the release");
    if (!json_is_object(o) || json_object_size(o) != names) {
        return gwh_fail(err, GWH_USAGE, "an object with manifest, grants, head is wanted, and nothing else");
    }
    int e = take_object(&r->cose, json_object_get(o, "manifest"), "manifest", GW_MANIFEST_MAX, err);
    e = e == GWH_OK && head != NULL ? take_object(&r->head, head, "head", 1024, err) : e;
    e = e == GWH_OK ? take_grants(r, grants, err) : e;
    return e == GWH_OK ? parse_manifest(r, err) : e;
}
