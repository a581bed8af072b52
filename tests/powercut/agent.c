/*
 * agent.c - scenarios in which the application is the agent: it looks at a simulated server that fails now and then,
 * installs, restarts, confirms by a look or goes back, and reports. The server's memory goes with the tester's.
 */
#include "powercut.h"

#include "agent.h"


#define STEPS 20000u

/* What the server was told, as bits. */
enum { TOLD_CONFIRMED_1 = 1, TOLD_CONFIRMED_2 = 2, TOLD_LEFT = 4, TOLD_ODD = 8 };

static uint32_t bit_of(const struct gw_report *p)
{
    uint32_t sequence = p->release.sequence;

    switch (p->state) {
    case GW_REPORT_CONFIRMED: return sequence == 1 ? TOLD_CONFIRMED_1 : sequence == 2 ? TOLD_CONFIRMED_2 : TOLD_ODD;
    case GW_REPORT_STAGED: return sequence == 2 ? 0 : TOLD_ODD;
    case GW_REPORT_FAILED: return 0;
    case GW_REPORT_LEFT: return sequence == 2 && p->reason == (uint32_t)-GW_ERR_SELF_TEST ? TOLD_LEFT : TOLD_ODD;
    default: return TOLD_ODD;
    }
}

void agent_note(struct run *r)
{
    if ((r->scenario->flags & WITH_AGENT) == 0) {
        return;
    }
    for (uint32_t i = 0; i < r->net.reports && i < SIMNET_LOG; i++) {
        r->m.told |= bit_of(&r->net.report[i]);
    }
    r->net.reports = 0;
    r->m.last = r->net.last;
    if (r->net.event[GW_EVENT_STAGED] != 0) {
        r->m.staged = 2;
    }
    if (r->net.event[GW_EVENT_TRIED] != 0 && r->net.last_reason[GW_EVENT_TRIED] == 0) {
        r->m.confirmed = 2;
    }
}

void agent_begin(struct run *r)
{
    simnet_init(&r->net, &r->d);
    simnet_release(&r->net, &r->release[1]);
}

void agent_end(struct run *r)
{
    if (r->net.d != NULL) {
        simnet_free(&r->net);
    }
}

void agent_forget(struct run *r)
{
    if (r->net.d != NULL) {
        simnet_clear_log(&r->net);
        r->net.last = r->m.last;
    }
}

/* Every third session the network fails once, somewhere. */
static void fate(struct run *r)
{
    struct simnet *n = &r->net;

    n->ms = (uint64_t)r->m.sessions * 1000000u;
    n->fault = (struct simnet_fault){ 0 };
    n->piece = 700;
    if (r->m.sessions % 3 == 1) {
        n->fault = (struct simnet_fault){ SIMNET_BYTE, r->m.sessions % 4, 1, 900, GW_ERR_TRANSPORT, 0 };
    }
}

static bool settled(const struct run *r)
{
    return r->net.agent.state == GW_AGENT_IDLE && r->net.agent.reason != GW_ERR_TRANSPORT && r->net.looks > 0 &&
           gw_reports_waiting(&r->d.dev) == 0;
}

/* One session of the agent. */
static int session_of_agent(struct run *r, const struct simdev_release *goal)
{
    struct simnet *n = &r->net;

    fate(r);
    int err = simnet_open(n);
    for (unsigned i = 0; err >= 0 && i < STEPS; i++) {
        if (settled(r) && r->running == goal) {
            return NEXT_DONE;
        }
        err = simnet_step(n);
        agent_note(r);
        n->ms += n->wait;
        if (n->wrong != NULL) {
            return failed(r, false, "agent: %s", n->wrong);
        }
        if (n->restart_asked != 0) {
            say(r, "  agent: restart\n");
            return GW_CAUSE_SOFTWARE;
        }
    }
    return failed(r, false, "agent: %s in %s", err < 0 ? gw_error_name(err) : "no end",
                  gw_agent_state_name((enum gw_agent_state)n->agent.state));
}

int app_agent(struct run *r)
{
    return session_of_agent(r, &r->release[1]);
}

/* Release 2 finds that it is not well. */
int app_agent_back(struct run *r)
{
    struct gw_boot_state s;

    r->net.self_test = -1;
    bool left = gw_device_state(&r->d.dev, &s) == GW_OK &&
                (s.slot[0].state == GW_REJECTED || s.slot[1].state == GW_REJECTED);
    return session_of_agent(r, left ? &r->release[0] : NULL);
}

const char *told_update(struct run *r)
{
    return r->m.told == (TOLD_CONFIRMED_1 | TOLD_CONFIRMED_2) ? NULL : "the server was not told of both releases";
}

const char *told_back(struct run *r)
{
    return r->m.told == (TOLD_CONFIRMED_1 | TOLD_LEFT) ? NULL : "the server was not told that release 2 was left";
}
