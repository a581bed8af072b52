/*
 * settings.h - what the factory tells a device beside its identity: where its server is, and the like. Text in an area
 * of flash of its own that no update writes (board.json: "settings"), made by `godwit device provision --settings`.
 *
 *     # a comment
 *     server = https://updates.example.com:8443
 *     host = updates.example.com 10.0.2.2
 *     host = cdn.example.com 10.0.2.3
 *
 * Lines end with a line feed, the text with the first byte 0xff or 0x00, or with the area. A name is [a-z_]+; blanks
 * (space, tab, carriage return) around name and value do not count; a value is at least one byte; a line that is none
 * of these is passed over. Not secret, not signed: who could
 * write it could write the identity beside it. Nothing here is trusted for more than where to ask.
 */
#ifndef GWC_SETTINGS_H
#define GWC_SETTINGS_H

#include "godwit/godwit.h"

#define GWC_SETTINGS_MAX 4096u
#define GWC_SETTING_PATH_MAX 127u /* bytes of a path */

/* The next setting of the text, from the front of *rest, which becomes what is behind it; views. False: none left. */
bool gwc_settings_next(struct gw_span *rest, struct gw_span *name, struct gw_span *value);
/* Number of the first line, from 1, that is neither blank, nor comment, nor setting: a factory refuses it. 0: none. */
unsigned gwc_settings_wrong(struct gw_span text);
/* Value number `i` of a name, in the order of lines; a view into `text`. n 0: there is none. */
struct gw_span gwc_setting(struct gw_span text, const char *name, unsigned i);
/* A decimal number. False: it is none (nothing, sign, blank, more than 32 bits), and *n stays. */
bool gwc_number(struct gw_span text, uint32_t *n);
/* "A.B.C.D", the most significant byte first. 0: it is none. */
uint32_t gwc_address(struct gw_span text);
/* A setting that is one; `otherwise` when it is absent or none. */
uint32_t gwc_setting_number(struct gw_span text, const char *name, uint32_t otherwise);
/* Copied, and ended by a zero. False, and an empty text: absent, or it does not fit. */
bool gwc_setting_text(struct gw_span text, const char *name, char *out, size_t size);

/* What is wrong with a setting, for the factory, which refuses it, and for the console of a device that meets one. */
struct gwc_settings_fault {
    unsigned line;         /* from 1 */
    const char *name;      /* NULL: the line is none of a setting */
    const char *expected;  /* "NAME:PORT" */
};
/* The first line that is no setting; or whose value is none for its name, as examples/common/online.h lists them, and
 * would count as absent; or that says a second time what counts once. Names that are not in that list are the product's
 * own, and any value is right. False: none. */
bool gwc_settings_fault(struct gw_span text, struct gwc_settings_fault *fault);

#endif
