/*
 * rollout.c - godwit rollout: plan, start, status, watch, pause, resume, abort.
 *
 * `watch` draws bars that are made anew with each event of the server when stdout is a terminal, and lines else.
 * No line is wider than the terminal: one that wrapped would be two, and what is drawn over it would drift down.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "fleet.h"

#define TARGET                                                                                                         \
    {"all", NULL, "every device of the release's class", false, false},                                                \
        {"tag", "TAG", "devices with this tag", false, false},                                                         \
        {"id", "ID", "this device", false, true},                                                                      \
        {"share", "PER-MILLE", "a share of the devices, 1 to 1000; a larger one holds a smaller one", false, false},   \
        {"name", "NAME", "of the rollout, for people; the release's if not given", false, false},                      \
    {                                                                                                                  \
        "priority", "N", "of those that hold a device the highest serves it; 0 if not given", false, false             \
    }

static const struct gwh_option plan_options[] = {TARGET, CLI_SERVER, CLI_JSON, GWH_OPTIONS_END};
static const struct gwh_option start_options[] = {
    TARGET,
    {"draft", NULL, "make it, and do not start it", false, false},
    CLI_SERVER,
    GWH_OPTIONS_END,
};
static const struct gwh_option status_options[] = {
    {"devices", NULL, "each device, with its state", false, false}, CLI_SERVER, CLI_JSON, GWH_OPTIONS_END};
static const struct gwh_option watch_options[] = {
    {"until-done", NULL, "end when every device has confirmed or failed; exit code 1 if one failed", false, false},
    {"seconds", "N", "end after that, with exit code 1", false, false},
    CLI_SERVER,
    GWH_OPTIONS_END,
};
static const struct gwh_option act_options[] = {CLI_SERVER, GWH_OPTIONS_END};

/* ---- What shall be rolled out, and to whom ----------------------------------------------------------------------- */

static bool is_digest(const char *text)
{
    uint8_t digest[32];
    return gwh_unhex(digest, 32, text);
}

/* A digest, or a release's folder. */
static int release_of(char hex[65], const char *text, struct gwh_error *err)
{
    struct gwh_release *r = calloc(1, sizeof *r);
    int e = r != NULL ? GWH_OK : gwh_fail_reason(err, GW_ERR_SPACE, "release");
    if (e == GWH_OK && is_digest(text)) {
        (void)snprintf(hex, 65, "%s", text);
    } else if (e == GWH_OK) {
        e = gwh_release_load(r, text, err);
        gwh_hex(hex, r->digest, 32);
        gwh_release_free(r);
    }
    free(r);
    return e;
}

static json_t *target_of(const struct gwh_args *a, struct gwh_error *err)
{
    uint32_t share = 0;
    json_t *ids = json_array(), *target = NULL;
    int given = gwh_flag(a, "all") + gwh_flag(a, "tag") + gwh_flag(a, "id") + gwh_flag(a, "share");
    for (unsigned i = 0; gwh_text_i(a, "id", i) != NULL; i++) {
        (void)json_array_append_new(ids, json_string(gwh_text_i(a, "id", i)));
    }
    if (given != 1) {
        (void)gwh_fail(err, GWH_USAGE, "to which devices? one of --all, --tag TAG, --id ID ..., --share PER-MILLE");
    } else if (gwh_flag(a, "all")) {
        target = json_pack("{s:b}", "all", 1);
    } else if (gwh_flag(a, "tag")) {
        target = json_pack("{s:s}", "tag", gwh_text(a, "tag"));
    } else if (gwh_flag(a, "id")) {
        target = json_pack("{s:O}", "ids", ids);
    } else if (gwh_number(a, "share", 0, &share, err) == GWH_OK && (share == 0 || share > 1000)) {
        (void)gwh_fail(err, GWH_USAGE, "--share: 1 to 1000");
    } else if (err->exit == GWH_OK) {
        target = json_pack("{s:i}", "share", (int)share);
    }
    json_decref(ids);
    return target;
}

/* The object that plan and start send. */
static int request(const struct gwh_args *a, json_t **body, struct gwh_error *err)
{
    char hex[65];
    uint32_t priority = 0;
    int e = release_of(hex, a->operand[0], err);
    e = e == GWH_OK ? gwh_number(a, "priority", 0, &priority, err) : e;
    json_t *target = e == GWH_OK ? target_of(a, err) : NULL;
    if (target == NULL) {
        return err->exit;
    }
    *body = json_pack("{s:s,s:s,s:o,s:I}", "name", gwh_text(a, "name") != NULL ? gwh_text(a, "name") : hex, "release",
                      hex, "target", target, "priority", (json_int_t)priority);
    return *body != NULL ? GWH_OK : gwh_fail(err, GWH_USAGE, "a name is no text in UTF-8");
}

/* ---- plan, start, and what else changes it ----------------------------------------------------------------------- */

static void print_plan(const json_t *tree)
{
    static const struct cli_column columns[] = {
        {"devices", "DEVICES", CLI_RIGHT},          {"running.epoch", "EPOCH", CLI_RIGHT},
        {"running.sequence", "RUN NOW", CLI_RIGHT}, {"payload", "PAYLOAD", 0},
        {"bytes", "BYTES EACH", CLI_RIGHT},         {"refused", "REFUSED", 0},
        {NULL, NULL, 0}};
    (void)printf("devices that the target holds  %lld\n",
                 (long long)json_integer_value(json_object_get(tree, "devices")));
    (void)printf("run it, or a newer one         %lld\n",
                 (long long)json_integer_value(json_object_get(tree, "there_already")));
    (void)printf("served by another rollout      %lld\n",
                 (long long)json_integer_value(json_object_get(tree, "served_by_another")));
    (void)printf("bytes in all                   %lld\n",
                 (long long)json_integer_value(json_object_get(tree, "bytes")));
    if (json_array_size(json_object_get(tree, "groups")) > 0) {
        (void)putchar('\n');
        cli_table(json_object_get(tree, "groups"), columns);
    }
}

static int run_plan(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_rest r = {0};
    json_t *body = NULL, *tree = NULL;
    int e = request(a, &body, err);
    e = e == GWH_OK ? cli_rest(&r, a, err) : e;
    e = e == GWH_OK ? gwh_rest_call(&r, "POST", "/api/v1/rollouts/plan", body, &tree, err) : e;
    if (e == GWH_OK && gwh_flag(a, "json")) {
        gwh_show_print(tree, true);
    } else if (e == GWH_OK) {
        print_plan(tree);
    }
    json_decref(tree);
    json_decref(body);
    gwh_rest_close(&r);
    return e;
}

static int rollout_path(char out[400], const char *id, const char *rest, struct gwh_error *err)
{
    (void)snprintf(out, 400, "/api/v1/rollouts/");
    int e = gwh_rest_add(out, 390, id, err);
    (void)strncat(out, rest, 399 - strlen(out));
    return e;
}

static int act(struct gwh_rest *r, const char *id, const char *verb, struct gwh_error *err)
{
    char path[400];
    int e = rollout_path(path, id, verb, err);
    return e == GWH_OK ? gwh_rest_call(r, "POST", path, NULL, NULL, err) : e;
}

static int start_new(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_rest r = {0};
    json_t *body = NULL, *answer = NULL;
    int e = request(a, &body, err);
    e = e == GWH_OK ? cli_rest(&r, a, err) : e;
    e = e == GWH_OK ? gwh_rest_call(&r, "POST", "/api/v1/rollouts", body, &answer, err) : e;
    const char *id = json_string_value(json_object_get(answer, "id"));
    if (e == GWH_OK && id == NULL) {
        e = gwh_fail(err, GWH_IO, "the server answered without an id");
    }
    e = e == GWH_OK && !gwh_flag(a, "draft") ? act(&r, id, "/start", err) : e;
    if (e == GWH_OK) {
        (void)printf("%s\n", id);
        gwh_note("next: godwit rollout %s %s", gwh_flag(a, "draft") ? "start" : "watch", id);
    }
    json_decref(answer);
    json_decref(body);
    gwh_rest_close(&r);
    return e;
}

/* pause, resume, abort, and start of a draft: the verb is the last part of the path. */
static int run_act(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_rest r;
    char verb[16];
    (void)snprintf(verb, sizeof verb, "/%s", a->command->verb);
    int e = cli_rest(&r, a, err);
    e = e == GWH_OK ? act(&r, a->operand[0], verb, err) : e;
    gwh_rest_close(&r);
    return e;
}

static int run_start(const struct gwh_args *a, struct gwh_error *err)
{
    bool release = is_digest(a->operand[0]) || gwh_file_exists(a->operand[0]);
    if (!release && (gwh_flag(a, "all") || gwh_flag(a, "tag") || gwh_flag(a, "id") || gwh_flag(a, "share"))) {
        (void)gwh_fail(err, GWH_USAGE, "%.80s is neither a release's folder here nor a whole digest", a->operand[0]);
        return gwh_hint(err, "`godwit release list` shows the digests");
    }
    return release ? start_new(a, err) : run_act(a, err);
}

/* ---- status ------------------------------------------------------------------------------------------------------ */

static int run_status(const struct gwh_args *a, struct gwh_error *err)
{
    static const struct cli_column all[] = {
        {"id", "ROLLOUT", 0},
        {"name", "NAME", 0},
        {"version", "VERSION", 0},
        {"state", "STATE", 0},
        {"priority", "PRIORITY", CLI_RIGHT},
        {"devices.all", "DEVICES", CLI_RIGHT},
        {"devices.confirmed", "CONFIRMED", CLI_RIGHT},
        {"devices.failed", "FAILED", CLI_RIGHT},
        {"devices.silent", "SILENT", CLI_RIGHT},
        {"started", "STARTED", CLI_TIME},
        {NULL, NULL, 0},
    };
    static const struct cli_column members[] = {
        {"id", "DEVICE", 0}, {"state", "STATE", 0}, {"seen", "SEEN", CLI_TIME}, {NULL, NULL, 0}};
    char path[400];
    if (a->operand_count == 0) {
        return gwh_flag(a, "devices") ? gwh_fail(err, GWH_USAGE, "--devices: of which rollout?")
                                      : cli_rest_table(a, "/api/v1/rollouts", 0, all, err);
    }
    bool devices = gwh_flag(a, "devices");
    int e = rollout_path(path, a->operand[0], devices ? "/devices" : "", err);
    if (e != GWH_OK) {
        return e;
    }
    return devices ? cli_rest_table(a, path, 0, members, err) : cli_rest_show(a, path, err);
}

/* ---- watch ------------------------------------------------------------------------------------------------------- */

#define BAR 40
#define BESIDE 21 /* columns of a state and its number */
#define NARROW 30 /* terminals below it, and those that cannot go up a line, get lines */
static const char *const states[] = {"confirmed", "staged", "failed", "offered", "silent", "other"};
#define STATES (sizeof states / sizeof *states)

struct watching {
    struct gwh_rest look;   /* asks; the other one listens */
    char path[400];
    bool terminal, until_done, ended, dirty;
    unsigned drawn;         /* lines on the terminal */
    json_int_t count[STATES], all;
    char state[16], line[300];
    time_t begun, asked;
    uint32_t seconds;
    struct gwh_error *err;
};

static unsigned width(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static bool can_draw(void)
{
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) != 0 && width() >= NARROW && (term == NULL || strcmp(term, "dumb") != 0);
}

/* "name: state, n devices"; of a name that is too long the beginning. A byte is at least as wide as what it shows. */
static void draw_head(const struct watching *w, const char *name, unsigned columns)
{
    char rest[64];
    int n = snprintf(rest, sizeof rest, ": %s, %lld devices", w->state, (long long)w->all);
    size_t room = columns > (unsigned)n + 1 ? columns - (unsigned)n - 1 : 0, length = strlen(name);
    length = length < room ? length : room;
    while (length > 0 && length < strlen(name) && ((unsigned char)name[length] & 0xc0) == 0x80) {
        length--; /* no half character */
    }
    (void)printf("\033[K%.*s%.*s\n", (int)length, name, (int)columns - 1, rest);
}

static void draw(struct watching *w, const json_t *tree)
{
    const char *name = json_string_value(json_object_get(tree, "name"));
    unsigned columns = width(), room = columns > BESIDE + 1 ? columns - BESIDE - 1 : 1;
    int bar = room < BAR ? (int)room : BAR;
    if (w->drawn > 0) {
        (void)printf("\033[%uA", w->drawn);
    }
    draw_head(w, name != NULL ? name : "", columns);
    for (size_t i = 0; i < STATES; i++) {
        int n = w->all > 0 ? (int)(w->count[i] * bar / w->all) : 0;
        (void)printf("\033[K  %-10s %6lld  ", states[i], (long long)w->count[i]);
        for (int k = 0; k < bar; k++) {
            (void)fputs(k < n || (k == 0 && w->count[i] > 0) ? "#" : ".", stdout);
        }
        (void)putchar('\n');
    }
    w->drawn = STATES + 1;
    (void)fflush(stdout);
}

/* A line, if it says something new. */
static void say(struct watching *w)
{
    char line[300];
    size_t n = (size_t)snprintf(line, sizeof line, "%s: all %lld", w->state, (long long)w->all);
    for (size_t i = 0; i < STATES && n < sizeof line; i++) {
        n += (size_t)snprintf(line + n, sizeof line - n, ", %s %lld", states[i], (long long)w->count[i]);
    }
    if (strcmp(line, w->line) != 0) {
        (void)printf("%s\n", line);
        (void)fflush(stdout);
        memcpy(w->line, line, sizeof line);
    }
}

static bool over(const struct watching *w)
{
    bool stopped = strcmp(w->state, "aborted") == 0 || strcmp(w->state, "done") == 0;
    return stopped || (w->until_done && w->all > 0 && w->count[0] + w->count[2] >= w->all);
}

/* Asks where it is, and shows that. False: it is over, or failed. */
static bool refresh(struct watching *w)
{
    json_t *tree = NULL;
    w->dirty = false;
    w->asked = time(NULL);
    if (gwh_rest_call(&w->look, "GET", w->path, NULL, &tree, w->err) != GWH_OK) {
        return false;
    }
    const json_t *devices = json_object_get(tree, "devices");
    const char *state = json_string_value(json_object_get(tree, "state"));
    (void)snprintf(w->state, sizeof w->state, "%.15s", state != NULL ? state : "?");
    w->all = json_integer_value(json_object_get(devices, "all"));
    for (size_t i = 0; i < STATES; i++) {
        w->count[i] = json_integer_value(json_object_get(devices, states[i]));
    }
    if (w->terminal) {
        draw(w, tree);
    } else {
        say(w);
    }
    json_decref(tree);
    w->ended = over(w);
    return !w->ended;
}

static bool on_event(void *ctx, const char *event, const json_t *data)
{
    struct watching *w = ctx;
    (void)data;
    w->dirty |= strcmp(event, "release") != 0 && strcmp(event, "class") != 0; /* a `gap` too */
    return !w->dirty || time(NULL) == w->asked || refresh(w); /* at most once in a second */
}

static bool on_idle(void *ctx)
{
    struct watching *w = ctx;
    time_t now = time(NULL);
    if (w->seconds != 0 && now - w->begun >= (time_t)w->seconds) {
        (void)gwh_fail(w->err, GWH_REFUSED, "not done within %u s", (unsigned)w->seconds);
        return false;
    }
    return !((w->dirty && now != w->asked) || now - w->asked >= 15) || refresh(w);
}

static int listen_on(struct watching *w, const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_rest r;
    int e = cli_rest(&r, a, err);
    while (e == GWH_OK && !w->ended) { /* a connection that ends, as when the server restarts, is made anew */
        e = gwh_rest_events(&r, "/api/v1/events", on_event, on_idle, w, err);
        e = err->exit != GWH_OK ? err->exit : e;
        if (e == GWH_OK && !w->ended) {
            (void)sleep(1);
            e = refresh(w) || w->ended ? GWH_OK : err->exit;
        }
    }
    gwh_rest_close(&r);
    return e;
}

static int run_watch(const struct gwh_args *a, struct gwh_error *err)
{
    struct watching w = {.terminal = can_draw(), .until_done = gwh_flag(a, "until-done"),
                         .begun = time(NULL), .err = err};
    int e = gwh_number(a, "seconds", 0, &w.seconds, err);
    e = e == GWH_OK ? rollout_path(w.path, a->operand[0], "", err) : e;
    e = e == GWH_OK ? cli_rest(&w.look, a, err) : e;
    if (e == GWH_OK && (refresh(&w) || err->exit != GWH_OK)) {
        e = err->exit == GWH_OK ? listen_on(&w, a, err) : err->exit;
    }
    gwh_rest_close(&w.look);
    if (e == GWH_OK && w.until_done && w.count[2] > 0) {
        (void)gwh_fail(err, GWH_REFUSED, "%lld device(s) failed", (long long)w.count[2]);
        e = gwh_hint(err, "godwit rollout status %s --devices, godwit device why ID", a->operand[0]);
    }
    return e;
}

const struct gwh_command cli_rollout[] = {
    {"rollout", "plan", "RELEASE", 1, 1, "who would get a release, by which payload, in how many bytes", plan_options,
     "godwit rollout plan rel-1.1 --tag beta", run_plan},
    {"rollout", "start", "RELEASE|ID", 1, 1, "roll a release out, or start a draft; prints the rollout's id",
     start_options, "godwit rollout start rel-1.1 --all --name spring", run_start},
    {"rollout", "status", "[ID]", 0, 1, "all rollouts, or where one is", status_options, "godwit rollout status",
     run_status},
    {"rollout", "watch", "ID", 1, 1, "how far it is, as it goes", watch_options,
     "godwit rollout watch 0198c2e4 --until-done", run_watch},
    {"rollout", "pause", "ID", 1, 1, "devices that have not begun are offered nothing of it", act_options,
     "godwit rollout pause 0198c2e4", run_act},
    {"rollout", "resume", "ID", 1, 1, "it goes on", act_options, "godwit rollout resume 0198c2e4", run_act},
    {"rollout", "abort", "ID", 1, 1, "it is over; devices that have not begun stay as they are", act_options,
     "godwit rollout abort 0198c2e4", run_act},
    CLI_COMMANDS_END,
};
