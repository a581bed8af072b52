/*
 * protect.c - physical memory protection (RISC-V privileged architecture 1.12, section 3.7): flash is read-only to
 * stray stores. On NOR flash one wild store is a command, and the whole bank stops answering with its content.
 *
 * Only locked entries hold for machine mode, until the next reset. The first entry that matches decides: entry 0, not
 * locked, is a window over bank 1 that the flash driver opens for as long as it programs. Bank 0 is never opened.
 */
#include "board.h"
#include "registers.h"

#define NAPOT_32MB(base) ((base) >> 2 | 0x3fffffu)
enum { PMP_R = 1, PMP_W = 2, PMP_X = 4, PMP_NAPOT = 0x18, PMP_LOCKED = 0x80 };
#define WINDOW (uint32_t)(PMP_R | PMP_W | PMP_NAPOT)
#define RULES (uint32_t)((PMP_R | PMP_X | PMP_NAPOT | PMP_LOCKED) << 8 | (PMP_R | PMP_NAPOT | PMP_LOCKED) << 16)

void board_protect(void)
{
    CSR_WRITE(pmpaddr0, NAPOT_32MB(BOARD_BANK1));
    CSR_WRITE(pmpaddr1, NAPOT_32MB(BOARD_BANK0));
    CSR_WRITE(pmpaddr2, NAPOT_32MB(BOARD_BANK1));
    board_flash_lock();
}

void board_flash_lock(void)
{
    CSR_WRITE(pmpcfg0, RULES);
}

void board_flash_unlock(void)
{
    CSR_WRITE(pmpcfg0, RULES | WINDOW);
}
