/*
 * holder.c - who can hold a content key: P-256 keys and pre-shared key-encryption keys. See release.h.
 */
#include <string.h>

#include "cose.h"
#include "file.h"
#include "release.h"

int gwh_kek_read(uint8_t kek[32], size_t *size, const char *path, struct gwh_error *err)
{
    struct gwh_buf b = {0};
    int e = gwh_file_read(&b, path, 256, err);
    if (e != GWH_OK) {
        gwh_buf_free(&b);
        return e;
    }
    char text[65] = "";
    size_t n = b.n;
    while (n > 0 && (b.p[n - 1] == '\n' || b.p[n - 1] == '\r')) {
        n--;
    }
    memcpy(text, b.p, n <= 64 ? n : 0);
    if ((n == 32 || n == 64) && gwh_unhex(kek, n / 2, text)) {
        *size = n / 2;
    } else if (b.n == 16 || b.n == 32) {
        memcpy(kek, b.p, b.n);
        *size = b.n;
    } else {
        e = gwh_fail(err, GWH_REFUSED, "%s is no key-encryption key: 16 or 32 bytes, or as many in hex", path);
        (void)gwh_hint(err, "godwit key new FILE --type kek makes one");
    }
    gw_wipe(text, sizeof text);
    gwh_buf_free(&b);
    return e;
}

/* "NAME=FILE" */
static int parse_kek(struct gwh_holder *h, const char *text, struct gwh_error *err)
{
    const char *equals = strchr(text, '=');
    size_t n = equals == NULL ? 0 : (size_t)(equals - text);
    if (n == 0 || n > sizeof h->kid) {
        return gwh_fail(err, GWH_USAGE, "kek:%s: expected kek:NAME=FILE with a name of 1 to 32 bytes", text);
    }
    h->is_kek = true;
    memcpy(h->kid, text, n);
    h->kid_size = n;
    return gwh_kek_read(h->kek, &h->kek_size, equals + 1, err);
}

int gwh_holder_parse(struct gwh_holder *h, const char *text, const char *passphrase, struct gwh_error *err)
{
    memset(h, 0, sizeof *h);
    if (strncmp(text, "kek:", 4) == 0) {
        return parse_kek(h, text + 4, err);
    }
    int e = gwh_key_load(&h->key, text, passphrase, err);
    if (e != GWH_OK) {
        return e;
    }
    if (h->key.pub.algorithm != GW_ALG_ES256) {
        gwh_key_free(&h->key);
        return gwh_fail(err, GWH_REFUSED, "%s is an RSA key: content keys are granted to P-256 keys", text);
    }
    h->kid_size = GW_KEY_ID_SIZE;
    memcpy(h->kid, h->key.thumbprint, GW_KEY_ID_SIZE);
    return GWH_OK;
}

void gwh_holder_free(struct gwh_holder *h)
{
    gwh_key_free(&h->key);
    gw_wipe(h, sizeof *h);
}

static const struct gwh_holder *find(const struct gwh_holders *set, struct gw_span kid, bool kek)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct gwh_holder *h = &set->holder[i];
        if (h->is_kek == kek && h->kid_size == kid.n && memcmp(h->kid, kid.p, kid.n) == 0) {
            return h;
        }
    }
    return NULL;
}

static int kek(void *ctx, struct gw_span kid, uint8_t out[32], size_t *size)
{
    const struct gwh_holder *h = find(ctx, kid, true);
    if (h == NULL) {
        return GW_ERR_NO_KEY;
    }
    memcpy(out, h->kek, h->kek_size);
    *size = h->kek_size;
    return GW_OK;
}

static int agree(void *ctx, struct gw_span kid, const uint8_t peer[64], uint8_t shared[32])
{
    const struct gwh_holder *h = find(ctx, kid, false);
    uint8_t d[32];
    if (h == NULL || gwh_key_secret(&h->key, d) != GW_OK) {
        return GW_ERR_NO_KEY;
    }
    const struct gw_crypto *c = gwh_openssl()->gw;
    int e = c->ecdh(c->ctx, d, peer, shared);
    gw_wipe(d, sizeof d);
    return e;
}

void gwh_holder_keystore(struct gw_keystore *store, struct gwh_holders *set)
{
    *store = (struct gw_keystore){.ctx = set, .kek = kek, .agree = agree};
}
