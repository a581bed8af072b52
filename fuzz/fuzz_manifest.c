/*
 * fuzz_manifest.c - manifests, signed and bare: what is accepted keeps every rule of SPEC.md section 4 when it is
 * walked again by the accessors.
 */
#include "fuzz_formats.h"

static bool encrypted;

static void payload(const struct gw_variant *v, uint32_t i)
{
    struct gw_payload p;
    uint32_t content;

    MUST(gw_variant_payload(v, i, &p) == GW_OK);
    content = gw_payload_content(&p);
    MUST(content > 0 && content <= p.size);
    MUST(p.frame_size >= 256 && p.frame_size <= 65536 && p.frame_size % 64 == 0);
    MUST(p.encoding <= 31);
    MUST(p.encoding != GW_ENCODING_RAW || (content == v->size && !p.delta && p.decoder_ram == 0));
    MUST(p.cipher == 0 || p.cipher == GW_ALG_A128CTR || p.cipher == GW_ALG_A256CTR);
    encrypted = encrypted || p.cipher != 0;
}

static uint32_t component(const struct gw_manifest *m, uint32_t i)
{
    struct gw_component c, other;
    struct gw_variant v;

    MUST(gw_manifest_component(m, i, &c) == GW_OK);
    for (uint32_t j = 0; j < i; j++) {
        MUST(gw_manifest_component(m, j, &other) == GW_OK && other.id != c.id);
    }
    MUST(c.variant_count > 0);
    for (uint32_t j = 0; j < c.variant_count; j++) {
        MUST(gw_component_variant(&c, j, &v) == GW_OK);
        MUST(v.size > 0 && v.payload_count > 0);
        for (uint32_t k = 0; k < v.payload_count; k++) {
            payload(&v, k);
        }
    }
    return c.kind == GW_KIND_BOOTABLE;
}

static void walk(const struct gw_manifest *m)
{
    struct gw_dependency d;
    struct gw_span id;
    uint32_t bootable = 0;

    encrypted = false;
    MUST(m->component_count >= 1 && m->component_count <= GW_COMPONENTS_MAX);
    for (uint32_t i = 0; i < m->component_count; i++) {
        bootable += component(m, i);
    }
    MUST(bootable == 1 && encrypted == (m->key_check.n == 8));
    MUST(m->floor <= m->order.sequence && m->order.sequence > 0);
    MUST(m->version.n >= 1 && m->version.n <= 64);
    for (uint32_t i = 0; i < m->device_count; i++) {
        MUST(gw_manifest_device(m, i, &id) == GW_OK && id.n >= 1 && id.n <= GW_DEVICE_ID_MAX);
    }
    for (uint32_t i = 0; i < m->dependency_count; i++) {
        MUST(gw_manifest_dependency(m, i, &d) == GW_OK && d.kind >= 1 && d.kind <= 3 && d.min <= d.max);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_world *w = fuzz_world();
    struct gw_manifest m;

    if (gw_manifest_parse(&m, data, size) == GW_OK) {
        walk(&m);
    }
    if (gw_manifest_open(&m, &w->crypto, &w->trust, data, size) == GW_OK) {
        MUST(m.order.epoch <= w->trust.epoch);
        walk(&m);
    }
    return 0;
}
