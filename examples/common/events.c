/*
 * events.c - see events.h.
 */
#include "events.h"

#include "console.h"

static uint32_t told; /* tenths of this update that were told */

static void say_reason(int reason)
{
    board_print(gw_error_name(reason));
    board_print(": ");
    board_print(gw_strerror(reason));
}

/* Text, with the numbers in place of % and %. */
static void say(const char *text, uint32_t a, uint32_t b)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p != '%') {
            board_put(p, 1);
            continue;
        }
        board_print_number(a);
        a = b;
    }
}

static void tell_progress(uint32_t done, uint32_t all)
{
    uint32_t tenths = all == 0 ? 10 : done / (all / 10 + 1);

    tenths = done == all ? 10 : tenths;
    if (tenths > told) {
        told = tenths;
        say("update %", tenths * 10, 0);
        board_print(" %\n");
    }
}

static void tell_failure(int reason, uint32_t again_s)
{
    bool refused = reason >= -GW_ERR_FORMAT; /* a verdict on what was offered */

    board_print(refused ? "update refused: " : "look failed: ");
    say_reason(reason);
    say(", again in % s\n", again_s, 0);
}

/* Of releases that are named: "went back from 1.1000000: TRIES_USED: ..." */
static void tell_left(int reason, uint32_t epoch, uint32_t sequence)
{
    say(sequence != 0 ? "went back from %.%: " : "went back: ", epoch, sequence);
    say_reason(reason);
    board_print("\n");
}

static void tell_trial(int reason)
{
    if (reason == 0) {
        board_print("confirmed\n");
    } else {
        console_error("gives up", reason);
    }
}

void events_tell(enum gw_event event, int reason, uint32_t a, uint32_t b)
{
    switch (event) {
    case GW_EVENT_LOOK: board_print(reason != 0 ? "looks, without trust in the server\n" : "looks\n"); break;
    case GW_EVENT_OFFER: say("offered %.%\n", a, b); break;
    case GW_EVENT_PLAN:
        told = 0;
        say("update begins: % bytes to fetch, % are here\n", a, b);
        break;
    case GW_EVENT_PROGRESS: tell_progress(a, b); break;
    case GW_EVENT_STAGED: say("update done: restarts to try %.%\n", a, b); break;
    case GW_EVENT_FAILED: tell_failure(reason, a); break;
    case GW_EVENT_TRIED: tell_trial(reason); break;
    case GW_EVENT_NOTHING: say("nothing new, again in % s\n", a, 0); break;
    case GW_EVENT_TRUST:
        board_print(a != 0 ? "trust bundle taken, for after the next confirm\n" : "trust bundle taken\n");
        break;
    case GW_EVENT_REPORTED: say("report % arrived\n", a, 0); break;
    case GW_EVENT_LEFT: tell_left(reason, a, b); break;
    }
}
