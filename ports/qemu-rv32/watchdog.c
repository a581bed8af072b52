/*
 * watchdog.c - an independent watchdog: Intel 6300ESB on the PCI bus (data sheet 300641, section 16). It counts down,
 * then counts down again, then resets the board, whatever the processor does. It remembers that it did: the reset
 * cause that survives even a loss of RAM.
 *
 * The firmware places its registers itself: nobody else sets up the PCI bus here.
 */
#include "board.h"
#include "registers.h"

#define PCI_CONFIG 0x30000000u  /* ECAM: 32 KB for each device on bus 0 */
#define PCI_MEMORY 0x40000000u  /* where the registers are put */
#define ESB_ID 0x25ab8086u
#define ESB_CONFIG 0x60u        /* 0: reset at the end, 1 ms steps */
#define ESB_LOCK 0x68u          /* bit 1: enable */
#define ESB_RELOAD 0x0cu
enum { RELOAD = 0x100, TIMED_OUT = 0x200 };

static uint32_t find(void)
{
    for (uint32_t config = PCI_CONFIG; config < PCI_CONFIG + 32 * 0x8000u; config += 0x8000) {
        if (REG32(config) == ESB_ID) {
            REG32(config + 0x10) = PCI_MEMORY;
            REG16(config + 0x04) = 2; /* answer to memory accesses */
            return config;
        }
    }
    return 0;
}

/* Registers take a write only right after this. */
static void unlock(void)
{
    REG16(PCI_MEMORY + ESB_RELOAD) = 0x80;
    REG16(PCI_MEMORY + ESB_RELOAD) = 0x86;
}

void board_watchdog_start(uint32_t ms)
{
    uint32_t config = find();

    if (config == 0) {
        board_print("board: no watchdog; start QEMU with -device i6300esb\n");
        return;
    }
    REG16(config + ESB_CONFIG) = 0;
    unlock();
    REG32(PCI_MEMORY + 0) = ms / 2; /* first stage */
    unlock();
    REG32(PCI_MEMORY + 4) = ms / 2; /* second stage */
    REG8(config + ESB_LOCK) = 2;
}

void board_watchdog_feed(void)
{
    if (find() != 0) {
        unlock();
        REG16(PCI_MEMORY + ESB_RELOAD) = RELOAD;
    }
}

bool board_watchdog_bit(void)
{
    if (find() == 0 || (REG16(PCI_MEMORY + ESB_RELOAD) & TIMED_OUT) == 0) {
        return false;
    }
    unlock();
    REG16(PCI_MEMORY + ESB_RELOAD) = TIMED_OUT; /* forget it */
    return true;
}
