/*
 * posix_device.h - a device on a PC: a folder with its flash, its layout and what the last boot handed over.
 *
 * handover.bin stands for the RAM of a running device: boot writes it, a power cut takes it away.
 */
#ifndef GWP_POSIX_DEVICE_H
#define GWP_POSIX_DEVICE_H

#include <jansson.h>

#include "godwit/install.h"
#include "posix_flash.h"
#include "release.h"

#define GWP_BOOTLOADER 0x00000100u /* version of godwit-boot, for dependencies */

struct gwp_device {
    char folder[GWH_PATH_MAX];
    struct gwp_flash flash;
    struct gw_journal journal;
    struct gw_device dev;
};
/* Opens the flash; mounting is left to the caller. Do not move it. */
int gwp_device_open(struct gwp_device *d, const char *folder, bool read_only, struct gwh_error *err);
/* A device whose flash is erased and in memory alone; `name` for messages. */
int gwp_device_memory(struct gwp_device *d, const char *name, const struct gwp_layout *layout, struct gwh_error *err);
/* Mounts the journal. */
int gwp_device_mount(struct gwp_device *d, struct gwh_error *err);
void gwp_device_close(struct gwp_device *d);

struct gwp_init {
    struct gwp_layout_request layout; /* for gwp_device_init() */
    struct gw_span identity, trust; /* the trust bundle is checked by the identity's roots */
    struct gw_span factory;         /* n 0: none; else as the identity says */
    bool force;
};
/* Identity, bundle and factory image, checked against each other, go into erased flash. Mounts. */
int gwp_device_fill(struct gwp_device *d, const struct gwp_init *init, struct gwh_error *err);
int gwp_device_init(const char *folder, const struct gwp_init *init, struct gwh_error *err);

/* What the last boot handed over. False: the device is off. */
bool gwp_handover_read(const char *folder, struct gw_handover *h);
int gwp_handover_write(const char *folder, const struct gw_handover *h, struct gwh_error *err);
void gwp_handover_drop(const char *folder);

/* Installs a release folder into the running device; `tell` gets lines for people. */
struct gwp_install {
    const char *release;
    uint64_t cut_at; /* flash operation of this install at which power is cut; 0: none */
    void (*tell)(const char *line);
};
int gwp_device_install(const char *folder, const struct gwp_install *how, const struct gw_handover *running,
                       struct gwh_error *err);

int gwp_install_into(struct gwp_device *device, const struct gwp_install *how, const struct gw_handover *running,
                     struct gwh_error *err);

/* Everything on the flash, described; needs no key. Works on flash files that are damaged. */
json_t *gwp_show_device(struct gwp_device *d);
const char *gwp_state_name(unsigned state);
const char *gwp_slot_name(unsigned slot);
const char *gwp_cause_name(unsigned cause);

#endif
