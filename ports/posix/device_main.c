/*
 * device_main.c - godwit-device: a device on a PC, made, updated and looked at by command.
 *
 * A device is a folder; its bootloader is the program godwit-boot beside this one. After a power cut (--cut-at) this
 * program exits with code 77 and the device is off; the next command goes on.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "args.h"
#include "posix_device.h"
#include "posix_listen.h"
#include "posix_run.h"
#include "show.h"

/* ---- init -------------------------------------------------------------------------------------------------------- */

static const struct gwh_option init_options[] = {
    {"identity", "FILE", "who the device is, from `godwit device provision`", true, false},
    {"trust", "FILE", "the trust bundle, from `godwit key bundle`", true, false},
    {"layout", "KIND", "limited: slots A and B; extended: a factory slot too. limited if not given", false, false},
    {"factory", "FILE", "factory image, for the extended layout", false, false},
    {"slot-size", "BYTES", "of each slot with its manifest and work blocks; 512K if not given", false, false},
    {"factory-size", "BYTES", "of the factory slot; as large as the others if not given", false, false},
    {"erase-size", "BYTES", "erase block, or `mixed`: 4 KB blocks, then 64 KB; 4096 if not given", false, false},
    {"write-size", "BYTES", "write unit, 1 to 32; 16 if not given", false, false},
    {"data", "ID=BYTES", "room for a data component, in each slot", false, true},
    {"force", NULL, "start a device anew that is there already", false, false},
    GWH_OPTIONS_END,
};

static int parse_data(const struct gwh_args *a, struct gwp_layout_request *r, struct gwh_error *err)
{
    int e = GWH_OK;
    for (unsigned i = 0; e == GWH_OK && gwh_text_i(a, "data", i) != NULL; i++) {
        const char *text = gwh_text_i(a, "data", i), *equals = strchr(text, '=');
        char id[16] = "";
        if (equals == NULL || (size_t)(equals - text) >= sizeof id || i == GWP_DATA_MAX) {
            return gwh_fail(err, GWH_USAGE, "--data %s: expected ID=BYTES, at most %u times", text, GWP_DATA_MAX);
        }
        memcpy(id, text, (size_t)(equals - text));
        e = gwh_number_parse(id, "--data", &r->data[i].component, err);
        if (e == GWH_OK) {
            e = gwh_number_parse(equals + 1, "--data", &r->data[i].size, err);
        }
        r->data_count = i + 1;
    }
    return e;
}

static int parse_layout(const struct gwh_args *a, struct gwp_layout_request *r, struct gwh_error *err)
{
    const char *kind = gwh_text(a, "layout"), *erase = gwh_text(a, "erase-size");
    r->extended = kind != NULL && strcmp(kind, "extended") == 0;
    r->erased = 0xff;
    if (kind != NULL && !r->extended && strcmp(kind, "limited") != 0) {
        return gwh_fail(err, GWH_USAGE, "--layout %s: expected limited or extended", kind);
    }
    int e = gwh_number(a, "slot-size", 512 * 1024, &r->slot_size, err);
    if (e == GWH_OK) {
        e = gwh_number(a, "factory-size", 0, &r->factory_size, err);
    }
    if (e == GWH_OK && (erase == NULL || strcmp(erase, "mixed") != 0)) {
        e = gwh_number(a, "erase-size", 4096, &r->erase_size, err);
        if (e == GWH_OK && r->erase_size == 0) {
            e = gwh_fail(err, GWH_USAGE, "--erase-size 0 is no block");
        }
    }
    if (e == GWH_OK) {
        e = gwh_number(a, "write-size", 16, &r->write_size, err);
    }
    return e == GWH_OK ? parse_data(a, r, err) : e;
}

static int read_option(struct gwh_buf *b, const struct gwh_args *a, const char *name, size_t max, struct gwh_error *err)
{
    const char *path = gwh_text(a, name);
    return path == NULL ? GWH_OK : gwh_file_read(b, path, max, err);
}

static int run_init(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwp_init init = {.force = gwh_flag(a, "force")};
    struct gwh_buf identity = {0}, trust = {0}, factory = {0};
    int e = parse_layout(a, &init.layout, err);
    if (e == GWH_OK) {
        e = read_option(&identity, a, "identity", GW_IDENTITY_MAX, err);
    }
    if (e == GWH_OK) {
        e = read_option(&trust, a, "trust", GW_TRUST_MAX, err);
    }
    if (e == GWH_OK) {
        e = read_option(&factory, a, "factory", GWH_IMAGE_MAX, err);
    }
    init.identity = gwh_span(&identity);
    init.trust = gwh_span(&trust);
    init.factory = gwh_span(&factory);
    if (e == GWH_OK) {
        e = gwp_device_init(a->operand[0], &init, err);
    }
    if (e == GWH_OK) {
        gwh_note("%s: a device with %s layout, %u bytes in a slot, write unit %u", a->operand[0],
                 init.layout.extended ? "extended" : "limited", (unsigned)init.layout.slot_size,
                 (unsigned)init.layout.write_size);
    }
    gwh_buf_free(&identity);
    gwh_buf_free(&trust);
    gwh_buf_free(&factory);
    return e;
}

/* ---- boot -------------------------------------------------------------------------------------------------------- */

static const struct gwh_option boot_options[] = {
    {"cause", "CAUSE", "reset cause: power, watchdog, fault, software, pin, sleep, unknown; power if not given", false,
     false},
    {"json", NULL, "tell it as JSON", false, false},
    GWH_OPTIONS_END,
};

/* godwit-boot lies beside this program. */
static void boot_program(char out[GWH_PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, GWH_PATH_MAX - 1);
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    size_t at = slash == NULL ? 0 : (size_t)(slash - out) + 1;
    (void)snprintf(out + at, GWH_PATH_MAX - at, "godwit-boot");
}

static int run_bootloader(const char *folder, const char *cause, bool as_json, bool quiet, struct gwh_error *err)
{
    char program[GWH_PATH_MAX];
    int status = 0;
    boot_program(program);
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (quiet) {
            (void)!freopen("/dev/null", "w", stdout);
            (void)!freopen("/dev/null", "w", stderr);
        }
        execlp(program, "godwit-boot", folder, "--cause", cause, as_json ? "--json" : (char *)NULL, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        return gwh_fail_errno(err, "cannot run %s", program);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) == 127) {
        return gwh_fail(err, GWH_IO, "%s could not be run", program);
    }
    return WEXITSTATUS(status);
}

static int run_boot(const struct gwh_args *a, struct gwh_error *err)
{
    const char *cause = gwh_text(a, "cause");
    int e = run_bootloader(a->operand[0], cause != NULL ? cause : "power", gwh_flag(a, "json"), false, err);
    if (e != GWH_OK && err->exit == GWH_OK) { /* godwit-boot has said why */
        exit(e);
    }
    return e;
}

/* ---- install ----------------------------------------------------------------------------------------------------- */

static const struct gwh_option install_options[] = {
    {"cut-at", "N", "cut power at flash operation N of this install, in the middle of it; exit code 77", false, false},
    GWH_OPTIONS_END,
};

static void tell(const char *line)
{
    gwh_note("%s", line);
}

/* A device that is off is switched on: its bootloader runs first. Recovery is a way of running too. */
static int switch_on(const char *folder, struct gw_handover *h, struct gwh_error *err)
{
    if (gwp_handover_read(folder, h)) {
        return GWH_OK;
    }
    gwh_note("%s is off: booting it first (cause power)", folder);
    int e = run_bootloader(folder, "power", false, true, err);
    if (gwp_handover_read(folder, h)) {
        gwh_note("runs from: %s%s", h->slot == GW_SLOT_NONE ? "the bootloader's recovery" : "slot ",
                 h->slot == GW_SLOT_NONE ? "" : gwp_slot_name(h->slot));
        return GWH_OK;
    }
    (void)gwh_fail(err, e == GWH_OK ? GWH_IO : e, "%s does not boot", folder);
    return gwh_hint(err, "godwit-device boot %s says why", folder);
}

static int run_install(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwp_install how = {.release = a->operand[1], .tell = tell};
    struct gw_handover h;
    uint32_t cut = 0;
    int e = gwh_number(a, "cut-at", 0, &cut, err);
    how.cut_at = cut;
    if (e == GWH_OK) {
        e = switch_on(a->operand[0], &h, err);
    }
    if (e == GWH_OK) {
        e = gwp_device_install(a->operand[0], &how, &h, err);
    }
    if (e == GWH_OK) {
        gwh_note("next: godwit-device boot %s --cause software", a->operand[0]);
    }
    return e;
}

/* ---- listen ------------------------------------------------------------------------------------------------------ */

static const struct gwh_option listen_options[] = {
    {"tcp", "ADDRESS:PORT", "of this machine, 127.0.0.1:5555; port 0: any that is free", true, false},
    {"once", NULL, "until the first host has gone", false, false},
    {"cut-at", "N", "cut power at flash operation N, in the middle of it; exit code 77", false, false},
    GWH_OPTIONS_END,
};

static int boot_after_restart(const char *folder, struct gwh_error *err)
{
    int e = run_bootloader(folder, "software", false, true, err);
    return e == GWH_OK || err->exit != GWH_OK ? e : gwh_fail(err, e, "%s does not boot", folder);
}

static void listening(const char *address)
{
    (void)printf("listening on %s\n", address);
    (void)fflush(stdout);
}

static int run_listen(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwp_listen how = {.address = gwh_text(a, "tcp"), .once = gwh_flag(a, "once"), .boot = boot_after_restart,
                             .listening = listening, .tell = tell};
    struct gw_handover h;
    uint32_t cut = 0;
    int e = gwh_number(a, "cut-at", 0, &cut, err);
    how.cut_at = cut;
    e = e == GWH_OK ? switch_on(a->operand[0], &h, err) : e;
    return e == GWH_OK ? gwp_device_listen(a->operand[0], &how, err) : e;
}

/* ---- run --------------------------------------------------------------------------------------------------------- */

static const struct gwh_option run_options[] = {
    {"server", "URL", "where updates come from: https://host[:port][/path]", true, false},
    {"offer", "PATH", "of the offer, below the server's; offers/<class id> if not given", false, false},
    {"report", "PATH", "where reports go, below the server's; not given: nowhere", false, false},
    {"ca", "FILE", "CAs that may sign servers, PEM, or a folder of them; those of this PC if not given", false, false},
    {"crl", "FILE", "certificates that are revoked", false, false},
    {"token-file", "FILE", "of a device that has a token instead of a certificate, 0600", false, false},
    {"mqtt", "HOST:PORT", "broker that says when to look, and takes reports; it is shown the certificate too", false,
     false},
    {"jitter", "SECONDS", "a look after a notification waits for up to this long; 0 if not given", false, false},
    {"ports", "PORTS", "curl: libcurl and OpenSSL; common: the client of boards. curl if not given", false, false},
    {"app", "BEHAVIOUR",
     "of newer images: healthy, crashes, hangs, never-confirms, fails-self-test, crashes-later", false, false},
    {"interval", "SECONDS", "between looks, until the server says otherwise; a day if not given", false, false},
    {"confirm", "SECONDS", "within which an image on trial must be confirmed; 600 if not given", false, false},
    {"confirm-offline", NULL, "its self-test alone confirms an image, without a look", false, false},
    {"steady", "SECONDS", "after which a confirmed image has not crashed; 300 if not given", false, false},
    {"watchdog", "SECONDS", "after which an image that hangs is reset; 10 if not given", false, false},
    {"attempts-per-day", "N", "beginnings of a fetch; 24 if not given", false, false},
    {"bytes-per-day", "BYTES", "of payloads; no limit if not given", false, false},
    {"chunk", "BYTES", "fetched with one request; 256K if not given", false, false},
    {"stall", "SECONDS", "without a byte, after which a request has failed; 30 if not given", false, false},
    {"head-required", NULL, "releases without a channel head are refused", false, false},
    {"head-age", "SECONDS", "older channel heads are refused", false, false},
    {"anonymous-after", "N", "looks that failed for the server's certificate; then one without trust in it", false,
     false},
    {"clock", "none|SECONDS", "the device has no clock; or it is so many seconds ahead (or -SECONDS, behind)", false,
     false},
    {"looks", "N", "end after so many looks in a row that had nothing new, or were refused", false, false},
    {"seconds", "N", "end after that at the latest, with exit code 1", false, false},
    {"cut-at", "N", "cut power at flash operation N, in the middle of it; exit code 77", false, false},
    {"json", NULL, "a line of JSON for each event", false, false},
    GWH_OPTIONS_END,
};

/* Recovery is a way of running too. */
static int boot_image(const char *folder, const char *cause, struct gwh_error *err)
{
    struct gw_handover h;
    int e = run_bootloader(folder, cause, false, true, err);
    if (e != GWH_OK && err->exit == GWH_OK && !gwp_handover_read(folder, &h)) {
        (void)gwh_fail(err, e, "%s does not boot", folder);
        return gwh_hint(err, "godwit-device boot %s says why", folder);
    }
    return err->exit;
}

static int parse_numbers(const struct gwh_args *a, struct gwp_run *run, struct gwh_error *err)
{
    uint32_t cut = 0, stall = 0;
    const struct {
        const char *name;
        uint32_t *value;
    } numbers[] = {
        {"interval", &run->interval_s},     {"confirm", &run->confirm_s},
        {"steady", &run->steady_s},         {"watchdog", &run->watchdog_s},
        {"chunk", &run->chunk},             {"attempts-per-day", &run->attempts_per_day},
        {"stall", &stall},                  {"bytes-per-day", &run->bytes_per_day},
        {"head-age", &run->head_age_s},     {"anonymous-after", &run->anonymous_after},
        {"looks", &run->looks},             {"seconds", &run->seconds},
        {"cut-at", &cut},                   {"jitter", &run->jitter_s},
    };
    int e = GWH_OK;
    for (size_t i = 0; e == GWH_OK && i < sizeof numbers / sizeof *numbers; i++) {
        e = gwh_number(a, numbers[i].name, 0, numbers[i].value, err);
    }
    run->cut_at = cut;
    run->link.stall_ms = stall * 1000u;
    return e;
}

static int parse_words(const struct gwh_args *a, struct gwp_run *run, struct gwh_error *err)
{
    const char *ports = gwh_text(a, "ports"), *app = gwh_text(a, "app"), *clock = gwh_text(a, "clock");
    char *end = NULL;
    if (ports != NULL && strcmp(ports, "curl") != 0 && strcmp(ports, "common") != 0) {
        return gwh_fail(err, GWH_USAGE, "--ports %s: expected curl or common", ports);
    }
    run->link.ports = ports != NULL && strcmp(ports, "common") == 0 ? GWP_PORTS_COMMON : GWP_PORTS_CURL;
    run->app = app != NULL ? gwp_behaviour_parse(app) : GWP_HEALTHY;
    if (run->app == GWP_BEHAVIOURS) {
        return gwh_fail(err, GWH_USAGE, "--app %s: godwit-device run --help lists what there is", app);
    }
    run->no_clock = clock != NULL && strcmp(clock, "none") == 0;
    if (clock != NULL && !run->no_clock) {
        run->clock_offset = strtol(clock, &end, 10);
        if (*clock == '\0' || *end != '\0') {
            return gwh_fail(err, GWH_USAGE, "--clock %s: expected none, or seconds", clock);
        }
    }
    return GWH_OK;
}

static int run_run(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwp_run run = {.folder = a->operand[0], .boot = boot_image};
    run.link = (struct gwp_link_config){.server = gwh_text(a, "server"),     .offer_path = gwh_text(a, "offer"),
                                        .report_path = gwh_text(a, "report"), .roots = gwh_text(a, "ca"),
                                        .crl = gwh_text(a, "crl"),
                                        .token_file = gwh_text(a, "token-file")};
    run.mqtt = gwh_text(a, "mqtt");
    run.json = gwh_flag(a, "json");
    run.head_required = gwh_flag(a, "head-required");
    run.confirm_offline = gwh_flag(a, "confirm-offline");
    int e = parse_numbers(a, &run, err);
    e = e == GWH_OK ? parse_words(a, &run, err) : e;
    return e == GWH_OK ? gwp_device_run(&run, err) : e;
}

/* ---- confirm, reject, steady, trust ------------------------------------------------------------------------------ */

static const struct gwh_option no_options[] = {GWH_OPTIONS_END};
static const struct gwh_option reject_options[] = {
    {"reason", "N", "number or name of the reason; SELF_TEST if not given", false, false},
    GWH_OPTIONS_END,
};

/* Opens and mounts a device that is running. */
static int open_running(struct gwp_device *d, const char *folder, struct gwh_error *err)
{
    struct gw_handover h;
    int e = gwp_device_open(d, folder, false, err);
    if (e != GWH_OK) {
        return e;
    }
    if (!gwp_handover_read(folder, &h)) {
        gwp_device_close(d);
        (void)gwh_fail_reason(err, GW_ERR_STATE, "%s is off", folder);
        return gwh_hint(err, "godwit-device boot %s", folder);
    }
    e = gwp_device_mount(d, err);
    if (e != GWH_OK) {
        gwp_device_close(d);
    }
    return e;
}

static int parse_reason(const char *text, int *reason, struct gwh_error *err)
{
    uint32_t n = 0;
    *reason = -GW_ERR_SELF_TEST;
    if (text == NULL) {
        return GWH_OK;
    }
    for (int i = 1; i < 256; i++) {
        if (strcmp(gw_error_name(i), text) == 0 && strcmp(text, "UNKNOWN") != 0) {
            *reason = i;
            return GWH_OK;
        }
    }
    int e = gwh_number_parse(text, "--reason", &n, err);
    if (e == GWH_OK && (n == 0 || n > 255)) {
        e = gwh_fail(err, GWH_USAGE, "--reason %s: expected 1 to 255, or a name that `godwit reasons` prints", text);
    }
    *reason = (int)n;
    return e;
}

static int run_verb(const struct gwh_args *a, struct gwh_error *err)
{
    const char *verb = a->command->verb;
    struct gwp_device *d = malloc(sizeof *d);
    int reason = 0;
    int e = d == NULL ? gwh_fail_reason(err, GW_ERR_SPACE, "%s", verb)
                      : parse_reason(strcmp(verb, "reject") == 0 ? gwh_text(a, "reason") : NULL, &reason, err);
    if (e == GWH_OK) {
        e = open_running(d, a->operand[0], err);
    }
    if (e == GWH_OK) {
        int result = strcmp(verb, "confirm") == 0  ? gw_device_confirm(&d->dev)
                     : strcmp(verb, "reject") == 0 ? gw_device_reject(&d->dev, reason)
                                                   : gw_device_steady(&d->dev);
        e = result == GW_OK ? GWH_OK : gwh_fail_reason(err, result, "%s of %s", verb, a->operand[0]);
        gwp_device_close(d);
    }
    if (e == GWH_OK) {
        gwh_note("%s: %s is recorded", a->operand[0], verb);
    }
    free(d);
    return e;
}

static int update_trust(struct gwp_device *d, const struct gwh_buf *cose, struct gwh_error *err)
{
    bool pending = false;
    uint8_t *memory = malloc(GW_VERIFY_MEMORY);
    if (memory == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "trust");
    }
    int result = gw_trust_update(&d->dev, cose->p, cose->n, memory, GW_VERIFY_MEMORY, &pending);
    free(memory);
    if (result == GW_OK || result == GW_DONE) {
        gwh_note("%s: the bundle %s", d->folder,
                 result == GW_DONE ? "is in use already"
                 : pending         ? "waits: it would refuse the running image; it takes effect with the next confirm"
                                   : "is in use");
        return GWH_OK;
    }
    return gwh_fail_reason(err, result, "the bundle is refused");
}

static int run_trust(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_buf cose = {0};
    struct gwp_device *d = malloc(sizeof *d);
    int e = d == NULL ? gwh_fail_reason(err, GW_ERR_SPACE, "trust") : gwh_file_read(&cose, a->operand[1], 16384, err);
    if (e == GWH_OK) {
        e = open_running(d, a->operand[0], err);
    }
    if (e == GWH_OK) {
        e = update_trust(d, &cose, err);
        gwp_device_close(d);
    }
    gwh_buf_free(&cose);
    free(d);
    return e;
}

/* ---- status ------------------------------------------------------------------------------------------------------ */

static const struct gwh_option status_options[] = {
    {"json", NULL, "as JSON", false, false},
    {"all", NULL, "with every journal record, bundle and the identity", false, false},
    GWH_OPTIONS_END,
};

static int run_status(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwp_device *d = malloc(sizeof *d);
    if (d == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "status");
    }
    int e = gwp_device_open(d, a->operand[0], true, err);
    if (e == GWH_OK) {
        json_t *tree = gwp_show_device(d);
        if (!gwh_flag(a, "all")) {
            static const char *const details[] = {"journal", "trust bundles", "identity"};
            for (size_t i = 0; i < 3; i++) {
                (void)json_object_del(tree, details[i]);
            }
        }
        gwh_show_print(tree, gwh_flag(a, "json"));
        json_decref(tree);
        gwp_device_close(d);
    }
    free(d);
    return e;
}

static const struct gwh_command device_commands[] = {
    {NULL, "init", "DEVICE", 1, 1, "make a device: flash with identity, trust bundle and factory image", init_options,
     "godwit-device init dev1 --layout extended --identity dev1.identity --trust trust.cose", run_init},
    {NULL, "install", "DEVICE RELEASE", 2, 2, "take a release into the free slot; goes on where it was interrupted",
     install_options, "godwit-device install dev1 rel/ --cut-at 40", run_install},
    {NULL, "listen", "DEVICE", 1, 1, "the device runs and takes releases over its serial line, which is a TCP port",
     listen_options, "godwit-device listen dev1 --tcp 127.0.0.1:5555", run_listen},
    {NULL, "run", "DEVICE", 1, 1, "the device runs: bootloader, application and agent, which updates it over HTTPS",
     run_options, "godwit-device run dev1 --server https://updates.example.com/fleet --ca ca.pem --interval 60",
     run_run},
    {NULL, "boot", "DEVICE", 1, 1, "reset the device: its bootloader decides what starts", boot_options,
     "godwit-device boot dev1 --cause watchdog", run_boot},
    {NULL, "confirm", "DEVICE", 1, 1, "the running image is well: keep it", no_options, "godwit-device confirm dev1",
     run_verb},
    {NULL, "reject", "DEVICE", 1, 1, "the running image gives itself up: the next boot starts another", reject_options,
     "godwit-device reject dev1 --reason SELF_TEST", run_verb},
    {NULL, "steady", "DEVICE", 1, 1, "the confirmed image has run well for a while: forget its crashes", no_options,
     "godwit-device steady dev1", run_verb},
    {NULL, "trust", "DEVICE BUNDLE", 2, 2, "take a newer trust bundle", no_options,
     "godwit-device trust dev1 trust2.cose", run_trust},
    {NULL, "status", "DEVICE", 1, 1, "what runs, what lies in the slots, what is under way", status_options,
     "godwit-device status dev1 --json", run_status},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
static const struct gwh_command *const tables[] = {device_commands, NULL};

int main(int argc, char **argv)
{
    static const struct gwh_program program = {"godwit-device", "a device on a PC, with flash in a file", tables};
    return gwh_main(&program, argc, argv);
}
