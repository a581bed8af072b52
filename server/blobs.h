/*
 * blobs.h - payload files by their SHA-256, in a folder: DATA/blobs/<2 hex>/<64 hex>.
 *
 * Keeps true: a file under its name is whole, has that digest, and was fsynced before anybody was told; files never
 * change. Uploads grow in DATA/uploads/ and are resumable; what is not finished within a day is removed.
 */
#ifndef GWS_BLOBS_H
#define GWS_BLOBS_H

#include "error.h"
#include "file.h"

struct gws_blobs {
    char folder[GWH_PATH_MAX];
};
int gws_blobs_open(struct gws_blobs *b, const char *data, struct gwh_error *err);
int gws_blob_path(char out[GWH_PATH_MAX], const struct gws_blobs *b, const uint8_t name[32]);
/* Bytes, or -1: it is not there. */
int64_t gws_blob_size(const struct gws_blobs *b, const uint8_t name[32]);
/* Open read-only; -1 if it is not there. *size: bytes. */
int gws_blob_fd(const struct gws_blobs *b, const uint8_t name[32], uint64_t *size);

/* An upload of a blob of this name and size: bytes that are there already (0: new). May be called while another thread
 * is in one of the two below, which only one thread calls. */
int gws_upload_begin(const struct gws_blobs *b, const uint8_t name[32], uint64_t size, uint64_t *there,
                     struct gwh_error *err);
/* Appends at `offset`, which must be what is there (GWH_REFUSED with *there otherwise); durable when it returns. */
int gws_upload_put(const struct gws_blobs *b, const uint8_t name[32], uint64_t offset, struct gw_span bytes,
                   uint64_t *there, struct gwh_error *err);
/* All of it is there: checks the digest; then it is a blob. GW_ERR_FRAME_HASH as reason: another file; dropped. */
int gws_upload_finish(const struct gws_blobs *b, const uint8_t name[32], uint64_t size, struct gwh_error *err);
/* Removes stale uploads, and blobs for which `needed` says false and that are older than an hour. Returns how many. */
unsigned gws_blobs_collect(const struct gws_blobs *b, bool (*needed)(void *ctx, const uint8_t name[32]), void *ctx);

#endif
