/*
 * fuzz_cose.c - COSE_Sign, COSE_Key and policies. What verifies has a payload inside of the input, and at least as many
 * signatures as the policy asks for.
 */
#include "fuzz_formats.h"

static void key(const uint8_t *data, size_t size, struct fuzz_world *w, bool signs)
{
    struct gw_cbor c;
    struct gw_pubkey k;
    uint8_t digest[32];

    gw_cbor_init(&c, data, size);
    gw_cose_key(&c, &k, signs);
    if (gw_cbor_end(&c) == GW_OK) {
        MUST(signs == (k.algorithm != 0));
        fuzz_inside(k.x, data, size);
        fuzz_inside(k.y, data, size);
        MUST(k.algorithm == GW_ALG_PS256 ? k.x.n >= 256 && k.x.n <= 384 : k.x.n == 32 && k.y.n == 32);
        MUST(gw_key_thumbprint(&w->crypto, &k, digest) == GW_OK);
    }
}

static uint32_t parts(const struct gw_cose_sign *s, const uint8_t *data, size_t size)
{
    struct gw_cose_signature sig;
    uint32_t good = 0;

    MUST(s->count <= GW_SIGNATURES_MAX);
    fuzz_inside(s->payload, data, size);
    for (uint32_t i = 0; i < s->count; i++) {
        if (gw_cose_signature(s, i, &sig) == GW_OK) {
            fuzz_inside(sig.signature, data, size);
            fuzz_inside(sig.kid, data, size);
            fuzz_inside(sig.protected_header, data, size);
            good++;
        }
    }
    MUST(gw_cose_signature(s, s->count, &sig) == GW_ERR_NOTHING);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gw_policy_line root = { GW_ROLE_ROOT, 2 };
    struct fuzz_world *w = fuzz_world();
    struct gw_keyring trust = { &w->crypto, &w->trust, NULL }, roots = { &w->crypto, NULL, &w->roots };
    struct gw_cose_sign s;
    struct gw_span payload;
    uint32_t good = 0;
    int parsed = gw_cose_sign_parse(&s, data, size);

    key(data, size, w, true);
    key(data, size, w, false);
    if (parsed == GW_OK) {
        good = parts(&s, data, size);
    }
    if (gw_cose_verify(&trust, GW_TYPE_MANIFEST, w->trust.policy, w->trust.policy_count, data, size, &payload) ==
        GW_OK) {
        MUST(parsed == GW_OK && good >= 2);
        MUST(payload.p == s.payload.p && payload.n == s.payload.n);
    }
    if (gw_cose_verify(&roots, GW_TYPE_TRUST, &root, 1, data, size, &payload) == GW_OK) {
        MUST(parsed == GW_OK && good >= 2);
    }
    return 0;
}
