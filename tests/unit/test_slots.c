/*
 * test_slots.c - the boot record field by field, every change of the slots in every state, the list of rejected
 * releases, and boot ops that are not Godwit's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fastcrypto.h"
#include "flashsim.h"
#include "slots.h"

static struct flashsim sim;
static struct gw_journal journal;
static struct gw_device dev;

static int setup(void **state)
{
    struct flashsim_geometry g = { .region = { { 0, 2, 4096 } }, .region_count = 1, .write_size = 8, .erased = 0xff };
    (void)state;

    flashsim_init(&sim, &g);
    dev = (struct gw_device){ .flash = &sim.flash, .journal = &journal };
    return gw_journal_mount(&journal, &sim.flash, (struct gw_area){ 0, 8192 });
}

static int teardown(void **state)
{
    (void)state;
    flashsim_free(&sim);
    return 0;
}

/* Another session: what is not on flash is gone. */
static void restart(void)
{
    memset(&journal, 0xa5, sizeof journal);
    flashsim_restart(&sim);
    assert_int_equal(gw_journal_mount(&journal, &sim.flash, (struct gw_area){ 0, 8192 }), GW_OK);
}

static struct gw_boot_state sample(void)
{
    struct gw_boot_state s = {
        .slot = { { GW_CONFIRMED, 3, 17, { 0x01020304, 0x05060708 }, 0x090a0b0c, { 0x11 } },
                  { GW_REJECTED, 7, 96, { 0x21222324, 0x25262728 }, 0x292a2b2c, { 0x31 } } },
        .floor = { 0x41424344, 0x45464748 }, .last = 1, .trust_active = 1, .trust_pending = 1, .reason = 0x51,
    };
    memset(s.slot[0].digest, 0x61, GW_DIGEST_SIZE);
    memset(s.slot[1].digest, 0x71, GW_DIGEST_SIZE);
    return s;
}

static void same(const struct gw_boot_state *a, const struct gw_boot_state *b)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct gw_slot_state *x = &a->slot[i], *y = &b->slot[i];
        assert_int_equal(x->state, y->state);
        assert_int_equal(x->weight, y->weight);
        assert_int_equal(x->reason, y->reason);
        assert_int_equal(gw_order_compare(x->order, y->order), 0);
        assert_int_equal(x->floor, y->floor);
        assert_memory_equal(x->digest, y->digest, GW_DIGEST_SIZE);
    }
    assert_int_equal(gw_order_compare(a->floor, b->floor), 0);
    assert_int_equal(a->last, b->last);
    assert_int_equal(a->trust_active, b->trust_active);
    assert_int_equal(a->trust_pending, b->trust_pending);
    assert_int_equal(a->reason, b->reason);
}

static void the_record_is_as_the_specification_says(void **state)
{
    /* SPEC.md, section 10: offsets and sizes of the fields, in order. */
    uint8_t right[107] = { 1,
        GW_CONFIRMED, 3, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    static const uint8_t second[15] = { GW_REJECTED, 7, 96, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29,
                                        0x2a, 0x2b, 0x2c };
    static const uint8_t end[12] = { 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 1, 1, 1, 0x51 };
    struct gw_boot_state s = sample(), back;
    uint8_t *body = malloc(GW_BOOT_RECORD);
    (void)state;

    memset(right + 16, 0x61, 32);
    memcpy(right + 48, second, sizeof second);
    memset(right + 63, 0x71, 32);
    memcpy(right + 95, end, sizeof end);
    gw_boot_state_encode(&s, body);
    assert_memory_equal(body, right, sizeof right);
    memset(&back, 0xa5, sizeof back);
    assert_int_equal(gw_boot_state_decode(&back, body, GW_BOOT_RECORD), GW_OK);
    same(&s, &back);
    free(body);
}

static void every_field_is_carried(void **state)
{
    uint8_t body[GW_BOOT_RECORD], again[GW_BOOT_RECORD];
    struct gw_boot_state s = sample(), back;
    (void)state;

    for (unsigned at = 1; at < GW_BOOT_RECORD; at++) {
        gw_boot_state_encode(&s, body);
        body[at] ^= 1; /* 3 -> 2, 5 -> 4, 1 -> 0: all of them are valid */
        assert_int_equal(gw_boot_state_decode(&back, body, sizeof body), GW_OK);
        gw_boot_state_encode(&back, again);
        assert_memory_equal(body, again, sizeof body);
    }
}

static void values_that_do_not_exist_are_refused(void **state)
{
    static const struct { unsigned at, most; } limits[] = {
        { 1, GW_REJECTED }, { 48, GW_REJECTED }, { 103, GW_SLOT_NONE }, { 104, 1 }, { 105, 1 },
    };
    uint8_t body[GW_BOOT_RECORD + 1];
    struct gw_boot_state s = sample(), back;
    (void)state;

    for (unsigned i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        gw_boot_state_encode(&s, body);
        for (unsigned v = 0; v < 256; v++) {
            body[limits[i].at] = (uint8_t)v;
            assert_int_equal(gw_boot_state_decode(&back, body, GW_BOOT_RECORD),
                             v <= limits[i].most ? GW_OK : GW_ERR_VALUE);
        }
    }
    gw_boot_state_encode(&s, body);
    for (uint32_t n = 0; n <= GW_BOOT_RECORD + 1; n++) {
        assert_int_equal(gw_boot_state_decode(&back, body, n), n == GW_BOOT_RECORD ? GW_OK : GW_ERR_VERSION);
    }
    for (unsigned v = 0; v < 256; v++) {
        body[0] = (uint8_t)v;
        assert_int_equal(gw_boot_state_decode(&back, body, GW_BOOT_RECORD), v == 1 ? GW_OK : GW_ERR_VERSION);
    }
}

/* What the journal holds in a new session. */
static struct gw_boot_state stored(void)
{
    struct gw_boot_state s;

    restart();
    assert_int_equal(gw_device_state(&dev, &s), GW_OK);
    return s;
}

static void nothing_works_without_a_record(void **state)
{
    struct gw_slot_state release = { .order = { 1, 7 } };
    struct gw_boot_state s;
    (void)state;

    assert_int_equal(gw_device_state(&dev, &s), GW_ERR_NOTHING);
    assert_int_equal(gw_slots_clear(&dev, GW_SLOT_A), GW_ERR_NOTHING);
    assert_int_equal(gw_slots_stage(&dev, GW_SLOT_A, &release), GW_ERR_NOTHING);
    assert_int_equal(gw_device_confirm(&dev), GW_ERR_NOTHING);
    assert_int_equal(gw_device_reject(&dev, GW_ERR_SELF_TEST), GW_ERR_NOTHING);
    assert_int_equal(gw_device_steady(&dev), GW_ERR_NOTHING);
    assert_int_equal(gw_journal_put(&journal, GW_REC_BOOT, (const uint8_t *)"\2", 1), GW_OK);
    assert_int_equal(gw_device_state(&dev, &s), GW_ERR_VERSION);
}

static void confirm_in_every_state(void **state)
{
    (void)state;

    for (unsigned n = 0; n < 6 * 6 * 4; n++) {
        struct gw_boot_state s = sample(), after;
        s.last = (uint8_t)(n / 36);
        s.slot[0].state = (uint8_t)(n % 6);
        s.slot[1].state = (uint8_t)(n / 6 % 6);
        s.floor = (struct gw_order){ 1, 5 };
        assert_int_equal(gw_slots_save(&dev, &s), GW_OK);
        uint8_t mine = s.last <= 1 ? s.slot[s.last].state : 99;
        bool fine = mine == GW_TRYING || mine == GW_CONFIRMED || mine == GW_PREVIOUS;
        assert_int_equal(gw_device_confirm(&dev), fine ? GW_OK : GW_ERR_STATE);
        assert_int_equal(gw_device_state(&dev, &after), GW_OK);
        if (mine == GW_TRYING) { /* what must have changed, and nothing else */
            struct gw_slot_state *me = &s.slot[s.last], *other = &s.slot[s.last ^ 1u];
            me->state = GW_CONFIRMED;
            me->weight = 0;
            other->state = other->state == GW_CONFIRMED ? GW_PREVIOUS : other->state;
            s.floor = (struct gw_order){ me->order.epoch, me->floor };
            s.trust_active = 0;
            s.reason = 0;
            s.trust_pending = 0;
        }
        same(&s, &after);
    }
}

static void the_floor_never_falls(void **state)
{
    static const struct { struct gw_order floor, order; uint32_t asked; struct gw_order after; } cases[] = {
        { { 1, 5 }, { 1, 9 }, 0, { 1, 5 } }, { { 1, 5 }, { 1, 9 }, 4, { 1, 5 } }, { { 1, 5 }, { 1, 9 }, 5, { 1, 5 } },
        { { 1, 5 }, { 1, 9 }, 6, { 1, 6 } }, { { 1, 5 }, { 2, 1 }, 1, { 2, 1 } }, { { 1, 5 }, { 2, 1 }, 0, { 1, 5 } },
        { { 2, 1 }, { 1, 9 }, 9, { 2, 1 } }, { { 0, 0 }, { 1, 1 }, 1, { 1, 1 } },
    };
    (void)state;

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gw_boot_state s = { .floor = cases[i].floor, .last = 1 };
        s.slot[1] = (struct gw_slot_state){ .state = GW_TRYING, .order = cases[i].order, .floor = cases[i].asked };
        assert_int_equal(gw_slots_save(&dev, &s), GW_OK);
        assert_int_equal(gw_device_confirm(&dev), GW_OK);
        s = stored();
        assert_int_equal(gw_order_compare(s.floor, cases[i].after), 0);
    }
}

static void reject_in_every_state(void **state)
{
    (void)state;

    for (unsigned n = 0; n < 6 * 4; n++) {
        struct gw_boot_state s = sample(), after;
        s.last = (uint8_t)(n / 6);
        s.slot[0].state = s.slot[1].state = (uint8_t)(n % 6);
        assert_int_equal(gw_slots_save(&dev, &s), GW_OK);
        bool trying = s.last <= 1 && n % 6 == GW_TRYING;
        int reason = n % 2 ? GW_ERR_SELF_TEST : -GW_ERR_SELF_TEST; /* an error or a reason, both are meant */
        assert_int_equal(gw_device_reject(&dev, reason), trying ? GW_OK : GW_ERR_STATE);
        assert_int_equal(gw_device_state(&dev, &after), GW_OK);
        if (trying) {
            s.slot[s.last].state = GW_REJECTED;
            s.slot[s.last].reason = s.reason = -GW_ERR_SELF_TEST;
        }
        same(&s, &after);
    }
}

/* Only what an application can know: the rest is the bootloader's. */
static void reasons_to_reject(void **state)
{
    (void)state;
    for (int reason = 1; reason < 256; reason++) {
        struct gw_boot_state s = { .last = 0, .slot = { { .state = GW_TRYING } } };
        assert_int_equal(gw_slots_save(&dev, &s), GW_OK);
        bool mine = reason >= -GW_ERR_TRIES_USED && reason <= -GW_ERR_CONFIRM_LATE;
        assert_int_equal(gw_device_reject(&dev, reason % 2 ? reason : -reason), mine ? GW_OK : GW_ERR_VALUE);
    }
}

static void steady_writes_only_what_changes(void **state)
{
    (void)state;

    for (unsigned n = 0; n < 6 * 4 * 2; n++) {
        struct gw_boot_state s = sample(), after;
        s.last = (uint8_t)(n / 6 % 4);
        s.slot[0].state = s.slot[1].state = (uint8_t)(n % 6);
        s.slot[0].weight = s.slot[1].weight = n >= 24 ? 9 : 0;
        assert_int_equal(gw_slots_save(&dev, &s), GW_OK);
        uint32_t ops = sim.ops;
        bool changes = s.last <= 1 && n % 6 == GW_CONFIRMED && n >= 24;
        assert_int_equal(gw_device_steady(&dev), GW_OK);
        assert_int_equal(sim.ops != ops, changes);
        if (changes) {
            s.slot[s.last].weight = 0;
        }
        assert_int_equal(gw_device_state(&dev, &after), GW_OK);
        same(&s, &after);
    }
}

static void clear_and_stage_in_every_state(void **state)
{
    struct gw_slot_state release = { GW_CONFIRMED, 0, 0, { 3, 4 }, 2, { 0xab } };
    (void)state;

    for (unsigned n = 0; n < 2 * 6; n++) {
        struct gw_boot_state s = sample(), after;
        enum gw_slot slot = n % 2 ? GW_SLOT_B : GW_SLOT_A;
        s.slot[slot].state = (uint8_t)(n / 2);
        assert_int_equal(gw_slots_save(&dev, &s), GW_OK);
        assert_int_equal(gw_slots_clear(&dev, slot), GW_OK);
        memset(&s.slot[slot], 0, sizeof s.slot[slot]);
        after = stored();
        same(&s, &after);
        assert_int_equal(gw_slots_stage(&dev, slot, &release), GW_OK);
        s.slot[slot] = release;
        s.slot[slot].state = GW_STAGED;
        s.reason = 0;
        after = stored();
        same(&s, &after);
    }
}

/* Puts a release named by `name` into slot B, rejected for a reason, then clears the slot. */
static void reject_for_and_clear(uint8_t name, uint8_t reason)
{
    struct gw_boot_state s = { .last = 0 };

    s.slot[1] = (struct gw_slot_state){ .state = GW_REJECTED, .reason = reason, .order = { 1, name } };
    memset(s.slot[1].digest, name, GW_DIGEST_SIZE);
    assert_int_equal(gw_slots_save(&dev, &s), GW_OK);
    assert_int_equal(gw_slots_clear(&dev, GW_SLOT_B), GW_OK);
}

static void reject_and_clear(uint8_t name)
{
    reject_for_and_clear(name, -GW_ERR_TRIES_USED);
}

static void expect_rejected(const struct gw_boot_state *s, const char *names)
{
    uint8_t digest[GW_REJECTED_MAX + 2][GW_DIGEST_SIZE], one[GW_DIGEST_SIZE];

    assert_int_equal(gw_slots_rejected(&dev, s, digest), strlen(names));
    for (unsigned i = 0; names[i] != 0; i++) {
        memset(one, names[i], sizeof one);
        assert_memory_equal(digest[i], one, sizeof one);
    }
}

static void four_rejected_releases_are_remembered(void **state)
{
    struct gw_boot_state none = { .last = 0 }, both = sample();
    (void)state;

    expect_rejected(&none, "");
    reject_for_and_clear('z', -GW_ERR_IMAGE_DIGEST); /* it never ran: it may be installed again */
    expect_rejected(&none, "");
    reject_and_clear('a');
    expect_rejected(&none, "a");
    reject_and_clear('b');
    reject_and_clear('a'); /* once is enough */
    expect_rejected(&none, "ab");
    reject_and_clear('c');
    reject_and_clear('d');
    restart();
    expect_rejected(&none, "abcd");
    reject_and_clear('e'); /* the oldest goes */
    restart();
    expect_rejected(&none, "bcde");
    both.slot[0].state = both.slot[1].state = GW_REJECTED;
    both.slot[0].reason = both.slot[1].reason = -GW_ERR_CRASH_LOOP;
    memset(both.slot[0].digest, 'x', GW_DIGEST_SIZE);
    memset(both.slot[1].digest, 'y', GW_DIGEST_SIZE);
    expect_rejected(&both, "bcdexy");
    both.slot[0].state = GW_CONFIRMED;
    expect_rejected(&both, "bcdey");
    both.slot[1].reason = -GW_ERR_SIGNATURE;
    expect_rejected(&both, "bcde");
}

static void a_failing_flash_is_an_error_and_changes_nothing(void **state)
{
    struct gw_slot_state release = { .order = { 1, 7 } };
    struct gw_boot_state s = sample(), after;
    (void)state;

    s.slot[1].state = GW_TRYING;
    assert_int_equal(gw_slots_save(&dev, &s), GW_OK);
    flashsim_arm(&sim, 1);
    flashsim_add_fault(&sim, (struct flashsim_fault){ FLASHSIM_REFUSE, 0, 0, 0, 0 });
    assert_true(gw_device_confirm(&dev) < 0);
    assert_true(gw_device_reject(&dev, GW_ERR_SELF_TEST) < 0);
    assert_true(gw_slots_clear(&dev, GW_SLOT_B) < 0);
    assert_true(gw_slots_stage(&dev, GW_SLOT_B, &release) < 0);
    flashsim_arm(&sim, 1);
    flashsim_add_fault(&sim, (struct flashsim_fault){ FLASHSIM_READ_FAILS, 0, 0, 0, 0 });
    assert_int_equal(gw_device_state(&dev, &after), GW_ERR_FLASH_READ); /* which is not: there is nothing */
    assert_int_equal(gw_device_steady(&dev), GW_ERR_FLASH_READ);
    flashsim_arm(&sim, 1);
    after = stored();
    same(&s, &after);
}

/* ---- Boot ops of somebody else ----------------------------------------------------------------------------------- */

static struct {
    const char *called;
    enum gw_slot slot;
    uint8_t reason;
    int result;
} foreign;

static int note(void *ctx, const char *what)
{
    assert_ptr_equal(ctx, &foreign);
    foreign.called = what;
    return foreign.result;
}

static int foreign_state(void *ctx, struct gw_boot_state *s)
{
    *s = sample();
    return note(ctx, "state");
}

static int foreign_clear(void *ctx, enum gw_slot slot)
{
    foreign.slot = slot;
    return note(ctx, "clear");
}

static int foreign_stage(void *ctx, enum gw_slot slot, const struct gw_slot_state *release)
{
    foreign.slot = slot;
    assert_int_equal(release->order.sequence, 7);
    return note(ctx, "stage");
}

static int foreign_confirm(void *ctx)
{
    return note(ctx, "confirm");
}

static int foreign_reject(void *ctx, uint8_t reason)
{
    foreign.reason = reason;
    return note(ctx, "reject");
}

static int foreign_steady(void *ctx)
{
    return note(ctx, "steady");
}

static void foreign_boot_ops_are_asked_instead(void **state)
{
    static const struct gw_boot_ops ops = { &foreign, foreign_state, foreign_clear, foreign_stage, foreign_confirm,
                                            foreign_reject, foreign_steady };
    struct gw_slot_state release = { .order = { 1, 7 } };
    struct gw_boot_state s, right = sample();
    (void)state;

    dev.boot = &ops;
    uint32_t n = sim.ops;
    for (int result = 0; result >= GW_ERR_FLASH_READ; result += GW_ERR_FLASH_READ) {
        foreign.result = result;
        assert_int_equal(gw_device_state(&dev, &s), result);
        assert_string_equal(foreign.called, "state");
        same(&s, &right);
        assert_int_equal(gw_slots_clear(&dev, GW_SLOT_B), result);
        assert_string_equal(foreign.called, "clear");
        assert_int_equal(foreign.slot, GW_SLOT_B);
        assert_int_equal(gw_slots_stage(&dev, GW_SLOT_A, &release), result);
        assert_string_equal(foreign.called, "stage");
        assert_int_equal(foreign.slot, GW_SLOT_A);
        assert_int_equal(gw_device_confirm(&dev), result);
        assert_string_equal(foreign.called, "confirm");
        assert_int_equal(gw_device_reject(&dev, GW_ERR_CONFIRM_LATE), result);
        assert_string_equal(foreign.called, "reject");
        assert_int_equal(foreign.reason, -GW_ERR_CONFIRM_LATE);
        assert_int_equal(gw_device_steady(&dev), result);
        assert_string_equal(foreign.called, "steady");
    }
    assert_int_equal(sim.ops, n);
    dev.boot = NULL;
    assert_int_equal(gw_device_state(&dev, &s), GW_ERR_NOTHING);
}

static void mount_wants_a_whole_description(void **state)
{
    struct gw_layout layout = { .identity = { 0, 0 } };
    struct gw_crypto crypto = fastcrypto;
    (void)state;

    assert_int_equal(gw_device_mount(&dev), GW_ERR_CONFIG); /* no layout, no crypto */
    dev.layout = &layout;
    assert_int_equal(gw_device_mount(&dev), GW_ERR_CONFIG);
    dev.crypto = &crypto;
    assert_int_equal(gw_device_mount(&dev), GW_ERR_LAYOUT); /* now the layout is looked at */
    dev.journal = NULL;
    assert_int_equal(gw_device_mount(&dev), GW_ERR_CONFIG);
    dev.journal = &journal;
    crypto.sha256_start = NULL;
    assert_int_equal(gw_device_mount(&dev), GW_ERR_CONFIG);
    crypto = fastcrypto;
    crypto.sha256_update = NULL;
    assert_int_equal(gw_device_mount(&dev), GW_ERR_CONFIG);
    crypto = fastcrypto;
    crypto.sha256_finish = NULL;
    assert_int_equal(gw_device_mount(&dev), GW_ERR_CONFIG);
    crypto = fastcrypto;
    crypto.verify = NULL;
    assert_int_equal(gw_device_mount(&dev), GW_ERR_CONFIG);
    crypto = fastcrypto;
    crypto.aes_ctr = NULL; /* a device without encryption */
    assert_int_equal(gw_device_mount(&dev), GW_ERR_LAYOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_record_is_as_the_specification_says),
        cmocka_unit_test(every_field_is_carried),
        cmocka_unit_test(values_that_do_not_exist_are_refused),
        cmocka_unit_test_setup_teardown(nothing_works_without_a_record, setup, teardown),
        cmocka_unit_test_setup_teardown(confirm_in_every_state, setup, teardown),
        cmocka_unit_test_setup_teardown(the_floor_never_falls, setup, teardown),
        cmocka_unit_test_setup_teardown(reject_in_every_state, setup, teardown),
        cmocka_unit_test_setup_teardown(reasons_to_reject, setup, teardown),
        cmocka_unit_test_setup_teardown(steady_writes_only_what_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(clear_and_stage_in_every_state, setup, teardown),
        cmocka_unit_test_setup_teardown(four_rejected_releases_are_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failing_flash_is_an_error_and_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_boot_ops_are_asked_instead, setup, teardown),
        cmocka_unit_test_setup_teardown(mount_wants_a_whole_description, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
