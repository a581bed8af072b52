/*
 * fastcodec.h - a decoder for tests of the installer: as simple as can be, with restart units of a few hundred bytes,
 * so that thousands of cuts are quick. It reads old and new image back like the real one.
 *
 *    "FC", u16 unit, u32 size of the image; for each unit: u16 bytes of operations, operations
 *    1 u16 n, n bytes   |   2 u16 n, u32 from: copy of the old image   |   3 ...: of the new one
 *    4 u16 n: n bytes of nothing
 */
#ifndef TEST_FASTCODEC_H
#define TEST_FASTCODEC_H

#include "encode.h"
#include "godwit/install.h"

#define FASTCODEC_RAM 777u

extern const struct gw_codec fastcodec;

/* `padding`: bytes of nothing in each unit, to make a payload as large as a test wants it. */
void fastcodec_encode(struct gwh_buf *out, struct gw_span old, struct gw_span fresh, uint32_t unit, uint32_t padding);

#endif
