/*
 * fuzz_config.c - the configuration of godwitd: any bytes are read, or refused with one line; what was read is written
 * as the example and read back the same.
 */
#define _GNU_SOURCE /* memfd_create */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void must(bool good)
{
    if (!good)
        abort();
}

static int read_bytes(struct gws_config *c, const void *p, size_t n, struct gwh_error *err)
{
    char path[40];
    int fd = memfd_create("config", 0);
    must(fd >= 0 && write(fd, p, n) == (ssize_t)n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    memset(err, 0, sizeof *err);
    int result = gws_config_read(c, path, err);
    close(fd);
    must(result == GWH_OK || (err->text[0] != '\0' && strchr(err->text, '\n') == NULL));
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct gws_config c, again;
    struct gwh_error err;
    char *text = NULL;
    size_t room = 0;
    if (n > 8192 || read_bytes(&c, p, n, &err) != GWH_OK)
        return 0;
    FILE *f = open_memstream(&text, &room);
    must(f != NULL);
    gws_config_example(f, &c);
    fclose(f);
    /* Paths of the longest kind become too long for a line with the folder before them. */
    if (read_bytes(&again, text, room, &err) == GWH_OK)
        must(again.next_look_s == c.next_look_s && strcmp(again.door[0].listen, c.door[0].listen) == 0);
    free(text);
    return 0;
}
