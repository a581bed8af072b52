/*
 * boot_main.c - godwit-boot: the bootloader of a device on a PC, a process of its own over the same flash file.
 *
 * Runs gw_boot_run(), writes handover.bin, says what it decided and why. There is no jump: the image is not run.
 * Exit code 0: an image was started; 1: recovery, nothing is bootable.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "posix_device.h"

static const struct gwh_option boot_options[] = {
    {"cause", "CAUSE", "reset cause: power, watchdog, fault, software, pin, sleep, unknown; power if not given", false,
     false},
    {"json", NULL, "tell it as JSON", false, false},
    GWH_OPTIONS_END,
};

static int parse_cause(const char *text, enum gw_cause *cause, struct gwh_error *err)
{
    for (unsigned i = 0; i <= GW_CAUSE_DEEP_SLEEP; i++) {
        if (text == NULL || strcmp(text, gwp_cause_name(i)) == 0) {
            *cause = text == NULL ? GW_CAUSE_POWER : (enum gw_cause)i;
            return GWH_OK;
        }
    }
    return gwh_fail(err, GWH_USAGE, "--cause %s: expected power, watchdog, fault, software, pin, sleep or unknown",
                    text);
}

static void say(const struct gw_handover *h, bool watchdog)
{
    (void)printf("starts slot %s%s%s\n", gwp_slot_name(h->slot), h->slot <= GW_SLOT_B ? ", which is " : "",
                 h->slot <= GW_SLOT_B ? gwp_state_name(h->state) : "");
    if (h->state == GW_TRYING && h->slot <= GW_SLOT_B) {
        (void)printf("attempts used: %u of %u quarters; watchdog %s\n", h->attempt, GW_BOOT_TRIES * 4,
                     watchdog ? "started" : "off");
    }
    if (h->recovery) {
        (void)printf("recovery: nothing else is bootable\n");
    }
    if (h->reason != 0) {
        (void)printf("why: %s: %s\n", gw_error_name(h->reason), gw_strerror(h->reason));
    }
}

static void say_json(const struct gw_handover *h, int result)
{
    json_t *o =
        json_pack("{s:s,s:s,s:b,s:I,s:s,s:s}", "slot", gwp_slot_name(h->slot), "state", gwp_state_name(h->state),
                  "recovery", h->recovery != 0 || result != GW_OK, "attempt", (json_int_t)h->attempt, "cause",
                  gwp_cause_name(h->cause), "reason", h->reason == 0 ? "" : gw_error_name(h->reason));
    (void)json_dumpf(o, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(o);
}

static int boot(struct gwp_device *d, enum gw_cause cause, bool as_json, struct gwh_error *err)
{
    struct gw_handover h = {.slot = GW_SLOT_NONE, .recovery = 1, .cause = (uint8_t)cause, .bootloader = GWP_BOOTLOADER};
    bool watchdog = false;
    uint8_t *memory = malloc(GW_VERIFY_MEMORY);
    if (memory == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "boot");
    }
    int result = gw_boot_run(&d->dev, cause, memory, GW_VERIFY_MEMORY, &h, &watchdog, NULL);
    free(memory);
    int e = gwp_handover_write(d->folder, &h, err);
    if (e != GWH_OK) {
        return e;
    }
    if (as_json) {
        say_json(&h, result);
    } else if (result == GW_OK) {
        say(&h, watchdog);
    }
    if (result == GW_OK) {
        return GWH_OK;
    }
    (void)gwh_fail_reason(err, result, "%s stays in the bootloader's recovery", d->folder);
    return gwh_hint(err, "godwit-device install %s RELEASE", d->folder);
}

static int run_boot(const struct gwh_args *a, struct gwh_error *err)
{
    enum gw_cause cause = GW_CAUSE_POWER;
    struct gwp_device *d = malloc(sizeof *d);
    if (d == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "boot");
    }
    int e = parse_cause(gwh_text(a, "cause"), &cause, err);
    if (e == GWH_OK) {
        gwp_handover_drop(a->operand[0]);
        e = gwp_device_open(d, a->operand[0], false, err);
        if (e == GWH_OK) {
            e = boot(d, cause, gwh_flag(a, "json"), err);
            gwp_device_close(d);
        }
    }
    free(d);
    return e;
}

static const struct gwh_command boot_commands[] = {
    {NULL, "", "DEVICE", 1, 1, "reset the device: decide, verify, record, hand over", boot_options,
     "godwit-boot dev1 --cause watchdog", run_boot},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
static const struct gwh_command *const tables[] = {boot_commands, NULL};

int main(int argc, char **argv)
{
    static const struct gwh_program program = {"godwit-boot", "the bootloader of a device on a PC", tables};
    return gwh_main(&program, argc, argv);
}
