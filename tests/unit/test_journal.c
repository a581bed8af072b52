/*
 * test_journal.c - the journal under power cuts at every operation, in every shape that a cut can have, twice in a row.
 *
 * What must hold: what was acknowledged is there; what was not is there whole or not at all; and once mount has
 * returned, the answer never changes again, however often power comes and goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flashsim.h"
#include "store.h"

#define KINDS 3u
#define STEPS 60u

static struct flashsim sim;
static struct gw_journal journal;
static jmp_buf out;

/* What the caller of the journal knows: the last value of each kind that was acknowledged, and the one under way. */
static struct {
    uint8_t acknowledged[KINDS], attempted[KINDS];
    unsigned step;
} caller;

static const enum gw_record kinds[KINDS] = { GW_REC_BOOT, GW_REC_PROGRESS, GW_REC_HEAD };
static const uint32_t sizes[KINDS] = { 107, 46, 4 };

static struct gw_area area(void)
{
    return (struct gw_area){ 0, sim.bytes };
}

static void start(uint32_t write_size, uint8_t erased, bool ecc, uint32_t block)
{
    struct flashsim_geometry g = { .region = { { 0, 2, block } }, .region_count = 1, .write_size = write_size,
                                   .erased = erased, .ecc = ecc };
    flashsim_init(&sim, &g);
    sim.out = &out;
    memset(&caller, 0, sizeof caller);
}

/* The value of a kind: its body is that byte all over; 0: none. */
static uint8_t value_of(unsigned k)
{
    uint8_t body[GW_RECORD_MAX];
    uint32_t n = 0;

    int err = gw_journal_get(&journal, kinds[k], body, sizeof body, &n);
    if (err == GW_ERR_NOTHING) {
        return 0;
    }
    assert_int_equal(err, GW_OK);
    assert_int_equal(n, sizes[k]);
    for (uint32_t i = 1; i < n; i++) {
        assert_int_equal(body[i], body[0]);
    }
    return body[0];
}

static void put(unsigned k, uint8_t value)
{
    uint8_t body[GW_RECORD_MAX];

    memset(body, value, sizes[k]);
    caller.attempted[k] = value;
    assert_int_equal(gw_journal_put(&journal, kinds[k], body, sizes[k]), GW_OK);
    caller.acknowledged[k] = value;
}

/* Mounts and puts records from where it stopped, settling now and then. May leave by a cut. */
static void session(unsigned until)
{
    memset(&journal, 0xa5, sizeof journal);
    assert_int_equal(gw_journal_mount(&journal, &sim.flash, area()), GW_OK);
    for (; caller.step < until; caller.step++) {
        unsigned k = caller.step % 7 == 0 ? 0 : caller.step % 5 == 0 ? 2 : 1;
        put(k, (uint8_t)(1 + caller.step % 250));
        if (caller.step % 4 == 0) {
            assert_int_equal(gw_journal_settle(&journal), GW_OK);
        }
    }
}

/* Runs a session that may be cut; was it? */
static char history[256]; /* the cuts that led here, for the message of a failure */

static bool cut_session(unsigned until)
{
    int how = setjmp(out);

    if (how == 0) {
        session(until);
        return false;
    }
    if (how == FLASHSIM_OUT_VIOLATION) {
        fail_msg("flash rule broken: %s (operation %u at 0x%x, %u bytes) after %s", sim.violation, (unsigned)sim.ops,
                 (unsigned)sim.offender.address, (unsigned)sim.offender.n, history);
    }
    flashsim_restart(&sim);
    return true;
}

/* After a cut: mounts (uncut) and looks; then again and again, and the answer stays. */
static void check_stable(uint64_t seed)
{
    uint8_t first[KINDS];

    for (unsigned again = 0; again < 3; again++) {
        flashsim_arm(&sim, seed + again);
        assert_false(cut_session(caller.step)); /* uncut */
        for (unsigned k = 0; k < KINDS; k++) {
            uint8_t value = value_of(k);
            if (again == 0) {
                first[k] = value;
                if (value != caller.acknowledged[k] && value != caller.attempted[k]) {
                    fail_msg("kind %u reads %u; %u was acknowledged, %u attempted", k, value, caller.acknowledged[k],
                             caller.attempted[k]);
                }
            }
            assert_int_equal(value, first[k]);
        }
        assert_int_equal(journal.lost, 0);
        flashsim_restart(&sim);
    }
    for (unsigned k = 0; k < KINDS; k++) {
        caller.acknowledged[k] = caller.attempted[k] = first[k];
    }
}

/* Every cut of `count` operations from the state in `from`, at each stride, in each shape; depth more cuts inside. */
static unsigned cut_everywhere(const struct flashsim_state *from, unsigned depth, uint32_t stride, uint64_t seed)
{
    struct flashsim_state here = { 0 };
    static struct flashsim_op trace[512];
    unsigned cuts = 0;
    const __typeof__(caller) known = caller;

    flashsim_put_back(&sim, from);
    flashsim_arm(&sim, seed);
    sim.trace = trace;
    sim.trace_size = 512;
    assert_false(cut_session(depth == 0 ? known.step + 3 : STEPS));
    uint32_t ops = sim.ops < 512 ? sim.ops : 512;
    struct flashsim_op *mine = malloc((ops + 1) * sizeof *mine);
    memcpy(mine, trace, ops * sizeof *mine);
    for (uint32_t op = (uint32_t)(seed % stride); op < ops; op += stride) {
        for (unsigned shape = 0; shape < FLASHSIM_SHAPES; shape++) {
            uint32_t most = mine[op].kind == FLASHSIM_WRITE ? mine[op].n / sim.geometry.write_size : 1;
            for (uint32_t units = 0; units < most; units += 1 + most / 4) {
                if (!flashsim_shape_fits((enum flashsim_shape)shape, &mine[op], sim.geometry.write_size, units)) {
                    continue;
                }
                caller = known;
                flashsim_put_back(&sim, from);
                flashsim_arm(&sim, seed); /* the same as when the operations were counted */
                (void)snprintf(history + depth * 100, 100, "cut at %u %s units %u of %s 0x%x+%u; ", (unsigned)op,
                               flashsim_shape_name((enum flashsim_shape)shape), (unsigned)units,
                               mine[op].kind == FLASHSIM_WRITE ? "write" : "erase", (unsigned)mine[op].address,
                               (unsigned)mine[op].n);
                flashsim_cut_at(&sim, (struct flashsim_cut){ op, (enum flashsim_shape)shape, units });
                assert_true(cut_session(depth == 0 ? known.step + 3 : STEPS));
                cuts++;
                if (depth > 0) {
                    __typeof__(caller) cut = caller;
                    flashsim_take(&sim, &here);
                    cuts += cut_everywhere(&here, depth - 1, 1, seed + op);
                    caller = cut;
                    flashsim_put_back(&sim, &here);
                }
                check_stable(seed + op);
            }
        }
    }
    free(mine);
    flashsim_state_free(&here);
    return cuts;
}

static void survive(uint32_t write_size, uint8_t erased, bool ecc, uint32_t stride)
{
    struct flashsim_state blank = { 0 };

    start(write_size, erased, ecc, 1024);
    flashsim_arm(&sim, 1);
    assert_false(cut_session(1)); /* a first session: the journal exists, one record is there */
    flashsim_take(&sim, &blank);
    unsigned cuts = cut_everywhere(&blank, 1, stride, write_size);
    print_message("write size %u: %u cuts\n", (unsigned)write_size, cuts);
    assert_true(cuts > 100);
    flashsim_state_free(&blank);
    flashsim_free(&sim);
}

static void survives_cuts_write_size_1(void **state)
{
    (void)state;
    survive(1, 0xff, false, 17);
}

static void survives_cuts_write_size_8(void **state)
{
    (void)state;
    survive(8, 0x00, false, 11);
}

static void survives_cuts_write_size_32_ecc(void **state)
{
    (void)state;
    survive(32, 0xff, true, 7);
}

static void steady_mounts_write_nothing(void **state)
{
    (void)state;
    start(16, 0xff, false, 4096);
    flashsim_arm(&sim, 1);
    assert_false(cut_session(9)); /* step 8 settles */
    for (unsigned i = 0; i < 5; i++) {
        flashsim_restart(&sim);
        flashsim_arm(&sim, 1);
        assert_false(cut_session(9));
        assert_int_equal(sim.ops, 0);
    }
    flashsim_free(&sim);
}

static void lost_journal_starts_anew_and_says_so(void **state)
{
    (void)state;
    start(8, 0xff, false, 4096);
    flashsim_arm(&sim, 1);
    assert_false(cut_session(20));
    flashsim_ruin(&sim, area());
    memset(&caller, 0, sizeof caller);
    assert_int_equal(gw_journal_mount(&journal, &sim.flash, area()), GW_OK);
    assert_int_equal(journal.lost, 1);
    assert_int_equal(value_of(0), 0);
    put(0, 9);
    assert_int_equal(gw_journal_mount(&journal, &sim.flash, area()), GW_OK);
    assert_int_equal(journal.lost, 0);
    assert_int_equal(value_of(0), 9);
    flashsim_free(&sim);
}

static void limits_are_named(void **state)
{
    uint8_t body[GW_RECORD_MAX + 1] = { 0 };
    uint32_t n;
    (void)state;

    start(8, 0xff, false, 1024);
    flashsim_arm(&sim, 1);
    assert_int_equal(gw_journal_mount(&journal, &sim.flash, area()), GW_OK);
    assert_int_equal(gw_journal_put(&journal, GW_REC_BOOT, body, sizeof body), GW_ERR_JOURNAL_FULL);
    for (unsigned kind = GW_REC_BOOT; kind < GW_REC_BOOT + 4; kind++) {
        assert_int_equal(gw_journal_put(&journal, (enum gw_record)kind, body, GW_RECORD_MAX), GW_OK);
    }
    assert_int_equal(gw_journal_put(&journal, GW_REC_AGENT, body, GW_RECORD_MAX), GW_ERR_JOURNAL_FULL);
    assert_int_equal(gw_journal_get(&journal, GW_REC_BOOT, body, 10, &n), GW_ERR_SPACE);
    assert_int_equal(gw_journal_get(&journal, GW_REC_AGENT, body, sizeof body, &n), GW_ERR_NOTHING);
    assert_int_equal(gw_journal_put(&journal, GW_REC_BOOT, NULL, 0), GW_OK);
    assert_int_equal(gw_journal_get(&journal, GW_REC_BOOT, body, sizeof body, &n), GW_ERR_NOTHING);
    flashsim_free(&sim);
}

static void worn_unit_moves_to_the_other_bank(void **state)
{
    (void)state;
    start(8, 0xff, false, 1024);
    flashsim_arm(&sim, 1);
    assert_false(cut_session(5));
    flashsim_arm(&sim, 2);
    flashsim_add_fault(&sim, (struct flashsim_fault){ .kind = FLASHSIM_LIE, .at = 0, .count = 1 });
    put(0, 77);
    assert_int_equal(sim.faults_hit, 1);
    assert_int_equal(value_of(0), 77);
    assert_int_equal(gw_journal_mount(&journal, &sim.flash, area()), GW_OK);
    assert_int_equal(value_of(0), 77);
    flashsim_free(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_cuts_write_size_1),
        cmocka_unit_test(survives_cuts_write_size_8),
        cmocka_unit_test(survives_cuts_write_size_32_ecc),
        cmocka_unit_test(steady_mounts_write_nothing),
        cmocka_unit_test(lost_journal_starts_anew_and_says_so),
        cmocka_unit_test(limits_are_named),
        cmocka_unit_test(worn_unit_moves_to_the_other_bank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
