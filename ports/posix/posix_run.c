/*
 * posix_run.c - the hardware around an image: power, bootloader, watchdog, reset causes. See posix_run.h.
 *
 * Keeps true: the image runs in a process of its own and can do no more harm than an image can; how it ended is all
 * that the next boot is told. Ends only the process that it started.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix_run.h"

#define BOOTS_MAX 100000u

struct supervisor {
    const struct gwp_run *how;
    struct gwh_error *err;
    struct gwp_app app;
    const char *cause; /* of the next reset; NULL: it is over */
    uint32_t sessions;
};

static volatile sig_atomic_t stopping;

static void stop(int signal_number)
{
    (void)signal_number;
    stopping = 1;
}

static uint64_t watchdog_ms(const struct supervisor *s)
{
    return (s->how->watchdog_s != 0 ? s->how->watchdog_s : 10u) * 1000u;
}

/* What the image is told of its start goes to stdout too. */
static void say_start(const struct supervisor *s)
{
    const struct gw_handover *h = &s->app.boot;
    double at = (double)(gwp_now_ms() - s->app.started_ms) / 1000.0;
    if (s->how->json) {
        (void)printf("{\"ms\":%.0f,\"event\":\"START\",\"slot\":\"%s\",\"state\":\"%s\",\"recovery\":%s,"
                     "\"cause\":\"%s\",\"reason\":\"%s\"}\n", at * 1000.0, gwp_slot_name(h->slot),
                     gwp_state_name(h->state), h->recovery ? "true" : "false", gwp_cause_name(h->cause),
                     h->reason == 0 ? "" : gw_error_name(h->reason));
    } else {
        (void)printf("%7.2f  starts slot %s%s%s (cause: %s)\n", at, gwp_slot_name(h->slot),
                     h->slot <= GW_SLOT_B ? ", " : "", h->slot <= GW_SLOT_B ? gwp_state_name(h->state) : "",
                     gwp_cause_name(h->cause));
    }
    (void)fflush(stdout);
}

/* The image runs: its process, and the pipe by which it feeds its watchdog. */
static pid_t start_image(struct supervisor *s, int *feed)
{
    int pipes[2];
    if (pipe(pipes) != 0) {
        return -1;
    }
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(pipes[0]);
        s->app.watchdog = pipes[1];
        int end = gwp_app_main(&s->app);
        (void)fflush(stdout);
        _exit(end);
    }
    (void)close(pipes[1]);
    *feed = pipes[0];
    return pid;
}

static bool out_of_time(const struct supervisor *s)
{
    return s->how->seconds != 0 && gwp_now_ms() - s->app.started_ms > s->how->seconds * 1000u;
}

/* Watches until the process ends: closes its pipe. True: the watchdog had to bite. */
static bool watch(struct supervisor *s, pid_t pid, int feed)
{
    uint64_t fed = gwp_now_ms();
    bool told = false;
    for (;;) {
        struct pollfd p = {.fd = feed, .events = POLLIN};
        char bytes[64];
        if (poll(&p, 1, 100) > 0) {
            ssize_t n = read(feed, bytes, sizeof bytes);
            if (n == 0 || (n < 0 && errno != EINTR)) {
                return false;
            }
            fed = gwp_now_ms();
        }
        if ((stopping || out_of_time(s)) && !told) {
            (void)kill(pid, SIGTERM);
            told = true;
        }
        if (gwp_now_ms() - fed > watchdog_ms(s)) {
            (void)kill(pid, SIGKILL);
            return true;
        }
    }
}

/* How the image ended is the cause of the reset. */
static int after(struct supervisor *s, int status, bool bitten)
{
    s->cause = NULL;
    if (bitten) {
        s->cause = "watchdog";
    } else if (WIFSIGNALED(status)) {
        s->cause = "fault";
    } else if (WEXITSTATUS(status) == GWP_APP_RESTART) {
        s->cause = "software";
    } else if (WEXITSTATUS(status) == GWP_CUT_EXIT) {
        (void)gwh_fail(s->err, GWP_CUT_EXIT, "power cut at flash operation %llu",
                       (unsigned long long)s->app.cut_at);
        return gwh_hint(s->err, "godwit-device run %s ... goes on", s->how->folder);
    } else if (WEXITSTATUS(status) != GWP_APP_DONE) {
        return gwh_fail(s->err, GWH_IO, "the application of %s ended with %d", s->how->folder, WEXITSTATUS(status));
    }
    return GWH_OK;
}

static int session(struct supervisor *s)
{
    int status = 0, feed = -1;
    if (!gwp_handover_read(s->how->folder, &s->app.boot)) {
        return gwh_fail(s->err, GWH_IO, "%s does not boot", s->how->folder);
    }
    say_start(s);
    s->app.cut_at = s->sessions++ == 0 ? s->how->cut_at : 0;
    pid_t pid = start_image(s, &feed);
    if (pid < 0) {
        return gwh_fail_errno(s->err, "cannot start the image of %s", s->how->folder);
    }
    bool bitten = watch(s, pid, feed);
    (void)close(feed);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return after(s, status, bitten);
}

/* The release that is confirmed now. */
static int find_confirmed(struct supervisor *s)
{
    struct gwp_device *d = malloc(sizeof *d);
    struct gw_boot_state state;
    int e = d == NULL ? gwh_fail_reason(s->err, GW_ERR_SPACE, "run")
                      : gwp_device_open(d, s->how->folder, true, s->err);
    if (e == GWH_OK) {
        if (gw_device_mount(&d->dev) == GW_OK && gw_device_state(&d->dev, &state) == GW_OK) {
            for (unsigned i = 0; i < 2; i++) {
                s->app.confirmed = state.slot[i].state == GW_CONFIRMED ? state.slot[i].order : s->app.confirmed;
            }
        }
        gwp_device_close(d);
    }
    free(d);
    return e;
}

int gwp_device_run(const struct gwp_run *how, struct gwh_error *err)
{
    struct supervisor s = {.how = how, .err = err, .cause = "power"};
    struct sigaction on_stop = {.sa_handler = stop};
    (void)sigaction(SIGTERM, &on_stop, NULL);
    (void)sigaction(SIGINT, &on_stop, NULL);
    s.app.run = how;
    s.app.started_ms = gwp_now_ms();
    int e = find_confirmed(&s);
    for (unsigned boots = 0; e == GWH_OK && s.cause != NULL && !stopping && boots < BOOTS_MAX; boots++) {
        if (out_of_time(&s)) {
            break;
        }
        e = how->boot(how->folder, s.cause, err);
        e = e == GWH_OK ? session(&s) : e;
    }
    gwp_handover_drop(how->folder); /* off again */
    if (e == GWH_OK && out_of_time(&s)) {
        (void)gwh_fail(err, GWH_REFUSED, "%s was not done within %u s", how->folder, (unsigned)how->seconds);
        e = gwh_hint(err, "its last lines say what it waits for; a longer --seconds or a shorter --interval helps");
    }
    return e;
}
