/*
 * plan.h - what of the planner the installer needs again, when a payload turns out to be of no use.
 */
#ifndef GW_PLAN_H
#define GW_PLAN_H

#include "godwit/manifest.h"

/* Can this device use a payload? GW_OK, or why not. `place` is looked at for deltas alone. */
GW_MUST_USE int gw_plan_payload(const struct gw_payload *p, const struct gw_facts *facts, const struct gw_place *place);

#endif
