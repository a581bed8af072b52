/*
 * file.h - whole files in and out.
 *
 * A file that is written appears under its name complete and durable, or not at all: written beside it, fsynced, then
 * linked or renamed. Nothing is overwritten unless `force` says so.
 */
#ifndef GWH_FILE_H
#define GWH_FILE_H

#include <sys/types.h>

#include "encode.h"
#include "error.h"

/* Reads all of `path`, at most `max` bytes (more: GW_ERR_LIMIT). Appends to `out`. */
int gwh_file_read(struct gwh_buf *out, const char *path, size_t max, struct gwh_error *err);
/* Writes it; `mode` as in open(2). */
int gwh_file_write(const char *path, struct gw_span bytes, mode_t mode, bool force, struct gwh_error *err);
/* A file of `size` bytes that holds these parts, in ascending order; what is between them are holes, and reads as 0. */
struct gwh_part {
    uint64_t at;
    struct gw_span bytes;
};
int gwh_file_write_parts(const char *path, const struct gwh_part *part, size_t count, uint64_t size, mode_t mode,
                         bool force, struct gwh_error *err);
/* A mode without what the umask takes away. */
mode_t gwh_mode(mode_t mode);
/* Makes a folder; that it exists is fine. */
int gwh_folder_make(const char *path, struct gwh_error *err);
bool gwh_file_exists(const char *path);
bool gwh_is_folder(const char *path);
/* "folder/name"; GWH_IO when it does not fit. */
#define GWH_PATH_MAX 1024
int gwh_path(char out[GWH_PATH_MAX], const char *folder, const char *name, struct gwh_error *err);
/* 2 * n characters and a zero. */
void gwh_hex(char *out, const uint8_t *p, size_t n);
/* Exactly 2 * n hexadecimal digits. */
bool gwh_unhex(uint8_t *out, size_t n, const char *text);

#endif
