/*
 * cuts.c - which cuts are made: at every operation of a run, in every shape; and after each of them again at every
 * operation of what follows.
 *
 * After the first cut the flash is copied; the second cuts fork from that copy. Randomness after a cut depends only on
 * the seed and on the cuts before it, so that a history can be replayed from its string.
 */
#include "powercut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPERATIONS_MAX 4096u
#define SHAPES_MAX 64u
#define PRINT_MAX 10u

static char current[256];

const char *cuts_current(void)
{
    return current;
}

/* Where a run forks: the flash and what the tester remembers. */
struct fork_point {
    struct flashsim_state flash;
    struct memory m;
};

static void take(struct run *r, struct fork_point *p)
{
    flashsim_take(&r->d.sim, &p->flash);
    r->m.fetched = r->d.fetched;
    r->m.taken_over = r->d.taken_over;
    p->m = r->m;
}

static void go_back(struct run *r, const struct fork_point *p)
{
    flashsim_put_back(&r->d.sim, &p->flash);
    r->m = p->m;
    r->d.fetched = r->m.fetched;
    r->d.taken_over = r->m.taken_over;
    r->error[0] = 0;
    r->brick = false;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t z = (a ^ (b * 0x9e3779b97f4a7c15u)) + 0xd1b54a32d192ed03u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t seed_after(uint64_t seed, const struct flashsim_cut *cut)
{
    return mix(seed, (uint64_t)cut->op << 32 | (uint64_t)cut->units << 8 | cut->shape);
}

/* ---- Choosing cuts ----------------------------------------------------------------------------------------------- */

/* Adds a shape after `units` whole units, if it is one for this operation and not there yet. */
static unsigned add(struct flashsim_cut *list, unsigned n, const struct flashsim_op *op, uint32_t write_size,
                    enum flashsim_shape shape, uint32_t units)
{
    if (!flashsim_shape_fits(shape, op, write_size, units)) {
        return n;
    }
    for (unsigned i = 0; i < n; i++) {
        if (list[i].shape == shape && list[i].units == units) {
            return n;
        }
    }
    list[n].shape = shape;
    list[n].units = units;
    return n + 1;
}

/* The cuts of one operation. `level`: 0 two by seed, 1 the telling ones, 2 all shapes. */
static unsigned choose(struct flashsim_cut *list, const struct flashsim_op *op, uint32_t number, uint32_t write_size,
                       unsigned level, uint64_t seed)
{
    struct flashsim_cut all[SHAPES_MAX];
    uint32_t units = op->n / write_size;
    uint64_t dice = mix(seed, number);
    uint32_t random_unit = units > 0 ? (uint32_t)(dice >> 32) % units : 0;
    const uint32_t at[] = { units - 1, 0, random_unit, 1, units / 2, units - 2 };
    unsigned positions = level == 2 ? sizeof at / sizeof at[0] : 2, n = 0, picked = 0;

    n = add(all, n, op, write_size, FLASHSIM_BEFORE, 0);
    n = add(all, n, op, write_size, FLASHSIM_AFTER, 0);
    for (unsigned s = FLASHSIM_GARBAGE; s < FLASHSIM_SHAPES; s++) {
        for (unsigned i = 0; i < positions; i++) {
            n = add(all, n, op, write_size, (enum flashsim_shape)s, op->kind == FLASHSIM_ERASE ? 0 : at[i]);
        }
    }
    n = add(all, n, op, write_size, FLASHSIM_GARBAGE, random_unit);
    for (unsigned i = 0; i < n; i++) {
        all[i].op = number;
        bool pick = level > 0 || i == dice % n || i == (dice >> 16) % n;
        if (pick) {
            list[picked++] = all[i];
        }
    }
    return picked;
}

/* ---- Running them ------------------------------------------------------------------------------------------------ */

static void name_history(const struct run *r, const char *device, uint64_t seed, const struct flashsim_cut *cut,
                         unsigned n)
{
    int at = snprintf(current, sizeof current, "%s/%s/%llu", r->scenario->name, device, (unsigned long long)seed);

    for (unsigned i = 0; i < n; i++) {
        at += snprintf(current + at, sizeof current - (size_t)at, "/%u:%s:%u", (unsigned)cut[i].op,
                       flashsim_shape_name(cut[i].shape), (unsigned)cut[i].units);
    }
}

static void report(struct run *r, struct counts *counts)
{
    *(r->brick ? &counts->bricks : &counts->losses) += 1;
    if (counts->bricks + counts->losses <= PRINT_MAX) {
        printf("FAILED %s: %s\n    make powercut REPLAY=%s\n", r->brick ? "(brick)" : "(loss)", r->error, current);
        fflush(stdout);
    }
}

/* From a fork point to the cut. False, and a report: the run failed, or never came to the cut. */
static bool go_to_cut(struct run *r, const struct fork_point *from, uint64_t seed, struct flashsim_cut cut,
                      struct counts *counts)
{
    go_back(r, from);
    flashsim_arm(&r->d.sim, seed);
    flashsim_cut_at(&r->d.sim, cut);
    enum outcome out = run_go(r);
    if (out != RUN_CUT) {
        if (out == RUN_DONE) {
            (void)failed(r, false, "the run did not come to this operation: it is not deterministic");
        }
        report(r, counts);
    }
    return out == RUN_CUT;
}

/* From here to the goal, without more cuts. Number of operations; 0, and a report, if it failed. */
static uint32_t go_to_goal(struct run *r, uint64_t seed, struct flashsim_op *trace, struct counts *counts)
{
    flashsim_arm(&r->d.sim, seed);
    r->d.sim.trace = trace;
    r->d.sim.trace_size = trace != NULL ? OPERATIONS_MAX : 0;
    if (run_go(r) != RUN_DONE) {
        report(r, counts);
        return 0;
    }
    return r->d.sim.ops;
}

/* Second cuts, at the operations of `trace`, after the first cut has left `point`. */
static void cut_again(struct run *r, const char *device, const struct plan *plan, const struct flashsim_cut *first,
                      const struct fork_point *point, const struct flashsim_op *trace, uint32_t operations,
                      struct counts *counts)
{
    struct flashsim_cut history[2] = { *first }, list[SHAPES_MAX];
    uint64_t seed = seed_after(plan->seed, first);

    for (uint32_t op = 0; op < operations; op++) {
        if (mix(seed, op) % counts->second_of != 0) {
            continue;
        }
        unsigned n = choose(list, &trace[op], op, r->d.config.write_size, plan->shapes[1], seed);
        for (unsigned i = 0; i < n; i++) {
            history[1] = list[i];
            name_history(r, device, plan->seed, history, 2);
            counts->cuts++;
            counts->second++;
            if (go_to_cut(r, point, seed, list[i], counts)) {
                (void)go_to_goal(r, seed_after(seed, &list[i]), NULL, counts);
            }
        }
    }
}

static void *make(size_t n)
{
    void *p = calloc(1, n);

    if (p == NULL) {
        fputs("powercut: no memory\n", stderr);
        exit(3);
    }
    return p;
}

/*
 * One in how many operations is cut again, so that the budget is kept? What follows a cut is about as long as the
 * run.
 */
static uint32_t second_of(const struct run *r, const struct plan *plan, const struct flashsim_op *trace,
                          uint32_t operations)
{
    struct flashsim_cut list[SHAPES_MAX];
    uint64_t first = 0;

    if (plan->budget == 0 || plan->budget == EVERY) {
        return plan->budget == EVERY;
    }
    for (uint32_t op = 0; op < operations; op++) {
        first += choose(list, &trace[op], op, r->d.config.write_size, plan->shapes[0], plan->seed);
    }
    return (uint32_t)(first * operations * (plan->shapes[1] == 0 ? 2 : 12) / plan->budget) + 1;
}

void cuts_run(struct run *r, const char *device, const struct plan *plan, struct counts *counts)
{
    struct flashsim_op *trace = make(2 * OPERATIONS_MAX * sizeof *trace), *trace2 = trace + OPERATIONS_MAX;
    struct fork_point start = { 0 }, point = { 0 };
    struct flashsim_cut list[SHAPES_MAX];

    name_history(r, device, plan->seed, NULL, 0);
    take(r, &start);
    uint32_t operations = go_to_goal(r, plan->seed, trace, counts);
    if (operations > OPERATIONS_MAX) {
        (void)failed(r, false, "more operations than there is room for");
        report(r, counts);
        operations = OPERATIONS_MAX;
    }
    counts->operations = operations;
    counts->second_of = second_of(r, plan, trace, operations);
    for (uint32_t op = plan->stripe; op < operations; op += plan->stripes) {
        unsigned n = choose(list, &trace[op], op, r->d.config.write_size, plan->shapes[0], plan->seed);
        for (unsigned i = 0; i < n; i++) {
            name_history(r, device, plan->seed, &list[i], 1);
            counts->cuts++;
            if (!go_to_cut(r, &start, plan->seed, list[i], counts)) {
                continue;
            }
            take(r, &point);
            uint32_t after = go_to_goal(r, seed_after(plan->seed, &list[i]), trace2, counts);
            if (counts->second_of != 0 && after != 0) {
                cut_again(r, device, plan, &list[i], &point, trace2, after < OPERATIONS_MAX ? after : OPERATIONS_MAX,
                          counts);
            }
        }
    }
    flashsim_state_free(&start.flash);
    flashsim_state_free(&point.flash);
    free(trace);
}

/* ---- Replay ------------------------------------------------------------------------------------------------------ */

static bool parse_cut(const char **text, struct flashsim_cut *cut)
{
    char name[16] = "";
    unsigned op, units;
    int n = 0;

    if (sscanf(*text, "/%u:%15[a-z]:%u%n", &op, name, &units, &n) != 3) {
        return false;
    }
    *text += n;
    *cut = (struct flashsim_cut){ .op = op, .units = units, .shape = FLASHSIM_SHAPES };
    for (unsigned s = 0; s < FLASHSIM_SHAPES; s++) {
        if (strcmp(name, flashsim_shape_name((enum flashsim_shape)s)) == 0) {
            cut->shape = (enum flashsim_shape)s;
        }
    }
    return cut->shape != FLASHSIM_SHAPES;
}

bool cuts_replay(struct run *r, uint64_t seed, const char *history)
{
    struct fork_point start = { 0 };
    struct flashsim_cut cut;
    enum outcome out;
    bool verbose = r->verbose;

    take(r, &start);
    r->d.sim.log = NULL;
    r->verbose = false;
    flashsim_arm(&r->d.sim, seed); /* once without cuts, for the bounds */
    out = run_go(r);
    if (out == RUN_DONE) {
        go_back(r, &start);
    }
    flashsim_state_free(&start.flash);
    r->verbose = verbose;
    flashsim_arm(&r->d.sim, seed);
    r->d.sim.log = run_log;
    for (bool first = true; out == RUN_DONE && first; first = false) {
        while (parse_cut(&history, &cut)) {
            flashsim_cut_at(&r->d.sim, cut);
            if ((out = run_go(r)) != RUN_CUT) {
                break;
            }
            seed = seed_after(seed, &cut);
            flashsim_arm(&r->d.sim, seed);
        }
        out = out == RUN_FAILED || *history != 0 ? out : run_go(r);
    }
    printf("%s\n", out == RUN_DONE    ? "reached its goal"
                   : r->error[0] != 0 ? r->error
                                      : "not a history of this scenario");
    return out == RUN_DONE;
}
