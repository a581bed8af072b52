/*
 * samples.c - see samples.h. One writer, the interrupt, and one reader, the loop: each moves an index of its own.
 */
#include "samples.h"

#define ROOM 32u /* a power of two */

static volatile int32_t put_by[ROOM];
static volatile uint32_t written, taken; /* how many, ever */
static volatile uint32_t late, lost;
static uint64_t before;

static void sample(void)
{
    uint64_t now = board_time_us();
    uint32_t gap = (uint32_t)(now - before);

    if (before != 0 && gap > SAMPLES_PERIOD_US && gap - SAMPLES_PERIOD_US > late) {
        late = gap - SAMPLES_PERIOD_US;
    }
    before = now;
    if (written - taken >= ROOM) {
        lost++;
        return;
    }
    put_by[written % ROOM] = sensor_read();
    written++;
}

void samples_start(void)
{
    board_every(SAMPLES_PERIOD_US, sample);
}

bool samples_take(int32_t *hundredths)
{
    if (taken == written) {
        return false;
    }
    *hundredths = put_by[taken % ROOM];
    taken++;
    return true;
}

uint32_t samples_count(void)
{
    return written + lost;
}

uint32_t samples_late(void)
{
    return late;
}

uint32_t samples_lost(void)
{
    return lost;
}
