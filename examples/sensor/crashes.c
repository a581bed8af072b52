/*
 * crashes.c - a version that crashes at its start: an illegal instruction, which faults.
 */
#include "sensor.h"

void fault_at_start(void)
{
    __asm__ volatile("unimp");
}

bool fault_is_well(void)
{
    return true;
}
