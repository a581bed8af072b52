/*
 * test_decide.c - the boot decision, over every combination of its inputs, and over every state that a device can
 * reach.
 *
 * The first half calls gw_boot_decide() with all states, weights, causes and verdicts and checks what must always hold.
 * The second half walks from a new device through all events, with the real functions, until no new state appears; the
 * transitions that it sees are the diagram in SPEC.md, section 10: the test fails when the two differ.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "slots.h"

#define TRIES (GW_BOOT_TRIES * 4)
#define CRASHES (GW_BOOT_CRASHES * 4)
#define CAUSES (GW_CAUSE_DEEP_SLEEP + 1)

static const enum gw_verdict verdicts[] = { GW_VERDICT_OK, GW_VERDICT_BAD, GW_VERDICT_UNREADABLE };

static bool on_trial(uint8_t state)
{
    return state == GW_STAGED || state == GW_TRYING;
}

static void same_slot(const struct gw_slot_state *a, const struct gw_slot_state *b)
{
    assert_int_equal(gw_order_compare(a->order, b->order), 0);
    assert_int_equal(a->floor, b->floor);
    assert_memory_equal(a->digest, b->digest, sizeof a->digest);
}

/* What one slot may become, and when. */
static void check_transition(const struct gw_boot_state *s, const struct gw_decision *d, unsigned i,
                             const enum gw_verdict verdict[3])
{
    const struct gw_slot_state *from = &s->slot[i], *to = &d->state.slot[i];

    same_slot(from, to);
    switch (from->state) {
    case GW_STAGED:
        assert_true(to->state == GW_STAGED || (to->state == GW_TRYING && d->slot == i && to->weight == 0) ||
                    (to->state == GW_REJECTED && verdict[i] != GW_VERDICT_OK));
        break;
    case GW_TRYING:
        assert_true(to->weight >= from->weight && to->weight <= TRIES);
        assert_true(to->state == GW_TRYING ||
                    (to->state == GW_REJECTED && (verdict[i] != GW_VERDICT_OK || to->weight == TRIES)));
        assert_true(to->state == GW_REJECTED || to->weight < TRIES);
        break;
    case GW_CONFIRMED: /* never condemned by a check: only by crashing, and only when something else starts */
        assert_true(to->state == GW_CONFIRMED || (to->state == GW_REJECTED && to->weight == CRASHES &&
                                                  d->action == GW_ACTION_START && d->slot != i &&
                                                  to->reason == -GW_ERR_CRASH_LOOP));
        break;
    case GW_PREVIOUS:
        assert_true(to->state == GW_PREVIOUS || (to->state == GW_CONFIRMED && d->slot == i && to->weight == 0));
        break;
    default:
        assert_int_equal(to->state, from->state);
    }
}

/* The rank of what was started, computed here anew from the words of DESIGN 8: 0 trial ... 4 looping, 5 nothing. */
static unsigned best_rank(const struct gw_boot_state *after, const struct gw_boot_state *before,
                          const enum gw_verdict verdict[3])
{
    unsigned best = 5;

    for (unsigned i = 0; i < 2; i++) {
        unsigned rank = 5;
        uint8_t state = before->slot[i].state;
        if (verdict[i] != GW_VERDICT_OK) {
            continue;
        }
        if (on_trial(state) && after->slot[i].state != GW_REJECTED) {
            rank = 0;
        } else if (state == GW_CONFIRMED) {
            rank = after->slot[i].weight < CRASHES ? 1 : 4;
        } else if (state == GW_PREVIOUS) {
            rank = 2;
        }
        best = rank < best ? rank : best;
    }
    return verdict[2] == GW_VERDICT_OK && best > 3 ? 3 : best;
}

static void check_start(const struct gw_boot_state *s, const struct gw_decision *d, const enum gw_verdict verdict[3])
{
    unsigned best = best_rank(&d->state, s, verdict);

    if (best == 5) {
        assert_int_equal(d->action, GW_ACTION_RECOVERY);
        assert_int_equal(d->state.last, GW_SLOT_NONE);
        return;
    }
    assert_int_equal(d->action, GW_ACTION_START);
    assert_int_equal(verdict[d->slot], GW_VERDICT_OK);
    assert_int_equal(d->state.last, d->slot);
    assert_int_equal(d->recovery, best == 3);
    assert_int_equal(d->slot == GW_SLOT_FACTORY, best == 3);
    assert_int_equal(d->watchdog, best == 0);
    if (best == 0) {
        assert_int_equal(d->state.slot[d->slot].state, GW_TRYING);
    } else if (best == 1 || best == 4) {
        assert_int_equal(d->state.slot[d->slot].state, GW_CONFIRMED);
    }
}

/* The decision, asking for verdicts one by one as boot does; it must be the one made with all of them known. */
static void check_lazy(const struct gw_boot_state *s, enum gw_cause cause, const enum gw_verdict verdict[3],
                       const struct gw_decision *eager)
{
    enum gw_verdict known[3] = { GW_VERDICT_UNKNOWN, GW_VERDICT_UNKNOWN, GW_VERDICT_UNKNOWN };
    struct gw_decision d;
    unsigned asked = 0;

    for (gw_boot_decide(s, cause, known, &d); d.action == GW_ACTION_VERIFY; gw_boot_decide(s, cause, known, &d)) {
        assert_int_equal(known[d.slot], GW_VERDICT_UNKNOWN);
        assert_true(++asked <= 3);
        known[d.slot] = verdict[d.slot];
    }
    assert_int_equal(d.action, eager->action);
    assert_int_equal(d.slot, eager->slot);
}

static void check_decision(const struct gw_boot_state *s, enum gw_cause cause, const enum gw_verdict verdict[3])
{
    struct gw_boot_state before = *s;
    struct gw_decision d;
    uint8_t a[GW_BOOT_RECORD], b[GW_BOOT_RECORD];

    gw_boot_decide(s, cause, verdict, &d);
    gw_boot_state_encode(&before, a);
    gw_boot_state_encode(s, b);
    assert_memory_equal(a, b, sizeof a); /* pure */
    gw_boot_state_encode(&d.state, b);
    assert_int_equal(d.changed, memcmp(a, b, sizeof a) != 0);
    assert_int_equal(gw_order_compare(d.state.floor, s->floor), 0);
    assert_int_equal(d.state.trust_active, s->trust_active);
    assert_int_equal(d.state.trust_pending, s->trust_pending);
    check_transition(s, &d, 0, verdict);
    check_transition(s, &d, 1, verdict);
    check_start(s, &d, verdict);
    check_lazy(s, cause, verdict, &d);
}

static void every_combination_keeps_the_rules(void **state)
{
    static const uint8_t weights[] = { 0, 1, TRIES - 4, TRIES - 1, CRASHES - 4, CRASHES - 1, CRASHES };
    const unsigned w = sizeof weights;
    (void)state;

    for (unsigned n = 0; n < 6 * 6 * w * w * 4 * 2; n++) {
        unsigned k = n;
        struct gw_boot_state s = { .floor = { 1, 3 }, .trust_pending = 1 };
        s.slot[0] = (struct gw_slot_state){ .state = (uint8_t)(k % 6), .order = { 1, 5 }, .digest = { 1 } };
        k /= 6;
        s.slot[1] = (struct gw_slot_state){ .state = (uint8_t)(k % 6), .digest = { 2 } };
        k /= 6;
        s.slot[0].weight = weights[k % w];
        k /= w;
        s.slot[1].weight = weights[k % w];
        k /= w;
        s.last = (uint8_t)(k % 4);
        s.slot[1].order = (struct gw_order){ 1, k / 4 != 0 ? 6 : 4 };
        for (unsigned i = 0; i < 2; i++) { /* an image on trial never has more than it may use up */
            if (s.slot[i].state == GW_TRYING && s.slot[i].weight >= TRIES) {
                s.slot[i].weight = TRIES - 1;
            }
        }
        for (unsigned v = 0; v < 27 * CAUSES; v++) {
            enum gw_verdict verdict[3] = { verdicts[v % 3], verdicts[v / 3 % 3], verdicts[v / 9 % 3] };
            check_decision(&s, (enum gw_cause)(v / 27), verdict);
        }
    }
}

/* ---- Every state that a device can reach ----------------------------------------------------------------------- */

#define FLASH_SIZE 8192u
static uint8_t memory[FLASH_SIZE];

static int ram_read(void *ctx, uint32_t address, void *data, uint32_t n)
{
    (void)ctx;
    memcpy(data, memory + address, n);
    return 0;
}

static int ram_write(void *ctx, uint32_t address, const void *data, uint32_t n)
{
    (void)ctx;
    memcpy(memory + address, data, n);
    return 0;
}

static int ram_erase(void *ctx, uint32_t address)
{
    (void)ctx;
    memset(memory + address, 0xff, 4096);
    return 0;
}

static const struct gw_flash_region region = { 0, 2, 4096 };
static const struct gw_flash flash = { NULL, &region, 1, 8, 0xff, ram_read, ram_write, ram_erase, NULL };
static struct gw_journal journal;
static const struct gw_device dev = { .flash = &flash, .journal = &journal };

#define STATES_MAX 32768u
#define BUCKETS 65536u
static struct gw_boot_state seen[STATES_MAX];
static uint8_t encoded[STATES_MAX][GW_BOOT_RECORD];
static unsigned bucket[BUCKETS]; /* index + 1 in `seen` */
static unsigned seen_count;
static uint32_t transitions[6][6]; /* bits: by which event */
enum event { EV_CLEAR, EV_STAGE, EV_CONFIRM, EV_REJECT, EV_STEADY, EV_BOOT };

/* Orders matter only by who is newer: two numbers are enough, and they make the walk finite. */
static void add_state(struct gw_boot_state s)
{
    uint8_t a[GW_BOOT_RECORD];

    for (unsigned i = 0; i < 2; i++) {
        bool newer = gw_order_compare(s.slot[i].order, s.slot[i ^ 1u].order) > 0;
        s.slot[i].order = s.slot[i].state == GW_EMPTY ? (struct gw_order){ 0, 0 }
                                                       : (struct gw_order){ 1, newer ? 6u : 5u };
        s.slot[i].reason = 0;
    }
    s.reason = 0;
    gw_boot_state_encode(&s, a);
    unsigned at = gw_crc32(0, a, sizeof a) % BUCKETS;
    for (; bucket[at] != 0; at = (at + 1) % BUCKETS) {
        if (memcmp(encoded[bucket[at] - 1], a, sizeof a) == 0) {
            return;
        }
    }
    assert_true(seen_count < STATES_MAX);
    memcpy(encoded[seen_count], a, sizeof a);
    seen[seen_count++] = s;
    bucket[at] = seen_count;
}

static void note(const struct gw_boot_state *from, const struct gw_boot_state *to, enum event event)
{
    for (unsigned i = 0; i < 2; i++) {
        if (from->slot[i].state != to->slot[i].state) {
            transitions[from->slot[i].state][to->slot[i].state] |= 1u << event;
        }
    }
    add_state(*to);
}

/* What must hold in every state that can be reached. */
static void check_state(const struct gw_boot_state *s)
{
    unsigned confirmed = 0, trial = 0;

    for (unsigned i = 0; i < 2; i++) {
        confirmed += s->slot[i].state == GW_CONFIRMED;
        trial += on_trial(s->slot[i].state);
    }
    assert_true(confirmed <= 1);
    assert_true(trial <= 1);
}

/* One event by the library's own function, on a journal that holds the state. */
static void try_event(const struct gw_boot_state *s, enum event event, enum gw_slot slot)
{
    struct gw_slot_state release = { .order = { 1, 7 } };
    struct gw_boot_state after;
    int err = GW_OK;

    assert_int_equal(gw_slots_save(&dev, s), GW_OK);
    switch (event) {
    case EV_CLEAR:
        err = gw_slots_clear(&dev, slot);
        break;
    case EV_STAGE:
        err = gw_slots_stage(&dev, slot, &release);
        break;
    case EV_CONFIRM:
        err = gw_device_confirm(&dev);
        break;
    case EV_REJECT:
        err = gw_device_reject(&dev, GW_ERR_SELF_TEST);
        break;
    default:
        err = gw_device_steady(&dev);
    }
    assert_int_equal(gw_device_state(&dev, &after), GW_OK);
    assert_true(gw_order_compare(after.floor, s->floor) >= 0);
    if (err == GW_OK) {
        note(s, &after, event);
    }
}

/* The installer's rule: only from a confirmed image or recovery, never into the slot that runs. */
static void try_install(const struct gw_boot_state *s)
{
    bool from_slot = s->last <= GW_SLOT_B;

    if (from_slot && s->slot[s->last].state != GW_CONFIRMED && s->slot[s->last].state != GW_PREVIOUS) {
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        if (from_slot && i == s->last) {
            continue;
        }
        try_event(s, EV_CLEAR, (enum gw_slot)i);
        if (s->slot[i].state == GW_EMPTY && !on_trial(s->slot[i ^ 1u].state)) {
            try_event(s, EV_STAGE, (enum gw_slot)i);
        }
    }
}

static const char *const state_names[] = { "EMPTY", "STAGED", "TRYING", "CONFIRMED", "PREVIOUS", "REJECTED" };
static const char *const event_names[] = { "clear", "stage", "confirm", "reject", "steady", "boot" };

/* The diagram: one line for each transition that was seen. */
static void draw(char *out, size_t size)
{
    size_t n = 0;

    out[0] = 0;
    for (unsigned from = 0; from < 6; from++) {
        for (unsigned to = 0; to < 6; to++) {
            if (transitions[from][to] == 0) {
                continue;
            }
            n += (size_t)snprintf(out + n, size - n, "    %-9s -> %-9s  by", state_names[from], state_names[to]);
            for (unsigned e = 0; e <= EV_BOOT; e++) {
                if (transitions[from][to] & 1u << e) {
                    n += (size_t)snprintf(out + n, size - n, " %s", event_names[e]);
                }
            }
            n += (size_t)snprintf(out + n, size - n, "\n");
        }
    }
}

static void every_reachable_state_is_sound(void **state)
{
    static char spec[65536], diagram[4096];
    struct gw_boot_state first = { .last = GW_SLOT_NONE };
    (void)state;

    assert_int_equal(gw_journal_mount(&journal, &flash, (struct gw_area){ 0, FLASH_SIZE }), GW_OK);
    add_state(first);
    for (unsigned n = 0; n < seen_count; n++) {
        const struct gw_boot_state s = seen[n];
        check_state(&s);
        for (unsigned v = 0; v < 27 * CAUSES; v++) {
            enum gw_verdict verdict[3] = { verdicts[v % 3], verdicts[v / 3 % 3], verdicts[v / 9 % 3] };
            struct gw_decision d;
            gw_boot_decide(&s, (enum gw_cause)(v / 27), verdict, &d);
            note(&s, &d.state, EV_BOOT);
        }
        try_event(&s, EV_CONFIRM, GW_SLOT_NONE);
        try_event(&s, EV_REJECT, GW_SLOT_NONE);
        try_event(&s, EV_STEADY, GW_SLOT_NONE);
        try_install(&s);
    }
    draw(diagram, sizeof diagram);
    print_message("%u reachable states\n", seen_count);
    FILE *f = fopen(GW_SOURCE_DIR "/SPEC.md", "r");
    assert_non_null(f);
    spec[fread(spec, 1, sizeof spec - 1, f)] = 0;
    (void)fclose(f);
    if (strstr(spec, diagram) == NULL) {
        fail_msg("SPEC.md, section 10, does not hold this diagram:\n%s", diagram);
    }
}

static void rebuilt_state_starts_the_newer_on_trial(void **state)
{
    struct gw_slot_state found[2] = { { .order = { 1, 5 }, .floor = 2 }, { .order = { 1, 6 }, .floor = 4 } };
    struct gw_boot_state s;
    (void)state;

    gw_slots_rebuild(found, &s);
    assert_int_equal(s.slot[0].state, GW_CONFIRMED);
    assert_int_equal(s.slot[1].state, GW_STAGED);
    assert_int_equal(s.floor.sequence, 4);
    assert_int_equal(s.reason, -GW_ERR_JOURNAL_LOST);
    found[0].order = (struct gw_order){ 2, 1 };
    gw_slots_rebuild(found, &s);
    assert_int_equal(s.slot[0].state, GW_STAGED);
    assert_int_equal(s.slot[1].state, GW_CONFIRMED);
    found[1] = (struct gw_slot_state){ 0 };
    gw_slots_rebuild(found, &s);
    assert_int_equal(s.slot[0].state, GW_CONFIRMED);
    assert_int_equal(s.slot[1].state, GW_EMPTY);
    assert_int_equal(s.last, GW_SLOT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination_keeps_the_rules),
        cmocka_unit_test(every_reachable_state_is_sound),
        cmocka_unit_test(rebuilt_state_starts_the_newer_on_trial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
