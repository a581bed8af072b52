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
    while (n > 0) {
        uint32_t v = *p++;
        unsigned more = v < 0xc2 ? 0u : v < 0xe0 ? 1u : v < 0xf0 ? 2u : 3u;
        uint32_t least = (uint32_t)1 << (5 * more + 1); /* of two bytes: 0xc2 has seen to it */
        n--;
        if (v < 0x80) {
            continue;
        }
        if (more == 0 || more > n) {
            return false;
        }
        n -= more;
        v &= 0x3fu >> more;
        for (; more > 0; more--) {
            if ((*p & 0xc0u) != 0x80) {
                return false;
            }
            v = v << 6 | (*p++ & 0x3fu);
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

/*
 * The key that starts at `start` has been read. Keys are integers or strings; no encoding of one is the beginning of
 * another's, so the shorter length decides.
 */
static void check_key(struct gw_cbor *c, struct gw_span *last, size_t start)
{
    struct gw_span key = { c->p + start, c->at - start };

    if (c->error != GW_OK) {
        return;
    }
    if (key.p[0] >> 5 > TEXT ||
        (last->n != 0 && memcmp(last->p, key.p, key.n < last->n ? key.n : last->n) >= 0)) {
        gw_cbor_fail(c, GW_ERR_FORMAT);
    }
    *last = key;
}

/* A container is entered by one level more: of a map `left` counts keys and values, and last.p is not NULL. */
struct gw_span gw_cbor_item(struct gw_cbor *c)
{
    struct gw_cbor_map level[GW_CBOR_DEPTH + 2], *l = level;
    struct gw_span item = { NULL, 0 };
    size_t start = c->at;

    l->left = 1;
    l->last.p = NULL;
    do {
        bool is_key = l->last.p != NULL && l->left % 2 == 0;
        struct gw_span *last = &l->last;
        size_t at = c->at;
        uint64_t v;
        unsigned major = head(c, &v);

        l->left--;
        if (major == BYTES || major == TEXT) {
            (void)content(c, major, v);
        } else if (major == ARRAY || major == MAP) {
            l++;
            l->left = count(c, v, major - 3) << (major - ARRAY);
            l->last.p = major == MAP ? c->p : NULL;
            l->last.n = 0;
            if (l == &level[GW_CBOR_DEPTH + 1] && l->left > 0) {
                gw_cbor_fail(c, GW_ERR_LIMIT);
            }
        } else if (major == TAG || (major == SIMPLE && c->p[at] != NULL_BYTE)) {
            gw_cbor_fail(c, GW_ERR_FORMAT);
        }
        if (is_key) {
            check_key(c, last, at);
        }
        while (l > level && l->left == 0) {
            l--;
        }
    } while (c->error == GW_OK && l->left > 0);
    if (c->error == GW_OK) {
        item.p = c->p + start;
        item.n = c->at - start;
    }
    return item;
}

void gw_cbor_map(struct gw_cbor *c, struct gw_cbor_map *m)
{
    m->left = count(c, take(c, MAP), 2);
    m->last.n = 0;
}

bool gw_cbor_next(struct gw_cbor *c, struct gw_cbor_map *m, int64_t *key)
{
    size_t start = c->at;

    if (c->error != GW_OK || m->left == 0) {
        return false;
    }
    m->left--;
    *key = gw_cbor_int(c);
    check_key(c, &m->last, start);
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
