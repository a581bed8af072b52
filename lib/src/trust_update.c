/*
 * trust_update.c - a newer trust bundle takes the place of the one in use, without ever outlawing what runs.
 *
 * Keeps true: the bundle in use is untouched until the new one was read back whole; the switch is one boot record; a
 * bundle that would refuse the running confirmed image waits for the record that confirms an image which it accepts.
 */
#include "slots.h"

/* Erases the free area and writes the bundle there. */
static GW_NOINLINE int write_bundle(const struct gw_device *dev, unsigned area, const uint8_t *cose, uint32_t n)
{
    uint32_t offset = 0;
    int status;

    do {
        status = gw_area_erase(dev->flash, dev->layout->trust[area], &offset);
    } while (status == GW_MORE);
    return status == GW_DONE ? gw_store_write(dev->flash, dev->layout->trust[area], cose, n) : status;
}

static bool readable(const struct gw_device *dev, unsigned area, uint8_t *memory)
{
    uint32_t n;

    return gw_store_read(dev->flash, dev->layout->trust[area], memory, GW_TRUST_MAX, &n) == GW_OK;
}

/* Would the new bundle, already on flash as `after` says, let the running image start? */
static GW_NOINLINE bool accepts_running(const struct gw_device *dev, const struct gw_boot_state *after, uint8_t *memory,
                                        size_t size)
{
    struct gw_manifest m;

    if (after->last > GW_SLOT_B) {
        return true; /* factory or recovery: exempt */
    }
    return gw_slot_verify(dev, after, (enum gw_slot)after->last, memory, size, &m, NULL) == GW_VERDICT_OK;
}

/* A bundle is compared with the newer of the one in use and the one that waits. GW_DONE: the same version. */
static GW_NOINLINE int check_newer(const struct gw_device *dev, const struct gw_boot_state *state, const uint8_t *cose,
                                   size_t n, uint8_t *memory)
{
    struct gw_trust in_use, offered;
    struct gw_identity id;
    struct gw_roots roots;
    struct gw_span bytes;
    uint32_t version = 0, epoch = 0;

    int err = gw_trust_load(dev, state, true, memory, &in_use, &id);
    if (err == GW_OK) {
        version = in_use.version;
        epoch = in_use.epoch;
    } else if (err != GW_ERR_TRUST_MISSING) {
        return err;
    }
    err = gw_identity_load(dev, memory + GW_TRUST_MAX, &id, &roots, &bytes);
    if (err == GW_OK) {
        err = gw_trust_open(&offered, dev->crypto, &roots, cose, n);
    }
    if (err != GW_OK) {
        return err;
    }
    if (offered.version == version && offered.epoch == epoch) {
        return GW_DONE;
    }
    return offered.version <= version || offered.epoch < epoch ? GW_ERR_TRUST_OLDER : GW_OK;
}

int gw_trust_update(const struct gw_device *dev, const uint8_t *cose, size_t n, uint8_t *memory, size_t size,
                    bool *pending)
{
    struct gw_boot_state state, after;

    if (n > GW_TRUST_MAX) {
        return GW_ERR_LIMIT;
    }
    if (size < GW_VERIFY_MEMORY) {
        return GW_ERR_SPACE;
    }
    int err = gw_device_state(dev, &state);
    if (err == GW_OK && state.last <= GW_SLOT_B && state.slot[state.last].state == GW_TRYING) {
        err = GW_ERR_NOT_CONFIRMED;
    }
    if (err == GW_OK) {
        err = check_newer(dev, &state, cose, n, memory);
    }
    if (err != GW_OK) {
        return err;
    }
    /* If the one in use is damaged the other one serves (gw_trust_load): then that one is not the free area. */
    bool damaged = !readable(dev, state.trust_active, memory) && readable(dev, state.trust_active ^ 1u, memory);
    if (state.trust_pending != 0 || damaged) { /* the one that waited is about to be overwritten */
        state.trust_active ^= damaged;
        state.trust_pending = 0;
        err = gw_slots_save(dev, &state);
    }
    if (err == GW_OK) {
        err = write_bundle(dev, state.trust_active ^ 1u, cose, (uint32_t)n);
    }
    if (err != GW_OK) {
        return err;
    }
    after = state;
    after.trust_active ^= 1u;
    *pending = !accepts_running(dev, &after, memory, size);
    if (*pending) {
        state.trust_pending = 1;
        return gw_slots_save(dev, &state);
    }
    return gw_slots_save(dev, &after);
}
