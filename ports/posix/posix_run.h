/*
 * posix_run.h - a device on a PC that lives: bootloader, application with its agent, watchdog, restarts.
 *
 * The supervisor plays the hardware: it runs the bootloader (a process of its own), then the image (a process of its
 * own, posix_app.c), whose watchdog it is; the way in which the image ends is the cause of the next reset.
 */
#ifndef GWP_POSIX_RUN_H
#define GWP_POSIX_RUN_H

#include "posix_device.h"
#include "posix_link.h"

/* What the application of an image does. An image may say so itself: "godwit-app: crashes" in its first 4 KB. */
enum gwp_behaviour {
    GWP_HEALTHY,
    GWP_CRASHES,         /* at once, while it is on trial */
    GWP_HANGS,           /* while it is on trial: the watchdog bites */
    GWP_NEVER_CONFIRMS,  /* while it is on trial: its network does not work */
    GWP_FAILS_SELF_TEST,
    GWP_CRASHES_LATER,   /* after it was confirmed, soon after each start */
    GWP_BEHAVIOURS,
};
const char *gwp_behaviour_name(enum gwp_behaviour b);
/* GWP_BEHAVIOURS: there is none of that name. */
enum gwp_behaviour gwp_behaviour_parse(const char *name);

struct gwp_run {
    const char *folder;
    struct gwp_link_config link;
    const char *mqtt;        /* broker that notifies, "host:port"; NULL: none */
    enum gwp_behaviour app;  /* of images that are newer than the one that is confirmed when this begins */
    bool json;               /* a line of JSON for each event, else text */
    bool head_required;
    bool confirm_offline;
    uint32_t head_age_s, anonymous_after;
    uint32_t interval_s;     /* between looks; 0: 24 h */
    uint32_t jitter_s;       /* most that a look waits after a notification; 0: not at all */
    uint32_t confirm_s, steady_s; /* 0: the agent's */
    uint32_t attempts_per_day, bytes_per_day, chunk;
    uint32_t watchdog_s;     /* 0: 10 */
    uint32_t looks;          /* ends after so many looks in a row that had nothing new, or were refused; 0: never */
    uint32_t seconds;        /* ends after that, GWH_REFUSED; 0: never */
    uint64_t cut_at;         /* flash operation of the first session at which power is cut; 0: none */
    bool no_clock;
    int64_t clock_offset;    /* seconds that the device's clock is ahead */
    int (*boot)(const char *folder, const char *cause, struct gwh_error *err); /* runs the bootloader */
};
/* Runs the device until it has nothing more to do (how->looks), a signal or a power cut ends it. */
int gwp_device_run(const struct gwp_run *how, struct gwh_error *err);

/* ---- posix_app.c: one session of an image, in a process of its own ----------------------------------------------- */

enum gwp_app_end { GWP_APP_DONE = 0, GWP_APP_FAILED = 60, GWP_APP_RESTART = 64 }; /* exit codes */
struct gwp_app {
    const struct gwp_run *run;
    struct gw_handover boot;
    struct gw_order confirmed; /* when the run began: what is newer behaves as run->app says */
    int watchdog;              /* a byte written here feeds it */
    uint64_t started_ms;       /* of the run, for the times of events */
    uint64_t cut_at;
};
/* Returns an exit code. */
int gwp_app_main(const struct gwp_app *app);
uint64_t gwp_now_ms(void);

#endif
