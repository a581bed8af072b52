/*
 * coded.h - encoded payloads of a release being built: deltas from older releases, and the compressed image itself.
 *
 * What it keeps true: a payload that does not pay is not made; each is decoded with the device's own decoder before it
 * is used (gwh_patch_make does); the result does not depend on how many threads made it.
 */
#ifndef GWH_CODED_H
#define GWH_CODED_H

#include "patch.h"
#include "release.h"

#define GWH_FROM_MAX 8u         /* older releases that deltas are made from */
#define GWH_PATCH_UNIT 0x10000u /* restart unit of compressed images: docs/design.md says what it costs */

/* An image of an older release. */
struct gwh_old_image {
    const struct gwh_release *release;
    uint32_t component; /* id */
    bool linked;
    uint32_t address;
    struct gwh_buf image;
    uint8_t digest[32];
};
struct gwh_old_images {
    struct gwh_old_image *image;
    size_t count;
};
/*
 * All images of an older release, from its full payloads; `keys` opens its content key (may be NULL when it is not
 * encrypted). Appends. Free with gwh_old_images_free().
 */
int gwh_old_images_load(struct gwh_old_images *all, const struct gwh_release *r, const struct gwh_holders *keys,
                        struct gwh_error *err);
void gwh_old_images_free(struct gwh_old_images *all);

/* One encoding to be made. */
struct gwh_coding {
    const struct gwh_old_image *from; /* NULL: the image itself, compressed */
    struct gw_span fresh;
    struct gwh_patch_options options;
    struct gwh_buf out;
    int error; /* GW_OK, GW_ERR_* */
};
/* Makes them all, several at once (0: as many as there are processors). GW_OK, or the first error. */
int gwh_code_all(struct gwh_coding *list, size_t count, unsigned threads);

/* Is a delta from `old` of use for an image linked like this? Never from one linked for the same slot: it runs. */
bool gwh_old_suits(const struct gwh_old_image *old, uint32_t component, bool linked, uint32_t address);

#endif
