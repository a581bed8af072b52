/*
 * fuzz_route.c - what a client can say to the server: heads, paths, patterns, queries, ranges.
 *
 * The first byte chooses; the rest is the text. Checks that what is accepted keeps what http_head.h promises.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void must(bool good)
{
    if (!good)
        abort();
}

/* A copy of exactly n bytes and a zero, so that ASan sees every step beyond. */
static char *copy(const uint8_t *p, size_t n)
{
    char *text = malloc(n + 1);
    must(text != NULL);
    memcpy(text, p, n);
    text[n] = '\0';
    return text;
}

static void one_head(char *bytes, size_t n)
{
    struct gws_head h;
    char store[GWS_PATH_MAX + 1 + GWS_ARGUMENTS_MAX];
    const char *argument[GWS_ARGUMENTS_MAX];
    struct gws_query q;
    if (gws_head_parse(&h, bytes, n) != NULL)
        return;
    must(gws_path_valid(h.path));
    must(h.count <= GWS_HEADERS_MAX && gws_head_find(&h, "Transfer-Encoding") == NULL);
    must(h.length == 0 || gws_head_find(&h, "Content-Length") != NULL);
    if (gws_path_match("/a/{}/{}", h.path, store, argument))
        must(strchr(argument[0], '/') == NULL && strcmp(argument[1], "..") != 0);
    (void)gws_query_parse(&q, h.query);
}

static void fuzz_head(const uint8_t *p, size_t n)
{
    char *text = copy(p, n);
    size_t scanned = 0, whole = 0;
    long end = gws_head_end(text, n, &whole), again = 0;
    for (size_t i = 1; i <= n && again == 0; i++) /* byte by byte it ends at the same place */
        again = gws_head_end(text, i, &scanned);
    must(again == end);
    if (end > 0) {
        char *head = malloc((size_t)end);
        must(head != NULL);
        memcpy(head, p, (size_t)end);
        one_head(head, (size_t)end);
        free(head);
    }
    free(text);
}

static void fuzz_path(const uint8_t *p, size_t n)
{
    char *text = copy(p, n);
    char *store = malloc(GWS_PATH_MAX + 1 + GWS_ARGUMENTS_MAX);
    const char *argument[GWS_ARGUMENTS_MAX];
    must(store != NULL);
    if (gws_path_valid(text)) {
        must(strlen(text) <= GWS_PATH_MAX && strpbrk(text, "%\\ \t\r\n#?") == NULL && strstr(text, "//") == NULL);
        must(strstr(text, "/../") == NULL && strstr(text, "/./") == NULL);
        (void)gws_path_match("/{}/{}/{}", text, store, argument);
        (void)gws_path_match("/{}/{}/{}/{}", text, store, argument);
        must(strstr(text, "{}") != NULL || gws_path_match(text, text, store, argument));
    }
    free(store);
    free(text);
}

static void fuzz_query(const uint8_t *p, size_t n)
{
    char *text = copy(p, n);
    struct gws_query q;
    if (gws_query_parse(&q, text))
        for (size_t i = 0; i < q.count; i++)
            for (const char *c = q.item[i].value; *c != '\0'; c++)
                must((unsigned char)*c >= ' ' && *c != 0x7f);
    free(text);
}

static void fuzz_range(const uint8_t *p, size_t n)
{
    char *text = copy(p, n);
    static const uint64_t sizes[] = { 0, 1, 1000, UINT64_MAX };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t first = 0, last = 0;
        if (gws_range_parse(text, sizes[i], &first, &last) == GWS_RANGE_ONE)
            must(first <= last && last < sizes[i]);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static void (*const kinds[])(const uint8_t *, size_t) = { fuzz_head, fuzz_path, fuzz_query, fuzz_range };
    if (n > 0 && n < 20000)
        kinds[p[0] % 4](p + 1, n - 1);
    return 0;
}
