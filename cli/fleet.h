/*
 * fleet.h - what the verbs that talk to a server share: connecting, tables.
 */
#ifndef GODWIT_CLI_FLEET_H
#define GODWIT_CLI_FLEET_H

#include <time.h>

#include "cli.h"
#include "rest.h"

/* Where the server is, and who asks. */
#define CLI_ACCESS                                                                                                     \
    {"ca", "FILE", "CA that signs the server; of the profile if not given", false, false},                             \
        {"token-file", "FILE", "token, 0600; GODWIT_TOKEN or the profile's if not given", false, false},               \
    {                                                                                                                  \
        "profile", "NAME", "server, CA and token by name; GODWIT_PROFILE or `default` if not given", false, false      \
    }
#define CLI_SERVER                                                                                                     \
    {"server", "URL", "https://HOST:PORT of its administration; of the profile if not given", false, false}, CLI_ACCESS
/* Opens it as these options say. `r` is to be closed in any case. */
int cli_rest(struct gwh_rest *r, const struct gwh_args *a, struct gwh_error *err);
/* The same with another URL. */
int cli_rest_at(struct gwh_rest *r, const struct gwh_args *a, const char *url, struct gwh_error *err);

enum cli_kind { CLI_TEXT = 0, CLI_TIME = 1, CLI_HEX8 = 2 /* the first 12 characters */, CLI_RIGHT = 4 };
struct cli_column {
    const char *key, *title; /* key "a.b": of an object within */
    unsigned kind;
};
/* A list on stdout, in columns as wide as what is in them. */
void cli_table(const json_t *items, const struct cli_column *columns);
/* Fetches a list (at most `most` items; 0: all) and prints it: a table, or JSON with --json. */
/* The same over a client that is open. */
int cli_rest_list(const struct gwh_args *a, struct gwh_rest *r, const char *path, unsigned most,
                  const struct cli_column *columns, struct gwh_error *err);
int cli_rest_table(const struct gwh_args *a, const char *path, unsigned most, const struct cli_column *columns,
                   struct gwh_error *err);
/* Fetches one object and prints it, described or as JSON. */
/* One object of the server's: times in words, unless --json. Takes the tree. */
int cli_rest_print(const struct gwh_args *a, json_t *tree);
int cli_rest_show(const struct gwh_args *a, const char *path, struct gwh_error *err);

/* devices.c: puts the octets of a file to a path. */
int cli_put_file(const struct gwh_args *a, const char *path, const char *file, struct gwh_error *err);
/* devices.c: `device show ID`. */
int cli_device_show(const struct gwh_args *a, struct gwh_error *err);
/* upload.c: release publish, list and show where --to or --from is https://. */
bool cli_is_server(const char *where);
int cli_server_publish(const struct gwh_args *a, struct gwh_error *err);
int cli_server_release(const struct gwh_args *a, struct gwh_error *err);
int cli_server_delete(const struct gwh_args *a, struct gwh_error *err);
int cli_server_releases(const struct gwh_args *a, struct gwh_error *err);

#endif
