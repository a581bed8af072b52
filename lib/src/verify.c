/*
 * verify.c - is what lies in a slot a release that this device may start?
 *
 * Keeps true: signatures are checked before anything of manifest or bundle is used; an image counts only with the
 * digest that was signed; nothing is condemned that was read only once. Writes nothing.
 */
#include "slots.h"

#include <string.h>

#define PIECE 256u /* bytes of an image hashed at a time */

int gw_identity_load(const struct gw_device *dev, uint8_t *memory, struct gw_identity *id, struct gw_roots *roots,
                     struct gw_span *bytes)
{
    uint32_t n = 0;

    int err = gw_store_read(dev->flash, dev->layout->identity, memory, GW_IDENTITY_MAX, &n);
    *bytes = (struct gw_span){ memory, n };
    return err == GW_OK ? gw_identity_parse(id, roots, memory, n) : err;
}

GW_NOINLINE int gw_trust_load(const struct gw_device *dev, const struct gw_boot_state *state, bool pending,
                              uint8_t *memory, struct gw_trust *trust, struct gw_identity *id)
{
    struct gw_roots roots;
    struct gw_span bytes;
    uint32_t n = 0;
    unsigned area = state->trust_active ^ (pending ? state->trust_pending : 0u);

    int err = gw_identity_load(dev, memory + GW_TRUST_MAX, id, &roots, &bytes);
    for (unsigned try = 0; err == GW_OK && try < 2; try++, area ^= 1u) {
        err = gw_store_read(dev->flash, dev->layout->trust[area], memory, GW_TRUST_MAX, &n);
        if (err == GW_OK) {
            err = gw_trust_open(trust, dev->crypto, &roots, memory, n);
        }
        if (err == GW_OK) {
            return GW_OK;
        }
        err = try == 0 ? GW_OK : err; /* a damaged bundle must not take every image with it: the other one serves */
    }
    return err == GW_ERR_NOTHING ? GW_ERR_TRUST_MISSING : err;
}

int gw_component_area(const struct gw_device *dev, enum gw_slot slot, uint32_t kind, uint32_t id, struct gw_area *area)
{
    struct gw_slot_map map;

    if (kind == GW_KIND_BOOTABLE) {
        int err = gw_layout_slot(dev->flash, dev->layout, slot, &map);
        *area = map.image;
        return err;
    }
    for (uint32_t i = 0; i < dev->layout->data_count; i++) {
        if (dev->layout->data[i].component == id) {
            *area = dev->layout->data[i].area[slot == GW_SLOT_B];
            return GW_OK;
        }
    }
    return GW_ERR_COMPONENT;
}

int gw_variant_for(const struct gw_component *c, uint32_t address, struct gw_variant *v, uint32_t *index)
{
    for (uint32_t i = 0; i < c->variant_count; i++) {
        int err = gw_component_variant(c, i, v);
        if (err != GW_OK) {
            return err;
        }
        if (!v->linked || v->address == address) {
            *index = i;
            return GW_OK;
        }
    }
    return GW_ERR_NO_VARIANT;
}

/* Hashes n bytes of an area and compares: GW_OK, GW_ERR_IMAGE_DIGEST, GW_ERR_FLASH_READ, ... */
static GW_NOINLINE int check_digest(const struct gw_device *dev, struct gw_area area, uint32_t n,
                                    const uint8_t expected[32])
{
    uint8_t piece[PIECE], digest[GW_DIGEST_SIZE];
    const struct gw_crypto *c = dev->crypto;
    struct gw_sha256 h;

    if (n == 0 || n > area.size) {
        return GW_ERR_SLOT_SMALL;
    }
    if (c->sha256_start(c->ctx, &h) != 0) {
        return GW_ERR_CRYPTO;
    }
    for (uint32_t at = 0; at < n; at += PIECE) {
        uint32_t length = n - at < PIECE ? n - at : PIECE;
        int err = gw_flash_read(dev->flash, area.start + at, piece, length);
        if (err != GW_OK) {
            return err;
        }
        if (c->sha256_update(c->ctx, &h, piece, length) != 0) {
            return GW_ERR_CRYPTO;
        }
        if (at % 4096 == 0 && dev->flash->idle != NULL) {
            dev->flash->idle(dev->flash->ctx);
        }
    }
    if (c->sha256_finish(c->ctx, &h, digest) != 0) {
        return GW_ERR_CRYPTO;
    }
    /* Twice, in two ways: one skipped instruction does not make a wrong image right. */
    if (!gw_equal(digest, expected, sizeof digest) || memcmp(expected, digest, sizeof digest) != 0) {
        return GW_ERR_IMAGE_DIGEST;
    }
    return GW_OK;
}

static GW_NOINLINE int check_component(const struct gw_device *dev, enum gw_slot slot, const struct gw_component *c)
{
    struct gw_variant v;
    struct gw_area area;
    uint32_t index;

    int err = gw_component_area(dev, slot, c->kind, c->id, &area);
    if (err == GW_OK) {
        err = gw_variant_for(c, area.start, &v, &index);
    }
    return err == GW_OK ? check_digest(dev, area, v.size, v.digest) : err;
}

static GW_NOINLINE int check_factory(const struct gw_device *dev, uint8_t *memory)
{
    struct gw_identity id;
    struct gw_span bytes;

    if (dev->layout->factory.size == 0) {
        return GW_ERR_NOTHING;
    }
    int err = gw_identity_load(dev, memory, &id, NULL, &bytes);
    if (err == GW_OK && id.factory_size == 0) {
        err = GW_ERR_NOTHING;
    }
    return err == GW_OK ? check_digest(dev, dev->layout->factory, id.factory_size, id.factory_digest) : err;
}

/* Reads and verifies the manifest of a slot, for this device. */
static GW_NOINLINE int check_manifest(const struct gw_device *dev, const struct gw_boot_state *state,
                                      enum gw_slot slot, uint8_t *memory, struct gw_manifest *m)
{
    const struct gw_slot_state *s = &state->slot[slot == GW_SLOT_B];
    uint8_t *manifest = memory + GW_TRUST_MAX;
    struct gw_slot_map map;
    struct gw_trust trust;
    struct gw_identity id;
    uint32_t n = 0;

    bool on_trial = s->state == GW_STAGED || s->state == GW_TRYING;
    int err = gw_trust_load(dev, state, on_trial, memory, &trust, &id);
    if (err == GW_OK) {
        err = gw_layout_slot(dev->flash, dev->layout, slot, &map);
    }
    if (err == GW_OK) {
        err = gw_store_read(dev->flash, map.manifest, manifest, GW_MANIFEST_MAX, &n);
    }
    if (err == GW_OK) {
        err = gw_manifest_open(m, dev->crypto, &trust, manifest, n);
    }
    return err == GW_OK ? gw_manifest_suits(m, &id, state->floor) : err;
}

static int check_slot(const struct gw_device *dev, const struct gw_boot_state *state, enum gw_slot slot,
                      uint8_t *memory, struct gw_manifest *m)
{
    const struct gw_slot_state *s = &state->slot[slot == GW_SLOT_B];

    int err = check_manifest(dev, state, slot, memory, m);
    /* The journal says which release was staged here; another one, however well signed, was not. */
    if (err == GW_OK && s->state != GW_EMPTY && memcmp(m->digest, s->digest, GW_DIGEST_SIZE) != 0) {
        err = GW_ERR_IMAGE_DIGEST;
    }
    for (uint32_t i = 0; err == GW_OK && i < m->component_count; i++) {
        struct gw_component c;
        err = gw_manifest_component(m, i, &c);
        if (err == GW_OK) {
            err = check_component(dev, slot, &c);
        }
    }
    return err;
}

enum gw_verdict gw_slot_verify(const struct gw_device *dev, const struct gw_boot_state *state, enum gw_slot slot,
                               uint8_t *memory, size_t size, struct gw_manifest *m, int *reason)
{
    int err = GW_ERR_SPACE;

    for (unsigned try = 0; err != GW_OK && try < 2 && size >= GW_VERIFY_MEMORY; try++) {
        err = slot == GW_SLOT_FACTORY ? check_factory(dev, memory)
                                      : check_slot(dev, state, slot, memory, m);
    }
    if (reason != NULL) {
        *reason = err;
    }
    if (err == GW_OK) {
        return GW_VERDICT_OK;
    }
    /* No verdict on the image: the flash, the crypto library or the caller's memory failed. */
    bool unreadable = err == GW_ERR_FLASH_READ || err == GW_ERR_CRYPTO || err == GW_ERR_SPACE;
    return unreadable ? GW_VERDICT_UNREADABLE : GW_VERDICT_BAD;
}
