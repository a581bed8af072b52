/*
 * push.h - brings a release to a device over its serial line: status, trust bundle, release, restart.
 *
 * The device decides what it takes and asks for it; the payload file that it names is looked for in the release folder.
 * What was fetched before, by whomever, is not sent again.
 */
#ifndef GWH_PUSH_H
#define GWH_PUSH_H

#include "line.h"
#include "release.h"

/* What a device says of itself. */
struct gwh_status {
    char device_id[GW_DEVICE_ID_MAX + 1];
    uint8_t vendor[GW_UUID_SIZE], class_id[GW_UUID_SIZE];
    uint32_t slot, state; /* enum gw_slot, enum gw_state */
    struct gw_order order; /* 0, 0: none */
    uint32_t cause, reason, recovery, bootloader, largest, hardware;
};
int gwh_push_status(struct gwh_line *l, struct gwh_status *s, struct gwh_error *err);

struct gwh_push {
    struct gwh_line *line;
    uint32_t largest; /* offer that the device takes, from its status */
    void (*progress)(void *ctx, uint32_t done, uint32_t total); /* payload bytes; may be NULL */
    void (*tell)(void *ctx, const char *line);                  /* for people; may be NULL */
    void *ctx;
};
struct gwh_pushed {
    struct gw_order order; /* STAGED */
    uint32_t at_first;     /* payload bytes that were there before */
    uint32_t sent;         /* payload bytes in packets, repetitions by the device's wish included */
};
int gwh_push_release(const struct gwh_push *p, const struct gwh_release *r, struct gwh_pushed *out,
                     struct gwh_error *err);
int gwh_push_trust(const struct gwh_push *p, struct gw_span cose, struct gwh_error *err);
int gwh_push_restart(struct gwh_line *l, struct gwh_error *err);

#endif
