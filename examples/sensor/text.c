/*
 * text.c - a temperature in words, since 1.1.
 */
#include "sensor.h"

void sensor_print(int32_t hundredths)
{
    uint32_t size = (uint32_t)(hundredths < 0 ? -hundredths : hundredths);

    board_print(hundredths < 0 ? "-" : "");
    board_print_number(size / 100);
    board_print(size % 100 < 10 ? ".0" : ".");
    board_print_number(size % 100);
    board_print(" C");
}
