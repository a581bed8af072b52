/*
 * test_blobs.c - payload files of the server: resumable uploads, digests, what is collected, faults of the disk.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "blobs.h"
#include "keys.h"

static struct gws_blobs blobs;
static char folder[200];
static uint8_t content[10000], name[32];

static int start(void **state)
{
    const char *tmp = getenv("GODWIT_TMP");
    struct gwh_error err = {0};
    (void)state;
    snprintf(folder, sizeof folder, "%s/blobs.XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof content; i++) {
        content[i] = (uint8_t)(i * 7 + i / 256);
    }
    assert_int_equal(gw_sha256(gwh_openssl()->gw, content, sizeof content, name), GW_OK);
    assert_int_equal(gws_blobs_open(&blobs, folder, &err), GWH_OK);
    return 0;
}

static int stop(void **state)
{
    char command[300];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static int put(uint64_t offset, size_t n, uint64_t *there)
{
    struct gwh_error err = {0};
    return gws_upload_put(&blobs, name, offset, (struct gw_span){content + offset, n}, there, &err);
}

static void upload_path(char out[400])
{
    char hex[65];
    gwh_hex(hex, name, 32);
    snprintf(out, 400, "%s/uploads/%s", folder, hex);
}

static void an_upload_grows_in_parts_and_becomes_a_blob(void **state)
{
    struct gwh_error err = {0};
    uint64_t there = 99, size = 0;
    (void)state;
    assert_int_equal(gws_upload_begin(&blobs, name, sizeof content, &there, &err), GWH_OK);
    assert_int_equal(there, 0);
    assert_int_equal(put(0, 4000, &there), GWH_OK);
    assert_int_equal(there, 4000);
    assert_int_equal(put(0, 4000, &there), GWH_REFUSED); /* again: not at the end */
    assert_int_equal(there, 4000);
    assert_int_equal(put(5000, 10, &there), GWH_REFUSED);
    assert_int_equal(gws_upload_finish(&blobs, name, sizeof content, &err), GWH_REFUSED); /* too soon */
    memset(&err, 0, sizeof err);
    assert_int_equal(gws_upload_begin(&blobs, name, sizeof content, &there, &err), GWH_OK); /* resumed */
    assert_int_equal(there, 4000);
    assert_int_equal(put(4000, 6000, &there), GWH_OK);
    assert_int_equal(gws_blob_size(&blobs, name), -1); /* not before it is checked */
    assert_int_equal(gws_upload_finish(&blobs, name, sizeof content, &err), GWH_OK);
    assert_int_equal(gws_blob_size(&blobs, name), sizeof content);
    assert_int_equal(gws_upload_finish(&blobs, name, sizeof content, &err), GWH_OK); /* again */
    assert_int_equal(gws_upload_begin(&blobs, name, sizeof content, &there, &err), GWH_OK);
    assert_int_equal(there, sizeof content);
    int fd = gws_blob_fd(&blobs, name, &size);
    assert_true(fd >= 0);
    assert_int_equal(size, sizeof content);
    uint8_t *back = malloc(size);
    assert_int_equal(read(fd, back, size), (ssize_t)size);
    assert_memory_equal(back, content, size);
    free(back);
    close(fd);
}

static void another_file_is_dropped(void **state)
{
    struct gwh_error err = {0};
    uint64_t there;
    (void)state;
    assert_int_equal(gws_upload_begin(&blobs, name, sizeof content, &there, &err), GWH_OK);
    content[77] ^= 1;
    assert_int_equal(put(0, sizeof content, &there), GWH_OK);
    content[77] ^= 1;
    assert_int_equal(gws_upload_finish(&blobs, name, sizeof content, &err), GWH_REFUSED);
    assert_int_equal(err.reason, GW_ERR_FRAME_HASH);
    assert_int_equal(gws_blob_size(&blobs, name), -1);
    memset(&err, 0, sizeof err);
    assert_int_equal(put(0, 10, &there), GWH_REFUSED); /* it has to be begun again */
    assert_int_equal(gws_upload_begin(&blobs, name, sizeof content, &there, &err), GWH_OK);
    assert_int_equal(there, 0);
}

static void an_upload_that_is_too_long_begins_again(void **state)
{
    struct gwh_error err = {0};
    uint64_t there;
    (void)state;
    assert_int_equal(gws_upload_begin(&blobs, name, sizeof content, &there, &err), GWH_OK);
    assert_int_equal(put(0, 600, &there), GWH_OK);
    assert_int_equal(gws_upload_begin(&blobs, name, 500, &there, &err), GWH_OK);
    assert_int_equal(there, 0);
}

/* A release that names the payload with another size begins while the first one's is being checked. */
static void what_is_being_checked_is_not_cut_off(void **state)
{
    struct gwh_error err = {0};
    uint64_t there;
    char path[400];
    (void)state;
    assert_int_equal(gws_upload_begin(&blobs, name, sizeof content, &there, &err), GWH_OK);
    assert_int_equal(put(0, sizeof content, &there), GWH_OK);
    upload_path(path);
    int fd = open(path, O_RDONLY);
    assert_int_equal(flock(fd, LOCK_EX), 0); /* as gws_upload_finish() in its thread */
    assert_int_equal(gws_upload_begin(&blobs, name, 500, &there, &err), GWH_REFUSED);
    assert_non_null(strstr(err.text, "try again"));
    memset(&err, 0, sizeof err);
    assert_int_equal(gws_upload_begin(&blobs, name, sizeof content, &there, &err), GWH_OK); /* cuts nothing off */
    assert_int_equal(there, sizeof content);
    close(fd);
    assert_int_equal(gws_upload_finish(&blobs, name, sizeof content, &err), GWH_OK);
    fd = gws_blob_fd(&blobs, name, &there);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0); /* it was let go */
    close(fd);
}

static void links_are_not_followed(void **state)
{
    struct gwh_error err = {0};
    char path[400], secret[400];
    uint64_t there;
    (void)state;
    snprintf(secret, sizeof secret, "%s/secret", folder);
    int fd = open(secret, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    upload_path(path);
    assert_int_equal(symlink(secret, path), 0);
    assert_int_equal(gws_upload_begin(&blobs, name, sizeof content, &there, &err), GWH_IO);
    memset(&err, 0, sizeof err);
    assert_int_equal(gws_upload_put(&blobs, name, 0, (struct gw_span){content, 10}, &there, &err), GWH_IO);
    memset(&err, 0, sizeof err);
    assert_int_equal(gws_upload_finish(&blobs, name, 10, &err), GWH_IO);
    struct stat st;
    assert_int_equal(stat(secret, &st), 0);
    assert_int_equal(st.st_size, 0);
}

static void a_full_disk_leaves_what_was_acknowledged(void **state)
{
    struct rlimit was, low;
    struct gwh_error err = {0};
    uint64_t there;
    (void)state;
    assert_int_equal(gws_upload_begin(&blobs, name, sizeof content, &there, &err), GWH_OK);
    assert_int_equal(put(0, 4000, &there), GWH_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    signal(SIGXFSZ, SIG_IGN);
    low = was;
    low.rlim_cur = 6000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    int e = put(4000, 6000, &there);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(e, GWH_IO);
    assert_int_equal(gws_upload_begin(&blobs, name, sizeof content, &there, &err), GWH_OK);
    assert_int_equal(there, 4000); /* the part that came in part is gone */
    assert_int_equal(put(4000, 6000, &there), GWH_OK);
    assert_int_equal(gws_upload_finish(&blobs, name, sizeof content, &err), GWH_OK);
}

static void make_old(const char *path, time_t age)
{
    struct timespec t[2] = {{.tv_sec = time(NULL) - age}, {.tv_sec = time(NULL) - age}};
    assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static bool needed(void *ctx, const uint8_t blob[32])
{
    return *(bool *)ctx && memcmp(blob, name, 32) == 0;
}

static void what_nobody_needs_is_collected(void **state)
{
    struct gwh_error err = {0};
    char path[GWH_PATH_MAX], upload[400], foreign[400];
    uint64_t there;
    bool keep = true;
    (void)state;
    assert_int_equal(gws_upload_begin(&blobs, name, sizeof content, &there, &err), GWH_OK);
    upload_path(upload);
    assert_int_equal(gws_blobs_collect(&blobs, needed, &keep), 0);
    make_old(upload, 25 * 3600);
    snprintf(foreign, sizeof foreign, "%s/uploads/README", folder);
    close(open(foreign, O_CREAT | O_WRONLY, 0600));
    make_old(foreign, 99 * 3600);
    assert_int_equal(gws_blobs_collect(&blobs, needed, &keep), 1);
    assert_int_equal(access(upload, F_OK), -1);
    assert_int_equal(access(foreign, F_OK), 0);

    assert_int_equal(gws_upload_begin(&blobs, name, sizeof content, &there, &err), GWH_OK);
    assert_int_equal(put(0, sizeof content, &there), GWH_OK);
    assert_int_equal(gws_upload_finish(&blobs, name, sizeof content, &err), GWH_OK);
    assert_int_equal(gws_blob_path(path, &blobs, name), GWH_OK);
    make_old(path, 2 * 3600);
    assert_int_equal(gws_blobs_collect(&blobs, needed, &keep), 0);
    keep = false;
    /* Begun again for another release: it is young again. */
    assert_int_equal(gws_upload_begin(&blobs, name, sizeof content, &there, &err), GWH_OK);
    assert_int_equal(gws_blobs_collect(&blobs, needed, &keep), 0);
    make_old(path, 2 * 3600);
    assert_int_equal(gws_blobs_collect(&blobs, needed, &keep), 1);
    assert_int_equal(gws_blob_size(&blobs, name), -1);
    uint64_t size;
    assert_int_equal(gws_blob_fd(&blobs, name, &size), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_upload_grows_in_parts_and_becomes_a_blob, start, stop),
        cmocka_unit_test_setup_teardown(another_file_is_dropped, start, stop),
        cmocka_unit_test_setup_teardown(an_upload_that_is_too_long_begins_again, start, stop),
        cmocka_unit_test_setup_teardown(what_is_being_checked_is_not_cut_off, start, stop),
        cmocka_unit_test_setup_teardown(links_are_not_followed, start, stop),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_what_was_acknowledged, start, stop),
        cmocka_unit_test_setup_teardown(what_nobody_needs_is_collected, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
