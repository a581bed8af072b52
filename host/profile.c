/*
 * profile.c - see rest.h: servers by name, in one file of this user's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "encode.h"
#include "rest.h"

#define FILE_MAX (256u * 1024u)

static int home(char out[GWH_PATH_MAX], struct gwh_error *err)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *user = getenv("HOME");
    if (config != NULL && config[0] == '/') {
        return gwh_path(out, config, "godwit", err);
    }
    if (user == NULL || user[0] != '/') {
        return gwh_fail(err, GWH_USAGE, "neither HOME nor XDG_CONFIG_HOME is set");
    }
    return gwh_path(out, user, ".config/godwit", err);
}

static bool is_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return n > 0 && n <= 48 && name[n] == '\0';
}

static int read_all(struct gwh_buf *text, const char *path, struct gwh_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0 && errno == ENOENT) {
        return GWH_OK;
    }
    if ((st.st_mode & 077) != 0) {
        (void)gwh_fail(err, GWH_REFUSED, "%s can be read or written by others", path);
        return gwh_hint(err, "chmod 600 %s", path);
    }
    return gwh_file_read(text, path, FILE_MAX, err);
}

/* ---- Finding ----------------------------------------------------------------------------------------------------- */

static void take_option(struct gwh_profile *p, char *line)
{
    char *equals = strchr(line, '='), *name = line, *value = equals + 1;
    const struct {
        const char *name;
        char *to;
        size_t size;
    } options[] = {{"server", p->server, sizeof p->server},
                   {"ca", p->ca, sizeof p->ca},
                   {"token_file", p->token_file, sizeof p->token_file}};
    *equals = '\0';
    while (equals > name && equals[-1] == ' ') {
        *--equals = '\0';
    }
    value += strspn(value, " ");
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(options[i].name, name) == 0) {
            (void)snprintf(options[i].to, options[i].size, "%s", value);
        }
    }
}

/* Does this line begin the section? One answer for who reads sections and who replaces them. */
static bool begins(const char *line, size_t n, const char *name)
{
    size_t length = strlen(name);
    return n > length + 1 && line[0] == '[' && memcmp(line + 1, name, length) == 0 && line[1 + length] == ']';
}

/* Finds the section; name NULL: counts sections, and takes the last. */
static unsigned scan(struct gwh_profile *p, char *text, const char *name)
{
    unsigned found = 0;
    bool inside = false;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        size_t n = strlen(line);
        if (n > 0 && line[n - 1] == '\r') {
            line[--n] = '\0';
        }
        if (line[0] == '[') {
            inside = name == NULL || begins(line, n, name);
            found += inside;
        } else if (inside && line[0] != '#' && strchr(line, '=') != NULL) {
            take_option(p, line);
        }
    }
    return found;
}

int gwh_profile_find(struct gwh_profile *p, const char *name, struct gwh_error *err)
{
    char folder[GWH_PATH_MAX], path[GWH_PATH_MAX];
    struct gwh_buf text = {0}, again = {0};
    const char *variable = getenv("GODWIT_PROFILE");
    const char *asked = name != NULL ? name : variable != NULL && *variable != '\0' ? variable : NULL;
    unsigned found = 0;
    memset(p, 0, sizeof *p);
    int e = home(folder, err);
    e = e == GWH_OK ? gwh_path(path, folder, "profiles.ini", err) : e;
    e = e == GWH_OK ? read_all(&text, path, err) : e;
    if (e == GWH_OK && (gwh_buf_add(&text, "", 1) != GW_OK || gwh_buf_add(&again, text.p, text.n) != GW_OK)) {
        e = gwh_fail_reason(err, GW_ERR_SPACE, "%s", path);
    }
    if (e == GWH_OK) {
        found = scan(p, (char *)text.p, asked != NULL ? asked : "default");
    }
    if (e == GWH_OK && found == 0 && asked == NULL) {
        found = scan(p, (char *)again.p, NULL);
    }
    if (e == GWH_OK && found != 1) {
        (void)gwh_fail(err, GWH_USAGE, found == 0 ? "no profile%s%s in %s" : "which of the profiles%.0s%.0s in %s?",
                       asked != NULL ? " " : "", asked != NULL ? asked : "", path);
        e = gwh_hint(err, "--profile NAME, or --server https://HOST:PORT --ca FILE --token-file FILE");
    }
    gwh_buf_free(&text);
    gwh_buf_free(&again);
    return e;
}

/* ---- Adding ------------------------------------------------------------------------------------------------------ */

static int make_folders(const char *path, struct gwh_error *err)
{
    char copy[GWH_PATH_MAX];
    (void)snprintf(copy, sizeof copy, "%s", path);
    for (char *p = copy + 1; *p != '\0'; p++) {
        if (*p == '/') {
            *p = '\0';
            (void)mkdir(copy, 0700);
            *p = '/';
        }
    }
    if (mkdir(copy, 0700) != 0 && errno != EEXIST) {
        return gwh_fail_errno(err, "cannot make the folder %s", path);
    }
    return GWH_OK;
}

static int beside(char out[GWH_PATH_MAX], const char *folder, const char *name, const char *suffix,
                  struct gwh_error *err)
{
    char file[80];
    (void)snprintf(file, sizeof file, "%s%s", name, suffix);
    return gwh_path(out, folder, file, err);
}

/* The file without this section, if it has it. */
static int without(struct gwh_buf *out, const struct gwh_buf *text, const char *name, bool *had)
{
    bool inside = false;
    int e = GW_OK;
    *had = false;
    for (size_t at = 0; e == GW_OK && at < text->n;) {
        const char *line = (const char *)text->p + at;
        const char *newline = memchr(line, '\n', text->n - at);
        size_t n = newline != NULL ? (size_t)(newline - line) + 1 : text->n - at;
        if (line[0] == '[') {
            inside = begins(line, n, name);
            *had = *had || inside;
        }
        e = inside ? GW_OK : gwh_buf_add(out, line, n);
        at += n;
    }
    return e;
}

static int write_profile(const char *path, const char *name, const struct gwh_profile *p, bool force,
                         struct gwh_error *err)
{
    struct gwh_buf text = {0}, next = {0};
    char section[3 * GWH_PATH_MAX];
    bool had = false;
    int e = read_all(&text, path, err);
    if (e == GWH_OK && without(&next, &text, name, &had) != GW_OK) {
        e = gwh_fail_reason(err, GW_ERR_SPACE, "%s", path);
    }
    if (e == GWH_OK && had && !force) {
        (void)gwh_fail(err, GWH_REFUSED, "there is a profile %s in %s", name, path);
        e = gwh_hint(err, "choose another name, or add --force to replace it");
    }
    bool open = next.n > 0 && next.p[next.n - 1] != '\n'; /* an editor left the last line without its end */
    if (e == GWH_OK && open && gwh_buf_add(&next, "\n", 1) != GW_OK) {
        e = gwh_fail_reason(err, GW_ERR_SPACE, "%s", path);
    }
    int n = snprintf(section, sizeof section, "[%s]\nserver = %s\nca = %s\ntoken_file = %s\n", name, p->server, p->ca,
                     p->token_file);
    if (e == GWH_OK && gwh_buf_add(&next, section, (size_t)n) != GW_OK) {
        e = gwh_fail_reason(err, GW_ERR_SPACE, "%s", path);
    }
    e = e == GWH_OK ? gwh_file_write(path, gwh_span(&next), 0600, true, err) : e;
    gwh_buf_free(&text);
    gwh_buf_free(&next);
    return e;
}

int gwh_profile_add(const char *name, const char *server, const char *ca, const char *token, bool force,
                    struct gwh_error *err)
{
    char folder[GWH_PATH_MAX], path[GWH_PATH_MAX];
    struct gwh_profile p = {0};
    struct gwh_buf pem = {0};
    const struct gw_span secret = {(const uint8_t *)token, strlen(token)};
    if (!is_name(name)) {
        return gwh_fail(err, GWH_USAGE, "--profile %.60s: letters, digits, _ and -, at most 48", name);
    }
    (void)snprintf(p.server, sizeof p.server, "%s", server);
    int e = home(folder, err);
    e = e == GWH_OK ? make_folders(folder, err) : e;
    e = e == GWH_OK ? gwh_path(path, folder, "profiles.ini", err) : e;
    e = e == GWH_OK ? beside(p.ca, folder, name, ".ca.pem", err) : e;
    e = e == GWH_OK ? beside(p.token_file, folder, name, ".token", err) : e;
    e = e == GWH_OK ? gwh_file_read(&pem, ca, FILE_MAX, err) : e;
    e = e == GWH_OK ? write_profile(path, name, &p, force, err) : e;
    e = e == GWH_OK ? gwh_file_write(p.ca, gwh_span(&pem), 0644, true, err) : e;
    e = e == GWH_OK ? gwh_file_write(p.token_file, secret, 0600, true, err) : e;
    gwh_buf_free(&pem);
    return e;
}
