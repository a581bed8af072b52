/*
 * test_manifest.c - manifests: what is read, by the accessors too, and every way in which one may be wrong.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "objects.h"


static struct t_world w;

static int open_bytes(void *ctx, const uint8_t *p, size_t n)
{
    struct gw_manifest m;
    (void)ctx;
    return gw_manifest_open(&m, w.crypto, &w.trust, p, n);
}

static int open_by(struct gwh_key *const *keys, size_t n)
{
    struct t_bytes b = t_manifest(&w, keys, n);
    int error = open_bytes(NULL, b.p, b.n);
    t_free(&b);
    return error;
}

/* Parses the manifest that w describes. */
static int parse(void)
{
    struct t_bytes b = t_manifest_map(&w);
    struct gw_manifest m;
    int error = gw_manifest_parse(&m, b.p, b.n);
    t_free(&b);
    return error;
}

/* Each test may change w: the world is put back after it. */
static struct t_world kept;
static void put_back(void)
{
    memcpy(w.payload, kept.payload, sizeof w.payload);
    memcpy(w.variant, kept.variant, sizeof w.variant);
    memcpy(w.component, kept.component, sizeof w.component);
    memcpy(w.dependency, kept.dependency, sizeof w.dependency);
    memcpy(w.device, kept.device, sizeof w.device);
    w.manifest_is = kept.manifest_is;
}
#define EXPECT(error) do { assert_int_equal(parse(), error); put_back(); } while (0)

static void test_manifest_as_it_is(void **state)
{
    struct t_bytes b = t_manifest(&w, KEYS(&w.author)), map = t_manifest_map(&w);
    struct gw_manifest m;
    uint8_t digest[32];
    (void)state;

    memcpy(&kept, &w, sizeof w);
    assert_int_equal(gw_manifest_open(&m, w.crypto, &w.trust, b.p, b.n), GW_OK);
    assert_int_equal(m.order.epoch, 2);
    assert_int_equal(m.order.sequence, 40);
    assert_int_equal(m.floor, 30);
    assert_int_equal(m.use_before, 2000000000);
    assert_memory_equal(m.version.p, "1.4.0", 5);
    assert_int_equal(m.notes.n, strlen(w.manifest_is.notes));
    assert_int_equal(m.key_check.n, 8);
    assert_memory_equal(m.vendor, w.manifest_is.vendor, 16);
    assert_memory_equal(m.class_id, w.manifest_is.class_id, 16);
    assert_int_equal(m.component_count, 2);
    assert_int_equal(m.device_count, 2);
    assert_int_equal(m.dependency_count, 2);
    assert_int_equal(m.bytes.n, map.n);
    assert_int_equal(gw_sha256(w.crypto, map.p, map.n, digest), GW_OK);
    assert_memory_equal(m.digest, digest, 32);
    t_free(&b);
    t_free(&map);
}

static void check_payload(const struct gw_payload *p, const struct gw_payload *is)
{
    assert_memory_equal(p->name, is->name, 32);
    assert_memory_equal(p->head, is->head, 32);
    assert_int_equal(p->size, is->size);
    assert_int_equal(p->frame_size, is->frame_size);
    assert_int_equal(p->encoding, is->encoding);
    assert_int_equal(p->cipher, is->cipher);
    assert_int_equal(p->decoder_ram, is->decoder_ram);
    assert_int_equal(p->delta, is->delta);
    assert_memory_equal(p->precursor, is->precursor, 32);
}

static void test_accessors(void **state)
{
    struct t_bytes map = t_manifest_map(&w);
    struct gw_manifest m;
    struct gw_component c;
    struct gw_variant v;
    struct gw_payload p;
    (void)state;

    assert_int_equal(gw_manifest_parse(&m, map.p, map.n), GW_OK);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(gw_manifest_component(&m, i, &c), GW_OK);
        assert_int_equal(c.id, w.component[i].id);
        assert_int_equal(c.kind, w.component[i].kind);
        assert_int_equal(c.variant_count, w.component[i].variant_count);
        for (uint32_t j = 0; j < c.variant_count; j++) {
            const struct gwh_variant *is = &w.component[i].variants[j];
            assert_int_equal(gw_component_variant(&c, j, &v), GW_OK);
            assert_int_equal(v.linked, is->linked);
            assert_int_equal(v.address, is->address);
            assert_int_equal(v.size, is->size);
            assert_memory_equal(v.digest, is->digest, 32);
            assert_int_equal(v.payload_count, is->payload_count);
            for (uint32_t k = 0; k < v.payload_count; k++) {
                assert_int_equal(gw_variant_payload(&v, k, &p), GW_OK);
                check_payload(&p, &is->payloads[k]);
            }
            assert_int_equal(gw_variant_payload(&v, v.payload_count, &p), GW_ERR_NOTHING);
        }
        assert_int_equal(gw_component_variant(&c, c.variant_count, &v), GW_ERR_NOTHING);
    }
    assert_int_equal(gw_manifest_component(&m, 2, &c), GW_ERR_NOTHING);
    t_free(&map);
}

static void test_lists(void **state)
{
    struct t_bytes map = t_manifest_map(&w);
    struct gw_manifest m;
    struct gw_dependency d;
    struct gw_span id;
    (void)state;

    assert_int_equal(gw_manifest_parse(&m, map.p, map.n), GW_OK);
    assert_int_equal(gw_manifest_device(&m, 1, &id), GW_OK);
    assert_memory_equal(id.p, "dev-1", 5);
    assert_int_equal(gw_manifest_device(&m, 2, &id), GW_ERR_NOTHING);
    assert_int_equal(gw_manifest_dependency(&m, 0, &d), GW_OK);
    assert_int_equal(d.kind, GW_DEPENDS_HARDWARE);
    assert_int_equal(d.min, 2);
    assert_int_equal(d.max, 4);
    assert_int_equal(gw_manifest_dependency(&m, 1, &d), GW_OK);
    assert_int_equal(d.max, UINT32_MAX);
    assert_int_equal(gw_manifest_dependency(&m, 2, &d), GW_ERR_NOTHING);
    t_free(&map);

    w.manifest_is.device_count = 0;
    w.manifest_is.dependency_count = 0;
    map = t_manifest_map(&w);
    assert_int_equal(gw_manifest_parse(&m, map.p, map.n), GW_OK);
    assert_int_equal(m.device_count, 0);
    assert_int_equal(gw_manifest_device(&m, 0, &id), GW_ERR_NOTHING);
    assert_int_equal(gw_manifest_dependency(&m, 0, &d), GW_ERR_NOTHING);
    put_back();
    t_free(&map);
}

/* ---- Trust ---- */

static void test_signers(void **state)
{
    (void)state;
    assert_int_equal(open_by(KEYS(&w.rsa)), GW_OK);
    assert_int_equal(open_by(NULL, 0), GW_ERR_SIGNERS_FEW);
    assert_int_equal(open_by(KEYS(&w.stranger)), GW_ERR_KEY_UNKNOWN);
    assert_int_equal(open_by(KEYS(&w.revoked)), GW_ERR_KEY_REVOKED);
    assert_int_equal(open_by(KEYS(&w.approver)), GW_ERR_KEY_ROLE);
    assert_int_equal(open_by(KEYS(&w.root[0], &w.root[1])), GW_ERR_KEY_UNKNOWN);
}

static void test_policy_of_the_bundle(void **state)
{
    struct gw_trust trust = w.trust;
    struct t_bytes one = t_manifest(&w, KEYS(&w.author)), two = t_manifest(&w, KEYS(&w.author, &w.approver));
    struct gw_manifest m, m2;
    (void)state;

    trust.policy[1] = (struct gw_policy_line){ GW_ROLE_APPROVER, 1 };
    trust.policy_count = 2;
    assert_int_equal(gw_manifest_open(&m, w.crypto, &trust, one.p, one.n), GW_ERR_SIGNERS_FEW);
    assert_int_equal(gw_manifest_open(&m, w.crypto, &trust, two.p, two.n), GW_OK);
    /* whoever signed, it is the same release */
    assert_int_equal(gw_manifest_open(&m2, w.crypto, &w.trust, one.p, one.n), GW_OK);
    assert_memory_equal(m.digest, m2.digest, 32);
    t_free(&one);
    t_free(&two);
}

/* What was installed in an older epoch still opens; what is ahead of the bundle does not. */
static void test_epochs(void **state)
{
    (void)state;
    w.manifest_is.epoch = 1;
    assert_int_equal(open_by(KEYS(&w.author)), GW_OK);
    w.manifest_is.epoch = 3;
    assert_int_equal(open_by(KEYS(&w.author)), GW_ERR_EPOCH);
    put_back();
}

static void test_other_type(void **state)
{
    struct gwh_buf map = { 0 };
    struct t_bytes b;
    (void)state;
    assert_int_equal(gwh_manifest_map(&map, &w.manifest_is), GW_OK);
    b = t_sign(GW_TYPE_TRUST, &map, KEYS(&w.author));
    assert_int_equal(open_bytes(NULL, b.p, b.n), GW_ERR_SIGNATURE);
    gwh_buf_free(&map);
    t_free(&b);
}

static void test_refused_is_all_zero(void **state)
{
    struct gw_manifest m, zero;
    struct t_bytes b;
    (void)state;
    memset(&zero, 0, sizeof zero);
    memset(&m, 0x5c, sizeof m);
    w.manifest_is.epoch = 3;
    b = t_manifest(&w, KEYS(&w.author));
    assert_int_equal(gw_manifest_open(&m, w.crypto, &w.trust, b.p, b.n), GW_ERR_EPOCH);
    assert_memory_equal(&m, &zero, sizeof m);
    memset(&m, 0x5c, sizeof m);
    assert_int_not_equal(gw_manifest_parse(&m, b.p, b.n), GW_OK);
    assert_memory_equal(&m, &zero, sizeof m);
    put_back();
    t_free(&b);
}

static void test_damage(void **state)
{
    struct t_bytes b = t_manifest(&w, KEYS(&w.author));
    (void)state;
    assert_int_equal(open_bytes(NULL, b.p, b.n), GW_OK);
    t_refuse_cuts(b, open_bytes, NULL);
    t_refuse_flips(b, open_bytes, NULL);
    t_free(&b);
}

/* The same flips under a map that nobody signed: what is accepted can be walked whole. */
static void walk(const struct gw_manifest *m)
{
    struct gw_component c;
    struct gw_variant v;
    struct gw_payload p;
    struct gw_dependency d;
    struct gw_span id;
    for (uint32_t i = 0; i < m->component_count; i++) {
        assert_int_equal(gw_manifest_component(m, i, &c), GW_OK);
        for (uint32_t j = 0; j < c.variant_count; j++) {
            assert_int_equal(gw_component_variant(&c, j, &v), GW_OK);
            for (uint32_t k = 0; k < v.payload_count; k++) {
                assert_int_equal(gw_variant_payload(&v, k, &p), GW_OK);
            }
        }
    }
    for (uint32_t i = 0; i < m->device_count; i++) {
        assert_int_equal(gw_manifest_device(m, i, &id), GW_OK);
    }
    for (uint32_t i = 0; i < m->dependency_count; i++) {
        assert_int_equal(gw_manifest_dependency(m, i, &d), GW_OK);
    }
}

static void test_damage_of_the_map(void **state)
{
    struct t_bytes map = t_manifest_map(&w);
    struct gw_manifest m;
    unsigned taken = 0;
    (void)state;
    for (size_t bit = 0; bit < map.n * 8; bit++) {
        struct t_bytes b = t_exact(map.p, map.n);
        b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (gw_manifest_parse(&m, b.p, b.n) == GW_OK) {
            walk(&m);
            taken++;
        }
        t_free(&b);
    }
    assert_true(taken > 100 && taken < map.n * 8); /* bits in digests say nothing about the form */
    for (size_t n = 0; n < map.n; n++) {
        struct t_bytes b = t_exact(map.p, n);
        assert_true(gw_manifest_parse(&m, b.p, b.n) < 0);
        t_free(&b);
    }
    t_free(&map);
}

static void test_too_large(void **state)
{
    static char notes[4000];
    struct t_bytes b;
    (void)state;
    memset(notes, 'a', sizeof notes - 1);
    w.manifest_is.notes = notes;
    b = t_manifest(&w, KEYS(&w.author));
    assert_true(b.n > GW_MANIFEST_MAX);
    assert_int_equal(open_bytes(NULL, b.p, b.n), GW_ERR_LIMIT);
    put_back();
    t_free(&b);
}

/* ---- Values ---- */

static void test_numbers(void **state)
{
    (void)state;
    w.manifest_is.format = 2;
    EXPECT(GW_ERR_VERSION);
    w.manifest_is.sequence = 0;
    w.manifest_is.floor = 0;
    EXPECT(GW_ERR_VALUE);
    w.manifest_is.floor = 40;
    EXPECT(GW_OK);
    w.manifest_is.floor = 41;
    EXPECT(GW_ERR_FLOOR_ABOVE);
    w.manifest_is.has_floor = true;
    w.manifest_is.floor = 0;
    EXPECT(GW_OK);
    w.manifest_is.use_before = 0;
    EXPECT(GW_OK);
}

static void test_version_text(void **state)
{
    char text[66];
    (void)state;
    memset(text, 'v', sizeof text);
    text[65] = 0;
    w.manifest_is.version = text;
    EXPECT(GW_ERR_VALUE);
    text[64] = 0;
    w.manifest_is.version = text;
    EXPECT(GW_OK);
    w.manifest_is.version = "";
    EXPECT(GW_ERR_VALUE);
    w.manifest_is.version = "\xff";
    EXPECT(GW_ERR_FORMAT);
    w.manifest_is.notes = "";
    EXPECT(GW_ERR_VALUE);
    w.manifest_is.notes = NULL;
    EXPECT(GW_OK);
}

static void test_components(void **state)
{
    struct gwh_component five[5];
    (void)state;

    w.component[1].id = 0; /* the same as the other's */
    EXPECT(GW_ERR_VALUE);
    w.component[1].kind = GW_KIND_BOOTABLE; /* two bootable */
    EXPECT(GW_ERR_VALUE);
    w.component[0].kind = GW_KIND_DATA; /* none */
    EXPECT(GW_ERR_VALUE);
    w.component[1].kind = 0;
    EXPECT(GW_ERR_VALUE);
    w.component[1].kind = 3;
    EXPECT(GW_ERR_VALUE);
    w.manifest_is.component_count = 0;
    EXPECT(GW_ERR_FORMAT);
    w.component[1].variant_count = 0;
    EXPECT(GW_ERR_FORMAT);
    for (uint32_t i = 0; i < 5; i++) {
        five[i] = w.component[1];
        five[i].id = i + 10;
    }
    five[0] = w.component[0];
    w.manifest_is.components = five;
    w.manifest_is.component_count = 4;
    EXPECT(GW_OK);
    w.manifest_is.components = five;
    w.manifest_is.component_count = 5;
    EXPECT(GW_ERR_LIMIT);
}

static void test_variants(void **state)
{
    (void)state;
    w.variant[0].size = 0;
    EXPECT(GW_ERR_VALUE);
    w.variant[0].payload_count = 0;
    EXPECT(GW_ERR_FORMAT);
    w.variant[0].size = 99999; /* the raw payload holds another number of bytes */
    EXPECT(GW_ERR_VALUE);
    w.variant[2].size = 301;
    EXPECT(GW_ERR_VALUE);
}

static void test_payloads(void **state)
{
    static const uint32_t bad_frames[] = { 0, 64, 255, 192, 257, 4095, 65535, 65537, 65600, UINT32_MAX };
    (void)state;

    for (size_t i = 0; i < sizeof bad_frames / sizeof bad_frames[0]; i++) {
        w.payload[0].frame_size = bad_frames[i];
        EXPECT(GW_ERR_VALUE);
    }
    w.payload[0].frame_size = 256;
    EXPECT(GW_OK);
    w.payload[0].frame_size = 65536;
    EXPECT(GW_OK);
    w.payload[0].size = 0;
    EXPECT(GW_ERR_VALUE);
    w.payload[0].size = 4097; /* the last frame would be longer than a frame */
    EXPECT(GW_ERR_VALUE);
    w.payload[0].size = 4128;
    EXPECT(GW_ERR_VALUE);
    w.payload[0].size = 4129;
    EXPECT(GW_OK);
    w.payload[0].encoding = 31;
    EXPECT(GW_OK);
    w.payload[0].encoding = 32;
    EXPECT(GW_ERR_VALUE);
    w.payload[0].encoding = GW_ENCODING_RAW; /* a raw delta */
    EXPECT(GW_ERR_VALUE);
    w.payload[1].decoder_ram = 1;
    EXPECT(GW_ERR_VALUE);
    w.payload[1].size++;
    EXPECT(GW_ERR_VALUE);
    w.payload[1].cipher = -7;
    EXPECT(GW_ERR_VALUE);
    w.payload[1].cipher = GW_ALG_A256CTR;
    EXPECT(GW_OK);
}

static void test_key_check_goes_with_ciphers(void **state)
{
    (void)state;
    w.manifest_is.key_check = NULL;
    EXPECT(GW_ERR_VALUE);
    w.payload[0].cipher = 0;
    w.payload[1].cipher = 0;
    EXPECT(GW_ERR_VALUE);
    w.payload[0].cipher = 0;
    w.payload[1].cipher = 0;
    w.manifest_is.key_check = NULL;
    EXPECT(GW_OK);
    w.payload[0].cipher = 0;
    EXPECT(GW_OK);
}

static void test_devices_and_dependencies(void **state)
{
    (void)state;
    w.device[1] = "a b";
    EXPECT(GW_ERR_VALUE);
    w.device[1] = "";
    EXPECT(GW_ERR_VALUE);
    w.dependency[0].kind = 0;
    EXPECT(GW_ERR_VALUE);
    w.dependency[0].kind = 4;
    EXPECT(GW_ERR_VALUE);
    w.dependency[0].min = 5; /* above the largest */
    EXPECT(GW_ERR_VALUE);
    w.dependency[0].min = 4;
    EXPECT(GW_OK);
}

static void test_unknown_keys(void **state)
{
    (void)state;
    w.manifest_is.extra = (struct gwh_extra){ { (const uint8_t *)"\x0e\x00", 2 }, 1 };
    EXPECT(GW_ERR_UNKNOWN_KEY);
    w.manifest_is.extra = (struct gwh_extra){ { (const uint8_t *)"\x18\x7f\x00", 3 }, 1 };
    EXPECT(GW_ERR_UNKNOWN_KEY);
    w.manifest_is.extra = (struct gwh_extra){ { (const uint8_t *)"\x18\x80\x81\xf6", 4 }, 1 };
    EXPECT(GW_OK);
    w.manifest_is.extra = (struct gwh_extra){ { (const uint8_t *)"\x20\x00", 2 }, 1 };
    EXPECT(GW_ERR_UNKNOWN_KEY);
    w.manifest_is.extra = (struct gwh_extra){ { (const uint8_t *)"\x60\x00", 2 }, 1 };
    EXPECT(GW_ERR_FORMAT);
    w.manifest_is.extra = (struct gwh_extra){ { (const uint8_t *)"\x0d\x60", 2 }, 1 }; /* 13 again */
    EXPECT(GW_ERR_FORMAT);
}

/* Every frame count around the borders, against a division done by hand. */
static void test_content(void **state)
{
    struct gw_payload p;
    (void)state;
    memset(&p, 0, sizeof p);
    for (p.frame_size = 256; p.frame_size <= 512; p.frame_size += 256) {
        for (uint32_t content = 1; content < 4 * p.frame_size + 3; content++) {
            uint32_t frames = (content + p.frame_size - 1) / p.frame_size;
            p.size = content + (frames - 1) * 32;
            assert_int_equal(gw_payload_content(&p), content);
        }
        for (uint32_t extra = 1; extra <= 32; extra++) { /* a hash begun, but nothing after it */
            p.size = p.frame_size + extra;
            assert_int_equal(gw_payload_content(&p), 0);
        }
    }
    p.size = 0;
    assert_int_equal(gw_payload_content(&p), 0);
    p.frame_size = 65536;
    p.size = UINT32_MAX; /* 65504 frames, and 65535 - 65504 * 32 .. bytes: never more than the file */
    assert_true(gw_payload_content(&p) < p.size);
}

/* ---- Maps in bytes, for what the encoder cannot say ---- */

#define UUIDS "05 50 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 06 50 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define D32 "5820 0000000000000000000000000000000000000000000000000000000000000000"
#define PAYLOAD "a5 01 " D32 " 02 0a 03 " D32 " 04 190100 05 00"
#define VARIANT "a3 02 " D32 " 03 0a 04 81 " PAYLOAD
#define COMPONENTS "07 81 a3 01 00 02 01 03 81 " VARIANT
#define BEGIN "01 01 02 02 03 05 04 6131 " UUIDS

static void test_malformed_maps(void **state)
{
    static const struct {
        const char *hex;
        int error;
    } rows[] = {
        { "a7 " BEGIN " " COMPONENTS, GW_OK },
        { "a6 02 02 03 05 04 6131 " UUIDS " " COMPONENTS, GW_ERR_FORMAT },
        { "a6 " BEGIN, GW_ERR_FORMAT },
        { "a7 01 01 02 02 03 05 04 6131 06 50 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb 05 00 " COMPONENTS, GW_ERR_FORMAT },
        { "a7 01 01 02 02 03 05 04 4131 " UUIDS " " COMPONENTS, GW_ERR_FORMAT },
        { "a7 01 01 02 02 03 05 04 6131 05 4100 06 4100 " COMPONENTS, GW_ERR_VALUE },
        { "a7 " BEGIN " 07 a0", GW_ERR_FORMAT },
        { "a7 " BEGIN " 07 80", GW_ERR_FORMAT },
        { "a7 " BEGIN " 07 81 00", GW_ERR_FORMAT },
        { "a7 " BEGIN " 07 81 a0", GW_ERR_FORMAT },
        { "a7 " BEGIN " 07 81 a3 01 00 02 01 03 80", GW_ERR_FORMAT },
        { "a7 " BEGIN " 07 81 a3 01 00 02 01 03 81 a0", GW_ERR_FORMAT },
        { "a7 " BEGIN " 07 81 a3 01 00 02 01 03 81 a3 02 " D32 " 03 0a 04 80", GW_ERR_FORMAT },
        { "a7 " BEGIN " 07 81 a3 01 00 02 01 03 81 a3 02 " D32 " 03 0a 04 81 a0", GW_ERR_FORMAT },
        { "a7 " BEGIN " 07 81 a4 01 00 02 01 03 81 " VARIANT " 04 00", GW_ERR_UNKNOWN_KEY },
        { "a7 " BEGIN " 07 81 a4 01 00 02 01 03 81 " VARIANT " 1880 00", GW_OK },
        { "a7 " BEGIN " 07 81 a3 01 20 02 01 03 81 " VARIANT, GW_ERR_FORMAT },
        { "a8 " BEGIN " " COMPONENTS " 08 1b0000000100000000", GW_ERR_VALUE },
        { "a8 " BEGIN " " COMPONENTS " 09 00", GW_ERR_VALUE },
        { "a8 " BEGIN " " COMPONENTS " 0a 80", GW_ERR_FORMAT },
        { "a8 " BEGIN " " COMPONENTS " 0a 81 4161", GW_ERR_FORMAT },
        { "a8 " BEGIN " " COMPONENTS " 0a 81 6161", GW_OK },
        { "a8 " BEGIN " " COMPONENTS " 0b 81 81 01", GW_ERR_FORMAT },
        { "a8 " BEGIN " " COMPONENTS " 0b 81 84 01 01 01 01", GW_ERR_FORMAT },
        { "a8 " BEGIN " " COMPONENTS " 0b 81 82 01 01", GW_OK },
        { "a8 " BEGIN " " COMPONENTS " 0b 81 83 01 01 00", GW_ERR_VALUE },
        { "a8 " BEGIN " " COMPONENTS " 0c 47 00000000000000", GW_ERR_VALUE },
        { "a8 " BEGIN " " COMPONENTS " 0c 40", GW_ERR_VALUE },
        { "a8 " BEGIN " " COMPONENTS " 0c 48 0000000000000000", GW_ERR_VALUE }, /* nothing is encrypted */
        { "a7 " BEGIN " " COMPONENTS " 00", GW_ERR_TRAILING },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct t_bytes b = t_hex(rows[i].hex);
        struct gw_manifest m;
        int error = gw_manifest_parse(&m, b.p, b.n);
        if (error != rows[i].error) {
            fail_msg("row %zu gave %s", i, gw_error_name(error));
        }
        t_free(&b);
    }
}

static int group_setup(void **state)
{
    (void)state;
    t_world_open(&w);
    return 0;
}
static int group_teardown(void **state)
{
    (void)state;
    t_world_close(&w);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest_as_it_is),
        cmocka_unit_test(test_accessors),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_signers),
        cmocka_unit_test(test_policy_of_the_bundle),
        cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_other_type),
        cmocka_unit_test(test_refused_is_all_zero),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_damage_of_the_map),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_version_text),
        cmocka_unit_test(test_components),
        cmocka_unit_test(test_variants),
        cmocka_unit_test(test_payloads),
        cmocka_unit_test(test_key_check_goes_with_ciphers),
        cmocka_unit_test(test_devices_and_dependencies),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_malformed_maps),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
