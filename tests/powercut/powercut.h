/*
 * powercut.h - what the parts of powercut share: a run of one scenario on one device, and what the tester remembers of
 * it.
 *
 *   scenarios.c   what happens: set-up, then an application that goes on after every restart until its goal is reached
 *   agent.c       those in which the application is the agent
 *   run.c         sessions, and what must hold after every boot
 *   cuts.c        which cuts are made, to depth 2
 *   wear.c        erases per 1 MB update
 *   main.c        the matrix of scenarios and devices, worker processes, replay
 */
#ifndef POWERCUT_H
#define POWERCUT_H

#include "device.h"
#include "simnet.h"
#include "slots.h"

/* What an application returns: the cause of the next reset, or one of these. */
#define NEXT_DONE (-1)
#define NEXT_FAILED (-2)

#define RELEASES 3u

enum {
    MAY_GO_BACK = 1, /* the point of the scenario: an image is left for an older one */
    MAY_FACTORY = 2, /* ... and for the factory image */
    WITH_DATA = 4,   /* a data component */
    ONLY_EXTENDED = 8,
    CODED = 16,       /* an encoded payload: the image is small enough to leave spare room in most slots */
    WITH_AGENT = 32,  /* the application is the agent */
};

/* What the tester remembers; goes with a snapshot of the flash. */
struct memory {
    enum gw_cause cause;   /* of the next reset */
    uint32_t confirmed;    /* highest sequence that was confirmed, or seen confirmed */
    uint32_t staged;       /* highest sequence whose install said that it is staged */
    uint32_t gone;         /* a sequence seen rejected: it must not start again */
    struct gw_order floor; /* highest seen */
    uint32_t sessions, crashes, pulls;
    bool steady;           /* steady was called, and returned */
    uint32_t cuts;
    uint64_t fetched, taken_over;
    struct gw_report last; /* the server: the last report, */
    uint32_t told;         /* and what it was told (agent.c) */
};

struct run;
struct scenario {
    const char *name;
    unsigned flags;
    void (*setup)(struct run *r);
    int (*app)(struct run *r);    /* one session of the application; must go on from wherever the flash says */
    const char *(*check)(struct run *r); /* at the goal, mounted; NULL: all is well, else what is wrong */
};
extern const struct scenario scenarios[];
extern const unsigned scenario_count;

struct run {
    const struct scenario *scenario;
    struct simdev d;
    struct simdev_release release[RELEASES]; /* sequences 1, 2, 3 */
    struct memory m;
    struct simnet net; /* WITH_AGENT */
    const struct simdev_release *running; /* NULL: factory image or recovery */
    uint32_t ruined;          /* sequence whose image the set-up damaged; 0: none */
    bool verbose;
    bool brick;               /* the failure is one: nothing that is right starts */
    char error[200];          /* why it failed */
    /* Of the run without cuts, for bounds. */
    uint32_t frame;
    uint64_t fetched;
    uint32_t journal_erases, slot_erases;
};

/* Notes a failure (the first one stays). */
int failed(struct run *r, bool brick, const char *format, ...) __attribute__((format(printf, 3, 4)));
void say(const struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

enum outcome { RUN_DONE, RUN_CUT, RUN_FAILED };

/* Makes device, releases and the scenario's starting point. False: the set-up itself failed. */
bool run_prepare(struct run *r, const struct scenario *s, const struct simdev_config *config, bool verbose);
void run_free(struct run *r);
/* Sessions until the goal, a cut or a failure. */
enum outcome run_go(struct run *r);
/* ---- Scenarios of the agent (agent.c) ---------------------------------------------------------------------------- */

void agent_begin(struct run *r);
void agent_end(struct run *r);
/* Before a session: nothing of another one is remembered. */
void agent_forget(struct run *r);
/* Takes what the server and the application learned in this session into the tester's memory. */
void agent_note(struct run *r);
int app_agent(struct run *r);
int app_agent_back(struct run *r);
const char *told_update(struct run *r);
const char *told_back(struct run *r);

/* Prints an operation. */
void run_log(const struct flashsim_op *op, uint32_t number);

/* ---- Cuts -------------------------------------------------------------------------------------------------------- */

#define EVERY 0xffffffffu

struct plan {
    unsigned shapes[2];   /* of the first and the second cut: 0 one or two by seed, 1 the telling ones, 2 all */
    /* about so many second cuts, spread by seed over the operations; 0: none; EVERY: at every one */
    uint32_t budget;
    uint64_t seed;
    unsigned stripe, stripes; /* this process makes the first cuts at every stripes-th operation */
};
struct counts {
    uint64_t cuts, second, bricks, losses;
    uint32_t operations; /* of the run without cuts */
    uint32_t second_of;  /* second cuts were made at one in so many operations; 0: none */
};
/* Runs all cuts of a plan; failures are printed with their replay strings. */
void cuts_run(struct run *r, const char *device, const struct plan *plan, struct counts *counts);
/* Runs one history: "op:shape:units/op:shape:units". */
bool cuts_replay(struct run *r, uint64_t seed, const char *history);
/* What is running right now, for a process that hangs or crashes. */
const char *cuts_current(void);

/* Prints the wear of 1 MB updates; false if a limit was passed. */
bool wear_report(void);

#endif
