/*
 * fuzz_profile.c - any bytes as the file of profiles, from which `godwit` takes a server, its CA and its token.
 *
 * Properties: a profile is found, or the error names the file in one line; a profile that is added is found by its name
 * with what was added, whatever else is in the file, and once only.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "fuzz_formats.h"
#include "rest.h"

static char folder[] = "/tmp/godwit-fuzz-XXXXXX";
static char inside[64], ca[96], file[96];

static void clean(void)
{
    static const char *const names[] = {"profiles.ini", "mine.ca.pem", "mine.token"};
    char path[96];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", inside, names[i]);
        (void)unlink(path);
    }
    (void)unlink(ca);
    (void)rmdir(inside);
    (void)rmdir(folder);
}

static void start(void)
{
    struct gwh_error err = {0};
    MUST(mkdtemp(folder) != NULL && setenv("XDG_CONFIG_HOME", folder, 1) == 0 && unsetenv("GODWIT_PROFILE") == 0);
    (void)snprintf(inside, sizeof inside, "%s/godwit", folder);
    (void)snprintf(file, sizeof file, "%s/profiles.ini", inside);
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", folder);
    MUST(mkdir(inside, 0700) == 0);
    MUST(gwh_file_write(ca, (struct gw_span){(const uint8_t *)"ca\n", 3}, 0644, true, &err) == GWH_OK);
    MUST(atexit(clean) == 0);
}

static int find(struct gwh_profile *p, const char *name)
{
    struct gwh_error err = {0};
    int e = gwh_profile_find(p, name, &err);
    MUST(e == err.exit && (e == GWH_OK || (strstr(err.text, file) != NULL && strchr(err.text, '\n') == NULL)));
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gwh_profile p;
    struct gwh_error err = {0};
    if (file[0] == '\0') {
        start();
    }
    if (size > 4096) {
        return 0;
    }
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size && close(fd) == 0);
    (void)find(&p, NULL);
    (void)find(&p, "default");
    bool zeros = memchr(data, 0, size) != NULL; /* the text ends there for who reads it: no text of ours */
    if (!zeros && gwh_profile_add("mine", "https://a.example:8443", ca, "gwa_x", true, &err) == GWH_OK) {
        MUST(find(&p, "mine") == GWH_OK);
        MUST(strcmp(p.server, "https://a.example:8443") == 0 && strstr(p.token_file, "/mine.token") != NULL);
    }
    return 0;
}
