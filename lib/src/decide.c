/*
 * decide.c - which image starts: a pure function over the state of the slots, the reset cause and what was verified.
 *
 * Keeps true: only STAGED and TRYING become REJECTED by a failed check; a CONFIRMED or PREVIOUS slot that fails is
 * passed over for this boot and keeps its state; nothing starts without GW_VERDICT_OK; an image on trial starts only
 * in a state that counts the attempt. tests/unit/test_decide.c enumerates what it can do and
 * compares it with the diagram in SPEC.md, section 10.
 */
#include "slots.h"

#include <string.h>

/* What one reset weighs, in quarters: of an attempt of an image on trial; of a crash of a confirmed one. */
static const uint8_t weights[][2] = {
    [GW_CAUSE_UNKNOWN] = { 4, 1 },  [GW_CAUSE_POWER] = { 1, 0 }, [GW_CAUSE_WATCHDOG] = { 4, 4 },
    [GW_CAUSE_FAULT] = { 4, 4 },    [GW_CAUSE_SOFTWARE] = { 4, 0 }, [GW_CAUSE_PIN] = { 1, 0 },
    [GW_CAUSE_DEEP_SLEEP] = { 0, 0 },
};

static uint8_t add_weight(uint8_t weight, enum gw_cause cause, unsigned column, unsigned limit)
{
    unsigned known = (unsigned)cause < sizeof weights / sizeof weights[0] ? (unsigned)cause : GW_CAUSE_UNKNOWN;
    unsigned sum = weight + weights[known][column];

    return (uint8_t)(sum < limit ? sum : limit);
}

static void leave(struct gw_boot_state *s, unsigned slot, int reason)
{
    s->slot[slot].state = GW_REJECTED;
    s->slot[slot].reason = (uint8_t)-reason;
    s->reason = (uint8_t)-reason;
}

/* Charges the reset to the image that ran before it. */
static void charge(struct gw_boot_state *s, enum gw_cause cause)
{
    if (s->last > GW_SLOT_B) {
        return;
    }
    struct gw_slot_state *slot = &s->slot[s->last];
    if (slot->state == GW_TRYING) {
        slot->weight = add_weight(slot->weight, cause, 0, GW_BOOT_TRIES * 4);
        if (slot->weight >= GW_BOOT_TRIES * 4) {
            leave(s, s->last, GW_ERR_TRIES_USED);
        }
    } else if (slot->state == GW_CONFIRMED) {
        slot->weight = add_weight(slot->weight, cause, 1, GW_BOOT_CRASHES * 4);
    }
}

static bool looping(const struct gw_slot_state *slot)
{
    return slot->state == GW_CONFIRMED && slot->weight >= GW_BOOT_CRASHES * 4;
}

/* The order in which slots are considered; a crash-looping CONFIRMED image only when nothing else is left. */
enum rank { RANK_TRIAL, RANK_CONFIRMED, RANK_PREVIOUS, RANK_FACTORY, RANK_LOOPING, RANKS };

static enum rank rank_of(const struct gw_slot_state *slot)
{
    if (slot->state == GW_STAGED || slot->state == GW_TRYING) {
        return RANK_TRIAL;
    }
    if (slot->state == GW_CONFIRMED) {
        return looping(slot) ? RANK_LOOPING : RANK_CONFIRMED;
    }
    return slot->state == GW_PREVIOUS ? RANK_PREVIOUS : RANKS;
}

/* The slot of a rank whose verdict does not rule it out; GW_SLOT_NONE if there is none. Condemns slots on trial. */
static enum gw_slot candidate(struct gw_boot_state *s, enum rank rank, const enum gw_verdict verdict[3])
{
    if (rank == RANK_FACTORY) {
        bool may = verdict[GW_SLOT_FACTORY] == GW_VERDICT_OK || verdict[GW_SLOT_FACTORY] == GW_VERDICT_UNKNOWN;
        return may ? GW_SLOT_FACTORY : GW_SLOT_NONE;
    }
    unsigned first = gw_order_compare(s->slot[1].order, s->slot[0].order) > 0; /* the newer one first */
    for (unsigned k = 0; k < 2; k++) {
        unsigned i = first ^ k;
        if (rank_of(&s->slot[i]) != rank) {
            continue;
        }
        if (verdict[i] == GW_VERDICT_OK || verdict[i] == GW_VERDICT_UNKNOWN) {
            return (enum gw_slot)i;
        }
        if (rank == RANK_TRIAL) {
            leave(s, i, verdict[i] == GW_VERDICT_UNREADABLE ? GW_ERR_FLASH_READ : GW_ERR_IMAGE_DIGEST);
        }
    }
    return GW_SLOT_NONE;
}

/* Brings the states in line with starting `slot`. */
static void start(struct gw_boot_state *s, enum gw_slot slot, enum rank rank)
{
    bool confirmed = false;

    for (unsigned i = 0; i < 2; i++) {
        if (looping(&s->slot[i]) && rank != RANK_LOOPING && rank != RANK_TRIAL) {
            leave(s, i, GW_ERR_CRASH_LOOP);
        }
        confirmed = confirmed || s->slot[i].state == GW_CONFIRMED;
    }
    if (rank == RANK_TRIAL && s->slot[slot].state == GW_STAGED) {
        s->slot[slot].state = GW_TRYING;
        s->slot[slot].weight = 0;
    }
    if (rank == RANK_PREVIOUS && !confirmed) {
        s->slot[slot].state = GW_CONFIRMED;
        s->slot[slot].weight = 0;
    }
    s->last = (uint8_t)slot;
}

void gw_boot_decide(const struct gw_boot_state *state, enum gw_cause cause, const enum gw_verdict verdict[3],
                    struct gw_decision *d)
{
    uint8_t before[GW_BOOT_RECORD], after[GW_BOOT_RECORD];

    memset(d, 0, sizeof *d);
    d->state = *state;
    d->action = GW_ACTION_RECOVERY;
    d->slot = GW_SLOT_NONE;
    charge(&d->state, cause);
    for (unsigned rank = 0; rank < RANKS && d->slot == GW_SLOT_NONE; rank++) {
        d->slot = candidate(&d->state, (enum rank)rank, verdict);
        if (d->slot == GW_SLOT_NONE) {
            continue;
        }
        if (verdict[d->slot] == GW_VERDICT_OK) {
            start(&d->state, d->slot, (enum rank)rank);
            d->action = GW_ACTION_START;
            d->recovery = d->slot == GW_SLOT_FACTORY;
            d->watchdog = rank == RANK_TRIAL;
        } else {
            d->action = GW_ACTION_VERIFY;
        }
    }
    if (d->action == GW_ACTION_RECOVERY) {
        d->state.last = GW_SLOT_NONE;
        d->state.reason = d->state.reason != 0 ? d->state.reason : -GW_ERR_NO_IMAGE;
    }
    gw_boot_state_encode(state, before);
    gw_boot_state_encode(&d->state, after);
    d->changed = memcmp(before, after, sizeof before) != 0;
}
