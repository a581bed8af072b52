/*
 * console.c - see console.h. Lines are short; what is longer is cut.
 */
#include "console.h"

#include <string.h>

#define LINE_MAX 32u

static const char *const states[] = { "EMPTY", "STAGED", "TRYING", "CONFIRMED", "PREVIOUS", "REJECTED" };

void console_error(const char *what, int error)
{
    board_print(what);
    board_print(": ");
    board_print(gw_error_name(error));
    board_print(": ");
    board_print(gw_strerror(error));
    board_print("\n");
}

void console_boot(const struct gw_handover *boot)
{
    static const char *const slots[] = { "A", "B", "factory", "none" };
    static const char *const causes[] = { "unknown", "power", "watchdog", "fault", "software", "pin", "deep sleep" };

    board_print("slot ");
    board_print(slots[boot->slot % 4]);
    board_print(", ");
    board_print(boot->recovery != 0 ? "recovery" : states[boot->state % 6]);
    board_print(", cause ");
    board_print(causes[boot->cause % 7]);
}

static void show_slot(const char *name, const struct gw_slot_state *slot)
{
    board_print(name);
    board_print(states[slot->state % 6]);
    if (slot->order.sequence != 0) {
        board_print(" ");
        board_print_number(slot->order.epoch);
        board_print(".");
        board_print_number(slot->order.sequence);
    }
    if (slot->reason != 0) {
        board_print(" ");
        board_print(gw_error_name(slot->reason));
    }
    board_print("\n");
}

void console_slots(const struct gw_device *dev)
{
    struct gw_boot_state state;
    int error = gw_device_state(dev, &state);

    if (error != GW_OK) {
        console_error("slots", error);
        return;
    }
    show_slot("slot A ", &state.slot[0]);
    show_slot("slot B ", &state.slot[1]);
}

static void help(const struct console_command *commands)
{
    for (const struct console_command *c = commands; c->name != NULL; c++) {
        board_print(c->name);
        board_print("  ");
        board_print(c->help);
        board_print("\n");
    }
}

static void run(const struct console_command *commands, const char *line)
{
    for (const struct console_command *c = commands; c->name != NULL; c++) {
        if (strcmp(c->name, line) == 0) {
            c->run();
            return;
        }
    }
    if (strcmp(line, "help") == 0) {
        help(commands);
    } else if (line[0] != '\0') {
        board_print("unknown command: ");
        board_print(line);
        board_print("; try help\n");
    }
}

void console_byte(const struct console_command *commands, uint8_t byte)
{
    static char line[LINE_MAX];
    static size_t n;

    if (byte == '\r' || byte == '\n') {
        if (n > 0) {
            board_print("\n");
        }
        line[n] = '\0';
        n = 0;
        run(commands, line);
    } else if ((byte == '\b' || byte == 0x7f) && n > 0) {
        n--;
        board_print("\b \b");
    } else if (byte >= 0x20 && byte < 0x7f && n < LINE_MAX - 1) {
        line[n++] = (char)byte;
        board_put(&byte, 1);
    }
}
