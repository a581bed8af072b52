/*
 * started.c - an image that says when it was started, and ends QEMU: for measuring the bootloader (bench/boot.py).
 *
 * 128 KB, most of it data that only has to be verified and loaded. With `-icount shift=0` a nanosecond of the timer is
 * one instruction.
 */
#include "board.h"

/* Loaded with the image: not zero, or it would go into .bss; volatile, or it would go altogether. */
static volatile uint8_t ballast[124 * 1024] = {0x5a, 0xc3};

int main(void)
{
    uint32_t us = (uint32_t)board_time_us();

    board_print("image: started ");
    board_print_number(us);
    board_print(" us after reset, ");
    board_print_number(ballast[0] + (uint32_t)sizeof ballast / 1024);
    board_print("\n");
    board_exit(0);
    return 0;
}
