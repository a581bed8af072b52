/*
 * events.h - what the agent tells, in words on the console. The lines: examples/sensor/README.md.
 */
#ifndef EXAMPLE_EVENTS_H
#define EXAMPLE_EVENTS_H

#include "godwit/agent.h"

/* For gw_agent_config.on_event. */
void events_tell(enum gw_event event, int reason, uint32_t a, uint32_t b);

#endif
