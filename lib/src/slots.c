/*
 * slots.c - the state of the slots as one journal record, and the few ways in which it changes outside of boot.
 *
 * Keeps true: every change is one record, so it happened or it did not; the floor never falls; a slot is EMPTY before
 * its first byte is erased. Does not decide what boots: decide.c.
 */
#include "slots.h"

#include <string.h>

/* The boot record behind its version byte: where each field lies in the struct, and its size. */
#define FIELD(name, bytes) GW_PACKED(gw_boot_state, name, bytes)
#define SLOT(i)                                                                                                        \
    FIELD(slot[i].state, 1), FIELD(slot[i].weight, 1), FIELD(slot[i].reason, 1), FIELD(slot[i].order.epoch, 4),        \
        FIELD(slot[i].order.sequence, 4), FIELD(slot[i].floor, 4), FIELD(slot[i].digest, GW_DIGEST_SIZE)
static const struct gw_packed fields[] = {
    SLOT(0),        SLOT(1),
    FIELD(floor.epoch, 4), FIELD(floor.sequence, 4), FIELD(last, 1), FIELD(trust_active, 1),
    FIELD(trust_pending, 1), FIELD(reason, 1),
};
#undef SLOT
#undef FIELD
#define FIELDS (sizeof fields / sizeof fields[0])
_Static_assert(sizeof(struct gw_boot_state) < 256, "offsets in the table above are bytes");

void gw_boot_state_encode(const struct gw_boot_state *s, uint8_t body[GW_BOOT_RECORD])
{
    struct gw_boot_state copy = *s;

    body[0] = 1; /* version of this record */
    (void)gw_pack(fields, FIELDS, &copy, body + 1, true);
}

int gw_boot_state_decode(struct gw_boot_state *s, const uint8_t *body, uint32_t n)
{
    uint8_t copy[GW_BOOT_RECORD];

    if (n != GW_BOOT_RECORD || body[0] != 1) {
        return GW_ERR_VERSION;
    }
    memcpy(copy, body, n);
    memset(s, 0, sizeof *s);
    (void)gw_pack(fields, FIELDS, s, copy + 1, false);
    bool known = s->slot[0].state <= GW_REJECTED && s->slot[1].state <= GW_REJECTED && s->last <= GW_SLOT_NONE &&
                 s->trust_active <= 1 && s->trust_pending <= 1;
    return known ? GW_OK : GW_ERR_VALUE;
}

int gw_device_state(const struct gw_device *dev, struct gw_boot_state *state)
{
    uint8_t body[GW_BOOT_RECORD];
    uint32_t n = 0;

    if (dev->boot != NULL) {
        return dev->boot->state(dev->boot->ctx, state);
    }
    int err = gw_journal_get(dev->journal, GW_REC_BOOT, body, sizeof body, &n);
    return err == GW_OK ? gw_boot_state_decode(state, body, n) : err;
}

int gw_slots_save(const struct gw_device *dev, const struct gw_boot_state *s)
{
    uint8_t body[GW_BOOT_RECORD];

    gw_boot_state_encode(s, body);
    int err = gw_journal_put(dev->journal, GW_REC_BOOT, body, sizeof body);
    return err == GW_OK ? gw_journal_settle(dev->journal) : err;
}

/* Was the image in this slot tried and left? One that merely failed its check at boot may be installed again. */
static bool tried_and_left(const struct gw_slot_state *slot)
{
    return slot->state == GW_REJECTED && slot->reason >= -GW_ERR_TRIES_USED;
}

uint32_t gw_slots_rejected(const struct gw_device *dev, const struct gw_boot_state *s,
                           uint8_t digest[GW_REJECTED_MAX + 2][GW_DIGEST_SIZE])
{
    uint32_t n = 0;

    if (gw_journal_get(dev->journal, GW_REC_REJECTED, digest[0], GW_REJECTED_MAX * GW_DIGEST_SIZE, &n) != GW_OK) {
        n = 0;
    }
    n /= GW_DIGEST_SIZE;
    for (unsigned i = 0; i < 2; i++) {
        if (tried_and_left(&s->slot[i])) {
            memcpy(digest[n++], s->slot[i].digest, GW_DIGEST_SIZE);
        }
    }
    return n;
}

/* A rejected manifest must stay known when its slot is used again. The oldest of the list is dropped. */
static int remember_rejected(const struct gw_device *dev, const struct gw_slot_state *slot)
{
    uint8_t list[GW_REJECTED_MAX][GW_DIGEST_SIZE];
    uint32_t n = 0;

    if (!tried_and_left(slot)) {
        return GW_OK;
    }
    if (gw_journal_get(dev->journal, GW_REC_REJECTED, list[0], sizeof list, &n) != GW_OK) {
        n = 0;
    }
    for (uint32_t i = 0; i < n / GW_DIGEST_SIZE; i++) {
        if (memcmp(list[i], slot->digest, GW_DIGEST_SIZE) == 0) {
            return GW_OK;
        }
    }
    if (n == sizeof list) {
        n -= GW_DIGEST_SIZE;
        memmove(list[0], list[1], n);
    }
    memcpy(list[0] + n, slot->digest, GW_DIGEST_SIZE);
    return gw_journal_put(dev->journal, GW_REC_REJECTED, list[0], n + GW_DIGEST_SIZE);
}

int gw_slots_clear(const struct gw_device *dev, enum gw_slot slot)
{
    struct gw_boot_state s;

    if (dev->boot != NULL) {
        return dev->boot->clear(dev->boot->ctx, slot);
    }
    int err = gw_device_state(dev, &s);
    if (err == GW_OK) {
        err = remember_rejected(dev, &s.slot[slot]);
    }
    if (err != GW_OK) {
        return err;
    }
    s.slot[slot] = (struct gw_slot_state){ .state = GW_EMPTY };
    return gw_slots_save(dev, &s);
}

int gw_slots_stage(const struct gw_device *dev, enum gw_slot slot, const struct gw_slot_state *release)
{
    struct gw_boot_state s;

    if (dev->boot != NULL) {
        return dev->boot->stage(dev->boot->ctx, slot, release);
    }
    int err = gw_device_state(dev, &s);
    if (err != GW_OK) {
        return err;
    }
    s.slot[slot] = *release;
    s.slot[slot].state = GW_STAGED;
    s.reason = 0; /* of an image before this one: whoever installed had the time to tell */
    return gw_slots_save(dev, &s);
}

int gw_device_confirm(const struct gw_device *dev)
{
    struct gw_boot_state s;

    if (dev->boot != NULL) {
        return dev->boot->confirm(dev->boot->ctx);
    }
    int err = gw_device_state(dev, &s);
    if (err != GW_OK) {
        return err;
    }
    if (s.last > GW_SLOT_B) {
        return GW_ERR_STATE;
    }
    struct gw_slot_state *mine = &s.slot[s.last], *other = &s.slot[s.last ^ 1u];
    if (mine->state != GW_TRYING) {
        return mine->state == GW_CONFIRMED || mine->state == GW_PREVIOUS ? GW_OK : GW_ERR_STATE;
    }
    mine->state = GW_CONFIRMED;
    mine->weight = 0;
    if (other->state == GW_CONFIRMED) {
        other->state = GW_PREVIOUS;
    }
    struct gw_order floor = { mine->order.epoch, mine->floor };
    if (mine->floor != 0 && gw_order_compare(floor, s.floor) > 0) {
        s.floor = floor;
    }
    s.trust_active ^= s.trust_pending;
    s.trust_pending = 0;
    s.reason = 0; /* what happened before this image is old news */
    return gw_slots_save(dev, &s);
}

int gw_device_reject(const struct gw_device *dev, int reason)
{
    struct gw_boot_state s;
    int sign = reason < 0 ? -1 : 1;

    if (reason * (int64_t)sign < -GW_ERR_TRIES_USED || reason * (int64_t)sign > -GW_ERR_CONFIRM_LATE) {
        return GW_ERR_VALUE;
    }
    uint8_t positive = (uint8_t)(reason * sign);
    if (dev->boot != NULL) {
        return dev->boot->reject(dev->boot->ctx, positive);
    }
    int err = gw_device_state(dev, &s);
    if (err != GW_OK) {
        return err;
    }
    if (s.last > GW_SLOT_B || s.slot[s.last].state != GW_TRYING) {
        return GW_ERR_STATE;
    }
    s.slot[s.last].state = GW_REJECTED;
    s.slot[s.last].reason = positive;
    s.reason = positive;
    return gw_slots_save(dev, &s);
}

int gw_device_steady(const struct gw_device *dev)
{
    struct gw_boot_state s;

    if (dev->boot != NULL) {
        return dev->boot->steady(dev->boot->ctx);
    }
    int err = gw_device_state(dev, &s);
    if (err != GW_OK || s.last > GW_SLOT_B || s.slot[s.last].state != GW_CONFIRMED || s.slot[s.last].weight == 0) {
        return err;
    }
    s.slot[s.last].weight = 0;
    return gw_slots_save(dev, &s);
}

void gw_slots_rebuild(const struct gw_slot_state verified[2], struct gw_boot_state *s)
{
    *s = (struct gw_boot_state){ .last = GW_SLOT_NONE, .reason = -GW_ERR_JOURNAL_LOST };
    unsigned newer = gw_order_compare(verified[1].order, verified[0].order) > 0;

    for (unsigned i = 0; i < 2; i++) {
        if (verified[i].order.sequence == 0) {
            continue;
        }
        /* The newer one may never have been confirmed: it is tried, with the older one to go back to. */
        bool alone = verified[i ^ 1u].order.sequence == 0;
        struct gw_order floor = { verified[i].order.epoch, verified[i].floor };
        s->slot[i] = verified[i];
        s->slot[i].state = i == newer && !alone ? GW_STAGED : GW_CONFIRMED;
        if (verified[i].floor != 0 && gw_order_compare(floor, s->floor) > 0) {
            s->floor = floor;
        }
    }
}

int gw_device_mount(const struct gw_device *dev)
{
    const struct gw_crypto *c = dev->crypto;

    if (dev->journal == NULL || dev->layout == NULL || c == NULL || c->sha256_start == NULL ||
        c->sha256_update == NULL || c->sha256_finish == NULL || c->verify == NULL) {
        return GW_ERR_CONFIG;
    }
    int err = gw_layout_check(dev->flash, dev->layout);
    return err == GW_OK ? gw_journal_mount(dev->journal, dev->flash, dev->layout->journal) : err;
}
