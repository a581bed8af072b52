/*
 * text_1_0.c - a temperature in words, as 1.0 has it: with its bug. Below zero it prints nonsense, as text.c does not.
 */
#include "sensor.h"

void sensor_print(int32_t hundredths)
{
    uint32_t size = (uint32_t)hundredths; /* the bug: a negative one becomes forty million degrees */

    board_print_number(size / 100);
    board_print(size % 100 < 10 ? ".0" : ".");
    board_print_number(size % 100);
    board_print(" C");
}
