/*
 * selftest.c - an image that checks the board's port: flash and crypto self-tests of the library, random numbers,
 * clock, timer, interrupts, network, hand-over, a stray store. Ends QEMU with exit code 0, or with the number of the
 * check that failed.
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

/* The interrupt comes while the program is busy, while it waits, and while the flash is written; none is left out. */
static volatile uint32_t ticks;

static void tick(void)
{
    ticks++;
}

static int interrupts_come(void)
{
    uint64_t end = board_time_us() + 20000;

    board_every(1000, tick);
    while (board_time_us() < end) {
    }
    uint32_t busy = ticks;
    board_wait(20000);
    uint32_t waited = ticks;
    for (int i = 0; i < 20; i++) {
        if (board_flash.erase(NULL, board_layout.slot[0].start) != 0) {
            return GW_ERR_FLASH_ERASE;
        }
    }
    return busy < 5 || waited < busy + 5 || ticks == waited ? GW_ERR_TIMEOUT : 0;
}

/* "Who has 10.0.2.2?" (RFC 826), and the emulator's router says that it has. */
static unsigned answers;

static void see_frame(void *ctx, const uint8_t *frame, uint32_t n)
{
    static const uint8_t reply[] = {0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 2};

    (void)ctx;
    answers += n >= 42 && memcmp(frame + 12, reply, sizeof reply) == 0 && frame[31] == 2;
}

static int network_answers(void)
{
    static const uint8_t who[] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
    static const uint8_t here[] = {10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2};
    uint8_t mac[6];

    if (!board_net_start(mac)) {
        return GW_ERR_CONFIG;
    }
    for (int i = 0; i < 40 && answers < 20; i++) { /* more often than there are buffers: they come back */
        uint8_t *frame = board_net_frame();
        if (frame == NULL) {
            return GW_ERR_SPACE;
        }
        memset(frame, 0xff, 6);
        memcpy(frame + 6, mac, 6);
        memcpy(frame + 12, who, sizeof who);
        memcpy(frame + 22, mac, 6);
        memcpy(frame + 28, here, sizeof here);
        board_net_send(frame, 42);
        board_wait(50000);
        (void)board_net_receive(see_frame, NULL);
    }
    return answers >= 20 ? 0 : GW_ERR_TIMEOUT;
}

/* The stray store faulted: all is well. */
__attribute__((aligned(4))) static void faulted(void)
{
    uint32_t cause;
    CSR_READ(mcause, cause);
    check(11, "a stray store to flash faults", cause == 7 ? 0 : GW_ERR_STATE, cause);
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
    check(9, "network", network_answers(), 0);
    CSR_WRITE(mtvec, (uint32_t)(uintptr_t)faulted); /* where board_every() sends faults on to */
    check(10, "interrupts", interrupts_come(), 0);
    REG32(board_layout.slot[0].start) = 0x00ff00ff;
    check(12, "a stray store to flash went through", GW_ERR_STATE, 0);
    return 0;
}
