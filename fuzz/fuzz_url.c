/*
 * fuzz_url.c - any bytes as a URL, and as the target of a redirect.
 *
 * Properties: what is taken lies inside the text and put together again is the text; nothing in it ends a line of HTTP;
 * what is a URL is a target too, the same one.
 */
#include <stdlib.h>
#include <string.h>

#include "url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) do { if (!(condition)) { abort(); } } while (0)

static void check_bytes(struct gw_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        MUST(s.p[i] > 0x20 && s.p[i] < 0x7f && s.p[i] != '#' && s.p[i] != '\\' && s.p[i] != '"');
    }
}

static void check_url(const struct gwc_url *u, struct gw_span text, size_t most)
{
    const uint8_t *after = u->host.p + u->host.n;

    MUST(text.n <= most && u->host.n > 0 && u->host.n <= GWC_HOST_MAX && u->port > 0);
    MUST(u->host.p == text.p + 8 && u->path.p + u->path.n == text.p + text.n && u->path.p >= after);
    MUST(u->path.n == 0 || u->path.p[0] == '/');
    MUST(u->path.p == after ? u->port == 443 : (*after == ':' && u->path.p - after >= 2 && u->path.p - after <= 6));
    check_bytes(u->host);
    check_bytes(u->path);
    for (size_t i = 0; i < u->host.n; i++) {
        MUST(strchr("/:@?#[]%", u->host.p[i]) == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct gw_span text = { data, size };
    const struct gwc_url from = { .host = { (const uint8_t *)"from", 4 }, .port = 7 };
    struct gwc_url url, target;
    int error = gwc_url_parse(&url, text), as_target = gwc_url_target(&target, &from, text);

    MUST((error == GW_OK || error == GW_ERR_VALUE) && (as_target == GW_OK || as_target == GW_ERR_VALUE));
    if (error == GW_OK) {
        check_url(&url, text, GWC_URL_MAX);
        MUST(as_target == GW_OK && target.port == url.port && target.host.p == url.host.p &&
             target.host.n == url.host.n && target.path.n == url.path.n);
    }
    if (as_target == GW_OK && target.host.p != from.host.p) {
        check_url(&target, text, GWC_TARGET_MAX);
    } else if (as_target == GW_OK) {
        MUST(target.port == 7 && target.path.p == data && target.path.n == size && data[0] == '/');
        check_bytes(target.path);
    }
    return 0;
}
