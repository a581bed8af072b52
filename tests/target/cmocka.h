/*
 * cmocka.h - the part of cmocka that Godwit's tests use, for programs without an operating system.
 *
 * The same names and meanings, so that one test file compiles for the PC and for a target. What is not here is used by
 * no test that runs on a target: mocks, leak checks, XML and TAP. A failure leaves the test by longjmp, the next one
 * runs; the exit code is the number of failures (at most 99).
 */
#ifndef TARGET_CMOCKA_H
#define TARGET_CMOCKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
    int (*setup)(void **state);    /* may be NULL */
    int (*teardown)(void **state); /* may be NULL */
};

#define cmocka_unit_test_setup_teardown(f, setup, teardown) { #f, f, setup, teardown }
#define cmocka_unit_test_setup(f, setup) cmocka_unit_test_setup_teardown(f, setup, NULL)
#define cmocka_unit_test_teardown(f, teardown) cmocka_unit_test_setup_teardown(f, NULL, teardown)
#define cmocka_unit_test(f) cmocka_unit_test_setup_teardown(f, NULL, NULL)

#define cmocka_run_group_tests(tests, setup, teardown) cmocka_run_group_tests_name(#tests, tests, setup, teardown)
#define cmocka_run_group_tests_name(name, tests, setup, teardown) \
    cm_run(name, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
int cm_run(const char *name, const struct CMUnitTest *tests, size_t count, int (*setup)(void **state),
           int (*teardown)(void **state));

void print_message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Where an assertion stands. */
struct cm_place {
    const char *file;
    int line;
};
#define CM_HERE ((struct cm_place){ __FILE__, __LINE__ })

_Noreturn void cm_fail(struct cm_place place, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cm_true(struct cm_place place, bool is, const char *what);
void cm_integers(struct cm_place place, uintmax_t a, uintmax_t b, bool equal);
void cm_memories(struct cm_place place, const void *a, const void *b, size_t n, bool equal);
void cm_strings(struct cm_place place, const char *a, const char *b, bool equal);
void cm_range(struct cm_place place, uintmax_t value, uintmax_t min, uintmax_t max);

#define fail_msg(...) cm_fail(CM_HERE, __VA_ARGS__)
#define fail() cm_fail(CM_HERE, "failed")
#define assert_true(c) cm_true(CM_HERE, (c) ? true : false, #c)
#define assert_false(c) cm_true(CM_HERE, (c) ? false : true, "!(" #c ")")
#define assert_null(p) cm_true(CM_HERE, (p) == NULL, #p " == NULL")
#define assert_non_null(p) cm_true(CM_HERE, (p) != NULL, #p " != NULL")
#define assert_ptr_equal(a, b) cm_integers(CM_HERE, (uintptr_t)(a), (uintptr_t)(b), true)
#define assert_int_equal(a, b) cm_integers(CM_HERE, (uintmax_t)(a), (uintmax_t)(b), true)
#define assert_int_not_equal(a, b) cm_integers(CM_HERE, (uintmax_t)(a), (uintmax_t)(b), false)
#define assert_in_range(value, min, max) cm_range(CM_HERE, (uintmax_t)(value), (uintmax_t)(min), (uintmax_t)(max))
#define assert_memory_equal(a, b, n) cm_memories(CM_HERE, a, b, n, true)
#define assert_memory_not_equal(a, b, n) cm_memories(CM_HERE, a, b, n, false)
#define assert_string_equal(a, b) cm_strings(CM_HERE, a, b, true)
#define assert_string_not_equal(a, b) cm_strings(CM_HERE, a, b, false)

#endif
