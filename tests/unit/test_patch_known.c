/*
 * test_patch_known.c - known answers of the gwpatch decoder: patches made once decode to the same bytes on every
 * machine, PC and emulated RV32IMC and Cortex-M3 alike, and in every version to come. Needs no encoder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "firmware.h"
#include "godwit/install.h"
#include "patch_known.h"

static uint8_t old[FIRMWARE_MAX], expected[FIRMWARE_MAX], made[FIRMWARE_MAX];
static size_t old_n, made_n;
static uint64_t memory[16u * 1024u / 8u];
static struct gw_patch patch;
static const struct gw_isa *const isas[] = { &gw_isa_riscv, &gw_isa_thumb, NULL };

static int read_old(void *ctx, uint32_t offset, void *data, uint32_t n)
{
    (void)ctx;
    assert_true(offset + n <= old_n);
    memcpy(data, old + offset, n);
    return 0;
}

static int read_new(void *ctx, uint32_t offset, void *data, uint32_t n)
{
    (void)ctx;
    assert_true(offset + n <= made_n);
    memcpy(data, made + offset, n);
    return 0;
}

/* Pushes the patch in pieces of `piece` bytes. */
static void decodes(const uint8_t *p, size_t n, bool delta, enum firmware_kind kind, size_t piece)
{
    const size_t size = firmware_make(expected, kind, 1);
    struct gw_patch_config config = { .read_new = read_new, .new_size = (uint32_t)size, .memory = memory,
                                      .memory_size = sizeof memory, .isas = isas };
    size_t at = 0, used, out;
    int status;

    old_n = firmware_make(old, kind, 0);
    made_n = 0;
    if (delta) {
        config.read_old = read_old;
        config.old_size = (uint32_t)old_n;
    }
    memset(memory, 0xa5, sizeof memory);
    assert_int_equal(gw_patch_open(&patch, &config), GW_OK);
    do {
        status = gw_patch_poll(&patch, made + made_n, sizeof made - made_n, &out);
        made_n += out;
        if (status == GW_WANT) {
            assert_true(at < n);
            assert_int_equal(gw_patch_push(&patch, p + at, n - at < piece ? n - at : piece, &used), GW_OK);
            at += used;
        }
    } while (status == GW_MORE || status == GW_WANT);
    assert_int_equal(status, GW_DONE);
    assert_int_equal(made_n, size);
    assert_memory_equal(made, expected, size);
}

static void riscv(void **state)
{
    (void)state;
    decodes(riscv_delta, sizeof riscv_delta, true, FIRMWARE_RISCV, 7);
    decodes(riscv_full, sizeof riscv_full, false, FIRMWARE_RISCV, 64);
}

static void thumb(void **state)
{
    (void)state;
    decodes(thumb_delta, sizeof thumb_delta, true, FIRMWARE_THUMB, 1);
}

static void no_instructions_small_profile(void **state)
{
    (void)state;
    decodes(data_delta, sizeof data_delta, true, FIRMWARE_DATA, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(riscv),
        cmocka_unit_test(thumb),
        cmocka_unit_test(no_instructions_small_profile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
