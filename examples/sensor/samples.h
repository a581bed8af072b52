/*
 * samples.h - readings at even intervals, from the timer's interrupt, put by for the loop of the program; and how late
 * they were, which is what an update may not change.
 */
#ifndef SAMPLES_H
#define SAMPLES_H

#include "sensor.h"

#define SAMPLES_PERIOD_US 100000u

/* Begins. From then on the interrupt takes one every 100 ms. */
void samples_start(void);
/* The oldest one that was not taken yet. False: there is none. */
bool samples_take(int32_t *hundredths);
/* Since the start: how many; how much longer than the period the longest time between two was, us; how many were lost
 * because the loop did not take them for three seconds. */
uint32_t samples_count(void);
uint32_t samples_late(void);
uint32_t samples_lost(void);

#endif
