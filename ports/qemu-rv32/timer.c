/*
 * timer.c - time since reset, and waiting without burning a processor: the core's timer (CLINT, 10 MHz) or a byte on
 * the serial line ends a wait.
 *
 * Interrupts stay off in mstatus: a pending one ends WFI (privileged architecture 1.12, section 3.3.3) and is never
 * taken, so there is no handler.
 */
#include "board.h"
#include "registers.h"

#define TIMER_COMPARE 0x2004000u
#define TIMER_NOW 0x200bff8u
#define TICKS_PER_US 10u
#define UART_IRQ 10u
#define PLIC 0xc000000u
#define PLIC_PRIORITY(irq) REG32(PLIC + 4 * (irq))
#define PLIC_ENABLE REG32(PLIC + 0x2000)
#define PLIC_CLAIM REG32(PLIC + 0x200004)
#define MIE_TIMER 0x80u
#define MIE_EXTERNAL 0x800u

static uint64_t ticks(void)
{
    uint32_t high, low;

    do { /* two halves, read until the upper one did not change between */
        high = REG32(TIMER_NOW + 4);
        low = REG32(TIMER_NOW);
    } while (REG32(TIMER_NOW + 4) != high);
    return (uint64_t)high << 32 | low;
}

uint64_t board_time_us(void)
{
    return ticks() / TICKS_PER_US;
}

void board_wait(uint32_t us)
{
    uint64_t end = ticks() + (uint64_t)us * TICKS_PER_US;

    REG32(TIMER_COMPARE + 4) = 0xffffffffu; /* never in between */
    REG32(TIMER_COMPARE) = (uint32_t)end;
    REG32(TIMER_COMPARE + 4) = (uint32_t)(end >> 32);
    PLIC_PRIORITY(UART_IRQ) = 1;
    PLIC_ENABLE = 1u << UART_IRQ;
    CSR_WRITE(mie, MIE_TIMER | MIE_EXTERNAL);
    __asm__ volatile("wfi");
    PLIC_CLAIM = PLIC_CLAIM; /* claimed, done; raised again while the byte is not read. 0 does no harm */
}
