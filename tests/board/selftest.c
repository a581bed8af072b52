/*
 * selftest.c - an image that checks the board's port: flash and crypto self-tests of the library, random numbers,
 * clock, timer, hand-over, a stray store. Ends QEMU with exit code 0, or with the number of the check that failed.
 *
 * Runs without the bootloader (-kernel). The last check is a store to flash behind the driver's back, which has to
 * fault: the handler below is how the test ends.
 */
#include <string.h>

#include "board.h"
#include "crypto_ports.h"
#include "registers.h"

static uint8_t buffer[512];

static int draw(void *ctx, void *data, size_t n)
{
    (void)ctx;
    return board_random(data, n);
}

static void check(int number, const char *what, int error, unsigned line)
{
    board_print(error == 0 ? "ok " : "FAILED ");
    board_print(what);
    if (error != 0) {
        board_print(": ");
        board_print(gw_strerror(error));
        board_print(", rule ");
        board_print_number(line);
    }
    board_print("\n");
    if (error != 0) {
        board_exit(number);
    }
}

static int random_is_random(void)
{
    uint8_t a[100] = {0}, b[100] = {0};

    if (board_random(a, sizeof a) != 0 || board_random(b, sizeof b) != 0) {
        return GW_ERR_CRYPTO;
    }
    return memcmp(a, b, sizeof a) == 0 || memcmp(a + 36, a + 68, 32) == 0 ? GW_ERR_VALUE : 0;
}

static int time_passes(void)
{
    uint64_t before = board_time_us();
    board_wait(20000);
    uint64_t passed = board_time_us() - before;

    /* 2020 is past; a wait may end late, and not early when no byte comes */
    return passed < 20000 || board_clock() < 1577836800u ? GW_ERR_TIMEOUT : 0;
}

static int handover_survives(void)
{
    const struct gw_handover in = { GW_SLOT_B, GW_TRYING, 4, 0, GW_CAUSE_WATCHDOG, 128, 0x123456 };
    struct gw_handover out;

    board_handover_put(&in);
    int error = board_handover_get(&out);
    return error != 0 ? error : out.slot == in.slot && out.bootloader == in.bootloader ? 0 : GW_ERR_VALUE;
}

/* Programming cannot set bits; bank 0 cannot be written. */
static int nor_rules(void)
{
    const struct gw_flash *f = &board_flash;
    const uint32_t at = board_layout.slot[0].start;
    static const uint8_t zero[4] = {0}, ones[4] = {0xff, 0xff, 0xff, 0xff};

    if (f->erase(NULL, at) != 0 || f->write(NULL, at, zero, 4) != 0) {
        return GW_ERR_FLASH_WRITE;
    }
    if (f->write(NULL, at, ones, 4) == 0 || f->write(NULL, BOARD_BANK0, zero, 4) == 0 ||
        f->erase(NULL, BOARD_BANK0) == 0 || f->write(NULL, at + 5, zero, 4) == 0 || f->erase(NULL, at + 4) == 0) {
        return GW_ERR_FLASH_VERIFY;
    }
    return f->erase(NULL, at);
}

/* The stray store faulted: all is well. */
__attribute__((aligned(4))) static void faulted(void)
{
    uint32_t cause;
    CSR_READ(mcause, cause);
    check(9, "a stray store to flash faults", cause == 7 ? 0 : GW_ERR_STATE, cause);
    board_print("board selftest: passed\n");
    board_exit(0);
}

int main(void)
{
    struct gw_crypto crypto;
    unsigned line = 0;
    const struct gw_area two = { board_layout.slot[1].start, 2 * BOARD_SECTOR };

    board_protect();
    check(1, "layout", gw_layout_check(&board_flash, &board_layout), 0);
    int error = gw_selftest_flash(&board_flash, two, buffer, sizeof buffer, &line);
    check(2, "flash", error, line);
    check(3, "NOR rules", nor_rules(), 0);
    check(4, "random numbers", random_is_random(), 0);
    check(5, "clock and timer", time_passes(), 0);
    check(6, "hand-over", handover_survives(), 0);
    gw_crypto_mbedtls_boot_init(&crypto);
    error = gw_selftest_crypto(&crypto, &line);
    check(7, "crypto of the bootloader", error, line);
    gw_crypto_psa_entropy(draw, NULL);
    error = gw_crypto_psa_init(&crypto);
    error = error == 0 ? gw_selftest_crypto(&crypto, &line) : error;
    check(8, "crypto of images", error, line);
    CSR_WRITE(mtvec, (uint32_t)(uintptr_t)faulted);
    REG32(board_layout.slot[0].start) = 0x00ff00ff;
    check(10, "a stray store to flash went through", GW_ERR_STATE, 0);
    return 0;
}
