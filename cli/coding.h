/*
 * coding.h - deltas and compression in `godwit release build`.
 */
#ifndef CLI_CODING_H
#define CLI_CODING_H

#include "cli.h"
#include "coded.h"

/* Options that run_build takes over into its table. */
#define CLI_CODING_OPTIONS                                                                                             \
    {"delta-from", "RELEASE", "an older release: a delta from it, if that pays; newest first", false, true},           \
    {"with", "HOLDER", "KEY.pem or kek:NAME=FILE that opens encrypted older releases", false, true},                   \
    {"compress", NULL, "a compressed payload before the raw one; with --delta-from always", false, false},             \
    {"no-raw", NULL, "no raw payload: every device of the class has a decoder", false, false},                         \
    {"pays", "PERCENT", "largest share of the full payload that a delta may have; 70 if not given", false, false},     \
    {"arch", "NAME", "auto, none, thumb, riscv, xtensa, arm64, arm: whose instructions the image holds", false,        \
     false},                                                                                                           \
    {"ram", "SIZE", "16K or 10K: what devices have for decoding; 16K if not given", false, false},                     \
    {"layout", "LAYOUT", "layout.json or board.json: says of each payload whether it is staged or streamed", false,    \
     false}

struct cli_coding;
/* Takes the options into `b`. Free with cli_coding_free(), also on failure, after the build. */
int cli_coding(const struct gwh_args *a, struct gwh_build *b, struct cli_coding **coding, struct gwh_error *err);
void cli_coding_free(struct cli_coding *c);
/* gwh_build.made: a line of the table. */
void cli_coding_tell(void *ctx, const struct gwh_made *m);

#endif
