/*
 * args.c - see args.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"

void gwh_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

/* ---- Help -------------------------------------------------------------------------------------------------------- */

static const char *dashes(const struct gwh_option *o)
{
    return o->name[1] == '\0' ? "-" : "--";
}

static void print_usage(FILE *out, const struct gwh_program *p, const struct gwh_command *c)
{
    (void)fprintf(out, "%s %s%s%s%s%s", p->name, c->noun ? c->noun : "", c->noun ? " " : "", c->verb,
                  c->operands[0] && c->verb[0] ? " " : "", c->operands);
    for (const struct gwh_option *o = c->options; o->name != NULL; o++) {
        (void)fprintf(out, " %s%s%s%s%s%s%s", o->required ? "" : "[", dashes(o), o->name, o->value ? " " : "",
                      o->value ? o->value : "", o->required ? "" : "]", o->repeats ? "..." : "");
    }
    (void)fputc('\n', out);
}

static void print_command(const struct gwh_program *p, const struct gwh_command *c)
{
    (void)printf("%s\n\n    ", c->summary);
    print_usage(stdout, p, c);
    (void)putchar('\n');
    for (const struct gwh_option *o = c->options; o->name != NULL; o++) {
        char left[48];
        (void)snprintf(left, sizeof left, "%s%s %s", dashes(o), o->name, o->value ? o->value : "");
        (void)printf("    %-28s %s%s%s\n", left, o->help, o->required ? " (needed)" : "",
                     o->repeats ? " (may repeat)" : "");
    }
    if (c->example != NULL) {
        (void)printf("\nExample:\n    %s\n", c->example);
    }
}

static void print_markdown_command(const struct gwh_program *p, const struct gwh_command *c)
{
    (void)printf("## %s %s%s%s\n\n%s\n\n    ", p->name, c->noun ? c->noun : "", c->noun ? " " : "", c->verb,
                 c->summary);
    print_usage(stdout, p, c);
    if (c->options[0].name != NULL) {
        (void)printf("\n| option | |\n|---|---|\n");
    }
    for (const struct gwh_option *o = c->options; o->name != NULL; o++) {
        (void)printf("| `%s%s%s%s` | %s%s%s |\n", dashes(o), o->name, o->value ? " " : "", o->value ? o->value : "",
                     o->help, o->required ? " (needed)" : "", o->repeats ? " (may repeat)" : "");
    }
    if (c->example != NULL) {
        (void)printf("\nExample: `%s`\n", c->example);
    }
    (void)putchar('\n');
}

static void print_program(const struct gwh_program *p, const char *noun)
{
    (void)printf("%s: %s\n\n", p->name, p->summary);
    for (const struct gwh_command *const *table = p->tables; *table != NULL; table++) {
        for (const struct gwh_command *c = *table; c->verb != NULL; c++) {
            char left[40];
            if (noun != NULL && (c->noun == NULL || strcmp(c->noun, noun) != 0)) {
                continue;
            }
            (void)snprintf(left, sizeof left, "%s%s%s", c->noun ? c->noun : "", c->noun ? " " : "", c->verb);
            (void)printf("    %s %-18s %s\n", p->name, left, c->summary);
        }
    }
    (void)printf("\n%s COMMAND --help says more. Exit codes: 0 done, 1 refused or failed with a named reason, 2 wrong "
                 "command line,\n3 a file, the disk or memory failed.\n",
                 p->name);
}

static void print_markdown(const struct gwh_program *p)
{
    (void)printf("# %s\n\n%s\n\nExit codes: 0 done, 1 refused or failed with a named reason, 2 wrong command line, 3 a "
                 "file, the disk or memory failed.\n\n",
                 p->name, p->summary);
    for (const struct gwh_command *const *table = p->tables; *table != NULL; table++) {
        for (const struct gwh_command *c = *table; c->verb != NULL; c++) {
            print_markdown_command(p, c);
        }
    }
}

/* ---- Parsing ----------------------------------------------------------------------------------------------------- */

static const struct gwh_command *find_command(const struct gwh_program *p, int argc, char **argv, int *used)
{
    for (const struct gwh_command *const *table = p->tables; *table != NULL; table++) {
        for (const struct gwh_command *c = *table; c->verb != NULL; c++) {
            if (c->noun == NULL && c->verb[0] == '\0' && argc > 1) { /* the program's only command */
                *used = 1;
                return c;
            }
            if (c->noun == NULL && argc > 1 && strcmp(argv[1], c->verb) == 0) {
                *used = 2;
                return c;
            }
            if (c->noun != NULL && argc > 2 && strcmp(argv[1], c->noun) == 0 && strcmp(argv[2], c->verb) == 0) {
                *used = 3;
                return c;
            }
        }
    }
    return NULL;
}

static bool is_noun(const struct gwh_program *p, const char *word)
{
    for (const struct gwh_command *const *table = p->tables; *table != NULL; table++) {
        for (const struct gwh_command *c = *table; c->verb != NULL; c++) {
            if (c->noun != NULL && strcmp(c->noun, word) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Matches `word` without its dashes, up to '='. */
static const struct gwh_option *find_option(const struct gwh_command *c, const char *word)
{
    size_t n = strcspn(word, "=");
    for (const struct gwh_option *o = c->options; o->name != NULL; o++) {
        if (strlen(o->name) == n && strncmp(o->name, word, n) == 0) {
            return o;
        }
    }
    return NULL;
}

static int usage(const struct gwh_args *a, struct gwh_error *err)
{
    return gwh_hint(err, "%s %s%s%s --help", a->program->name, a->command->noun ? a->command->noun : "",
                    a->command->noun ? " " : "", a->command->verb);
}

static int take_option(struct gwh_args *a, int argc, char **argv, int *i, struct gwh_error *err)
{
    const char *word = argv[*i] + (argv[*i][1] == '-' ? 2 : 1);
    const struct gwh_option *o = find_option(a->command, word);
    const char *equals = strchr(word, '=');
    if (o == NULL || (argv[*i][1] == '-') != (o->name[1] != '\0') || (equals != NULL && o->value == NULL)) {
        (void)gwh_fail(err, GWH_USAGE, "%s: no such option", argv[*i]);
        return usage(a, err);
    }
    if (!o->repeats && gwh_flag(a, o->name) && o->value != NULL) {
        return gwh_fail(err, GWH_USAGE, "%s%s is given twice", dashes(o), o->name);
    }
    if (a->given_count == GWH_GIVEN_MAX) {
        return gwh_fail(err, GWH_USAGE, "too many options");
    }
    const char *value = "";
    if (o->value != NULL) {
        value = equals != NULL ? equals + 1 : *i + 1 < argc ? argv[++*i] : NULL;
        if (value == NULL) {
            (void)gwh_fail(err, GWH_USAGE, "%s%s needs %s", dashes(o), o->name, o->value);
            return usage(a, err);
        }
    }
    a->given[a->given_count].option = o;
    a->given[a->given_count].value = value;
    a->given_count++;
    return GWH_OK;
}

int gwh_need(const struct gwh_args *a, const char *name, struct gwh_error *err)
{
    const struct gwh_option *o = find_option(a->command, name);
    if (gwh_flag(a, name)) {
        return GWH_OK;
    }
    (void)gwh_fail(err, GWH_USAGE, "%s%s %s is needed: %s", dashes(o), o->name, o->value, o->help);
    return usage(a, err);
}

static int check_complete(const struct gwh_args *a, struct gwh_error *err)
{
    const struct gwh_command *c = a->command;
    if (a->operand_count < c->min || a->operand_count > c->max) {
        (void)gwh_fail(err, GWH_USAGE, "%u operands given; expected: %s", a->operand_count,
                       c->operands[0] ? c->operands : "none");
        return usage(a, err);
    }
    for (const struct gwh_option *o = c->options; o->name != NULL; o++) {
        if (o->required && gwh_need(a, o->name, err) != GWH_OK) {
            return err->exit;
        }
    }
    return GWH_OK;
}

static int parse(struct gwh_args *a, int argc, char **argv, int i, struct gwh_error *err)
{
    bool options = true;
    for (; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
            int e = take_option(a, argc, argv, &i, err);
            if (e != GWH_OK) {
                return e;
            }
        } else if (a->operand_count < GWH_OPERANDS_MAX) {
            a->operand[a->operand_count++] = argv[i];
        } else {
            return gwh_fail(err, GWH_USAGE, "too many operands");
        }
    }
    return check_complete(a, err);
}

static bool asks_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

static int help(const struct gwh_program *p, const struct gwh_command *c, int argc, char **argv)
{
    if (c != NULL) {
        print_command(p, c);
    } else if (argc > 2 && strcmp(argv[2], "--markdown") == 0) {
        print_markdown(p);
    } else {
        print_program(p, argc > 1 && is_noun(p, argv[1]) ? argv[1] : NULL);
    }
    return GWH_OK;
}

static int report(const struct gwh_program *p, int exit, const struct gwh_error *err)
{
    if (exit != GWH_OK) {
        gwh_note("%s: %s", p->name, err->text);
        if (err->hint[0] != '\0') {
            gwh_note("next: %s", err->hint);
        }
    }
    return exit;
}

int gwh_main(const struct gwh_program *program, int argc, char **argv)
{
    struct gwh_error err = {0};
    struct gwh_args *a = calloc(1, sizeof *a);
    int used = 0, e;
    const struct gwh_command *c = find_command(program, argc, argv, &used);
    if (a == NULL) {
        return report(program, gwh_fail_reason(&err, GW_ERR_SPACE, "cannot start"), &err);
    }
    if (argc > 1 && (asks_help(argc, argv) || strcmp(argv[1], "help") == 0)) {
        e = help(program, c, argc, argv);
    } else if (c == NULL) {
        e = gwh_fail(&err, GWH_USAGE, "%s%s%s: no such command", argc > 1 ? argv[1] : "nothing", argc > 2 ? " " : "",
                     argc > 2 ? argv[2] : "");
        bool noun = argc > 1 && is_noun(program, argv[1]);
        (void)gwh_hint(&err, "%s%s%s --help", program->name, noun ? " " : "", noun ? argv[1] : "");
    } else {
        a->program = program;
        a->command = c;
        e = parse(a, argc, argv, used, &err);
        e = e == GWH_OK ? c->run(a, &err) : e;
    }
    free(a);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        err.exit = err.exit != GWH_OK ? err.exit : GWH_OK;
        e = e != GWH_OK ? e : gwh_fail_errno(&err, "cannot write to stdout");
    }
    return report(program, e, &err);
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

const char *gwh_text_i(const struct gwh_args *a, const char *name, unsigned i)
{
    for (unsigned k = 0; k < a->given_count; k++) {
        if (strcmp(a->given[k].option->name, name) == 0 && i-- == 0) {
            return a->given[k].value;
        }
    }
    return NULL;
}

const char *gwh_text(const struct gwh_args *a, const char *name)
{
    return gwh_text_i(a, name, 0);
}

bool gwh_flag(const struct gwh_args *a, const char *name)
{
    return gwh_text(a, name) != NULL;
}

unsigned gwh_text_count(const struct gwh_args *a, const char *name)
{
    unsigned n = 0;
    while (gwh_text_i(a, name, n) != NULL) {
        n++;
    }
    return n;
}

int gwh_number_parse(const char *text, const char *what, uint32_t *out, struct gwh_error *err)
{
    char *end = NULL;
    errno = 0;
    unsigned long long n =
        text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, text[0] == '0' && (text[1] | 32) == 'x' ? 16 : 10) : 0;
    unsigned long long unit = 1;
    if (end != NULL && end != text && (*end == 'K' || *end == 'k' || *end == 'M')) {
        unit = *end == 'M' ? 1024 * 1024 : 1024;
        end++;
    }
    if (end == NULL || end == text || *end != '\0' || errno != 0 || n > UINT32_MAX / unit) {
        return gwh_fail(err, GWH_USAGE, "%s: %s is no number from 0 to 4294967295", what, text);
    }
    *out = (uint32_t)(n * unit);
    return GWH_OK;
}

int gwh_number(const struct gwh_args *a, const char *name, uint32_t otherwise, uint32_t *out, struct gwh_error *err)
{
    const char *text = gwh_text(a, name);
    if (text == NULL) {
        *out = otherwise;
        return GWH_OK;
    }
    return gwh_number_parse(text, name, out, err);
}
