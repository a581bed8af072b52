/*
 * test_encode.c - what the encoders make, the device's parsers take, field by field; wrong objects can be made too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cbor.h"
#include "cose.h"
#include "frames.h"
#include "keys.h"

static struct gwh_key author, root;

static int make_keys(void **state)
{
    struct gwh_error err = {0};
    (void)state;
    return gwh_key_new(&author, GWH_P256, &err) != GWH_OK || gwh_key_new(&root, GWH_P256, &err) != GWH_OK;
}

static int free_keys(void **state)
{
    (void)state;
    gwh_key_free(&author);
    gwh_key_free(&root);
    return 0;
}

static const struct gw_crypto *crypto(void)
{
    return gwh_openssl()->gw;
}

/* A manifest with everything in it. */
struct full {
    struct gw_payload payload[2];
    struct gwh_variant variant[2];
    struct gwh_component component[2];
    struct gw_dependency dependency[2];
    const char *device[2];
    uint8_t check[8];
    struct gwh_manifest m;
};

static void fill(struct full *f)
{
    memset(f, 0, sizeof *f);
    for (unsigned i = 0; i < 2; i++) {
        struct gw_payload *p = &f->payload[i];
        *p = (struct gw_payload){.size = 5000, .frame_size = 4096, .cipher = GW_ALG_A128CTR};
        memset(p->name, 0x10 + (int)i, 32);
        memset(p->head, 0x20 + (int)i, 32);
        f->variant[i] = (struct gwh_variant){.size = 4968, .payloads = p, .payload_count = 1};
        memset(f->variant[i].digest, 0x30 + (int)i, 32);
        f->component[i] = (struct gwh_component){.id = i * 7,
                                                 .kind = i == 0 ? GW_KIND_BOOTABLE : GW_KIND_DATA,
                                                 .variants = &f->variant[i],
                                                 .variant_count = 1};
    }
    f->variant[0].linked = true;
    f->variant[0].address = 0x10000;
    f->dependency[0] = (struct gw_dependency){GW_DEPENDS_HARDWARE, 1, 3};
    f->dependency[1] = (struct gw_dependency){GW_DEPENDS_INSTALLED, 4, UINT32_MAX};
    f->device[0] = "dev1";
    f->device[1] = "dev2";
    f->m = (struct gwh_manifest){.epoch = 2,
                                 .sequence = 9,
                                 .version = "1.4.0",
                                 .components = f->component,
                                 .component_count = 2,
                                 .floor = 5,
                                 .use_before = 1800000000,
                                 .devices = f->device,
                                 .device_count = 2,
                                 .dependencies = f->dependency,
                                 .dependency_count = 2,
                                 .key_check = f->check,
                                 .notes = "https://example.com/notes"};
    memset(f->m.vendor, 0xaa, 16);
    memset(f->m.class_id, 0xbb, 16);
}

static void test_manifest(void **state)
{
    struct full f;
    struct gwh_buf map = {0};
    struct gw_manifest m;
    struct gw_component c;
    struct gw_variant v;
    struct gw_payload p;
    struct gw_dependency d;
    struct gw_span id;
    (void)state;
    fill(&f);
    assert_int_equal(gwh_manifest_map(&map, &f.m), GW_OK);
    assert_int_equal(gw_manifest_parse(&m, map.p, map.n), GW_OK);
    assert_int_equal(m.order.epoch, 2);
    assert_int_equal(m.order.sequence, 9);
    assert_int_equal(m.floor, 5);
    assert_int_equal(m.use_before, 1800000000);
    assert_memory_equal(m.version.p, "1.4.0", 5);
    assert_int_equal(gw_manifest_component(&m, 1, &c), GW_OK);
    assert_int_equal(c.id, 7);
    assert_int_equal(gw_manifest_component(&m, 0, &c), GW_OK);
    assert_int_equal(gw_component_variant(&c, 0, &v), GW_OK);
    assert_true(v.linked);
    assert_int_equal(v.address, 0x10000);
    assert_int_equal(gw_variant_payload(&v, 0, &p), GW_OK);
    assert_memory_equal(p.head, f.payload[0].head, 32);
    assert_int_equal(p.cipher, GW_ALG_A128CTR);
    assert_int_equal(gw_manifest_dependency(&m, 0, &d), GW_OK);
    assert_int_equal(d.max, 3);
    assert_int_equal(gw_manifest_dependency(&m, 1, &d), GW_OK);
    assert_int_equal(d.max, UINT32_MAX);
    assert_int_equal(gw_manifest_device(&m, 1, &id), GW_OK);
    assert_memory_equal(id.p, "dev2", 4);
    gwh_buf_free(&map);
}

/* Nothing is validated: objects that the parsers refuse can be made. */
static void test_wrong_manifests(void **state)
{
    static const uint8_t pair[] = {0x18, 0x64, 0x00}; /* 100: 0, critical and unknown */
    static const uint8_t optional[] = {0x18, 0x80, 0x00};
    struct full f;
    struct gwh_buf map = {0};
    struct gw_manifest m;
    (void)state;
    fill(&f);
    f.m.format = 2;
    assert_int_equal(gwh_manifest_map(&map, &f.m), GW_OK);
    assert_int_equal(gw_manifest_parse(&m, map.p, map.n), GW_ERR_VERSION);
    map.n = 0;
    f.m.format = 0;
    f.m.extra = (struct gwh_extra){{pair, sizeof pair}, 1};
    assert_int_equal(gwh_manifest_map(&map, &f.m), GW_OK);
    assert_int_equal(gw_manifest_parse(&m, map.p, map.n), GW_ERR_UNKNOWN_KEY);
    map.n = 0;
    f.m.extra.pairs.p = optional;
    assert_int_equal(gwh_manifest_map(&map, &f.m), GW_OK);
    assert_int_equal(gw_manifest_parse(&m, map.p, map.n), GW_OK);
    map.n = 0;
    f.m.floor = 10;
    assert_int_equal(gwh_manifest_map(&map, &f.m), GW_OK);
    assert_int_not_equal(gw_manifest_parse(&m, map.p, map.n), GW_OK);
    gwh_buf_free(&map);
}

static void make_trust(struct gwh_buf *cose, const char *type, size_t signatures)
{
    struct gw_pubkey key = author.pub;
    struct gw_policy_line line = {GW_ROLE_AUTHOR, 1};
    struct gwh_trust t = {.version = 3, .epoch = 2, .keys = &key, .key_count = 1, .policy = &line, .policy_count = 1};
    struct gwh_signer signer[2];
    struct gwh_buf map = {0};
    key.roles = GW_ROLE_AUTHOR;
    gwh_key_signer(&signer[0], &root);
    gwh_key_signer(&signer[1], &root);
    assert_int_equal(gwh_trust_map(&map, &t), GW_OK);
    assert_int_equal(gwh_sign_map(cose, crypto(), type, gwh_span(&map), signer, signatures), GW_OK);
    gwh_buf_free(&map);
}

static struct gw_roots roots(uint32_t threshold)
{
    struct gw_roots r = {.count = 2, .threshold = threshold};
    r.key[0] = root.pub;
    r.key[1] = author.pub;
    return r;
}

static void test_trust(void **state)
{
    struct gwh_buf cose = {0};
    struct gw_trust t;
    struct gw_pubkey key;
    struct gw_roots one = roots(1), two = roots(2);
    (void)state;
    make_trust(&cose, GW_TYPE_TRUST, 1);
    assert_int_equal(gw_trust_open(&t, crypto(), &one, cose.p, cose.n), GW_OK);
    assert_int_equal(t.version, 3);
    assert_int_equal(gw_trust_key(&t, 0, &key), GW_OK);
    assert_int_equal(key.roles, GW_ROLE_AUTHOR);
    assert_memory_equal(key.x.p, author.pub.x.p, 32);
    assert_int_not_equal(gw_trust_open(&t, crypto(), &two, cose.p, cose.n), GW_OK);
    gwh_buf_free(&cose);
    make_trust(&cose, GW_TYPE_TRUST, 2); /* the same key twice is one */
    assert_int_not_equal(gw_trust_open(&t, crypto(), &two, cose.p, cose.n), GW_OK);
    gwh_buf_free(&cose);
    make_trust(&cose, GW_TYPE_HEAD, 1); /* another type string */
    assert_int_not_equal(gw_trust_open(&t, crypto(), &one, cose.p, cose.n), GW_OK);
    gwh_buf_free(&cose);
}

static void test_head(void **state)
{
    struct gw_order withdrawn[2] = {{1, 4}, {1, 6}}, o;
    struct gwh_head spec = {.channel = "beta",
                            .latest = {1, 7},
                            .withdrawn = withdrawn,
                            .withdrawn_count = 2,
                            .issued_at = 1700000000,
                            .serial = 42};
    struct gwh_buf map = {0};
    struct gw_head head;
    (void)state;
    assert_int_equal(gwh_head_map(&map, &spec), GW_OK);
    assert_int_equal(gw_head_parse(&head, map.p, map.n), GW_OK);
    assert_int_equal(head.serial, 42);
    assert_int_equal(head.latest.sequence, 7);
    assert_int_equal(gw_head_withdrawn(&head, 1, &o), GW_OK);
    assert_int_equal(o.sequence, 6);
    assert_int_equal(gw_head_withdrawn(&head, 2, &o), GW_ERR_NOTHING);
    gwh_buf_free(&map);
}

static void test_offer(void **state)
{
    static const uint8_t bytes[] = {1, 2, 3};
    struct gw_offer spec = {.manifest = {bytes, 3},
                            .grant = {{bytes, 2}},
                            .grant_count = 1,
                            .next_look = 60,
                            .rollout = {(const uint8_t *)"r1", 2}},
                    offer;
    struct gwh_buf out = {0};
    (void)state;
    assert_int_equal(gwh_offer(&out, &spec), GW_OK);
    assert_int_equal(gw_offer_parse(&offer, out.p, out.n), GW_OK);
    assert_int_equal(offer.next_look, 60);
    assert_int_equal(offer.grant_count, 1);
    assert_int_equal(offer.grant[0].n, 2);
    assert_int_equal(offer.head.n, 0);
    assert_memory_equal(offer.rollout.p, "r1", 2);
    gwh_buf_free(&out);
}

static void test_identity(void **state)
{
    static const uint8_t kek[16] = {7}, d[32] = {9};
    struct gw_pubkey keys[2] = {root.pub, author.pub};
    struct gwh_secret kek_secret = {{(const uint8_t *)"fleet", 5}, {kek, 16}};
    struct gwh_secret ec_secret = {{author.thumbprint, 8}, {d, 32}};
    struct gwh_identity spec = {.device_id = "dev-1",
                                .hardware = 4,
                                .roots = keys,
                                .root_count = 2,
                                .threshold = 2,
                                .factory_size = 100,
                                .keks = &kek_secret,
                                .kek_count = 1,
                                .ec = &ec_secret,
                                .ec_count = 1};
    struct gwh_buf out = {0};
    struct gw_identity id;
    struct gw_roots r;
    struct gw_identity_keys keys_of = {.crypto = crypto()};
    struct gw_keystore store;
    uint8_t found[32];
    size_t size = 0;
    (void)state;
    assert_int_equal(gwh_identity_encode(&out, &spec), GW_OK);
    assert_int_equal(gw_identity_parse(&id, &r, out.p, out.n), GW_OK);
    assert_memory_equal(id.device_id, "dev-1", 5);
    assert_int_equal(id.hardware, 4);
    assert_int_equal(id.factory_size, 100);
    assert_int_equal(r.count, 2);
    assert_int_equal(r.threshold, 2);
    keys_of.identity = gwh_span(&out);
    gw_identity_keystore(&store, &keys_of);
    assert_int_equal(store.kek(store.ctx, kek_secret.kid, found, &size), GW_OK);
    assert_int_equal(size, 16);
    assert_memory_equal(found, kek, 16);
    gwh_buf_free(&out);
}

static void test_signatures(void **state)
{
    struct gwh_buf cose = {0};
    struct gwh_signer signer;
    struct gw_cose_sign s;
    struct gw_cose_signature sig;
    struct gw_span map;
    (void)state;
    assert_int_equal(gwh_sign_new(&cose, "\xa0", 1), GW_OK);
    assert_int_equal(gwh_sign_payload(gwh_span(&cose), &map), GW_OK);
    assert_int_equal(map.n, 1);
    gwh_key_signer(&signer, &author);
    signer.header_algorithm = GW_ALG_PS256; /* a lie in the header */
    signer.kid = (struct gw_span){(const uint8_t *)"someone", 7};
    assert_int_equal(gwh_sign_add(&cose, crypto(), GW_TYPE_HEAD, &signer), GW_OK);
    assert_int_equal(gw_cose_sign_parse(&s, cose.p, cose.n), GW_OK);
    assert_int_equal(s.count, 1);
    assert_int_equal(gw_cose_signature(&s, 0, &sig), GW_OK);
    assert_int_equal(sig.algorithm, GW_ALG_PS256);
    assert_memory_equal(sig.kid.p, "someone", 7);
    assert_int_equal(gwh_sign_payload((struct gw_span){cose.p, cose.n - 1}, &map), GW_ERR_TRUNCATED);
    gwh_buf_free(&cose);
}

/* RFC 3394, section 4.1 and 4.6. */
static void test_key_wrap(void **state)
{
    static const uint8_t expected[24] = {0x1f, 0xa6, 0x8b, 0x0a, 0x81, 0x12, 0xb4, 0x47, 0xae, 0xf3, 0x4b, 0xd8,
                                         0xfb, 0x5a, 0x7b, 0x82, 0x9d, 0x3e, 0x86, 0x23, 0x71, 0xd2, 0xcf, 0xe5};
    uint8_t kek[32], key[32], wrapped[40], back[32];
    (void)state;
    for (unsigned i = 0; i < 32; i++) {
        kek[i] = (uint8_t)i;
        key[i] = (uint8_t)(i < 16 ? i * 0x11 : i - 16);
    }
    assert_int_equal(gwh_key_wrap(gwh_openssl(), (struct gw_span){kek, 16}, key, 16, wrapped), GW_OK);
    assert_memory_equal(wrapped, expected, 24);
    assert_int_equal(gwh_key_wrap(gwh_openssl(), (struct gw_span){kek, 32}, key, 32, wrapped), GW_OK);
    assert_memory_equal(wrapped, "\x28\xc9\xf4\x04\xc4\xb8\x10\xf4", 8);
    assert_int_equal(gw_key_unwrap(crypto(), kek, 32, wrapped, back, 32), GW_OK);
    assert_memory_equal(back, key, 32);
    assert_int_equal(gwh_key_wrap(gwh_openssl(), (struct gw_span){kek, 16}, key, 33, wrapped), GW_ERR_VALUE);
}

/* The chain, for contents around the borders of frames, taken apart by the receiver of devices. */
static void test_frames(void **state)
{
    static const size_t sizes[] = {1, 255, 256, 257, 511, 512, 513, 768, 5000};
    uint8_t content[5000], frame[256 + 32];
    (void)state;
    for (size_t i = 0; i < sizeof content; i++) {
        content[i] = (uint8_t)(i * 31 + i / 256);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct gwh_buf file = {0};
        struct gw_payload p = {.frame_size = 256};
        struct gw_frames frames;
        size_t seen = 0;
        assert_int_equal(gwh_payload_frame(&file, crypto(), (struct gw_span){content, sizes[i]}, &p), GW_OK);
        assert_int_equal(gw_payload_content(&p), sizes[i]);
        gw_frames_start(&frames, &p, 0, p.head);
        while (gw_frames_length(&frames) > 0) {
            struct gw_span out;
            uint32_t at = gw_frames_offset(&frames);
            (void)gw_frames_push(&frames, frame, file.p + at, file.n - at);
            assert_int_equal(gw_frames_check(&frames, crypto(), frame, &out), GW_OK);
            assert_memory_equal(out.p, content + seen, out.n);
            seen += out.n;
        }
        assert_int_equal(seen, sizes[i]);
        gwh_buf_free(&file);
    }
}

static void test_payload_encryption(void **state)
{
    uint8_t cek[32] = {1}, text[100] = {0}, other[100] = {0};
    struct gwh_position a = {0, 0, 0}, b = {0, 1, 0};
    struct gw_span key = {cek, 16};
    (void)state;
    assert_int_equal(gwh_payload_crypt(crypto(), key, a, GW_ALG_A128CTR, text, sizeof text), GW_OK);
    assert_int_equal(gwh_payload_crypt(crypto(), key, b, GW_ALG_A128CTR, other, sizeof other), GW_OK);
    assert_memory_not_equal(text, other, sizeof text); /* each payload has a key of its own */
    assert_int_equal(gwh_payload_crypt(crypto(), key, a, GW_ALG_A128CTR, text, sizeof text), GW_OK);
    for (size_t i = 0; i < sizeof text; i++) {
        assert_int_equal(text[i], 0);
    }
    assert_int_equal(gwh_payload_crypt(crypto(), key, a, 0, text, sizeof text), GW_OK);
    assert_int_equal(text[0], 0);
}

static void test_grants(void **state)
{
    struct full f;
    struct gwh_buf map = {0};
    struct gw_manifest m;
    uint8_t cek[16] = {5}, d[32], found[32];
    size_t size = 0;
    (void)state;
    fill(&f);
    assert_int_equal(gw_key_check(crypto(), cek, 16, f.check), GW_OK);
    assert_int_equal(gwh_manifest_map(&map, &f.m), GW_OK);
    assert_int_equal(gw_manifest_parse(&m, map.p, map.n), GW_OK);
    assert_int_equal(gw_sha256(crypto(), map.p, map.n, m.digest), GW_OK);
    assert_int_equal(gwh_key_secret(&author, d), GW_OK);

    uint8_t kek[32] = {8};
    struct gwh_recipient r[2] = {{.algorithm = GW_ALG_A256KW, .kid = {(const uint8_t *)"k", 1}, .kek = {kek, 32}},
                                 {.algorithm = GW_ALG_ECDH_ES_A128KW, .kid = {author.thumbprint, 8}}};
    memcpy(r[1].peer, author.bytes, 64);
    struct gwh_grant spec = {.cipher = GW_ALG_A128CTR, .cek = {cek, 16}, .recipients = r, .recipient_count = 2};
    memcpy(spec.digest, m.digest, 32);
    struct gwh_buf grant = {0}, identity = {0};
    assert_int_equal(gwh_grant_encode(&grant, gwh_openssl(), &spec), GW_OK);
    assert_true(grant.n <= 1024);

    struct gw_pubkey keys[2] = {root.pub, author.pub};
    struct gwh_secret ec = {{author.thumbprint, 8}, {d, 32}}, shared = {{(const uint8_t *)"k", 1}, {kek, 32}};
    for (unsigned way = 0; way < 2; way++) {
        struct gwh_identity id = {.device_id = "d",
                                  .roots = keys,
                                  .root_count = 2,
                                  .threshold = 1,
                                  .ec = &ec,
                                  .ec_count = way == 0,
                                  .keks = &shared,
                                  .kek_count = way == 1};
        assert_int_equal(gwh_identity_encode(&identity, &id), GW_OK);
        struct gw_identity_keys keys_of = {crypto(), gwh_span(&identity)};
        struct gw_keystore store;
        gw_identity_keystore(&store, &keys_of);
        assert_int_equal(gw_grant_open(crypto(), &store, &m, grant.p, grant.n, found, &size), GW_OK);
        assert_int_equal(size, 16);
        assert_memory_equal(found, cek, 16);
        identity.n = 0;
    }
    gwh_buf_free(&map);
    gwh_buf_free(&grant);
    gwh_buf_free(&identity);
}

static void test_buffers(void **state)
{
    struct gwh_buf b = {0};
    uint8_t *at;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(gwh_buf_add(&b, "0123456789", 10), GW_OK);
    }
    assert_int_equal(b.n, 10000);
    assert_memory_equal(b.p + 9990, "0123456789", 10);
    assert_int_equal(gwh_buf_grow(&b, SIZE_MAX - 5, &at), GW_ERR_SPACE);
    assert_int_equal(b.n, 10000);
    gwh_buf_free(&b);
    assert_null(b.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest),   cmocka_unit_test(test_wrong_manifests),
        cmocka_unit_test(test_trust),      cmocka_unit_test(test_head),
        cmocka_unit_test(test_offer),      cmocka_unit_test(test_identity),
        cmocka_unit_test(test_signatures), cmocka_unit_test(test_key_wrap),
        cmocka_unit_test(test_frames),     cmocka_unit_test(test_payload_encryption),
        cmocka_unit_test(test_grants),     cmocka_unit_test(test_buffers),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
