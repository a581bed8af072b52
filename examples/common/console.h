/*
 * console.h - words to people, and lines from them.
 */
#ifndef EXAMPLE_CONSOLE_H
#define EXAMPLE_CONSOLE_H

#include "board.h"

/* What a person can type; ended by a NULL name. */
struct console_command {
    const char *name;
    const char *help;
    void (*run)(void);
};

/* A byte that was typed: echoed; a whole line runs the command that it names. "help" is always there. */
void console_byte(const struct console_command *commands, uint8_t byte);

/* "what: NAME: sentence". */
void console_error(const char *what, int error);
/* "slot A, TRYING, cause software": how this run began. */
void console_boot(const struct gw_handover *boot);
/* "slot A CONFIRMED 1.1000000", a line for each slot. */
void console_slots(const struct gw_device *dev);

#endif
