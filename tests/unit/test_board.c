/*
 * test_board.c - a board's description for the factory (board.json) and for its firmware (layout.c) say the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "posix_board.h"

#include "../../ports/qemu-rv32/layout.c"

static struct gwp_board board;

static int setup(void **state)
{
    struct gwh_error err = {0};
    (void)state;
    return gwp_board_load(&board, GW_SOURCE_DIR "/ports/qemu-rv32/board.json", &err);
}

static int teardown(void **state)
{
    (void)state;
    gwp_board_free(&board);
    return 0;
}

static void same(struct gw_area a, struct gw_area b)
{
    assert_int_equal(a.start, b.start);
    assert_int_equal(a.size, b.size);
}

static void test_layout(void **state)
{
    const struct gw_layout *l = &board.layout.layout;
    (void)state;
    same(l->identity, board_layout.identity);
    same(l->journal, board_layout.journal);
    same(l->factory, board_layout.factory);
    for (unsigned i = 0; i < 2; i++) {
        same(l->trust[i], board_layout.trust[i]);
        same(l->slot[i], board_layout.slot[i]);
    }
    assert_int_equal(l->data_count, board_layout.data_count);
}

/* What QEMU asks of its flash files, and what flash.c says of the parts. */
static void test_parts(void **state)
{
    (void)state;
    assert_string_equal(board.name, "qemu-rv32");
    assert_int_equal(board.file_count, 2);
    assert_int_equal(board.file[0].area.start, BOARD_BANK0);
    assert_int_equal(board.file[1].area.start, BOARD_BANK1);
    assert_int_equal(board.file[0].area.size, 32 * 1024 * 1024);
    assert_int_equal(board.file[1].area.size, 32 * 1024 * 1024);
    assert_int_equal(board.bootloader.start, BOARD_BANK0);
    same(board.settings, (struct gw_area){ board_layout.identity.start + board_layout.identity.size, BOARD_SECTOR });
    assert_int_equal(board.layout.write_size, 4);
    assert_int_equal(board.layout.erased, 0xff);
    for (uint32_t i = 0; i < board.layout.region_count; i++) {
        assert_int_equal(board.layout.region[i].erase_size, BOARD_SECTOR);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_parts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
