/*
 * test_publish.c - a release into a static repository in memory whose every call is made to fail in turn: what was
 * offered stays whole, and a second run completes. What is refused, and what a listing says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cose.h"
#include "publish.h"
#include "s3.h"
#include "uuid.h"

/* ---- A store in memory ------------------------------------------------------------------------------------------- */

#define FILES 32u
struct memory {
    struct {
        char name[GWH_STORE_NAME_MAX];
        struct gwh_buf bytes;
    } file[FILES];
    unsigned count;
    unsigned calls, fail_at; /* number of the call that fails, from 1; 0: none */
    unsigned puts;
    bool digests;            /* it can tell them */
};

static bool fails(struct memory *m, struct gwh_error *err)
{
    return ++m->calls == m->fail_at && gwh_fail(err, GWH_IO, "as the test wants it") != GWH_OK;
}

static int number_of(const struct memory *m, const char *name)
{
    for (unsigned i = 0; i < m->count; i++) {
        if (strcmp(m->file[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static int mem_look(void *ctx, const char *name, bool digest, struct gwh_stored *out, struct gwh_error *err)
{
    struct memory *m = ctx;
    int i = number_of(m, name);
    memset(out, 0, sizeof *out);
    if (fails(m, err)) {
        return err->exit;
    }
    if (i >= 0) {
        out->there = true;
        out->size = m->file[i].bytes.n;
        out->digest_known = digest && m->digests;
        assert_int_equal(gw_sha256(gwh_openssl()->gw, m->file[i].bytes.p, m->file[i].bytes.n, out->digest), GW_OK);
    }
    return GWH_OK;
}

static int mem_get(void *ctx, const char *name, size_t max, struct gwh_buf *out, struct gwh_error *err)
{
    struct memory *m = ctx;
    int i = number_of(m, name);
    if (fails(m, err)) {
        return err->exit;
    }
    if (i >= 0 && m->file[i].bytes.n > max) {
        return gwh_fail_reason(err, GW_ERR_LIMIT, "%s", name);
    }
    return i < 0 ? GWH_OK : gwh_buf_add(out, m->file[i].bytes.p, m->file[i].bytes.n);
}

static int mem_put(void *ctx, const struct gwh_item *item, struct gwh_error *err)
{
    struct memory *m = ctx;
    struct gwh_source source;
    struct gwh_buf bytes = {0};
    uint8_t chunk[999];
    size_t n = 1;
    assert_int_equal(gwh_store_check_name(item->name, err), GWH_OK);
    int e = fails(m, err) ? err->exit : gwh_source_open(&source, item, err);
    while (e == GWH_OK && n > 0) {
        e = gwh_source_read(&source, chunk, sizeof chunk, &n, err);
        e = e == GWH_OK ? gwh_buf_add(&bytes, chunk, n) : e;
    }
    if (e != GWH_OK) {
        gwh_buf_free(&bytes);
        return e;
    }
    gwh_source_close(&source);
    int i = number_of(m, item->name);
    if (i < 0) {
        assert_true(m->count < FILES);
        i = (int)m->count++;
        (void)snprintf(m->file[i].name, GWH_STORE_NAME_MAX, "%s", item->name);
    }
    gwh_buf_free(&m->file[i].bytes);
    m->file[i].bytes = bytes;
    m->puts++;
    return GWH_OK;
}

static int mem_list(void *ctx, const char *prefix, int (*each)(void *ctx, const char *name, uint64_t size),
                    void *each_ctx, struct gwh_error *err)
{
    struct memory *m = ctx;
    int e = fails(m, err) ? err->exit : GWH_OK;
    for (unsigned i = 0; e == GWH_OK && i < m->count; i++) {
        if (strncmp(m->file[i].name, prefix, strlen(prefix)) == 0) {
            e = each(each_ctx, m->file[i].name, m->file[i].bytes.n);
        }
    }
    return e;
}

static void forget(struct memory *m)
{
    for (unsigned i = 0; i < m->count; i++) {
        gwh_buf_free(&m->file[i].bytes);
    }
    memset(m, 0, sizeof *m);
    m->digests = true;
}

/* ---- Releases ---------------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/godwit-publish-XXXXXX";
static struct gwh_key author, distributor;
static struct memory memory = {.digests = true};
static const struct gwh_store store = {&memory, mem_look, mem_get, mem_put, mem_list, NULL};
static struct gwh_buf trust_map;
static struct gw_trust trust;
static uint8_t vendor[16], class_id[16];
static char told[4000];

static void tell(void *ctx, const char *line)
{
    size_t n = strlen(told);
    (void)ctx;
    (void)snprintf(told + n, sizeof told - n, "%s\n", line);
}

static void make(const char *out, uint32_t sequence, uint8_t fill)
{
    static uint8_t image[9000];
    struct gwh_built built;
    struct gwh_error err = {0};
    char name[64];
    struct gwh_image images[2] = {{.kind = GW_KIND_BOOTABLE, .path = "image.bin"},
                                  {.component = 7, .kind = GW_KIND_DATA, .path = "data.bin"}};
    memset(image, fill, sizeof image);
    assert_int_equal(gwh_file_write("image.bin", (struct gw_span){image, sizeof image}, 0644, true, &err), GWH_OK);
    assert_int_equal(gwh_file_write("data.bin", (struct gw_span){image, 500}, 0644, true, &err), GWH_OK);
    struct gwh_build b = {.manifest = {.epoch = 1, .sequence = sequence, .version = "1.0.0"},
                          .images = images,
                          .image_count = 2,
                          .frame_size = 1024};
    memcpy(b.manifest.vendor, vendor, 16);
    memcpy(b.manifest.class_id, class_id, 16);
    assert_int_equal(gwh_release_build(&b, out, &built, &err), GWH_OK);
    (void)snprintf(name, sizeof name, "%s/manifest.cose", out);
    assert_int_equal(gwh_object_sign(&(struct gwh_object){name, GW_TYPE_MANIFEST}, &author, &err), GWH_OK);
}

static void add_head(const char *path, uint32_t serial)
{
    struct gwh_release r;
    struct gwh_error err = {0};
    assert_int_equal(gwh_release_load(&r, path, &err), GWH_OK);
    struct gwh_head head = {.channel = "stable", .latest = r.m.order, .serial = serial, .issued_at = 1};
    memcpy(head.class_id, class_id, 16);
    assert_int_equal(gwh_release_head(&r, &head, &distributor, true, &err), GWH_OK);
    gwh_release_free(&r);
}

static int setup(void **state)
{
    static struct gw_pubkey keys[2];
    struct gwh_error err = {0};
    struct gwh_trust spec = {.version = 3, .epoch = 1, .keys = keys, .key_count = 2};
    (void)state;
    if (mkdtemp(folder) == NULL || chdir(folder) != 0 || gwh_key_new(&author, GWH_P256, &err) != GWH_OK ||
        gwh_key_new(&distributor, GWH_P256, &err) != GWH_OK || gwh_uuid_vendor("example.com", vendor) != GW_OK ||
        gwh_uuid_class(vendor, "sensor", class_id) != GW_OK) {
        return -1;
    }
    keys[0] = author.pub;
    keys[0].roles = GW_ROLE_AUTHOR;
    keys[1] = distributor.pub;
    keys[1].roles = GW_ROLE_DISTRIBUTOR;
    assert_int_equal(gwh_trust_map(&trust_map, &spec), GW_OK);
    assert_int_equal(gw_trust_parse(&trust, trust_map.p, trust_map.n), GW_OK);
    make("old", 5, 1);
    make("new", 6, 2);
    make("twin", 6, 3);
    return 0;
}

static int teardown(void **state)
{
    char command[64];
    (void)state;
    forget(&memory);
    gwh_key_free(&author);
    gwh_key_free(&distributor);
    gwh_buf_free(&trust_map);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir("/") != 0 || system(command) != 0;
}

/* Publishes with `p`'s options; the reason of a refusal, or the exit code. */
static int publish_with(const char *path, struct gwh_publish p, struct gwh_published *done)
{
    struct gwh_release r = {0};
    struct gwh_error err = {0};
    p.trust = &trust;
    p.tell = tell;
    p.release = path != NULL ? &r : NULL;
    told[0] = '\0';
    int e = path != NULL ? gwh_release_load(&r, path, &err) : GWH_OK;
    e = e == GWH_OK ? gwh_publish(&store, &p, done, &err) : e;
    gwh_release_free(&r);
    assert_int_equal(e, err.exit);
    return err.reason != 0 ? err.reason : e;
}

static int publish(const char *path)
{
    struct gwh_published done;
    return publish_with(path, (struct gwh_publish){0}, &done);
}

/* What is offered: its sequence, 0 for none; everything that it needs has to be there as it was signed. */
static int has_payload(void *ctx, const struct gwh_place *at)
{
    char name[GWH_STORE_NAME_MAX];
    uint8_t digest[32];
    (void)ctx;
    gwh_payload_name(name, at->p.name);
    int i = number_of(&memory, name);
    assert_true(i >= 0);
    assert_int_equal(memory.file[i].bytes.n, at->p.size);
    assert_int_equal(gw_sha256(gwh_openssl()->gw, memory.file[i].bytes.p, memory.file[i].bytes.n, digest), GW_OK);
    assert_memory_equal(digest, at->p.name, 32);
    return GW_OK;
}

static uint32_t offered(void)
{
    struct gwh_offered o;
    struct gwh_error err = {0};
    char name[GWH_STORE_NAME_MAX];
    unsigned fail_at = memory.fail_at;
    memory.fail_at = 0;
    gwh_offer_name(name, class_id);
    assert_int_equal(gwh_offered_get(&o, &store, name, &err), GWH_OK);
    uint32_t sequence = o.has_manifest ? o.m.order.sequence : 0;
    if (o.has_manifest) {
        assert_int_equal(gwh_each_payload(&o.m, has_payload, NULL), GW_OK);
    }
    gwh_offered_free(&o);
    memory.fail_at = fail_at;
    return sequence;
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static void test_twice(void **state)
{
    struct gwh_published done;
    (void)state;
    forget(&memory);
    assert_int_equal(publish_with("old", (struct gwh_publish){0}, &done), GWH_OK);
    assert_int_equal(offered(), 5);
    assert_int_equal(done.payloads, 2);
    assert_true(done.offer_changed && done.bytes > 9500);
    unsigned puts = memory.puts;
    assert_int_equal(publish_with("old", (struct gwh_publish){0}, &done), GWH_OK);
    assert_int_equal(memory.puts, puts);
    assert_int_equal(done.payloads_there, 2);
    assert_true(!done.offer_changed && done.bytes == 0);
}

static void test_dry_run(void **state)
{
    struct gwh_published done;
    (void)state;
    forget(&memory);
    assert_int_equal(publish_with("old", (struct gwh_publish){.dry_run = true}, &done), GWH_OK);
    assert_int_equal(done.payloads, 2);
    assert_true(done.offer_changed);
    assert_int_equal(memory.count, 0);
}

/* Each call of the store fails once: what was offered stays whole, a second run completes, nothing is sent twice. */
static void test_every_fault(void **state)
{
    unsigned at = 1, calls;
    (void)state;
    do {
        forget(&memory);
        assert_int_equal(publish("old"), GWH_OK);
        memory.calls = 0;
        memory.fail_at = at;
        int e = publish("new");
        calls = memory.calls;
        memory.fail_at = 0;
        assert_int_equal(offered(), e == GWH_OK ? 6 : 5);
        assert_int_equal(publish("new"), GWH_OK);
        assert_int_equal(offered(), 6);
        assert_int_equal(memory.puts, 8); /* four files each, none of them twice */
        at++;
    } while (at <= calls + 1 && at < 100);
    assert_true(at > 6);
}

static void test_order(void **state)
{
    struct gwh_published done;
    (void)state;
    forget(&memory);
    assert_int_equal(publish("new"), GWH_OK);
    assert_int_equal(publish("old"), GW_ERR_OLDER);
    assert_int_equal(publish("twin"), GW_ERR_OLDER);
    assert_int_equal(offered(), 6);
    assert_int_equal(publish_with("old", (struct gwh_publish){.allow_older = true}, &done), GWH_OK);
    assert_int_equal(offered(), 5);
    assert_int_equal(publish("new"), GWH_OK);
}

static void test_unreadable_offer(void **state)
{
    struct gwh_published done;
    char name[GWH_STORE_NAME_MAX];
    (void)state;
    forget(&memory);
    assert_int_equal(publish("old"), GWH_OK);
    gwh_offer_name(name, class_id);
    memory.file[number_of(&memory, name)].bytes.p[0] ^= 0xff;
    assert_int_not_equal(publish("new"), GWH_OK);
    assert_int_equal(publish_with("new", (struct gwh_publish){.allow_older = true}, &done), GWH_OK);
    assert_non_null(strstr(told, "it is replaced"));
    assert_int_equal(offered(), 6);
}

/* A payload that is there with other bytes, or whose digest the store cannot tell, is put again. */
static void test_half_a_payload(void **state)
{
    struct gwh_published done;
    (void)state;
    forget(&memory);
    assert_int_equal(publish("old"), GWH_OK);
    for (unsigned i = 0; i < memory.count; i++) {
        if (strncmp(memory.file[i].name, "payloads/", 9) == 0) {
            memory.file[i].bytes.p[100] ^= 1;
            break;
        }
    }
    assert_int_equal(publish_with("old", (struct gwh_publish){0}, &done), GWH_OK);
    assert_int_equal(done.payloads, 1);
    assert_int_equal(offered(), 5);
    memory.digests = false;
    assert_int_equal(publish_with("old", (struct gwh_publish){0}, &done), GWH_OK);
    assert_int_equal(done.payloads, 2);
}

static void test_heads(void **state)
{
    struct gwh_published done;
    struct gwh_buf head = {0};
    struct gwh_error err = {0};
    (void)state;
    forget(&memory);
    add_head("new", 7);
    assert_int_equal(publish("new"), GWH_OK);
    add_head("new", 6);
    assert_int_equal(publish("new"), GW_ERR_HEAD_OLDER);
    add_head("new", 8);
    unsigned puts = memory.puts;
    assert_int_equal(publish("new"), GWH_OK);
    assert_int_equal(memory.puts, puts + 1); /* the offer alone */
    assert_int_equal(gwh_file_read(&head, "new/head.cose", 1024, &err), GWH_OK);
    assert_int_equal(publish_with(NULL, (struct gwh_publish){.head = gwh_span(&head)}, &done), GWH_OK);
    assert_int_equal(offered(), 0);
    head.p[head.n - 1] ^= 1;
    assert_int_equal(publish_with(NULL, (struct gwh_publish){.head = gwh_span(&head)}, &done), GW_ERR_SIGNATURE);
    gwh_buf_free(&head);
    assert_int_equal(unlink("new/head.cose"), 0);
    assert_int_equal(publish("new"), GWH_OK);
    assert_non_null(strstr(told, "serial 8"));
}

/* What a service answers, cut off after every byte: in a buffer of exactly that size. */
static void test_xml(void **state)
{
    static const char text[] = "<E><Code>A</Code><Size></Size><Code>BC</Code></E>";
    size_t at = 0;
    (void)state;
    for (size_t n = 0; n < sizeof text; n++) {
        uint8_t *p = malloc(n > 0 ? n : 1);
        assert_non_null(p);
        memcpy(p, text, n);
        at = 0;
        struct gw_span code = gwh_s3_element((struct gw_span){p, n}, "Code", &at);
        assert_int_equal(code.n, n >= 17 ? 1 : 0);
        at = 0;
        assert_int_equal(gwh_s3_element((struct gw_span){p, n}, "Size", &at).n, 0);
        free(p);
    }
    const struct gw_span all = {(const uint8_t *)text, sizeof text - 1};
    at = 0;
    assert_memory_equal(gwh_s3_element(all, "Code", &at).p, "A", 1);
    assert_memory_equal(gwh_s3_element(all, "Code", &at).p, "BC", 2);
    assert_null(gwh_s3_element(all, "Code", &at).p);
}

/* Grants as large as they may be, to pre-shared keys by names of 32 bytes. */
static void add_grants(struct gwh_release *r, const uint8_t cek[16])
{
    static struct gwh_named grants[GW_GRANTS_MAX];
    struct gwh_recipient recipient[13];
    struct gwh_grant g = {.cipher = GW_ALG_A128CTR, .cek = {cek, 16}, .recipients = recipient, .recipient_count = 13};
    static uint8_t kid[32];
    memcpy(g.digest, r->digest, 32);
    for (size_t i = 0; i < 13; i++) {
        recipient[i] = (struct gwh_recipient){.algorithm = GW_ALG_A128KW, .kid = {kid, 32}, .kek = {cek, 16}};
    }
    for (size_t i = 0; i < GW_GRANTS_MAX; i++) {
        assert_int_equal(gwh_grant_encode(&grants[i].bytes, gwh_openssl(), &g), GW_OK);
        assert_true(grants[i].bytes.n > 900 && grants[i].bytes.n <= 1024);
    }
    for (size_t i = 0; i < r->grant_count; i++) {
        gwh_buf_free(&r->grants[i].bytes);
    }
    r->grants = realloc(r->grants, sizeof grants);
    assert_non_null(r->grants);
    memcpy(r->grants, grants, sizeof grants);
    r->grant_count = GW_GRANTS_MAX;
    memset(grants, 0, sizeof grants);
}

static void make_wide(struct gwh_release *r)
{
    static char id[90][40];
    static const char *ids[90];
    struct gwh_built built;
    struct gwh_error err = {0};
    struct gwh_image image = {.kind = GW_KIND_BOOTABLE, .path = "image.bin"};
    uint8_t zero[16] = {0};
    assert_int_equal(gwh_file_write("group.kek", (struct gw_span){zero, 16}, 0600, true, &err), GWH_OK);
    struct gwh_holder holder;
    assert_int_equal(gwh_holder_parse(&holder, "kek:group=group.kek", NULL, &err), GWH_OK);
    for (int i = 0; i < 90; i++) {
        (void)snprintf(id[i], sizeof id[i], "device-%025d", i);
        ids[i] = id[i];
    }
    struct gwh_build b = {.manifest = {.epoch = 1, .sequence = 9, .version = "9", .devices = ids, .device_count = 90},
                          .images = &image,
                          .image_count = 1,
                          .frame_size = 1024,
                          .cipher = GW_ALG_A128CTR,
                          .holders = &holder,
                          .holder_count = 1,
                          .cek_out = "wide.cek"};
    assert_int_equal(gwh_release_build(&b, "wide", &built, &err), GWH_OK);
    assert_int_equal(gwh_object_sign(&(struct gwh_object){"wide/manifest.cose", GW_TYPE_MANIFEST}, &author, &err),
                     GWH_OK);
    assert_int_equal(gwh_release_load(r, "wide", &err), GWH_OK);
    gwh_holder_free(&holder);
}

/* The room is told part by part, and what to leave out. */
static void test_too_large(void **state)
{
    struct gwh_release r;
    struct gwh_published done;
    struct gwh_error err = {0};
    uint8_t bundle[1500] = {0}, cek[32];
    size_t n;
    (void)state;
    forget(&memory);
    make_wide(&r);
    assert_int_equal(gwh_kek_read(cek, &n, "wide.cek", &err), GWH_OK);
    add_grants(&r, cek);
    struct gwh_publish p = {.release = &r, .trust = &trust, .bundle = {bundle, sizeof bundle}, .tell = tell};
    assert_int_equal(gwh_publish(&store, &p, &done, &err), GWH_REFUSED);
    assert_int_equal(err.reason, GW_ERR_LIMIT);
    assert_non_null(strstr(err.text, "bundle 1500"));
    assert_non_null(strstr(err.hint, "without --offer-trust"));
    assert_int_equal(memory.count, 0);
    memset(&err, 0, sizeof err);
    p.bundle.n = 0;
    told[0] = '\0';
    assert_int_equal(gwh_publish(&store, &p, &done, &err), GWH_OK);
    assert_non_null(strstr(told, "devices with the usual buffer take 5120"));
    gwh_release_free(&r);
}

static void test_payload_base(void **state)
{
    static const char *const bad[] = {"http://a.example", "https://", "https:///x", "https://u@a.example",
                                      "https://a.example/?q", "https://a.example/#f", "a.example"};
    struct gwh_published done;
    (void)state;
    forget(&memory);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(publish_with("old", (struct gwh_publish){.payload_base = bad[i]}, &done), GWH_USAGE);
    }
    assert_int_equal(memory.count, 0);
    const struct gwh_publish good = {.payload_base = "https://cdn.example/x/"};
    assert_int_equal(publish_with("old", good, &done), GWH_OK);
    assert_non_null(strstr(told, "does not name cdn.example"));
}

/* The release's own file changes between the check and the copy: what was checked is not what would be read. */
static void test_changed_meanwhile(void **state)
{
    struct gwh_source source;
    struct gwh_error err = {0};
    uint8_t bytes[100] = {1}, chunk[64];
    size_t n;
    struct gwh_item item = {.name = "offers/0", .bytes = {bytes, sizeof bytes}, .size = sizeof bytes};
    (void)state;
    assert_int_equal(gw_sha256(gwh_openssl()->gw, bytes, sizeof bytes, item.digest), GW_OK);
    bytes[99] ^= 1;
    assert_int_equal(gwh_source_open(&source, &item, &err), GWH_OK);
    assert_int_equal(gwh_source_read(&source, chunk, sizeof chunk, &n, &err), GWH_OK);
    assert_int_equal(n, 64);
    assert_int_equal(gwh_source_read(&source, chunk, sizeof chunk, &n, &err), GWH_REFUSED);
    assert_int_equal(n, 0);
    gwh_source_close(&source);
}

static void test_list(void **state)
{
    struct gwh_error err = {0};
    json_t *out;
    bool whole;
    (void)state;
    forget(&memory);
    assert_int_equal(gwh_repository_list(&store, false, &out, &whole, &err), GWH_IO); /* nothing is there */
    assert_int_equal(publish("old"), GWH_OK);
    assert_int_equal(publish("new"), GWH_OK);
    memset(&err, 0, sizeof err);
    assert_int_equal(gwh_repository_list(&store, true, &out, &whole, &err), GWH_OK);
    assert_true(whole);
    assert_int_equal(json_array_size(json_object_get(out, "classes")), 1);
    assert_int_equal(json_array_size(json_object_get(out, "releases not offered")), 1);
    assert_int_equal(json_array_size(json_object_get(out, "payloads of no release")), 0);
    json_decref(out);
    struct gwh_stored there;
    for (unsigned i = 0; i < memory.count; i++) { /* every payload loses a byte */
        assert_int_equal(mem_look(&memory, memory.file[i].name, false, &there, &err), GWH_OK);
        memory.file[i].bytes.n -= strncmp(memory.file[i].name, "payloads/", 9) == 0;
    }
    assert_int_equal(gwh_repository_list(&store, false, &out, &whole, &err), GWH_OK);
    assert_false(whole);
    assert_int_equal(json_array_size(json_object_get(out, "problems")), 2);
    json_decref(out);
    for (unsigned at = 1; at < 4; at++) { /* a listing that fails is no empty one */
        memory.calls = 0;
        memory.fail_at = at;
        memset(&err, 0, sizeof err);
        assert_int_equal(gwh_repository_list(&store, false, &out, &whole, &err), GWH_IO);
    }
    memory.fail_at = 0;
}

static void test_names(void **state)
{
    static const char *const bad[] = {"", "offers/", "offers/..", "offers/../../etc/passwd", "offers/0123",
                                      "payloads/0123456789abcdef0123456789abcdef", "/etc/passwd",
                                      "offers/0123456789ABCDEF0123456789ABCDEF",
                                      "offers/0123456789abcdef0123456789abcdef/", ".lock",
                                      "offers/0123456789abcdef0123456789abcdef.json"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(gwh_store_name_ok(bad[i]));
    }
    assert_true(gwh_store_name_ok("offers/0123456789abcdef0123456789abcdef"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twice),          cmocka_unit_test(test_dry_run),
        cmocka_unit_test(test_every_fault),    cmocka_unit_test(test_order),
        cmocka_unit_test(test_unreadable_offer), cmocka_unit_test(test_half_a_payload),
        cmocka_unit_test(test_heads),          cmocka_unit_test(test_payload_base),
        cmocka_unit_test(test_changed_meanwhile), cmocka_unit_test(test_list),
        cmocka_unit_test(test_names),          cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_xml),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
