/*
 * boot.c - the bootloader's portable part: mount, decide, verify what the decision asks for, record, hand over.
 *
 * Keeps true: an image on trial starts only after its attempt was recorded; when recording fails, a confirmed image
 * starts all the same and says so. No policy here: lib/src/decide.c. The port adds reset cause, watchdog and the jump.
 */
#include "slots.h"

#include <string.h>

/* What boot knows while it decides. */
struct boot {
    const struct gw_device *dev;
    uint8_t *memory;
    size_t size;
    struct gw_boot_state state;
    struct gw_manifest manifest; /* of the slot that was looked at last, `looked` */
    enum gw_slot looked;
    enum gw_verdict verdict[3];
    int reason[3]; /* why a slot was not OK */
};

/* What a slot holds, whatever the journal said: for rebuilding it. b->state says which bundle to use, and no more. */
static void look_into(struct boot *b, unsigned slot, struct gw_slot_state *found)
{
    const struct gw_manifest *m = &b->manifest;

    memset(found, 0, sizeof *found);
    if (gw_slot_verify(b->dev, &b->state, (enum gw_slot)slot, b->memory, b->size, &b->manifest, &b->reason[slot]) ==
        GW_VERDICT_OK) {
        found->order = m->order;
        found->floor = m->floor;
        memcpy(found->digest, m->digest, sizeof found->digest);
    }
}

/* The version of the bundle in a trust area; 0: none that the roots signed. */
static GW_NOINLINE uint32_t bundle_version(struct boot *b, unsigned area)
{
    struct gw_trust trust;
    struct gw_identity id;
    struct gw_roots roots;
    struct gw_span bytes;
    uint32_t n = 0;

    if (gw_identity_load(b->dev, b->memory + GW_TRUST_MAX, &id, &roots, &bytes) != GW_OK ||
        gw_store_read(b->dev->flash, b->dev->layout->trust[area], b->memory, GW_TRUST_MAX, &n) != GW_OK ||
        gw_trust_open(&trust, b->dev->crypto, &roots, b->memory, n) != GW_OK) {
        return 0;
    }
    return trust.version;
}

/*
 * The journal was lost: state from what lies in the slots. The newest bundle that accepts an image is in use; a newer
 * one that accepts none (it was pending) waits again.
 */
static GW_NOINLINE void rebuild(struct boot *b)
{
    struct gw_slot_state found[2];
    unsigned newest = bundle_version(b, 1) > bundle_version(b, 0);
    unsigned area = newest;

    memset(&b->state, 0, sizeof b->state);
    for (unsigned try = 0; try < 2; try++) {
        b->state.trust_active = (uint8_t)(area = newest ^ try);
        look_into(b, 0, &found[0]);
        look_into(b, 1, &found[1]);
        if (found[0].order.sequence != 0 || found[1].order.sequence != 0) {
            break;
        }
    }
    bool none = found[0].order.sequence == 0 && found[1].order.sequence == 0;
    gw_slots_rebuild(found, &b->state);
    b->state.trust_active = (uint8_t)(none ? newest : area);
    b->state.trust_pending = (uint8_t)(!none && area != newest);
    if (none) {
        b->state.reason = 0; /* a new device, or one that has nothing left to lose */
    }
}

/* A slot that was just rejected because of its check gets the check's own reason. */
static void name_reasons(const struct boot *b, struct gw_boot_state *next)
{
    for (unsigned i = 0; i < 2; i++) {
        bool condemned = next->slot[i].state == GW_REJECTED && b->state.slot[i].state != GW_REJECTED;
        if (condemned && b->reason[i] != GW_OK) {
            next->slot[i].reason = (uint8_t)-b->reason[i];
            next->reason = next->slot[i].reason;
        }
    }
}

/* The factory image, by the identity; the image of another slot, by the manifest that was verified a moment ago. */
static GW_NOINLINE int find_image(struct boot *b, enum gw_slot slot, struct gw_image *image)
{
    struct gw_area area = b->dev->layout->factory;
    struct gw_component c = { .kind = 0 };
    struct gw_variant v;
    struct gw_identity id;
    struct gw_span bytes;
    uint32_t index;
    int err = GW_OK;

    if (slot == GW_SLOT_FACTORY) {
        err = gw_identity_load(b->dev, b->memory, &id, NULL, &bytes);
        v.size = id.factory_size;
        memcpy(v.digest, id.factory_digest, sizeof v.digest);
    } else {
        for (uint32_t i = 0; err == GW_OK && c.kind != GW_KIND_BOOTABLE; i++) {
            err = gw_manifest_component(&b->manifest, i, &c);
        }
        err = err == GW_OK ? gw_component_area(b->dev, slot, GW_KIND_BOOTABLE, c.id, &area) : err;
        err = err == GW_OK ? gw_variant_for(&c, area.start, &v, &index) : err;
    }
    if (err == GW_OK) {
        image->address = area.start;
        image->size = v.size;
        memcpy(image->digest, v.digest, sizeof image->digest);
    }
    return err;
}

/* Verifies a slot for a decision. */
static void verify(struct boot *b, enum gw_slot slot)
{
    b->verdict[slot] = gw_slot_verify(b->dev, &b->state, slot, b->memory, b->size, &b->manifest, &b->reason[slot]);
    b->looked = slot;
}

/* Asks for a decision, verifies what it asks for, until it says what to start. */
static void decide(struct boot *b, enum gw_cause cause, struct gw_decision *d)
{
    for (;;) {
        gw_boot_decide(&b->state, cause, b->verdict, d);
        if (d->action != GW_ACTION_VERIFY) {
            return;
        }
        verify(b, d->slot);
    }
}

static void hand_over(const struct boot *b, const struct gw_decision *d, enum gw_cause cause, struct gw_handover *h)
{
    memset(h, 0, sizeof *h);
    h->slot = (uint8_t)d->slot;
    h->recovery = d->recovery;
    h->cause = (uint8_t)cause;
    h->reason = d->state.reason;
    h->bootloader = b->dev->bootloader;
    if (d->slot <= GW_SLOT_B) {
        h->state = d->state.slot[d->slot].state;
        h->attempt = h->state == GW_TRYING ? d->state.slot[d->slot].weight : 0;
    }
    for (unsigned i = 0; i < 2; i++) { /* a confirmed image that was passed over is news */
        if (i != d->slot && b->reason[i] != GW_OK && b->state.slot[i].state == GW_CONFIRMED) {
            h->reason = (uint8_t)-b->reason[i];
        }
    }
}

/* Records the decision. An image on trial does not start unrecorded: then the next best one is chosen. */
static int record(struct boot *b, enum gw_cause cause, struct gw_decision *d)
{
    name_reasons(b, &d->state);
    if (!d->changed) {
        return GW_OK;
    }
    int err = gw_slots_save(b->dev, &d->state);
    if (err != GW_OK && d->watchdog) {
        b->verdict[d->slot] = GW_VERDICT_UNREADABLE;
        decide(b, cause, d);
    }
    return err;
}

/* Decides, records, fills the hand-over. `err`: what mounting the journal said; it may be readable all the same. */
static GW_NOINLINE int choose(struct boot *b, enum gw_cause cause, int err, bool rebuilt, struct gw_handover *h,
                              bool *watchdog, struct gw_image *image)
{
    struct gw_decision d;

    decide(b, cause, &d);
    d.changed = d.changed || rebuilt;
    int failed = record(b, cause, &d);
    failed = err != GW_OK ? err : failed;
    hand_over(b, &d, cause, h);
    if (failed != GW_OK) {
        h->reason = (uint8_t)-failed;
    }
    *watchdog = d.watchdog;
    if (d.action != GW_ACTION_START) {
        return GW_ERR_NO_IMAGE;
    }
    if (image != NULL && b->looked != d.slot) {
        verify(b, d.slot); /* its manifest is wanted again: another slot was looked at since */
    }
    return image == NULL ? GW_OK : find_image(b, d.slot, image);
}

int gw_boot_run(const struct gw_device *dev, enum gw_cause cause, uint8_t *memory, size_t size, struct gw_handover *h,
                bool *watchdog, struct gw_image *image)
{
    struct boot b = { .dev = dev, .memory = memory, .size = size, .looked = GW_SLOT_NONE };
    bool rebuilt = false;

    if (size < GW_VERIFY_MEMORY) {
        return GW_ERR_SPACE;
    }
    /* Not gw_device_mount(): the layout of a bootloader is constant, and was checked when the product was made. */
    int err = gw_journal_mount(dev->journal, dev->flash, dev->layout->journal);
    if (gw_device_state(dev, &b.state) != GW_OK) {
        rebuild(&b);
        rebuilt = true;
    }
    if (dev->layout->factory.size == 0) {
        b.verdict[GW_SLOT_FACTORY] = GW_VERDICT_BAD;
    }
    return choose(&b, cause, err, rebuilt, h, watchdog, image);
}

int gw_image_load(const struct gw_device *dev, const struct gw_image *image, void *to, size_t room)
{
    uint8_t digest[GW_DIGEST_SIZE];
    uint8_t *p = to;

    if (image->size > room || image->size == 0) {
        return GW_ERR_SLOT_SMALL;
    }
    for (uint32_t at = 0; at < image->size; at += 4096) {
        uint32_t n = image->size - at < 4096 ? image->size - at : 4096;
        int err = gw_flash_read(dev->flash, image->address + at, p + at, n);
        if (err != GW_OK) {
            return err;
        }
        if (dev->flash->idle != NULL) {
            dev->flash->idle(dev->flash->ctx);
        }
    }
    int err = gw_sha256(dev->crypto, p, image->size, digest);
    if (err != GW_OK) {
        return err;
    }
    return gw_equal(digest, image->digest, sizeof digest) && memcmp(image->digest, digest, sizeof digest) == 0
               ? GW_OK : GW_ERR_IMAGE_DIGEST;
}

void gw_handover_encode(const struct gw_handover *h, uint8_t bytes[GW_HANDOVER_SIZE])
{
    bytes[0] = 'G';
    bytes[1] = 1; /* version */
    bytes[2] = h->slot;
    bytes[3] = h->state;
    bytes[4] = h->attempt;
    bytes[5] = h->recovery;
    bytes[6] = h->cause;
    bytes[7] = h->reason;
    gw_put32(bytes + 8, h->bootloader);
    gw_put32(bytes + 12, gw_crc32(0, bytes, 12));
}

int gw_handover_decode(struct gw_handover *h, const uint8_t bytes[GW_HANDOVER_SIZE])
{
    if (bytes[0] != 'G' || gw_get32(bytes + 12) != gw_crc32(0, bytes, 12)) {
        return GW_ERR_FORMAT;
    }
    if (bytes[1] != 1) {
        return GW_ERR_VERSION;
    }
    *h = (struct gw_handover){ bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7], gw_get32(bytes + 8) };
    return h->slot > GW_SLOT_NONE || h->state > GW_REJECTED || h->recovery > 1 ? GW_ERR_VALUE : GW_OK;
}
