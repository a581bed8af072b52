/*
 * posix_device.c - making, opening and booting a device's folder. See posix_device.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix_device.h"
#include "store.h"

static void describe(struct gwp_device *d, const char *folder)
{
    memset(d, 0, sizeof *d);
    memcpy(d->folder, folder, strnlen(folder, sizeof d->folder - 1));
    d->dev.flash = &d->flash.flash;
    d->dev.crypto = gwh_openssl()->gw;
    d->dev.layout = &d->flash.layout.layout;
    d->dev.journal = &d->journal;
    d->dev.bootloader = GWP_BOOTLOADER;
}

int gwp_device_memory(struct gwp_device *d, const char *name, const struct gwp_layout *layout, struct gwh_error *err)
{
    describe(d, name);
    return gwp_flash_memory(&d->flash, layout, err);
}

int gwp_device_open(struct gwp_device *d, const char *folder, bool read_only, struct gwh_error *err)
{
    describe(d, folder);
    return gwp_flash_open(&d->flash, folder, read_only, err);
}

int gwp_device_mount(struct gwp_device *d, struct gwh_error *err)
{
    int e = gw_device_mount(&d->dev);
    return e == GW_OK ? GWH_OK : gwh_fail_reason(err, e, "the journal of %s cannot be mounted", d->folder);
}

void gwp_device_close(struct gwp_device *d)
{
    gwp_flash_close(&d->flash);
}

/* ---- Hand-over --------------------------------------------------------------------------------------------------- */

static int handover_path(char path[GWH_PATH_MAX], const char *folder, struct gwh_error *err)
{
    return gwh_path(path, folder, "handover.bin", err);
}

bool gwp_handover_read(const char *folder, struct gw_handover *h)
{
    char path[GWH_PATH_MAX];
    struct gwh_buf b = {0};
    struct gwh_error ignored = {0};
    bool ok = handover_path(path, folder, &ignored) == GWH_OK &&
              gwh_file_read(&b, path, GW_HANDOVER_SIZE, &ignored) == GWH_OK && b.n == GW_HANDOVER_SIZE &&
              gw_handover_decode(h, b.p) == GW_OK;
    gwh_buf_free(&b);
    return ok;
}

int gwp_handover_write(const char *folder, const struct gw_handover *h, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    uint8_t bytes[GW_HANDOVER_SIZE];
    gw_handover_encode(h, bytes);
    int e = handover_path(path, folder, err);
    return e == GWH_OK ? gwh_file_write(path, (struct gw_span){bytes, sizeof bytes}, 0600, true, err) : e;
}

void gwp_handover_drop(const char *folder)
{
    char path[GWH_PATH_MAX];
    struct gwh_error ignored = {0};
    if (handover_path(path, folder, &ignored) == GWH_OK) {
        (void)unlink(path);
    }
}

/* ---- Making a device --------------------------------------------------------------------------------------------- */

/* Identity, bundle and factory image must belong together before anything is written. */
static int check_init(const struct gwp_init *init, struct gwh_error *err)
{
    const struct gw_crypto *c = gwh_openssl()->gw;
    struct gw_identity id;
    struct gw_roots roots;
    struct gw_trust trust;
    uint8_t digest[32];
    int e = gw_identity_parse(&id, &roots, init->identity.p, init->identity.n);
    if (e != GW_OK) {
        return gwh_fail_reason(err, e, "the identity is refused");
    }
    e = gw_trust_open(&trust, c, &roots, init->trust.p, init->trust.n);
    if (e != GW_OK) {
        (void)gwh_fail_reason(err, e, "the trust bundle is refused by the roots of the identity");
        return gwh_hint(
            err, "provision the device with the roots that signed the bundle: godwit device provision --root ...");
    }
    if (init->factory.n != id.factory_size) {
        return gwh_fail(err, GWH_REFUSED, "the identity names a factory image of %u bytes, and %zu were given",
                        (unsigned)id.factory_size, init->factory.n);
    }
    e = gw_sha256(c, init->factory.p, init->factory.n, digest);
    if (e == GW_OK && init->factory.n > 0 && !gw_equal(digest, id.factory_digest, 32)) {
        e = GW_ERR_IMAGE_DIGEST;
    }
    return e == GW_OK ? GWH_OK : gwh_fail_reason(err, e, "the factory image is not the one in the identity");
}

static int write_factory(struct gwp_device *d, struct gw_span image, struct gwh_error *err)
{
    struct gw_area area = d->flash.layout.layout.factory;
    uint32_t ws = d->flash.layout.write_size;
    struct gwh_buf padded = {0};
    uint8_t *tail;
    if (image.n == 0) {
        return GWH_OK;
    }
    if (area.size < image.n) {
        (void)gwh_fail_reason(err, GW_ERR_SLOT_SMALL, "the factory image does not fit");
        return gwh_hint(err, "it has %zu bytes, its area %u: use a layout with a larger one, or a smaller image",
                        image.n, (unsigned)area.size);
    }
    size_t more = (ws - image.n % ws) % ws;
    int e = gwh_buf_add(&padded, image.p, image.n);
    if (e == GW_OK) {
        e = gwh_buf_grow(&padded, more, &tail);
    }
    if (e == GW_OK) {
        memset(tail, (int)d->flash.layout.erased, more);
        e = gw_flash_write(d->dev.flash, area.start, padded.p, (uint32_t)padded.n);
    }
    gwh_buf_free(&padded);
    return e == GW_OK ? GWH_OK : gwh_fail_reason(err, e, "cannot write the factory image");
}

int gwp_device_fill(struct gwp_device *d, const struct gwp_init *init, struct gwh_error *err)
{
    const struct gw_layout *l = d->dev.layout;
    int e = check_init(init, err);
    if (e != GWH_OK) {
        return e;
    }
    e = gw_store_write(d->dev.flash, l->identity, init->identity.p, (uint32_t)init->identity.n);
    if (e == GW_OK) {
        e = gw_store_write(d->dev.flash, l->trust[0], init->trust.p, (uint32_t)init->trust.n);
    }
    if (e != GW_OK) {
        return gwh_fail_reason(err, e, "cannot write identity and bundle");
    }
    e = write_factory(d, init->factory, err);
    return e == GWH_OK ? gwp_device_mount(d, err) : e;
}

int gwp_device_init(const char *folder, const struct gwp_init *init, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    struct gwp_layout layout;
    int e = gwh_path(path, folder, "flash.bin", err);
    if (e == GWH_OK && gwh_file_exists(path) && !init->force) {
        (void)gwh_fail(err, GWH_REFUSED, "%s is a device already and is not overwritten", folder);
        return gwh_hint(err, "choose another folder, or add --force to start it anew");
    }
    if (e == GWH_OK) {
        e = check_init(init, err);
    }
    if (e == GWH_OK) {
        e = gwp_layout_make(&layout, &init->layout, err);
    }
    if (e == GWH_OK) {
        e = gwh_folder_make(folder, err);
    }
    if (e == GWH_OK) {
        gwp_handover_drop(folder);
        e = gwp_flash_create(folder, &layout, err);
    }
    struct gwp_device *d = e == GWH_OK ? malloc(sizeof *d) : NULL;
    if (d == NULL) {
        return e != GWH_OK ? e : gwh_fail_reason(err, GW_ERR_SPACE, "%s", folder);
    }
    e = gwp_device_open(d, folder, false, err);
    if (e == GWH_OK) {
        e = gwp_device_fill(d, init, err);
        gwp_device_close(d);
    }
    free(d);
    return e;
}
