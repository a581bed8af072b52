/*
 * class_head.h - storing a head that was verified: by itself, or with the release that it came with.
 */
#ifndef GWS_CLASS_HEAD_H
#define GWS_CLASS_HEAD_H

#include "resources.h"

/* Its class must be this one, and its serial above the stored one. */
int gws_class_head_store(struct gws_edit *e, sqlite3 *db, const uint8_t class_id[16], const struct gw_head *head,
                         struct gw_span cose);

#endif
