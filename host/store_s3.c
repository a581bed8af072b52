/*
 * store_s3.c - a repository in a bucket: a PUT is whole or not at all, and what was put carries its SHA-256 as metadata
 * (x-amz-meta-sha256), which tells without fetching it whether it is there. See publish_store.h.
 *
 * There is no lock: of two publishers of one class at the same time, the last PUT of the offer stays.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "file.h"
#include "s3.h"

#define PAGE_MAX (4u * 1024u * 1024u) /* of a listing: 1000 keys of at most 1024 bytes, escaped, and what is around */
#define PAGES_MAX 1000u

static int look(void *ctx, const char *name, bool digest, struct gwh_stored *out, struct gwh_error *err)
{
    struct gwh_s3_request q = {.method = "HEAD", .name = name, .may_miss = true};
    struct gwh_s3_answer a = {0};
    memset(out, 0, sizeof *out);
    int e = gwh_store_check_name(name, err);
    e = e == GWH_OK ? gwh_s3_send(ctx, &q, &a, err) : e;
    if (e == GWH_OK && a.status != 404) {
        out->there = true;
        out->size = a.size;
        out->digest_known = digest && gwh_unhex(out->digest, 32, a.digest);
    }
    gwh_buf_free(&a.body);
    return e;
}

static int get(void *ctx, const char *name, size_t max, struct gwh_buf *out, struct gwh_error *err)
{
    struct gwh_s3_request q = {.method = "GET", .name = name, .max = max, .may_miss = true};
    struct gwh_s3_answer a = {0};
    int e = gwh_store_check_name(name, err);
    e = e == GWH_OK ? gwh_s3_send(ctx, &q, &a, err) : e;
    if (e == GWH_OK && a.status != 404 && gwh_buf_add(out, a.body.p, a.body.n) != GW_OK) {
        e = gwh_fail_reason(err, GW_ERR_SPACE, "%s", name);
    }
    gwh_buf_free(&a.body);
    return e;
}

static int put(void *ctx, const struct gwh_item *item, struct gwh_error *err)
{
    struct gwh_s3_request q = {.method = "PUT", .name = item->name, .item = item, .max = PAGE_MAX};
    struct gwh_s3_answer a = {0};
    int e = gwh_store_check_name(item->name, err);
    if (e == GWH_OK && item->size > GWH_S3_PUT_MAX) {
        e = gwh_fail(err, GWH_REFUSED, "%s is over 5 GB: such a service does not take it in one PUT", item->name);
    }
    e = e == GWH_OK ? gwh_s3_send(ctx, &q, &a, err) : e;
    gwh_buf_free(&a.body);
    return e;
}

/* ---- list -------------------------------------------------------------------------------------------------------- */

struct listing {
    struct gwh_s3 *s3;
    const char *prefix;
    int (*each)(void *ctx, const char *name, uint64_t size);
    void *ctx;
    bool more;
    char after[1100]; /* the last key of the pages so far: the next page begins behind it */
};

static bool equals(struct gw_span text, const char *what)
{
    return text.n == strlen(what) && memcmp(text.p, what, text.n) == 0;
}

/* Keys are passed on as they stand in the XML: those of a repository need no escapes, others are no concern of ours. */
static int take_entry(struct listing *l, struct gw_span entry)
{
    char name[GWH_STORE_NAME_MAX];
    size_t at = 0, n = strlen(l->s3->prefix);
    struct gw_span key = gwh_s3_element(entry, "Key", &at);
    at = 0;
    struct gw_span size = gwh_s3_element(entry, "Size", &at);
    if (key.n <= n || key.n - n >= sizeof name || memcmp(key.p, l->s3->prefix, n) != 0) {
        return GWH_OK;
    }
    memcpy(name, key.p + n, key.n - n);
    name[key.n - n] = '\0';
    uint64_t bytes = 0;
    for (size_t i = 0; i < size.n && size.p[i] >= '0' && size.p[i] <= '9' && bytes < UINT64_MAX / 16; i++) {
        bytes = bytes * 10 + (size.p[i] - '0');
    }
    return l->each(l->ctx, name, bytes);
}

/* The character that an XML escape at the start of `text` stands for, and its length; 0: it is none that is known. */
static size_t unescape(char *out, const char *text)
{
    static const struct {
        const char *name;
        char is;
    } known[] = {{"&amp;", '&'},  {"&lt;", '<'},   {"&gt;", '>'},   {"&quot;", '"'},  {"&apos;", '\''},
                 {"&#34;", '"'},  {"&#39;", '\''}, {"&#43;", '+'},  {"&#x2B;", '+'},  {"&#x2F;", '/'},
                 {"&#x3D;", '='}, {"&#61;", '='},  {"&#47;", '/'},  {"&#38;", '&'},   {"&#x26;", '&'}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t n = strlen(known[i].name);
        if (strncasecmp(text, known[i].name, n) == 0) {
            *out = known[i].is;
            return n;
        }
    }
    return 0;
}

/* In place. False: an escape that is not known. */
static bool unescape_all(char *text)
{
    char *out = text;
    while (*text != '\0') {
        size_t n = 1;
        if (*text == '&') {
            n = unescape(out, text);
        } else {
            *out = *text;
        }
        if (n == 0) {
            return false;
        }
        text += n;
        out++;
    }
    *out = '\0';
    return true;
}

/* Pages follow each other by key (start-after), not by the service's token: a token may hold '+', and libcurl 8.14
 * signs a '+' in a query as if it were a blank. Keys of a repository hold nothing that is escaped. */
static int take_end(struct listing *l, struct gw_span xml, struct gw_span last, struct gwh_error *err)
{
    char before[sizeof l->after];
    size_t at = 0;
    struct gw_span key = gwh_s3_element(last, "Key", &at);
    at = 0;
    l->more = equals(gwh_s3_element(xml, "IsTruncated", &at), "true");
    memcpy(before, l->after, sizeof before);
    memset(l->after, 0, sizeof l->after);
    if (l->more && key.n < sizeof l->after) {
        memcpy(l->after, key.p, key.n);
    }
    if (l->more && (!unescape_all(l->after) || strcmp(l->after, before) <= 0)) {
        return gwh_fail(err, GWH_IO, "the service lists s3://%s in pages that do not follow each other",
                        l->s3->bucket);
    }
    return GWH_OK;
}

static int take_page(struct listing *l, struct gw_span xml, struct gwh_error *err)
{
    struct gw_span last = {NULL, 0};
    size_t at = 0;
    int e = GWH_OK;
    for (;;) {
        struct gw_span entry = gwh_s3_element(xml, "Contents", &at);
        if (e != GWH_OK || entry.n == 0) {
            return e == GWH_OK ? take_end(l, xml, last, err) : e;
        }
        last = entry;
        e = take_entry(l, entry);
    }
}

static bool page_query(const struct listing *l, char query[GWH_S3_QUERY_MAX])
{
    char full[sizeof l->s3->prefix + GWH_STORE_NAME_MAX];
    (void)snprintf(full, sizeof full, "%s%s", l->s3->prefix, l->prefix);
    char *prefix = curl_easy_escape(l->s3->curl, full, 0), *after = curl_easy_escape(l->s3->curl, l->after, 0);
    int n = prefix == NULL || after == NULL ? -1
                                            : snprintf(query, GWH_S3_QUERY_MAX, "list-type=2&prefix=%s%s%s", prefix,
                                                       l->after[0] != '\0' ? "&start-after=" : "", after);
    curl_free(prefix);
    curl_free(after);
    return n > 0 && (unsigned)n < GWH_S3_QUERY_MAX;
}

static int list(void *ctx, const char *prefix, int (*each)(void *ctx, const char *name, uint64_t size), void *each_ctx,
                struct gwh_error *err)
{
    struct listing l = {.s3 = ctx, .prefix = prefix, .each = each, .ctx = each_ctx};
    char query[GWH_S3_QUERY_MAX];
    int e = GWH_OK;
    for (unsigned page = 0; e == GWH_OK && (page == 0 || l.more); page++) {
        struct gwh_s3_request q = {.method = "GET", .query = query, .max = PAGE_MAX};
        struct gwh_s3_answer a = {0};
        if (page == PAGES_MAX || !page_query(&l, query)) {
            return gwh_fail_reason(err, GW_ERR_LIMIT, "the listing of s3://%s", l.s3->bucket);
        }
        e = gwh_s3_send(l.s3, &q, &a, err);
        e = e == GWH_OK ? take_page(&l, gwh_span(&a.body), err) : e;
        gwh_buf_free(&a.body);
    }
    return e;
}

static void free_bucket(void *ctx)
{
    gwh_s3_close(ctx);
    free(ctx);
}

int gwh_store_open_s3(struct gwh_store *store, const char *where, struct gwh_error *err)
{
    struct gwh_s3 *s3 = calloc(1, sizeof *s3);
    if (s3 == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "%s", where);
    }
    *store = (struct gwh_store){s3, look, get, put, list, free_bucket};
    return gwh_s3_open(s3, where, err);
}
