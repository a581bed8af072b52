/*
 * test_selftest_flash.c - the flash self-test passes on good parts of every shape, and names the rule that a bad part
 * breaks. Each bad part is a good one with one fault, as drivers have them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flashsim.h"

#define BLOCK 1024u
#define BLOCKS 4u

enum fault {
    GOOD,
    ERASE_FAILS, ERASE_SKIPS_LAST_BYTE, ERASE_DOES_NOTHING,
    WRITE_FAILS, WRITE_FLIPS_BIT, READ_FAILS,
    WRITE_SPILLS, WRITE_SPILLS_BACK, WRITE_SPILLS_FAR,
    FIRST_UNIT_READ_ONLY, ORDER_UPWARDS_ONLY, LAST_UNIT_WRAPS,
    ERASE_TAKES_NEIGHBOUR, ERASE_TAKES_NEIGHBOURS_START,
    READ_ODD_OFFSET, READ_LONG_STOPS, READ_UNALIGNED_LENGTH,
    WRITE_ELSEWHERE_CLEARS, ERASE_ELSEWHERE_CLEARS, THIRD_BLOCK_IS_FIRST,
};

static struct {
    uint8_t bytes[BLOCKS * BLOCK];
    enum fault fault;
    uint32_t highest; /* address written since the last erase */
    bool marked; /* the second block was written */
} part;

static int part_read(void *ctx, uint32_t address, void *data, uint32_t n)
{
    uint8_t *out = data;
    (void)ctx;

    if (part.fault == READ_FAILS) {
        return -1;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = address + i;
        at = part.fault == READ_ODD_OFFSET ? (address & ~3u) + i : at;
        at = part.fault == READ_LONG_STOPS && n > 128 && i >= 128 && part.marked && n % 4 != 0 ? address : at;
        at = part.fault == THIRD_BLOCK_IS_FIRST && at >= 2 * BLOCK ? at % BLOCK : at;
        out[i] = part.bytes[at % sizeof part.bytes];
    }
    if (part.fault == READ_UNALIGNED_LENGTH && n % 4 != 0) {
        out[n - 1] = 0;
    }
    return 0;
}

static void program(uint32_t at, uint8_t value)
{
    at = part.fault == THIRD_BLOCK_IS_FIRST && at >= 2 * BLOCK ? at % BLOCK : at;
    part.bytes[at] &= value;
}

static int part_write(void *ctx, uint32_t address, const void *data, uint32_t n)
{
    const uint8_t *in = data;
    (void)ctx;

    if (part.fault == WRITE_FAILS) {
        return -1;
    }
    if ((part.fault == FIRST_UNIT_READ_ONLY && address == 0) ||
        (part.fault == ORDER_UPWARDS_ONLY && address < part.highest)) {
        return 0;
    }
    part.highest = address;
    part.marked = part.marked || address / BLOCK == 1;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = address + i;
        if (part.fault == LAST_UNIT_WRAPS && at % BLOCK >= BLOCK - 8) {
            at -= BLOCK - 8;
        }
        program(at, part.fault == WRITE_FLIPS_BIT && i == 3 ? in[i] & 0x7e : in[i]);
    }
    if (part.fault == WRITE_SPILLS) {
        part.bytes[(address + n) % sizeof part.bytes] = 0;
    } else if (part.fault == WRITE_SPILLS_BACK) {
        part.bytes[(address + sizeof part.bytes - 1) % sizeof part.bytes] = 0;
    } else if (part.fault == WRITE_SPILLS_FAR) {
        part.bytes[sizeof part.bytes - 1] = 0;
    } else if (part.fault == WRITE_ELSEWHERE_CLEARS && address >= 2 * BLOCK) {
        part.bytes[BLOCK + 7] = 0;
    }
    return 0;
}

static int part_erase(void *ctx, uint32_t address)
{
    uint32_t at = part.fault == THIRD_BLOCK_IS_FIRST && address >= 2 * BLOCK ? address % BLOCK : address;
    (void)ctx;

    part.highest = 0;
    if (part.fault == ERASE_FAILS) {
        return -1;
    }
    if (part.fault == ERASE_DOES_NOTHING) {
        return 0;
    }
    memset(part.bytes + at, 0xff, part.fault == ERASE_SKIPS_LAST_BYTE ? BLOCK - 1 : BLOCK);
    if (part.fault == ERASE_TAKES_NEIGHBOUR && address == 0) {
        memset(part.bytes + BLOCK, 0xff, BLOCK);
    } else if (part.fault == ERASE_TAKES_NEIGHBOURS_START && address + BLOCK < sizeof part.bytes) {
        part.bytes[address + BLOCK] = 0xff;
    } else if (part.fault == ERASE_ELSEWHERE_CLEARS && address >= 2 * BLOCK) {
        part.bytes[BLOCK] = 0xff;
    }
    return 0;
}

static const struct gw_flash_region region = { 0, BLOCKS, BLOCK };
static const struct gw_flash flash = { NULL, &region, 1, 8, 0xff, part_read, part_write, part_erase, NULL };

static int probe(enum fault fault, unsigned *line)
{
    uint8_t *buffer = malloc(512);

    memset(&part, 0x5a, sizeof part.bytes);
    part.fault = fault;
    part.highest = 0;
    part.marked = false;
    *line = 99;
    int err = gw_selftest_flash(&flash, (struct gw_area){ 0, sizeof part.bytes }, buffer, 512, line);
    free(buffer);
    return err;
}

static void every_fault_is_found_by_its_rule(void **state)
{
    static const struct {
        enum fault fault;
        unsigned rule;
        int err;
    } cases[] = {
        { GOOD, 0, GW_OK },
        { ERASE_FAILS, 2, GW_ERR_FLASH_ERASE },
        { ERASE_SKIPS_LAST_BYTE, 2, GW_ERR_FLASH_VERIFY },
        { ERASE_DOES_NOTHING, 2, GW_ERR_FLASH_VERIFY },
        { READ_FAILS, 2, GW_ERR_FLASH_READ },
        { WRITE_FAILS, 3, GW_ERR_FLASH_WRITE },
        { WRITE_FLIPS_BIT, 3, GW_ERR_FLASH_VERIFY },
        { WRITE_SPILLS, 4, GW_ERR_FLASH_VERIFY },
        { WRITE_SPILLS_BACK, 4, GW_ERR_FLASH_VERIFY },
        { WRITE_SPILLS_FAR, 4, GW_ERR_FLASH_VERIFY },
        { FIRST_UNIT_READ_ONLY, 5, GW_ERR_FLASH_VERIFY },
        { ORDER_UPWARDS_ONLY, 5, GW_ERR_FLASH_VERIFY },
        { LAST_UNIT_WRAPS, 5, GW_ERR_FLASH_VERIFY },
        { ERASE_TAKES_NEIGHBOUR, 6, GW_ERR_FLASH_VERIFY },
        { ERASE_TAKES_NEIGHBOURS_START, 6, GW_ERR_FLASH_VERIFY },
        { READ_ODD_OFFSET, 7, GW_ERR_FLASH_VERIFY },
        { READ_LONG_STOPS, 7, GW_ERR_FLASH_VERIFY },
        { READ_UNALIGNED_LENGTH, 7, GW_ERR_FLASH_VERIFY },
        { WRITE_ELSEWHERE_CLEARS, 8, GW_ERR_FLASH_VERIFY },
        { ERASE_ELSEWHERE_CLEARS, 8, GW_ERR_FLASH_VERIFY },
        { THIRD_BLOCK_IS_FIRST, 4, GW_ERR_FLASH_VERIFY },
    };
    unsigned line;
    (void)state;

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int err = probe(cases[i].fault, &line);
        if (err != cases[i].err || line != cases[i].rule) {
            fail_msg("fault %d: rule %u instead of %u, error %d", cases[i].fault, line, cases[i].rule, err);
        }
    }
}

static void what_is_wrong_with_the_description_is_rule_1(void **state)
{
    static const struct gw_flash_region odd = { 0, 4, 1020 };
    static const struct { struct gw_area area; } areas[] = {
        { { 0, 0 } }, { { 0, BLOCK } }, { { 0, BLOCK + 1 } }, { { 0, 2 * BLOCK - 1 } }, { { 8, 2 * BLOCK } },
        { { 0, 5 * BLOCK } }, { { 3 * BLOCK, 2 * BLOCK } }, { { 4 * BLOCK, 2 * BLOCK } }, { { BLOCK, 0xffffffff } },
    };
    static const uint32_t units[] = { 0, 3, 24, 33, 64 };
    uint8_t buffer[512];
    unsigned line;
    (void)state;

    part.fault = GOOD;
    memset(part.bytes, 0x5a, sizeof part.bytes);
    for (unsigned i = 0; i < sizeof areas / sizeof areas[0]; i++) {
        line = 99;
        assert_int_equal(gw_selftest_flash(&flash, areas[i].area, buffer, 512, &line), GW_ERR_LAYOUT);
        assert_int_equal(line, 1);
    }
    for (unsigned i = 0; i < sizeof units / sizeof units[0]; i++) {
        struct gw_flash f = flash;
        f.write_size = units[i];
        assert_int_equal(gw_selftest_flash(&f, (struct gw_area){ 0, 2 * BLOCK }, buffer, 512, &line), GW_ERR_LAYOUT);
        assert_int_equal(line, 1);
    }
    struct gw_flash f = flash;
    f.regions = &odd;
    assert_int_equal(gw_selftest_flash(&f, (struct gw_area){ 0, 2040 }, buffer, 512, &line), GW_ERR_LAYOUT);
    assert_int_equal(gw_selftest_flash(&flash, (struct gw_area){ 0, 2 * BLOCK }, buffer, 511, &line), GW_ERR_LAYOUT);
    assert_int_equal(line, 1);
    for (unsigned i = 0; i < sizeof part.bytes; i++) {
        assert_int_equal(part.bytes[i], 0x5a); /* nothing was touched */
    }
}

/* On the simulator, which is strict about alignment, double programming and idle; and only the area is touched. */
static void good_parts_pass(void **state)
{
    uint8_t buffer[512];
    unsigned line;
    (void)state;

    for (uint32_t write_size = 1; write_size <= 32; write_size *= 2) {
        for (unsigned zero = 0; zero < 2; zero++) {
            struct flashsim_geometry g = { .region = { { 0x1000, 3, 1024 }, { 0x1c00, 3, 4096 } }, .region_count = 2,
                                           .write_size = write_size, .erased = zero ? 0x00 : 0xff, .ecc = true };
            struct flashsim sim;
            flashsim_init(&sim, &g);
            for (unsigned at = 0x1000; at < 0x1c00 + 3 * 4096; at++) {
                flashsim_poke(&sim, at, 0x5a);
            }
            line = 99;
            assert_int_equal(gw_selftest_flash(&sim.flash, (struct gw_area){ 0x1400, 2048 + 4096 }, buffer, 512, &line),
                             0);
            assert_int_equal(line, 0);
            assert_int_equal(gw_selftest_flash(&sim.flash, (struct gw_area){ 0x1800, 1024 + 4096 }, buffer, 512, NULL),
                             0);
            for (unsigned i = 0; i < 0x400; i++) {
                assert_int_equal(*flashsim_peek(&sim, 0x1000 + i), 0x5a);
                assert_int_equal(*flashsim_peek(&sim, 0x2c00 + i), 0x5a);
            }
            flashsim_free(&sim);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_is_found_by_its_rule),
        cmocka_unit_test(what_is_wrong_with_the_description_is_rule_1),
        cmocka_unit_test(good_parts_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
