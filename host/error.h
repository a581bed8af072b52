/*
 * error.h - how host code fails: an exit code, a reason of libgodwit if there is one, and a sentence for people.
 *
 * Functions that take a struct gwh_error return 0 or one of GWH_REFUSED, GWH_USAGE, GWH_IO, after filling it. The
 * text says what failed and why; `hint` what to type next, if that is known. Both are one line.
 */
#ifndef GWH_ERROR_H
#define GWH_ERROR_H

#include "godwit/godwit.h"

/* Also the exit codes of the programs: they never change their meaning. */
enum gwh_exit {
    GWH_OK = 0,
    GWH_REFUSED = 1, /* done as asked, and the answer is no; `reason` may name it */
    GWH_USAGE = 2,   /* the command line is wrong */
    GWH_IO = 3,      /* a file, the disk, memory or a library failed */
};

struct gwh_error {
    int exit;
    int reason; /* GW_ERR_* or 0 */
    char text[600];
    char hint[300];
};

#if defined(__GNUC__) || defined(__clang__)
#define GWH_PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define GWH_PRINTF(a, b)
#endif

/* Fill `e` and return `exit`. The first failure stays: a filled error is not overwritten. */
int gwh_fail(struct gwh_error *e, int exit, const char *format, ...) GWH_PRINTF(3, 4);
/* The same with a reason: its name and sentence are added. Exit code: GWH_REFUSED, for GW_ERR_SPACE and _CRYPTO GWH_IO.
 */
int gwh_fail_reason(struct gwh_error *e, int reason, const char *format, ...) GWH_PRINTF(3, 4);
/* The same with errno: GWH_IO. */
int gwh_fail_errno(struct gwh_error *e, const char *format, ...) GWH_PRINTF(2, 3);
/* Says what to do next. Returns e->exit. */
int gwh_hint(struct gwh_error *e, const char *format, ...) GWH_PRINTF(2, 3);

#endif
