/*
 * rtc.c - the clock: goldfish RTC, nanoseconds since 1970. Reading the lower half latches the upper one.
 */
#include "board.h"
#include "registers.h"

#define RTC 0x101000u

uint32_t board_clock(void)
{
    uint32_t low = REG32(RTC), high = REG32(RTC + 4);
    return (uint32_t)(((uint64_t)high << 32 | low) / 1000000000u);
}
