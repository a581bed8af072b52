/*
 * fuzz_frames.c - a payload as a server sends it: any bytes, pushed in pieces of any size.
 *
 * The input is the payload; it is made right first (chain from its own content), then one byte of it is altered if the
 * first byte says so. Properties: all of a right payload comes out, in order; nothing behind an altered byte does.
 */
#include <stdlib.h>
#include <string.h>

#include "encode.h"
#include "frames.h"
#include "fuzz_formats.h"

#define FRAME 256u

/* Pushes the whole file in pieces; how many bytes of content came out, compared with `content`. */
static size_t receive(const struct gw_payload *p, const struct gw_crypto *crypto, struct gw_span file,
                      const uint8_t *content, size_t piece)
{
    uint8_t buffer[FRAME + GW_DIGEST_SIZE];
    struct gw_frames f;
    struct gw_span out;
    size_t at = 0, got = 0;

    gw_frames_start(&f, p, 0, p->head);
    while (gw_frames_length(&f) != 0) {
        MUST(gw_frames_offset(&f) == at);
        size_t n = file.n - at < piece ? file.n - at : piece;
        at += gw_frames_push(&f, buffer, file.p + at, n);
        if (!gw_frames_complete(&f)) {
            continue;
        }
        if (gw_frames_check(&f, crypto, buffer, &out) != GW_OK) {
            return got;
        }
        MUST(memcmp(out.p, content + got, out.n) == 0);
        got += out.n;
    }
    MUST(at == file.n && gw_frames_push(&f, buffer, file.p, file.n) == 0);
    return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct gw_crypto *crypto = &fuzz_world()->crypto;
    struct gw_payload p = { .frame_size = FRAME };
    struct gwh_buf file = { 0 };

    if (size < 5 || size > 8192) {
        return 0;
    }
    struct gw_span content = { data + 4, size - 4 };
    size_t piece = 1u + data[1];
    MUST(gwh_payload_frame(&file, crypto, content, &p) == GW_OK);
    MUST(p.size == file.n && gw_payload_content(&p) == content.n);
    MUST(receive(&p, crypto, gwh_span(&file), content.p, piece) == content.n);
    if (data[0] != 0) {
        size_t at = ((size_t)data[2] << 8 | data[3]) % file.n;
        file.p[at] ^= data[0];
        size_t got = receive(&p, crypto, gwh_span(&file), content.p, piece);
        MUST(got == at / (FRAME + GW_DIGEST_SIZE) * FRAME);
    }
    gwh_buf_free(&file);
    return 0;
}
