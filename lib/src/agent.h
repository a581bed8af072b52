/*
 * agent.h (internal) - what the files of the agent share: records in the journal, reports.
 */
#ifndef GW_AGENT_INTERNAL_H
#define GW_AGENT_INTERNAL_H

#include "godwit/agent.h"
#include "slots.h"

/* ---- agent_memory.c: the AGENT record (SPEC.md, section 17) ----------------------------------------------------- */

void gw_agent_recall(const struct gw_device *dev, struct gw_agent_memory *m);
/* Writes it if it differs from what is there: GW_DONE; GW_OK: it is there already. */
GW_MUST_USE int gw_agent_keep(const struct gw_device *dev, struct gw_agent_memory *m);

/* ---- report.c: the REPORTS record, and signed reports (SPEC.md, section 18) -------------------------------------- */

/* How many wait to be sent. */
uint32_t gw_reports_waiting(const struct gw_device *dev);
/*
 * Puts one behind those that wait; the counter is filled in here. The same state, reason and release as the last
 * one that waits: `times` are added to it. No room: the oldest is dropped.
 */
GW_MUST_USE int gw_reports_add(const struct gw_device *dev, struct gw_report *report);
/* The server has the oldest one, or will never take it. */
GW_MUST_USE int gw_reports_drop(const struct gw_device *dev);
/*
 * The oldest one that waits, signed, or MACed with the KEK of this name if the device has no key that signs. `memory`:
 * GW_INSTALL_BUFFER_MIN bytes, in which *out will be; its secrets are wiped. GW_ERR_NOTHING: none waits;
 * GW_ERR_NO_KEY: nothing to sign with.
 */
GW_MUST_USE int gw_report_make(const struct gw_device *dev, struct gw_span kek, uint8_t *memory, uint32_t *counter,
                               struct gw_span *out);

#define GW_REPORT_ENTRY 36u /* bytes of one that waits, in the record */

/* ---- agent.c ----------------------------------------------------------------------------------------------------- */

#define GW_AGENT_POLL_MS 1000u /* a transport that has nothing is asked again after so long, if nobody knows better */

enum gw_agent_flag {
    GW_AGENT_INSTALLING = 1, /* `install` is open */
    GW_AGENT_LOOKING = 2,    /* this look was told, and the transport knows what to trust */
    GW_AGENT_SETTLED = 4,    /* the offer that was read last needs nothing more */
    GW_AGENT_OWN_BASE = 8,   /* the offer's payload base failed: the configured one */
    GW_AGENT_REACHED = 16,   /* the server answered this look */
    GW_AGENT_LOST = 32,      /* the image on trial was given up */
    GW_AGENT_QUIET = 64,     /* this failure is not reported: it was, or there were too many */
    GW_AGENT_STARTED = 128,  /* the first step was made */
    GW_AGENT_STEADY = 256,   /* the image was called steady */
    GW_AGENT_ANONYMOUS = 512, /* this look goes without trust in the server, by policy */
    GW_AGENT_UNCHANGED = 1024, /* this look might be answered by: unchanged */
};
enum gw_agent_request { GW_AGENT_ASKED = 1, GW_AGENT_OPEN = 2 }; /* gw_agent.open; asked: the transport is at it */
/* agent_people.c: is there such an arrow in the diagram? */
bool gw_agent_may(enum gw_agent_state from, enum gw_agent_state to);

/* ---- agent_rest.c: when to look again, budgets, trust, reports: what the states share ---------------------------- */

uint32_t gw_agent_or(uint32_t value, uint32_t otherwise); /* a setting, or its default if it is 0 */
uint32_t gw_agent_random(struct gw_agent *a, uint32_t below); /* 0..below - 1; 0 if below is 0 */
void gw_agent_tell(struct gw_agent *a, enum gw_event event, int reason, uint32_t x, uint32_t y);
void gw_agent_progress(struct gw_agent *a);
/* Seconds between looks: the server's wish or the setting, within GW_LOOK_MIN and GW_LOOK_MAX. */
uint32_t gw_agent_interval(const struct gw_agent *a);
/* The next look is in so many seconds, or a little sooner; that and all else of the memory is written down, in turn. */
GW_MUST_USE int gw_agent_rest(struct gw_agent *a, uint32_t seconds);
/* The time as far as it is known; 0: not, or the clock is behind a signed date. And: the least that it can be. */
uint32_t gw_agent_time(const struct gw_agent *a);
uint32_t gw_agent_least_time(const struct gw_agent *a);
void gw_agent_note_time(struct gw_agent *a);
/* First things of a step: what the start has to tell, the trial's deadline, days. An error: the step ends. */
GW_MUST_USE int gw_agent_begin_step(struct gw_agent *a);
void gw_agent_bound_wait(const struct gw_agent *a, uint32_t *wait);
void gw_agent_close_request(struct gw_agent *a);
bool gw_agent_staged(const struct gw_agent *a); /* a release waits for the restart */
/* The image on trial is given up, or confirmed. */
GW_MUST_USE int gw_agent_lose(struct gw_agent *a, int reason);
GW_MUST_USE int gw_agent_confirm(struct gw_agent *a);
/* GW_ERR_BUDGET, or counted. */
GW_MUST_USE int gw_agent_count_attempt(struct gw_agent *a);
/* Payload bytes that may still be read today; GW_ERR_BUDGET: none. */
GW_MUST_USE int gw_agent_budget(struct gw_agent *a, uint32_t *bytes);
GW_MUST_USE int gw_agent_take_trust(struct gw_agent *a); /* from the offer */
GW_MUST_USE int gw_agent_take_head(struct gw_agent *a);  /* of an offer without a release that is new */
void gw_agent_count_again(struct gw_agent *a); /* bytes that this install fetched in vain; it ends */
GW_MUST_USE int gw_agent_add_report(struct gw_agent *a, enum gw_report_state state, int reason,
                                    struct gw_order release);
/* A failure: closes request and install, decides what follows from it; writes nothing of the agent's. */
void gw_agent_judge(struct gw_agent *a, int reason);
/* Reports it and sets the next look, as was decided. May be repeated when it failed. */
GW_MUST_USE int gw_agent_give_up(struct gw_agent *a);

#define GW_REPORT_TIMES_MAX 255u
/* The tag that takes the place of a signature when a KEK vouches for a report. */
GW_MUST_USE int gw_report_tag(const struct gw_crypto *crypto, const uint8_t *kek, size_t kek_size,
                              const uint8_t digest[GW_DIGEST_SIZE], uint8_t tag[32]);

#endif
