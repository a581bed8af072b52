/*
 * sensor.h - what the parts of the program know of each other. Temperatures are hundredths of a degree Celsius.
 *
 * The parts that differ between versions are files of their own, chosen by the build: text.c or text_1_0.c; stats.c or
 * no_stats.c; well.c, or one of the bad ones.
 */
#ifndef SENSOR_H
#define SENSOR_H

#include "console.h"

/* reading.c: the temperature now. */
int32_t sensor_read(void);
bool sensor_is_plausible(int32_t hundredths);

/* text.c, text_1_0.c: "-3.25 C". */
void sensor_print(int32_t hundredths);

/* stats.c, no_stats.c: told of every reading; `stats_command` has no name where there is none. */
void stats_add(int32_t hundredths);
extern const struct console_command stats_command;

/* well.c, crashes.c ...: what the version does wrong. */
void fault_at_start(void);     /* after the first line on the console */
bool fault_is_well(void);      /* false: its self-test never passes, and it does not feed the watchdog */

#endif
