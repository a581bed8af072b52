/*
 * reading.c - a thermometer without hardware: a slow wave between -5 and 25 degrees that begins cold, and a little
 * noise. Asked from an interrupt: it calls nothing that waits.
 */
#include "sensor.h"

#define PERIOD_MS 120000u
#define COLDEST (-500)
#define SWING 3000

/* 0 to 1000 and back, smooth at both ends: 3x^2 - 2x^3. */
static int32_t wave(uint32_t ms)
{
    uint32_t at = ms % PERIOD_MS, half = PERIOD_MS / 2;
    uint32_t x = (at < half ? at : PERIOD_MS - at) * 1000 / half;

    return (int32_t)(x * x / 1000 * (3000 - 2 * x) / 1000);
}

int32_t sensor_read(void)
{
    static uint32_t noise = 0x9e3779b9; /* xorshift32 */

    noise ^= noise << 13;
    noise ^= noise >> 17;
    noise ^= noise << 5;
    return COLDEST + wave((uint32_t)(board_time_us() / 1000)) * SWING / 1000 + (int32_t)(noise % 21) - 10;
}

bool sensor_is_plausible(int32_t hundredths)
{
    return hundredths > -4000 && hundredths < 8500;
}
