/*
 * http.c - a strict HTTP/1.1 client; see http.h.
 *
 * Sending and receiving share the window: a request is put together in it piece by piece, then the answer is read
 * through it line by line. Everything that waits for bytes can be left and called again: where it stands is `state`.
 * One function for each state; each looks at whole lines, or at the first 256 bytes of a longer one.
 */
#include "http.h"

#include <string.h>

#include "url.h"

enum http_state {
    IDLE = 0,
    SENDING,
    STATUS,    /* the status line is next */
    HEADER,    /* a field, or the empty line */
    BODY,      /* `left` bytes as they are */
    UNTIL_END, /* as they are, until the server closes */
    CHUNK,     /* a chunk's size is next */
    CHUNK_DATA,
    CHUNK_END, /* the empty line after a chunk's data */
    TRAILER,
    COMPLETE,
};

#define INTERIM_MAX 2u
#define CHUNK_DIGITS 16u
#define CHUNK_EXTENSION 64u
#define AROUND_MAX 72u /* longest part that is not the caller's */
#define TEXT(s) ((struct gw_span){ (const uint8_t *)(s), sizeof(s) - 1 })

void gwc_http_init(struct gwc_http *h, const struct gwc_stream *stream, uint8_t *location, uint16_t location_size)
{
    memset(h, 0, sizeof *h);
    h->stream = stream;
    h->location = location;
    h->location_size = location_size;
}

void gwc_http_start(struct gwc_http *h)
{
    memset(&h->answer, 0, sizeof h->answer);
    h->location_n = 0;
    h->window_at = h->window_n = 0;
    h->header_bytes = 0;
    h->total = 0;
    h->part_at = 0;
    h->part = 0;
    h->interim = 0;
    h->more = h->heard = false;
    h->error = GW_OK;
    h->state = SENDING;
}

bool gwc_http_reusable(const struct gwc_http *h)
{
    return h->state == COMPLETE && h->error == GW_OK && !h->answer.closes && h->window_at == h->window_n;
}

bool gwc_http_sent(const struct gwc_http *h)
{
    return h->state > SENDING;
}

bool gwc_http_silent(const struct gwc_http *h)
{
    return !h->heard;
}

/* ---- The request ------------------------------------------------------------------------------------------------ */

/* A part that is made here. */
struct around {
    uint8_t text[AROUND_MAX];
    uint8_t n;
};

static void put(struct around *a, struct gw_span s)
{
    memcpy(a->text + a->n, s.p, s.n);
    a->n = (uint8_t)(a->n + s.n);
}

static void put_number(struct around *a, uint32_t v)
{
    uint8_t digits[10];
    size_t at = sizeof digits;

    do {
        digits[--at] = (uint8_t)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    put(a, (struct gw_span){ digits + at, sizeof digits - at });
}

enum http_part { METHOD, PATH_1, PATH_2, PATH_3, VERSION, HOST, PORT, RANGE, IF_NONE, ETAG, CONTENT, END, DATA, PARTS };

static void put_around(struct around *a, const struct gwc_http_request *r, unsigned part)
{
    if (part == METHOD) {
        put(a, r->body.n > 0 ? TEXT("POST ") : TEXT("GET "));
    } else if (part == VERSION) {
        put(a, TEXT(" HTTP/1.1\r\nUser-Agent: godwit\r\nHost: "));
    } else if (part == PORT && r->port != 443) {
        put(a, TEXT(":"));
        put_number(a, r->port);
    } else if (part == RANGE && r->ranged) {
        put(a, TEXT("\r\nRange: bytes="));
        put_number(a, r->first);
        put(a, TEXT("-"));
        put_number(a, r->last);
    } else if (part == IF_NONE && r->etag.n > 0) {
        put(a, TEXT("\r\nIf-None-Match: "));
    } else if (part == END) {
        put(a, TEXT("\r\n\r\n"));
    }
}

static struct gw_span part_of(struct around *a, const struct gwc_http_request *r, unsigned part)
{
    a->n = 0;
    switch (part) {
    case PATH_1: return r->path[0];
    case PATH_2: return r->path[1];
    case PATH_3: return r->path[2];
    case HOST: return r->host;
    case ETAG: return r->etag;
    case DATA: return r->body;
    case CONTENT:
        if (r->body.n > 0) {
            put(a, TEXT("\r\nContent-Type: application/cose\r\nContent-Length: "));
            put_number(a, (uint32_t)r->body.n);
        }
        break;
    default: put_around(a, r, part); break;
    }
    return (struct gw_span){ a->text, a->n };
}

static void fill(struct gwc_http *h, const struct gwc_http_request *r)
{
    struct around a;

    h->window_at = h->window_n = 0;
    while (h->window_n < GWC_HTTP_WINDOW && h->part < PARTS) {
        struct gw_span s = part_of(&a, r, h->part);
        size_t n = s.n - h->part_at, room = GWC_HTTP_WINDOW - h->window_n;
        if (n > room) {
            n = room;
        } else {
            h->part++;
        }
        if (n > 0) {
            memcpy(h->window + h->window_n, s.p + h->part_at, n);
        }
        h->window_n = (uint16_t)(h->window_n + n);
        h->part_at = h->part_at + n < s.n ? (uint32_t)(h->part_at + n) : 0;
    }
}

static int step_send(struct gwc_http *h, const struct gwc_http_request *r)
{
    size_t n = (size_t)h->window_n - h->window_at, used = 0;

    if (n == 0 && h->part == PARTS) {
        h->state = STATUS;
        return GW_OK;
    }
    if (n == 0) {
        fill(h, r);
        return GW_OK;
    }
    int error = h->stream->send(h->stream->ctx, h->window + h->window_at, n, &used);
    if (error == GW_OK && (used == 0 || used > n)) {
        error = GW_ERR_TRANSPORT;
    }
    if (error == GW_OK) {
        h->window_at = (uint16_t)(h->window_at + used);
        h->bytes += (uint32_t)used;
    }
    return error;
}

/* ---- Lines ------------------------------------------------------------------------------------------------------ */

/* Up to n bytes; *got 0: the server has closed. */
static int receive(struct gwc_http *h, uint8_t *p, size_t n, size_t *got)
{
    *got = 0;
    int error = h->stream->recv(h->stream->ctx, p, n, got);
    if (error == GW_OK && *got > n) {
        error = GW_ERR_TRANSPORT;
    }
    if (error == GW_OK && *got > 0) {
        h->heard = true;
        h->bytes += (uint32_t)*got;
    }
    return error;
}

/* More into the window, which is not full. */
static int refill(struct gwc_http *h)
{
    size_t got, n = (size_t)h->window_n - h->window_at;

    memmove(h->window, h->window + h->window_at, n);
    h->window_at = 0;
    h->window_n = (uint16_t)n;
    int error = receive(h, h->window + n, GWC_HTTP_WINDOW - n, &got);
    if (error == GW_OK && got == 0) {
        error = GW_ERR_TRANSPORT;
    }
    if (error == GW_OK) {
        h->window_n = (uint16_t)(n + got);
    }
    return error;
}

static bool is_text(uint8_t c)
{
    return (c >= 0x20 && c != 0x7f) || c == '\t';
}

static int take(struct gwc_http *h, size_t n)
{
    h->window_at = (uint16_t)(h->window_at + n);
    h->header_bytes = (uint16_t)(h->header_bytes + n);
    return h->header_bytes > GWC_HTTP_HEADERS ? GW_ERR_HTTP : GW_OK;
}

/* A line without its CR LF, or what fits into the window of a longer one (h->more). Good until the next call. */
static int line(struct gwc_http *h, struct gw_span *s)
{
    for (;;) {
        size_t n = (size_t)h->window_n - h->window_at, i = 0;
        const uint8_t *p = h->window + h->window_at;

        while (i < n && is_text(p[i])) {
            i++;
        }
        if ((i < n && p[i] != '\r') || (i + 1 < n && p[i + 1] != '\n')) {
            return GW_ERR_HTTP;
        }
        bool whole = i + 1 < n;
        if (whole || n == GWC_HTTP_WINDOW) {
            *s = (struct gw_span){ p, i };
            h->more = !whole;
            return take(h, whole ? i + 2 : i);
        }
        int error = refill(h);
        if (error != GW_OK) {
            return error;
        }
    }
}

/* ---- Fields ----------------------------------------------------------------------------------------------------- */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static struct gw_span skip(struct gw_span s, size_t n)
{
    return (struct gw_span){ s.p + n, s.n - n };
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct gw_span trimmed(struct gw_span s)
{
    while (s.n > 0 && is_blank(s.p[0])) {
        s = skip(s, 1);
    }
    while (s.n > 0 && is_blank(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

/* Takes a decimal number of 32 bits from the front. */
static bool number(struct gw_span *s, uint32_t *v)
{
    size_t before = s->n;

    *v = 0;
    while (s->n > 0 && is_digit(s->p[0])) {
        uint32_t digit = (uint32_t)s->p[0] - '0';
        if (*v > (UINT32_MAX - digit) / 10) {
            return false;
        }
        *v = *v * 10 + digit;
        *s = skip(*s, 1);
    }
    return s->n < before;
}

static bool literal(struct gw_span *s, struct gw_span text)
{
    if (s->n < text.n || memcmp(s->p, text.p, text.n) != 0) {
        return false;
    }
    *s = skip(*s, text.n);
    return true;
}

static bool on_length(struct gwc_http *h, struct gw_span value)
{
    uint32_t n;
    bool good = number(&value, &n) && value.n == 0 && (!h->answer.has_length || h->answer.length == n);

    h->answer.has_length = true;
    h->answer.length = n;
    return good;
}

static bool on_coding(struct gwc_http *h, struct gw_span value)
{
    h->answer.chunked = true;
    return gwc_host_equal(value, TEXT("chunked"));
}

static bool on_content_coding(struct gwc_http *h, struct gw_span value)
{
    (void)h;
    return value.n == 0;
}

static bool on_connection(struct gwc_http *h, struct gw_span value)
{
    while (value.n > 0) {
        struct gw_span token = { value.p, 0 };
        while (token.n < value.n && token.p[token.n] != ',') {
            token.n++;
        }
        value = skip(value, token.n < value.n ? token.n + 1 : token.n);
        h->answer.closes = h->answer.closes || gwc_host_equal(trimmed(token), TEXT("close"));
    }
    return true;
}

static bool on_range(struct gwc_http *h, struct gw_span value)
{
    struct gwc_http_answer *a = &h->answer;

    if (a->status != 206) {
        return true; /* "bytes" and "*" and the size, with 416 */
    }
    if (!literal(&value, TEXT("bytes ")) || !number(&value, &a->range_first) || !literal(&value, TEXT("-")) ||
        !number(&value, &a->range_last) || !literal(&value, TEXT("/"))) {
        return false;
    }
    bool unknown = literal(&value, TEXT("*"));
    a->has_range = true;
    return (unknown || (number(&value, &a->range_size) && a->range_last < a->range_size)) && value.n == 0 &&
           a->range_first <= a->range_last;
}

static bool on_etag(struct gwc_http *h, struct gw_span value)
{
    bool fits = value.n <= GWC_HTTP_ETAG && !h->more;

    h->answer.etag_n = fits ? (uint8_t)value.n : 0;
    memcpy(h->answer.etag, value.p, h->answer.etag_n);
    return true;
}

/* The first piece of the value, or the next; too long counts as empty. */
static bool on_location(struct gwc_http *h, struct gw_span value)
{
    bool first = !h->answer.located, fits = value.n <= (size_t)h->location_size - h->location_n;

    if (h->location == NULL || !fits || (!first && h->location_n == 0)) {
        h->location_n = 0;
    } else {
        memcpy(h->location + h->location_n, value.p, value.n);
        h->location_n = (uint16_t)(h->location_n + value.n);
    }
    h->answer.located = true;
    return true;
}

enum { ONCE = 1, LONG = 2 }; /* may not come twice; may be longer than the window */

static const struct http_field {
    const char *name;
    uint8_t n, flags;
    bool (*on)(struct gwc_http *h, struct gw_span value);
} fields[] = {
#define FIELD(name, flags, on) { name, sizeof(name) - 1, flags, on }
    FIELD("location", ONCE | LONG, on_location), /* row 0: its value may come in pieces */
    FIELD("content-length", 0, on_length),
    FIELD("transfer-encoding", ONCE, on_coding),
    FIELD("content-encoding", ONCE, on_content_coding),
    FIELD("connection", 0, on_connection),
    FIELD("content-range", ONCE, on_range),
    FIELD("etag", ONCE | LONG, on_etag),
};
#define ROWS (sizeof fields / sizeof fields[0])
#define LOCATION_OPEN 0x8000u /* bit of h->fields: the line that goes on is a Location */

/* Bytes at the front that may be in the name of a field. */
static size_t name_length(struct gw_span s)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    size_t i = 0;

    for (bool good = true; good && i < s.n; i += good) {
        uint8_t c = s.p[i], l = c | 0x20;
        good = is_digit(c) || (l >= 'a' && l <= 'z');
        for (size_t k = 0; !good && k < sizeof others - 1; k++) {
            good = c == (uint8_t)others[k];
        }
    }
    return i;
}

static int field(struct gwc_http *h, struct gw_span s)
{
    size_t n = name_length(s);

    if (n == 0 || n == s.n || s.p[n] != ':') {
        return GW_ERR_HTTP; /* also a folded line, which begins with a blank */
    }
    h->fields &= (uint16_t)~LOCATION_OPEN;
    for (size_t i = 0; i < ROWS; i++) {
        const struct http_field *row = &fields[i];
        if (!gwc_host_equal((struct gw_span){ s.p, n }, (struct gw_span){ (const uint8_t *)row->name, row->n })) {
            continue;
        }
        bool again = ((unsigned)h->fields >> i & 1u) != 0 && (row->flags & ONCE) != 0;
        h->fields = (uint16_t)(h->fields | 1u << i | (i == 0 ? LOCATION_OPEN : 0));
        if (again || (h->more && (row->flags & LONG) == 0) || !row->on(h, trimmed(skip(s, n + 1)))) {
            return GW_ERR_HTTP;
        }
    }
    return GW_OK;
}

/* ---- States of the head ----------------------------------------------------------------------------------------- */

static int step_status(struct gwc_http *h)
{
    struct gw_span s;
    uint32_t status = 0;
    int error = line(h, &s);

    if (error != GW_OK) {
        return error;
    }
    if (!literal(&s, TEXT("HTTP/1.1 ")) || s.n < 3 || (s.n > 3 && s.p[3] != ' ')) {
        return GW_ERR_HTTP;
    }
    s.n = 3;
    if (!number(&s, &status) || s.n > 0 || status < 100 || status > 599 || status == 101) {
        return GW_ERR_HTTP;
    }
    memset(&h->answer, 0, sizeof h->answer);
    h->answer.status = (uint16_t)status;
    h->location_n = 0;
    h->fields = 0;
    h->state = HEADER;
    return GW_OK;
}

/* The head is here: what comes after it? */
static int body_begins(struct gwc_http *h)
{
    const struct gwc_http_answer *a = &h->answer;

    if (a->status < 200) {
        h->state = STATUS;
        return ++h->interim > INTERIM_MAX ? GW_ERR_HTTP : GW_OK;
    }
    if (a->chunked && (a->has_length || a->status == 204 || a->status == 304)) {
        return GW_ERR_HTTP;
    }
    h->left = a->length;
    if (a->status == 204 || a->status == 304) {
        h->state = COMPLETE;
    } else if (a->chunked) {
        h->state = CHUNK;
    } else if (a->has_length) {
        h->state = a->length > 0 ? BODY : COMPLETE;
    } else {
        h->answer.closes = true;
        h->state = UNTIL_END;
    }
    return GW_OK;
}

/* A line of the head or the trailers; what goes on a line that was begun is checked by line() and else passed over. */
static int step_header(struct gwc_http *h)
{
    bool goes_on = h->more, trailer = h->state == TRAILER;
    struct gw_span s;
    int error = line(h, &s);

    if (error != GW_OK) {
        return error;
    }
    if (goes_on) {
        return (h->fields & LOCATION_OPEN) == 0 || trailer || on_location(h, s) ? GW_OK : GW_ERR_HTTP;
    }
    if (s.n > 0) {
        size_t n = name_length(s);
        return trailer ? (n > 0 && n < s.n && s.p[n] == ':' ? GW_OK : GW_ERR_HTTP) : field(h, s);
    }
    if (!trailer) {
        return body_begins(h);
    }
    h->state = COMPLETE;
    return GW_OK;
}

/* ---- States of the body ----------------------------------------------------------------------------------------- */

static uint32_t hex_digit(uint8_t c)
{
    uint8_t l = c | 0x20;

    if (is_digit(c)) {
        return (uint32_t)c - '0';
    }
    return l >= 'a' && l <= 'f' ? (uint32_t)l - 'a' + 10 : 16;
}

static int step_chunk(struct gwc_http *h)
{
    struct gw_span s;
    uint64_t size = 0;
    size_t digits = 0;
    int error = line(h, &s);

    if (error != GW_OK) {
        return error;
    }
    while (digits < s.n && digits < CHUNK_DIGITS && hex_digit(s.p[digits]) < 16) {
        size = size << 4 | hex_digit(s.p[digits++]);
    }
    s = skip(s, digits);
    bool extended = s.n > 0 && (s.p[0] == ';' || is_blank(s.p[0]));
    if (h->more || digits == 0 || s.n > CHUNK_EXTENSION || (s.n > 0 && !extended) || size > UINT32_MAX - h->total) {
        return GW_ERR_HTTP;
    }
    h->left = (uint32_t)size;
    h->total += h->left;
    h->header_bytes = 0; /* of each chunk's line, and of the trailers */
    h->state = size > 0 ? CHUNK_DATA : TRAILER;
    return GW_OK;
}

static int step_chunk_end(struct gwc_http *h)
{
    struct gw_span s;
    int error = line(h, &s);

    if (error == GW_OK && (s.n > 0 || h->more)) {
        error = GW_ERR_HTTP;
    }
    if (error == GW_OK) {
        h->state = CHUNK;
    }
    return error;
}

/* Bytes of the body: from the window first, then straight from the stream. */
static int step_data(struct gwc_http *h, uint8_t *data, size_t size, size_t *n)
{
    size_t held = (size_t)h->window_n - h->window_at;
    int error = GW_OK;

    if (h->state != UNTIL_END && size > h->left) {
        size = h->left;
    }
    if (held > 0) {
        *n = held < size ? held : size;
        memcpy(data, h->window + h->window_at, *n);
        h->window_at = (uint16_t)(h->window_at + *n);
    } else {
        error = receive(h, data, size, n);
    }
    if (error != GW_OK || h->state == UNTIL_END) {
        h->state = error == GW_OK && *n == 0 ? COMPLETE : h->state;
        return error;
    }
    if (*n == 0) {
        return GW_ERR_TRANSPORT;
    }
    h->left -= (uint32_t)*n;
    if (h->left == 0) {
        h->state = h->state == BODY ? COMPLETE : CHUNK_END;
    }
    return GW_OK;
}

/* ---- Steps ------------------------------------------------------------------------------------------------------ */

static int latch(struct gwc_http *h, int error)
{
    if (error != GW_OK && error != GW_ERR_AGAIN) {
        h->error = error;
    }
    return error;
}

int gwc_http_head(struct gwc_http *h, const struct gwc_http_request *request)
{
    int error = h->state == IDLE ? GW_ERR_STATE : h->error;

    while (error == GW_OK && h->state <= HEADER) {
        switch (h->state) {
        case SENDING: error = step_send(h, request); break;
        case STATUS: error = step_status(h); break;
        default: error = step_header(h); break;
        }
    }
    return latch(h, error);
}

int gwc_http_read(struct gwc_http *h, uint8_t *data, size_t size, size_t *n)
{
    int error = h->error != GW_OK ? h->error : h->state <= HEADER ? GW_ERR_STATE : GW_OK;

    *n = 0;
    while (error == GW_OK && *n == 0 && h->state != COMPLETE) {
        switch (h->state) {
        case CHUNK: error = step_chunk(h); break;
        case CHUNK_END: error = step_chunk_end(h); break;
        case TRAILER: error = step_header(h); break;
        default: error = step_data(h, data, size, n); break;
        }
    }
    return latch(h, error);
}
