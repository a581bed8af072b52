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
    GW_ST_PRECURSOR,  /* hash the image that a delta was made from */
    GW_ST_DECODE,     /* an encoded payload is being decoded and written; journal: progress at restart units */
    GW_ST_COPY,       /* an image that is already here is being copied; journal: progress */
    GW_ST_READ_BACK,  /* hash what was written; journal: the component is complete */
    GW_ST_READY,      /* finish may stage the slot */
    GW_ST_COUNT
};

/* What the current component is at; kept in the progress record. */
enum gw_install_phase {
    GW_PHASE_RAW = 0,    /* frames or copies become the image */
    GW_PHASE_STORE = 1,  /* staged: frames are stored as they are, in the spare room */
    GW_PHASE_APPLY = 2,  /* staged: decoded from there */
    GW_PHASE_STREAM = 3, /* decoded as they come in */
};

/* Bytes of a progress record; a streamed payload adds u32 offset in its content, and the header of its encoding. */
#define GW_PROGRESS_RECORD 46u
#define GW_PROGRESS_STREAM (GW_PROGRESS_RECORD + 4u)

/* Journals how far the current component is. */
GW_MUST_USE int gw_install_note(struct gw_install *inst);
/* The same with a longer record, whose bytes from GW_PROGRESS_STREAM on are in `r` already. */
GW_MUST_USE int gw_install_note_as(struct gw_install *inst, uint8_t *r, uint32_t n);
/* Takes up a progress record; GW_ERR_NOTHING if there is none for this install. */
GW_MUST_USE int gw_install_recall(struct gw_install *inst);
/* Loads the choice of the current step: component area, variant, payload. */
GW_MUST_USE int gw_install_select(struct gw_install *inst);
/* Drops what the journal keeps for continuing. */
GW_MUST_USE int gw_install_forget(struct gw_install *inst);

/* In gw_decoding.memory: the object, then its memory from here on. */
#define GW_DECODER_OBJECT ((uint32_t)(sizeof(struct gw_patch) + 7u) & ~7u)

/* ---- decode.c: encoded payloads ---------------------------------------------------------------------------------- */

/* Staged, streamed or raw, after a payload was chosen: sets phase, stage and goal. */
GW_MUST_USE int gw_decode_begin(struct gw_install *inst);
/* Points target and goal to where this phase writes. */
GW_MUST_USE int gw_decode_aim(struct gw_install *inst, enum gw_install_phase phase);
/* May this payload be taken instead of the one that turned out useless? No deltas. */
bool gw_decode_may(const struct gw_install *inst, const struct gw_payload *p);
/* What the planner has to know of frames, encodings and ciphers; the rest of `facts` is left as it is. */
void gw_decode_facts(const struct gw_install *inst, struct gw_facts *facts);
/* The state GW_ST_DECODE. GW_WANT: a frame is needed. GW_DONE: all is written. */
GW_MUST_USE int gw_decode_step(struct gw_install *inst);

/* install.c, for decode.c: the next block is erased (GW_OK), or was erased now (GW_MORE). */
GW_MUST_USE int gw_install_erase_ahead(struct gw_install *inst, uint32_t end);
/* install.c, for decode.c: takes the complete frame in the buffer: checked, decrypted unless it is to be stored. */
GW_MUST_USE int gw_install_take_frame(struct gw_install *inst);

#endif
