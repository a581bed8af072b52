/*
 * main.c - the sensor: reads a temperature each second, prints it, answers a console, takes updates in the same loop,
 * and confirms itself once it has shown that it works. SENSOR_VERSION names the version ("1.1").
 *
 * A version on trial confirms itself after three plausible readings from its loop; one that has not after a minute
 * gives itself up. Whoever never gets that far is ended by the watchdog that the bootloader started.
 */
#include "device.h"
#include "sensor.h"
#include "update.h"

#define PERIOD_US 1000000u
#define READINGS_TO_CONFIRM 3u
#define DEADLINE_US 60000000u /* of the trial; also when a confirmed version counts as steady */

static const struct gw_device *dev;
static struct gw_handover boot;
static uint32_t readings;
static bool settled; /* confirmed, or steady */

/* ---- Readings ------------------------------------------------------------------------------------------------- */

static void print_reading(int32_t hundredths)
{
    board_print("temperature ");
    sensor_print(hundredths);
    board_print("\n");
}

static void measure(void)
{
    int32_t hundredths = sensor_read();

    print_reading(hundredths);
    stats_add(hundredths);
    readings += sensor_is_plausible(hundredths);
}

/* ---- Console -------------------------------------------------------------------------------------------------- */

static void say_version(void)
{
    board_print("sensor " SENSOR_VERSION "\n");
}

static void say_boot(void)
{
    board_print("sensor " SENSOR_VERSION " running from ");
    console_boot(&boot);
    board_print("\n");
}

static void status(void)
{
    say_boot();
    if (dev != NULL) {
        console_slots(dev);
    }
    board_print("readings ");
    board_print_number(readings);
    board_print(update_is_done() ? ", an update waits for a restart\n" : "\n");
}

static void read_now(void)
{
    print_reading(sensor_read());
}

static void reboot(void)
{
    board_print("restarts\n");
    board_reset(GW_CAUSE_SOFTWARE);
}

static struct console_command commands[] = {
    { "status", "what runs, and what lies in the slots", status },
    { "read", "a reading now", read_now },
    { "version", "of this program", say_version },
    { "reboot", "restart", reboot },
    { NULL, NULL, NULL }, /* stats, where there is a version that has it */
    { NULL, NULL, NULL },
};

/* ---- Trial ---------------------------------------------------------------------------------------------------- */

static void confirm(void)
{
    int error = gw_device_confirm(dev);

    if (error != GW_OK) {
        console_error("not confirmed", error);
        return;
    }
    settled = true;
    board_print("confirmed after ");
    board_print_number(readings);
    board_print(" readings\n");
}

static void give_up(void)
{
    console_error("gives up", GW_ERR_CONFIRM_LATE);
    if (gw_device_reject(dev, GW_ERR_CONFIRM_LATE) == GW_OK) {
        board_reset(GW_CAUSE_SOFTWARE);
    }
    board_reset(GW_CAUSE_FAULT); /* the journal failed: the attempt counts at least */
}

/* A version on trial proves itself or ends; a confirmed one that ran for long has its crashes forgotten. */
static void settle(void)
{
    bool late = board_time_us() > DEADLINE_US;

    if (settled || dev == NULL || boot.slot > GW_SLOT_B) {
        return;
    }
    if (boot.state == GW_TRYING && fault_is_well() && readings >= READINGS_TO_CONFIRM) {
        confirm();
    } else if (boot.state == GW_TRYING && late) {
        give_up();
    } else if (boot.state != GW_TRYING && late) {
        settled = gw_device_steady(dev) == GW_OK;
    }
}

static void start(void)
{
    board_protect();
    dev = device_start(&boot);
    say_boot();
    if (boot.reason != 0) {
        console_error("the image before was left", boot.reason);
    }
    fault_at_start();
    commands[4] = stats_command;
    update_start(dev, &boot);
}

int main(void)
{
    uint64_t next = 0;

    start();
    for (;;) {
        if (fault_is_well()) {
            board_watchdog_feed();
        }
        bool busy = update_step(commands);
        uint64_t now = board_time_us();
        if (now >= next) {
            measure();
            settle();
            next = now + PERIOD_US;
        } else if (!busy) {
            board_wait((uint32_t)(next - now));
        }
    }
}
