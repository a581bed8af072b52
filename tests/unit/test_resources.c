/*
 * test_resources.c - what is administered: requests, classes, devices, releases, rollouts, tokens, the audit log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resources.h"
#include "server_stubs.h"
#include "serverdb.h"

static struct t_server s;
static struct gws_env env;
static struct gws_blobs blobs;
static struct gwh_error why; /* of the last edit */

static int start(void **state)
{
    struct gwh_error err = {0};
    (void)state;
    memset(&stub, 0, sizeof stub);
    stub.now = 1700000000;
    t_server_open(&s);
    assert_int_equal(gws_blobs_open(&blobs, s.folder, &err), GWH_OK);
    memset(&env, 0, sizeof env);
    env.blobs = &blobs;
    env.roots = s.w.roots;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    t_server_close(&s);
    return 0;
}

/* ---- Edits ------------------------------------------------------------------------------------------------------- */

typedef int (*run)(struct gws_edit *e, sqlite3 *db);
#define OCTETS(b) ((struct gw_span){(b).p, (b).n})

static struct gws_edit *new_edit(run f, const char *object, const char *request, struct gw_span octets)
{
    struct gws_edit *e = gws_edit_new(f, "ann", object);
    assert_non_null(e);
    e->env = &env;
    e->now = stub.now;
    if (request != NULL) {
        e->request = json_loads(request, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(e->request);
    }
    if (octets.n > 0) {
        assert_int_equal(gwh_buf_add(&e->octets, octets.p, octets.n), GW_OK);
    }
    return e;
}

/* Runs it; *answer (may be NULL) receives a reference. */
static int edit_octets(run f, const char *object, struct gw_span octets, json_t **answer)
{
    struct gws_edit *e = new_edit(f, object, NULL, octets);
    int r = gws_edit_run(e, s.db);
    why = e->change.err;
    assert_true(r == GWH_OK || why.text[0] != '\0');
    if (answer != NULL) {
        *answer = json_incref(e->answer);
    }
    gws_edit_free(e);
    return r;
}

static int edit(run f, const char *object, const char *request, json_t **answer)
{
    struct gws_edit *e = new_edit(f, object, request, (struct gw_span){NULL, 0});
    int r = gws_edit_run(e, s.db);
    why = e->change.err;
    assert_true(r == GWH_OK || why.text[0] != '\0');
    if (answer != NULL) {
        *answer = json_incref(e->answer);
    }
    gws_edit_free(e);
    return r;
}

static int64_t count(const char *sql)
{
    struct gwh_error err = {0};
    int64_t n = -1;
    if (gws_number(s.db, &err, &n, NULL, sql, "") != GWH_OK) {
        fail_msg("%s", err.text);
    }
    return n;
}

static const char *text(const json_t *o, const char *name)
{
    const char *t = json_string_value(json_object_get(o, name));
    assert_non_null(t);
    return t;
}

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

static void requests_are_read_strictly(void **state)
{
    static const char *const devices[] = {
        "{}", "{\"id\":\"a\"}", "{\"id\":\"a b\",\"class\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"}",
        "{\"id\":\"a\",\"class\":\"BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB\"}",
        "{\"id\":\"\",\"class\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"}",
        "{\"id\":\"../a\",\"class\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"}",
        "{\"id\":\"a\",\"class\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\",\"more\":1}",
        "{\"id\":\"a\",\"class\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\",\"tags\":[\"x\",\"x\"]}",
        "{\"id\":\"a\",\"class\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\",\"tags\":{}}",
        "{\"id\":\"a\",\"class\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\",\"key\":\"00\"}",
        "{\"id\":\"a\",\"class\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\",\"kids\":[\"\"]}",
        "{\"id\":\"a\",\"class\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\",\"kids\":[\"0\"]}",
        "{\"id\":\"0123456789012345678901234567890123456789012345678\",\"class\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"}",
    };
    struct gws_device_request d;
    struct gws_token_request t;
    (void)state;
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        struct gwh_error err = {0};
        json_t *o = json_loads(devices[i], 0, NULL);
        assert_non_null(o);
        assert_int_equal(gws_device_request(&d, o, &err), GWH_USAGE);
        json_decref(o);
    }
    struct gwh_error err = {0};
    json_t *o = json_loads(
        "{\"id\":\"a\",\"class\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\",\"kids\":[\"6d696e65\",\"00\"]}", 0, NULL);
    assert_int_equal(gws_device_request(&d, o, &err), GWH_OK);
    assert_int_equal(d.kids_n, 7);
    assert_memory_equal(d.kids, "\x04mine\x01\x00", 7);
    json_decref(o);
    o = json_loads("{\"name\":\"a\\u0007\",\"role\":\"admin\",\"expires\":1800000000}", 0, NULL);
    assert_int_equal(gws_token_request(&t, o, &err), GWH_USAGE); /* it ends up in logs */
    json_decref(o);
    memset(&err, 0, sizeof err);
    o = json_loads("{\"name\":\"a\",\"role\":\"root\",\"expires\":1800000000}", 0, NULL);
    assert_int_equal(gws_token_request(&t, o, &err), GWH_USAGE);
    json_decref(o);
}

static void base64_is_strict(void **state)
{
    static const struct {
        const char *text;
        int n;
    } cases[] = {{"", 0},   {"AA==", 1}, {"AAA=", 2},  {"AAAA", 3}, {"A", -1},    {"AA", -1},
                 {"AA=A", -1}, {"====", -1}, {"AA=\n", -1}, {"AA!=", -1}, {"AAAA=", -1}, {" AAA", -1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gwh_buf b = {0};
        int e = gws_base64(&b, cases[i].text);
        if (cases[i].n < 0 ? e == GW_OK : (e != GW_OK || b.n != (size_t)cases[i].n)) {
            fail_msg("'%s' gave %d, %zu bytes", cases[i].text, e, b.n);
        }
        gwh_buf_free(&b);
    }
}

/* ---- Classes, trust ---------------------------------------------------------------------------------------------- */

static void classes_have_ids_made_of_names(void **state)
{
    json_t *a;
    struct gwh_error err = {0};
    (void)state;
    assert_int_equal(edit(gws_class_create, NULL, "{\"vendor\":\"example.org\",\"name\":\"lamp\"}", &a), GWH_OK);
    assert_int_equal(strlen(text(a, "id")), 32);
    json_decref(a);
    assert_int_equal(edit(gws_class_create, NULL, "{\"vendor\":\"example.org\",\"name\":\"lamp\"}", NULL), GWH_REFUSED);
    assert_int_equal(why.reason, GWS_CONFLICT);
    assert_int_equal(edit(gws_class_create, NULL, "{\"vendor\":\"example.org\"}", NULL), GWH_USAGE);
    a = gws_classes_list(s.db, NULL, &err);
    assert_int_equal(json_array_size(json_object_get(a, "items")), 2);
    json_decref(a);
    struct gws_page page = {.limit = 1};
    a = gws_classes_list(s.db, &page, &err);
    page.after = json_string_value(json_object_get(a, "next"));
    assert_non_null(page.after);
    json_t *b = gws_classes_list(s.db, &page, &err);
    assert_int_equal(json_array_size(json_object_get(b, "items")), 1);
    assert_true(json_is_null(json_object_get(b, "next")));
    json_decref(a);
    json_decref(b);
    assert_int_equal(count("SELECT count(*) FROM audit WHERE who = 'ann' AND what = 'class created'"), 1);
}

static int put_head(struct gwh_key *key)
{
    struct t_bytes head = t_head(&s.w, &key, 1);
    int e = edit_octets(gws_class_head, s.class_hex, OCTETS(head), NULL);
    t_free(&head);
    return e;
}

static void heads_are_verified_and_only_grow(void **state)
{
    (void)state;
    assert_int_equal(put_head(&s.w.author), GWH_REFUSED); /* no distributor */
    assert_int_equal(put_head(&s.w.distributor), GWH_OK);
    assert_int_equal(put_head(&s.w.distributor), GWH_REFUSED);
    assert_int_equal(why.reason, GW_ERR_HEAD_OLDER);
    s.w.head_is.serial++;
    assert_int_equal(put_head(&s.w.distributor), GWH_OK);
    s.w.head_is.serial++;
    memset(s.w.head_is.class_id, 0xcc, 16);
    assert_int_equal(put_head(&s.w.distributor), GWH_REFUSED);
    assert_int_equal(why.reason, GW_ERR_HEAD_OTHER);
    assert_int_equal(edit_octets(gws_class_head, "zz", (struct gw_span){(const uint8_t *)"x", 1}, NULL), GWH_REFUSED);
    assert_int_equal(why.reason, GWS_NOT_FOUND);
    assert_int_equal(count("SELECT count(*) FROM audit WHERE what = 'head put'"), 2);
}

static int put_trust(struct gwh_key *a, struct gwh_key *b)
{
    struct t_bytes cose = t_trust(&s.w, KEYS(a, b));
    int e = edit_octets(gws_trust_put, NULL, OCTETS(cose), NULL);
    t_free(&cose);
    return e;
}

static void bundles_are_signed_by_roots_and_newer(void **state)
{
    struct gwh_error err = {0};
    (void)state;
    assert_int_equal(put_trust(&s.w.root[0], &s.w.root[1]), GWH_REFUSED); /* the same version */
    assert_int_equal(why.reason, GW_ERR_TRUST_OLDER);
    s.w.trust_is.version = 6;
    assert_int_equal(put_trust(&s.w.root[0], &s.w.stranger), GWH_REFUSED);
    assert_int_equal(put_trust(&s.w.root[0], &s.w.root[1]), GWH_OK);
    json_t *o = gws_trust_show(s.db, &err);
    assert_non_null(json_object_get(o, "cose"));
    json_decref(o);
    memset(&env.roots, 0, sizeof env.roots);
    s.w.trust_is.version = 7;
    assert_int_equal(put_trust(&s.w.root[0], &s.w.root[1]), GWH_IO); /* nothing to verify with */
}

/* ---- Devices ----------------------------------------------------------------------------------------------------- */

#define CLASS "\"class\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\""

static void an_import_is_all_or_none(void **state)
{
    json_t *a;
    struct gwh_error err = {0};
    (void)state;
    assert_int_equal(edit(gws_devices_import, NULL,
                          "{\"devices\":[{\"id\":\"a\"," CLASS ",\"tags\":[\"x\",\"y\"]},{\"id\":\"b\"," CLASS "}]}",
                          &a),
                     GWH_OK);
    json_decref(a);
    assert_int_equal(edit(gws_devices_import, NULL,
                          "{\"devices\":[{\"id\":\"c\"," CLASS "},{\"id\":\"b\"," CLASS "}]}", NULL), GWH_REFUSED);
    assert_int_equal(why.reason, GWS_CONFLICT);
    assert_non_null(strstr(why.text, "b is known"));
    assert_int_equal(edit(gws_devices_import, NULL,
                          "{\"devices\":[{\"id\":\"c\"," CLASS "},{\"id\":\"c\"," CLASS "}]}", NULL), GWH_REFUSED);
    assert_int_equal(edit(gws_devices_import, NULL,
                          "{\"devices\":[{\"id\":\"c\"," CLASS "},{\"id\":\"d/\"," CLASS "}]}", NULL), GWH_USAGE);
    assert_non_null(strstr(why.text, "device 2 of 2"));
    assert_int_equal(edit(gws_devices_import, NULL,
                          "{\"devices\":[{\"id\":\"c\",\"class\":\"00000000000000000000000000000000\"}]}", NULL),
                     GWH_REFUSED);
    assert_int_equal(count("SELECT count(*) FROM device"), 2);
    assert_int_equal(count("SELECT count(*) FROM audit"), 1);
    a = gws_device_show(s.db, "a", &err);
    assert_int_equal(json_array_size(json_object_get(a, "tags")), 2);
    assert_true(json_is_null(json_object_get(a, "state")));
    json_decref(a);
    assert_null(gws_device_show(s.db, "c", &err));
    assert_int_equal(err.reason, GWS_NOT_FOUND);
}

static void lists_are_filtered_and_paged(void **state)
{
    struct gwh_error err = {0};
    struct gws_page page = {.limit = 2};
    unsigned pages = 0, items = 0;
    char after[60] = "";
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        char id[16];
        snprintf(id, sizeof id, "dev-%u", i);
        t_server_device(&s, id, i % 2 == 0 ? "even" : NULL);
    }
    t_server_sql(&s, "UPDATE device SET state = 3 WHERE id = 'dev-4'");
    for (;; pages++) {
        json_t *o = gws_devices_list(s.db, &(struct gws_device_query){.tag = NULL}, &page, &err);
        const char *next = json_string_value(json_object_get(o, "next"));
        items += (unsigned)json_array_size(json_object_get(o, "items"));
        snprintf(after, sizeof after, "%s", next != NULL ? next : "");
        page.after = after;
        json_decref(o);
        if (after[0] == '\0') {
            break;
        }
    }
    assert_int_equal(pages, 2);
    assert_int_equal(items, 5);
    static const struct {
        struct gws_device_query q;
        size_t n;
    } cases[] = {
        {{.tag = "even"}, 3}, {{.tag = "odd"}, 0}, {{.text = "v-3"}, 1}, {{.text = "%"}, 0}, {{.state = "FAILED"}, 1},
        {{.class_id = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", .tag = "even", .state = "FAILED"}, 1},
        {{.class_id = "00000000000000000000000000000000"}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *o = gws_devices_list(s.db, &cases[i].q, NULL, &err);
        assert_int_equal(json_array_size(json_object_get(o, "items")), cases[i].n);
        json_decref(o);
    }
    assert_null(gws_devices_list(s.db, &(struct gws_device_query){.state = "NONSENSE"}, NULL, &err));
    assert_int_equal(err.exit, GWH_USAGE);
}

static void devices_are_changed_and_deleted(void **state)
{
    json_t *a;
    uint8_t hash[32];
    (void)state;
    t_server_device(&s, "a", "old");
    assert_int_equal(edit(gws_device_patch, "a", "{\"enabled\":false,\"tags\":[\"new\"]}", NULL), GWH_OK);
    assert_int_equal(count("SELECT count(*) FROM device d JOIN tag t ON t.device = d.id WHERE NOT enabled AND"
                           " t.name = 'new'"), 1);
    assert_int_equal(count("SELECT count(*) FROM tag"), 1);
    assert_int_equal(edit(gws_device_patch, "a", "{\"token\":true}", &a), GWH_OK);
    assert_int_equal(gws_token_hash(text(a, "token"), hash), GW_OK);
    assert_int_equal(strncmp(text(a, "token"), "gwd_", 4), 0);
    char hex[65], sql[200];
    gwh_hex(hex, hash, 32);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM device WHERE token_hash = x'%s'", hex);
    assert_int_equal(count(sql), 1);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM audit WHERE detail LIKE '%%%s%%'", text(a, "token"));
    assert_int_equal(count(sql), 0); /* the token is told once, and logged never */
    json_decref(a);
    assert_int_equal(edit(gws_device_patch, "a", "{\"token\":false}", NULL), GWH_USAGE);
    assert_int_equal(edit(gws_device_patch, "a", "{\"id\":\"b\"}", NULL), GWH_USAGE);
    assert_int_equal(edit(gws_device_patch, "b", "{}", NULL), GWH_REFUSED);
    assert_int_equal(edit(gws_device_delete, "a", NULL, NULL), GWH_OK);
    assert_int_equal(edit(gws_device_delete, "a", NULL, NULL), GWH_REFUSED);
    assert_int_equal(count("SELECT (SELECT count(*) FROM device) + (SELECT count(*) FROM tag)"), 0);
}

/* ---- Releases: with a real payload ------------------------------------------------------------------------------- */

static struct gwh_buf file;
static struct gw_payload payload;
static char payload_hex[65];

/* {manifest: ...} of a release with one raw payload, which is in `file`. */
static char *release_request(uint32_t sequence, bool with_head)
{
    uint8_t image[9000];
    struct gwh_variant variant = {.size = sizeof image, .payloads = &payload, .payload_count = 1};
    struct gwh_component component = {0, GW_KIND_BOOTABLE, &variant, 1};
    struct gwh_manifest *m = &s.w.manifest_is;
    memset(image, (int)sequence, sizeof image);
    payload = (struct gw_payload){.frame_size = 4096};
    gwh_buf_free(&file);
    assert_int_equal(gwh_payload_make(&file, gwh_openssl()->gw, (struct gw_span){ NULL, 0 },
                                      (struct gwh_position){ 0, 0, 0 }, (struct gw_span){ image, sizeof image },
                                      &payload),
                     GW_OK);
    assert_int_equal(gw_sha256(gwh_openssl()->gw, image, sizeof image, variant.digest), GW_OK);
    gwh_hex(payload_hex, payload.name, 32);
    *m = (struct gwh_manifest){.epoch = 2, .sequence = sequence, .version = "2.0", .components = &component,
                               .component_count = 1};
    memset(m->vendor, 0xaa, 16);
    memset(m->class_id, 0xbb, 16);
    struct t_bytes cose = t_manifest(&s.w, KEYS(&s.w.author));
    json_t *o = json_object();
    json_object_set_new(o, "manifest", gws_base64_json(OCTETS(cose)));
    if (with_head) {
        struct t_bytes head = t_head(&s.w, KEYS(&s.w.distributor));
        json_object_set_new(o, "head", gws_base64_json(OCTETS(head)));
        t_free(&head);
    }
    char *out = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    t_free(&cose);
    return out;
}

static int put_part(const char *digest, uint64_t offset, size_t n, uint64_t *there)
{
    struct gws_edit *e = new_edit(gws_release_put, digest, NULL, (struct gw_span){file.p + offset, n});
    snprintf(e->part, sizeof e->part, "%s", payload_hex);
    e->offset = offset;
    int r = gws_edit_run(e, s.db);
    why = e->change.err;
    *there = (uint64_t)json_integer_value(json_object_get(e->answer, "there"));
    gws_edit_free(e);
    return r;
}

static void begin(uint32_t sequence, bool with_head, char digest[65])
{
    json_t *a;
    char *request = release_request(sequence, with_head);
    if (edit(gws_release_begin, NULL, request, &a) != GWH_OK) {
        fail_msg("%s", why.text);
    }
    snprintf(digest, 65, "%s", text(a, "digest"));
    json_decref(a);
    free(request);
}

static void upload(const char *digest)
{
    uint64_t there;
    assert_int_equal(put_part(digest, 0, file.n, &there), GWH_OK);
    if (edit(gws_release_finish, digest, NULL, NULL) != GWH_OK) {
        fail_msg("%s", why.text);
    }
}

static void a_release_is_uploaded_checked_and_ready(void **state)
{
    char digest[65];
    uint64_t there;
    struct gwh_error err = {0};
    json_t *a;
    (void)state;
    begin(40, true, digest);
    assert_int_equal(count("SELECT head_serial FROM class"), 9);
    assert_int_equal(edit(gws_release_finish, digest, NULL, NULL), GWH_REFUSED); /* nothing there yet */
    assert_int_equal(put_part(digest, 0, 5000, &there), GWH_OK);
    assert_int_equal(there, 5000);
    assert_int_equal(put_part(digest, 0, 10, &there), GWH_REFUSED);
    assert_int_equal(why.reason, GWS_CONFLICT);
    assert_int_equal(there, 5000);
    char *request = release_request(40, true); /* interrupted, begun again: another signature, the same release */
    assert_int_equal(edit(gws_release_begin, NULL, request, &a), GWH_OK);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(a, "payloads"), 0), "there")),
                     5000);
    json_decref(a);
    free(request);
    assert_int_equal(put_part(digest, 5000, file.n - 5000, &there), GWH_OK);
    assert_int_equal(edit(gws_release_finish, digest, NULL, &a), GWH_OK);
    assert_string_equal(text(a, "state"), "ready");
    json_decref(a);
    assert_int_equal(edit(gws_release_finish, digest, NULL, NULL), GWH_OK); /* again */
    a = gws_release_show(s.db, &blobs, digest, &err);
    assert_string_equal(text(a, "state"), "ready");
    assert_true(json_is_true(json_object_get(json_array_get(json_object_get(a, "payloads"), 0), "whole")));
    json_decref(a);
    a = gws_releases_list(s.db, NULL, NULL, &err);
    assert_int_equal(json_array_size(json_object_get(a, "items")), 1);
    json_decref(a);
    assert_int_equal(put_part(digest, file.n, 0, &there), GWH_OK); /* it is all there */
    assert_int_equal(there, file.n);
}

static void what_devices_would_refuse_is_refused(void **state)
{
    char digest[65];
    uint64_t there;
    (void)state;
    char *request = release_request(40, false);
    s.w.trust_is.version = 6;
    s.w.trust_is.epoch = 1;
    assert_int_equal(put_trust(&s.w.root[0], &s.w.root[1]),
                     GWH_OK); /* the bundle's epoch is older than the release's */
    assert_int_equal(edit(gws_release_begin, NULL, request, NULL), GWH_REFUSED);
    assert_int_equal(why.reason, GW_ERR_EPOCH);
    s.w.trust_is.version = 7;
    s.w.trust_is.epoch = 2;
    assert_int_equal(put_trust(&s.w.root[0], &s.w.root[1]), GWH_OK);
    request[40] ^= 1;
    assert_int_not_equal(edit(gws_release_begin, NULL, request, NULL), GWH_OK);
    free(request);
    s.w.head_is.latest.sequence = 39;
    request = release_request(40, true);
    assert_int_equal(edit(gws_release_begin, NULL, request, NULL), GWH_REFUSED);
    assert_int_equal(why.reason, GW_ERR_HEAD_BEHIND);
    free(request);
    begin(40, false, digest);
    file.p[100] ^= 1; /* another file */
    assert_int_equal(put_part(digest, 0, file.n, &there), GWH_OK);
    assert_int_equal(edit(gws_release_finish, digest, NULL, NULL), GWH_REFUSED);
    assert_int_equal(why.reason, GW_ERR_FRAME_HASH);
    assert_int_equal(count("SELECT state FROM release"), 0);
    file.p[100] ^= 1;
    assert_int_equal(put_part(digest, 0, 10, &there), GWH_REFUSED); /* dropped: to be begun again */
    assert_int_equal(put_part(digest, file.n, 1, &there), GWH_USAGE);
    assert_int_equal(put_part("00", 0, 10, &there), GWH_REFUSED);
    assert_int_equal(why.reason, GWS_NOT_FOUND);
    begin(40, false, digest);
    upload(digest);
    request = release_request(40, false);
    s.w.manifest_is.version = "other";
    free(request);
}

static void one_order_is_one_release(void **state)
{
    char digest[65];
    (void)state;
    begin(40, false, digest);
    t_server_sql(&s, "PRAGMA foreign_keys=OFF; UPDATE release SET digest = randomblob(32); PRAGMA foreign_keys=ON");
    char *request = release_request(40, false);
    assert_int_equal(edit(gws_release_begin, NULL, request, NULL), GWH_REFUSED);
    assert_int_equal(why.reason, GWS_CONFLICT);
    free(request);
    t_server_sql(&s, "PRAGMA foreign_keys=OFF; DELETE FROM release; DELETE FROM payload; DELETE FROM class;"
                     " PRAGMA foreign_keys=ON");
    request = release_request(40, false);
    assert_int_equal(edit(gws_release_begin, NULL, request, NULL), GWH_REFUSED); /* its class is not there */
    assert_int_equal(why.reason, GWS_NOT_FOUND);
    free(request);
}

/* ---- Rollouts ---------------------------------------------------------------------------------------------------- */

static void new_rollout(const char *digest, char id[40])
{
    char request[200];
    json_t *a;
    snprintf(request, sizeof request, "{\"name\":\"first\",\"release\":\"%s\",\"target\":{\"all\":true}}", digest);
    if (edit(gws_rollout_create, NULL, request, &a) != GWH_OK) {
        fail_msg("%s", why.text);
    }
    snprintf(id, 40, "%s", text(a, "id"));
    json_decref(a);
}

static void rollouts_go_through_their_states(void **state)
{
    static const run steps[] = {gws_rollout_start, gws_rollout_pause, gws_rollout_resume, gws_rollout_abort};
    static const int next[5][4] = {{1, -1, -1, 3}, {-1, 2, -1, 3}, {-1, -1, 1, 3}, {-1, -1, -1, -1}, {-1, -1, -1, -1}};
    char digest[65], id[40];
    (void)state;
    begin(40, false, digest);
    upload(digest);
    new_rollout(digest, id);
    for (int from = 0; from < 5; from++) {
        for (int i = 0; i < 4; i++) {
            t_server_sql(&s, "UPDATE rollout SET state = %d", from);
            int e = edit(steps[i], id, NULL, NULL);
            assert_int_equal(e, next[from][i] >= 0 ? GWH_OK : GWH_REFUSED);
            assert_int_equal(count("SELECT state FROM rollout"), next[from][i] >= 0 ? next[from][i] : from);
        }
    }
    assert_int_equal(edit(gws_rollout_start, "nothing", NULL, NULL), GWH_REFUSED);
    assert_int_equal(why.reason, GWS_NOT_FOUND);
    assert_int_equal(edit(gws_release_delete, digest, NULL, NULL), GWH_REFUSED); /* a rollout names it */
    struct gwh_error err = {0};
    json_t *o = gws_rollout_show(s.db, id, &err);
    assert_true(json_is_true(json_object_get(json_object_get(o, "target"), "all")));
    json_decref(o);
    o = gws_rollouts_list(s.db, NULL, &err);
    assert_int_equal(json_array_size(json_object_get(o, "items")), 1);
    json_decref(o);
}

static void a_start_looks_again(void **state)
{
    char digest[65], id[40], request[200];
    (void)state;
    begin(40, false, digest);
    snprintf(request, sizeof request, "{\"name\":\"x\",\"release\":\"%s\",\"target\":{\"all\":true}}", digest);
    assert_int_equal(edit(gws_rollout_create, NULL, request, NULL), GWH_REFUSED); /* not ready */
    upload(digest);
    new_rollout(digest, id);
    s.w.withdrawn[0] = (struct gw_order){2, 40};
    assert_int_equal(put_head(&s.w.distributor), GWH_OK);
    assert_int_equal(edit(gws_rollout_start, id, NULL, NULL), GWH_REFUSED);
    assert_int_equal(why.reason, GW_ERR_WITHDRAWN);
    s.w.head_is.serial++;
    s.w.withdrawn[0] = (struct gw_order){2, 38};
    assert_int_equal(put_head(&s.w.distributor), GWH_OK);
    assert_int_equal(edit(gws_rollout_start, id, NULL, NULL), GWH_OK);
    assert_int_equal(edit(gws_rollout_pause, id, NULL, NULL), GWH_OK);
    s.w.trust_is.version = 6;
    memcpy(s.w.revoked_thumbprint[0], s.w.author.thumbprint, 32);
    assert_int_equal(put_trust(&s.w.root[0], &s.w.root[1]), GWH_OK);
    assert_int_equal(edit(gws_rollout_resume, id, NULL, NULL), GWH_REFUSED); /* the author is revoked */
}

static void what_no_release_names_is_collected(void **state)
{
    char digest[65];
    json_t *a;
    (void)state;
    begin(40, false, digest);
    upload(digest);
    char path[GWH_PATH_MAX], command[GWH_PATH_MAX + 40];
    assert_int_equal(gws_blob_path(path, &blobs, payload.name), GWH_OK);
    snprintf(command, sizeof command, "touch -d '2 hours ago' '%s'", path);
    assert_int_equal(system(command), 0);
    assert_int_equal(edit(gws_releases_collect, NULL, NULL, &a), GWH_OK);
    assert_int_equal(json_integer_value(json_object_get(a, "removed")), 0);
    json_decref(a);
    assert_int_equal(edit(gws_release_delete, digest, NULL, NULL), GWH_OK);
    assert_int_equal(edit(gws_releases_collect, NULL, NULL, &a), GWH_OK);
    assert_int_equal(json_integer_value(json_object_get(a, "removed")), 1);
    json_decref(a);
}

/* ---- Tokens, audit, the running server --------------------------------------------------------------------------- */

static void tokens_are_told_once_and_end(void **state)
{
    json_t *a, *list;
    struct gwh_error err = {0};
    struct gws_server server = {.base = NULL};
    char who[64], token[GWS_TOKEN_MAX];
    (void)state;
    assert_int_equal(
        edit(gws_token_create, NULL, "{\"name\":\"ci\",\"role\":\"publisher\",\"expires\":1700000100}", &a), GWH_OK);
    snprintf(token, sizeof token, "%s", text(a, "token"));
    assert_int_equal(strlen(token), 47);
    assert_int_equal(edit(gws_token_create, NULL, "{\"name\":\"ci\",\"role\":\"admin\",\"expires\":1600000000}", NULL),
                     GWH_USAGE); /* over already */
    assert_int_equal(gws_fleet_load(&server.fleet, s.db, &err), GWH_OK);
    assert_int_equal(gws_token_role(&server, token, who), GWS_ROLE_PUBLISHER);
    assert_string_equal(who, "ci");
    stub.now = 1700000100;
    assert_int_equal(gws_token_role(&server, token, who), GWS_ROLE_NONE);
    stub.now = 1700000000;
    token[10] ^= 1;
    assert_int_equal(gws_token_role(&server, token, who), GWS_ROLE_NONE);
    assert_int_equal(gws_token_role(&server, "", who), GWS_ROLE_NONE);
    list = gws_tokens_list(s.db, NULL, &err);
    char *all = json_dumps(list, 0);
    assert_null(strstr(all, text(a, "token")));
    free(all);
    json_decref(list);
    assert_int_equal(edit(gws_token_delete, text(a, "id"), NULL, NULL), GWH_OK);
    assert_int_equal(edit(gws_token_delete, text(a, "id"), NULL, NULL), GWH_REFUSED);
    list = gws_audit_list(s.db, NULL, &err);
    assert_int_equal(json_array_size(json_object_get(list, "items")), 2);
    assert_string_equal(text(json_array_get(json_object_get(list, "items"), 0), "what"), "token deleted");
    json_decref(list);
    json_decref(a);
    gws_fleet_free(server.fleet);
}

static unsigned finished;
static int finished_result;
static void finish(struct gws_edit *e)
{
    finished++;
    finished_result = e->change.result;
    gws_edit_free(e);
}

static void submit(struct gws_server *server, struct gws_edit *e)
{
    unsigned before = finished;
    e->finished = finish;
    gws_edit_submit(server, &env, e);
    while (finished == before) {
        event_base_loop(server->base, EVLOOP_ONCE);
    }
}

static void edits_reach_memory_and_devices(void **state)
{
    struct gws_server server = {.base = event_base_new()};
    struct gwh_error err = {0};
    char digest[65], id[40];
    static const struct gw_span none = {NULL, 0};
    (void)state;
    begin(40, false, digest);
    upload(digest);
    new_rollout(digest, id);
    assert_int_equal(gws_db_open(&server.db, s.path, server.base, &err), GWH_OK);
    assert_int_equal(gws_fleet_load(&server.fleet, gws_db_reader(server.db), &err), GWH_OK);
    submit(&server,
           new_edit(gws_devices_import, NULL, "{\"devices\":[{\"id\":\"a\"," CLASS "}],\"token\":true}", none));
    assert_int_equal(finished_result, GWH_OK);
    assert_non_null(gws_fleet_device(server.fleet, "a"));
    assert_int_equal(stub.notified, 0);
    submit(&server, new_edit(gws_rollout_start, id, NULL, none));
    assert_int_equal(stub.notified, 1);
    assert_string_equal(stub.device, "a");
    submit(&server, new_edit(gws_rollout_start, id, NULL, none));
    assert_int_equal(finished_result, GWH_REFUSED);
    submit(&server, new_edit(gws_device_patch, "a", "{\"enabled\":false}", none));
    assert_false(gws_fleet_device(server.fleet, "a")->enabled);
    submit(&server, new_edit(gws_device_delete, "a", NULL, none));
    assert_null(gws_fleet_device(server.fleet, "a"));
    gws_db_close(server.db);
    gws_fleet_free(server.fleet);
    event_base_free(server.base);
}

static void roots_come_from_a_file(void **state)
{
    struct gws_env e = {.blobs = NULL};
    struct gwh_error err = {0};
    struct gwh_buf pem = {0};
    char path[GWH_PATH_MAX];
    (void)state;
    snprintf(path, sizeof path, "%s/roots.pem", s.folder);
    assert_int_equal(gws_env_roots(&e, path, &err), GWH_IO);
    memset(&err, 0, sizeof err);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(gwh_key_public_pem(&pem, &s.w.root[i], &err), GWH_OK);
    }
    assert_int_equal(gwh_buf_add(&pem, "\n", 1), GW_OK);
    assert_int_equal(gwh_file_write(path, gwh_span(&pem), 0600, true, &err), GWH_OK);
    assert_int_equal(gws_env_roots(&e, path, &err), GWH_OK);
    assert_int_equal(e.roots.count, 3);
    assert_int_equal(e.roots.threshold, 2);
    struct gw_trust trust;
    assert_int_equal(gw_trust_open(&trust, gwh_openssl()->gw, &e.roots, s.w.trust_bytes.p, s.w.trust_bytes.n), GW_OK);
    snprintf(path, sizeof path, "%s/trust.cose", s.folder);
    s.w.trust_is.version = 8;
    struct t_bytes cose = t_trust(&s.w, KEYS(&s.w.root[1], &s.w.root[2]));
    assert_int_equal(gwh_file_write(path, OCTETS(cose), 0600, true, &err), GWH_OK);
    for (unsigned i = 0; i < 2; i++) { /* again: it is there */
        assert_int_equal(gws_trust_from_file(&e, s.path, path, &err), GWH_OK);
        assert_int_equal(count("SELECT max(version) FROM trust"), 8);
    }
    cose.p[cose.n - 1] ^= 1;
    assert_int_equal(gwh_file_write(path, OCTETS(cose), 0600, true, &err), GWH_OK);
    assert_int_equal(gws_trust_from_file(&e, s.path, path, &err), GWH_REFUSED);
    t_free(&cose);
    gws_env_free(&e);
    gwh_buf_free(&pem);
}

static int tidy(void **state)
{
    (void)state;
    gwh_buf_free(&file);
    return 0;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(requests_are_read_strictly),
        T(base64_is_strict),
        T(classes_have_ids_made_of_names),
        T(heads_are_verified_and_only_grow),
        T(bundles_are_signed_by_roots_and_newer),
        T(an_import_is_all_or_none),
        T(lists_are_filtered_and_paged),
        T(devices_are_changed_and_deleted),
        T(a_release_is_uploaded_checked_and_ready),
        T(what_devices_would_refuse_is_refused),
        T(one_order_is_one_release),
        T(rollouts_go_through_their_states),
        T(a_start_looks_again),
        T(what_no_release_names_is_collected),
        T(tokens_are_told_once_and_end),
        T(edits_reach_memory_and_devices),
        T(roots_come_from_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, tidy);
}
