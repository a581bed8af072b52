/*
 * isa.h - what the codec knows of an instruction set: which old bytes hold an address, and how to write another one.
 *
 * One file per instruction set (isa_*.c) fills one const struct; a device names only its own in gw_patch_config.isas.
 * A *field* is a run of bytes that holds one address: a call, a literal load, half of a register pair, a pointer. It is
 * found in bytes that both sides have, so that nothing about it is transmitted. All this is advice: a field that is
 * none costs size, never correctness. Nothing here reads more than it was given.
 */
#ifndef GW_ISA_H
#define GW_ISA_H

#include "godwit/patch.h"

enum gw_isa_kind {
    GW_FIELD_NONE = 0,
    GW_FIELD_POINTER = 1, /* 32 bits, little-endian; known to the codec, the same for all */
    GW_FIELD_OWN = 2,     /* 2..7: the instruction set's own */
    GW_FIELD_KINDS = 8,
};

#define GW_ISA_LOOK 64u  /* bytes that find() may look at, from the place on */
#define GW_ISA_WORDS 64u /* state of find() and target() in words */

struct gw_isa_place {
    const uint8_t *p;
    uint32_t n;  /* bytes at p, at most GW_ISA_LOOK count */
    uint32_t pc; /* address of p[0] */
    uint32_t at; /* offset of p[0] in its image */
};

struct gw_isa {
    uint8_t id;                   /* in the header of a patch: enum gw_isa_id */
    uint8_t align;                /* of instructions: 1, 2, 4 */
    uint8_t ram_first, ram_last;  /* a word with such a top byte is taken for a pointer */
    uint8_t data_first, data_last; /* addresses with such a top byte hold no instructions */
    uint8_t relative;             /* bit k: kind k is relative to the program counter and stands for itself */
    uint8_t grain[GW_FIELD_KINDS]; /* log2 of the step of its targets */
    /* A relative field that new code may begin: byte literal_at of it, under a mask; its size, 0: none. */
    uint8_t literal_at, literal_mask, literal_value, literal_size;
    /* Size of the instruction that begins with b[0..k), k is 1 or 2; with 1 at least the right lower bound. */
    unsigned (*size)(const uint8_t *b, unsigned k);
    /* Is there a field at this start of an instruction? Else kind stays 0. `state` follows what went before. */
    void (*find)(const struct gw_isa_place *a, uint32_t *state, struct gw_patch_field *f);
    /* `to` is `from` with another target, at address pc. */
    void (*place)(const struct gw_patch_field *f, const uint8_t *from, uint32_t pc, uint32_t target, uint8_t *to);
    /* The target of the same kind of field in new bytes. 0: none there; 1: known; 2: not enough to learn from. */
    int (*target)(const struct gw_patch_field *f, const uint8_t *p, uint32_t pc, uint32_t *state, uint32_t *target);
};

static inline bool gw_is_code(const struct gw_isa *isa, uint32_t pc)
{
    return pc >> 24 < isa->data_first || pc >> 24 > isa->data_last;
}

/* Is a word of the old image taken for a pointer? */
static inline bool gw_is_pointer(const struct gw_isa *isa, const struct gw_patch_header *h, uint32_t w)
{
    uint32_t top = w >> 24, base = h->segment[0][0].shift;
    return (top >= isa->ram_first && top <= isa->ram_last) ||
           (h->segments[0] == 1 && w >= base + 256 && w < base + h->old_size + 65536u);
}

/* Does new code that begins with b (literal_at + 1 bytes) begin a relative field? */
static inline bool gw_is_literal_field(const struct gw_isa *isa, const uint8_t *b)
{
    return isa->literal_size != 0 && (b[isa->literal_at] & isa->literal_mask) == isa->literal_value;
}

static inline uint32_t gw_le16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t gw_le32(const uint8_t *p)
{
    return gw_le16(p) | gw_le16(p + 2) << 16;
}

static inline void gw_put_le16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void gw_put_le32(uint8_t *p, uint32_t v)
{
    gw_put_le16(p, v);
    gw_put_le16(p + 2, v >> 16);
}

/* The low `bits` of v as a signed number. */
static inline uint32_t gw_sign(uint32_t v, unsigned bits)
{
    uint32_t top = 1u << (bits - 1);
    return ((v & (top * 2u - 1u)) ^ top) - top;
}

#endif
