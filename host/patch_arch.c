/*
 * patch_arch.c - what kind of image it is: instruction set, segments of addresses, and images with their fields made
 * comparable.
 */
#include <stdlib.h>
#include <string.h>

#include "isa.h"
#include "patch_plan.h"

const struct gw_isa *gwh_isa(unsigned id)
{
    static const struct gw_isa *const isas[] = {&gw_isa_none,   &gw_isa_thumb, &gw_isa_riscv,
                                                &gw_isa_xtensa, &gw_isa_arm64, &gw_isa_arm};
    return id < GW_ISA_COUNT ? isas[id] : NULL;
}

struct walk {
    const struct gw_isa *isa;
    const struct gw_patch_header *h;
    const uint8_t *in;
    uint32_t n, at, next, segment;
    unsigned image;
    uint32_t state[GW_ISA_WORDS];
};

/* The field at w->at, or kind 0. */
static struct gw_patch_field field_here(struct walk *w, uint32_t *pc)
{
    struct gw_patch_field f = {0, 0, 0};
    const struct gw_patch_segment *s = w->h->segment[w->image];
    while (w->segment + 1 < w->h->segments[w->image] && w->at >= s[w->segment + 1].at) {
        w->segment++;
    }
    struct gw_isa_place a = {w->in + w->at, w->n - w->at, w->at + s[w->segment].shift, w->at};
    *pc = a.pc;
    if (w->at >= w->next && (w->at & (w->isa->align - 1u)) == 0 && gw_is_code(w->isa, a.pc)) {
        w->isa->find(&a, w->state, &f);
        w->next = w->at + (a.n >= 2 ? w->isa->size(a.p, 2) : 4);
        w->next = f.kind != 0 ? w->at + f.size : w->next;
    }
    if (f.kind == 0 && (w->at & 3) == 0 && a.n >= 4 && gw_is_pointer(w->isa, w->h, gw_le32(a.p))) {
        f = (struct gw_patch_field){gw_le32(a.p), GW_FIELD_POINTER, 4};
    }
    return f;
}

void gwh_domain(const struct gw_isa *isa, const struct gw_patch_header *h, unsigned image, const uint8_t *in,
                uint32_t n, enum gwh_domain domain, uint8_t *out, uint8_t *marks)
{
    struct walk w = {isa, h, in, n, 0, 0, 0, image, {0}};
    uint32_t pc, begun = 0;
    if (n > 0) {
        memcpy(out, in, n);
    }
    while (w.at < n) {
        uint32_t starts = w.next;
        struct gw_patch_field f = field_here(&w, &pc);
        uint8_t to[8];
        bool relative = (isa->relative >> f.kind & 1) != 0;
        if (f.kind == 0 || f.size > n - w.at ||
            (domain == GWH_RELATIVE && !(relative && gw_is_literal_field(isa, in + w.at)))) {
            if (marks != NULL) {
                begun = w.next != starts ? w.at : begun;
                marks[w.at] = (uint8_t)(w.at - begun < 3 ? w.at - begun : 3);
            }
            w.at++;
            continue;
        }
        if (domain == GWH_RELATIVE) {
            isa->place(&f, in + w.at, h->segment[image][0].shift, f.target, to);
            memcpy(out + w.at, to, f.size);
        } else if (f.kind == GW_FIELD_POINTER) {
            memset(out + w.at, 0, 3);
        } else {
            isa->place(&f, in + w.at, 0x40000000, 0x40000000 + (f.kind == GW_FIELD_OWN ? 4u : 0u), to);
            memcpy(out + w.at, to, f.size);
        }
        for (uint32_t i = 0; marks != NULL && i < f.size; i++) {
            marks[w.at + i] = (uint8_t)((i > 0 ? GWH_INSIDE : 0) | (i & 3));
        }
        w.at += f.size;
        w.next = w.at > w.next ? w.at : w.next;
    }
}
