/*
 * make_seeds.c - writes the seeds of the format fuzz targets, fuzz/seeds/fuzz_<name>/<what>. They are committed; run it
 * again when a format changes:
 *
 *     cc -I. -Ilib/include -Ilib/src -Ihost -Iports/crypto -Itests/support -Ifuzz tests/tools/make_seeds.c \
 *        tests/support/objects.c tests/support/fastcrypto.c lib/src/[!.]*.c host/[!.]*.c ports/crypto/openssl.c \
 *        -lcmocka -lcrypto -ljansson -o /tmp/make_seeds && /tmp/make_seeds
 *
 * Objects are signed with fastcrypto, by the keys of fuzz/fuzz_formats.h: the same bytes each time.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>

#include "fuzz_formats.h"
#include "objects.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)data;
    (void)size;
    return 0;
}

static struct t_world w;

static void save(const char *target, const char *what, const void *p, size_t n)
{
    char path[200];
    FILE *f;
    snprintf(path, sizeof path, "fuzz/seeds/fuzz_%s", target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "fuzz/seeds/fuzz_%s/%s", target, what);
    f = fopen(path, "wb");
    MUST(f != NULL && n < 2048 && fwrite(p, 1, n, f) == n && fclose(f) == 0);
    printf("%s: %zu bytes\n", path, n);
}

static void save_buf(const char *target, const char *what, struct gwh_buf *b)
{
    save(target, what, b->p, b->n);
    gwh_buf_free(b);
}

static void save_hex(const char *target, const char *what, const char *hex)
{
    struct t_bytes b = t_hex(hex);
    save(target, what, b.p, b.n);
    t_free(&b);
}

/* Signed by two of the fuzz world's keys. */
static void save_signed(const char *target, const char *what, const char *type, struct gwh_buf *map,
                        struct fastcrypto_key *a, struct fastcrypto_key *b)
{
    struct gwh_signer signers[2];
    struct gwh_buf out = { 0 };
    memset(signers, 0, sizeof signers);
    fastcrypto_signer(&signers[0], a, 0);
    fastcrypto_signer(&signers[1], b, 0);
    MUST(gwh_sign_map(&out, &fastcrypto, type, gwh_span(map), signers, 2) == GW_OK);
    save_buf(target, what, &out);
}

static void manifests(struct fuzz_world *f)
{
    struct gwh_buf map = { 0 };
    uint8_t facts[48] = { 3, 0, 31, 7 };

    memset(w.key_check, 0xcc, sizeof w.key_check);
    MUST(gwh_manifest_map(&map, &w.manifest_is) == GW_OK);
    save("manifest", "map", map.p, map.n);
    save_signed("manifest", "signed", GW_TYPE_MANIFEST, &map, &f->key[0], &f->key[1]);
    save_signed("cose", "two", GW_TYPE_MANIFEST, &map, &f->key[0], &f->key[1]);
    memcpy(facts + 4, "\0\x08\0\0\0\x02\0\0\0\x01\x5f\x90\0\0\x10\0\0\0\x01\x2c", 20);
    facts[24] = 0x33;
    facts[25] = 0x42;
    facts[26] = 2;
    facts[27] = 3;
    facts[28] = 2;
    facts[29] = 35;
    facts[32] = 2;
    facts[33] = 2;
    facts[34] = 50;
    facts[41] = 16;
    facts[42] = 32;
    facts[43] = 3;
    MUST(gwh_buf_grow(&map, sizeof facts, &(uint8_t *){ NULL }) == 0);
    memmove(map.p + sizeof facts, map.p, map.n - sizeof facts);
    memcpy(map.p, facts, sizeof facts);
    save_buf("plan", "delta", &map);
    w.manifest_is.component_count = 1;
    w.manifest_is.device_count = 0;
    w.manifest_is.dependency_count = 0;
    w.variant[1].payload_count = 1;
    MUST(gwh_manifest_map(&map, &w.manifest_is) == GW_OK);
    save_buf("manifest", "small", &map);
}

static void bundles_and_heads(struct fuzz_world *f)
{
    struct gwh_buf map = { 0 };

    save("trust", "map", f->trust_map.p, f->trust_map.n);
    save_signed("trust", "signed", GW_TYPE_TRUST, &f->trust_map, &f->root[0], &f->root[2]);
    save_signed("cose", "roots", GW_TYPE_TRUST, &f->trust_map, &f->root[0], &f->root[2]);
    MUST(gwh_head_map(&map, &w.head_is) == GW_OK);
    save("head", "map", map.p, map.n);
    save_signed("head", "signed", GW_TYPE_HEAD, &map, &f->key[2], &f->key[0]);
    gwh_buf_free(&map);
    MUST(gwh_cose_key(&map, &f->pub[0]) == GW_OK);
    save_buf("cose", "key", &map);
}

static void offers(void)
{
    struct gw_offer o;
    struct gwh_buf b = { 0 };
    memset(&o, 0, sizeof o);
    o.manifest = (struct gw_span){ (const uint8_t *)"manifest", 8 };
    o.grant[0] = o.grant[1] = (struct gw_span){ (const uint8_t *)"grant", 5 };
    o.grant_count = 2;
    o.head = (struct gw_span){ (const uint8_t *)"head", 4 };
    o.trust = (struct gw_span){ (const uint8_t *)"trust", 5 };
    o.next_look = 3600;
    o.rollout = (struct gw_span){ (const uint8_t *)"r1", 2 };
    o.payload_base = (struct gw_span){ (const uint8_t *)"https://example.com/", 20 };
    MUST(gwh_offer(&b, &o) == GW_OK);
    save_buf("offer", "all", &b);
    save_hex("offer", "nothing", "a1 01 01");
}

static void identities_and_grants(struct fuzz_world *f)
{
    static const uint8_t number[32] = { 9, 9, 9 };
    struct gwh_recipient r[3];
    struct gwh_grant g;
    struct gwh_buf b = { 0 };
    uint8_t kek[32], cek[16];

    w.identity_is.roots = f->roots.key;
    w.ec[0] = (struct gwh_secret){ { number, 8 }, { number, 32 } };
    MUST(gwh_identity_encode(&b, &w.identity_is) == GW_OK);
    save_buf("identity", "all", &b);
    w.identity_is.kek_count = w.identity_is.ec_count = w.identity_is.factory_size = 0;
    MUST(gwh_identity_encode(&b, &w.identity_is) == GW_OK);
    save_buf("identity", "plain", &b);

    memset(kek, 0x51, sizeof kek);
    memset(cek, 0x77, sizeof cek);
    memset(r, 0, sizeof r);
    memset(&g, 0, sizeof g);
    r[0].algorithm = GW_ALG_A256KW;
    r[0].kid = (struct gw_span){ (const uint8_t *)"L", 1 };
    r[0].kek = (struct gw_span){ kek, 32 };
    r[1].algorithm = GW_ALG_A128KW;
    r[1].kid = (struct gw_span){ (const uint8_t *)"S", 1 };
    r[1].kek = (struct gw_span){ kek, 16 };
    r[2].algorithm = GW_ALG_ECDH_ES_A128KW;
    r[2].kid = (struct gw_span){ number, 8 };
    memcpy(r[2].peer, f->key[0].pub, 64);
    r[2].ephemeral = number;
    memset(g.digest, 0x99, 32);
    g.cipher = GW_ALG_A128CTR;
    g.cek = (struct gw_span){ cek, 16 };
    for (unsigned i = 0; i < 3; i++) {
        static const char *const names[] = { "kek-32", "kek-16", "ecdh" };
        g.recipients = &r[i];
        g.recipient_count = 1;
        MUST(gwh_grant_encode(&b, &fastcrypto_host, &g) == GW_OK);
        save_buf("grant", names[i], &b);
    }
    g.recipients = r;
    g.recipient_count = 3;
    MUST(gwh_grant_encode(&b, &fastcrypto_host, &g) == GW_OK);
    save_buf("grant", "three", &b);
}

static void reports(void)
{
    struct t_bytes map = t_hex("ae 01 01 02 65 64 65 76 2d 31 03 19 01 00 04 03 05 07 06 82 01 06 07 02 "
                               "08 1a 6b 49 d2 00 09 19 10 00 0a 18 20 0b 82 01 05 0c 03 0d 05 0e 01");
    struct gwh_buf grown = { 0 }, out = { 0 };
    struct fastcrypto_key key;
    struct gwh_signer signer;

    MUST(gwh_buf_add(&grown, map.p, map.n) == 0 && gwh_buf_add(&grown, "\x0f\x09", 2) == 0);
    grown.p[0]++; /* item 15 */
    fastcrypto_key(&key, 7);
    fastcrypto_signer(&signer, &key, 0);
    MUST(gwh_sign_map(&out, &fastcrypto, GW_TYPE_REPORT, gwh_span(&grown), &signer, 1) == GW_OK);
    save_buf("report", "signed", &out);
    save_buf("report", "map", &grown);
    t_free(&map);
}

int main(void)
{
    struct fuzz_world *f = fuzz_world();
    mkdir("fuzz/seeds", 0777);
    t_world_open(&w);
    manifests(f);
    bundles_and_heads(f);
    offers();
    identities_and_grants(f);
    save_hex("cbor", "mixed", "85 1903e8 420102 64f09f9880 a2 00 20 20 f6 82 81 80 a1 6161 1affffffff");
    save_hex("cbor", "deep", "81 81 81 81 81 81 81 81 00");
    t_world_close(&w);
    gwh_buf_free(&f->trust_map);
    reports();
    return 0;
}
