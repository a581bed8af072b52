/*
 * flash.c - two 16-bit NOR parts side by side (CFI, Intel command set), and the manners of a serial NOR flash: 4 KB
 * sectors, programming only clears bits.
 *
 * What the model allows and a part does not is refused here: setting a bit by programming, writing bank 0. The model's
 * own erase block is 256 KB; a 4 KB sector is erased by a buffered write of ff, as one command.
 *
 * While a command runs the whole bank answers with its status. So everything from the first command to the return to
 * reading runs from RAM (.ramfunc) and calls nothing outside: on many parts the code itself would be gone meanwhile.
 *
 * Worst times, seen on a loaded PC: 4 KB written 2 ms, a sector erased 2 ms. A part takes 3 ms and 400 ms.
 */
#include <string.h>

#include "board.h"

#define RAMFUNC __attribute__((section(".ramfunc"), noinline))
#define BANK1_END (BOARD_BANK1 + 384u * BOARD_SECTOR)
#define POLLS 50000000u /* a part that takes longer is broken */

#define BOTH(command) ((uint32_t)(command) << 16 | (uint32_t)(command)) /* to both parts at once */
#define CMD_WRITE_BUFFER BOTH(0xe8) /* then words - 1, the words, CONFIRM */
#define CMD_PROGRAM BOTH(0x40)      /* then the word */
#define CMD_CONFIRM BOTH(0xd0)
#define CMD_CLEAR_STATUS BOTH(0x50)
#define CMD_READ BOTH(0xff)
#define STATUS_READY BOTH(0x80)


RAMFUNC static uint32_t status(volatile uint32_t *at)
{
    uint32_t s = 0;

    for (uint32_t i = 0; i < POLLS && (s & STATUS_READY) != STATUS_READY; i++) {
        s = *at;
    }
    return s;
}

/*
 * One write of n bytes (whole words inside one sector) from `data`, or of ff when data is NULL. Buffered, but for a
 * single word: QEMU since 9.0 answers a buffered write of one word with "programming error".
 */
RAMFUNC static int program(uint32_t address, const uint8_t *data, uint32_t n)
{
    volatile uint32_t *at = (volatile uint32_t *)(uintptr_t)address;
    uint32_t s = STATUS_READY, words = n / 4;

    *at = words == 1 ? CMD_PROGRAM : CMD_WRITE_BUFFER;
    if (words > 1) {
        s = status(at);
        *at = BOTH(words - 1);
    }
    for (uint32_t i = 0; i < words; i++) {
        uint32_t w = 0xffffffffu;
        if (data != NULL) {
            w = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
            data += 4;
        }
        at[i] = w;
    }
    if (words > 1) {
        *at = CMD_CONFIRM;
    }
    s |= status(at);
    *at = CMD_CLEAR_STATUS;
    *at = CMD_READ;
    return s == STATUS_READY ? 0 : -1;
}

static int flash_read(void *ctx, uint32_t address, void *data, uint32_t n)
{
    (void)ctx;
    memcpy(data, (const void *)(uintptr_t)address, n);
    return 0;
}

/* NOR programs ones to zeroes. Does the flash hold a one everywhere that the data has one? */
static bool only_clears(uint32_t address, const uint8_t *data, uint32_t n)
{
    const uint8_t *old = (const uint8_t *)(uintptr_t)address;

    for (uint32_t i = 0; i < n; i++) {
        if ((data[i] & ~old[i] & 0xff) != 0) {
            return false;
        }
    }
    return true;
}

static bool writable(uint32_t address, uint32_t n)
{
    return address >= BOARD_BANK1 && address < BANK1_END && n <= BANK1_END - address;
}

static int flash_write(void *ctx, uint32_t address, const void *data, uint32_t n)
{
    const uint8_t *p = data;
    int err = 0;

    (void)ctx;
    if (!writable(address, n) || ((address | n) & 3) != 0 || !only_clears(address, p, n)) {
        return -1;
    }
    board_flash_unlock();
    while (err == 0 && n > 0) {
        uint32_t room = BOARD_SECTOR - address % BOARD_SECTOR, piece = n < room ? n : room;
        err = program(address, p, piece);
        address += piece;
        p += piece;
        n -= piece;
    }
    board_flash_lock();
    return err;
}

static int flash_erase(void *ctx, uint32_t address)
{
    (void)ctx;
    if (!writable(address, BOARD_SECTOR) || address % BOARD_SECTOR != 0) {
        return -1;
    }
    board_flash_unlock();
    int err = program(address, NULL, BOARD_SECTOR);
    board_flash_lock();
    return err;
}

static void flash_idle(void *ctx)
{
    (void)ctx;
    board_watchdog_feed();
}

static const struct gw_flash_region regions[] = {
    {BOARD_BANK0, 96, BOARD_SECTOR},
    {BOARD_BANK1, 384, BOARD_SECTOR},
};

const struct gw_flash board_flash = {
    .regions = regions,
    .region_count = 2,
    .write_size = 4,
    .erased = 0xff,
    .read = flash_read,
    .write = flash_write,
    .erase = flash_erase,
    .idle = flash_idle,
};
