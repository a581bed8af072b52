/*
 * timer.c - time since reset, waiting without burning a processor, and a function that is called at even intervals
 * whatever the rest of the program is doing: the core's timer (CLINT, 10 MHz).
 *
 * Without board_every() interrupts stay off in mstatus: a pending one ends WFI (privileged architecture 1.12, section
 * 3.3.3) and is never taken. With it the timer's alone is taken; the others are on only inside board_wait(), where none
 * is taken.
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
#define NEVER UINT64_MAX

static uint32_t others; /* interrupts that end a wait, beside the serial line's */
static struct {
    void (*call)(void);
    uint64_t period, next; /* ticks */
} every = { .next = NEVER };
void board_trap(void); /* start.S */
uint32_t board_fault_handler;

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

static void compare(uint64_t at)
{
    REG32(TIMER_COMPARE + 4) = 0xffffffffu; /* never in between */
    REG32(TIMER_COMPARE) = (uint32_t)at;
    REG32(TIMER_COMPARE + 4) = (uint32_t)(at >> 32);
}

void board_wait_for(uint32_t irq)
{
    others |= 1u << irq;
    PLIC_PRIORITY(irq) = 1;
}

/* Sleeps until `end`, or an interrupt; the timer's is taken before it returns. True: another one came. */
static bool sleep_until(uint64_t end)
{
    __asm__ volatile("csrci mstatus, 8" ::: "memory");
    compare(end < every.next ? end : every.next);
    CSR_WRITE(mie, MIE_TIMER | MIE_EXTERNAL);
    __asm__ volatile("wfi");
    uint32_t irq = PLIC_CLAIM;
    PLIC_CLAIM = irq; /* claimed, done; raised again while its reason lasts. 0 does no harm */
    compare(every.next);
    CSR_WRITE(mie, every.call != NULL ? MIE_TIMER : 0);
    if (every.call != NULL) {
        __asm__ volatile("csrsi mstatus, 8" ::: "memory");
    }
    return irq != 0;
}

void board_wait(uint32_t us)
{
    uint64_t end = ticks() + (uint64_t)us * TICKS_PER_US;

    PLIC_PRIORITY(UART_IRQ) = 1;
    PLIC_ENABLE = 1u << UART_IRQ | others;
    while (!sleep_until(end) && ticks() < end) {
    }
}

void board_every(uint32_t us, void (*call)(void))
{
    CSR_READ(mtvec, board_fault_handler); /* the bootloader's: faults still go there */
    CSR_WRITE(mtvec, (uintptr_t)board_trap);
    every.call = call;
    every.period = (uint64_t)us * TICKS_PER_US;
    every.next = ticks() + every.period;
    compare(every.next);
    CSR_WRITE(mie, MIE_TIMER);
    __asm__ volatile("csrsi mstatus, 8" ::: "memory");
}

/* Called by board_trap. A call that came late does not move the ones after it; missed ones are left out. */
void board_interrupt(void);
__attribute__((interrupt("machine"))) void board_interrupt(void)
{
    uint64_t now = ticks();

    if (now >= every.next) {
        every.next += every.period * (1 + (now - every.next) / every.period);
        every.call();
    }
    compare(every.next);
}
