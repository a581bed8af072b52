/*
 * publish_store.h - where the files of a static repository go: a folder, or a bucket of an S3-compatible service.
 *
 * Names are relative and of three kinds, "offers/HEX", "payloads/HEX", "releases/HEX.json": a store takes no other.
 * What is put appears under its name whole and durable, or not at all; a put that fails leaves what was there before.
 */
#ifndef GWH_PUBLISH_STORE_H
#define GWH_PUBLISH_STORE_H

#include "encode.h"
#include "error.h"

#define GWH_STORE_NAME_MAX 96u /* bytes of a name, with its zero */

/* What lies under a name. */
struct gwh_stored {
    bool there;
    bool digest_known; /* asked for, and can be told without fetching the file over a network */
    uint64_t size;
    uint8_t digest[32]; /* SHA-256 */
};

/* What is put. While it is copied its size and digest are checked: what differs does not appear. */
struct gwh_item {
    const char *name;
    const char *path;     /* from this file; NULL: from `bytes` */
    struct gw_span bytes; /* path NULL */
    uint64_t size;
    uint8_t digest[32];   /* SHA-256 */
    const char *type;     /* media type, for stores that tell it to clients */
    bool immutable;       /* never changes under this name: caches may keep it */
};

struct gwh_store {
    void *ctx;
    int (*look)(void *ctx, const char *name, bool digest, struct gwh_stored *out, struct gwh_error *err);
    /* Appends the file, of at most `max` bytes (more: GW_ERR_LIMIT); one that is not there: nothing, GWH_OK. */
    int (*get)(void *ctx, const char *name, size_t max, struct gwh_buf *out, struct gwh_error *err);
    int (*put)(void *ctx, const struct gwh_item *item, struct gwh_error *err);
    /* Every file whose name begins with `prefix` ("offers/"), in no order, until `each` fails. Names are as they were
     * found: judge them. */
    int (*list)(void *ctx, const char *prefix, int (*each)(void *ctx, const char *name, uint64_t size), void *each_ctx,
                struct gwh_error *err);
    void (*free)(void *ctx);
};

/*
 * "DIR", or "s3://bucket/prefix". write: a folder is made if need be, and held against other publishers until it is
 * closed; else nothing is changed, and a folder that is not there is an empty one.
 *
 * A bucket is found by AWS_ENDPOINT_URL (https; http only to this machine), AWS_REGION, AWS_ACCESS_KEY_ID,
 * AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_CA_BUNDLE.
 */
int gwh_store_open(struct gwh_store *store, const char *where, bool write, struct gwh_error *err);
/* Also of a store that was never opened (all-zero). */
void gwh_store_close(struct gwh_store *store);

/* For stores. */
int gwh_store_open_folder(struct gwh_store *store, const char *where, bool write, struct gwh_error *err);
int gwh_store_open_s3(struct gwh_store *store, const char *where, struct gwh_error *err);
bool gwh_store_name_ok(const char *name);
int gwh_store_check_name(const char *name, struct gwh_error *err);

/* The bytes of an item, read once from start to end and compared with what they should be. Not to be moved. */
struct gwh_source {
    const struct gwh_item *item;
    int fd; /* -1: from memory */
    uint64_t at;
    struct gw_sha256 sha;
};
int gwh_source_open(struct gwh_source *s, const struct gwh_item *item, struct gwh_error *err);
/* At most `room` bytes; *n 0: this was all, and it is what it should be. The last bytes are not handed out before. */
int gwh_source_read(struct gwh_source *s, uint8_t *out, size_t room, size_t *n, struct gwh_error *err);
int gwh_source_rewind(struct gwh_source *s, struct gwh_error *err);
void gwh_source_close(struct gwh_source *s);

#endif
