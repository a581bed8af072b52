/*
 * test_frames.c - the chain of frames: every size around its boundaries comes through in any pieces; nothing else does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fastcrypto.h"
#include "frames.h"

#define FRAME 256u

struct made {
    struct gwh_buf content, file;
    struct gw_payload p;
};

static void make(struct made *m, uint32_t n, uint32_t frame_size)
{
    uint8_t *at;

    memset(m, 0, sizeof *m);
    assert_int_equal(gwh_buf_grow(&m->content, n, &at), 0);
    for (uint32_t i = 0; i < n; i++) {
        at[i] = (uint8_t)(i * 13 + i / 251);
    }
    m->p.frame_size = frame_size;
    assert_int_equal(gwh_payload_frame(&m->file, &fastcrypto, gwh_span(&m->content), &m->p), 0);
}

static void drop(struct made *m)
{
    gwh_buf_free(&m->content);
    gwh_buf_free(&m->file);
}

/* Receives a payload in pieces of `piece` bytes into a buffer of exactly a frame; compares the content. */
static void receive(const struct made *m, size_t piece)
{
    uint8_t *buffer = malloc(m->p.frame_size + GW_DIGEST_SIZE);
    struct gw_frames f;
    struct gw_span content;
    size_t got = 0, at = 0;

    gw_frames_start(&f, &m->p, 0, m->p.head);
    while (gw_frames_length(&f) != 0) {
        assert_int_equal(gw_frames_offset(&f), at);
        assert_false(gw_frames_complete(&f));
        size_t n = m->file.n - at < piece ? m->file.n - at : piece;
        size_t used = gw_frames_push(&f, buffer, m->file.p + at, n);
        assert_true(used > 0 && used <= n);
        at += used;
        if (!gw_frames_complete(&f)) {
            assert_int_equal(used, n); /* it takes all until a frame is complete */
            continue;
        }
        assert_int_equal(gw_frames_push(&f, buffer, m->file.p, 1), 0);
        assert_int_equal(gw_frames_check(&f, &fastcrypto, buffer, &content), GW_OK);
        assert_true(content.n > 0 && content.n <= m->p.frame_size && got + content.n <= m->content.n);
        assert_memory_equal(content.p, m->content.p + got, content.n);
        got += content.n;
    }
    assert_int_equal(got, m->content.n);
    assert_int_equal(at, m->file.n);
    assert_int_equal(gw_frames_offset(&f), m->file.n);
    assert_false(gw_frames_complete(&f));
    assert_int_equal(gw_frames_push(&f, buffer, m->file.p, 1), 0);
    free(buffer);
}

static void sizes_around_every_boundary(void **state)
{
    struct made m;
    (void)state;

    for (uint32_t frames = 0; frames < 4; frames++) {
        for (int d = -34; d <= 34; d++) {
            if ((int)(frames * FRAME) + d < 1) {
                continue;
            }
            make(&m, (uint32_t)((int)(frames * FRAME) + d), FRAME);
            uint32_t count = (uint32_t)(m.content.n + FRAME - 1) / FRAME;
            assert_int_equal(m.file.n, m.content.n + (count - 1) * GW_DIGEST_SIZE);
            assert_int_equal(m.p.size, m.file.n);
            receive(&m, 100);
            drop(&m);
        }
    }
}

static void pieces_of_every_size(void **state)
{
    struct made m;
    (void)state;

    make(&m, 2 * FRAME + 57, FRAME);
    for (size_t piece = 1; piece <= m.file.n + 1; piece++) {
        receive(&m, piece);
    }
    drop(&m);
    make(&m, 65536 + 5000, 65536);
    receive(&m, 4000);
    drop(&m);
}

/* Fills the buffer with frame number `frame` of a file. */
static void load(struct gw_frames *f, uint8_t *buffer, const struct made *m, uint32_t frame)
{
    size_t at = (size_t)frame * (m->p.frame_size + GW_DIGEST_SIZE);

    assert_int_equal(gw_frames_push(f, buffer, m->file.p + at, m->file.n - at), gw_frames_length(f));
    assert_true(gw_frames_complete(f));
}

static void no_bit_of_a_frame_may_flip(void **state)
{
    uint8_t *buffer = malloc(FRAME + GW_DIGEST_SIZE);
    struct gw_span content = { NULL, 77 };
    struct gw_frames f;
    struct made m;
    (void)state;

    make(&m, FRAME + 20, FRAME);
    gw_frames_start(&f, &m.p, 0, m.p.head);
    for (uint32_t frame = 0; frame < 2; frame++) {
        for (uint32_t bit = 0; bit < 8 * gw_frames_length(&f); bit++) {
            uint8_t expect[32];
            memcpy(expect, f.expect, sizeof expect);
            load(&f, buffer, &m, frame);
            buffer[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(gw_frames_check(&f, &fastcrypto, buffer, &content), GW_ERR_FRAME_HASH);
            assert_int_equal(f.frame, frame);
            assert_int_equal(gw_frames_offset(&f), frame * (FRAME + GW_DIGEST_SIZE)); /* wanted again, whole */
            assert_memory_equal(f.expect, expect, sizeof expect);
            assert_null(content.p);
        }
        load(&f, buffer, &m, frame);
        assert_int_equal(gw_frames_check(&f, &fastcrypto, buffer, &content), GW_OK);
        content = (struct gw_span){ NULL, 77 };
    }
    assert_int_equal(gw_frames_length(&f), 0);
    drop(&m);
    free(buffer);
}

static void frames_of_other_places_are_refused(void **state)
{
    uint8_t *buffer = malloc(FRAME + GW_DIGEST_SIZE);
    struct gw_span content;
    struct gw_frames f;
    struct made m, other;
    (void)state;

    make(&m, 4 * FRAME, FRAME);
    make(&other, 4 * FRAME, FRAME);
    other.content.p[3 * FRAME] ^= 1; /* the same but for one byte near the end */
    gwh_buf_free(&other.file);
    assert_int_equal(gwh_payload_frame(&other.file, &fastcrypto, gwh_span(&other.content), &other.p), 0);
    gw_frames_start(&f, &m.p, 0, m.p.head);
    for (uint32_t frame = 0; frame < 3; frame++) {
        for (uint32_t wrong = 0; wrong < 3; wrong++) { /* swapped, sent twice, left out */
            if (wrong == frame) {
                continue;
            }
            load(&f, buffer, &m, wrong);
            assert_int_equal(gw_frames_check(&f, &fastcrypto, buffer, &content), GW_ERR_FRAME_HASH);
        }
        load(&f, buffer, &other, frame); /* the same bytes of content, in another chain */
        assert_int_equal(gw_frames_check(&f, &fastcrypto, buffer, &content), GW_ERR_FRAME_HASH);
        load(&f, buffer, &m, frame);
        assert_int_equal(gw_frames_check(&f, &fastcrypto, buffer, &content), GW_OK);
    }
    drop(&m);
    drop(&other);
    free(buffer);
}

static void a_frame_with_its_place_starts_anywhere(void **state)
{
    uint8_t *buffer = malloc(FRAME + GW_DIGEST_SIZE);
    struct gw_span content;
    struct gw_frames f;
    struct made m;
    (void)state;

    make(&m, 5 * FRAME + 9, FRAME);
    for (uint32_t frame = 0; frame < 6; frame++) {
        size_t at = (size_t)frame * (FRAME + GW_DIGEST_SIZE);
        const uint8_t *expect = frame == 0 ? m.p.head : m.file.p + at - FRAME - GW_DIGEST_SIZE;
        gw_frames_start(&f, &m.p, frame, expect);
        assert_int_equal(gw_frames_offset(&f), at);
        load(&f, buffer, &m, frame);
        assert_int_equal(gw_frames_check(&f, &fastcrypto, buffer, &content), GW_OK);
        assert_memory_equal(content.p, m.content.p + frame * FRAME, content.n);
    }
    gw_frames_start(&f, &m.p, 6, m.p.head); /* behind the last one */
    assert_int_equal(gw_frames_length(&f), 0);
    assert_int_equal(gw_frames_offset(&f), m.file.n);
    drop(&m);
    free(buffer);
}

/* A file as long as 32 bits can say: only the numbers, the bytes do not exist. */
static void offsets_near_the_end_of_32_bits(void **state)
{
    static const uint32_t frame_sizes[] = { 256, 4096, 65536 };
    uint8_t buffer[32], bytes[40] = { 0 };
    struct gw_frames f;
    (void)state;

    for (unsigned i = 0; i < 3; i++) {
        uint32_t whole = frame_sizes[i] + GW_DIGEST_SIZE;
        struct gw_payload p = { .size = 0xffffffff, .frame_size = frame_sizes[i] };
        uint32_t last = p.size / whole, rest = p.size % whole;
        gw_frames_start(&f, &p, last, buffer);
        assert_int_equal(gw_frames_length(&f), rest);
        assert_int_equal(gw_frames_offset(&f), p.size - rest);
        assert_int_equal(gw_frames_push(&f, buffer, bytes, 31), 31);
        assert_int_equal(gw_frames_offset(&f), p.size - rest + 31);
        gw_frames_start(&f, &p, last - 1, buffer);
        assert_int_equal(gw_frames_length(&f), whole);
        for (uint32_t frame = last + 1; frame > last; frame *= 2) { /* numbers that no file reaches */
            gw_frames_start(&f, &p, frame, buffer);
            assert_int_equal(gw_frames_length(&f), 0);
            assert_int_equal(gw_frames_offset(&f), p.size);
            assert_int_equal(gw_frames_push(&f, buffer, bytes, 40), 0);
        }
        gw_frames_start(&f, &p, 0xffffffff, buffer);
        assert_int_equal(gw_frames_length(&f), 0);
    }
}

static int broken_start(void *ctx, struct gw_sha256 *s)
{
    (void)ctx;
    (void)s;
    return -1;
}

static void a_failing_hash_is_no_verdict(void **state)
{
    struct gw_crypto broken = fastcrypto;
    uint8_t *buffer = malloc(FRAME + GW_DIGEST_SIZE);
    struct gw_span content;
    struct gw_frames f;
    struct made m;
    (void)state;

    broken.sha256_start = broken_start;
    make(&m, 100, FRAME);
    gw_frames_start(&f, &m.p, 0, m.p.head);
    load(&f, buffer, &m, 0);
    assert_int_equal(gw_frames_check(&f, &broken, buffer, &content), GW_ERR_CRYPTO);
    assert_int_equal(f.frame, 0);
    drop(&m);
    free(buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_around_every_boundary),
        cmocka_unit_test(pieces_of_every_size),
        cmocka_unit_test(no_bit_of_a_frame_may_flip),
        cmocka_unit_test(frames_of_other_places_are_refused),
        cmocka_unit_test(a_frame_with_its_place_starts_anywhere),
        cmocka_unit_test(offsets_near_the_end_of_32_bits),
        cmocka_unit_test(a_failing_hash_is_no_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
