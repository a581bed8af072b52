/*
 * main.c - the factory's recovery image: starts when no slot holds an image that may start, says why, takes a release
 * over the network if the factory's settings name a server, or over the serial line, and restarts into it. It lies
 * where no update writes, so it has to be right on the first day: it does nothing else.
 */
#include "device.h"
#include "online.h"
#include "update.h"

#define QUIET_US 1000000u /* between the last byte of an update and the restart */

static const struct gw_device *dev;
static struct gw_handover boot;
static bool online;

static void say_what_happened(void)
{
    board_print("recovery running from ");
    console_boot(&boot);
    board_print("\n");
    if (boot.reason != 0) {
        console_error("recovery, because", boot.reason);
    } else {
        board_print("recovery, because no slot holds an image that may start\n");
    }
    if (online) {
        board_print("recovery looks for a release at its server\n");
    }
    board_print("recovery waits for a release: godwit push RELEASE --serial DEVICE (or --tcp HOST:PORT)\n");
}

static void status(void)
{
    say_what_happened();
    if (dev != NULL) {
        console_slots(dev);
    }
}

static void reboot(void)
{
    board_print("restarts\n");
    board_reset(GW_CAUSE_SOFTWARE);
}

static const struct console_command commands[] = {
    { "status", "why recovery runs, and what lies in the slots", status },
    { "reboot", "restart", reboot },
    { NULL, NULL, NULL },
};

int main(void)
{
    uint64_t restart_at = 0;

    board_protect();
    dev = device_start(&boot);
    online = online_start(dev, &boot, NULL);
    say_what_happened();
    update_start(dev, &boot, online_stop);
    for (;;) {
        board_watchdog_feed();
        uint64_t now = board_time_us();
        uint32_t wait = online ? online_step(true) : QUIET_US / 4;
        if (update_step(commands)) {
            restart_at = 0;
        } else if (update_is_done() && restart_at == 0) {
            restart_at = now + QUIET_US; /* the host may want to say it itself */
        } else if (restart_at != 0 && now >= restart_at) {
            reboot();
        } else {
            board_wait(wait < QUIET_US / 4 ? wait : QUIET_US / 4);
        }
    }
}
