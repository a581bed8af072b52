/*
 * flashsim.c - see flashsim.h.
 *
 * Keeps true: whatever the code under test reads could come from a real part after the same cuts; every broken rule is
 * latched at the operation that broke it. Does not model time, nor read disturb.
 */
#include "flashsim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* States of a write unit. */
enum {
    FRESH, /* erased and not programmed since */
    USED,  /* programmed */
    WEAK,  /* reads stably, but must be erased before it is programmed */
    ODD,   /* from here on reading takes a look: */
    FLAP = ODD, /* as `now`, `other` or a mixture, differently each time */
    FLAP_DEAD,  /* ECC: as `now`, or fails */
    DEAD,       /* ECC: fails */
    TURN2,      /* as `now` until the restart after next, then as `other` */
    TURN1,
    TURN2_DEAD, /* ECC: as `now`, later fails */
    TURN1_DEAD,
    DEAD_TURN2, /* ECC: fails, later as `other` */
    DEAD_TURN1,
};

static const char *const shape_names[FLASHSIM_SHAPES] = {
    "before", "after",    "garbage",  "flap",     "fades",      "rises",      "blank",
    "emix",   "eblank", "ekept", "efades", "erises", "eflap",
};

const char *flashsim_shape_name(enum flashsim_shape shape)
{
    return shape < FLASHSIM_SHAPES ? shape_names[shape] : "?";
}

static uint64_t random64(struct flashsim *f)
{
    f->rng += 0x9e3779b97f4a7c15u;
    uint64_t z = f->rng;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void *make(size_t n)
{
    void *p = calloc(1, n);

    if (p == NULL) {
        fputs("flashsim: no memory\n", stderr);
        exit(3);
    }
    return p;
}

/* ---- Leaving ----------------------------------------------------------------------------------------------------- */

static _Noreturn void leave(struct flashsim *f, int how)
{
    if (f->out == NULL) {
        fprintf(stderr, "flashsim: %s (%s of %u bytes at 0x%x, operation %u)\n",
                f->violation != NULL ? f->violation : "power cut",
                f->offender.kind == FLASHSIM_WRITE ? "write" : "erase", (unsigned)f->offender.n,
                (unsigned)f->offender.address, (unsigned)f->ops);
        abort();
    }
    longjmp(*f->out, how);
}

static void check(struct flashsim *f, bool good, const char *rule, const struct flashsim_op *op)
{
    if (good) {
        return;
    }
    if (f->violation == NULL) {
        f->violation = rule;
        f->offender = *op;
    }
    leave(f, FLASHSIM_OUT_VIOLATION);
}

/*
 * ---- Blocks
 * -------------------------------------------------------------------------------------------------------
 */

static struct flashsim_block *find(const struct flashsim *f, uint32_t address)
{
    uint32_t low = 0, high = f->blocks;

    while (low < high) {
        uint32_t mid = (low + high) / 2;
        struct flashsim_block *b = &f->s.block[mid];
        if (address < b->start) {
            high = mid;
        } else if (address - b->start >= b->size) {
            low = mid + 1;
        } else {
            return b;
        }
    }
    return NULL;
}

static bool exists(const struct flashsim *f, uint32_t address, uint32_t n)
{
    while (n > 0) {
        const struct flashsim_block *b = find(f, address);
        if (b == NULL) {
            return false;
        }
        uint32_t here = b->size - (address - b->start);
        if (n <= here) {
            return true;
        }
        n -= here;
        address += here;
    }
    return true;
}

static uint32_t unit_of(const struct flashsim *f, uint32_t at)
{
    return at / f->geometry.write_size;
}

static void touch(struct flashsim *f, struct flashsim_block *b)
{
    b->stamp = ++f->stamps;
}

static void set_unit(struct flashsim *f, struct flashsim_block *b, uint32_t u, uint8_t state)
{
    b->odd -= f->s.unit[u] >= ODD;
    b->odd += state >= ODD;
    f->s.unit[u] = state;
}

/*
 * ---- Reading
 * --------------------------------------------------------------------------------------------------------
 */

static bool fault_hits(struct flashsim *f, const struct flashsim_fault *fault, uint32_t number, uint32_t address,
                       uint32_t n)
{
    bool in_time = number >= fault->at && (fault->count == 0 || number - fault->at < fault->count);
    bool in_place = fault->size == 0 || (address < fault->address + fault->size && fault->address < address + n);

    if (in_time && in_place) {
        f->faults_hit++;
    }
    return in_time && in_place;
}

/* One odd unit, bytes from..to of it. False: it cannot be read. */
static bool read_odd(struct flashsim *f, uint32_t u, uint32_t from, uint32_t to, uint8_t *out)
{
    const uint8_t *now = f->s.now + u * f->geometry.write_size, *other = f->s.other + u * f->geometry.write_size;
    uint64_t dice = random64(f) % 3;

    switch (f->s.unit[u]) {
    case DEAD:
    case DEAD_TURN2:
    case DEAD_TURN1:
        return false;
    case FLAP_DEAD:
        memcpy(out, now + from, to - from);
        return dice != 0;
    case FLAP:
        for (uint32_t i = from; i < to; i++) {
            uint8_t mask = (uint8_t)(dice == 0 ? 0 : dice == 1 ? 0xff : random64(f));
            out[i - from] = (uint8_t)((now[i] & mask) | (other[i] & ~mask));
        }
        return true;
    default:
        memcpy(out, now + from, to - from);
        return true;
    }
}

static bool read_block(struct flashsim *f, const struct flashsim_block *b, uint32_t offset, uint8_t *out, uint32_t n)
{
    uint32_t size = f->geometry.write_size, at = b->at + offset, end = at + n;
    bool good = true;

    memcpy(out, f->s.now + at, n);
    for (uint32_t u = unit_of(f, at); b->odd != 0 && u * size < end; u++) {
        uint32_t from = u * size < at ? at - u * size : 0, to = (u + 1) * size > end ? end - u * size : size;
        if (f->s.unit[u] >= ODD) {
            good = read_odd(f, u, from, to, out + (u * size + from - at)) && good;
        }
    }
    return good;
}

static int sim_read(void *ctx, uint32_t address, void *data, uint32_t n)
{
    struct flashsim *f = ctx;
    struct flashsim_op op = { FLASHSIM_WRITE, address, n };
    uint8_t *out = data;
    bool good = true;
    uint32_t number = f->reads++;
    const struct flashsim_block *first = find(f, address);

    if (first != NULL && first->odd == 0 && n <= first->size - (address - first->start) && !f->faulty) {
        memcpy(data, f->s.now + first->at + (address - first->start), n); /* nearly always */
        return 0;
    }
    check(f, exists(f, address, n), "read outside of the flash", &op);
    for (unsigned i = 0; i < FLASHSIM_FAULTS; i++) {
        if (f->fault[i].kind == FLASHSIM_READ_FAILS && fault_hits(f, &f->fault[i], number, address, n)) {
            memset(data, 0xa5, n);
            return -1;
        }
    }
    while (n > 0) {
        const struct flashsim_block *b = find(f, address);
        uint32_t offset = address - b->start, here = b->size - offset < n ? b->size - offset : n;
        good = read_block(f, b, offset, out, here) && good;
        address += here;
        out += here;
        n -= here;
    }
    return good ? 0 : -1;
}

/*
 * ---- Writing
 * ----------------------------------------------------------------------------------------------------------
 */

/* Bits that programming changes only go one way. */
static uint8_t programmed(const struct flashsim *f, uint8_t old, uint8_t data)
{
    return f->geometry.erased != 0 ? old & data : old | data;
}

static void program_unit(struct flashsim *f, uint32_t address, const uint8_t *data)
{
    struct flashsim_block *b = find(f, address);
    uint32_t at = b->at + (address - b->start);

    for (uint32_t i = 0; i < f->geometry.write_size; i++) {
        f->s.now[at + i] = programmed(f, f->s.now[at + i], data[i]);
    }
    set_unit(f, b, unit_of(f, at), USED);
    touch(f, b);
}

/* The unit that the cut hit. */
static void tear_unit(struct flashsim *f, uint32_t address, const uint8_t *data, enum flashsim_shape shape)
{
    struct flashsim_block *b = find(f, address);
    uint32_t at = b->at + (address - b->start), n = f->geometry.write_size;
    uint8_t *now = f->s.now + at, *other = f->s.other + at, blank = f->geometry.erased;
    bool ecc = f->geometry.ecc, rises = shape == FLASHSIM_RISES, blanks = shape == FLASHSIM_BLANK;
    uint8_t state = WEAK;

    for (uint32_t i = 0; i < n; i++) {
        uint8_t mask = (uint8_t)random64(f);
        uint8_t part = (uint8_t)((data[i] & mask) | (blank & ~mask));
        now[i] = rises || blanks ? blank : shape == FLASHSIM_GARBAGE ? part : data[i];
        other[i] = rises ? data[i] : blank;
    }
    switch (shape) {
    case FLASHSIM_GARBAGE:
        state = ecc ? DEAD : WEAK;
        break;
    case FLASHSIM_FLAP:
        state = ecc ? FLAP_DEAD : FLAP;
        break;
    case FLASHSIM_FADES:
        state = ecc ? TURN2_DEAD : TURN2;
        break;
    case FLASHSIM_RISES:
        state = ecc ? DEAD_TURN2 : TURN2;
        break;
    default:
        break;
    }
    set_unit(f, b, unit_of(f, at), state);
    touch(f, b);
}

static void check_write(struct flashsim *f, const struct flashsim_op *op)
{
    uint32_t size = f->geometry.write_size;

    check(f, op->n > 0 && op->n % size == 0 && op->address % size == 0, "write not aligned to units", op);
    check(f, op->n <= GW_FRAME_MAX, "write larger than a frame", op);
    check(f, exists(f, op->address, op->n), "write outside of the flash", op);
    for (uint32_t i = 0; i < op->n; i += size) {
        const struct flashsim_block *b = find(f, op->address + i);
        uint8_t state = f->s.unit[unit_of(f, b->at + (op->address + i - b->start))];
        check(f, state != USED, "unit programmed twice since its erase", op);
        check(f, state == FRESH, "unit programmed that is not properly erased", op);
    }
}

static void note(struct flashsim *f, const struct flashsim_op *op)
{
    check(f, f->since_idle == 0, "two operations between calls of idle", op);
    f->since_idle++;
    if (f->trace != NULL && f->ops < f->trace_size) {
        f->trace[f->ops] = *op;
    }
    if (f->log != NULL) {
        f->log(op, f->ops);
    }
}

static enum flashsim_fault_kind fault_for(struct flashsim *f, const struct flashsim_op *op)
{
    for (unsigned i = 0; i < FLASHSIM_FAULTS; i++) {
        const struct flashsim_fault *fault = &f->fault[i];
        if (fault->kind != FLASHSIM_NO_FAULT && fault->kind != FLASHSIM_READ_FAILS &&
            fault_hits(f, fault, f->ops, op->address, op->n)) {
            return fault->kind;
        }
    }
    return FLASHSIM_NO_FAULT;
}

static int faulty_write(struct flashsim *f, const struct flashsim_op *op, const uint8_t *data,
                        enum flashsim_fault_kind kind)
{
    uint32_t size = f->geometry.write_size, half = op->n / size / 2 * size;
    uint8_t wrong[GW_WRITE_MAX];

    f->ops++;
    for (uint32_t i = 0; kind != FLASHSIM_REFUSE && i < op->n; i += size) {
        memcpy(wrong, data + i, size);
        if (i == half && kind == FLASHSIM_LIE) { /* one bit that should have been programmed is not, or the other way */
            wrong[0] = (uint8_t)(wrong[0] ^ (1u << (random64(f) % 8)));
        }
        if (i < half || kind == FLASHSIM_LIE) {
            program_unit(f, op->address + i, wrong);
        } else if (i == half) {
            tear_unit(f, op->address + i, data + i, FLASHSIM_GARBAGE);
        }
    }
    return kind == FLASHSIM_LIE ? 0 : -1;
}

static int sim_write(void *ctx, uint32_t address, const void *data, uint32_t n)
{
    struct flashsim *f = ctx;
    struct flashsim_op op = { FLASHSIM_WRITE, address, n };
    const uint8_t *bytes = data;
    uint32_t size = f->geometry.write_size, whole = n / (size ? size : 1);
    bool hit = f->cut_armed && f->cut.op == f->ops;

    check_write(f, &op);
    note(f, &op);
    enum flashsim_fault_kind fault = fault_for(f, &op);
    if (fault != FLASHSIM_NO_FAULT) {
        return faulty_write(f, &op, bytes, fault);
    }
    if (hit && f->cut.shape != FLASHSIM_AFTER) {
        whole = f->cut.shape == FLASHSIM_BEFORE ? 0 : f->cut.units < whole ? f->cut.units : whole - 1;
    }
    for (uint32_t i = 0; i < whole; i++) {
        program_unit(f, address + i * size, bytes + i * size);
    }
    if (hit && f->cut.shape != FLASHSIM_AFTER && f->cut.shape != FLASHSIM_BEFORE) {
        tear_unit(f, address + whole * size, bytes + whole * size, f->cut.shape);
    }
    f->ops++;
    if (hit) {
        leave(f, FLASHSIM_OUT_CUT);
    }
    return 0;
}

/*
 * ---- Erasing
 * -----------------------------------------------------------------------------------------------------------
 */

static void erase_whole(struct flashsim *f, struct flashsim_block *b)
{
    memset(f->s.now + b->at, f->geometry.erased, b->size);
    memset(f->s.unit + unit_of(f, b->at), FRESH, b->size / f->geometry.write_size);
    b->odd = 0;
    touch(f, b);
}

static void mix_unit(struct flashsim *f, struct flashsim_block *b, uint32_t u)
{
    uint32_t size = f->geometry.write_size, kind = (uint32_t)(random64(f) % 4);
    uint8_t *now = f->s.now + u * size;
    uint8_t state = WEAK;

    for (uint32_t i = 0; kind != 0 && i < size; i++) {
        uint8_t mask = (uint8_t)(kind == 1 ? 0xff : random64(f));
        now[i] = (uint8_t)((f->geometry.erased & mask) | (now[i] & ~mask));
    }
    if (kind >= 2) {
        state = f->geometry.ecc ? (kind == 2 ? DEAD : FLAP_DEAD) : (kind == 2 ? WEAK : FLAP);
    }
    set_unit(f, b, u, state);
}

static void tear_erase(struct flashsim *f, struct flashsim_block *b, enum flashsim_shape shape)
{
    uint32_t size = f->geometry.write_size, first = unit_of(f, b->at), last = first + b->size / size;
    bool ecc = f->geometry.ecc, blank_first = shape == FLASHSIM_ERASE_BLANK || shape == FLASHSIM_ERASE_RISES;
    uint8_t *now = f->s.now + b->at, *other = f->s.other + b->at, state = WEAK;

    if (shape == FLASHSIM_ERASE_FADES || shape == FLASHSIM_ERASE_RISES) {
        state = TURN2;
    } else if (shape == FLASHSIM_ERASE_FLAP) {
        state = ecc ? FLAP_DEAD : FLAP;
    }
    memset(other, f->geometry.erased, b->size);
    if (blank_first) {
        memcpy(other, now, b->size);
        memset(now, f->geometry.erased, b->size);
    }
    for (uint32_t u = first; u < last; u++) {
        if (shape == FLASHSIM_ERASE_MIX) {
            mix_unit(f, b, u);
        } else {
            set_unit(f, b, u, state);
        }
    }
    touch(f, b);
}

static int sim_erase(void *ctx, uint32_t address)
{
    struct flashsim *f = ctx;
    struct flashsim_block *b = find(f, address);
    struct flashsim_op op = { FLASHSIM_ERASE, address, b != NULL ? b->size : 0 };
    bool hit = f->cut_armed && f->cut.op == f->ops;

    check(f, b != NULL && b->start == address, "erase not at the start of a block", &op);
    note(f, &op);
    b->erases++;
    f->s.erases_total++;
    touch(f, b);
    enum flashsim_fault_kind fault = fault_for(f, &op);
    if (fault != FLASHSIM_NO_FAULT) {
        f->ops++;
        if (fault == FLASHSIM_REFUSE_HALF) {
            tear_erase(f, b, FLASHSIM_ERASE_MIX);
        } else if (fault == FLASHSIM_LIE) { /* the old bytes are still there, and what is programmed over them mixes */
            memset(f->s.unit + unit_of(f, b->at), FRESH, b->size / f->geometry.write_size);
            b->odd = 0;
        }
        return fault == FLASHSIM_LIE ? 0 : -1;
    }
    if (!hit || f->cut.shape == FLASHSIM_AFTER) {
        erase_whole(f, b);
    } else if (f->cut.shape != FLASHSIM_BEFORE) {
        tear_erase(f, b, f->cut.shape);
    }
    f->ops++;
    if (hit) {
        leave(f, FLASHSIM_OUT_CUT);
    }
    return 0;
}

static void sim_idle(void *ctx)
{
    struct flashsim *f = ctx;

    f->since_idle = 0;
}

/*
 * ---- Control
 * --------------------------------------------------------------------------------------------------------------
 */

static void state_make(const struct flashsim *f, struct flashsim_state *s)
{
    s->now = make(f->bytes);
    s->other = make(f->bytes);
    s->unit = make(f->units);
    s->block = make(f->blocks * sizeof *s->block);
}

void flashsim_state_free(struct flashsim_state *s)
{
    free(s->now);
    free(s->other);
    free(s->unit);
    free(s->block);
    memset(s, 0, sizeof *s);
}

void flashsim_init(struct flashsim *f, const struct flashsim_geometry *g)
{
    memset(f, 0, sizeof *f);
    f->geometry = *g;
    for (uint32_t i = 0; i < g->region_count; i++) {
        f->blocks += g->region[i].count;
        f->bytes += g->region[i].count * g->region[i].erase_size;
    }
    f->units = f->bytes / g->write_size;
    state_make(f, &f->s);
    for (uint32_t i = 0, n = 0, at = 0; i < g->region_count; i++) {
        for (uint32_t k = 0; k < g->region[i].count; k++, n++) {
            uint32_t size = g->region[i].erase_size;
            f->s.block[n] = (struct flashsim_block){ .start = g->region[i].start + k * size, .size = size, .at = at };
            at += size;
        }
    }
    memset(f->s.now, g->erased, f->bytes);
    f->flash = (struct gw_flash){ .ctx = f, .regions = f->geometry.region, .region_count = g->region_count,
                                  .write_size = g->write_size, .erased = g->erased, .read = sim_read,
                                  .write = sim_write, .erase = sim_erase, .idle = sim_idle };
}

void flashsim_free(struct flashsim *f)
{
    flashsim_state_free(&f->s);
}

void flashsim_arm(struct flashsim *f, uint64_t seed)
{
    f->rng = seed;
    f->ops = f->reads = f->since_idle = f->faults_hit = 0;
    f->cut_armed = false;
    f->trace = NULL;
    f->trace_size = 0;
    f->violation = NULL;
    memset(f->fault, 0, sizeof f->fault);
    f->faulty = false;
}

void flashsim_add_fault(struct flashsim *f, struct flashsim_fault fault)
{
    unsigned i = 0;

    while (i + 1 < FLASHSIM_FAULTS && f->fault[i].kind != FLASHSIM_NO_FAULT) {
        i++;
    }
    f->fault[i] = fault;
    f->faulty = true;
}

void flashsim_cut_at(struct flashsim *f, struct flashsim_cut cut)
{
    f->cut = cut;
    f->cut_armed = true;
}

/* One restart nearer to the second reading. */
static void turn(struct flashsim *f, struct flashsim_block *b, uint32_t u)
{
    uint32_t size = f->geometry.write_size;

    switch (f->s.unit[u]) {
    case TURN2:
    case TURN2_DEAD:
    case DEAD_TURN2:
        set_unit(f, b, u, (uint8_t)(f->s.unit[u] + 1));
        break;
    case TURN1:
    case DEAD_TURN1:
        memcpy(f->s.now + u * size, f->s.other + u * size, size);
        set_unit(f, b, u, WEAK);
        break;
    case TURN1_DEAD:
        set_unit(f, b, u, DEAD);
        break;
    default:
        return;
    }
    touch(f, b);
}

void flashsim_restart(struct flashsim *f)
{
    f->since_idle = 0;
    for (uint32_t i = 0; i < f->blocks; i++) {
        struct flashsim_block *b = &f->s.block[i];
        uint32_t first = unit_of(f, b->at), last = first + b->size / f->geometry.write_size;
        for (uint32_t u = first; b->odd != 0 && u < last; u++) {
            turn(f, b, u);
        }
    }
}

bool flashsim_shape_fits(enum flashsim_shape shape, const struct flashsim_op *op, uint32_t write_size, uint32_t units)
{
    if (shape == FLASHSIM_BEFORE || shape == FLASHSIM_AFTER) {
        return units == 0;
    }
    if (shape >= FLASHSIM_ERASE_MIX) {
        return op->kind == FLASHSIM_ERASE && units == 0;
    }
    return op->kind == FLASHSIM_WRITE && units < op->n / write_size;
}

static void copy_block(const struct flashsim *f, struct flashsim_state *to, const struct flashsim_state *from,
                       uint32_t i)
{
    const struct flashsim_block *b = &from->block[i];
    uint32_t first = unit_of(f, b->at), count = b->size / f->geometry.write_size;

    memcpy(to->now + b->at, from->now + b->at, b->size);
    memcpy(to->other + b->at, from->other + b->at, b->size);
    memcpy(to->unit + first, from->unit + first, count);
    to->block[i] = *b;
}

static void copy_state(const struct flashsim *f, struct flashsim_state *to, const struct flashsim_state *from)
{
    for (uint32_t i = 0; i < f->blocks; i++) {
        if (to->block[i].size == 0 || to->block[i].stamp != from->block[i].stamp) {
            copy_block(f, to, from, i);
        }
    }
    to->erases_total = from->erases_total;
}

void flashsim_take(const struct flashsim *f, struct flashsim_state *s)
{
    if (s->now == NULL) {
        state_make(f, s);
    }
    copy_state(f, s, &f->s);
}

void flashsim_put_back(struct flashsim *f, const struct flashsim_state *s)
{
    copy_state(f, &f->s, s);
}

/*
 * ---- Behind the interface
 * ----------------------------------------------------------------------------------------------------
 */

const uint8_t *flashsim_peek(const struct flashsim *f, uint32_t address)
{
    const struct flashsim_block *b = find(f, address);

    return b == NULL ? NULL : f->s.now + b->at + (address - b->start);
}

void flashsim_poke(struct flashsim *f, uint32_t address, uint8_t value)
{
    struct flashsim_block *b = find(f, address);
    uint32_t at = b->at + (address - b->start);

    f->s.now[at] = value;
    if (f->s.unit[unit_of(f, at)] == FRESH) {
        set_unit(f, b, unit_of(f, at), USED);
    }
    touch(f, b);
}

void flashsim_ruin(struct flashsim *f, struct gw_area area)
{
    for (uint32_t i = 0; i < area.size; i++) {
        flashsim_poke(f, area.start + i, (uint8_t)random64(f));
    }
}

uint32_t flashsim_wear_max(const struct flashsim *f, struct gw_area area)
{
    uint32_t most = 0;

    for (uint32_t i = 0; i < f->blocks; i++) {
        const struct flashsim_block *b = &f->s.block[i];
        if (b->start >= area.start && b->start - area.start < area.size && b->erases > most) {
            most = b->erases;
        }
    }
    return most;
}

uint32_t flashsim_wear_sum(const struct flashsim *f, struct gw_area area)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < f->blocks; i++) {
        const struct flashsim_block *b = &f->s.block[i];
        sum += b->start >= area.start && b->start - area.start < area.size ? b->erases : 0;
    }
    return sum;
}

void flashsim_wear_clear(struct flashsim *f)
{
    for (uint32_t i = 0; i < f->blocks; i++) {
        f->s.block[i].erases = 0;
        touch(f, &f->s.block[i]);
    }
    f->s.erases_total = 0;
}
