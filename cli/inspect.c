/*
 * inspect.c - godwit inspect and godwit reasons: any file in words, and every reason by number.
 */
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "posix_board.h"

static const struct gwh_option json_options[] = {CLI_JSON, GWH_OPTIONS_END};

static int inspect_release(const struct gwh_args *a, const char *path, struct gwh_error *err)
{
    struct gwh_release r;
    int e = gwh_release_load(&r, path, err);
    if (e == GWH_OK) {
        e = cli_print(a, gwh_show_release(&r, true));
    }
    gwh_release_free(&r);
    return e;
}

int cli_show_device(const struct gwh_args *a, const char *folder, struct gwh_error *err)
{
    if (gwp_board_is_unit(folder)) {
        json_t *tree = NULL;
        int e = gwp_board_show(&tree, folder, err);
        return e == GWH_OK ? cli_print(a, tree) : e;
    }
    struct gwp_device *d = malloc(sizeof *d);
    if (d == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "inspect");
    }
    int e = gwp_device_open(d, folder, true, err);
    if (e == GWH_OK) {
        e = cli_print(a, gwp_show_device(d));
        gwp_device_close(d);
    }
    free(d);
    return e;
}

static int inspect_bytes(const struct gwh_args *a, const char *path, struct gwh_error *err)
{
    struct gwh_buf bytes = {0};
    struct gwh_key key = {0};
    struct gwh_error no_key = {0};
    json_t *tree = NULL;
    int e = gwh_file_read(&bytes, path, 65536, err);
    if (e == GWH_OK && gwh_show_any(&tree, gwh_span(&bytes)) == GW_OK) {
        e = cli_print(a, tree);
    } else if (e == GWH_OK && gwh_key_parse(&key, gwh_span(&bytes), path, NULL, NULL, &no_key) == GWH_OK) {
        e = cli_print(a, gwh_show_key(&key));
    } else if (e == GWH_OK) {
        (void)gwh_fail_reason(err, GW_ERR_FORMAT, "%s is nothing that Godwit knows", path);
        e = gwh_hint(err,
                     "known are releases, manifests, bundles, heads, grants, offers, identities, keys and devices");
    }
    gwh_key_free(&key);
    gwh_buf_free(&bytes);
    return e;
}

/* "dev1/flash.bin" -> "dev1": the geometry is beside it. */
static bool is_flash(const char *path, char folder[GWH_PATH_MAX])
{
    char copy[GWH_PATH_MAX];
    memset(copy, 0, sizeof copy);
    memcpy(copy, path, strnlen(path, sizeof copy - 1));
    bool flash = strcmp(basename(copy), "flash.bin") == 0;
    memcpy(copy, path, strnlen(path, sizeof copy - 1));
    memset(folder, 0, GWH_PATH_MAX);
    char *parent = dirname(copy);
    memcpy(folder, parent, strnlen(parent, GWH_PATH_MAX - 1));
    return flash;
}

static int run_inspect(const struct gwh_args *a, struct gwh_error *err)
{
    char inside[GWH_PATH_MAX], folder[GWH_PATH_MAX];
    const char *path = a->operand[0];
    if (!gwh_is_folder(path)) {
        return is_flash(path, folder) ? cli_show_device(a, folder, err) : inspect_bytes(a, path, err);
    }
    int e = gwh_path(inside, path, "layout.json", err);
    if (e != GWH_OK) {
        return e;
    }
    return gwh_file_exists(inside) || gwp_board_is_unit(path) ? cli_show_device(a, path, err)
                                                              : inspect_release(a, path, err);
}

static int run_reasons(const struct gwh_args *a, struct gwh_error *err)
{
    json_t *list = json_array();
    (void)err;
    for (int i = 1; i < 256; i++) {
        if (strcmp(gw_error_name(i), "UNKNOWN") == 0) {
            continue;
        }
        if (gwh_flag(a, "json")) {
            (void)json_array_append_new(
                list, json_pack("{s:i,s:s,s:s}", "reason", i, "name", gw_error_name(i), "text", gw_strerror(i)));
        } else {
            (void)printf("%3d  %-16s %s\n", i, gw_error_name(i), gw_strerror(i));
        }
    }
    if (gwh_flag(a, "json")) {
        gwh_show_print(list, true);
    }
    json_decref(list);
    return GWH_OK;
}

static int run_completion(const struct gwh_args *a, struct gwh_error *err)
{
    if (strcmp(a->operand[0], "bash") != 0) {
        return gwh_fail(err, GWH_USAGE, "%.40s: there is completion for bash", a->operand[0]);
    }
    gwh_print_completion(a->program);
    return GWH_OK;
}

static int run_man(const struct gwh_args *a, struct gwh_error *err)
{
    (void)err;
    gwh_print_man(a->program);
    return GWH_OK;
}

static const struct gwh_option no_options[] = {GWH_OPTIONS_END};

const struct gwh_command cli_other[] = {
    {NULL, "inspect", "FILE", 1, 1,
     "a release, manifest, bundle, head, grant, offer, identity, key or device in words; needs no key, shows no secret",
     json_options, "godwit inspect dev1/flash.bin", run_inspect},
    {NULL, "reasons", "", 0, 0, "every reason that devices report, by number", json_options, "godwit reasons --json",
     run_reasons},
    {NULL, "completion", "SHELL", 1, 1, "what bash completes commands with", no_options,
     "source <(godwit completion bash)", run_completion},
    {NULL, "man", "", 0, 0, "a manual page, for man(1)", no_options, "godwit man > godwit.1", run_man},
    CLI_COMMANDS_END,
};
