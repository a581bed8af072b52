/*
 * fuzz_identity.c - identities, and the keystore over the same bytes, which looks for keys whether they parse or not.
 */
#include "fuzz_formats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_world *w = fuzz_world();
    struct gw_identity_keys keys = { &w->crypto, { data, size } };
    struct gw_keystore store;
    struct gw_identity id;
    struct gw_roots roots;
    struct gw_span kid = { (const uint8_t *)"kek-16", 6 };
    uint8_t kek[32], peer[64] = { 1 }, shared[32];
    size_t kek_size = 0;

    if (gw_identity_parse(&id, &roots, data, size) == GW_OK) {
        MUST(id.device_id_size >= 1 && id.device_id_size <= GW_DEVICE_ID_MAX);
        MUST(roots.count >= 2 && roots.count <= GW_ROOTS_MAX);
        MUST(roots.threshold >= 1 && roots.threshold <= roots.count);
        for (uint32_t i = 0; i < roots.count; i++) {
            fuzz_inside(roots.key[i].x, data, size);
            MUST(roots.key[i].roles == GW_ROLE_ROOT && roots.key[i].algorithm != 0);
        }
    }
    gw_identity_keystore(&store, &keys);
    if (store.kek(store.ctx, kid, kek, &kek_size) == GW_OK) {
        MUST(kek_size == 16 || kek_size == 32);
    }
    (void)store.agree(store.ctx, kid, peer, shared);
    return 0;
}
