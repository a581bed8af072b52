/*
 * test_store.c - sealed objects: what was written is read, what is torn, damaged or too large is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flashsim.h"
#include "store.h"

static struct flashsim sim;
static jmp_buf out;
static const struct gw_area area = { 0x400, 0x800 };

static void start(uint32_t write_size, uint8_t erased)
{
    struct flashsim_geometry g = { .region = { { 0, 8, 1024 } }, .region_count = 1, .write_size = write_size,
                                   .erased = erased, .ecc = true };
    flashsim_init(&sim, &g);
    sim.out = NULL;
}

static uint8_t *make_object(uint32_t n)
{
    uint8_t *p = malloc(n + (n == 0));

    for (uint32_t i = 0; i < n; i++) {
        p[i] = (uint8_t)(i * 11 + i / 256 + 1);
    }
    return p;
}

static void clear(void)
{
    uint32_t offset = 0;
    int status, blocks = 0;

    while ((status = gw_area_erase(&sim.flash, area, &offset)) == GW_MORE) {
        blocks++;
    }
    assert_int_equal(status, GW_DONE);
    assert_int_equal(blocks, 2);
}

/* Reads into a buffer of exactly `size` bytes. */
static int read_back(uint32_t size, const uint8_t *object, uint32_t n)
{
    uint8_t *p = malloc(size + (size == 0));
    uint32_t got = 0xdead;

    int err = gw_store_read(&sim.flash, area, p, size, &got);
    if (err == GW_OK) {
        assert_int_equal(got, n);
        assert_memory_equal(p, object, n);
    } else {
        assert_int_equal(got, 0xdead);
    }
    free(p);
    return err;
}

static void objects_of_every_size_come_back(void **state)
{
    static const uint32_t sizes[] = { 0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 1000, 1984 };
    (void)state;

    for (uint32_t write_size = 1; write_size <= 32; write_size *= 2) {
        start(write_size, write_size == 4 ? 0x00 : 0xff);
        for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            uint8_t *object = make_object(sizes[i]);
            clear();
            assert_int_equal(read_back(2048, object, 0), GW_ERR_NOTHING); /* blank */
            assert_int_equal(gw_store_write(&sim.flash, area, object, sizes[i]), GW_OK);
            assert_int_equal(read_back(sizes[i], object, sizes[i]), GW_OK);
            assert_int_equal(read_back(2048, object, sizes[i]), GW_OK);
            if (sizes[i] > 0) {
                assert_int_equal(read_back(sizes[i] - 1, object, sizes[i]), GW_ERR_LIMIT);
            }
            free(object);
        }
        flashsim_free(&sim);
    }
}

static void what_does_not_fit_is_not_written(void **state)
{
    uint8_t *object = make_object(2048);
    struct gw_area tiny = { 0x400, 63 };
    (void)state;

    start(8, 0xff);
    assert_int_equal(gw_store_write(&sim.flash, area, object, 2048 - 63), GW_ERR_LAYOUT);
    assert_int_equal(gw_store_write(&sim.flash, area, object, 0xffffffff), GW_ERR_LAYOUT);
    assert_int_equal(gw_store_write(&sim.flash, tiny, object, 0), GW_ERR_LAYOUT);
    assert_int_equal(sim.ops, 0);
    free(object);
    flashsim_free(&sim);
}

static void no_bit_of_header_or_body_may_flip(void **state)
{
    const uint32_t n = 40;
    uint8_t *object = make_object(n);
    (void)state;

    start(8, 0xff);
    clear();
    assert_int_equal(gw_store_write(&sim.flash, area, object, n), GW_OK);
    for (uint32_t bit = 0; bit < 8 * (64 + n); bit++) {
        uint32_t at = area.start + bit / 8;
        uint8_t was = *flashsim_peek(&sim, at);
        bool counts = bit < 8 * 16 || bit >= 8 * 64; /* between the header and the object nothing is read */
        flashsim_poke(&sim, at, (uint8_t)(was ^ 1u << bit % 8));
        assert_int_equal(read_back(2048, object, n), counts ? GW_ERR_NOTHING : GW_OK);
        flashsim_poke(&sim, at, was);
    }
    assert_int_equal(read_back(2048, object, n), GW_OK);
    free(object);
    flashsim_free(&sim);
}

static void put_header(uint32_t magic, uint32_t length, uint32_t crc)
{
    uint8_t h[16];

    gw_put32(h, magic);
    gw_put32(h + 4, length);
    gw_put32(h + 8, crc);
    gw_put32(h + 12, gw_crc32(0, h, 12));
    for (unsigned i = 0; i < sizeof h; i++) {
        flashsim_poke(&sim, area.start + i, h[i]);
    }
}

static void whole_headers_that_lie_are_refused(void **state)
{
    uint8_t *object = make_object(100);
    (void)state;

    start(8, 0xff);
    clear();
    assert_int_equal(gw_store_write(&sim.flash, area, object, 100), GW_OK);
    uint32_t crc = gw_crc32(0, object, 100);
    put_header(0x47575332, 100, crc);
    assert_int_equal(read_back(2048, object, 100), GW_ERR_NOTHING);
    put_header(0x47575331, 99, crc);
    assert_int_equal(read_back(2048, object, 100), GW_ERR_NOTHING);
    put_header(0x47575331, 1985, crc); /* past the end of the area */
    assert_int_equal(read_back(4096, object, 100), GW_ERR_NOTHING);
    put_header(0x47575331, 0xffffffff, crc);
    assert_int_equal(read_back(4096, object, 100), GW_ERR_NOTHING);
    put_header(0x47575331, 1984, crc);
    assert_int_equal(read_back(1983, object, 100), GW_ERR_LIMIT);
    put_header(0x47575331, 100, crc);
    assert_int_equal(read_back(2048, object, 100), GW_OK);
    free(object);
    flashsim_free(&sim);
}

/* A cut at every operation, in every shape: nothing, or the whole object; nothing is accepted that is not whole. */
static void torn_writes_leave_nothing_or_all(void **state)
{
    const uint32_t n = 200;
    uint8_t *volatile object = make_object(n);
    volatile unsigned whole = 0, nothing = 0;
    (void)state;

    for (volatile uint32_t op = 0; op < 5; op++) { /* four pieces and the header */
        for (volatile unsigned shape = 0; shape < FLASHSIM_ERASE_MIX; shape++) {
            start(16, 0xff);
            clear();
            flashsim_arm(&sim, op * 100 + shape);
            sim.out = &out;
            flashsim_cut_at(&sim, (struct flashsim_cut){ op, (enum flashsim_shape)shape, shape % 2 });
            int why = setjmp(out);
            if (why == 0) {
                int err = gw_store_write(&sim.flash, area, object, n);
                fail_msg("no cut at operation %u: %d", (unsigned)op, err);
            }
            assert_int_equal(why, FLASHSIM_OUT_CUT);
            sim.out = NULL;
            flashsim_restart(&sim);
            uint8_t back[200];
            uint32_t got = 0;
            int err = gw_store_read(&sim.flash, area, back, sizeof back, &got);
            assert_true(err == GW_OK || op < 4 || err == GW_ERR_NOTHING || err == GW_ERR_FLASH_READ);
            if (err == GW_OK) {
                assert_int_equal(op, 4);
                assert_int_equal(got, n);
                assert_memory_equal(back, object, n);
                whole++;
            } else {
                nothing++;
            }
            flashsim_free(&sim);
        }
    }
    assert_true(whole > 0 && nothing > 25);
    free(object);
}

static void flash_errors_have_their_names(void **state)
{
    static const struct { enum flashsim_fault_kind kind; int err; } cases[] = {
        { FLASHSIM_REFUSE, GW_ERR_FLASH_WRITE }, { FLASHSIM_REFUSE_HALF, GW_ERR_FLASH_WRITE },
        { FLASHSIM_LIE, GW_ERR_FLASH_VERIFY }, { FLASHSIM_READ_FAILS, GW_ERR_FLASH_READ },
    };
    uint8_t *object = make_object(100), back[100];
    uint32_t n = 0, offset = 0;
    (void)state;

    start(8, 0xff);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (uint32_t op = 0; op < 3; op++) { /* two pieces and the header */
            flashsim_arm(&sim, i);
            clear();
            uint32_t at = cases[i].kind == FLASHSIM_READ_FAILS ? sim.reads + op : sim.ops + op;
            flashsim_add_fault(&sim, (struct flashsim_fault){ cases[i].kind, at, 2, 0, 0 });
            assert_int_equal(gw_store_write(&sim.flash, area, object, 100), cases[i].err);
            flashsim_arm(&sim, i);
            int err = gw_store_read(&sim.flash, area, back, sizeof back, &n);
            assert_true(err == GW_ERR_NOTHING || err == GW_ERR_FLASH_READ || (err == GW_OK && op == 2));
        }
    }
    flashsim_arm(&sim, 9);
    clear();
    assert_int_equal(gw_store_write(&sim.flash, area, object, 100), GW_OK);
    for (uint32_t read = 0; read < 2; read++) {
        flashsim_arm(&sim, 9);
        flashsim_add_fault(&sim, (struct flashsim_fault){ FLASHSIM_READ_FAILS, read, 0, 0, 0 });
        assert_int_equal(gw_store_read(&sim.flash, area, back, sizeof back, &n), GW_ERR_FLASH_READ);
    }
    flashsim_arm(&sim, 9);
    flashsim_add_fault(&sim, (struct flashsim_fault){ FLASHSIM_REFUSE, 1, 0, 0, 0 });
    assert_int_equal(gw_area_erase(&sim.flash, area, &offset), GW_MORE);
    assert_int_equal(gw_area_erase(&sim.flash, area, &offset), GW_ERR_FLASH_ERASE);
    assert_int_equal(offset, 1024); /* so that the same block is tried again */
    flashsim_arm(&sim, 9);
    assert_int_equal(gw_area_erase(&sim.flash, area, &offset), GW_MORE);
    assert_int_equal(gw_area_erase(&sim.flash, area, &offset), GW_DONE);
    free(object);
    flashsim_free(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_of_every_size_come_back),
        cmocka_unit_test(what_does_not_fit_is_not_written),
        cmocka_unit_test(no_bit_of_header_or_body_may_flip),
        cmocka_unit_test(whole_headers_that_lie_are_refused),
        cmocka_unit_test(torn_writes_leave_nothing_or_all),
        cmocka_unit_test(flash_errors_have_their_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
