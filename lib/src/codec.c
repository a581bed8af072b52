/*
 * codec.c - the decoder of gwpatch as the installer calls it: the object first, then its memory.
 */
#include "installer.h"

static uint32_t room(uint32_t profile)
{
    return GW_DECODER_OBJECT + gw_patch_memory(profile);
}

/* What a manifest asks for, all-in; a promise that the sizes here keep (the decoder's tests check it). */
static uint32_t ram(uint32_t profile)
{
    return profile == GW_PATCH_RAM_10K ? 10u * 1024u : 16u * 1024u;
}

const struct gw_codec gw_patch_codec = {
    .room = room,
    .ram = ram,
    .header = gw_patch_header,
    .open = gw_patch_open,
    .open_at = gw_patch_open_at,
    .push = gw_patch_push,
    .poll = gw_patch_poll,
    .next = gw_patch_next,
};
