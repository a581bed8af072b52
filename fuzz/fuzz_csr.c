/*
 * fuzz_csr.c - a request for a device's certificate, as a device hands it in: PEM, or DER that is put into PEM here, so
 * flips reach the ASN.1. What is taken is for one device, by its own P-256 key; asked for by name it is the same.
 */
#define _GNU_SOURCE /* memfd_create */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "fuzz_formats.h"
#include "pki.h"

#define DER_SEQUENCE 0x30u

static int make_file(const uint8_t *data, size_t size)
{
    int fd = memfd_create("csr", 0);
    MUST(fd >= 0);
    if (size > 0 && data[0] == DER_SEQUENCE) {
        FILE *f = fdopen(dup(fd), "w");
        MUST(f != NULL && PEM_write(f, PEM_STRING_X509_REQ, "", data, (long)size) > 0);
        MUST(fclose(f) == 0);
    } else {
        MUST(write(fd, data, size) == (ssize_t)size);
    }
    return fd;
}

static int read_request(struct gwh_key *key, char out[GW_DEVICE_ID_MAX + 1], const char *path, const char *id)
{
    struct gwh_error err = {0};
    int e = gwh_csr_read(key, out, path, id, &err);
    MUST(e == GWH_OK ? err.text[0] == '\0' : err.text[0] != '\0' && e == err.exit);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gwh_key key, again;
    char path[40], id[GW_DEVICE_ID_MAX + 1], named[GW_DEVICE_ID_MAX + 1];
    struct gwh_error err = {0};
    int fd = make_file(data, size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (read_request(&key, id, path, NULL) == GWH_OK) {
        MUST(gwh_device_id_check(id, &err) == GWH_OK && strcmp(id, "server") != 0);
        MUST(key.pub.algorithm == GW_ALG_ES256 && !key.is_private);
        MUST(read_request(&again, named, path, id) == GWH_OK && strcmp(id, named) == 0);
        MUST(memcmp(key.bytes, again.bytes, 64) == 0);
        gwh_key_free(&again);
        MUST(read_request(&again, named, path, "another device") != GWH_OK);
        gwh_key_free(&again);
    }
    gwh_key_free(&key);
    (void)close(fd);
    return 0;
}
