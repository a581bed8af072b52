/*
 * client.c - see client.h.
 */
#include "client.h"

#include <assert.h>
#include <string.h>

#include "store.h"

/* ECPrivateKey: a sequence of version 1, the number, and the curve's name. */
static const uint8_t before[] = { 0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20 };
static const uint8_t after[] = { 0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
static_assert(sizeof before + 32 + sizeof after == GWC_KEY_DER, "the DER of a P-256 key");

static void write_key(uint8_t der[GWC_KEY_DER], const uint8_t d[32])
{
    memcpy(der, before, sizeof before);
    memcpy(der + sizeof before, d, 32);
    memcpy(der + sizeof before + 32, after, sizeof after);
}

static void write_hex(char *text, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * n] = '\0';
}

static int parse(struct gwc_client *c, const uint8_t *bytes, size_t n)
{
    struct gw_identity id;
    struct gw_span d;
    int err = gw_identity_parse(&id, NULL, bytes, n);

    if (err != GW_OK) {
        return err;
    }
    memcpy(c->id, id.device_id, id.device_id_size);
    write_hex(c->class_id, id.class_id, GW_UUID_SIZE);
    err = gw_identity_client(bytes, n, &d, &c->certificate);
    if (err == GW_OK && c->certificate.n > 0) {
        write_key(c->key, d.p);
    }
    return err == GW_ERR_NO_KEY ? GW_OK : err;
}

int gwc_client_read(struct gwc_client *c, const struct gw_device *dev, uint8_t *memory, size_t size)
{
    uint32_t n = 0;

    *c = (struct gwc_client){ .id = "" };
    if (size < GW_IDENTITY_MAX) {
        return GW_ERR_SPACE;
    }
    int err = gw_store_read(dev->flash, dev->layout->identity, memory, GW_IDENTITY_MAX, &n);
    err = err == GW_OK ? parse(c, memory, n) : err;
    if (err != GW_OK) {
        gwc_client_forget(c, memory, size);
    }
    return err;
}

void gwc_client_forget(struct gwc_client *c, uint8_t *memory, size_t size)
{
    gw_wipe(c->key, sizeof c->key);
    gw_wipe(memory, size);
    c->certificate = (struct gw_span){ NULL, 0 };
}
