/*
 * cmocka.c - runs the tests of one program under emulation. See cmocka.h; emulate.py reads what is printed.
 */
#include "cmocka.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static jmp_buf out; /* of the function that runs */

void print_message(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
}

_Noreturn void cm_fail(struct cm_place place, const char *format, ...)
{
    va_list arguments;

    printf("%s:%d: error: ", place.file, place.line);
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    longjmp(out, 1);
}

void cm_true(struct cm_place place, bool is, const char *what)
{
    if (!is) {
        cm_fail(place, "not true: %s", what);
    }
}

void cm_integers(struct cm_place place, uintmax_t a, uintmax_t b, bool equal)
{
    if ((a == b) != equal) {
        cm_fail(place, "%lld %s %lld", (long long)a, equal ? "!=" : "==", (long long)b);
    }
}

void cm_range(struct cm_place place, uintmax_t value, uintmax_t min, uintmax_t max)
{
    if (value < min || value > max) {
        cm_fail(place, "%lld is not in %lld..%lld", (long long)value, (long long)min, (long long)max);
    }
}

void cm_memories(struct cm_place place, const void *a, const void *b, size_t n, bool equal)
{
    const uint8_t *p = a, *q = b;
    size_t at = 0;

    while (at < n && p[at] == q[at]) {
        at++;
    }
    if (equal && at < n) {
        cm_fail(place, "byte %u of %u: 0x%02x != 0x%02x", (unsigned)at, (unsigned)n, p[at], q[at]);
    }
    if (!equal && at == n) {
        cm_fail(place, "all %u bytes are equal", (unsigned)n);
    }
}

void cm_strings(struct cm_place place, const char *a, const char *b, bool equal)
{
    if ((strcmp(a, b) == 0) != equal) {
        cm_fail(place, "\"%s\" %s \"%s\"", a, equal ? "!=" : "==", b);
    }
}

/* A fixture; 0: it went well. NULL does. */
static int fixture(int (*f)(void **state), void **state)
{
    if (f == NULL) {
        return 0;
    }
    return setjmp(out) == 0 ? f(state) : -1;
}

/* Did the test itself go well? */
static bool passes(const struct CMUnitTest *t, void **state)
{
    if (setjmp(out) != 0) {
        return false;
    }
    t->test(state);
    return true;
}

static bool run_test(const struct CMUnitTest *t, void *group_state)
{
    void *state = group_state;

    if (fixture(t->setup, &state) != 0) {
        printf("[  ERROR   ] %s: its setup failed\n", t->name);
        return false;
    }
    bool good = passes(t, &state);
    good = fixture(t->teardown, &state) == 0 && good;
    printf("%s %s\n", good ? "[       OK ]" : "[  FAILED  ]", t->name);
    return good;
}

int cm_run(const char *name, const struct CMUnitTest *tests, size_t count, int (*setup)(void **state),
           int (*teardown)(void **state))
{
    unsigned failed = 0;
    void *state = NULL;

    printf("[==========] %s: %u test(s)\n", name, (unsigned)count);
    if (fixture(setup, &state) != 0) {
        printf("[  ERROR   ] the group's setup failed\n");
        failed = (unsigned)count;
    } else {
        for (size_t i = 0; i < count; i++) {
            failed += !run_test(&tests[i], state);
        }
        failed += fixture(teardown, &state) != 0;
    }
    printf("[  PASSED  ] %u test(s)\n[  FAILED  ] %u test(s)\n", (unsigned)count - (failed < count ? failed : count),
           failed);
    return (int)(failed < 99 ? failed : 99);
}
