/*
 * simnet.h - an agent on a simulated device, with a simulated server, transport, clock and application around it.
 *
 * The server serves one offer and payload files from memory; one fault can be scripted, at any request and any byte.
 * All that the agent does is written down: requests, reports (verified with the device's key), events, states. Breaches
 * of the contract in godwit/transport.h are kept in `wrong`: tests ask for NULL there.
 */
#ifndef TEST_SIMNET_H
#define TEST_SIMNET_H

#include "device.h"
#include "godwit/agent.h"

#define SIMNET_LOG 400u
#define SIMNET_FILES 6u
#define SIMNET_1970 1800000000u /* a right time */

enum simnet_fault_kind {
    SIMNET_NO_FAULT,
    SIMNET_OPEN,  /* the request fails at once */
    SIMNET_BYTE,  /* reading fails at byte `byte` of the request */
    SIMNET_ENDS,  /* the answer ends there, as if that was said before */
    SIMNET_FLIPS, /* that byte is another one */
};
struct simnet_fault {
    enum simnet_fault_kind kind;
    uint32_t request, count; /* from the request of this number on (from 0, reports too), so many; count 0: for ever */
    uint32_t byte;
    int error;
    int resource; /* these requests alone (SIMNET_REPORT: reports); 0: any */
};
#define SIMNET_REPORT 3

struct simnet_request {
    int resource; /* enum gw_resource, or SIMNET_REPORT */
    uint32_t offset, longest, given;
    bool unchanged_ok, anonymous, own_base;
    unsigned file;
    uint64_t ms;
};

struct simnet {
    struct simdev *d;
    struct gw_agent agent;
    struct gw_agent_config config;
    struct gw_transport transport;
    uint8_t offer_memory[8192], buffer[GW_VERIFY_MEMORY];

    /* The server. */
    struct gw_offer offer; /* what it says; see simnet_serve() */
    struct gwh_buf answer; /* encoded */
    bool nothing;          /* 204 */
    bool endless;          /* the offer never ends */
    const struct gwh_buf *file[SIMNET_FILES];
    const uint8_t *name[SIMNET_FILES];
    uint8_t *served[SIMNET_FILES]; /* how often each byte was delivered; sizes as the files */
    unsigned files;
    struct simnet_fault fault;
    uint32_t range_most; /* bytes that one range gives; 0: all */
    uint32_t piece;      /* bytes that one read gives; 0: as many as fit */
    uint32_t again;      /* AGAIN so often before each answer; UINT32_MAX: for ever */
    int report_error;
    struct gw_pubkey report_key;
    bool report_mac;

    /* Clock: milliseconds since the power is on; `epoch` + seconds of it is the time, 0: there is no clock. */
    uint64_t ms;
    uint32_t ms_zero; /* what the agent is told first */
    uint32_t epoch;

    /* The application. */
    bool veto_fetch, veto_restart;
    int self_test;
    bool restarts; /* simnet_run() restarts the device when the agent asks for it */

    /* What happened. */
    const char *wrong;
    struct simnet_request log[SIMNET_LOG]; /* the first so many */
    uint32_t requests;
    uint32_t looks, opens, closes; /* LOOK events; calls of the transport */
    uint64_t delivered, twice;  /* payload bytes */
    struct gw_report report[SIMNET_LOG];
    uint32_t reports;
    struct gw_report last; /* that the server took; counter 0: none */
    uint32_t event[16];
    int last_reason[16];
    uint32_t last_a[16], last_b[16];
    uint32_t asked_fetch, asked_restart, restart_asked, self_tests, told_trust;
    uint32_t wait;    /* of the last step */
    uint32_t slept_ms; /* the longest wait */
    bool live;

    /* Of the request that is open. */
    struct gw_request now;
    bool asked, open;
    uint32_t at, waited;
    bool last_settled; /* the last offer was read whole */
};

/* Which states followed which, in this program. */
extern bool simnet_seen[GW_AGENT_STATES][GW_AGENT_STATES];

/* `d` is provisioned. Sets the config to useful values; does not open the agent. */
void simnet_init(struct simnet *s, struct simdev *d);
void simnet_free(struct simnet *s);
/* Puts a release's files beside those that are there. */
void simnet_files(struct simnet *s, const struct simdev_release *r);
/* Offers a release (NULL: none) and its files; what else is in s->offer stays. */
void simnet_release(struct simnet *s, const struct simdev_release *r);
/* Encodes s->offer: call it after a change. */
void simnet_serve(struct simnet *s);
/* A channel head, signed by the distributor. */
void simnet_head(struct simdev *d, struct gwh_buf *out, const struct gwh_head *head);

/* Bootloader, mount, then the agent is opened. RAM is lost; so is nothing of the log. */
int simnet_boot(struct simnet *s, enum gw_cause cause);
/* The agent alone. */
int simnet_open(struct simnet *s);
/* One step; no time passes. */
int simnet_step(struct simnet *s);
/* Steps and waits until the agent waits for more than this (seconds), at most a day in all: GW_DONE; or an error. */
int simnet_settle(struct simnet *s, uint32_t seconds);
/* Steps and waits until it is in this state, before it runs there. */
int simnet_until(struct simnet *s, enum gw_agent_state state);
/* Steps and waits for so long. */
int simnet_run(struct simnet *s, uint32_t seconds);
void simnet_clear_log(struct simnet *s);

#endif
