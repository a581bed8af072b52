/*
 * first.h - tokens that `godwit server init` and `godwit server token DIR` left in the data folder.
 *
 * The file, 0600, has one line for each: "name role created expires sha256-in-hex". The token itself is nowhere on the
 * server. They are taken in at the start and at SIGHUP: into the database, with an entry in the audit log; when that is
 * durable, the file is removed.
 */
#ifndef GWS_FIRST_H
#define GWS_FIRST_H

#define GWS_FIRST_TOKENS "first-tokens"

struct gws_server;
/* Nothing happens if there is no file. A file that others can read, or a bad line, is refused and logged. */
void gws_first_tokens(struct gws_server *s);

#endif
