/*
 * retained.c - what survives a reset, in RAM that no reset clears: why it happened, and what the bootloader hands over.
 *
 * Loss of power clears RAM: no mark there means GW_CAUSE_POWER. While software runs the mark says GW_CAUSE_PIN; whoever
 * resets the board on purpose changes it first (board_reset, the trap handler in start.S). The watchdog remembers by
 * itself.
 */
#include <string.h>

#include "board.h"
#include "registers.h"

#define MARK 0x47570000u /* "GW", and the cause */
#define MARK_WORD REG32(BOARD_RETAINED)
#define CHECK_WORD REG32(BOARD_RETAINED + 4) /* its complement */
#define FAULT_WORD(i) REG32(BOARD_RETAINED + 8 + 4 * (i)) /* mcause, mepc, mtval: written by start.S */
#define HANDOVER (BOARD_RETAINED + 32)
#define TEST_DEVICE 0x100000u /* SiFive test finisher */

static void mark(enum gw_cause cause)
{
    MARK_WORD = MARK | (uint32_t)cause;
    CHECK_WORD = ~(MARK | (uint32_t)cause);
}

static void tell_fault(void)
{
    static const char *const names[] = {"boot: fault ", ", at ", ", address "};

    for (unsigned i = 0; i < 3; i++) {
        board_print(names[i]);
        board_print_hex(FAULT_WORD(i));
    }
    board_print("\n");
}

enum gw_cause board_cause(void)
{
    uint32_t m = MARK_WORD;
    bool valid = CHECK_WORD == ~m && m - MARK <= GW_CAUSE_DEEP_SLEEP;

    mark(GW_CAUSE_PIN);
    if (board_watchdog_bit()) {
        return GW_CAUSE_WATCHDOG;
    }
    if (!valid) {
        return GW_CAUSE_POWER;
    }
    if (m - MARK == GW_CAUSE_FAULT) {
        tell_fault();
    }
    return (enum gw_cause)(m - MARK);
}

void board_handover_put(const struct gw_handover *h)
{
    uint8_t wire[GW_HANDOVER_SIZE];

    gw_handover_encode(h, wire);
    memcpy((void *)(uintptr_t)HANDOVER, wire, sizeof wire);
}

int board_handover_get(struct gw_handover *h)
{
    uint8_t wire[GW_HANDOVER_SIZE];

    memcpy(wire, (const void *)(uintptr_t)HANDOVER, sizeof wire);
    return gw_handover_decode(h, wire);
}

_Noreturn void board_reset(enum gw_cause cause)
{
    mark(cause);
    for (;;) {
        REG32(TEST_DEVICE) = 0x7777;
    }
}

_Noreturn void board_exit(int code)
{
    for (;;) {
        REG32(TEST_DEVICE) = code == 0 ? 0x5555u : (uint32_t)code << 16 | 0x3333u;
    }
}
