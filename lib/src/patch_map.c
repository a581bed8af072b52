/*
 * patch_map.c - the address map (patch_map.h).
 *
 * Kept true: v[0..count) is sorted, disjoint, count <= room. put() needs two entries of room at least.
 */
#include <string.h>

#include "patch_map.h"

#define FAR 65536u  /* a neighbour at such a distance says nothing */
#define NEAR 4096u  /* equal neighbours nearer than that become one */
#define SHIFT_MAX (1 << 23)

static int32_t shift_of(const struct gw_interval *i)
{
    return (i->shift_use - (i->shift_use & 255)) / 256;
}

static void set_use(struct gw_interval *i, uint32_t use)
{
    i->shift_use = (i->shift_use & ~255) | (int32_t)use;
}

/* Number of intervals that begin at or before `a`. */
static uint32_t rank(const struct gw_patch_map *m, const struct gw_interval *v, uint32_t a)
{
    uint32_t l = 0, r = m->count;
    while (l < r) {
        uint32_t mid = (l + r) / 2;
        if (v[mid].lo <= a) {
            l = mid + 1;
        } else {
            r = mid;
        }
    }
    return l;
}

struct gw_patch_guess gw_map_get(const struct gw_patch_map *m, struct gw_interval *v, uint32_t a)
{
    struct gw_patch_guess g = {0, 0, 0, false};
    uint32_t i = rank(m, v, a), left = FAR, right = FAR;
    if (i > 0 && a <= v[i - 1].hi) {
        g.shift = shift_of(&v[i - 1]);
        g.sure = 3;
        set_use(&v[i - 1], m->now);
        return g;
    }
    if (i > 0 && a - v[i - 1].hi < FAR) {
        left = a - v[i - 1].hi;
        g.shift = shift_of(&v[i - 1]);
    }
    if (i < m->count && v[i].lo - a < FAR) {
        right = v[i].lo - a;
        g.other = shift_of(&v[i]);
    }
    g.sure = left == FAR && right == FAR ? 0 : 1;
    g.two = left != FAR && right != FAR && g.shift != g.other;
    if (left != FAR && right != FAR && !g.two) {
        g.sure = 2;
    } else if (right < left) {
        int32_t t = g.shift;
        g.shift = g.other;
        g.other = t;
    }
    return g;
}

static void remove_at(struct gw_patch_map *m, struct gw_interval *v, uint32_t i, uint32_t n)
{
    memmove(v + i, v + i + n, (m->count - i - n) * sizeof *v);
    m->count = (uint16_t)(m->count - n);
}

/* Makes room for one more: the one that was not used for longest goes; wide ones have credit. */
static void evict(struct gw_patch_map *m, struct gw_interval *v)
{
    uint32_t worst = 0, most = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        uint32_t age = (m->now - (uint32_t)v[i].shift_use) & 255, width = (v[i].hi - v[i].lo) >> 7;
        uint32_t due = 256 + age - (width < 255 ? width : 255);
        if (due > most) {
            most = due;
            worst = i;
        }
        if (age == 255) { /* stays as old as it can be told */
            set_use(&v[i], (m->now + 2u) & 255);
        }
    }
    m->now++;
    remove_at(m, v, worst, 1);
}

static void insert_at(struct gw_patch_map *m, struct gw_interval *v, uint32_t i, struct gw_interval x)
{
    memmove(v + i + 1, v + i, (m->count - i) * sizeof *v);
    v[i] = x;
    m->count++;
}

/* Takes lo..hi out of what is there. Returns the place for a new interval. */
static uint32_t carve(struct gw_patch_map *m, struct gw_interval *v, uint32_t lo, uint32_t hi)
{
    uint32_t i = rank(m, v, lo);
    if (i > 0 && v[i - 1].hi >= lo) {
        struct gw_interval rest = v[i - 1];
        if (v[i - 1].lo < lo) {
            v[i - 1].hi = lo - 1;
        } else {
            remove_at(m, v, --i, 1);
        }
        if (rest.hi > hi) {
            rest.lo = hi + 1;
            insert_at(m, v, i, rest);
            return i;
        }
    }
    uint32_t n = 0;
    while (i + n < m->count && v[i + n].hi <= hi) {
        n++;
    }
    remove_at(m, v, i, n);
    if (i < m->count && v[i].lo <= hi) {
        v[i].lo = hi + 1;
    }
    return i;
}

/* Joins i with i + 1 if they are close and agree. */
static void join(struct gw_patch_map *m, struct gw_interval *v, uint32_t i)
{
    if (i + 1 < m->count && (v[i].shift_use ^ v[i + 1].shift_use) >> 8 == 0 && v[i + 1].lo - v[i].hi < NEAR) {
        v[i].hi = v[i + 1].hi;
        remove_at(m, v, i + 1, 1);
        set_use(&v[i], m->now);
    }
}

void gw_map_put(struct gw_patch_map *m, struct gw_interval *v, uint32_t lo, uint32_t hi, int32_t shift)
{
    if (hi < lo || shift <= -SHIFT_MAX || shift >= SHIFT_MAX) {
        return;
    }
    uint32_t i = rank(m, v, lo);
    if (i > 0 && hi <= v[i - 1].hi && shift_of(&v[i - 1]) == shift) {
        set_use(&v[i - 1], m->now);
        return;
    }
    while (m->count + 2u > m->room) {
        evict(m, v);
    }
    i = carve(m, v, lo, hi);
    insert_at(m, v, i, (struct gw_interval){lo, hi, shift * 256 + m->now});
    join(m, v, i);
    if (i > 0) {
        join(m, v, i - 1);
    }
}
