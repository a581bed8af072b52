/*
 * main.c - a whole bootloader for rv32imc, linked to be weighed by `make size`: lib and boot/, the smallest verifier,
 * and a port to
 * memory-mapped NOR flash with CFI commands (two 16-bit parts side by side, as on QEMU's riscv virt board).
 *
 * Real in everything but the addresses: reset code, flash driver, watchdog, reset cause, hand-over, recovery message.
 * The code runs from one flash bank (0x20000000) while it programs the other (0x22000000).
 */
#include <string.h>

#include "crypto_ports.h"
#include "godwit/boot.h"

#define BANK 0x22000000u
#define BLOCK 0x40000u       /* erase block: 128 KB in each of the two parts */
#define POLLS 50000000u      /* a part that takes longer is broken */
#define UART 0x10000000u     /* 16550 */
#define TEST_DEVICE 0x100000u /* writes reset or stop the board */
#define RESET_CAUSE 0x80000000u /* a word that the reset code of a product keeps */
#define HANDOVER 0x80000010u
#define MEMORY_END 0x80064000u

#define REG32(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define REG8(address) (*(volatile uint8_t *)(uintptr_t)(address))

/* ---- Flash: every command goes to both parts at once. ------------------------------------------------------------ */

static uint32_t both(uint32_t command)
{
    return command << 16 | command;
}

/* Waits for the end of an operation, and goes back to reading. */
static int flash_finish(uint32_t address)
{
    uint32_t status = 0;
    for (uint32_t i = 0; i < POLLS && (status & both(0x80)) != both(0x80); i++) {
        status = REG32(address);
    }
    REG32(address) = both(0x50);
    REG32(address) = both(0xff);
    return status == both(0x80) ? 0 : -1;
}

static int flash_read(void *ctx, uint32_t address, void *data, uint32_t n)
{
    (void)ctx;
    memcpy(data, (const void *)(uintptr_t)address, n);
    return 0;
}

static int flash_write(void *ctx, uint32_t address, const void *data, uint32_t n)
{
    (void)ctx;
    for (uint32_t at = 0; at < n; at += 4) {
        uint32_t word;
        memcpy(&word, (const uint8_t *)data + at, 4);
        REG32(address + at) = both(0x40);
        REG32(address + at) = word;
        if (flash_finish(address + at) != 0) {
            return -1;
        }
    }
    return 0;
}

static int flash_erase(void *ctx, uint32_t address)
{
    (void)ctx;
    REG32(address) = both(0x20);
    REG32(address) = both(0xd0);
    return flash_finish(address);
}

static const struct gw_flash_region regions[] = {{BANK, 128, BLOCK}};
static const struct gw_flash flash = {
    .regions = regions,
    .region_count = 1,
    .write_size = 4,
    .erased = 0xff,
    .read = flash_read,
    .write = flash_write,
    .erase = flash_erase,
};
static const struct gw_layout layout = {
    .identity = {BANK, BLOCK},
    .trust = {{BANK + BLOCK, BLOCK}, {BANK + 2 * BLOCK, BLOCK}},
    .journal = {BANK + 3 * BLOCK, 2 * BLOCK},
    .factory = {BANK + 5 * BLOCK, 3 * BLOCK},
    .slot = {{BANK + 8 * BLOCK, 16 * BLOCK}, {BANK + 24 * BLOCK, 16 * BLOCK}},
};

static struct gw_journal journal;
static uint8_t memory[GW_VERIFY_MEMORY];

/* ---- The way in and out ----------------------------------------------------------------------------------------- */

static _Noreturn void start(uint32_t entry)
{
    ((void (*)(void))(uintptr_t)entry)();
    for (;;) {
    }
}

static void say(const char *s)
{
    while (*s) {
        REG8(UART) = (uint8_t)*s++;
    }
}

/* Nothing to start: a product listens on its serial line here; this one says so, and resets. */
static _Noreturn void recover(void)
{
    say("godwit: no image, recovery needed\n");
    for (;;) {
        REG32(TEST_DEVICE) = 0x7777;
    }
}

static enum gw_cause cause_of_reset(void)
{
    uint32_t cause = REG32(RESET_CAUSE);
    REG32(RESET_CAUSE) = 0;
    return cause <= GW_CAUSE_DEEP_SLEEP ? (enum gw_cause)cause : GW_CAUSE_UNKNOWN;
}

_Noreturn void boot_main(void);
_Noreturn void boot_main(void)
{
    struct gw_crypto crypto;
    struct gw_handover handover;
    bool watchdog;
    const struct gw_device device = {
        .flash = &flash, .crypto = &crypto, .layout = &layout, .journal = &journal, .bootloader = GW_VERSION,
    };
    struct gw_slot_map map;
    gw_crypto_mbedtls_boot_init(&crypto);
    int error = gw_boot_run(&device, cause_of_reset(), memory, sizeof memory, &handover, &watchdog, NULL);
    if (error != GW_OK || gw_layout_slot(&flash, &layout, (enum gw_slot)handover.slot, &map) != GW_OK) {
        recover();
    }
    if (watchdog) { /* the machine timer resets the board unless the image moves it on */
        REG32(0x2004000) = REG32(0x200bff8) + 100000000u;
    }
    uint8_t wire[GW_HANDOVER_SIZE];
    gw_handover_encode(&handover, wire);
    memcpy((void *)(uintptr_t)HANDOVER, wire, sizeof wire);
    start(map.image.start);
}
