/*
 * line.h - the host's end of a device's serial line (SPEC.md, section 14): a serial port, or TCP to whatever stands for
 * one. Asks and waits for the answer; text of the device's console goes to a callback, line by line.
 *
 * Keeps true: a request is repeated until it is answered or the tries are used up; an answer counts only with the
 * number of its request; control characters of the device never reach a terminal.
 */
#ifndef GWH_LINE_H
#define GWH_LINE_H

#include "error.h"
#include "ports/common/serial.h"

#define GWH_LINE_WAIT_MS 2000u
#define GWH_LINE_TRIES 10u

struct gwh_line {
    int fd;           /* -1: none */
    uint32_t wait_ms; /* for one answer; 0: GWH_LINE_WAIT_MS */
    uint32_t tries;   /* 0: GWH_LINE_TRIES */
    void (*text)(void *ctx, const char *line); /* a line of the device's console; may be NULL */
    void *ctx;
    /* Below: the line's own. */
    struct gwc_reader reader;
    char console[240];
    size_t console_n;
    uint8_t number;
    bool is_tcp;
    uint32_t repeated; /* requests that had to be sent again */
    int error;         /* errno of a failed write */
};

/* "HOST:PORT", "[::1]:PORT". */
int gwh_line_tcp(struct gwh_line *l, const char *address, struct gwh_error *err);
/* A serial port, 8N1, no flow control. */
int gwh_line_serial(struct gwh_line *l, const char *device, uint32_t baud, struct gwh_error *err);
void gwh_line_close(struct gwh_line *l);

/* One request: GWH_OK and the answer in l->reader (packet: type, number, body; n bytes), or GWH_IO. */
int gwh_line_ask(struct gwh_line *l, uint8_t type, struct gw_span body, struct gwh_error *err);
/* Takes text of the console for so long: what a device says after it was told to restart. */
void gwh_line_listen(struct gwh_line *l, uint32_t ms);

#endif
