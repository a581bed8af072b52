/*
 * posix_listen.h - a device on a PC whose serial line is a TCP port: godwit-device listen.
 */
#ifndef GWP_POSIX_LISTEN_H
#define GWP_POSIX_LISTEN_H

#include "posix_device.h"

struct gwp_listen {
    const char *address; /* HOST:PORT of this machine; port 0: any that is free */
    bool once;           /* until the first host has gone */
    uint64_t cut_at;     /* flash operation at which power is cut; 0: none */
    /* The bootloader runs: the device restarts. 0, or an exit code with `err` filled. */
    int (*boot)(const char *folder, struct gwh_error *err);
    void (*listening)(const char *address); /* with the port that it got */
    void (*tell)(const char *line);
};
/* Until nobody is connected any more (once), or an error. */
int gwp_device_listen(const char *folder, const struct gwp_listen *how, struct gwh_error *err);

#endif
