/*
 * posix_target.c - see posix_target.h.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "posix_target.h"

static struct gw_span text_span(const char *text)
{
    return (struct gw_span){ (const uint8_t *)text, strlen(text) };
}

static int put(struct gwp_target *t, const struct gwc_url *url)
{
    struct gwp_target made = { .port = url->port };
    for (size_t i = 0; i < url->host.n; i++) {
        made.host[i] = (char)tolower(url->host.p[i]);
    }
    made.host[url->host.n] = '\0';
    int n = snprintf(made.url, sizeof made.url, "https://%s:%u%.*s", made.host, (unsigned)url->port, (int)url->path.n,
                     url->path.n > 0 ? (const char *)url->path.p : "");
    if (n < 0 || (size_t)n >= sizeof made.url) {
        return GW_ERR_VALUE;
    }
    *t = made;
    return GW_OK;
}

int gwp_target_make(struct gwp_target *t, struct gw_span base, const char *path)
{
    char text[GWC_TARGET_MAX + 1];
    struct gwc_url url;
    int e = gwc_url_parse(&url, base);
    if (e != GW_OK || path == NULL) {
        return e != GW_OK ? e : put(t, &url);
    }
    while (url.path.n > 0 && url.path.p[url.path.n - 1] == '/') {
        url.path.n--;
    }
    int n = snprintf(text, sizeof text, "%.*s/%s", (int)url.path.n, (const char *)url.path.p, path);
    if (n < 0 || (size_t)n >= sizeof text || strchr(text, '?') != NULL) {
        return GW_ERR_VALUE;
    }
    e = gwc_url_target(&url, &url, text_span(text));
    return e == GW_OK ? put(t, &url) : e;
}

int gwp_target_follow(struct gwp_target *t, const char *location)
{
    struct gwp_target old = *t;
    struct gwc_url from = { .host = text_span(old.host), .port = old.port }, url;
    int e = gwc_url_target(&url, &from, text_span(location));
    return e == GW_OK ? put(t, &url) : e;
}
