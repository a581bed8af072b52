/*
 * posix_target.c - see posix_target.h.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "posix_target.h"

#define SCHEME "https://"

/* What RFC 3986 allows in a URL, without '#', and '?' only if there may be a query. */
static bool is_plain(const char *text, bool query)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (!isalnum((unsigned char)*p) && strchr("-._~:/@!$&'()*+,;=%", *p) == NULL && !(query && *p == '?')) {
            return false;
        }
    }
    return true;
}

/* The host that libcurl found, if it is a name or an IPv4 address. */
static bool take_host(struct gwp_target *t)
{
    char *host = NULL;
    bool ok = curl_url_get(t->url, CURLUPART_HOST, &host, 0) == CURLUE_OK && host[0] != '\0' &&
              strlen(host) < sizeof t->host;
    for (size_t i = 0; ok && i <= strlen(host); i++) {
        ok = host[i] == '\0' || isalnum((unsigned char)host[i]) || host[i] == '-' || host[i] == '.';
        t->host[i] = (char)tolower((unsigned char)host[i]);
    }
    curl_free(host);
    return ok;
}

static int parse(struct gwp_target *t, const char *text, bool query)
{
    struct gwp_target found = { .url = curl_url() };
    size_t n = strlen(SCHEME);
    bool ok = found.url != NULL && strncasecmp(text, SCHEME, n) == 0 && is_plain(text, query) &&
              strchr("/?:", text[n]) == NULL && /* an empty host is no host */
              curl_url_set(found.url, CURLUPART_URL, text, CURLU_DISALLOW_USER) == CURLUE_OK && take_host(&found);
    if (!ok) {
        gwp_target_free(&found);
        return GW_ERR_VALUE;
    }
    gwp_target_free(t);
    *t = found;
    return GW_OK;
}

int gwp_target_make(struct gwp_target *t, struct gw_span base, const char *path)
{
    char text[GWP_TARGET_MAX + 1];
    if (base.n == 0 || base.n > GWP_URL_MAX || memchr(base.p, '\0', base.n) != NULL) {
        return GW_ERR_VALUE;
    }
    while (path != NULL && base.n > 0 && base.p[base.n - 1] == '/') {
        base.n--;
    }
    int n = snprintf(text, sizeof text, "%.*s%s%s", (int)base.n, (const char *)base.p, path != NULL ? "/" : "",
                     path != NULL ? path : "");
    return n < 0 || (size_t)n >= sizeof text ? GW_ERR_VALUE : parse(t, text, false);
}

int gwp_target_follow(struct gwp_target *t, const char *location)
{
    char *port = NULL;
    char text[GWP_TARGET_MAX + 1];
    if (location[0] != '/' || location[1] == '/') {
        return parse(t, location, true);
    }
    bool ok = curl_url_get(t->url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    int n = ok ? snprintf(text, sizeof text, SCHEME "%s:%s%s", t->host, port, location) : -1;
    curl_free(port);
    return n < 0 || (size_t)n >= sizeof text ? GW_ERR_VALUE : parse(t, text, true);
}

void gwp_target_free(struct gwp_target *t)
{
    curl_url_cleanup(t->url);
    t->url = NULL;
}
