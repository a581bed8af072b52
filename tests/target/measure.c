/*
 * measure.c - instructions that hashing, verifying and decrypting take on RV32IMC. See measure.h.
 *
 * Reads the processor's own count (minstret): exact when QEMU runs with `-icount shift=0`, and without meaning else,
 * which is noticed. scripts/measure.py makes the table.
 */
#include "measure.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypto/vectors.h"

#define IMAGE (128u * 1024u)

static uint8_t image[IMAGE];

static uint64_t instructions(void)
{
    uint32_t high, low, again;

    do {
        __asm__ volatile("csrr %0, minstreth\n\tcsrr %1, minstret\n\tcsrr %2, minstreth"
                         : "=r"(high), "=r"(low), "=r"(again));
    } while (high != again);
    return (uint64_t)high << 32 | low;
}

static void print(const char *what, uint64_t from)
{
    printf("%s %llu\n", what, (unsigned long long)(instructions() - from));
}

/* A loop of known length: 1000 times two instructions. */
static bool counts_exactly(void)
{
    uint32_t n = 1000;
    uint64_t from = instructions();

    __asm__ volatile("1: addi %0, %0, -1\n\tbnez %0, 1b" : "+r"(n));
    uint64_t took = instructions() - from;
    return took >= 2000 && took < 2050;
}

static int hash(const struct gw_crypto *c, const char *what, size_t piece)
{
    uint8_t digest[32];
    struct gw_sha256 h;
    uint64_t from = instructions();
    int err = c->sha256_start(c->ctx, &h);

    for (size_t at = 0; err == 0 && at < IMAGE; at += piece) {
        err = c->sha256_update(c->ctx, &h, image + at, piece);
    }
    err = err != 0 ? err : c->sha256_finish(c->ctx, &h, digest);
    print(what, from);
    return err;
}

static int verify(const struct gw_crypto *c)
{
    const struct gw_pubkey key = { GW_ALG_ES256, GW_ROLE_AUTHOR, { p256_x, 32 }, { p256_y, 32 } };
    char *heap = sbrk(0);
    uint64_t from = instructions();
    int err = c->verify(c->ctx, &key, p256_sample_digest, p256_sample_sig, 64);

    print("es256", from);
    printf("es256_heap %u\n", (unsigned)((char *)sbrk(0) - heap));
    return err;
}

static int decrypt(const struct gw_crypto *c)
{
    uint64_t from = instructions();
    int err = c->aes_ctr(c->ctx, aes128_key, 16, 0, image, IMAGE);

    print("aes128_ctr", from);
    return err;
}

static int agree(const struct gw_crypto *c)
{
    uint8_t shared[32];
    uint64_t from = instructions();
    int err = c->ecdh(c->ctx, ecdh_priv, ecdh_peer, shared);

    print("ecdh", from);
    return err;
}

int measure_port(const struct gw_crypto *c)
{
    int err = 0;

    if (!counts_exactly()) {
        puts("the emulator does not count instructions: run it with -icount shift=0");
        return GW_ERR_STATE;
    }
    memset(image, 0xa7, sizeof image);
    setvbuf(stdout, NULL, _IONBF, 0);
    printf("bytes %u\n", (unsigned)IMAGE);
    err = hash(c, "sha256_pieces", 256);
    err = err != 0 ? err : hash(c, "sha256_whole", IMAGE);
    err = err != 0 ? err : verify(c);
    err = err != 0 || c->aes_ctr == NULL ? err : decrypt(c);
    return err != 0 || c->ecdh == NULL ? err : agree(c);
}
