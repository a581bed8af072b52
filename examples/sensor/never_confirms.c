/*
 * never_confirms.c - a version that runs and looks well, but whose self-test never passes and which never feeds the
 * watchdog.
 */
#include "sensor.h"

void fault_at_start(void)
{
}

bool fault_is_well(void)
{
    return false;
}
