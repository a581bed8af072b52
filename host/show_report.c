/*
 * show_report.c - a device's report in words (SPEC.md, section 18). See show.h.
 */
#include "show.h"

#include "godwit/agent.h"

static void set(json_t *o, const char *name, json_t *value)
{
    (void)json_object_set_new(o, name, value);
}

const char *gwh_report_state_name(uint32_t state)
{
    static const char *const names[] = {
        [GW_REPORT_CONFIRMED] = "CONFIRMED", [GW_REPORT_STAGED] = "STAGED",     [GW_REPORT_FAILED] = "FAILED",
        [GW_REPORT_LEFT] = "LEFT",           [GW_REPORT_DECLINED] = "DECLINED",
    };
    return state < sizeof names / sizeof *names && names[state] != NULL ? names[state] : "UNKNOWN";
}

json_t *gwh_show_report(const struct gw_report *r)
{
    json_t *o = json_object();
    set(o, "kind", json_string("report"));
    set(o, "device", gwh_show_text(r->device));
    set(o, "counter", json_integer(r->counter));
    set(o, "state", json_string(gwh_report_state_name(r->state)));
    set(o, "reason", json_string(r->reason == 0 ? "" : gw_error_name((int)r->reason)));
    if (r->reason != 0) {
        set(o, "why", json_string(gw_strerror((int)r->reason)));
    }
    set(o, "release", r->release.sequence == 0 ? json_null() : gwh_show_order(r->release));
    set(o, "times", json_integer(r->times));
    set(o, "when", r->time == 0 ? json_null() : gwh_show_time(r->time));
    set(o, "payload bytes", json_integer(r->bytes));
    set(o, "of them read twice", json_integer(r->again));
    set(o, "running", r->running.sequence == 0 ? json_null() : gwh_show_order(r->running));
    set(o, "hardware revision", json_integer(r->hardware));
    set(o, "bootloader", json_integer(r->bootloader));
    set(o, "trust bundle", json_integer(r->trust_version));
    set(o, "head serial", json_integer(r->head_serial));
    return o;
}
