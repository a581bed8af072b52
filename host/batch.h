/*
 * batch.h - the list that `godwit device provision --csv` takes: a line id[,class[,hardware[,tags]]] for each device.
 *
 * What it keeps true: a list is taken whole or not at all, and an error names file and line; no device is in it twice.
 */
#ifndef GWH_BATCH_H
#define GWH_BATCH_H

#include "file.h"

#define GWH_TAG_MAX 32u  /* bytes of a tag */
#define GWH_TAGS_MAX 16u /* of a device */

struct gwh_batch_line {
    const char *id, *class, *hardware; /* in the batch's text; "": not given */
    const char *tags;                  /* with ; between them */
    size_t number;                     /* of the line in the file, from 1 */
};
/* All-zero: none. Free with gwh_batch_free(). */
struct gwh_batch {
    struct gwh_buf text;
    struct gwh_batch_line *line;
    size_t count;
};

int gwh_batch_read(struct gwh_batch *b, const char *path, struct gwh_error *err);
void gwh_batch_free(struct gwh_batch *b);

#endif
