/*
 * no_stats.c - versions before 2.0 remember no readings.
 */
#include "sensor.h"

const struct console_command stats_command = { NULL, NULL, NULL };

void stats_add(int32_t hundredths)
{
    (void)hundredths;
}
