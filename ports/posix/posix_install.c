/*
 * posix_install.c - a release folder goes into a device: the loop of install.h with files as the network.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fcntl.h>

#include "cbor.h"
#include "patch.h"
#include "posix_device.h"
#include "store.h"

struct running {
    struct gwp_device *device;
    struct gwh_release release;
    struct gw_release offered;
    struct gw_install_config config;
    struct gw_install inst;
    uint8_t buffer[GW_INSTALL_BUFFER];
    uint64_t fetched; /* bytes that were pushed */
    const struct gwp_install *how;
    struct gwh_error *err;
    struct gw_decoding decoding;
    uint64_t decoder[20u * 1024u / 8u]; /* room for every profile */
};

static void tell(const struct running *r, const char *format, ...) GWH_PRINTF(2, 3);
static void tell(const struct running *r, const char *format, ...)
{
    char line[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (r->how->tell != NULL) {
        r->how->tell(line);
    }
}

static void passed(void *ctx, uint32_t component, uint32_t variant, uint32_t payload, int reason)
{
    const struct running *r = ctx;
    (void)payload;
    tell(r, "passed over: component %u, variant %d: %s", (unsigned)component, (int)variant, gw_error_name(reason));
}

/* ---- Grants: of many in a folder, those for this device ---------------------------------------------------------- */

/* Is `kid` one of the device's keys? Walks items 8 and 9 of its identity. */
static bool has_key(struct gw_span identity, const char *hex)
{
    struct gw_cbor c;
    struct gw_cbor_map map;
    int64_t key;
    char name[2 * 32 + 1];
    bool found = false;
    gw_cbor_init(&c, identity.p, identity.n);
    gw_cbor_map(&c, &map);
    while (gw_cbor_next(&c, &map, &key)) {
        uint32_t n = key == 8 || key == 9 ? gw_cbor_array(&c) : 0;
        if (key != 8 && key != 9) {
            (void)gw_cbor_item(&c);
        }
        for (uint32_t i = 0; i < n && c.error == GW_OK; i++) {
            (void)gw_cbor_array(&c);
            struct gw_span kid = gw_cbor_bytes(&c);
            (void)gw_cbor_bytes(&c);
            if (kid.n <= 32) {
                gwh_hex(name, kid.p, kid.n);
                found = found || strncmp(hex, name, strlen(name)) == 0;
            }
        }
    }
    return found;
}

static void choose_grants(struct running *r)
{
    uint8_t bytes[GW_IDENTITY_MAX];
    uint32_t n = 0;
    if (gw_store_read(r->device->dev.flash, r->device->dev.layout->identity, bytes, sizeof bytes, &n) != GW_OK) {
        n = 0;
    }
    for (size_t i = 0; i < r->release.grant_count && r->offered.grant_count < GW_GRANTS_MAX; i++) {
        if (has_key((struct gw_span){bytes, n}, r->release.grants[i].name)) {
            r->offered.grant[r->offered.grant_count++] = gwh_span(&r->release.grants[i].bytes);
        }
    }
    gw_wipe(bytes, sizeof bytes);
}

/* ---- The loop ---------------------------------------------------------------------------------------------------- */

static int fetch(struct running *r, const struct gw_want *want, uint8_t *bytes, size_t size, size_t *n)
{
    char path[GWH_PATH_MAX];
    int e = gwh_release_payload_path(path, &r->release, want->payload, r->err);
    if (e != GWH_OK) {
        return e;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return gwh_fail_errno(r->err, "cannot fetch %s", path);
    }
    ssize_t got = pread(fd, bytes, want->longest < size ? want->longest : size, (off_t)want->offset);
    close(fd);
    if (got < 0) {
        return gwh_fail_errno(r->err, "cannot fetch %s", path);
    }
    *n = (size_t)got;
    return GWH_OK;
}

/* Pushes what is wanted, up to one frame more than that. */
static int feed(struct running *r)
{
    uint8_t bytes[8192];
    struct gw_want want;
    size_t n = 0, used = 0;
    int e = gw_install_want(&r->inst, &want);
    if (e != GW_OK) {
        return gwh_fail_reason(r->err, e, "install");
    }
    e = fetch(r, &want, bytes, sizeof bytes, &n);
    if (e != GWH_OK) {
        return e;
    }
    int reason = n == 0 ? gw_install_end(&r->inst) : gw_install_push(&r->inst, bytes, n, &used);
    r->fetched += used;
    return reason == GW_OK ? GWH_OK : gwh_fail_reason(r->err, reason, "a payload of %s is refused", r->release.folder);
}

static int run(struct running *r)
{
    int e = GWH_OK;
    while (e == GWH_OK) {
        int status = gw_install_poll(&r->inst);
        if (status == GW_DONE) {
            return GWH_OK;
        }
        if (status == GW_WANT) {
            e = feed(r);
        } else if (status == GW_ERR_FRAME_HASH && r->inst.error == GW_OK) {
            tell(r, "a frame is not what was signed; fetched again");
        } else if (status < 0) {
            e = gwh_fail_reason(r->err, status, "the install stopped");
        }
    }
    return e;
}

static int fail_open(struct running *r, int reason)
{
    (void)gwh_fail_reason(r->err, reason, "%s is refused", r->release.folder);
    switch (reason) {
    case GW_ERR_NOT_CONFIRMED: return gwh_hint(r->err, "godwit-device confirm %s", r->device->folder);
    case GW_ERR_STATE: return gwh_hint(r->err, "godwit-device boot %s", r->device->folder);
    case GW_ERR_SIGNERS_FEW: return gwh_hint(r->err, "godwit release sign %s --key KEY.pem", r->release.folder);
    case GW_ERR_NO_KEY:
        return gwh_hint(r->err, "godwit release grant %s --to DEVICE.pub.pem --with KEY.pem", r->release.folder);
    default: return r->err->exit;
    }
}

static int open_install(struct running *r, const struct gw_handover *h)
{
    struct gw_progress progress;
    r->offered.manifest = gwh_span(&r->release.cose);
    r->offered.head = gwh_span(&r->release.head);
    choose_grants(r);
    r->decoding = (struct gw_decoding){&gw_patch_codec, r->decoder, sizeof r->decoder, gwh_isas};
    r->config = (struct gw_install_config){.dev = &r->device->dev,
                                           .buffer = r->buffer,
                                           .buffer_size = sizeof r->buffer,
                                           .decoding = &r->decoding,
                                           .recovery = h->recovery != 0 || h->slot > GW_SLOT_B,
                                           .running = (enum gw_slot)h->slot,
                                           .passed = passed,
                                           .ctx = r};
    int e = gw_install_open(&r->inst, &r->config, &r->offered);
    if (e != GW_OK) {
        return fail_open(r, e);
    }
    gw_install_progress(&r->inst, &progress);
    tell(r, "accepted: payloads of %u bytes go to slot %s", (unsigned)progress.total, gwp_slot_name(r->inst.slot));
    return GWH_OK;
}

static int install(struct running *r, const struct gw_handover *h)
{
    uint32_t slot;
    struct gw_progress progress;
    int e = gwp_device_mount(r->device, r->err);
    if (e == GWH_OK) {
        e = open_install(r, h);
    }
    if (e != GWH_OK) {
        return e;
    }
    slot = r->inst.slot;
    e = run(r);
    gw_install_progress(&r->inst, &progress);
    if (e == GWH_OK) {
        int reason = gw_install_finish(&r->inst);
        e = reason == GW_OK ? GWH_OK : gwh_fail_reason(r->err, reason, "the slot cannot be staged");
    } else {
        int settled = gw_install_abort(&r->inst, false);
        if (settled != GW_OK) {
            tell(r, "the journal could not be settled: %s", gw_error_name(settled));
        }
    }
    if (e == GWH_OK) {
        tell(r, "slot %s is STAGED: %llu bytes fetched now, %u given up by bad frames; %llu flash writes, %llu erases",
             gwp_slot_name(slot), (unsigned long long)r->fetched, (unsigned)progress.asked_again,
             (unsigned long long)r->device->flash.writes, (unsigned long long)r->device->flash.erases);
    }
    return e;
}

int gwp_install_into(struct gwp_device *device, const struct gwp_install *how, const struct gw_handover *running,
                     struct gwh_error *err)
{
    struct running *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "install");
    }
    r->device = device;
    r->how = how;
    r->err = err;
    int e = gwh_release_load(&r->release, how->release, err);
    if (e == GWH_OK) {
        device->flash.cut_at = how->cut_at;
        e = install(r, running);
        if (e != GWH_OK && device->flash.broken[0] != '\0') {
            (void)gwh_hint(err, "a rule of the flash was broken: %s", device->flash.broken);
        }
    }
    gwh_release_free(&r->release);
    gw_wipe(r, sizeof *r);
    free(r);
    return e;
}

int gwp_device_install(const char *folder, const struct gwp_install *how, const struct gw_handover *running,
                       struct gwh_error *err)
{
    struct gwp_device *d = malloc(sizeof *d);
    int e = d == NULL ? gwh_fail_reason(err, GW_ERR_SPACE, "install") : gwp_device_open(d, folder, false, err);
    if (e == GWH_OK) {
        e = gwp_install_into(d, how, running, err);
        gwp_device_close(d);
    }
    free(d);
    return e;
}
