/*
 * stats.c - minimum, maximum and mean of all readings since the start, since 2.0.
 */
#include "sensor.h"

static int32_t minimum, maximum;
static int64_t sum;
static int32_t count;

void stats_add(int32_t hundredths)
{
    minimum = count == 0 || hundredths < minimum ? hundredths : minimum;
    maximum = count == 0 || hundredths > maximum ? hundredths : maximum;
    sum += hundredths;
    count++;
}

static void value(const char *name, int32_t hundredths)
{
    board_print(name);
    sensor_print(hundredths);
}

static void show(void)
{
    if (count == 0) {
        board_print("no readings yet\n");
        return;
    }
    value("minimum ", minimum);
    value(", maximum ", maximum);
    value(", mean ", (int32_t)(sum / count));
    board_print(" of ");
    board_print_number((uint32_t)count);
    board_print(" readings\n");
}

const struct console_command stats_command = { "stats", "minimum, maximum and mean since the start", show };
