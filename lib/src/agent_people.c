/*
 * agent_people.c - the agent as people and tests see it: its status, the names of its states, its diagram.
 *
 * Keeps true: the diagram is what SPEC.md, section 17, draws, and what tests/unit/test_agent.c sees happen. A device
 * that does not ask links nothing of it.
 */
#include "agent.h"

#define TO(state) (1u << GW_AGENT_##state)
static const struct {
    const char *name;
    uint16_t next; /* states that it may lead to, by bits */
} states[GW_AGENT_STATES] = {
    [GW_AGENT_IDLE] = { "IDLE", TO(LOOK) | TO(RESTART) },
    [GW_AGENT_SELF_TEST] = { "SELF_TEST", TO(LOOK) | TO(CONFIRM) | TO(RESTART) },
    [GW_AGENT_LOOK] = { "LOOK", TO(CONFIRM) | TO(CHECK) | TO(REPORT) | TO(FAIL) | TO(RESTART) },
    [GW_AGENT_CONFIRM] = { "CONFIRM", TO(CHECK) | TO(REPORT) | TO(IDLE) },
    [GW_AGENT_CHECK] = { "CHECK", TO(PLAN) | TO(REPORT) | TO(FAIL) },
    [GW_AGENT_PLAN] = { "PLAN", TO(INSTALL) | TO(REPORT) | TO(FAIL) },
    [GW_AGENT_INSTALL] = { "INSTALL", TO(FETCH) | TO(STAGE) | TO(FAIL) },
    [GW_AGENT_FETCH] = { "FETCH", TO(INSTALL) | TO(FAIL) },
    [GW_AGENT_STAGE] = { "STAGE", TO(REPORT) | TO(FAIL) },
    [GW_AGENT_FAIL] = { "FAIL", TO(REPORT) | TO(IDLE) | TO(RESTART) },
    [GW_AGENT_REPORT] = { "REPORT", TO(IDLE) | TO(RESTART) },
    [GW_AGENT_RESTART] = { "RESTART", TO(LOOK) },
};
#undef TO

const char *gw_agent_state_name(enum gw_agent_state state)
{
    return state < GW_AGENT_STATES ? states[state].name : "UNKNOWN";
}

bool gw_agent_may(enum gw_agent_state from, enum gw_agent_state to)
{
    return from < GW_AGENT_STATES && to < GW_AGENT_STATES && (states[from].next >> to & 1u) != 0;
}

uint32_t gw_reports_waiting(const struct gw_device *dev)
{
    uint8_t r[GW_RECORD_MAX];
    uint32_t n = 0;

    int err = gw_journal_get(dev->journal, GW_REC_REPORTS, r, sizeof r, &n);
    return err == GW_OK && n >= 4 ? (n - 4) / GW_REPORT_ENTRY : 0;
}

void gw_agent_status(struct gw_agent *a, struct gw_agent_status *s)
{
    *s = (struct gw_agent_status){
        .state = (enum gw_agent_state)a->state,
        .trial = a->trial != 0,
        .reason = a->reason,
        .next_look_s = (int32_t)(a->due - a->now) > 0 ? (a->due - a->now) / 1000u : 0,
        .failures = a->memory.failures,
        .attempts = a->memory.attempts,
        .bytes = a->memory.bytes,
        .reports = gw_reports_waiting(a->config->dev),
        .read = a->read,
        .again = a->again,
    };
}
