/*
 * powercut.c - a sample of tests/powercut on the target: one device, the scenarios that every update passes through, a
 * cut before, in or after every flash operation, and a second one at some of those that follow.
 *
 * The matrix of devices and all shapes of cuts are run on the PC; here the same code runs as the target's compiler made
 * it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "powercut/powercut.h"

static const struct simdev_config device = { .erase = SIMDEV_4K, .write_size = 8, .erased = 0xff };
static const struct plan plan = { .shapes = { 0, 0 }, .budget = 50, .seed = 1, .stripes = 1 };

static void survives(const char *name)
{
    static struct run r;
    struct counts counts = { 0 };
    const struct scenario *s = scenarios;

    while (s < scenarios + scenario_count && strcmp(s->name, name) != 0) {
        s++;
    }
    assert_true(s < scenarios + scenario_count);
    if (!run_prepare(&r, s, &device, false)) {
        fail_msg("%s: %s", name, r.error);
    }
    cuts_run(&r, "4k.8", &plan, &counts);
    run_free(&r);
    print_message("%s: %u operations, %u cuts, %u of them second ones, %u bricks, %u losses\n", name,
                  (unsigned)counts.operations, (unsigned)counts.cuts, (unsigned)counts.second, (unsigned)counts.bricks,
                  (unsigned)counts.losses);
    assert_true(counts.cuts >= counts.operations && counts.second > 0);
    assert_int_equal(counts.bricks, 0);
    assert_int_equal(counts.losses, 0);
}

static void cuts_in_an_update(void **state)
{
    (void)state;
    survives("update");
}

static void cuts_in_a_new_bundle(void **state)
{
    (void)state;
    survives("bundle");
}

static void cuts_while_the_journal_is_compacted(void **state)
{
    (void)state;
    survives("compaction");
}

static void cuts_while_a_bad_image_is_left(void **state)
{
    (void)state;
    survives("rollback");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_in_an_update),
        cmocka_unit_test(cuts_in_a_new_bundle),
        cmocka_unit_test(cuts_while_the_journal_is_compacted),
        cmocka_unit_test(cuts_while_a_bad_image_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
