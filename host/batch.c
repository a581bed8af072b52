/*
 * batch.c - see batch.h. Blank lines, lines that begin with #, and a first line of column names count as nothing; so do
 * blanks around a field, carriage returns, and the byte order mark that spreadsheets write.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "batch.h"
#include "pki.h"

#define CSV_MAX (16u * 1024u * 1024u)

static char *trim(char *s)
{
    while (*s == ' ' || *s == '\t') {
        s++;
    }
    size_t n = strlen(s);
    while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r')) {
        s[--n] = '\0';
    }
    return s;
}

static bool split(struct gwh_batch_line *l, char *text)
{
    const char **const field[] = {&l->id, &l->class, &l->hardware, &l->tags};
    for (size_t i = 0; i < 4; i++) {
        char *comma = text != NULL ? strchr(text, ',') : NULL;
        if (comma != NULL) {
            *comma = '\0';
        }
        *field[i] = text != NULL ? trim(text) : "";
        text = comma != NULL ? comma + 1 : NULL;
    }
    return text == NULL;
}

static int check_tags(const char *tags, struct gwh_error *err)
{
    unsigned count = 0;
    while (*tags != '\0') {
        size_t n = strcspn(tags, ";");
        size_t good = strspn(tags, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
        if (n == 0 || n > GWH_TAG_MAX || good != n || ++count > GWH_TAGS_MAX) {
            return gwh_fail(err, GWH_REFUSED, "tags \"%.60s\": at most %u, of letters, digits, _ . -, at most %u each",
                            tags, GWH_TAGS_MAX, GWH_TAG_MAX);
        }
        tags += n + (tags[n] == ';');
    }
    return GWH_OK;
}

static bool is_nothing(const char *text, size_t number)
{
    bool is_head = number == 1 && strncmp(text, "id", 2) == 0 && (text[2] == ',' || text[2] == '\0');
    return *text == '\0' || *text == '#' || is_head;
}

static int take_line(struct gwh_batch *b, char *text, size_t number, const char *path, struct gwh_error *err)
{
    struct gwh_batch_line *l = &b->line[b->count];
    uint32_t hardware;
    text = trim(text);
    if (is_nothing(text, number)) {
        return GWH_OK;
    }
    if (!split(l, text)) {
        return gwh_fail(err, GWH_REFUSED, "%s, line %zu: expected id,class,hardware,tags", path, number);
    }
    int e = gwh_device_id_check(l->id, err);
    if (e == GWH_OK && l->hardware[0] != '\0') {
        e = gwh_number_parse(l->hardware, "hardware", &hardware, err);
    }
    e = e == GWH_OK ? check_tags(l->tags, err) : e;
    if (e != GWH_OK) {
        char why[400];
        (void)snprintf(why, sizeof why, "%.390s", err->text);
        *err = (struct gwh_error){0};
        return gwh_fail(err, GWH_REFUSED, "%s, line %zu: %s", path, number, why);
    }
    l->number = number;
    b->count++;
    return GWH_OK;
}

static int by_id(const void *a, const void *b)
{
    return strcmp((*(const struct gwh_batch_line *const *)a)->id, (*(const struct gwh_batch_line *const *)b)->id);
}

static int check_once(const struct gwh_batch *b, const char *path, struct gwh_error *err)
{
    const struct gwh_batch_line **sorted = calloc(b->count + 1, sizeof *sorted);
    int e = sorted == NULL ? gwh_fail_reason(err, GW_ERR_SPACE, "%s", path) : GWH_OK;
    for (size_t i = 0; e == GWH_OK && i < b->count; i++) {
        sorted[i] = &b->line[i];
    }
    if (e == GWH_OK) {
        qsort(sorted, b->count, sizeof *sorted, by_id);
    }
    for (size_t i = 1; e == GWH_OK && i < b->count; i++) {
        const struct gwh_batch_line *one = sorted[i - 1], *other = sorted[i];
        if (strcmp(one->id, other->id) == 0) {
            e = gwh_fail(err, GWH_REFUSED, "%s, lines %zu and %zu: device %s is in the list twice", path,
                         one->number < other->number ? one->number : other->number,
                         one->number < other->number ? other->number : one->number, one->id);
        }
    }
    free(sorted);
    return e;
}

/* As text, and with a place for each of its lines. */
static int load(struct gwh_batch *b, const char *path, struct gwh_error *err)
{
    size_t lines = 1;
    int e = gwh_file_read(&b->text, path, CSV_MAX, err);
    if (e == GWH_OK && gwh_buf_add(&b->text, "", 1) != GW_OK) {
        e = gwh_fail_reason(err, GW_ERR_SPACE, "%s", path);
    }
    if (e == GWH_OK && strlen((char *)b->text.p) + 1 != b->text.n) {
        e = gwh_fail(err, GWH_REFUSED, "%s is no text", path);
    }
    for (size_t i = 0; e == GWH_OK && i < b->text.n; i++) {
        lines += b->text.p[i] == '\n';
    }
    b->line = e == GWH_OK ? calloc(lines, sizeof *b->line) : NULL;
    return e == GWH_OK && b->line == NULL ? gwh_fail_reason(err, GW_ERR_SPACE, "%s", path) : e;
}

int gwh_batch_read(struct gwh_batch *b, const char *path, struct gwh_error *err)
{
    int e = load(b, path, err);
    char *at = (char *)b->text.p;
    size_t number = 0;
    if (e == GWH_OK && strncmp(at, "\xef\xbb\xbf", 3) == 0) {
        at += 3;
    }
    while (e == GWH_OK && at != NULL && *at != '\0') {
        char *end = strchr(at, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        e = take_line(b, at, ++number, path, err);
        at = end;
    }
    if (e == GWH_OK && b->count == 0) {
        e = gwh_fail(err, GWH_REFUSED, "%s names no device", path);
    }
    return e == GWH_OK ? check_once(b, path, err) : e;
}

void gwh_batch_free(struct gwh_batch *b)
{
    gwh_buf_free(&b->text);
    free(b->line);
    *b = (struct gwh_batch){0};
}
