/*
 * test_flash.c - the flash seam's bounds and errors, and what makes a layout right or wrong.
 *
 * The port below fails the test when it is asked for anything that its regions do not have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store.h"

#define K 1024u

static struct {
    unsigned reads, writes, erases, idles;
    unsigned read_failures; /* so many of the next reads fail */
    int write_result, erase_result;
    uint32_t address, n;
} port;

static int port_read(void *ctx, uint32_t address, void *data, uint32_t n)
{
    assert_ptr_equal(ctx, &port);
    port.reads++;
    port.address = address;
    port.n = n;
    memset(data, 0xd7, n);
    if (port.read_failures > 0) {
        port.read_failures--;
        return -7;
    }
    return 0;
}

static int port_write(void *ctx, uint32_t address, const void *data, uint32_t n)
{
    assert_ptr_equal(ctx, &port);
    assert_non_null(data);
    port.writes++;
    port.address = address;
    port.n = n;
    return port.write_result;
}

static int port_erase(void *ctx, uint32_t address)
{
    assert_ptr_equal(ctx, &port);
    port.erases++;
    port.address = address;
    return port.erase_result;
}

static void port_idle(void *ctx)
{
    assert_ptr_equal(ctx, &port);
    port.idles++;
}

/* 1 KB, 4 KB and 64 KB blocks; the first two regions adjoin, a gap before the third. */
static const struct gw_flash_region regions[3] = {
    { 0x1000, 8, K }, { 0x3000, 16, 4 * K }, { 0x20000, 8, 64 * K },
};
static struct gw_flash flash;

static int setup(void **state)
{
    (void)state;
    memset(&port, 0, sizeof port);
    flash = (struct gw_flash){ &port, regions, 3, 16, 0xff, port_read, port_write, port_erase, port_idle };
    return 0;
}

static void block_of_every_address(void **state)
{
    struct gw_area b = { 7, 7 };
    (void)state;

    assert_int_equal(gw_flash_block(&flash, 0xfff, &b), GW_ERR_LAYOUT);
    assert_int_equal(gw_flash_block(&flash, 0, &b), GW_ERR_LAYOUT);
    assert_int_equal(gw_flash_block(&flash, 0x13000, &b), GW_ERR_LAYOUT); /* the gap */
    assert_int_equal(gw_flash_block(&flash, 0x1ffff, &b), GW_ERR_LAYOUT);
    assert_int_equal(gw_flash_block(&flash, 0xa0000, &b), GW_ERR_LAYOUT);
    assert_int_equal(gw_flash_block(&flash, 0xffffffff, &b), GW_ERR_LAYOUT);
    assert_int_equal(b.start, 7);
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t at = 0; at < regions[i].count * regions[i].erase_size; at += 511) {
            assert_int_equal(gw_flash_block(&flash, regions[i].start + at, &b), GW_OK);
            assert_int_equal(b.size, regions[i].erase_size);
            assert_int_equal(b.start, regions[i].start + at / b.size * b.size);
        }
    }
}

static void reads_stay_inside(void **state)
{
    static const struct { uint32_t address, n; bool fits; } cases[] = {
        { 0x1000, 1, true }, { 0xfff, 1, false }, { 0xfff, 2, false }, { 0x1001, 3, true },
        { 0x2fff, 2, true }, /* from one region into the next */
        { 0x1000, 0x12000, true }, { 0x1000, 0x12001, false }, { 0x12fff, 1, true }, { 0x12fff, 2, false },
        { 0x13000, 1, false }, { 0x20000, 0x80000, true }, { 0x20001, 0x80000, false }, { 0x9ffff, 1, true },
        { 0xa0000, 1, false }, { 0x9ffff, 0xffffffff, false }, { 0xffffffff, 1, false }, { 0x1000, 0, true },
    };
    uint8_t *buffer = malloc(0x80000);
    (void)state;

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        port.reads = 0;
        assert_int_equal(gw_flash_read(&flash, cases[i].address, buffer, cases[i].n),
                         cases[i].fits ? GW_OK : GW_ERR_LAYOUT);
        assert_int_equal(port.reads, cases[i].fits);
        if (cases[i].fits) {
            assert_int_equal(port.address, cases[i].address);
            assert_int_equal(port.n, cases[i].n);
        }
    }
    free(buffer);
}

static void a_failing_read_is_tried_twice(void **state)
{
    uint8_t b[4] = { 0 };
    (void)state;

    port.read_failures = 1;
    assert_int_equal(gw_flash_read(&flash, 0x1000, b, 4), GW_OK);
    assert_int_equal(port.reads, 2);
    assert_int_equal(b[3], 0xd7);
    port.read_failures = 2;
    assert_int_equal(gw_flash_read(&flash, 0x1000, b, 4), GW_ERR_FLASH_READ);
    assert_int_equal(port.reads, 4);
}

static void writes_are_whole_units_inside(void **state)
{
    static const struct { uint32_t address, n; bool fits; } cases[] = {
        { 0x1000, 16, true }, { 0x1008, 16, false }, { 0x1000, 8, false }, { 0x1000, 17, false }, { 0x1010, 32, true },
        { 0xff0, 16, false }, { 0x12ff0, 16, true }, { 0x12ff0, 32, false }, { 0x2ff0, 32, true },
        { 0xa0000, 16, false }, { 0xfffffff0, 16, false }, { 0x1000, 0xfffffff0, false },
    };
    static const uint8_t data[32];
    (void)state;

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        port.writes = port.idles = 0;
        assert_int_equal(gw_flash_write(&flash, cases[i].address, data, cases[i].n),
                         cases[i].fits ? GW_OK : GW_ERR_LAYOUT);
        assert_int_equal(port.writes, cases[i].fits);
        assert_int_equal(port.idles, cases[i].fits);
    }
    port.writes = port.idles = 0;
    port.write_result = -3;
    assert_int_equal(gw_flash_write(&flash, 0x1000, data, 16), GW_ERR_FLASH_WRITE);
    assert_int_equal(port.writes, 1); /* what was half-programmed must not be programmed again */
    assert_int_equal(port.idles, 1);
    flash.idle = NULL;
    port.write_result = 0;
    assert_int_equal(gw_flash_write(&flash, 0x1000, data, 16), GW_OK);
    assert_int_equal(port.idles, 1);
}

static void erases_are_whole_blocks(void **state)
{
    static const struct { uint32_t address; bool fits; } cases[] = {
        { 0x1000, true }, { 0x1400, true }, { 0x1200, false }, { 0x3000, true }, { 0x3400, false }, { 0x12000, true },
        { 0x13000, false }, { 0x20000, true }, { 0x21000, false }, { 0x90000, true }, { 0xa0000, false }, { 0, false },
    };
    (void)state;

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        port.erases = port.idles = 0;
        assert_int_equal(gw_flash_erase(&flash, cases[i].address), cases[i].fits ? GW_OK : GW_ERR_LAYOUT);
        assert_int_equal(port.erases, cases[i].fits);
        assert_int_equal(port.idles, cases[i].fits);
    }
    port.erase_result = -1;
    assert_int_equal(gw_flash_erase(&flash, 0x1000), GW_ERR_FLASH_ERASE);
}

/* Identity 0x1000, trust 0x1800 and 0x2000, journal 0x2800; slots of 4 KB blocks; factory and data at the end. */
static struct gw_data_areas data_areas[GW_COMPONENTS_MAX];
static struct gw_layout right_layout(void)
{
    data_areas[0] = (struct gw_data_areas){ 7, { { 0x11000, 0x1000 }, { 0x12000, 0x1000 } } };
    return (struct gw_layout){
        .identity = { 0x1000, 2 * K }, .trust = { { 0x1800, 2 * K }, { 0x2000, 2 * K } }, .journal = { 0x2800, 2 * K },
        .factory = { 0x3000, 0x2000 }, .slot = { { 0x5000, 0x6000 }, { 0xb000, 0x6000 } },
        .data = data_areas, .data_count = 1,
    };
}

static void right_layouts_pass(void **state)
{
    struct gw_layout l = right_layout();
    (void)state;

    assert_int_equal(gw_layout_check(&flash, &l), GW_OK);
    l.factory.size = 0;
    assert_int_equal(gw_layout_check(&flash, &l), GW_OK);
    l.data = NULL;
    l.data_count = 0;
    assert_int_equal(gw_layout_check(&flash, &l), GW_OK);
    l.slot[1] = (struct gw_area){ 0x20000, 3 * 64 * K }; /* another erase size */
    assert_int_equal(gw_layout_check(&flash, &l), GW_OK);
    l.slot[0].size = 3 * 4 * K; /* one block each for image, work and manifest */
    assert_int_equal(gw_layout_check(&flash, &l), GW_OK);
    assert_int_equal(port.reads + port.writes + port.erases, 0);
}

static void every_area_must_be_right(void **state)
{
    struct gw_layout l;
    struct gw_area *area[] = { &l.identity, &l.trust[0], &l.trust[1], &l.journal, &l.factory, &l.slot[0], &l.slot[1],
                               &data_areas[0].area[0], &data_areas[0].area[1] };
    const unsigned count = sizeof area / sizeof area[0];
    (void)state;

    for (unsigned i = 0; i < count; i++) {
        static const struct { uint32_t start, size; bool factory_may; } wrong[] = {
            { 0, 0x6000, false }, { 0x13000, 0x6000, false }, { 0xa0000, 0x10000, false },
            { 0xfffff000, 0x1000, false }, { 0xfffff000, 0x2000, false }, { 0x20000, 0, true },
            { 0x20000, 0x6000, false },
            { 0x22000, 0x20000, false },
            { 0x20000, 0x80001, false }, { 0x20000, 0xfffffff0, false }, { 0x20001, 0x10000, false }, { 0, 0, true },
        };
        for (unsigned k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
            l = right_layout();
            *area[i] = (struct gw_area){ wrong[k].start, wrong[k].size };
            bool fine = area[i] == &l.factory && wrong[k].factory_may;
            assert_int_equal(gw_layout_check(&flash, &l), fine ? GW_OK : GW_ERR_LAYOUT);
        }
        for (unsigned k = 0; k < count; k++) { /* the same place twice; one block in common */
            struct gw_area common;
            l = right_layout();
            if (k == i) {
                continue;
            }
            *area[i] = *area[k];
            assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_LAYOUT);
            l = right_layout();
            assert_int_equal(gw_flash_block(&flash, area[k]->start, &common), GW_OK);
            area[k]->start = area[i]->start + area[i]->size - common.size;
            assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_LAYOUT);
        }
    }
}

static void areas_must_be_large_enough(void **state)
{
    struct gw_layout l = right_layout();
    (void)state;

    l.identity.size = K;
    assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_LAYOUT);
    for (unsigned i = 0; i < 2; i++) {
        l = right_layout();
        l.trust[i].size = K;
        assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_LAYOUT);
        l = right_layout();
        l.slot[i].size = 2 * 4 * K; /* work and manifest, and nothing for an image */
        assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_LAYOUT);
    }
    l = right_layout();
    l.journal.size = K; /* banks of half a block */
    assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_LAYOUT);
    l = right_layout();
    l.factory.size = 0;
    l.journal = (struct gw_area){ 0x2c00, K + 4 * K }; /* an odd number of blocks, and of two sizes */
    assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_LAYOUT);
    l.journal = (struct gw_area){ 0x3000, 3 * 4 * K }; /* halves that are not whole blocks */
    l.slot[0] = (struct gw_area){ 0x6000, 0x5000 };
    assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_LAYOUT);
    l.journal.size = 2 * 4 * K;
    assert_int_equal(gw_layout_check(&flash, &l), GW_OK);
}

static void small_blocks_make_too_small_banks(void **state)
{
    static const struct gw_flash_region small = { 0, 256, 512 };
    struct gw_layout l = { .identity = { 0, 4 * K }, .trust = { { 4 * K, 4 * K }, { 8 * K, 4 * K } },
                           .journal = { 12 * K, 1024 }, .slot = { { 16 * K, 16 * K }, { 32 * K, 16 * K } } };
    (void)state;

    flash.regions = &small;
    flash.region_count = 1;
    assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_LAYOUT);
    l.journal.size = 1536;
    assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_LAYOUT);
    l.journal.size = 2048;
    assert_int_equal(gw_layout_check(&flash, &l), GW_OK);
}

static void data_areas_have_their_rules(void **state)
{
    struct gw_layout l = right_layout();
    (void)state;

    l.data_count = GW_COMPONENTS_MAX;
    for (unsigned i = 0; i < GW_COMPONENTS_MAX; i++) {
        uint32_t at = 0x20000 + i * 0x20000;
        data_areas[i] = (struct gw_data_areas){ i, { { at, 0x10000 }, { at + 0x10000, 0x10000 } } };
    }
    assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_LAYOUT);
    l.data_count = 1; /* blocks larger than the slot's work area: they could not be salvaged */
    assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_LAYOUT);
    l = right_layout();
    data_areas[0].area[1] = (struct gw_area){ 0x20000, 64 * K };
    assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_LAYOUT);
    l.slot[1] = (struct gw_area){ 0x30000, 3 * 64 * K };
    assert_int_equal(gw_layout_check(&flash, &l), GW_OK);
}

static void geometry_is_checked_first(void **state)
{
    static const struct gw_flash_region wrong[][2] = {
        { { 0x1000, 0, K }, { 0x3000, 8, K } },            { { 0x1000, 8, 0 }, { 0x3000, 8, K } },
        { { 0x1000, 8, K + 8 }, { 0x9000, 8, K } },        { { 0x3000, 8, K }, { 0x1000, 8, K } },
        { { 0x1000, 9, K }, { 0x3000, 8, K } },            { { 0x1000, 8, K }, { 0xfffff000, 4, K } },
        { { 0x1000, 0x400000, K }, { 0x3000, 8, K } },     { { 0x1000, 8, K }, { 0x3000, 0xffffffff, 0x10 } },
    };
    static const uint32_t units[] = { 0, 3, 12, 31, 33, 64, 0x80000000u };
    struct gw_layout l = right_layout();
    (void)state;

    flash.region_count = 2;
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        flash.regions = wrong[i];
        assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_LAYOUT);
    }
    setup(NULL);
    flash.region_count = 0;
    assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_LAYOUT);
    for (unsigned i = 0; i < sizeof units / sizeof units[0]; i++) {
        setup(NULL);
        flash.write_size = units[i];
        assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_LAYOUT);
    }
    setup(NULL);
    assert_int_equal(gw_layout_check(NULL, &l), GW_ERR_CONFIG);
    flash.read = NULL;
    assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_CONFIG);
    setup(NULL);
    flash.write = NULL;
    assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_CONFIG);
    setup(NULL);
    flash.erase = NULL;
    assert_int_equal(gw_layout_check(&flash, &l), GW_ERR_CONFIG);
    setup(NULL);
    flash.idle = NULL; /* the only one that may be missing */
    assert_int_equal(gw_layout_check(&flash, &l), GW_OK);
}

static void expect_map(struct gw_area slot, uint32_t image, uint32_t work, uint32_t manifest)
{
    struct gw_layout l = right_layout();
    struct gw_slot_map map;

    for (unsigned i = 0; i < 2; i++) {
        l.slot[i] = slot;
        l.slot[i ^ 1u] = (struct gw_area){ 0, 0 };
        int err = gw_layout_slot(&flash, &l, (enum gw_slot)i, &map);
        if (image == 0) {
            assert_int_equal(err, GW_ERR_LAYOUT);
            continue;
        }
        assert_int_equal(err, GW_OK);
        assert_int_equal(map.image.start, slot.start);
        assert_int_equal(map.image.size, image);
        assert_int_equal(map.work.start, slot.start + image);
        assert_int_equal(map.work.size, work);
        assert_int_equal(map.manifest.start, slot.start + image + work);
        assert_int_equal(map.manifest.size, manifest);
        assert_int_equal(image + work + manifest, slot.size);
    }
}

static void slots_are_divided_by_their_blocks(void **state)
{
    static const struct gw_flash_region mixed[3] = {
        { 0, 2, 16 * K }, { 32 * K, 9, 4 * K }, { 68 * K, 2, 16 * K },
    };
    struct gw_layout l = right_layout();
    struct gw_slot_map map;
    (void)state;

    expect_map((struct gw_area){ 0x5000, 0x6000 }, 0x4000, 0x1000, 0x1000);
    expect_map((struct gw_area){ 0x5000, 0x3000 }, 0x1000, 0x1000, 0x1000);
    expect_map((struct gw_area){ 0x5000, 0x2000 }, 0, 0, 0);
    expect_map((struct gw_area){ 0x5000, 0x1000 }, 0, 0, 0);
    expect_map((struct gw_area){ 0x1000, 0x2000 }, 3 * K, K, 4 * K);
    expect_map((struct gw_area){ 0x20000, 3 * 64 * K }, 64 * K, 64 * K, 64 * K);
    expect_map((struct gw_area){ 0x20000, 2 * 64 * K }, 0, 0, 0);
    expect_map((struct gw_area){ 0x14000, 0x1000 }, 0, 0, 0); /* not there */
    flash.regions = mixed;
    expect_map((struct gw_area){ 0, 32 * K + 36 * K }, 48 * K, 16 * K, 4 * K); /* large blocks in front */
    expect_map((struct gw_area){ 32 * K, 36 * K + 16 * K }, 20 * K, 16 * K, 16 * K); /* and behind */
    expect_map((struct gw_area){ 56 * K, 12 * K + 16 * K }, 0, 0, 0); /* work would take all that is in front */
    assert_int_equal(gw_layout_slot(&flash, &l, GW_SLOT_FACTORY, &map), GW_OK);
    assert_int_equal(map.image.start, l.factory.start);
    assert_int_equal(map.image.size, l.factory.size);
    assert_int_equal(map.work.size + map.manifest.size, 0);
    l.factory.size = 0;
    assert_int_equal(gw_layout_slot(&flash, &l, GW_SLOT_FACTORY, &map), GW_ERR_LAYOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(block_of_every_address, setup),
        cmocka_unit_test_setup(reads_stay_inside, setup),
        cmocka_unit_test_setup(a_failing_read_is_tried_twice, setup),
        cmocka_unit_test_setup(writes_are_whole_units_inside, setup),
        cmocka_unit_test_setup(erases_are_whole_blocks, setup),
        cmocka_unit_test_setup(right_layouts_pass, setup),
        cmocka_unit_test_setup(every_area_must_be_right, setup),
        cmocka_unit_test_setup(areas_must_be_large_enough, setup),
        cmocka_unit_test_setup(small_blocks_make_too_small_banks, setup),
        cmocka_unit_test_setup(data_areas_have_their_rules, setup),
        cmocka_unit_test_setup(geometry_is_checked_first, setup),
        cmocka_unit_test_setup(slots_are_divided_by_their_blocks, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
