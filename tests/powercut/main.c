/*
 * main.c - the matrix: which scenarios on which devices with which cuts, spread over processes; and replay.
 *
 *     powercut --tier quick | full [--jobs n] [--scenario name] [--device name]
 *     powercut --replay scenario/device/seed[/op:shape:units]...
 *     powercut --list
 *
 * Last line: `powercut: N cuts in M scenarios, B bricks, L losses, depth 2`; the exit code is 0 only without any of
 * both.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "powercut.h"

#define STRIPES 4u

static const char *const erase_names[SIMDEV_ERASES] = { "1k", "4k", "64k", "mix", "big" };

/* Devices, as erase.write[.ext][.ecc][.zero][.f4096][.real], and how they are cut in each tier. */
struct device {
    const char *name;
    struct plan quick, full; /* stripes 0: not in this tier */
};

/* First cuts at every operation, in all, in the telling or in two shapes; the second ones in two shapes. */
#define ALL(second) { .shapes = { 2, 0 }, .budget = (second), .seed = 1, .stripes = STRIPES }
#define TELLING(second) { .shapes = { 1, 0 }, .budget = (second), .seed = 1, .stripes = STRIPES }
#define TWO(second) { .shapes = { 0, 0 }, .budget = (second), .seed = 1, .stripes = STRIPES }
#define NOT { .stripes = 0 }

static const struct device devices[] = {
    { "1k.8.f4096", TELLING(150), ALL(EVERY) },
    { "1k.32.ecc", TWO(100), ALL(5000) },
    { "1k.1.ext.zero", NOT, ALL(5000) },
    { "1k.4.ext", NOT, ALL(5000) },
    { "4k.1", NOT, ALL(3000) },
    { "4k.2.ext", NOT, ALL(3000) },
    { "4k.8", TWO(100), ALL(5000) },
    { "4k.4.zero.f4096", NOT, ALL(5000) },
    { "4k.16.ecc", NOT, ALL(5000) },
    { "4k.32.ext", NOT, ALL(3000) },
    { "64k.4", NOT, ALL(1000) },
    { "64k.8.ext.ecc", NOT, ALL(1000) },
    { "mix.4.ext", TWO(100), ALL(5000) },
    { "mix.16.ecc.zero", NOT, ALL(5000) },
};
#define DEVICES (sizeof devices / sizeof devices[0])

/* What the processes share. */
struct shared {
    unsigned next; /* job */
    uint64_t done;
    struct counts total;
    struct counts of[64][DEVICES]; /* by scenario */
};

struct options {
    bool full, list;
    unsigned jobs;
    const char *scenario, *device, *replay;
};

/* ---- Names ------------------------------------------------------------------------------------------------------- */

static bool parse_device(const char *name, struct simdev_config *c)
{
    char word[16];
    unsigned write_size;
    int n = 0;

    *c = (struct simdev_config){ .erased = 0xff, .erase = SIMDEV_ERASES };
    if (sscanf(name, "%15[0-9a-z].%u%n", word, &write_size, &n) != 2) {
        return false;
    }
    for (unsigned i = 0; i < SIMDEV_ERASES; i++) {
        c->erase = strcmp(word, erase_names[i]) == 0 ? (enum simdev_erase)i : c->erase;
    }
    c->write_size = write_size;
    for (name += n; *name == '.'; name += n) {
        if (sscanf(name, ".%15[0-9a-z]%n", word, &n) != 1) {
            return false;
        }
        c->extended = c->extended || strcmp(word, "ext") == 0;
        c->ecc = c->ecc || strcmp(word, "ecc") == 0;
        c->real = c->real || strcmp(word, "real") == 0;
        c->erased = strcmp(word, "zero") == 0 ? 0x00 : c->erased;
        c->frame_size = strcmp(word, "f4096") == 0 ? 4096 : c->frame_size;
    }
    return *name == 0 && c->erase != SIMDEV_ERASES && write_size >= 1 && write_size <= GW_WRITE_MAX;
}

static const struct scenario *find_scenario(const char *name, size_t n)
{
    for (unsigned i = 0; i < scenario_count; i++) {
        if (strlen(scenarios[i].name) == n && strncmp(scenarios[i].name, name, n) == 0) {
            return &scenarios[i];
        }
    }
    return NULL;
}

/* ---- Jobs -------------------------------------------------------------------------------------------------------- */

/* A process that hangs or crashes says where. */
static void on_signal(int number)
{
    char text[400];
    int n =
        snprintf(text, sizeof text, "FAILED (brick): signal %d\n    make powercut REPLAY=%s\n", number, cuts_current());

    if (write(STDOUT_FILENO, text, (size_t)n) < 0) {
        _exit(3);
    }
    _exit(2);
}

static void watch_signals(void)
{
    const int numbers[] = { SIGALRM, SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGILL };

    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        signal(numbers[i], on_signal);
    }
}

static void add_counts(struct counts *sum, const struct counts *c)
{
    __atomic_add_fetch(&sum->cuts, c->cuts, __ATOMIC_RELAXED);
    __atomic_add_fetch(&sum->second, c->second, __ATOMIC_RELAXED);
    __atomic_add_fetch(&sum->bricks, c->bricks, __ATOMIC_RELAXED);
    __atomic_add_fetch(&sum->losses, c->losses, __ATOMIC_RELAXED);
    __atomic_store_n(&sum->second_of, c->second_of, __ATOMIC_RELAXED);
    __atomic_store_n(&sum->operations, c->operations, __ATOMIC_RELAXED);
}

static const struct plan *plan_of(const struct options *o, unsigned device)
{
    return o->full ? &devices[device].full : &devices[device].quick;
}

static bool wanted(const struct options *o, unsigned s, unsigned d)
{
    return plan_of(o, d)->stripes != 0 && (o->scenario == NULL || strcmp(o->scenario, scenarios[s].name) == 0) &&
           (o->device == NULL || strcmp(o->device, devices[d].name) == 0);
}

static void run_job(const struct options *o, struct shared *shared, unsigned job)
{
    static struct run r;
    struct simdev_config config;
    unsigned stripe = job % STRIPES, s = job / STRIPES % scenario_count, d = job / STRIPES / scenario_count;
    struct plan plan = *plan_of(o, d);
    struct counts counts = { 0 };

    if (!wanted(o, s, d) || !parse_device(devices[d].name, &config)) {
        return;
    }
    plan.stripe = stripe;
    if (run_prepare(&r, &scenarios[s], &config, false)) {
        cuts_run(&r, devices[d].name, &plan, &counts);
    } else {
        printf("FAILED %s on %s: %s\n", scenarios[s].name, devices[d].name, r.error);
        fflush(stdout);
        counts.losses++;
    }
    run_free(&r);
    add_counts(&shared->total, &counts);
    add_counts(&shared->of[s][d], &counts);
    __atomic_add_fetch(&shared->done, 1, __ATOMIC_RELAXED);
}

static void work(const struct options *o, struct shared *shared)
{
    unsigned jobs = (unsigned)DEVICES * scenario_count * STRIPES;

    watch_signals();
    for (;;) {
        unsigned job = __atomic_fetch_add(&shared->next, 1, __ATOMIC_RELAXED);
        if (job >= jobs) {
            return;
        }
        alarm(o->full ? 600 : 120);
        run_job(o, shared, job);
    }
}

/* One pass with real cryptography: cuts before and after every operation of an update. */
static void real_pass(struct shared *shared)
{
    static struct run r;
    struct simdev_config config;
    struct counts counts = { 0 };
    struct plan plan = { .shapes = { 0, 0 }, .budget = 0, .seed = 7, .stripes = 1 };

    if (parse_device("4k.8.real", &config) && run_prepare(&r, find_scenario("update", 6), &config, false)) {
        cuts_run(&r, "4k.8.real", &plan, &counts);
    } else {
        counts.losses++;
    }
    run_free(&r);
    printf("%-18s %-16s %6u operations %8llu cuts, with OpenSSL\n", "update", "4k.8.real", (unsigned)counts.operations,
           (unsigned long long)counts.cuts);
    add_counts(&shared->total, &counts);
}

/* ---- Report ------------------------------------------------------------------------------------------------------ */

static unsigned report(const struct options *o, const struct shared *shared)
{
    unsigned names = 0;
    char second[32];

    for (unsigned s = 0; s < scenario_count; s++) {
        bool any = false;
        for (unsigned d = 0; d < DEVICES; d++) {
            const struct counts *c = &shared->of[s][d];
            if (!wanted(o, s, d)) {
                continue;
            }
            any = true;
            snprintf(second, sizeof second, c->second_of == 1 ? "every" : "one in %u", (unsigned)c->second_of);
            printf("%-18s %-16s %6u operations %8llu cuts; again at %s of the operations that follow\n",
                   scenarios[s].name, devices[d].name, (unsigned)c->operations, (unsigned long long)c->cuts, second);
        }
        names += any;
    }
    return names;
}

static int run_matrix(const struct options *o)
{
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    time_t start = time(NULL);
    bool good = shared != MAP_FAILED && scenario_count <= 64;
    int status;

    if (!good) {
        return 3;
    }
    fflush(stdout);
    for (unsigned i = 0; i < o->jobs; i++) {
        pid_t child = fork();
        if (child == 0) {
            work(o, shared);
            fflush(stdout);
            _exit(0);
        }
        good = good && child > 0;
    }
    while (wait(&status) > 0) {
        good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    unsigned names = report(o, shared);
    if (o->scenario == NULL && o->device == NULL) {
        real_pass(shared);
        good = wear_report() && good;
    }
    const struct counts *t = &shared->total;
    printf("%llu of them second cuts, %ld s with %u processes\n", (unsigned long long)t->second,
           (long)(time(NULL) - start), o->jobs);
    if (!good) {
        printf("a process ended early, or a limit was passed\n");
    }
    printf("powercut: %llu cuts in %u scenarios, %llu bricks, %llu losses, depth 2\n", (unsigned long long)t->cuts,
           names, (unsigned long long)t->bricks, (unsigned long long)t->losses);
    return good && t->bricks == 0 && t->losses == 0 && t->cuts > 0 ? 0 : 1;
}

/* ---- Command line ------------------------------------------------------------------------------------------------ */

/* scenario/device/seed[/cut]... */
static int replay(const char *text)
{
    static struct run r;
    char device[64] = "";
    unsigned long long seed = 0;
    struct simdev_config config;
    size_t n = strcspn(text, "/");
    const struct scenario *s = find_scenario(text, n);
    int at = 0;

    if (s == NULL || sscanf(text + n, "/%63[^/]/%llu%n", device, &seed, &at) != 2 || !parse_device(device, &config)) {
        fprintf(stderr, "powercut: not a replay string: %s\n", text);
        return 2;
    }
    bool good = run_prepare(&r, s, &config, true);
    printf("%s\n", good ? "the device is set up" : r.error);
    good = good && cuts_replay(&r, seed, text + n + at);
    run_free(&r);
    return good ? 0 : 1;
}

static int list(void)
{
    for (unsigned i = 0; i < scenario_count; i++) {
        printf("scenario %s\n", scenarios[i].name);
    }
    for (unsigned i = 0; i < DEVICES; i++) {
        printf("device   %s%s\n", devices[i].name, devices[i].quick.stripes != 0 ? " (quick)" : "");
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = { .jobs = 2 };
    bool good = argc > 1;

    for (int i = 1; good && i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--list") == 0) {
            o.list = true;
            continue;
        }
        i++;
        if (strcmp(argv[i - 1], "--tier") == 0) {
            o.full = strcmp(value, "full") == 0;
            good = o.full || strcmp(value, "quick") == 0;
        } else if (strcmp(argv[i - 1], "--jobs") == 0) {
            o.jobs = (unsigned)atoi(value);
            good = o.jobs >= 1 && o.jobs <= 64;
        } else if (strcmp(argv[i - 1], "--scenario") == 0) {
            o.scenario = value;
        } else if (strcmp(argv[i - 1], "--device") == 0) {
            o.device = value;
        } else if (strcmp(argv[i - 1], "--replay") == 0) {
            o.replay = value;
        } else {
            good = false;
        }
    }
    if (!good) {
        fprintf(stderr,
                "powercut --tier quick|full [--jobs n] [--scenario name] [--device name] | --replay string | --list\n");
        return 2;
    }
    return o.list ? list() : o.replay != NULL ? replay(o.replay) : run_matrix(&o);
}
