/*
 * test_posix_flash.c - the flash file keeps NOR's rules, survives its process, and refuses what is damaged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix_device.h"
#include "posix_flash.h"

static char folder[] = "/tmp/godwit-flash-XXXXXX";

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL || chdir(folder) != 0;
}

static int teardown(void **state)
{
    char command[64];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir("/") != 0 || system(command) != 0;
}

static void create(const char *name, uint32_t erase_size, uint32_t write_size, uint32_t erased)
{
    struct gwp_layout_request r = {.slot_size = erase_size == 4096 ? 64 * 1024 : 256 * 1024,
                                   .erase_size = erase_size,
                                   .write_size = write_size,
                                   .erased = erased};
    struct gwp_layout l;
    struct gwh_error err = {0};
    assert_int_equal(gwp_layout_make(&l, &r, &err), GWH_OK);
    assert_int_equal(gwh_folder_make(name, &err), GWH_OK);
    assert_int_equal(gwp_flash_create(name, &l, &err), GWH_OK);
}

static void open_flash(struct gwp_flash *f, const char *name)
{
    struct gwh_error err = {0};
    assert_int_equal(gwp_flash_open(f, name, false, &err), GWH_OK);
}

/* The contract, as the library's own porter's test exercises it, over all geometries. */
static void test_contract(void **state)
{
    static const uint32_t erase_sizes[] = {4096, 65536, 0};
    static const uint32_t write_sizes[] = {1, 2, 4, 8, 16, 32};
    struct gwp_flash f;
    uint8_t page[64], back[64];
    (void)state;
    for (unsigned e = 0; e < 3; e++) {
        for (unsigned w = 0; w < 6; w++) {
            char name[32];
            (void)snprintf(name, sizeof name, "g%u-%u", e, w);
            create(name, erase_sizes[e], write_sizes[w], w % 2 == 0 ? 0xff : 0x00);
            open_flash(&f, name);
            uint32_t at = f.layout.layout.slot[0].start;
            memset(page, 0x5a, sizeof page);
            assert_int_equal(gw_flash_read(&f.flash, at, back, 64), GW_OK);
            assert_int_equal(back[0], f.flash.erased);
            assert_int_equal(gw_flash_write(&f.flash, at, page, 64), GW_OK);
            assert_int_equal(gw_flash_read(&f.flash, at, back, 64), GW_OK);
            assert_memory_equal(page, back, 64);
            assert_int_equal(gw_flash_erase(&f.flash, at), GW_OK);
            assert_int_equal(gw_flash_write(&f.flash, at, page, 64), GW_OK);
            assert_string_equal(f.broken, "");
            gwp_flash_close(&f);
        }
    }
}

static void test_programmed_once(void **state)
{
    struct gwp_flash f;
    uint8_t page[32];
    (void)state;
    create("once", 4096, 16, 0xff);
    open_flash(&f, "once");
    uint32_t at = f.layout.layout.slot[0].start;
    memset(page, 0xff, sizeof page); /* even with the erased value */
    assert_int_equal(gw_flash_write(&f.flash, at, page, 16), GW_OK);
    gwp_flash_close(&f);
    open_flash(&f, "once"); /* another process knows it too */
    assert_int_equal(gw_flash_write(&f.flash, at, page, 32), GW_ERR_FLASH_WRITE);
    assert_non_null(strstr(f.broken, "programmed twice"));
    assert_int_equal(gw_flash_write(&f.flash, at + 16, page, 16), GW_OK);
    gwp_flash_close(&f);
}

static void test_units_and_blocks(void **state)
{
    struct gwp_flash f;
    uint8_t page[32] = {0};
    (void)state;
    open_flash(&f, "once");
    uint32_t at = f.layout.layout.slot[1].start;
    assert_int_not_equal(f.flash.write(f.flash.ctx, at + 4, page, 16), 0);
    assert_int_not_equal(f.flash.write(f.flash.ctx, at, page, 15), 0);
    assert_int_not_equal(f.flash.erase(f.flash.ctx, at + 16), 0);
    uint32_t end = gwp_layout_bytes(&f.layout);
    assert_int_not_equal(f.flash.read(f.flash.ctx, end - 8, page, 16), 0);
    assert_int_not_equal(f.flash.write(f.flash.ctx, end, page, 16), 0);
    assert_int_not_equal(f.flash.erase(f.flash.ctx, end), 0);
    assert_int_equal(f.flash.read(f.flash.ctx, at, page, 16), 0);
    assert_int_equal(page[0], 0xff);
    gwp_flash_close(&f);
}

/* A read that runs over the border of two regions with blocks of different sizes. */
static void test_over_regions(void **state)
{
    struct gwp_flash f;
    uint8_t bytes[64];
    (void)state;
    create("mixed", 0, 8, 0xff);
    open_flash(&f, "mixed");
    assert_int_equal(f.layout.region_count, 2);
    uint32_t border = f.layout.region[1].start;
    assert_int_equal(gw_flash_read(&f.flash, border - 32, bytes, 64), GW_OK);
    struct gw_area block;
    assert_int_equal(gw_flash_block(&f.flash, border - 1, &block), GW_OK);
    assert_int_equal(block.size, 4096);
    assert_int_equal(gw_flash_block(&f.flash, border, &block), GW_OK);
    assert_int_equal(block.size, 65536);
    gwp_flash_close(&f);
}

/* In a child: its power is cut at the first operation. */
static int cut(const char *name, bool erase)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct gwp_flash f;
        struct gwh_error err = {0};
        uint8_t page[64];
        memset(page, 0x11, sizeof page);
        if (!freopen("/dev/null", "w", stderr) || gwp_flash_open(&f, name, false, &err) != GWH_OK) {
            _exit(1);
        }
        f.cut_at = 1;
        uint32_t at = f.layout.layout.slot[0].start;
        int e = erase ? gw_flash_erase(&f.flash, at) : gw_flash_write(&f.flash, at, page, 64);
        _exit(e == GW_OK ? 2 : 3); /* not reached */
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_torn_write(void **state)
{
    struct gwp_flash f;
    uint8_t page[64];
    (void)state;
    create("torn", 4096, 16, 0xff);
    assert_int_equal(cut("torn", false), GWP_CUT_EXIT);
    open_flash(&f, "torn");
    uint32_t at = f.layout.layout.slot[0].start;
    assert_int_equal(gw_flash_read(&f.flash, at, page, 64), GW_OK);
    assert_int_equal(page[0], 0x11);
    assert_int_equal(page[63], 0xff);
    memset(page, 0x22, sizeof page);
    assert_int_equal(gw_flash_write(&f.flash, at + 48, page, 16), GW_ERR_FLASH_WRITE); /* reads blank, and is not */
    assert_int_equal(gw_flash_erase(&f.flash, at), GW_OK);
    assert_int_equal(gw_flash_write(&f.flash, at, page, 64), GW_OK);
    gwp_flash_close(&f);
}

static void test_torn_erase(void **state)
{
    struct gwp_flash f;
    uint8_t page[16];
    (void)state;
    assert_int_equal(cut("torn", true), GWP_CUT_EXIT);
    open_flash(&f, "torn");
    uint32_t at = f.layout.layout.slot[0].start;
    assert_int_equal(gw_flash_read(&f.flash, at, page, 16), GW_OK);
    assert_int_equal(page[0], 0xff);
    assert_int_equal(gw_flash_write(&f.flash, at, page, 16), GW_ERR_FLASH_WRITE);
    gwp_flash_close(&f);
}

static void test_cut_takes_the_handover(void **state)
{
    struct gw_handover h = {.slot = GW_SLOT_A, .state = GW_CONFIRMED}, back;
    struct gwh_error err = {0};
    (void)state;
    assert_int_equal(gwp_handover_write("torn", &h, &err), GWH_OK);
    assert_true(gwp_handover_read("torn", &back));
    assert_int_equal(back.state, GW_CONFIRMED);
    assert_int_equal(cut("torn", true), GWP_CUT_EXIT);
    assert_false(gwp_handover_read("torn", &back));
}

static void test_locked(void **state)
{
    struct gwp_flash f, second;
    struct gwh_error err = {0};
    (void)state;
    open_flash(&f, "once");
    assert_int_equal(gwp_flash_open(&second, "once", false, &err), GWH_IO);
    assert_non_null(strstr(err.text, "in use"));
    gwp_flash_close(&f);
    open_flash(&f, "once");
    gwp_flash_close(&f);
}

/* A flash that is only looked at is not changed, whatever is written. */
static void test_read_only(void **state)
{
    struct gwp_flash f;
    struct gwh_error err = {0};
    uint8_t page[16] = {7}, back[16];
    (void)state;
    create("looked", 4096, 16, 0xff);
    assert_int_equal(gwp_flash_open(&f, "looked", true, &err), GWH_OK);
    uint32_t at = f.layout.layout.slot[0].start;
    assert_int_equal(gw_flash_write(&f.flash, at, page, 16), GW_OK);
    assert_int_equal(gw_flash_read(&f.flash, at, back, 16), GW_OK);
    assert_int_equal(back[0], 7);
    gwp_flash_close(&f);
    open_flash(&f, "looked");
    assert_int_equal(gw_flash_read(&f.flash, at, back, 16), GW_OK);
    assert_int_equal(back[0], 0xff);
    assert_int_equal(gw_flash_write(&f.flash, at, page, 16), GW_OK);
    gwp_flash_close(&f);
}

static void refused(const char *name, int reason)
{
    struct gwp_flash f;
    struct gwh_error err = {0};
    assert_int_not_equal(gwp_flash_open(&f, name, false, &err), GWH_OK);
    assert_int_equal(err.reason, reason);
    assert_true(err.text[0] != '\0');
}

static void put(const char *path, const char *text)
{
    struct gwh_error err = {0};
    assert_int_equal(gwh_file_write(path, (struct gw_span){(const uint8_t *)text, strlen(text)}, 0644, true, &err),
                     GWH_OK);
}

static void test_damaged_files(void **state)
{
    (void)state;
    create("bad", 4096, 16, 0xff);
    assert_int_equal(truncate("bad/flash.bin", 4096), 0);
    refused("bad", GW_ERR_LAYOUT);
    create("bad", 4096, 16, 0xff);
    assert_int_equal(truncate("bad/units.bin", 3), 0);
    refused("bad", GW_ERR_LAYOUT);
    create("bad", 4096, 16, 0xff);
    assert_int_equal(unlink("bad/flash.bin"), 0);
    refused("bad", 0);
    refused("nowhere", 0);
}

/* Every truncation of layout.json, and foreign contents. */
static void test_damaged_layouts(void **state)
{
    static const char *const foreign[] = {"", "[]", "{}", "{\"format\": \"godwit layout 2\"}", "null", "nonsense"};
    struct gwh_buf text = {0};
    struct gwh_error err = {0};
    struct gwp_layout l;
    (void)state;
    create("json", 4096, 16, 0xff);
    assert_int_equal(gwh_file_read(&text, "json/layout.json", 65536, &err), GWH_OK);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        put("json/layout.json", foreign[i]);
        refused("json", GW_ERR_LAYOUT);
    }
    for (size_t n = 0; n + 2 < text.n; n += 11) {
        struct gwh_error why = {0};
        assert_int_equal(gwh_file_write("cut.json", (struct gw_span){text.p, n}, 0644, true, &err), GWH_OK);
        assert_int_equal(gwp_layout_load(&l, "cut.json", &why), GWH_REFUSED);
        assert_int_equal(why.reason, GW_ERR_LAYOUT);
    }
    gwh_buf_free(&text);
}

/* What layout.json says comes back; numbers out of range and overlaps are refused by the device's own check. */
static void test_layout_roundtrip(void **state)
{
    struct gwp_layout_request r = {.extended = true,
                                   .slot_size = 300000,
                                   .factory_size = 30000,
                                   .write_size = 32,
                                   .erased = 0xff,
                                   .data_count = 1,
                                   .data = {{7, 5000}}};
    struct gwp_layout a, b;
    struct gwh_error err = {0}, overlap = {0};
    (void)state;
    assert_int_equal(gwp_layout_make(&a, &r, &err), GWH_OK);
    assert_int_equal(gwp_layout_save(&a, "round.json", true, &err), GWH_OK);
    assert_int_equal(gwp_layout_load(&b, "round.json", &err), GWH_OK);
    assert_memory_equal(a.region, b.region, sizeof a.region);
    assert_int_equal(a.layout.slot[1].start, b.layout.slot[1].start);
    assert_int_equal(b.data[0].component, 7);
    assert_int_equal(a.data[0].area[1].size, b.data[0].area[1].size);
    a.layout.slot[1].start = a.layout.slot[0].start;
    assert_int_equal(gwp_layout_save(&a, "round.json", true, &err), GWH_OK);
    assert_int_equal(gwp_layout_load(&b, "round.json", &overlap), GWH_REFUSED);
    assert_int_equal(overlap.reason, GW_ERR_LAYOUT);
}

static void test_bad_requests(void **state)
{
    static const struct gwp_layout_request bad[] = {
        {.slot_size = 0, .erase_size = 4096, .write_size = 16},
        {.slot_size = 65536, .erase_size = 4096, .write_size = 3},
        {.slot_size = 65536, .erase_size = 4096, .write_size = 64},
        {.slot_size = 65536, .erase_size = 100, .write_size = 4},
        {.slot_size = 0xffffffff, .erase_size = 4096, .write_size = 4},
        {.slot_size = 4096, .erase_size = 4096, .write_size = 4},
    };
    struct gwp_layout l;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct gwh_error err = {0};
        assert_int_equal(gwp_layout_make(&l, &bad[i], &err), GWH_REFUSED);
        assert_int_equal(err.reason, GW_ERR_LAYOUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contract),
        cmocka_unit_test(test_programmed_once),
        cmocka_unit_test(test_units_and_blocks),
        cmocka_unit_test(test_over_regions),
        cmocka_unit_test(test_torn_write),
        cmocka_unit_test(test_torn_erase),
        cmocka_unit_test(test_cut_takes_the_handover),
        cmocka_unit_test(test_locked),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_damaged_layouts),
        cmocka_unit_test(test_layout_roundtrip),
        cmocka_unit_test(test_bad_requests),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
