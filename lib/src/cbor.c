/*
 * cbor.c - reader of the deterministic subset of CBOR that cbor.h describes.
 *
 * What it keeps true: no byte outside [p, p + size) is read; the first error stays, and nothing moves after it; what
 * is accepted has exactly one encoding, so that re-encoding gives the same bytes. It does not interpret anything.
 */
#include <string.h>

#include "cbor.h"

enum { UINT = 0, NINT = 1, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5, TAG = 6, SIMPLE = 7, NONE = 8 };
#define NULL_BYTE 0xf6u

void gw_cbor_init(struct gw_cbor *c, const uint8_t *p, size_t n)
{
    c->p = p;
    c->size = n;
    c->at = 0;
    c->error = GW_OK;
}

void gw_cbor_fail(struct gw_cbor *c, int error)
{
    if (c->error == GW_OK) {
        c->error = error;
    }
}

static size_t rest(const struct gw_cbor *c)
{
    return c->size - c->at;
}

int gw_cbor_peek(const struct gw_cbor *c)
{
    return c->error != GW_OK || rest(c) == 0 ? -1 : c->p[c->at] >> 5;
}

/* The bytes of an argument that follow the first byte of a head; longer than needed is refused. */
static uint64_t argument(struct gw_cbor *c, unsigned n)
{
    uint64_t v = 0;
    unsigned upper = 0; /* what the upper half of the bytes holds: if nothing, a shorter head would do */

    if (rest(c) < n) {
        gw_cbor_fail(c, GW_ERR_TRUNCATED);
        return 0;
    }
    for (unsigned i = 0; i < n; i++) {
        uint8_t b = c->p[c->at + i];
        v = v << 8 | b;
        upper |= i < n / 2 ? b : 0u;
    }
    if (n == 1 ? v < 24 : upper == 0) {
        gw_cbor_fail(c, GW_ERR_FORMAT);
        return 0;
    }
    c->at += n;
    return v;
}

/* Takes one head; returns its major type, or NONE and a zero after an error. */
static unsigned head(struct gw_cbor *c, uint64_t *v)
{
    unsigned first, info;

    *v = 0;
    if (rest(c) == 0) {
        gw_cbor_fail(c, GW_ERR_TRUNCATED);
    }
    if (c->error != GW_OK) {
        return NONE;
    }
    first = c->p[c->at++];
    info = first & 31u;
    if (info < 24) {
        *v = info;
    } else if (info < 28) {
        *v = argument(c, 1u << (info - 24));
    } else {
        gw_cbor_fail(c, GW_ERR_FORMAT);
    }
    return c->error != GW_OK ? NONE : first >> 5;
}

/* The argument of a head of the wanted major type. */
static uint64_t take(struct gw_cbor *c, unsigned major)
{
    uint64_t v;
    if (head(c, &v) != major) {
        gw_cbor_fail(c, GW_ERR_FORMAT);
        v = 0;
    }
    return v;
}

/* A number of items, each at least `each` bytes long: more than can follow is an early end, found before any loop. */
static uint32_t count(struct gw_cbor *c, uint64_t n, unsigned each)
{
    if (n > rest(c) / each) {
        gw_cbor_fail(c, GW_ERR_TRUNCATED);
        n = 0;
    }
    return (uint32_t)n;
}

uint64_t gw_cbor_uint(struct gw_cbor *c)
{
    return take(c, UINT);
}

uint32_t gw_cbor_u32(struct gw_cbor *c)
{
    uint64_t v = take(c, UINT);
    if (v > UINT32_MAX) {
        gw_cbor_fail(c, GW_ERR_VALUE);
        v = 0;
    }
    return (uint32_t)v;
}

int64_t gw_cbor_int(struct gw_cbor *c)
{
    unsigned major = gw_cbor_peek(c) == NINT ? NINT : UINT;
    uint64_t v = take(c, major);
    if (v >> 63 != 0) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
    return c->error != GW_OK ? 0 : (int64_t)(major == NINT ? ~v : v);
}

/* RFC 3629: shortest form, no surrogates, nothing above U+10FFFF. */
static bool utf8(const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        uint32_t v = p[i++];
        unsigned more = v < 0x80 ? 0 : v < 0xe0 ? 1 : v < 0xf0 ? 2 : 3;
        uint32_t least = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
        if (more == 0) {
            continue;
        }
        if (v < 0xc0 || v > 0xf7 || more > n - i) {
            return false;
        }
        v &= 0x3fu >> more;
        for (; more > 0; more--) {
            if ((p[i] & 0xc0u) != 0x80) {
                return false;
            }
            v = v << 6 | (p[i++] & 0x3fu);
        }
        if (v < least || v > 0x10ffff || v >> 11 == 0x1b) {
            return false;
        }
    }
    return true;
}

/* The n bytes that follow a head of `major`. */
static struct gw_span content(struct gw_cbor *c, unsigned major, uint64_t n)
{
    struct gw_span s = { NULL, 0 };

    if (n > rest(c)) {
        gw_cbor_fail(c, GW_ERR_TRUNCATED);
    } else if (major == TEXT && !utf8(c->p + c->at, (size_t)n)) {
        gw_cbor_fail(c, GW_ERR_FORMAT);
    }
    if (c->error == GW_OK) {
        s.p = c->p + c->at;
        s.n = (size_t)n;
        c->at += s.n;
    }
    return s;
}

struct gw_span gw_cbor_bytes(struct gw_cbor *c)
{
    return content(c, BYTES, take(c, BYTES));
}

struct gw_span gw_cbor_text(struct gw_cbor *c)
{
    return content(c, TEXT, take(c, TEXT));
}

void gw_cbor_fixed(struct gw_cbor *c, uint8_t *out, size_t n)
{
    struct gw_span s = gw_cbor_bytes(c);
    if (s.n != n) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
    if (c->error == GW_OK) {
        memcpy(out, s.p, n);
    }
}

uint32_t gw_cbor_array(struct gw_cbor *c)
{
    return count(c, take(c, ARRAY), 1);
}

bool gw_cbor_null(struct gw_cbor *c)
{
    bool is = gw_cbor_peek(c) == SIMPLE && c->p[c->at] == NULL_BYTE;
    c->at += is;
    return is;
}

bool gw_cbor_tag(struct gw_cbor *c, uint32_t tag)
{
    struct gw_cbor ahead = *c;
    uint64_t v;
    bool is = head(&ahead, &v) == TAG && v == tag;
    if (is) {
        *c = ahead;
    }
    return is;
}

/* A container that gw_cbor_item() is inside of. */
struct level {
    uint32_t left;       /* items; of a map: keys and values */
    bool map;
    struct gw_span last; /* of a map: the key before; n 0: none yet */
};

/* Keys are integers or strings; no encoding of one is the beginning of another's, so the shorter length decides. */
static void check_key(struct gw_cbor *c, struct level *l, unsigned major, struct gw_span key)
{
    size_t n = key.n < l->last.n ? key.n : l->last.n;
    if (major > TEXT || (l->last.n != 0 && memcmp(l->last.p, key.p, n) >= 0)) {
        gw_cbor_fail(c, GW_ERR_FORMAT);
    }
    l->last = key;
}

/* Takes one head with what belongs to it alone; a container with items in it becomes `inner`. */
static void step(struct gw_cbor *c, struct level *l, struct level *inner)
{
    size_t start = c->at;
    uint64_t v;
    unsigned major = head(c, &v);

    inner->left = 0;
    if (c->error != GW_OK) {
        return;
    }
    if (major == BYTES || major == TEXT) {
        (void)content(c, major, v);
    } else if (major == ARRAY || major == MAP) {
        inner->map = major == MAP;
        inner->last.n = 0;
        inner->left = count(c, v, 1u + inner->map) << inner->map;
    } else if (major == TAG || (major == SIMPLE && c->p[start] != NULL_BYTE)) {
        gw_cbor_fail(c, GW_ERR_FORMAT);
    }
    if (c->error == GW_OK && l->map && l->left % 2 == 0) {
        struct gw_span key = { c->p + start, c->at - start };
        check_key(c, l, major, key);
    }
    l->left--;
}

struct gw_span gw_cbor_item(struct gw_cbor *c)
{
    struct level level[GW_CBOR_DEPTH + 2];
    struct gw_span item = { NULL, 0 };
    unsigned depth = 0;
    size_t start = c->at;

    level[0].left = 1;
    level[0].map = false;
    do {
        step(c, &level[depth], &level[depth + 1]);
        if (level[depth + 1].left > 0 && ++depth > GW_CBOR_DEPTH) {
            gw_cbor_fail(c, GW_ERR_LIMIT);
        }
        while (depth > 0 && level[depth].left == 0) {
            depth--;
        }
    } while (c->error == GW_OK && level[depth].left > 0);
    if (c->error == GW_OK) {
        item.p = c->p + start;
        item.n = c->at - start;
    }
    return item;
}

void gw_cbor_map(struct gw_cbor *c, struct gw_cbor_map *m)
{
    m->left = count(c, take(c, MAP), 2);
    m->any = false;
    m->last = 0;
}

/* Encodings of integers sort as the numbers from 0 up, then those from -1 down. */
static uint64_t rank(int64_t key)
{
    return key >= 0 ? (uint64_t)key : ~(uint64_t)key | (uint64_t)1 << 63;
}

bool gw_cbor_next(struct gw_cbor *c, struct gw_cbor_map *m, int64_t *key)
{
    if (c->error != GW_OK || m->left == 0) {
        return false;
    }
    *key = gw_cbor_int(c);
    if (m->any && rank(*key) <= rank(m->last)) {
        gw_cbor_fail(c, GW_ERR_FORMAT);
    }
    m->left--;
    m->any = true;
    m->last = *key;
    return c->error == GW_OK;
}

void gw_cbor_unknown(struct gw_cbor *c, int64_t key)
{
    if (key < GW_KEY_OPTIONAL) {
        gw_cbor_fail(c, GW_ERR_UNKNOWN_KEY);
    }
    (void)gw_cbor_item(c);
}

int gw_cbor_end(struct gw_cbor *c)
{
    return c->error != GW_OK ? c->error : rest(c) != 0 ? GW_ERR_TRAILING : GW_OK;
}
