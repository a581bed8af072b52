/*
 * uart.c - the serial line: a 16550 (National Semiconductor's data sheet), 8 bits, polled, with its FIFO of 16 bytes.
 */
#include <string.h>

#include "board.h"
#include "registers.h"

#define UART 0x10000000u
#define DATA REG8(UART + 0)
#define INTERRUPTS REG8(UART + 1) /* bit 0: a byte has come; ends board_wait() */
#define FIFO REG8(UART + 2)
#define LINE REG8(UART + 3)
#define STATUS REG8(UART + 5)     /* bit 0: a byte has come; bit 5: room to send one */

/* Once after a reset, at the first byte that is sent: what had come by then is dropped. */
static void start(void)
{
    if (INTERRUPTS != 1) {
        LINE = 0x83; /* 8 bits, and the divisor is to be set */
        DATA = 1;    /* the fastest rate: it decides how long "no more bytes come" is */
        LINE = 0x03;
        FIFO = 0xc1; /* an interrupt at 14 bytes, or when no more come: without it QEMU brings one at a time */
        INTERRUPTS = 1;
    }
}

void board_put(const void *bytes, size_t n)
{
    const uint8_t *p = bytes;

    start();
    while (n-- > 0) {
        while ((STATUS & 0x20) == 0) {
        }
        DATA = *p++;
    }
}

int board_get(void)
{
    return (STATUS & 1) != 0 ? DATA : -1;
}

void board_print(const char *text)
{
    board_put(text, strlen(text));
}

void board_print_number(uint32_t n)
{
    char digits[10];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    board_put(digits + at, sizeof digits - at);
}

void board_print_hex(uint32_t n)
{
    char text[10] = "0x";

    for (unsigned i = 0; i < 8; i++) {
        text[2 + i] = "0123456789abcdef"[n >> (28 - 4 * i) & 15];
    }
    board_put(text, sizeof text);
}
