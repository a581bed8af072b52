/*
 * test_patch.c - gwpatch: what is made comes back, from any image, in pieces of any size, from any restart unit;
 * nothing else does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "patch.h"

static uint32_t seed;

static uint32_t chance(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)seed * below) >> 32);
}

static void random_bytes(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)chance(256);
    }
}

/* Makes, applies, compares. Returns the size of the patch. */
static size_t trip(struct gw_span old, struct gw_span fresh, const struct gwh_patch_options *o)
{
    struct gwh_buf patch = {0}, back = {0};
    assert_int_equal(gwh_patch_make(&patch, old, fresh, o), GW_OK);
    assert_int_equal(gwh_patch_apply(&back, old, gwh_span(&patch)), GW_OK);
    assert_int_equal(back.n, fresh.n);
    assert_true(fresh.n == 0 || memcmp(back.p, fresh.p, fresh.n) == 0);
    size_t n = patch.n;
    gwh_buf_free(&patch);
    gwh_buf_free(&back);
    return n;
}

static struct gwh_patch_options how(uint32_t isa, uint32_t effort)
{
    return (struct gwh_patch_options){.isa = isa, .base_given = isa != GWH_ISA_AUTO, .base = 0x08000000,
                                      .base_new = 0x08000000, .effort = effort};
}

/* Something like code for Thumb: calls to a few places, loads, a pool of pointers. */
static void fake_code(uint8_t *p, uint32_t n, uint32_t moved)
{
    seed = 7;
    for (uint32_t at = 0; at + 4 <= n; at += 4) {
        uint32_t to = chance(64) * 256 + moved, v = to - at - 4, w = 0x4600 | chance(256) | (0x6800 | chance(64)) << 16;
        if (chance(4) == 0) {
            w = 0xf000 | (v >> 12 & 0x7ff) | (0xf800 | (v >> 1 & 0x7ff)) << 16;
        } else if (chance(8) == 0) {
            w = 0x08000001 + to;
        }
        for (unsigned i = 0; i < 4; i++) {
            p[at + i] = (uint8_t)(w >> 8 * i);
        }
    }
}

static void test_small(void **state)
{
    static const uint8_t one[] = {42}, two[] = {42, 43};
    struct gwh_patch_options o = how(GWH_ISA_AUTO, 0);
    struct gw_span nothing = {NULL, 0};
    (void)state;
    assert_in_range(trip(nothing, nothing, &o), 5, 8);
    assert_in_range(trip(nothing, (struct gw_span){one, 1}, &o), 6, 12);
    (void)trip((struct gw_span){one, 1}, nothing, &o);
    (void)trip((struct gw_span){one, 1}, (struct gw_span){one, 1}, &o);
    (void)trip((struct gw_span){two, 2}, (struct gw_span){one, 1}, &o);
}

static void fill(uint8_t *p, uint32_t n, unsigned kind)
{
    for (uint32_t i = 0; i < n; i++) {
        p[i] = (uint8_t)(kind == 0 ? 0xff : kind == 1 ? i % 7 : kind == 2 ? (uint64_t)i * 256 / n : chance(256));
    }
}

static void test_shapes(void **state)
{
    static uint8_t a[100000], b[100000];
    (void)state;
    seed = 1;
    for (unsigned kind = 0; kind < 4; kind++) {
        for (unsigned isa = 0; isa < GW_ISA_COUNT; isa++) {
            struct gwh_patch_options o = how(isa, 1);
            o.profile = isa & 1;
            o.unit = isa % 3 == 0 ? 32768 : 0;
            fill(a, sizeof a, kind);
            fill(b, sizeof b, (kind + isa) % 4);
            struct gw_span sa = {a, sizeof a}, sb = {b, sizeof b};
            size_t n = trip((struct gw_span){NULL, 0}, sa, &o);
            /* Periods hide where bytes look like calls (Xtensa), nowhere else. */
            assert_in_range(n, 5, kind == 3 ? sizeof a + sizeof a / 50 : isa == GW_ISA_XTENSA ? sizeof a / 2 : 2500);
            (void)trip(sa, sb, &o);
            assert_in_range(trip(sa, sa, &o), 5, 200);
        }
    }
}

static void test_large(void **state)
{
    uint32_t n = 16u << 20;
    uint8_t *a = malloc(n), *b = malloc(n);
    struct gwh_patch_options o = how(GW_ISA_NONE, 1);
    (void)state;
    fill(a, n, 1);
    memcpy(b, a, n);
    for (uint32_t i = 0; i < 100; i++) {
        b[i * (n / 100)] ^= 0x55;
    }
    assert_in_range(trip((struct gw_span){a, n}, (struct gw_span){b, n}, &o), 5, 4000);
    free(a);
    free(b);
}

static void test_code_moves(void **state)
{
    enum { N = 40000 };
    static uint8_t a[N], b[N];
    struct gwh_patch_options o = how(GW_ISA_THUMB, 0), none = how(GW_ISA_NONE, 0);
    (void)state;
    fake_code(a, N, 0);
    fake_code(b, N, 64);
    struct gw_span sa = {a, N}, sb = {b, N};
    size_t with = trip(sa, sb, &o), without = trip(sa, sb, &none);
    assert_true(with * 4 < without); /* all calls and pointers moved by one shift: the map learns it once */
    assert_in_range(with, 20, 2000);
}

/* Old image to new one by random insertions, deletions, replacements and moved pieces. */
static uint32_t edit(uint8_t *to, const uint8_t *from, uint32_t n, uint32_t room)
{
    uint32_t out = 0, at = 0;
    while (at < n && out + 64 < room) {
        uint32_t what = chance(6), k = 1 + chance(what == 0 ? 200 : 20);
        if (what == 1) {
            at += k;
        } else if (what == 2) {
            random_bytes(to + out, k);
            out += k;
        } else if (what == 3 && out > 0) {
            uint32_t source = chance(out);
            for (uint32_t i = 0; i < k; i++) {
                to[out + i] = to[source + i];
            }
            out += k;
        } else {
            at = what == 4 ? chance(n) : at;
            for (k *= 2; k > 0 && at < n && out + 64 < room; k--) {
                to[out++] = from[at++];
            }
        }
    }
    return out;
}

static void test_scripts(void **state)
{
    static uint8_t base[1024], a[1024], b[2048];
    (void)state;
    for (uint32_t i = 0; i < 10000; i++) {
        struct gwh_patch_options o = how(i % GW_ISA_COUNT, 1);
        seed = i;
        random_bytes(base, sizeof base);
        if (i % 2 == 0) {
            fake_code(base, sizeof base, 0);
            seed = i;
        }
        uint32_t n = chance(sizeof base);
        memcpy(a, base, n);
        uint32_t m = edit(b, a, n, chance(sizeof b));
        o.profile = i / 7 & 1;
        (void)trip((struct gw_span){a, n}, (struct gw_span){b, m}, &o);
    }
}

struct world {
    struct gw_span old;
    uint8_t *out;
    uint32_t out_n;
    int fail; /* reads fail with that */
};

static int read_old(void *ctx, uint32_t at, void *data, uint32_t n)
{
    const struct world *w = ctx;
    assert_true(at <= w->old.n && n <= w->old.n - at);
    memcpy(data, w->old.p + at, n);
    return w->fail;
}

static int read_new(void *ctx, uint32_t at, void *data, uint32_t n)
{
    const struct world *w = ctx;
    assert_true(at <= w->out_n && n <= w->out_n - at); /* only what was put out by earlier polls */
    memcpy(data, w->out + at, n);
    return w->fail;
}

/* Decodes from patch offset `at` on, in pieces; stops at `stop` bytes of output. */
static int decode(struct gw_patch *p, struct world *w, struct gw_span patch, size_t at, size_t piece, uint32_t stop)
{
    int e = GW_MORE;
    size_t used, n;
    while (e == GW_MORE || e == GW_WANT) {
        uint8_t out[300];
        if (e == GW_WANT) {
            size_t k = patch.n - at < piece ? patch.n - at : piece;
            if (k == 0) {
                return GW_ERR_TRUNCATED;
            }
            e = gw_patch_push(p, patch.p + at, k, &used);
            at += used;
            e = e == GW_OK ? GW_MORE : e;
            continue;
        }
        e = gw_patch_poll(p, out, 1 + piece * 7 % 300, &n);
        assert_true(n <= GW_PATCH_STEP && w->out_n + n <= p->config->new_size);
        memcpy(w->out + w->out_n, out, n);
        w->out_n += (uint32_t)n;
        if (w->out_n == stop && e > 0) {
            return GW_OK;
        }
    }
    return e;
}

static void test_pieces_and_restart(void **state)
{
    enum { N = 150000 };
    static uint8_t a[N], b[N], out[N];
    struct gwh_patch_options o = how(GW_ISA_THUMB, 1);
    struct gwh_buf patch = {0};
    struct world w = {{a, N}, out, 0, 0};
    struct gw_patch p;
    (void)state;
    o.unit = 32768;
    fake_code(a, N, 0);
    fake_code(b, N, 64);
    assert_int_equal(gwh_patch_make(&patch, (struct gw_span){a, N}, (struct gw_span){b, N}, &o), GW_OK);
    uint32_t room = gw_patch_memory(0);
    struct gw_patch_config c = {&w, read_old, N, read_new, N, malloc(room), room, gwh_isas};
    for (size_t piece = 1; piece < 300; piece = piece * 2 + 1) {
        w.out_n = 0;
        assert_int_equal(gw_patch_open(&p, &c), GW_OK);
        assert_int_equal(decode(&p, &w, gwh_span(&patch), 0, piece, UINT32_MAX), GW_DONE);
        assert_memory_equal(out, b, N);
    }
    for (uint32_t at = 32768; at < N; at += 32768) { /* stop at each unit, forget all, go on */
        w.out_n = 0;
        assert_int_equal(gw_patch_open(&p, &c), GW_OK);
        assert_int_equal(decode(&p, &w, gwh_span(&patch), 0, 61, at), GW_OK);
        uint32_t next = gw_patch_next(&p);
        assert_true(next > 0 && next < patch.n);
        memset(c.memory, 0xa5, room);
        memset(out + at, 0, N - at);
        assert_int_equal(gw_patch_open_at(&p, &c, patch.p, GW_PATCH_HEADER_MAX, at, next), GW_OK);
        assert_int_equal(decode(&p, &w, gwh_span(&patch), next, 61, UINT32_MAX), GW_DONE);
        assert_memory_equal(out, b, N);
    }
    assert_int_equal(gw_patch_open_at(&p, &c, patch.p, GW_PATCH_HEADER_MAX, 100, 50), GW_ERR_OFFSET);
    w.fail = GW_ERR_FLASH_READ;
    w.out_n = 0;
    assert_int_equal(gw_patch_open(&p, &c), GW_OK);
    assert_int_equal(decode(&p, &w, gwh_span(&patch), 0, 61, UINT32_MAX), GW_ERR_FLASH_READ);
    free(c.memory);
    gwh_buf_free(&patch);
}

/* A decoder that knows nothing but the header goes on at each unit: nothing rests on what was in RAM before. */
static void test_restart_afresh(void **state)
{
    enum { N = 200000 };
    static uint8_t a[N], b[N], out[N];
    struct gwh_buf patch = {0};
    (void)state;
    fake_code(a, N, 0);
    fake_code(b, N, 64);
    for (uint32_t i = 0; i < N; i += 1 + i % 37) { /* literals, short matches and short copies everywhere */
        seed = i;
        b[i] = (uint8_t)chance(256);
    }
    for (unsigned k = 0; k < 2u * GW_ISA_COUNT; k++) {
        struct gwh_patch_options o = how(k / 2, 1);
        struct gw_span old = {a, k % 2 == 0 ? N : 0};
        struct world w = {old, out, 0, 0};
        o.unit = 32768;
        patch.n = 0;
        assert_int_equal(gwh_patch_make(&patch, old, (struct gw_span){b, N}, &o), GW_OK);
        uint32_t room = gw_patch_memory(0), next = 0;
        for (uint32_t at = 0; at < N; at += 32768) {
            struct gw_patch *p = malloc(sizeof *p);
            struct gw_patch_config c = {&w, read_old, (uint32_t)old.n, read_new, N, malloc(room), room, gwh_isas};
            memset(p, 0x5a, sizeof *p);
            memset(c.memory, 0x5a, room);
            int e = at == 0 ? gw_patch_open(p, &c) : gw_patch_open_at(p, &c, patch.p, GW_PATCH_HEADER_MAX, at, next);
            assert_int_equal(e, GW_OK);
            e = decode(p, &w, gwh_span(&patch), next, 100, at + 32768);
            assert_int_equal(e, at + 32768 < N ? GW_OK : GW_DONE);
            next = gw_patch_next(p);
            assert_true((next > 0) == (at + 32768 < N));
            free(c.memory);
            free(p);
        }
        assert_memory_equal(out, b, N);
        memset(out, 0, sizeof out);
    }
    gwh_buf_free(&patch);
}

static void test_refused(void **state)
{
    enum { N = 5000 };
    static uint8_t a[N], b[N], out[N];
    static const struct gw_isa *const only_none[] = {NULL};
    struct gwh_patch_options o = how(GW_ISA_THUMB, 1);
    struct gwh_buf patch = {0};
    struct world w = {{a, N}, out, 0, 0};
    struct gw_patch p;
    (void)state;
    fake_code(a, N, 0);
    fake_code(b, N, 64);
    assert_int_equal(gwh_patch_make(&patch, (struct gw_span){a, N}, (struct gw_span){b, N}, &o), GW_OK);
    uint32_t room = gw_patch_memory(0);
    struct gw_patch_config c = {&w, read_old, N, read_new, N, malloc(room), room, gwh_isas};
    struct gw_patch_config other = c;
    other.isas = only_none;
    assert_int_equal(gw_patch_open(&p, &other), GW_OK);
    assert_int_equal(decode(&p, &w, gwh_span(&patch), 0, 61, UINT32_MAX), GW_ERR_ENCODING);
    other = c;
    other.memory_size = room - 1;
    assert_int_equal(gw_patch_open(&p, &other), GW_OK);
    assert_int_equal(decode(&p, &w, gwh_span(&patch), 0, 61, UINT32_MAX), GW_ERR_DECODER_RAM);
    other = c;
    other.new_size = N - 1;
    assert_int_equal(gw_patch_open(&p, &other), GW_OK);
    assert_int_equal(decode(&p, &w, gwh_span(&patch), 0, 61, UINT32_MAX), GW_ERR_DECODE);
    other = c;
    other.old_size = N - 1;
    assert_int_equal(gw_patch_open(&p, &other), GW_OK);
    assert_int_equal(decode(&p, &w, gwh_span(&patch), 0, 61, UINT32_MAX), GW_ERR_DECODE);
    for (size_t i = 0; i < patch.n; i++) { /* any damaged byte: an error, or an output that is not longer */
        w.out_n = 0;
        patch.p[i] ^= (uint8_t)(1 + i % 255);
        assert_int_equal(gw_patch_open(&p, &c), GW_OK);
        int e = decode(&p, &w, gwh_span(&patch), 0, 61, UINT32_MAX);
        assert_true(e < 0 || (e == GW_DONE && w.out_n == N));
        patch.p[i] ^= (uint8_t)(1 + i % 255);
    }
    assert_int_equal(gwh_buf_add(&patch, "x", 1), GW_OK);
    w.out_n = 0;
    assert_int_equal(gw_patch_open(&p, &c), GW_OK);
    assert_true(decode(&p, &w, gwh_span(&patch), 0, 61, UINT32_MAX) < 0 || w.out_n == N);
    other.memory = NULL;
    assert_int_equal(gw_patch_open(&p, &other), GW_ERR_CONFIG);
    free(c.memory);
    gwh_buf_free(&patch);
}

static void test_ram(void **state)
{
    (void)state;
    assert_in_range(gw_patch_ram(GW_PATCH_RAM_16K), 8192, 16384);
    assert_in_range(gw_patch_ram(GW_PATCH_RAM_10K), 4096, 10240);
    assert_int_equal(gw_patch_ram(GW_PATCH_PROFILES), 0);
    assert_int_equal(gw_patch_memory(GW_PATCH_PROFILES), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),      cmocka_unit_test(test_shapes),  cmocka_unit_test(test_large),
        cmocka_unit_test(test_code_moves), cmocka_unit_test(test_scripts), cmocka_unit_test(test_pieces_and_restart),
        cmocka_unit_test(test_restart_afresh), cmocka_unit_test(test_refused),    cmocka_unit_test(test_ram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
