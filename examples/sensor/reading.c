/*
 * reading.c - a thermometer without hardware: a slow wave between -5 and 25 degrees that begins cold, and a little
 * noise.
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
    uint8_t noise = 0;

    (void)board_random(&noise, 1); /* without it: the wave alone */
    return COLDEST + wave((uint32_t)(board_time_us() / 1000)) * SWING / 1000 + noise % 21 - 10;
}

bool sensor_is_plausible(int32_t hundredths)
{
    return hundredths > -4000 && hundredths < 8500;
}
