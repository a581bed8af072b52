/*
 * test_spec.c - the examples of SPEC.md, section 13, are what the code writes and what its parsers accept.
 *
 * An example is a fenced block "```hex NAME"; a line of it is "bytes  ; explanation". Bytes are hex digits, "xx*n" is a
 * run of n equal bytes, "<name>" the bytes of another example. Each example is made again from fixed keys and numbers
 * and compared; when they differ, the right lines are printed, ready to be pasted. ECDSA signatures are random: of the
 * signed example all but the signature is compared, and the signature is verified.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "file.h"
#include "frames.h"
#include "hash.h"
#include "objects.h"
#include "slots.h"
#include "uuid.h"

#define FRAME_SIZE 256u
#define CONTENT_SIZE (FRAME_SIZE + 16u)
#define UNIT 8u /* write unit of the flash in the examples */

/* ---- Examples in SPEC.md ---------------------------------------------------------------------------------------- */

static struct gwh_buf spec;

struct example {
    const char *at, *end; /* its lines */
    struct gwh_buf bytes;
};

static int load_spec(void **state)
{
    struct gwh_error err;
    (void)state;
    assert_int_equal(gwh_file_read(&spec, GW_SOURCE_DIR "/SPEC.md", 1u << 20, &err), 0);
    assert_int_equal(gwh_buf_add(&spec, "", 1), 0);
    return 0;
}

static const char *line_end(const char *p)
{
    const char *end = strchr(p, '\n');
    return end != NULL ? end : p + strlen(p);
}

static void find(const char *name, struct example *e)
{
    char fence[64];
    (void)snprintf(fence, sizeof fence, "\n```hex %s\n", name);
    const char *at = strstr((const char *)spec.p, fence);
    if (at == NULL) {
        fail_msg("SPEC.md has no example \"%s\"", name);
        return;
    }
    memset(e, 0, sizeof *e);
    e->at = at + strlen(fence);
    e->end = strstr(e->at, "\n```");
    assert_non_null(e->end);
    assert_null(strstr(e->end, fence)); /* each name once */
}

static void read_example(const char *name, struct gwh_buf *out);

/* One item of a line: "xx", "xx*n" or "<name>". Returns what follows it. */
static const char *read_token(const char *p, struct gwh_buf *out)
{
    char name[40] = { 0 };
    unsigned value = 0, n = 1;
    int used = 0;
    uint8_t *to;

    if (*p == '<' && sscanf(p, "<%39[a-z0-9-]>", name) == 1) {
        read_example(name, out);
        return strchr(p, '>') + 1;
    }
    if (sscanf(p, "%2x%n", &value, &used) != 1 || used != 2) {
        fail_msg("no bytes: %.30s", p);
    }
    p += 2;
    if (*p == '*') {
        assert_int_equal(sscanf(p, "*%u%n", &n, &used), 1);
        p += used;
    }
    assert_int_equal(gwh_buf_grow(out, n, &to), 0);
    memset(to, (int)value, n);
    return p;
}

/* The bytes of one line; returns where its explanation starts. Every line must have one. */
static const char *read_line(const char *p, struct gwh_buf *out)
{
    while (*p != ';' && *p != '\n') {
        p = *p == ' ' ? p + 1 : read_token(p, out);
    }
    if (*p != ';' || line_end(p) - p < 4) {
        fail_msg("a line without an explanation: %.60s", p);
    }
    return p;
}

static void read_example(const char *name, struct gwh_buf *out)
{
    struct example e;
    find(name, &e);
    for (const char *p = e.at; p < e.end; p = line_end(p) + 1) {
        (void)read_line(p, out);
    }
}

static size_t run_at(const uint8_t *p, size_t left)
{
    size_t n = 1;
    while (n < left && p[n] == p[0]) {
        n++;
    }
    return n;
}

static void print_bytes(const uint8_t *p, size_t n)
{
    for (size_t i = 0, run; i < n; i += run) {
        run = run_at(p + i, n - i);
        run = run >= 8 ? run : 1;
        (void)fprintf(stderr, run > 1 ? "%s%02x*%zu" : "%s%02x", i == 0 ? "" : " ", p[i], run);
    }
}

/* The example as it should be: line by line, as long as the lines are as long as they were; then the rest. */
static void print_right(const struct example *e, struct gw_span right)
{
    size_t done = 0;
    for (const char *p = e->at; p < e->end; p = line_end(p) + 1) {
        struct gwh_buf line = { 0 };
        const char *why = read_line(p, &line);
        size_t n = line.n < right.n - done ? line.n : right.n - done;
        const char *name = memchr(p, '<', (size_t)(why - p));
        (void)fprintf(stderr, "%.*s", (int)strspn(p, " "), p);
        if (name != NULL && memcmp(line.p, right.p + done, n) == 0) {
            (void)fprintf(stderr, "%.*s", (int)(strchr(name, '>') + 1 - name), name);
        } else {
            print_bytes(right.p + done, n);
        }
        (void)fprintf(stderr, "  %.*s\n", (int)(line_end(why) - why), why);
        done += n;
        gwh_buf_free(&line);
    }
    if (done < right.n) {
        print_bytes(right.p + done, right.n - done);
        (void)fprintf(stderr, "  ; the rest\n");
    }
}

/* Compares but for `tail` bytes at the end. Returns the bytes of SPEC.md, in a buffer of their size; frees `right`. */
static struct t_bytes check_but(const char *name, struct gwh_buf *right, size_t tail)
{
    struct example e;
    find(name, &e);
    read_example(name, &e.bytes);
    assert_true(right->n >= tail);
    if (e.bytes.n != right->n || memcmp(e.bytes.p, right->p, right->n - tail) != 0) {
        (void)fprintf(stderr, "SPEC.md, example \"%s\" should be:\n", name);
        print_right(&e, gwh_span(right));
        fail_msg("SPEC.md and the code differ in example \"%s\"", name);
    }
    struct t_bytes b = t_exact(e.bytes.p, e.bytes.n);
    gwh_buf_free(&e.bytes);
    gwh_buf_free(right);
    return b;
}

static struct t_bytes check(const char *name, struct gwh_buf *right)
{
    return check_but(name, right, 0);
}

static void check_only(const char *name, const void *p, size_t n)
{
    struct gwh_buf right = { 0 };
    assert_int_equal(gwh_buf_add(&right, p, n), 0);
    struct t_bytes b = check(name, &right);
    t_free(&b);
}

/* ---- The fixed world that the examples are about ---------------------------------------------------------------- */

static const uint8_t author_d[32] = { /* RFC 6979, A.2.5 */
    0xc9, 0xaf, 0xa9, 0xd8, 0x45, 0xba, 0x75, 0x16, 0x6b, 0x5c, 0x21, 0x57, 0x67, 0xb1, 0xd6, 0x93,
    0x4e, 0x50, 0xc3, 0xdb, 0x36, 0xe8, 0x9b, 0x12, 0x7b, 0x8a, 0x62, 0x2b, 0x12, 0x0f, 0x67, 0x21,
};
static uint8_t points[5][64]; /* author, distributor, roots, device */
static struct gw_pubkey author, distributor, roots[2], device;
static uint8_t device_d[32], ephemeral_d[32], device_kid[32], author_kid[32];
static uint8_t cek[16], kek[16];
static uint8_t vendor[16], class_id[16], content[CONTENT_SIZE], image[CONTENT_SIZE], key_check[8], manifest_digest[32];
static struct gw_payload payload = { .frame_size = FRAME_SIZE, .cipher = GW_ALG_A128CTR };
static struct gwh_buf file, manifest_map;

static const struct gw_crypto *crypto(void)
{
    return gwh_openssl()->gw;
}

static void public_key(struct gw_pubkey *key, uint8_t point[64], const uint8_t d[32], uint32_t role)
{
    assert_int_equal(gwh_openssl()->ec_public(gwh_openssl()->ctx, d, point), 0);
    *key = (struct gw_pubkey){ GW_ALG_ES256, role, { point, 32 }, { point + 32, 32 } };
}

static void make_keys(void)
{
    uint8_t d[32];
    public_key(&author, points[0], author_d, GW_ROLE_AUTHOR);
    memset(d, 0x02, sizeof d);
    public_key(&distributor, points[1], d, GW_ROLE_DISTRIBUTOR);
    for (unsigned i = 0; i < 2; i++) {
        memset(d, 0x0a + (int)i, sizeof d);
        public_key(&roots[i], points[2 + i], d, 0);
    }
    memset(device_d, 0x03, sizeof device_d);
    public_key(&device, points[4], device_d, 0);
    memset(ephemeral_d, 0x04, sizeof ephemeral_d);
    memset(cek, 0x77, sizeof cek);
    memset(kek, 0x51, sizeof kek);
    assert_int_equal(gw_key_thumbprint(crypto(), &device, device_kid), 0);
    assert_int_equal(gw_key_thumbprint(crypto(), &author, author_kid), 0);
}

/* The content is what is simple here; the image is what it decrypts to. */
static void make_payload(void)
{
    struct gwh_position first = { 0, 0, 0 };
    struct gw_span secret = { cek, sizeof cek }, bytes = { content, sizeof content };

    memset(content, 0x11, FRAME_SIZE);
    memset(content + FRAME_SIZE, 0x22, CONTENT_SIZE - FRAME_SIZE);
    memcpy(image, content, sizeof image);
    assert_int_equal(gwh_payload_crypt(crypto(), secret, first, payload.cipher, image, sizeof image), 0);
    gwh_buf_free(&file);
    assert_int_equal(gwh_payload_frame(&file, crypto(), bytes, &payload), 0);
    assert_int_equal(gw_key_check(crypto(), cek, sizeof cek, key_check), 0);
}

static void make_manifest(void)
{
    struct gwh_variant variant = { .size = CONTENT_SIZE, .payloads = &payload, .payload_count = 1 };
    struct gwh_component component = { 0, GW_KIND_BOOTABLE, &variant, 1 };
    struct gw_dependency hardware = { GW_DEPENDS_HARDWARE, 3, 4 };
    struct gwh_manifest m = { .epoch = 1, .sequence = 7, .version = "1.4.0", .components = &component,
                              .component_count = 1, .floor = 5, .dependencies = &hardware, .dependency_count = 1,
                              .key_check = key_check };

    memcpy(m.vendor, vendor, 16);
    memcpy(m.class_id, class_id, 16);
    assert_int_equal(gw_sha256(crypto(), image, sizeof image, variant.digest), 0);
    gwh_buf_free(&manifest_map);
    assert_int_equal(gwh_manifest_map(&manifest_map, &m), 0);
    assert_int_equal(gw_sha256(crypto(), manifest_map.p, manifest_map.n, manifest_digest), 0);
}

static int make_world(void **state)
{
    (void)load_spec(state);
    assert_int_equal(gwh_uuid_vendor("example.com", vendor), 0);
    assert_int_equal(gwh_uuid_class(vendor, "sensor-c3", class_id), 0);
    make_keys();
    make_payload();
    make_manifest();
    return 0;
}

static int drop_world(void **state)
{
    (void)state;
    gwh_buf_free(&spec);
    gwh_buf_free(&file);
    gwh_buf_free(&manifest_map);
    return 0;
}

static void trust_map(struct gwh_buf *out)
{
    struct gw_pubkey keys[2] = { author, distributor };
    static const char *const hosts[] = { "cdn.example.com" };
    static const struct gw_policy_line policy = { GW_ROLE_AUTHOR, 1 };
    uint8_t revoked[1][32];
    struct gwh_trust t = { .version = 3, .epoch = 1, .keys = keys, .key_count = 2, .revoked_count = 1,
                           .policy = &policy, .policy_count = 1, .hosts = hosts, .host_count = 1 };
    memset(revoked, 0xee, sizeof revoked);
    t.revoked = (const uint8_t(*)[32])revoked;
    assert_int_equal(gwh_trust_map(out, &t), 0);
}

static void identity(struct gwh_buf *out)
{
    struct gwh_secret shared = { { (const uint8_t *)"fleet", 5 }, { kek, sizeof kek } };
    struct gwh_secret own = { { device_kid, 8 }, { device_d, 32 } };
    struct gwh_identity id = { .device_id = "dev-1", .hardware = 3, .roots = roots, .root_count = 2, .threshold = 2,
                               .factory_size = 60000, .keks = &shared, .kek_count = 1, .ec = &own, .ec_count = 1 };
    memcpy(id.vendor, vendor, 16);
    memcpy(id.class_id, class_id, 16);
    memset(id.factory_digest, 0xfa, 32);
    assert_int_equal(gwh_identity_encode(out, &id), 0);
}

/* ---- Signed objects --------------------------------------------------------------------------------------------- */

static void trust_bundle(void **state)
{
    struct gwh_buf map = { 0 };
    struct gw_trust trust;
    struct gw_pubkey key;
    (void)state;

    trust_map(&map);
    struct t_bytes b = check("trust", &map);
    assert_int_equal(gw_trust_parse(&trust, b.p, b.n), 0);
    assert_int_equal(trust.version, 3);
    assert_int_equal(trust.key_count, 2);
    assert_int_equal(gw_trust_key(&trust, 1, &key), 0);
    assert_int_equal(key.roles, GW_ROLE_DISTRIBUTOR);
    assert_memory_equal(key.y.p, points[1] + 32, 32);
    t_free(&b);
}

static void manifest(void **state)
{
    struct gwh_buf map = { 0 };
    struct gw_manifest m;
    (void)state;

    assert_int_equal(gwh_buf_add(&map, manifest_map.p, manifest_map.n), 0);
    struct t_bytes b = check("manifest", &map);
    assert_int_equal(gw_manifest_parse(&m, b.p, b.n), 0);
    assert_int_equal(m.order.sequence, 7);
    assert_int_equal(m.floor, 5);
    t_free(&b);
    check_only("manifest-digest", manifest_digest, 32);
}

/* The Sig_structure as the example spells it, against what is hashed for it. */
static void signed_bytes(void)
{
    static const uint8_t protected_header[3] = { 0xa1, 0x01, 0x26 };
    struct gwh_buf bytes = { 0 };
    uint8_t digest[32], spelled[32];

    read_example("sig-structure", &bytes);
    assert_int_equal(gw_sha256(crypto(), bytes.p, bytes.n, spelled), 0);
    assert_int_equal(gw_cose_sig_digest(crypto(), GW_TYPE_MANIFEST, (struct gw_span){ NULL, 0 },
                                        (struct gw_span){ protected_header, 3 }, gwh_span(&manifest_map), digest),
                     0);
    assert_memory_equal(spelled, digest, 32);
    gwh_buf_free(&bytes);
}

/* A private key from its number: PKCS#8 around it, so that the host library loads it as any other. */
static void load_author(struct gwh_key *key)
{
    static const uint8_t start[] = { 0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                                     0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27,
                                     0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20 };
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t der[sizeof start + 32 + 2] = { 0 };
    char pem[200] = "-----BEGIN PRIVATE KEY-----\n";
    size_t n = strlen(pem);
    struct gwh_error err;

    memcpy(der, start, sizeof start);
    memcpy(der + sizeof start, author_d, 32);
    for (size_t i = 0; i < sizeof start + 32; i += 3) {
        uint32_t v = (uint32_t)der[i] << 16 | (uint32_t)der[i + 1] << 8 | der[i + 2];
        for (unsigned k = 0; k < 4; k++) {
            bool pad = i + k > sizeof start + 32;
            pem[n++] = pad ? '=' : digits[v >> (18 - 6 * k) & 63];
        }
        if (i % 48 == 45) {
            pem[n++] = '\n';
        }
    }
    (void)snprintf(pem + n, sizeof pem - n, "\n-----END PRIVATE KEY-----\n");
    struct gw_span text = { (const uint8_t *)pem, strlen(pem) };
    assert_int_equal(gwh_key_parse(key, text, "author", NULL, NULL, &err), 0);
    assert_memory_equal(key->thumbprint, author_kid, 32);
}

static void signed_manifest(void **state)
{
    struct gwh_key key = { 0 };
    struct gwh_signer signer;
    struct gwh_buf cose = { 0 }, map = { 0 };
    struct gw_manifest m;
    struct gw_trust trust;
    (void)state;

    load_author(&key);
    memset(&signer, 0, sizeof signer);
    gwh_key_signer(&signer, &key);
    assert_int_equal(gwh_sign_map(&cose, crypto(), GW_TYPE_MANIFEST, gwh_span(&manifest_map), &signer, 1), 0);
    struct t_bytes b = check_but("signed-manifest", &cose, 64);
    signed_bytes();
    trust_map(&map);
    assert_int_equal(gw_trust_parse(&trust, map.p, map.n), 0);
    assert_int_equal(gw_manifest_open(&m, crypto(), &trust, b.p, b.n), 0);
    assert_memory_equal(m.digest, manifest_digest, 32);
    b.p[b.n - 1] ^= 1;
    assert_int_equal(gw_manifest_open(&m, crypto(), &trust, b.p, b.n), GW_ERR_SIGNATURE);
    t_free(&b);
    gwh_buf_free(&map);
    gwh_key_free(&key);
}

static void head(void **state)
{
    static const struct gw_order withdrawn = { 1, 6 };
    struct gwh_head h = { .channel = "stable", .latest = { 1, 7 }, .withdrawn = &withdrawn, .withdrawn_count = 1,
                          .issued_at = 1790000000, .serial = 9 };
    struct gwh_buf map = { 0 };
    struct gw_head read;
    (void)state;

    memcpy(h.class_id, class_id, 16);
    assert_int_equal(gwh_head_map(&map, &h), 0);
    struct t_bytes b = check("head", &map);
    assert_int_equal(gw_head_parse(&read, b.p, b.n), 0);
    assert_int_equal(read.serial, 9);
    t_free(&b);
}

static void identity_object(void **state)
{
    struct gwh_buf object = { 0 };
    struct gw_identity id;
    struct gw_roots read;
    (void)state;

    identity(&object);
    struct t_bytes b = check("identity", &object);
    assert_int_equal(gw_identity_parse(&id, &read, b.p, b.n), 0);
    assert_int_equal(read.threshold, 2);
    assert_int_equal(id.factory_size, 60000);
    t_free(&b);
}

/* ---- Payload and grants ----------------------------------------------------------------------------------------- */

static void frames(void **state)
{
    struct gwh_buf whole = { 0 };
    struct gw_frames f;
    struct gw_span piece;
    uint8_t buffer[FRAME_SIZE + 32], key[16];
    (void)state;

    assert_int_equal(gwh_buf_add(&whole, file.p, file.n), 0);
    struct t_bytes b = check("payload", &whole);
    gw_frames_start(&f, &payload, 0, payload.head);
    size_t used = gw_frames_push(&f, buffer, b.p, b.n);
    assert_int_equal(used, FRAME_SIZE + 32);
    assert_int_equal(gw_frames_check(&f, crypto(), buffer, &piece), 0);
    assert_memory_equal(piece.p, content, FRAME_SIZE);
    assert_int_equal(gw_frames_push(&f, buffer, b.p + used, b.n - used), 16);
    assert_int_equal(gw_frames_check(&f, crypto(), buffer, &piece), 0);
    assert_int_equal(gw_frames_length(&f), 0);
    t_free(&b);
    assert_int_equal(gw_payload_key(crypto(), cek, sizeof cek, 0, 0, 0, key, 16), 0);
    check_only("payload-key", key, 16);
    check_only("image-start", image, 16);
}

static void open_grant(struct t_bytes b)
{
    struct gwh_buf object = { 0 };
    struct gw_manifest m;
    struct gw_keystore store;
    uint8_t got[32];
    size_t size = 0;

    identity(&object);
    struct gw_identity_keys keys = { crypto(), gwh_span(&object) };
    gw_identity_keystore(&store, &keys);
    assert_int_equal(gw_manifest_parse(&m, manifest_map.p, manifest_map.n), 0);
    memcpy(m.digest, manifest_digest, 32);
    assert_int_equal(gw_grant_open(crypto(), &store, &m, b.p, b.n, got, &size), 0);
    assert_int_equal(size, sizeof cek);
    assert_memory_equal(got, cek, sizeof cek);
    gwh_buf_free(&object);
}

static void grant(const char *name, const struct gwh_recipient *to)
{
    struct gwh_grant g = { .cipher = GW_ALG_A128CTR, .cek = { cek, sizeof cek }, .recipients = to,
                           .recipient_count = 1 };
    struct gwh_buf right = { 0 };

    memcpy(g.digest, manifest_digest, 32);
    assert_int_equal(gwh_grant_encode(&right, gwh_openssl(), &g), 0);
    struct t_bytes b = check(name, &right);
    open_grant(b);
    t_free(&b);
}

static void grant_by_shared_key(void **state)
{
    struct gwh_recipient to = { .algorithm = GW_ALG_A128KW, .kid = { (const uint8_t *)"fleet", 5 },
                                .kek = { kek, sizeof kek } };
    (void)state;
    grant("grant-kw", &to);
}

static void grant_by_ecdh(void **state)
{
    struct gwh_recipient to = { .algorithm = GW_ALG_ECDH_ES_A128KW, .kid = { device_kid, 8 },
                                .ephemeral = ephemeral_d };
    struct gwh_buf context = { 0 };
    uint8_t shared[32], derived[16], out[16];
    (void)state;

    memcpy(to.peer, points[4], 64);
    grant("grant-ecdh", &to);
    /* The key on the way: from the context as the example spells it to the wrapped key at the grant's end. */
    assert_int_equal(crypto()->ecdh(crypto()->ctx, ephemeral_d, points[4], shared), 0);
    read_example("kdf-context", &context);
    assert_int_equal(gw_hkdf(crypto(), shared, 32, context.p, context.n, derived, 16), 0);
    gwh_buf_free(&context);
    check_only("grant-ecdh-kek", derived, 16);
    read_example("grant-ecdh", &context);
    assert_int_equal(gw_key_unwrap(crypto(), derived, 16, context.p + context.n - 24, out, 16), 0);
    assert_memory_equal(out, cek, sizeof cek);
    gwh_buf_free(&context);
}

/* ---- On flash --------------------------------------------------------------------------------------------------- */

static uint8_t memory[4 * 4096];

static int ram_read(void *ctx, uint32_t address, void *data, uint32_t n)
{
    (void)ctx;
    memcpy(data, memory + address, n);
    return 0;
}

static int ram_write(void *ctx, uint32_t address, const void *data, uint32_t n)
{
    (void)ctx;
    memcpy(memory + address, data, n);
    return 0;
}

static int ram_erase(void *ctx, uint32_t address)
{
    (void)ctx;
    memset(memory + address, 0xff, 4096);
    return 0;
}

static const struct gw_flash_region region = { 0, 4, 4096 };
static const struct gw_flash flash = { NULL, &region, 1, UNIT, 0xff, ram_read, ram_write, ram_erase, NULL };

static void sealed_object(void **state)
{
    static const struct gw_area area = { 0, 4096 };
    struct gwh_buf object = { 0 }, right = { 0 };
    uint8_t got[GW_IDENTITY_MAX];
    uint32_t n = 0;
    (void)state;

    memset(memory, 0xff, sizeof memory);
    identity(&object);
    assert_int_equal(gw_store_write(&flash, area, object.p, (uint32_t)object.n), 0);
    assert_int_equal(gwh_buf_add(&right, memory, gw_round_up(GW_STORE_HEADER + (uint32_t)object.n, UNIT)), 0);
    struct t_bytes b = check("sealed-identity", &right);
    memset(memory, 0xff, sizeof memory);
    memcpy(memory, b.p, b.n);
    assert_int_equal(gw_store_read(&flash, area, got, sizeof got, &n), 0);
    assert_int_equal(n, object.n);
    assert_memory_equal(got, object.p, n);
    gwh_buf_free(&object);
    t_free(&b);
}

static void fill_state(struct gw_boot_state *s)
{
    *s = (struct gw_boot_state){ .floor = { 1, 5 }, .last = GW_SLOT_A, .trust_active = 1 };
    s->reason = -GW_ERR_TRIES_USED;
    s->slot[0] = (struct gw_slot_state){ .state = GW_CONFIRMED, .weight = 1, .order = { 1, 7 }, .floor = 5 };
    memcpy(s->slot[0].digest, manifest_digest, 32);
    s->slot[1] = (struct gw_slot_state){ .state = GW_REJECTED, .weight = 12, .order = { 1, 8 } };
    s->slot[1].reason = -GW_ERR_TRIES_USED;
    memset(s->slot[1].digest, 0x88, 32);
}

/* A bank that was begun with a head's serial in its snapshot, and then got a boot record. */
static void journal_bank(void **state)
{
    static const struct gw_area area = { 0, 2 * 4096 };
    static const uint8_t serial[4] = { 0, 0, 0, 9 };
    struct gwh_buf right = { 0 };
    struct gw_boot_state s, read;
    struct gw_journal j;
    uint8_t body[GW_BOOT_RECORD];
    uint32_t n = 0;
    (void)state;

    memset(memory, 0xff, sizeof memory);
    assert_int_equal(gw_journal_mount(&j, &flash, area), 0);
    assert_int_equal(gw_journal_put(&j, GW_REC_HEAD, serial, 4), 0);
    assert_int_equal(gw_journal_settle(&j), 0);
    assert_int_equal(gw_journal_mount(&j, &flash, area), 0);
    fill_state(&s);
    gw_boot_state_encode(&s, body);
    assert_int_equal(gw_journal_put(&j, GW_REC_BOOT, body, sizeof body), 0);
    assert_int_equal(gw_journal_settle(&j), 0);
    assert_int_equal(j.current, 1);
    assert_int_equal(gwh_buf_add(&right, memory + 4096, j.next - 4096), 0);
    struct t_bytes b = check("journal", &right);

    memset(memory, 0xff, sizeof memory);
    memcpy(memory + 4096, b.p, b.n);
    assert_int_equal(gw_journal_mount(&j, &flash, area), 0);
    assert_int_equal(j.lost, 0);
    assert_int_equal(gw_journal_get(&j, GW_REC_BOOT, body, sizeof body, &n), 0);
    assert_int_equal(gw_boot_state_decode(&read, body, n), 0);
    assert_memory_equal(read.slot[0].digest, manifest_digest, 32);
    assert_int_equal(read.slot[1].state, GW_REJECTED);
    assert_int_equal(read.floor.sequence, 5);
    assert_int_equal(gw_journal_get(&j, GW_REC_HEAD, body, sizeof body, &n), 0);
    assert_int_equal(gw_get32(body), 9);
    t_free(&b);
}

static void hand_over(void **state)
{
    struct gw_handover h = { GW_SLOT_B, GW_TRYING, 4, 0, GW_CAUSE_WATCHDOG, 0, 0x00000100 }, read;
    uint8_t bytes[GW_HANDOVER_SIZE];
    (void)state;

    gw_handover_encode(&h, bytes);
    check_only("hand-over", bytes, sizeof bytes);
    assert_int_equal(gw_handover_decode(&read, bytes), 0);
    assert_int_equal(read.attempt, 4);
}

/* Every fenced example of the section is looked at by a test above. */
static void no_example_is_forgotten(void **state)
{
    unsigned n = 0;
    (void)state;
    for (const char *p = (const char *)spec.p; (p = strstr(p, "\n```hex ")) != NULL; p++) {
        n++;
    }
    assert_int_equal(n, 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trust_bundle),
        cmocka_unit_test(manifest),
        cmocka_unit_test(frames),
        cmocka_unit_test(signed_manifest),
        cmocka_unit_test(head),
        cmocka_unit_test(identity_object),
        cmocka_unit_test(grant_by_shared_key),
        cmocka_unit_test(grant_by_ecdh),
        cmocka_unit_test(sealed_object),
        cmocka_unit_test(journal_bank),
        cmocka_unit_test(hand_over),
        cmocka_unit_test(no_example_is_forgotten),
    };
    return cmocka_run_group_tests(tests, make_world, drop_world);
}
