/*
 * publish_store.c - what all stores share: which one, names that are taken, and the bytes of an item on their way. See
 * publish_store.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys.h"
#include "publish_store.h"

int gwh_store_open(struct gwh_store *store, const char *where, bool write, struct gwh_error *err)
{
    memset(store, 0, sizeof *store);
    if (strncmp(where, "s3:", 3) == 0) {
        return gwh_store_open_s3(store, where, err);
    }
    const char *scheme = strstr(where, "://");
    if (scheme != NULL && strchr(where, '/') > scheme) {
        (void)gwh_fail(err, GWH_USAGE, "%.200s is neither a folder nor a bucket", where);
        return gwh_hint(err, "name a folder, or s3://bucket/prefix with AWS_ENDPOINT_URL saying where the service is");
    }
    return gwh_store_open_folder(store, where, write, err);
}

void gwh_store_close(struct gwh_store *store)
{
    if (store->free != NULL) {
        store->free(store->ctx);
    }
    memset(store, 0, sizeof *store);
}

bool gwh_store_name_ok(const char *name)
{
    static const struct {
        const char *folder, *end;
        size_t digits;
    } kinds[] = {{"offers/", "", 32}, {"payloads/", "", 64}, {"releases/", ".json", 64}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t n = strlen(kinds[i].folder);
        if (strncmp(name, kinds[i].folder, n) == 0 && strspn(name + n, "0123456789abcdef") == kinds[i].digits) {
            return strcmp(name + n + kinds[i].digits, kinds[i].end) == 0;
        }
    }
    return false;
}

int gwh_store_check_name(const char *name, struct gwh_error *err)
{
    return gwh_store_name_ok(name) ? GWH_OK : gwh_fail(err, GWH_IO, "%.100s is no name of a file here", name);
}

/* ---- Bytes on their way ------------------------------------------------------------------------------------------ */

static int start(struct gwh_source *s, struct gwh_error *err)
{
    const struct gw_crypto *c = gwh_openssl()->gw;
    s->at = 0;
    return c->sha256_start(c->ctx, &s->sha) == 0 ? GWH_OK : gwh_fail_reason(err, GW_ERR_CRYPTO, "%s", s->item->name);
}

static int differs(const struct gwh_source *s, struct gwh_error *err)
{
    (void)gwh_fail(err, GWH_REFUSED, "%s is not what was to be published as %s: it changed meanwhile",
                   s->item->path != NULL ? s->item->path : "the file", s->item->name);
    return gwh_hint(err, "build the release again, or restore the file; nothing was replaced");
}

int gwh_source_open(struct gwh_source *s, const struct gwh_item *item, struct gwh_error *err)
{
    struct stat st;
    *s = (struct gwh_source){.item = item, .fd = -1};
    if (item->path == NULL) {
        return start(s, err);
    }
    s->fd = open(item->path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &st) != 0) {
        return gwh_fail_errno(err, "cannot open %s", item->path);
    }
    if (!S_ISREG(st.st_mode)) {
        return gwh_fail(err, GWH_IO, "%s is no regular file", item->path);
    }
    return (uint64_t)st.st_size == item->size ? start(s, err) : differs(s, err);
}

static ssize_t read_some(struct gwh_source *s, uint8_t *out, size_t room)
{
    ssize_t n;
    if (s->fd < 0) {
        memcpy(out, s->item->bytes.p + s->at, room);
        return (ssize_t)room;
    }
    do {
        n = pread(s->fd, out, room, (off_t)s->at);
    } while (n < 0 && errno == EINTR);
    return n;
}

int gwh_source_read(struct gwh_source *s, uint8_t *out, size_t room, size_t *n, struct gwh_error *err)
{
    const struct gw_crypto *c = gwh_openssl()->gw;
    uint64_t left = s->item->size - s->at;
    uint8_t digest[32];
    *n = 0;
    if (left == 0) {
        return GWH_OK;
    }
    ssize_t got = read_some(s, out, room < left ? room : (size_t)left);
    if (got < 0) {
        return gwh_fail_errno(err, "cannot read %s", s->item->path);
    }
    if (got == 0) {
        return differs(s, err);
    }
    if (c->sha256_update(c->ctx, &s->sha, out, (size_t)got) != 0) {
        return gwh_fail_reason(err, GW_ERR_CRYPTO, "%s", s->item->name);
    }
    s->at += (uint64_t)got;
    if (s->at == s->item->size) {
        if (c->sha256_finish(c->ctx, &s->sha, digest) != 0) {
            return gwh_fail_reason(err, GW_ERR_CRYPTO, "%s", s->item->name);
        }
        if (memcmp(digest, s->item->digest, 32) != 0) {
            return differs(s, err);
        }
    }
    *n = (size_t)got;
    return GWH_OK;
}

int gwh_source_rewind(struct gwh_source *s, struct gwh_error *err)
{
    return start(s, err);
}

void gwh_source_close(struct gwh_source *s)
{
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    s->fd = -1;
}
