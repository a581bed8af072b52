/*
 * installer.h - what open.c and install.c share: the states of an install and its records in the journal.
 */
#ifndef GW_INSTALLER_H
#define GW_INSTALLER_H

#include "frames.h"
#include "slots.h"

/* One function for each, in install.c; SPEC.md section 8 tells the order of what is written. */
enum gw_install_state {
    GW_ST_FAILED = 0, /* an error is latched; also a wiped object */
    GW_ST_CLEAR,      /* journal: the slot is EMPTY */
    GW_ST_ERASE,      /* erase the manifest block(s) */
    GW_ST_STORE,      /* write the manifest; journal: installing it */
    GW_ST_COMPONENT,  /* take up the next component of the plan */
    GW_ST_WORK,       /* salvage: erase the work block(s) */
    GW_ST_SAVE,       /* salvage: copy the head of the spoiled block there; journal: saved */
    GW_ST_RENEW,      /* salvage: erase the spoiled block */
    GW_ST_RESTORE,    /* salvage: copy its head back */
    GW_ST_FETCH,      /* a frame is coming in */
    GW_ST_WRITE,      /* a checked frame is being written; journal: progress */
    GW_ST_COPY,       /* an image that is already here is being copied; journal: progress */
    GW_ST_READ_BACK,  /* hash what was written; journal: the component is complete */
    GW_ST_READY,      /* finish may stage the slot */
    GW_ST_COUNT
};

#define GW_PROGRESS_RECORD 46u /* bytes of a progress record */

/* Journals how far the current component is. */
GW_MUST_USE int gw_install_note(struct gw_install *inst);
/* Takes up a progress record; GW_ERR_NOTHING if there is none for this install. */
GW_MUST_USE int gw_install_recall(struct gw_install *inst);
/* Loads the choice of the current step: component area, variant, payload. */
GW_MUST_USE int gw_install_select(struct gw_install *inst);
/* Drops what the journal keeps for continuing. */
GW_MUST_USE int gw_install_forget(struct gw_install *inst);

#endif
