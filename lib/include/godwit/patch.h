/*
 * patch.h - gwpatch: decodes deltas and compressed full images (SPEC.md, section 15).
 *
 * A patch makes a new image from an old one (or from nothing), both of which lie in flash: the decoder reads them back
 * through two functions and needs RAM for its model only. Push patch bytes as they come, poll for output:
 *
 *     gw_patch_open(&p, &config);
 *     do {
 *         e = gw_patch_poll(&p, out, sizeof out, &n);      // write the n bytes of out
 *         if (e == GW_WANT) gw_patch_push(&p, bytes, ...); // the next bytes of the patch
 *     } while (e == GW_MORE || e == GW_WANT);
 *
 * One poll does a bounded piece of work (at most GW_PATCH_STEP bytes of output). A patch that is damaged or hostile
 * ends with GW_ERR_DECODE: output never exceeds new_size, reads never leave old_size and what was put out.
 *
 * All state is the object and config.memory; neither holds pointers into the other or into itself. So copying both
 * to flash saves the decoder, and copying them back resumes it.
 */
#ifndef GODWIT_PATCH_H
#define GODWIT_PATCH_H

#include "godwit/godwit.h"

#define GW_PATCH_STEP 128u    /* most bytes of output of one poll */
#define GW_PATCH_HEADER_MAX 128u /* also the buffer for input */
#define GW_PATCH_SEGMENTS 8u /* of addresses, for each image */
#define GW_PATCH_STACK 768u   /* bound of the stack that poll needs on 32-bit devices */

enum gw_isa_id {
    GW_ISA_NONE,
    GW_ISA_THUMB,
    GW_ISA_RISCV,
    GW_ISA_XTENSA,
    GW_ISA_ARM64,
    GW_ISA_ARM,
    GW_ISA_COUNT,
};

struct gw_isa;
extern const struct gw_isa gw_isa_none, gw_isa_thumb, gw_isa_riscv, gw_isa_xtensa, gw_isa_arm64, gw_isa_arm;

/* RAM profiles: what a patch asks for; the patch was made for one of them. */
enum gw_patch_profile {
    GW_PATCH_RAM_16K, /* all-in: object, memory, GW_PATCH_STACK */
    GW_PATCH_RAM_10K,
    GW_PATCH_PROFILES,
};
/* Bytes of config.memory for a profile; 0: unknown profile. */
uint32_t gw_patch_memory(uint32_t profile);
/* All RAM that decoding takes: object, memory and stack. 0: unknown profile. */
uint32_t gw_patch_ram(uint32_t profile);

struct gw_patch_config {
    void *ctx;
    /* n bytes of the old image from offset, always within old_size. 0 or a negative error, which poll returns.
     * May be NULL when old_size is 0. */
    int (*read_old)(void *ctx, uint32_t offset, void *data, uint32_t n);
    uint32_t old_size; /* of the old image there is; 0: none, only full images */
    /* n bytes of the output from offset: always bytes that earlier polls put out. 0 or a negative error. */
    int (*read_new)(void *ctx, uint32_t offset, void *data, uint32_t n);
    uint32_t new_size; /* signed size of the new image: the patch must make exactly that */
    void *memory;      /* gw_patch_memory() bytes, aligned to 4 */
    uint32_t memory_size;
    const struct gw_isa *const *isas; /* instruction sets of this device, ended by NULL; gw_isa_none needs no entry */
};

struct gw_patch_segment {
    uint32_t at;    /* offset in the image */
    uint32_t shift; /* address = offset + shift, from here on */
};

struct gw_patch_header {
    uint32_t new_size, old_size;
    uint32_t unit; /* the model starts afresh at each multiple of it in the output; 0: never */
    uint8_t version, isa, profile;
    uint8_t segments[2]; /* of the old image, of the new */
    struct gw_patch_segment segment[2][GW_PATCH_SEGMENTS];
};

/* Reads a header. *used: its size. GW_ERR_TRUNCATED: more bytes are needed (GW_PATCH_HEADER_MAX are enough). */
GW_MUST_USE int gw_patch_header(struct gw_patch_header *h, const uint8_t *p, size_t n, size_t *used);

struct gw_patch_field {
    uint32_t target;
    uint8_t kind, size;
};

/* What the address map says of a field: the shift, and another one that is worth a try if `two`. */
struct gw_patch_guess {
    int32_t shift, other;
    uint8_t sure; /* 0 nothing, 1 the nearer neighbour's, 2 between two equal ones, 3 inside an interval */
    bool two;
};

struct gw_patch_map {
    uint16_t count, room;
    uint8_t now; /* time in evictions */
};

struct gw_patch_unit {
    struct gw_patch_field field;
    struct gw_patch_guess guess;
    uint8_t at; /* in the group */
};

/* A stretch of old bytes with predictions, being decided on. */
struct gw_patch_group {
    uint8_t made[40];
    struct gw_patch_unit unit[8];
    uint8_t size, fields; /* bytes made, units */
    uint8_t at, next;     /* bytes decided, units decided */
    bool open;            /* a miss must still come */
};

/* The decoder. Fields are its own. */
struct gw_patch {
    const struct gw_patch_config *config;
    const struct gw_isa *isa;
    struct gw_patch_header h;
    int error;
    uint8_t stage;
    /* input */
    uint8_t in[GW_PATCH_HEADER_MAX];
    uint32_t in_at, in_n, pushed, left; /* left: bytes of this segment that were not decoded yet */
    uint32_t range, code;
    /* output */
    uint8_t ring[256];
    uint32_t np, out_at, end; /* made; handed out; end of this segment */
    /* copies; all from here on starts afresh with each segment */
    uint32_t copy_left, match_left, old_at, old_next, diagonal;
    uint32_t rep[3];
    uint32_t run, misses;
    uint8_t hist, diag_hist, has_held, last_miss;
    struct gw_patch_unit held;
    struct gw_patch_group group;
    /* where instructions of the output begin */
    uint8_t insn[8], insn_k, insn_size, skip;
    uint8_t seg[2];
    /* windows on flash */
    uint8_t old[224], back[48];
    uint32_t old_from, old_n, back_from, back_n;
    uint32_t state[64]; /* of the instruction set */
    struct gw_patch_map map;
};

/* Starts. GW_ERR_CONFIG: a function or the memory is missing. */
GW_MUST_USE int gw_patch_open(struct gw_patch *p, const struct gw_patch_config *config);
/* Starts at a restart unit: `header` are the first bytes of the patch, output up to `new_at` (a multiple of the unit)
 * is there; the next byte pushed is the one at `patch_at`, what gw_patch_next() returned when the output stood there.
 * GW_ERR_OFFSET: new_at is no such place. */
GW_MUST_USE int gw_patch_open_at(struct gw_patch *p, const struct gw_patch_config *config, const uint8_t *header,
                                 size_t n, uint32_t new_at, uint32_t patch_at);
/* The output handed out stands at a multiple of the unit (no poll crosses one): the offset in the patch, from its first
 * byte, of the segment that begins there. 0: it stands elsewhere. */
uint32_t gw_patch_next(const struct gw_patch *p);
/* Takes patch bytes: *used of them. */
GW_MUST_USE int gw_patch_push(struct gw_patch *p, const uint8_t *bytes, size_t n, size_t *used);
/* Puts at most `room` bytes out, *n of them; they must be readable by read_new before the next poll.
 * GW_MORE: call again. GW_WANT: push. GW_DONE: the image is complete. Or an error, which stays: GW_ERR_DECODE, what
 * gw_patch_header() returns, GW_ERR_ENCODING (no such instruction set here), GW_ERR_DECODER_RAM, or a read's own. */
GW_MUST_USE int gw_patch_poll(struct gw_patch *p, uint8_t *out, size_t room, size_t *n);

#endif
