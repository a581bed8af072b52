/*
 * codec.c - the decoder of gwpatch as the installer calls it: the object first, then its memory.
 */
#include "installer.h"

static uint32_t room(uint32_t profile)
{
    return GW_DECODER_OBJECT + gw_patch_memory(profile);
}

const struct gw_codec gw_patch_codec = {
    .room = room,
    .ram = gw_patch_ram,
    .header = gw_patch_header,
    .open = gw_patch_open,
    .open_at = gw_patch_open_at,
    .push = gw_patch_push,
    .poll = gw_patch_poll,
    .next = gw_patch_next,
};
