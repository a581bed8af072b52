/*
 * fuzz_batch.c - any bytes as the list of devices that `godwit device provision --csv` takes.
 *
 * Properties: a list is taken, or refused with one line that names it; what is taken has an id that a device may have,
 * once, a hardware revision that is a number, and tags that the server takes; a carriage return changes nothing.
 */
#define _GNU_SOURCE /* memfd_create */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "args.h"
#include "batch.h"
#include "fuzz_formats.h"
#include "pki.h"

static int read_bytes(struct gwh_batch *b, const void *p, size_t n)
{
    struct gwh_error err = {0};
    char path[40];
    int fd = memfd_create("batch", 0);
    MUST(fd >= 0 && write(fd, p, n) == (ssize_t)n);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int e = gwh_batch_read(b, path, &err);
    MUST(e == err.exit && (e == GWH_OK || (strstr(err.text, path) != NULL && strchr(err.text, '\n') == NULL)));
    (void)close(fd);
    return e;
}

static void check_tags(const char *tags)
{
    unsigned count = 0;
    for (; *tags != '\0'; count++) {
        size_t n = strcspn(tags, ";");
        MUST(n > 0 && n <= GWH_TAG_MAX);
        tags += n + (tags[n] == ';');
    }
    MUST(count <= GWH_TAGS_MAX);
}

static void check_line(const struct gwh_batch *b, size_t i)
{
    struct gwh_error err = {0};
    const struct gwh_batch_line *l = &b->line[i];
    uint32_t hardware;
    MUST(gwh_device_id_check(l->id, &err) == GWH_OK && strcmp(l->id, "server") != 0);
    MUST(l->hardware[0] == '\0' || gwh_number_parse(l->hardware, "hardware", &hardware, &err) == GWH_OK);
    MUST(strpbrk(l->class, ",\n") == NULL && l->number > 0 && (i == 0 || l->number > l[-1].number));
    check_tags(l->tags);
    for (size_t j = 0; j < i && i < 64; j++) {
        MUST(strcmp(b->line[j].id, l->id) != 0);
    }
}

/* The same list as another system writes it. */
static void check_returns(const struct gwh_batch *b, const uint8_t *data, size_t size)
{
    struct gwh_buf text = {0};
    struct gwh_batch again = {0};
    for (size_t i = 0; i < size; i++) {
        MUST(data[i] != '\n' || gwh_buf_add(&text, "\r", 1) == GW_OK);
        MUST(gwh_buf_add(&text, data + i, 1) == GW_OK);
    }
    MUST(read_bytes(&again, text.p, text.n) == GWH_OK && again.count == b->count);
    for (size_t i = 0; i < b->count; i++) {
        MUST(strcmp(again.line[i].id, b->line[i].id) == 0 && strcmp(again.line[i].tags, b->line[i].tags) == 0);
        MUST(strcmp(again.line[i].class, b->line[i].class) == 0);
    }
    gwh_batch_free(&again);
    gwh_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gwh_batch b = {0};
    if (size > 8192) {
        return 0;
    }
    if (read_bytes(&b, data, size) == GWH_OK) {
        MUST(b.count > 0);
        for (size_t i = 0; i < b.count; i++) {
            check_line(&b, i);
        }
        check_returns(&b, data, size);
    }
    gwh_batch_free(&b);
    return 0;
}
