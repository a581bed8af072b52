/*
 * fuzz_trust.c - trust bundles, signed and bare: what is accepted holds strong, distinct keys and a policy that asks
 * for something, and its CAs of servers lie inside of it.
 */
#include "fields.h"
#include "fuzz_formats.h"

static void read_ca(struct gw_cbor *c, void *out)
{
    *(struct gw_span *)out = gw_cbor_bytes(c);
}

static void walk_server_cas(const struct gw_trust *t)
{
    struct gw_span der;
    uint32_t n = gw_list_count(t->server_cas);

    MUST((n == 0) == (t->server_cas.n == 0) && n <= GW_SERVER_CAS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        MUST(gw_list_read(t->server_cas, i, read_ca, &der) == GW_OK && der.n >= 1 && der.n <= 1024);
        MUST(der.p > t->server_cas.p && der.p + der.n <= t->server_cas.p + t->server_cas.n);
    }
    MUST(gw_list_read(t->server_cas, n, read_ca, &der) == GW_ERR_NOTHING);
}

static void walk(const struct gw_trust *t)
{
    struct gw_pubkey a, b;

    MUST(t->version > 0 && t->key_count >= 1 && t->key_count <= GW_KEYS_MAX);
    for (uint32_t i = 0; i < t->key_count; i++) {
        MUST(gw_trust_key(t, i, &a) == GW_OK);
        MUST(a.roles > 0 && a.roles < GW_ROLE_ROOT);
        MUST(a.algorithm == GW_ALG_ES256 ? a.x.n == 32 && a.y.n == 32 : a.x.n >= 256);
        for (uint32_t j = 0; j < i; j++) {
            MUST(gw_trust_key(t, j, &b) == GW_OK);
            MUST(a.x.n != b.x.n || memcmp(a.x.p, b.x.p, a.x.n) != 0);
        }
    }
    MUST(gw_trust_key(t, t->key_count, &a) == GW_ERR_NOTHING);
    MUST(t->policy_count >= 1 && t->policy_count <= GW_POLICY_MAX);
    for (uint32_t i = 0; i < t->policy_count; i++) {
        MUST(t->policy[i].count >= 1 && t->policy[i].roles > 0 && t->policy[i].roles < GW_ROLE_ROOT);
    }
    walk_server_cas(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_world *w = fuzz_world();
    struct gw_trust t;

    if (gw_trust_parse(&t, data, size) == GW_OK) {
        walk(&t);
    }
    if (gw_trust_open(&t, &w->crypto, &w->roots, data, size) == GW_OK) {
        MUST(size <= GW_TRUST_MAX);
        walk(&t);
    }
    return 0;
}
