/*
 * migrations.h - steps from an empty file to the newest schema; number i leads from user_version i to i + 1.
 */
#ifndef GWS_MIGRATIONS_H
#define GWS_MIGRATIONS_H

extern const char *const gws_migrations[]; /* ended by NULL */

#endif
