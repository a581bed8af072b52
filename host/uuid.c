/*
 * uuid.c - see uuid.h. UUIDv5 is made with SHA-1, which only names things here and guards nothing.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "file.h"
#include "uuid.h"

static const uint8_t dns[16] = {0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
                                0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};

static int uuid5(const uint8_t space[16], const char *name, uint8_t out[16])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *h = EVP_MD_CTX_new();
    bool ok = h != NULL && EVP_DigestInit_ex(h, EVP_sha1(), NULL) == 1 && EVP_DigestUpdate(h, space, 16) == 1 &&
              EVP_DigestUpdate(h, name, strlen(name)) == 1 && EVP_DigestFinal_ex(h, digest, NULL) == 1;
    EVP_MD_CTX_free(h);
    if (!ok) {
        return GW_ERR_CRYPTO;
    }
    memcpy(out, digest, 16);
    out[6] = (uint8_t)((out[6] & 0x0f) | 0x50);
    out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
    return GW_OK;
}

int gwh_uuid_vendor(const char *domain, uint8_t vendor[16])
{
    return uuid5(dns, domain, vendor);
}

int gwh_uuid_class(const uint8_t vendor[16], const char *name, uint8_t class_id[16])
{
    return uuid5(vendor, name, class_id);
}

void gwh_uuid_text(char out[37], const uint8_t uuid[16])
{
    static const int length[] = {4, 2, 2, 2, 6};
    for (size_t i = 0, at = 0; i < 5; i++) {
        gwh_hex(out, uuid + at, (size_t)length[i]);
        at += (size_t)length[i];
        out += 2 * length[i];
        *out++ = i < 4 ? '-' : '\0';
    }
}
