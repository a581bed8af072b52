/* encode_internal.h - what the files of the encoder share. */
#ifndef GWH_ENCODE_INTERNAL_H
#define GWH_ENCODE_INTERNAL_H

#include "cbor.h"
#include "encode.h"

typedef void gwh_writer(struct gw_cborw *w, const void *spec);
/* Appends what `writer` makes of `spec`. */
int gwh_emit(struct gwh_buf *out, gwh_writer *writer, const void *spec);
/* A COSE_Key with alg; spec: struct gw_pubkey. */
void gwh_put_key(struct gw_cborw *w, const void *spec);

#endif
