/*
 * manifest.c - manifests (SPEC.md, section 4): what a release is made of.
 *
 * What it keeps true: nothing is read from a manifest before its signatures satisfy the policy; a manifest that was
 * opened has been walked whole, with the same readers that the accessors use, so that these cannot fail on it later.
 * Whether a release suits a device is said in plan.c.
 */
#include <string.h>

#include "cose.h"
#include "fields.h"

#define NEEDED(kind) (GW_FIELD_##kind | GW_FIELD_NEEDED)
#define ENCODING_MAX 31u /* gw_facts.encodings has a bit for each */
#define FRAME_MIN 256u
#define FRAME_LARGEST 65536u
#define FRAME_MULTIPLE 64u

#define AT(field) offsetof(struct gw_manifest, field)
static const struct gw_field manifest_fields[] = {
    { 1, NEEDED(VERSION), 0, 1, 0 },
    { 2, NEEDED(U32), AT(order.epoch), 0, 0 },
    { 3, NEEDED(U32), AT(order.sequence), 1, 0 },
    { 4, NEEDED(TEXT), AT(version), 1, 64 },
    { 5, NEEDED(FIXED), AT(vendor), 0, GW_UUID_SIZE },
    { 6, NEEDED(FIXED), AT(class_id), 0, GW_UUID_SIZE },
    { 7, NEEDED(LIST), AT(components), AT(component_count), GW_COMPONENTS_MAX },
    { 8, GW_FIELD_U32, AT(floor), 0, 0 },
    { 9, GW_FIELD_U32, AT(use_before), 1, 0 },
    { 10, GW_FIELD_LIST, AT(devices), AT(device_count), 0 },
    { 11, GW_FIELD_LIST, AT(dependencies), AT(dependency_count), 0 },
    { 12, GW_FIELD_BYTES, AT(key_check), 8, 8 },
    { 13, GW_FIELD_TEXT, AT(notes), 1, 0 },
};
#undef AT

#define AT(field) offsetof(struct gw_component, field)
static const struct gw_field component_fields[] = {
    { 1, NEEDED(U32), AT(id), 0, 0 },
    { 2, NEEDED(U32), AT(kind), GW_KIND_BOOTABLE, GW_KIND_DATA },
    { 3, NEEDED(LIST), AT(variants), AT(variant_count), 0 },
};
#undef AT

#define AT(field) offsetof(struct gw_variant, field)
static const struct gw_field variant_fields[] = {
    { 1, GW_FIELD_U32, AT(address), 0, 0 },
    { 2, NEEDED(FIXED), AT(digest), 0, GW_DIGEST_SIZE },
    { 3, NEEDED(U32), AT(size), 1, 0 },
    { 4, NEEDED(LIST), AT(payloads), AT(payload_count), 0 },
};
#define VARIANT_LINKED (1u << 0)
#undef AT

#define AT(field) offsetof(struct gw_payload, field)
static const struct gw_field payload_fields[] = {
    { 1, NEEDED(FIXED), AT(name), 0, GW_DIGEST_SIZE },
    { 2, NEEDED(U32), AT(size), 1, 0 },
    { 3, NEEDED(FIXED), AT(head), 0, GW_DIGEST_SIZE },
    { 4, NEEDED(U32), AT(frame_size), FRAME_MIN, 0 },
    { 5, NEEDED(U32), AT(encoding), 0, ENCODING_MAX },
    { 6, GW_FIELD_FIXED, AT(precursor), 0, GW_DIGEST_SIZE },
    { 7, GW_FIELD_CIPHER, AT(cipher), 0, 0 },
    { 8, GW_FIELD_U32, AT(decoder_ram), 0, 0 },
};
#define PAYLOAD_DELTA (1u << 5)
#undef AT

uint32_t gw_payload_content(const struct gw_payload *p)
{
    uint32_t full = p->frame_size + GW_DIGEST_SIZE;
    uint32_t hashes = p->size == 0 ? 0 : (p->size - 1) / full * GW_DIGEST_SIZE;
    uint32_t last = p->size == 0 ? 0 : (p->size - 1) % full + 1;

    return last > p->frame_size ? 0 : p->size - hashes;
}

/* ---- Readers, used by the walk and by the accessors ---- */

static void read_component(struct gw_cbor *c, void *out)
{
    (void)GW_FIELDS(c, out, component_fields);
}

static void read_variant(struct gw_cbor *c, void *out)
{
    struct gw_variant *v = out;
    memset(v, 0, sizeof *v);
    v->linked = (GW_FIELDS(c, v, variant_fields) & VARIANT_LINKED) != 0;
}

static void read_payload(struct gw_cbor *c, void *out)
{
    struct gw_payload *p = out;
    memset(p, 0, sizeof *p);
    p->delta = (GW_FIELDS(c, p, payload_fields) & PAYLOAD_DELTA) != 0;
    if (p->frame_size > FRAME_LARGEST || p->frame_size % FRAME_MULTIPLE != 0 || gw_payload_content(p) == 0 ||
        (p->encoding == GW_ENCODING_RAW && (p->delta || p->decoder_ram != 0))) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
}

static void read_dependency(struct gw_cbor *c, void *out)
{
    struct gw_dependency *d = out;
    uint32_t n = gw_cbor_array(c);

    if (n - 2 > 1) {
        gw_cbor_fail(c, GW_ERR_FORMAT);
    }
    d->kind = gw_cbor_u32(c);
    d->min = gw_cbor_u32(c);
    d->max = n == 3 ? gw_cbor_u32(c) : UINT32_MAX;
    if (d->kind - GW_DEPENDS_HARDWARE > GW_DEPENDS_INSTALLED - GW_DEPENDS_HARDWARE || d->min > d->max) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
}

int gw_manifest_component(const struct gw_manifest *m, uint32_t i, struct gw_component *c)
{
    return gw_list_read(m->components, i, read_component, c);
}

int gw_component_variant(const struct gw_component *c, uint32_t i, struct gw_variant *v)
{
    return gw_list_read(c->variants, i, read_variant, v);
}

int gw_variant_payload(const struct gw_variant *v, uint32_t i, struct gw_payload *p)
{
    return gw_list_read(v->payloads, i, read_payload, p);
}

int gw_manifest_device(const struct gw_manifest *m, uint32_t i, struct gw_span *device_id)
{
    return gw_list_read(m->devices, i, gw_read_device_id, device_id);
}

int gw_manifest_dependency(const struct gw_manifest *m, uint32_t i, struct gw_dependency *d)
{
    return gw_list_read(m->dependencies, i, read_dependency, d);
}

/* ---- The walk over everything ---- */

struct walk {
    uint32_t id[GW_COMPONENTS_MAX];
    uint32_t ids;
    uint32_t bootable;
    uint32_t image_size; /* of the current variant */
    bool encrypted;      /* some payload is */
};

static void walk_payload(struct gw_cbor *c, void *ctx)
{
    struct walk *walk = ctx;
    struct gw_payload p;

    read_payload(c, &p);
    walk->encrypted = walk->encrypted || p.cipher != 0;
    if (p.encoding == GW_ENCODING_RAW && gw_payload_content(&p) != walk->image_size) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
}

static void walk_variant(struct gw_cbor *c, void *ctx)
{
    struct walk *walk = ctx;
    struct gw_variant v;

    read_variant(c, &v);
    walk->image_size = v.size;
    gw_list_walk(c, v.payloads, walk_payload, walk);
}

static void walk_component(struct gw_cbor *c, void *ctx)
{
    struct walk *walk = ctx;
    struct gw_component o;

    read_component(c, &o);
    if (c->error != GW_OK) {
        return;
    }
    for (uint32_t i = 0; i < walk->ids; i++) {
        if (walk->id[i] == o.id) {
            gw_cbor_fail(c, GW_ERR_VALUE);
        }
    }
    walk->id[walk->ids++] = o.id;
    walk->bootable += o.kind == GW_KIND_BOOTABLE;
    gw_list_walk(c, o.variants, walk_variant, walk);
}

/* Into the caller's object at once, not by way of a copy: this is the deepest place of every stack. */
int gw_manifest_parse(struct gw_manifest *m, const uint8_t *map, size_t n)
{
    struct walk walk;
    struct gw_span id;
    struct gw_dependency dependency;
    struct gw_cbor c;
    int error;

    memset(m, 0, sizeof *m);
    memset(&walk, 0, sizeof walk);
    gw_cbor_init(&c, map, n);
    (void)GW_FIELDS(&c, m, manifest_fields);
    gw_list_walk(&c, m->components, walk_component, &walk);
    gw_list_walk(&c, m->devices, gw_read_device_id, &id);
    gw_list_walk(&c, m->dependencies, read_dependency, &dependency);
    if (walk.bootable != 1 || walk.encrypted != (m->key_check.n != 0)) {
        gw_cbor_fail(&c, GW_ERR_VALUE);
    }
    if (m->floor > m->order.sequence) {
        gw_cbor_fail(&c, GW_ERR_FLOOR_ABOVE);
    }
    error = gw_cbor_end(&c);
    m->bytes.p = map;
    m->bytes.n = n;
    if (error != GW_OK) {
        memset(m, 0, sizeof *m);
    }
    return error;
}

int gw_manifest_open(struct gw_manifest *m, const struct gw_crypto *crypto, const struct gw_trust *trust,
                     const uint8_t *cose, size_t n)
{
    struct gw_keyring ring = { crypto, trust, NULL };
    struct gw_span map;
    int error = n > GW_MANIFEST_MAX ? GW_ERR_LIMIT
                                    : gw_cose_verify(&ring, GW_TYPE_MANIFEST, trust->policy, trust->policy_count, cose,
                                                     n, &map);
    if (error == GW_OK) {
        error = gw_manifest_parse(m, map.p, map.n);
    }
    if (error == GW_OK && m->order.epoch > trust->epoch) {
        error = GW_ERR_EPOCH;
    }
    if (error == GW_OK) {
        error = gw_sha256(crypto, map.p, map.n, m->digest);
    }
    if (error != GW_OK) {
        memset(m, 0, sizeof *m);
    }
    return error;
}
