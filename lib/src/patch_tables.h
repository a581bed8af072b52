/*
 * patch_tables.h - constants of the model (patch_tables.c).
 */
#ifndef GW_PATCH_TABLES_H
#define GW_PATCH_TABLES_H

#include <stdint.h>

extern const int16_t gw_patch_stretch[256];
extern const uint16_t gw_patch_squash[65];
extern const uint16_t gw_patch_rate[16];

#endif
