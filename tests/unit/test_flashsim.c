/*
 * test_flashsim.c - the simulator keeps its own promises: rules are seen, cuts leave what they say, snapshots are
 * exact. A simulator that overlooks a broken rule would let every other test pass.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "flashsim.h"

static struct flashsim f;
static uint8_t data[64], back[64];

static const struct flashsim_geometry geometry = { { { 0x1000, 4, 256 }, { 0x1400, 2, 1024 } }, 2, 8, 0xff, false };

static int start(void **state)
{
    (void)state;
    flashsim_init(&f, &geometry);
    flashsim_arm(&f, 7);
    for (unsigned i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i + 1);
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    flashsim_free(&f);
    return 0;
}

/* What a write or erase comes to: 0 done, or how the simulator left it. */
static int write_at(uint32_t address, uint32_t n)
{
    jmp_buf out;
    int how = setjmp(out);

    if (how == 0) {
        f.out = &out;
        f.since_idle = 0;
        (void)f.flash.write(&f, address, data, n);
    }
    return how;
}

static int erase_at(uint32_t address)
{
    jmp_buf out;
    int how = setjmp(out);

    if (how == 0) {
        f.out = &out;
        f.since_idle = 0;
        (void)f.flash.erase(&f, address);
    }
    return how;
}

static void test_rules(void **state)
{
    (void)state;
    assert_int_equal(write_at(0x1000, 8), 0);
    assert_int_equal(write_at(0x1000, 8), FLASHSIM_OUT_VIOLATION);
    assert_non_null(f.violation);
    assert_int_equal(write_at(0x1004, 8), FLASHSIM_OUT_VIOLATION);
    assert_int_equal(write_at(0x1008, 4), FLASHSIM_OUT_VIOLATION);
    assert_int_equal(write_at(0x1000 - 8, 8), FLASHSIM_OUT_VIOLATION);
    assert_int_equal(write_at(0x1bf8, 16), FLASHSIM_OUT_VIOLATION);
    assert_int_equal(erase_at(0x1080), FLASHSIM_OUT_VIOLATION);
    assert_int_equal(erase_at(0x1500), FLASHSIM_OUT_VIOLATION);
    assert_int_equal(erase_at(0x1000), 0);
    assert_int_equal(write_at(0x1000, 8), 0);
    assert_int_equal(write_at(0x13f8, 16), 0); /* from one region into the next */
}

static void test_idle_between_operations(void **state)
{
    jmp_buf out;
    volatile int writes = 0;

    (void)state;
    f.out = &out;
    if (setjmp(out) == 0) {
        (void)f.flash.write(&f, 0x1000, data, 8);
        writes = 1;
        (void)f.flash.write(&f, 0x1008, data, 8);
        writes = 2;
    }
    assert_int_equal(writes, 1);
    assert_string_equal(f.violation, "two operations between calls of idle");
}

/* Reads 8 bytes n times: how many read as data, as blank, failed, as anything else. */
struct tally {
    unsigned written, blank, failed, other;
};
static struct tally look(uint32_t address, unsigned n)
{
    static const uint8_t blank[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    struct tally t = { 0 };

    for (unsigned i = 0; i < n; i++) {
        if (f.flash.read(&f, address, back, 8) != 0) {
            t.failed++;
        } else if (memcmp(back, data + (address % 64), 8) == 0) {
            t.written++;
        } else if (memcmp(back, blank, 8) == 0) {
            t.blank++;
        } else {
            t.other++;
        }
    }
    return t;
}

/* Cuts a write of four units in its third. */
static void cut(enum flashsim_shape shape)
{
    assert_int_equal(erase_at(0x1000), 0);
    flashsim_arm(&f, 7);
    flashsim_cut_at(&f, (struct flashsim_cut){ 0, shape, 2 });
    assert_int_equal(write_at(0x1000, 32), FLASHSIM_OUT_CUT);
    flashsim_arm(&f, 8);
    flashsim_restart(&f);
}

static void test_torn_writes(void **state)
{
    (void)state;
    for (unsigned shape = FLASHSIM_GARBAGE; shape <= FLASHSIM_BLANK; shape++) {
        cut((enum flashsim_shape)shape);
        assert_int_equal(look(0x1008, 9).written, 9); /* before it: right */
        assert_int_equal(look(0x1018, 9).blank, 9);   /* behind it: untouched, and may be programmed */
        assert_int_equal(write_at(0x1018, 8), 0);
        assert_int_equal(write_at(0x1010, 8), FLASHSIM_OUT_VIOLATION);
    }
    cut(FLASHSIM_GARBAGE);
    assert_int_equal(look(0x1010, 9).other, 9);
    cut(FLASHSIM_FLAP);
    struct tally t = look(0x1010, 60);
    assert_true(t.written > 5 && t.blank > 5 && t.other > 5);
    cut(FLASHSIM_FADES);
    assert_int_equal(look(0x1010, 9).written, 9);
    flashsim_restart(&f);
    assert_int_equal(look(0x1010, 9).blank, 9);
    cut(FLASHSIM_RISES);
    assert_int_equal(look(0x1010, 9).blank, 9);
    flashsim_restart(&f);
    assert_int_equal(look(0x1010, 9).written, 9);
    cut(FLASHSIM_BLANK);
    flashsim_restart(&f);
    assert_int_equal(look(0x1010, 9).blank, 9);
    assert_int_equal(write_at(0x1010, 8), FLASHSIM_OUT_VIOLATION);
}

static void test_before_and_after(void **state)
{
    (void)state;
    cut(FLASHSIM_BEFORE);
    assert_int_equal(look(0x1000, 1).blank, 1);
    assert_int_equal(write_at(0x1000, 8), 0);
    cut(FLASHSIM_AFTER);
    assert_int_equal(look(0x1018, 1).written, 1);
}

static void test_torn_erases(void **state)
{
    (void)state;
    for (unsigned shape = FLASHSIM_ERASE_MIX; shape < FLASHSIM_SHAPES; shape++) {
        assert_int_equal(erase_at(0x1400), 0);
        assert_int_equal(write_at(0x1400, 64), 0);
        flashsim_arm(&f, shape);
        flashsim_cut_at(&f, (struct flashsim_cut){ 0, (enum flashsim_shape)shape, 0 });
        assert_int_equal(erase_at(0x1400), FLASHSIM_OUT_CUT);
        flashsim_arm(&f, shape);
        flashsim_restart(&f);
        struct tally t = look(0x1400, 40);
        bool kept = shape == FLASHSIM_ERASE_KEPT || shape == FLASHSIM_ERASE_FADES;
        bool blank = shape == FLASHSIM_ERASE_BLANK || shape == FLASHSIM_ERASE_RISES;
        assert_true(!kept || t.written == 40);
        assert_true(!blank || t.blank == 40);
        assert_int_equal(write_at(0x1700, 8), FLASHSIM_OUT_VIOLATION); /* nowhere in the block */
        flashsim_restart(&f);
        assert_true(shape != FLASHSIM_ERASE_FADES || look(0x1400, 9).blank == 9);
        assert_true(shape != FLASHSIM_ERASE_RISES || look(0x1400, 9).written == 9);
    }
}

static void test_ecc(void **state)
{
    struct flashsim_geometry ecc = geometry;

    (void)state;
    flashsim_free(&f);
    ecc.ecc = true;
    flashsim_init(&f, &ecc);
    cut(FLASHSIM_GARBAGE);
    assert_int_equal(look(0x1010, 9).failed, 9);
    assert_int_equal(look(0x1008, 9).written, 9);
    cut(FLASHSIM_RISES);
    assert_int_equal(look(0x1010, 9).failed, 9);
    flashsim_restart(&f);
    assert_int_equal(look(0x1010, 9).written, 9);
}

static void test_faults(void **state)
{
    (void)state;
    flashsim_add_fault(&f, (struct flashsim_fault){ .kind = FLASHSIM_REFUSE, .at = 1, .count = 1 });
    assert_int_equal(f.flash.erase(&f, 0x1000), 0);
    f.since_idle = 0;
    assert_int_not_equal(f.flash.write(&f, 0x1000, data, 8), 0);
    assert_int_equal(look(0x1000, 1).blank, 1);
    f.since_idle = 0;
    assert_int_equal(f.flash.write(&f, 0x1000, data, 8), 0);
    flashsim_arm(&f, 1);
    flashsim_add_fault(&f, (struct flashsim_fault){ .kind = FLASHSIM_LIE, .count = 1 });
    assert_int_equal(f.flash.write(&f, 0x1008, data + 8, 8), 0);
    assert_int_equal(look(0x1008, 1).written, 0);
    flashsim_arm(&f, 1);
    flashsim_add_fault(
        &f, (struct flashsim_fault) { .kind = FLASHSIM_READ_FAILS, .at = 1, .count = 2, .address = 0x1000, .size = 8 });
    assert_int_equal(look(0x1000, 4).failed, 2);
    assert_int_equal(look(0x1018, 4).failed, 0);
}

static void test_snapshots(void **state)
{
    struct flashsim_state s = { 0 };

    (void)state;
    assert_int_equal(write_at(0x1000, 32), 0);
    flashsim_take(&f, &s);
    assert_int_equal(erase_at(0x1000), 0);
    assert_int_equal(write_at(0x1100, 8), 0);
    flashsim_put_back(&f, &s);
    assert_int_equal(look(0x1008, 1).written, 1);
    assert_int_equal(look(0x1100, 1).blank, 1);
    assert_int_equal(write_at(0x1000, 8), FLASHSIM_OUT_VIOLATION);
    assert_int_equal(write_at(0x1100, 8), 0);
    assert_int_equal(flashsim_wear_max(&f, (struct gw_area){ 0x1000, 0x400 }), 0);
    flashsim_put_back(&f, &s);
    assert_int_equal(erase_at(0x1000), 0);
    assert_int_equal(flashsim_wear_max(&f, (struct gw_area){ 0x1000, 0x400 }), 1);
    flashsim_state_free(&s);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        CASE(test_rules),       CASE(test_idle_between_operations), CASE(test_torn_writes), CASE(test_before_and_after),
        CASE(test_torn_erases), CASE(test_ecc),                     CASE(test_faults),      CASE(test_snapshots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
