/*
 * fuzz_grant.c - key grants, for a device that has a key by every name. A content key comes out only when the key check
 * value agrees; else what is returned is wiped.
 */
#include "fuzz_formats.h"

static int any_kek(void *ctx, struct gw_span kid, uint8_t kek[32], size_t *size)
{
    (void)ctx;
    memset(kek, 0x51, 32);
    *size = kid.n > 0 && kid.p[0] == 'L' ? 32 : 16;
    return GW_OK;
}

static int any_agree(void *ctx, struct gw_span kid, const uint8_t peer[64], uint8_t shared[32])
{
    (void)kid;
    return fastcrypto.ecdh(ctx, fuzz_world()->key[0].priv, peer, shared);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t zero[32];
    struct fuzz_world *w = fuzz_world();
    const struct gw_keystore keys = { .kek = any_kek, .agree = any_agree };
    struct gw_manifest m;
    uint8_t cek[32], check[8], secret[16];
    size_t cek_size = 0;

    memset(&m, 0, sizeof m);
    memset(m.digest, 0x99, sizeof m.digest);
    memset(secret, 0x77, sizeof secret);
    MUST(gw_key_check(&w->crypto, secret, sizeof secret, check) == GW_OK);
    m.key_check.p = check;
    m.key_check.n = sizeof check;
    if (gw_grant_open(&w->crypto, &keys, &m, data, size, cek, &cek_size) == GW_OK) {
        MUST(cek_size == 16 && memcmp(cek, secret, 16) == 0);
    } else {
        MUST(memcmp(cek, zero, sizeof cek) == 0);
    }
    return 0;
}
