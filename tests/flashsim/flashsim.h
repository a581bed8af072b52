/*
 * flashsim.h - flash in memory that fails the way real parts fail, and that watches the rules of godwit/flash.h.
 *
 * Counts every operation; cuts the power before, in or after any of them; remembers which write units were programmed,
 * so that a second programming, or trust in a block that merely reads as blank, is a violation and not a lucky test.
 * All that is random comes from a seed. A snapshot copies the blocks that changed, so that thousands of runs can
 * fork from one point.
 *
 * A cut and a violation leave the code under test by longjmp: it owns no heap, so nothing is lost but its stack.
 */
#ifndef FLASHSIM_H
#define FLASHSIM_H

#include <setjmp.h>

#include "godwit/flash.h"

#define FLASHSIM_REGIONS 4u
#define FLASHSIM_FAULTS 4u

/* What a power cut leaves of the operation that it hits. */
enum flashsim_shape {
    FLASHSIM_BEFORE,     /* nothing of it happened */
    FLASHSIM_AFTER,      /* all of it happened; the caller never heard */
    /* Writes: the first `units` units are right, the next one is hit, the rest untouched. */
    FLASHSIM_GARBAGE,    /* some bits of the unit are programmed, and stay so */
    FLASHSIM_FLAP,       /* the unit reads as written, as blank or as a mixture, differently every time */
    FLASHSIM_FADES,      /* it reads as written in the next session, and as blank in all later ones */
    FLASHSIM_RISES,      /* it reads as blank in the next session, and as written in all later ones */
    FLASHSIM_BLANK,      /* it reads as blank for ever, but is not: programming it would store nonsense */
    /* Erases. */
    FLASHSIM_ERASE_MIX,   /* units are old, blank, garbage or flapping */
    FLASHSIM_ERASE_BLANK, /* all reads as blank, but is not properly erased */
    FLASHSIM_ERASE_KEPT,  /* all reads as before, but weakly: programming it is a violation all the same */
    FLASHSIM_ERASE_FADES, /* as before in the next session, as blank later */
    FLASHSIM_ERASE_RISES, /* as blank in the next session, as before later */
    FLASHSIM_ERASE_FLAP,  /* every unit reads differently every time */
    FLASHSIM_SHAPES
};

enum flashsim_kind { FLASHSIM_WRITE, FLASHSIM_ERASE };

struct flashsim_op {
    enum flashsim_kind kind;
    uint32_t address;
    uint32_t n;
};

struct flashsim_cut {
    uint32_t op; /* number of the operation since flashsim_arm(), from 0 */
    enum flashsim_shape shape;
    uint32_t units; /* torn writes: whole units before the one that is hit */
};

/* Faults without a cut. */
enum flashsim_fault_kind {
    FLASHSIM_NO_FAULT,
    FLASHSIM_REFUSE,      /* a write or erase fails and changes nothing */
    FLASHSIM_REFUSE_HALF, /* a write fails with half of its units programmed; an erase leaves a mixture */
    FLASHSIM_LIE,         /* a write or erase says that it worked and stores something else, or nothing */
    FLASHSIM_READ_FAILS,  /* reads fail */
};
struct flashsim_fault {
    enum flashsim_fault_kind kind;
    uint32_t at;      /* number of the first call that it hits: writes and erases together, or reads; since arm */
    uint32_t count;   /* of calls; 0: for ever */
    uint32_t address; /* only calls that touch this range; */
    uint32_t size;    /* 0: any */
};

struct flashsim_geometry {
    struct gw_flash_region region[FLASHSIM_REGIONS];
    uint32_t region_count;
    uint32_t write_size;
    uint8_t erased;
    bool ecc; /* a torn unit cannot be read, instead of reading as something */
};

struct flashsim_block {
    uint32_t start, size;
    uint32_t at;     /* index in the byte arrays */
    uint32_t odd;    /* units that do not simply read as they are */
    uint32_t erases; /* wear */
    uint64_t stamp;  /* of the last change, unique */
};

/* All that a snapshot keeps. */
struct flashsim_state {
    uint8_t *now;   /* what is read */
    uint8_t *other; /* the second reading of unstable units */
    uint8_t *unit;  /* a state for each write unit */
    struct flashsim_block *block;
    uint32_t erases_total;
};

struct flashsim {
    struct gw_flash flash;
    struct flashsim_geometry geometry;
    uint32_t bytes, units, blocks;
    struct flashsim_state s;
    uint64_t rng;
    uint64_t stamps;

    /* Since flashsim_arm(). */
    uint32_t ops, reads;
    uint32_t since_idle;
    struct flashsim_op *trace; /* may be NULL */
    uint32_t trace_size;

    bool cut_armed;
    struct flashsim_cut cut;
    struct flashsim_fault fault[FLASHSIM_FAULTS]; /* by flashsim_add_fault() */
    bool faulty;
    uint32_t faults_hit;

    jmp_buf *out;        /* where cuts and violations go; NULL: abort() */
    const char *violation; /* latched: which rule was broken; NULL: none */
    struct flashsim_op offender;
    void (*log)(const struct flashsim_op *op, uint32_t number); /* told of every operation; may be NULL */
};

/* Values that setjmp of `out` returns. */
#define FLASHSIM_OUT_CUT 1
#define FLASHSIM_OUT_VIOLATION 2

/* Makes an erased flash. Exits the process when memory is refused. */
void flashsim_init(struct flashsim *f, const struct flashsim_geometry *g);
void flashsim_free(struct flashsim *f);

/* Starts counting from 0 again; removes cut, faults and trace, and clears nothing else. */
void flashsim_arm(struct flashsim *f, uint64_t seed);
void flashsim_cut_at(struct flashsim *f, struct flashsim_cut cut);
/* One fault more (at most FLASHSIM_FAULTS; the last one is replaced). */
void flashsim_add_fault(struct flashsim *f, struct flashsim_fault fault);
/* Power is back: a new session, in which unstable units may read differently. */
void flashsim_restart(struct flashsim *f);

/* Is this shape meant for this operation, and different from the shapes before it? */
bool flashsim_shape_fits(enum flashsim_shape shape, const struct flashsim_op *op, uint32_t write_size, uint32_t units);
const char *flashsim_shape_name(enum flashsim_shape shape);

/* Snapshots. `take` makes `s` (all-zero at first) a copy of the flash; `put_back` copies only blocks that differ. */
void flashsim_take(const struct flashsim *f, struct flashsim_state *s);
void flashsim_put_back(struct flashsim *f, const struct flashsim_state *s);
void flashsim_state_free(struct flashsim_state *s);

/*
 * Behind the interface, for tests: bytes as they read (stable), and damage that no rule covers (a flipped bit, a
 * lost block).
 */
const uint8_t *flashsim_peek(const struct flashsim *f, uint32_t address);
void flashsim_poke(struct flashsim *f, uint32_t address, uint8_t value);
/* Fills an area with noise, as programmed: a lost journal. */
void flashsim_ruin(struct flashsim *f, struct gw_area area);

/* Wear: the most erases of one block in an area, and of all blocks of it together. */
uint32_t flashsim_wear_max(const struct flashsim *f, struct gw_area area);
uint32_t flashsim_wear_sum(const struct flashsim *f, struct gw_area area);
void flashsim_wear_clear(struct flashsim *f);

#endif
