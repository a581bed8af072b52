/*
 * main.c - the sensor: takes a temperature every 100 ms, prints one each second, answers a console, takes updates in
 * the same loop, and confirms itself once it has shown that it works. SENSOR_VERSION names the version ("1.1").
 *
 * Temperatures are taken from the timer's interrupt (samples.c), so that an update, whose signatures and handshakes
 * take their time, makes none late. Updates come over the network if the factory's settings name a server (online.h),
 * and over the serial line whenever somebody pushes one there (update.h). A version on trial confirms itself after ten
 * plausible readings, and online one look at the server beside; one that has not in time gives itself up. Whoever never
 * gets that far is ended by the watchdog that the bootloader started.
 */
#include "device.h"
#include "heap.h"
#include "online.h"
#include "samples.h"
#include "sensor.h"
#include "update.h"

#define PERIOD_US 1000000u
#define READINGS_TO_CONFIRM 10u
#define DEADLINE_US 60000000u /* of the trial; also when a confirmed version counts as steady. Online: the agent's */

static const struct gw_device *dev;
static struct gw_handover boot;
static uint32_t readings;  /* that were plausible */
static int32_t last;       /* hundredths of a degree */
static uint32_t longest;   /* step of the loop, us */
static bool settled;       /* confirmed, or steady */
static bool online;

/* ---- Readings ------------------------------------------------------------------------------------------------- */

static void print_reading(int32_t hundredths)
{
    board_print("temperature ");
    sensor_print(hundredths);
    board_print("\n");
}

/* Takes what the interrupt has put by. */
static void take_samples(void)
{
    while (samples_take(&last)) {
        stats_add(last);
        readings += sensor_is_plausible(last);
    }
}

static void tell_readings(void)
{
    board_print("readings: ");
    board_print_number(samples_count());
    board_print(", longest gap ");
    board_print_number(samples_late());
    board_print(" us beyond the period, longest step ");
    board_print_number(longest);
    board_print(" us, lost ");
    board_print_number(samples_lost());
    board_print("\n");
    if (online) {
        online_tell();
    }
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
    board_print(update_is_done() || online_is_done() ? ", an update waits for a restart\n" : "\n");
    tell_readings();
}

static void read_now(void)
{
    take_samples();
    print_reading(last);
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

/* Without a network: a version on trial proves itself or ends; a confirmed one that ran for long has its crashes
 * forgotten. Online the agent sees to both. */
static void settle(void)
{
    bool late = board_time_us() > DEADLINE_US;

    if (settled || online || dev == NULL || boot.slot > GW_SLOT_B) {
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

static int self_test(void *ctx)
{
    (void)ctx;
    return fault_is_well() ? 0 : GW_ERR_SELF_TEST;
}

/* ---- The program ---------------------------------------------------------------------------------------------- */

static void start(void)
{
    stack_paint();
    board_protect();
    dev = device_start(&boot);
    say_boot();
    if (boot.reason != 0) {
        console_error("the image before was left", boot.reason);
    }
    fault_at_start();
    samples_start();
    commands[4] = stats_command;
    online_on_end(tell_readings);
    online = online_start(dev, &boot, self_test);
    update_start(dev, &boot, online_stop);
}

/* All there is to do now; how long there will be nothing, us. */
static uint32_t work(void)
{
    uint64_t begin = board_time_us();

    if (fault_is_well()) {
        board_watchdog_feed();
    }
    take_samples();
    uint32_t wait = update_step(commands) ? 0 : PERIOD_US;
    if (online) {
        uint32_t until = online_step(boot.state != GW_TRYING || readings >= READINGS_TO_CONFIRM);
        wait = until < wait ? until : wait;
    }
    uint32_t took = (uint32_t)(board_time_us() - begin);
    longest = took > longest ? took : longest;
    return wait;
}

int main(void)
{
    uint64_t next = PERIOD_US;

    start();
    for (;;) {
        uint32_t wait = work();
        uint64_t now = board_time_us();
        if (now >= next) {
            print_reading(last);
            settle();
            next = now + PERIOD_US;
        } else if (wait > 0) {
            board_wait(wait < next - now ? wait : (uint32_t)(next - now));
        }
    }
}
