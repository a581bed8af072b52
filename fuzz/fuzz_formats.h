/*
 * fuzz_formats.h - what the fuzz targets of the formats share: a crypto that takes every signature, so that mutated
 * objects get past it, and a fixed bundle whose keys the seeds are signed with.
 */
#ifndef FUZZ_FORMATS_H
#define FUZZ_FORMATS_H

#include <stdlib.h>
#include <string.h>

#include "fastcrypto.h"
#include "lib/src/cose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that must hold; the fuzzer keeps the input that breaks it. */
#define MUST(condition) do { if (!(condition)) { abort(); } } while (0)

struct fuzz_world {
    struct gw_crypto crypto;
    struct fastcrypto_key key[4]; /* author, approver, distributor, revoked */
    struct fastcrypto_key root[3];
    struct gw_pubkey pub[4];
    uint8_t revoked[1][32];
    struct gw_roots roots;        /* 2 of 3 */
    struct gw_trust trust;        /* version 1, epoch 2, one author and one approver sign */
    struct gwh_buf trust_map;
};

static int fuzz_accept(void *ctx, const struct gw_pubkey *key, const uint8_t digest[32], const uint8_t *sig, size_t n)
{
    (void)ctx;
    (void)key;
    (void)digest;
    return n > 0 && sig[0] == 0xff ? GW_ERR_SIGNATURE : GW_OK;
}

static inline struct gw_pubkey fuzz_pub(const struct fastcrypto_key *k, uint32_t roles)
{
    struct gw_pubkey pub = { GW_ALG_ES256, roles, { k->pub, 32 }, { k->pub + 32, 32 } };
    return pub;
}

static inline void fuzz_world_make(struct fuzz_world *w)
{
    static const uint32_t roles[4] = { GW_ROLE_AUTHOR, GW_ROLE_APPROVER, GW_ROLE_DISTRIBUTOR, GW_ROLE_AUTHOR };
    static const struct gw_policy_line policy[2] = { { GW_ROLE_AUTHOR, 1 }, { GW_ROLE_APPROVER, 1 } };
    struct gwh_trust t;

    w->crypto = fastcrypto;
    w->crypto.verify = fuzz_accept;
    for (uint32_t i = 0; i < 4; i++) {
        fastcrypto_key(&w->key[i], i + 1);
        w->pub[i] = fuzz_pub(&w->key[i], roles[i]);
    }
    w->roots.count = 3;
    w->roots.threshold = 2;
    for (uint32_t i = 0; i < 3; i++) {
        fastcrypto_key(&w->root[i], i + 11);
        w->roots.key[i] = fuzz_pub(&w->root[i], GW_ROLE_ROOT);
    }
    MUST(gw_key_thumbprint(&w->crypto, &w->pub[3], w->revoked[0]) == GW_OK);
    memset(&t, 0, sizeof t);
    t.version = 1;
    t.epoch = 2;
    t.keys = w->pub;
    t.key_count = 4;
    t.revoked = (const uint8_t(*)[32])w->revoked;
    t.revoked_count = 1;
    t.policy = policy;
    t.policy_count = 2;
    MUST(gwh_trust_map(&w->trust_map, &t) == GW_OK);
    MUST(gw_trust_parse(&w->trust, w->trust_map.p, w->trust_map.n) == GW_OK);
}

/* Made once, by the first input. */
static inline struct fuzz_world *fuzz_world(void)
{
    static struct fuzz_world w;
    if (w.trust_map.p == NULL) {
        fuzz_world_make(&w);
    }
    return &w;
}

/* A view must lie inside of the input. */
static inline void fuzz_inside(struct gw_span s, const uint8_t *data, size_t size)
{
    MUST(s.n == 0 || (s.p >= data && s.n <= size && (size_t)(s.p - data) <= size - s.n));
}

#endif
