/*
 * url.c - https URLs, read strictly; see url.h.
 *
 * A name whose last label is a number is an IPv4 address or nothing: resolvers take "127.1" for an address.
 */
#include "url.h"

#include <string.h>

#include "cbor.h"
#include "fields.h"

#define SCHEME "https://"
#define SCHEME_SIZE (sizeof SCHEME - 1)
#define LABEL_MAX 63u

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool is_letter(uint8_t c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}

static bool is_hex(uint8_t c)
{
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f');
}

/* Decimal, all of s, no leading zero, at most `most`. */
static bool number(struct gw_span s, uint32_t most, uint32_t *v)
{
    *v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i]) || (i > 0 && *v == 0)) {
            return false;
        }
        *v = *v * 10 + s.p[i] - '0';
        if (*v > most) {
            return false;
        }
    }
    return s.n > 0;
}

/* What comes before the first `c` in *rest, all if there is none; *rest is moved to it. */
static struct gw_span before(struct gw_span *rest, uint8_t c)
{
    struct gw_span s = { rest->p, 0 };

    while (s.n < rest->n && s.p[s.n] != c) {
        s.n++;
    }
    rest->p += s.n;
    rest->n -= s.n;
    return s;
}

static void skip_one(struct gw_span *rest)
{
    rest->p++;
    rest->n--;
}

static bool is_label(struct gw_span s)
{
    bool good = s.n > 0 && s.n <= LABEL_MAX && s.p[0] != '-' && s.p[s.n - 1] != '-';

    for (size_t i = 0; good && i < s.n; i++) {
        good = is_digit(s.p[i]) || is_letter(s.p[i]) || s.p[i] == '-';
    }
    return good;
}

static bool is_host(struct gw_span s)
{
    bool all_octets = true, last_digits = false, good = s.n > 0 && s.n <= GWC_HOST_MAX;
    unsigned labels = 0;

    while (good) {
        struct gw_span label = before(&s, '.');
        uint32_t octet;
        good = is_label(label);
        all_octets = all_octets && number(label, 255, &octet);
        last_digits = good && is_digit(label.p[0]); /* a top level domain begins with a letter */
        labels++;
        if (s.n == 0) {
            break;
        }
        skip_one(&s);
    }
    return good && (!last_digits || (all_octets && labels == 4));
}

/* pchar and "/" of RFC 3986; with a query also "?". */
static bool is_path(struct gw_span s, bool query)
{
    static const char marks[] = "/:@-._~!$&'()*+,;=";

    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool good = is_digit(c) || is_letter(c) || (query && c == '?' && i > 0);
        for (size_t k = 0; !good && k < sizeof marks - 1; k++) {
            good = c == (uint8_t)marks[k];
        }
        if (c == '%') {
            good = s.n - i > 2 && is_hex(s.p[i + 1]) && is_hex(s.p[i + 2]);
        }
        if (!good) {
            return false;
        }
    }
    return s.n == 0 || s.p[0] == '/';
}

static int parse(struct gwc_url *url, struct gw_span text, bool query)
{
    struct gwc_url found = { .port = 443 };
    struct gw_span scheme = { text.p, SCHEME_SIZE }, wanted = { (const uint8_t *)SCHEME, SCHEME_SIZE }, authority;
    uint32_t port;

    if (text.n <= SCHEME_SIZE || !gwc_host_equal(scheme, wanted)) {
        return GW_ERR_VALUE;
    }
    found.path = (struct gw_span){ text.p + SCHEME_SIZE, text.n - SCHEME_SIZE };
    authority = before(&found.path, '/');
    found.host = before(&authority, ':');
    if (authority.n > 0) {
        skip_one(&authority);
        if (!number(authority, 65535, &port) || port == 0) {
            return GW_ERR_VALUE;
        }
        found.port = (uint16_t)port;
    }
    if (!is_host(found.host) || !is_path(found.path, query)) {
        return GW_ERR_VALUE;
    }
    *url = found;
    return GW_OK;
}

int gwc_url_parse(struct gwc_url *url, struct gw_span text)
{
    return text.n > GWC_URL_MAX ? GW_ERR_VALUE : parse(url, text, false);
}

int gwc_url_target(struct gwc_url *url, const struct gwc_url *from, struct gw_span text)
{
    bool alone = text.n > 0 && text.p[0] == '/' && (text.n == 1 || text.p[1] != '/');

    if (text.n > GWC_TARGET_MAX) {
        return GW_ERR_VALUE;
    }
    if (!alone) {
        return parse(url, text, true);
    }
    if (!is_path(text, true)) {
        return GW_ERR_VALUE;
    }
    *url = *from;
    url->path = text;
    return GW_OK;
}

bool gwc_host_equal(struct gw_span a, struct gw_span b)
{
    bool equal = a.n == b.n;

    for (size_t i = 0; equal && i < a.n; i++) {
        equal = lower(a.p[i]) == lower(b.p[i]);
    }
    return equal;
}

static void read_host(struct gw_cbor *c, void *out)
{
    *(struct gw_span *)out = gw_cbor_text(c);
}

bool gwc_host_listed(const struct gw_trust *trust, struct gw_span host)
{
    uint32_t count = gw_list_count(trust->hosts);

    for (uint32_t i = 0; i < count; i++) {
        struct gw_span listed;
        if (gw_list_read(trust->hosts, i, read_host, &listed) == GW_OK && gwc_host_equal(listed, host)) {
            return true;
        }
    }
    return false;
}
