/*
 * args_pages.c - what else is made from the tables of commands: completion for bash, and a manual page.
 */
#include <stdio.h>
#include <string.h>

#include "args.h"

/* ---- Completion -------------------------------------------------------------------------------------------------- */

static const char *dashes(const struct gwh_option *o)
{
    return o->name[1] == '\0' ? "-" : "--";
}

static bool first_of_noun(const struct gwh_program *p, const struct gwh_command *one)
{
    for (const struct gwh_command *const *table = p->tables; *table != NULL; table++) {
        for (const struct gwh_command *c = *table; c->verb != NULL; c++) {
            if (c == one) {
                return true;
            }
            if (c->noun != NULL && one->noun != NULL && strcmp(c->noun, one->noun) == 0) {
                return false;
            }
        }
    }
    return false;
}

static void print_words(const struct gwh_program *p)
{
    (void)printf("    local words='help");
    for (const struct gwh_command *const *table = p->tables; *table != NULL; table++) {
        for (const struct gwh_command *c = *table; c->verb != NULL; c++) {
            if (c->noun == NULL) {
                (void)printf(" %s", c->verb);
            } else if (first_of_noun(p, c)) {
                (void)printf(" %s", c->noun);
            }
        }
    }
    (void)printf("'\n");
}

/* "noun) the verbs of it" */
static void print_verbs(const struct gwh_program *p)
{
    for (const struct gwh_command *const *table = p->tables; *table != NULL; table++) {
        for (const struct gwh_command *c = *table; c->verb != NULL; c++) {
            if (c->noun == NULL || !first_of_noun(p, c)) {
                continue;
            }
            (void)printf("    %s) verbs='", c->noun);
            for (const struct gwh_command *const *t = p->tables; *t != NULL; t++) {
                for (const struct gwh_command *d = *t; d->verb != NULL; d++) {
                    (void)printf("%s%s", d->noun != NULL && strcmp(d->noun, c->noun) == 0 ? " " : "",
                                 d->noun != NULL && strcmp(d->noun, c->noun) == 0 ? d->verb : "");
                }
            }
            (void)printf("' ;;\n");
        }
    }
}

static void print_options(const struct gwh_program *p)
{
    for (const struct gwh_command *const *table = p->tables; *table != NULL; table++) {
        for (const struct gwh_command *c = *table; c->verb != NULL; c++) {
            (void)printf("    '%s%s%s') options='--help", c->noun != NULL ? c->noun : "", c->noun != NULL ? " " : "",
                         c->verb);
            for (const struct gwh_option *o = c->options; o->name != NULL; o++) {
                (void)printf(" %s%s", dashes(o), o->name);
            }
            (void)printf("' ;;\n");
        }
    }
}

void gwh_print_completion(const struct gwh_program *p)
{
    (void)printf("# Completion of %s for bash. To use it: source <(%s completion bash)\n", p->name, p->name);
    (void)printf("_%s() {\n    local cur=${COMP_WORDS[COMP_CWORD]} verbs='' options=''\n", p->name);
    print_words(p);
    (void)printf("    case ${COMP_WORDS[1]} in\n");
    print_verbs(p);
    (void)printf("    esac\n"
                 "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
                 "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n        return\n    fi\n"
                 "    if [ -n \"$verbs\" ] && [ \"$COMP_CWORD\" = 2 ]; then\n"
                 "        COMPREPLY=($(compgen -W \"$verbs\" -- \"$cur\"))\n        return\n    fi\n"
                 "    local command=${COMP_WORDS[1]}\n"
                 "    [ -z \"$verbs\" ] || command=\"$command ${COMP_WORDS[2]}\"\n"
                 "    case $command in\n");
    print_options(p);
    (void)printf("    esac\n"
                 "    case $cur in\n"
                 "    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$cur\")) ;;\n"
                 "    *) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
                 "    esac\n}\ncomplete -o filenames -F _%s %s\n",
                 p->name, p->name);
}

/* ---- Manual page ------------------------------------------------------------------------------------------------- */

/* Text for roff: no dash becomes a hyphen, no line begins with a control character. */
static void print_roff(const char *text)
{
    if (*text == '.' || *text == '\'') {
        (void)fputs("\\&", stdout);
    }
    for (; *text != '\0'; text++) {
        if (*text == '-') {
            (void)fputs("\\-", stdout);
        } else if (*text == '\\') {
            (void)fputs("\\e", stdout);
        } else {
            (void)putchar(*text);
        }
    }
}

static void print_man_command(const struct gwh_program *p, const struct gwh_command *c)
{
    (void)printf(".SS \"%s %s%s%s", p->name, c->noun != NULL ? c->noun : "", c->noun != NULL ? " " : "", c->verb);
    (void)printf("%s", c->operands[0] != '\0' ? " " : "");
    print_roff(c->operands);
    (void)printf("\"\n");
    print_roff(c->summary);
    (void)printf(".\n");
    for (const struct gwh_option *o = c->options; o->name != NULL; o++) {
        (void)printf(".TP\n.B ");
        print_roff(dashes(o));
        print_roff(o->name);
        (void)printf("%s", o->value != NULL ? " " : "");
        print_roff(o->value != NULL ? o->value : "");
        (void)putchar('\n');
        print_roff(o->help);
        (void)printf("%s%s\n", o->required ? " (needed)" : "", o->repeats ? " (may repeat)" : "");
    }
    if (c->example != NULL) {
        (void)printf(".PP\nExample:\n.PP\n.nf\n");
        print_roff(c->example);
        (void)printf("\n.fi\n");
    }
}

void gwh_print_man(const struct gwh_program *p)
{
    (void)printf(".TH ");
    for (const char *c = p->name; *c != '\0'; c++) {
        (void)putchar(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    }
    (void)printf(" 1\n.SH NAME\n%s \\- ", p->name);
    print_roff(p->summary);
    (void)printf("\n.SH SYNOPSIS\n.B %s\nCOMMAND [OPTION ...]\n.SH COMMANDS\n", p->name);
    for (const struct gwh_command *const *table = p->tables; *table != NULL; table++) {
        for (const struct gwh_command *c = *table; c->verb != NULL; c++) {
            print_man_command(p, c);
        }
    }
    (void)printf(".SH EXIT STATUS\n0 done, 1 refused or failed with a named reason, 2 the command line is wrong, "
                 "3 a file, the disk, memory or a library failed.\n");
}
