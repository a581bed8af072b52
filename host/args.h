/*
 * args.h - command lines from tables: the table makes the parser, --help and the reference page.
 *
 * A program has commands "noun verb" or "verb"; a command has options and operands. Long options "--name VALUE" or
 * "--name=VALUE", options of one letter "-o VALUE"; "--" ends them. Data goes to stdout, the rest to stderr.
 */
#ifndef GWH_ARGS_H
#define GWH_ARGS_H

#include "error.h"

struct gwh_option {
    const char *name;  /* without dashes */
    const char *value; /* name of its value in the help; NULL: a flag */
    const char *help;
    bool required, repeats;
};
#define GWH_OPTIONS_END                                                                                                \
    {                                                                                                                  \
        NULL, NULL, NULL, false, false                                                                                 \
    }

struct gwh_args;
struct gwh_command {
    const char *noun;     /* NULL: the verb stands alone */
    const char *verb;     /* "": the only command of a program */
    const char *operands; /* for the help: "FILE", "[FILE ...]" */
    unsigned min, max;    /* number of operands */
    const char *summary;
    const struct gwh_option *options;
    const char *example;
    int (*run)(const struct gwh_args *a, struct gwh_error *err);
};
struct gwh_program {
    const char *name, *summary;
    const struct gwh_command *const *tables; /* arrays of commands, each ended by a verb NULL; ended by NULL */
};

#define GWH_OPERANDS_MAX 64u
#define GWH_GIVEN_MAX 256u
struct gwh_args {
    const struct gwh_program *program;
    const struct gwh_command *command;
    const char *operand[GWH_OPERANDS_MAX];
    unsigned operand_count;
    struct {
        const struct gwh_option *option;
        const char *value;
    } given[GWH_GIVEN_MAX];
    unsigned given_count;
};

/* Parses, runs, prints the error. Returns the exit code for main(). */
int gwh_main(const struct gwh_program *program, int argc, char **argv);

/* Was it given? What value, or NULL? The i-th value of one that repeats, or NULL past the last. */
bool gwh_flag(const struct gwh_args *a, const char *name);
const char *gwh_text(const struct gwh_args *a, const char *name);
const char *gwh_text_i(const struct gwh_args *a, const char *name, unsigned i);
unsigned gwh_text_count(const struct gwh_args *a, const char *name);
/* Insists on an option that only some uses of its command need. */
int gwh_need(const struct gwh_args *a, const char *name, struct gwh_error *err);
/* A number that fits 32 bits: decimal, 0x..., with K or M for 1024s. `otherwise` when the option is not there. */
int gwh_number(const struct gwh_args *a, const char *name, uint32_t otherwise, uint32_t *out, struct gwh_error *err);
int gwh_number_parse(const char *text, const char *what, uint32_t *out, struct gwh_error *err);
/* From the same tables, on stdout: completion for bash; a manual page for man(1). args_pages.c. */
void gwh_print_completion(const struct gwh_program *program);
void gwh_print_man(const struct gwh_program *program);
/* For people, on stderr, with a newline. */
void gwh_note(const char *format, ...) GWH_PRINTF(1, 2);

#endif
