/*
 * http_io.c - bytes of a connection in and out, with or without TLS, and who the other side is.
 *
 * Keeps true: never blocks; an SSL_write() that has to wait is repeated with the same bytes; one connection writes at
 * most a slice before others have their turn. Files come from maps of immutable files in writes of 64 KB.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_internal.h"

static enum gws_io io_error(struct gws_conn *c, int result)
{
    switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return GWS_IO_READ;
    case SSL_ERROR_WANT_WRITE:
        return GWS_IO_WRITE;
    default: /* the session must not be resumed after an error: SSL_free() sees to that */
        ERR_clear_error();
        return GWS_IO_END;
    }
}

enum gws_io gws_io_handshake(struct gws_conn *c)
{
    if (c->ssl == NULL)
        return GWS_IO_DONE;
    ERR_clear_error();
    int result = SSL_accept(c->ssl);
    return result == 1 ? GWS_IO_DONE : io_error(c, result);
}

static enum gws_io socket_result(ssize_t n, enum gws_io wait)
{
    if (n > 0)
        return GWS_IO_DONE;
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? wait : GWS_IO_END;
}

enum gws_io gws_io_read(struct gws_conn *c, void *p, size_t n, size_t *got)
{
    *got = 0;
    if (c->ssl == NULL) {
        ssize_t done = recv(c->fd, p, n, 0);
        *got = done > 0 ? (size_t)done : 0;
        return socket_result(done, GWS_IO_READ);
    }
    ERR_clear_error();
    int result = SSL_read_ex(c->ssl, p, n, got);
    return result == 1 ? GWS_IO_DONE : io_error(c, result);
}

enum gws_io gws_io_fill(struct gws_conn *c, size_t room)
{
    if (c->in_n == c->in_room && c->in_room < room) {
        size_t more = c->in_room == 0 ? 2048 : 2 * c->in_room;
        more = more > room ? room : more;
        char *p = realloc(c->in, more);
        if (p == NULL)
            return GWS_IO_END;
        c->in = p;
        c->in_room = more;
    }
    size_t got;
    enum gws_io result = gws_io_read(c, c->in + c->in_n, c->in_room - c->in_n, &got);
    c->in_n += got;
    return result;
}

/* ---- Out --------------------------------------------------------------------------------------------------------- */

/* What was written makes room: a stream may go on for ever without all of it being written at any moment. */
static void out_forget(struct gws_out *o)
{
    if (o->at == 0)
        return;
    memmove(o->bytes, o->bytes + o->at, o->n - o->at);
    o->n -= o->at;
    o->at = 0;
}

bool gws_out_add(struct gws_out *o, const void *p, size_t n)
{
    if (o->n + n > o->room)
        out_forget(o);
    if (o->n + n > o->room) {
        size_t room = o->room == 0 ? n + 64 : 2 * o->room;
        room = room < o->n + n ? o->n + n : room;
        char *bytes = realloc(o->bytes, room);
        if (bytes == NULL)
            return false;
        o->bytes = bytes;
        o->room = room;
    }
    if (n != 0)
        memcpy(o->bytes + o->n, p, n);
    o->n += n;
    return true;
}

void gws_out_free(struct gws_out *o)
{
    free(o->bytes);
    if (o->map != NULL)
        gws_map_release(o->map);
    memset(o, 0, sizeof *o);
}

static enum gws_io io_write(struct gws_conn *c, const void *p, size_t n, size_t *done)
{
    *done = 0;
    if (c->ssl == NULL) {
        ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);
        *done = sent > 0 ? (size_t)sent : 0;
        return socket_result(sent, GWS_IO_WRITE);
    }
    ERR_clear_error();
    int result = SSL_write_ex(c->ssl, p, n, done);
    return result == 1 ? GWS_IO_DONE : io_error(c, result);
}

/* Writes [*at, end) of p in chunks: they begin at multiples, so a repeated write has the same bytes. */
static enum gws_io write_part(struct gws_conn *c, const void *p, size_t *at, size_t end, size_t *slice)
{
    while (*at < end) {
        size_t n = end - *at < GWS_FILE_CHUNK ? end - *at : GWS_FILE_CHUNK, done;
        if (*slice < n)
            return GWS_IO_WRITE;
        enum gws_io result = io_write(c, (const char *)p + *at, n, &done);
        *at += done;
        *slice -= done;
        if (result != GWS_IO_DONE)
            return result;
    }
    return GWS_IO_DONE;
}

enum gws_io gws_io_flush(struct gws_conn *c)
{
    size_t slice = GWS_WRITE_SLICE;
    enum gws_io result = write_part(c, c->out.bytes, &c->out.at, c->out.n, &slice);
    if (result == GWS_IO_DONE && c->out.map != NULL)
        result = write_part(c, c->out.map->bytes, &c->out.file_at, c->out.file_end, &slice);
    return result;
}

void gws_io_shut(struct gws_conn *c)
{
    if (c->ssl != NULL && SSL_is_init_finished(c->ssl)) {
        ERR_clear_error();
        (void)SSL_shutdown(c->ssl);
        ERR_clear_error();
    }
    (void)shutdown(c->fd, SHUT_WR);
}

/* ---- Who is it? -------------------------------------------------------------------------------------------------- */

static bool id_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* The one common name, if it can be a device's. */
static bool common_name(char out[GW_DEVICE_ID_MAX + 1], X509 *cert)
{
    X509_NAME *name = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
        return false; /* none, or more than one */
    ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    int n = ASN1_STRING_length(text);
    const unsigned char *p = ASN1_STRING_get0_data(text);
    if (n <= 0 || n > (int)GW_DEVICE_ID_MAX)
        return false;
    for (int i = 0; i < n; i++)
        if (!id_char(p[i]))
            return false;
    memcpy(out, p, (size_t)n);
    out[n] = '\0';
    return true;
}

bool gws_io_key(const struct gws_conn *c, uint8_t out[64])
{
    X509 *cert = c->ssl == NULL ? NULL : SSL_get0_peer_certificate(c->ssl);
    const unsigned char *point = NULL;
    const void *group = NULL;
    int n = 0, kind = V_ASN1_UNDEF;
    ASN1_OBJECT *type = NULL;
    X509_ALGOR *algorithm = NULL;
    if (cert == NULL || X509_PUBKEY_get0_param(&type, &point, &n, &algorithm, X509_get_X509_PUBKEY(cert)) != 1)
        return false;
    X509_ALGOR_get0(NULL, &kind, &group, algorithm);
    if (OBJ_obj2nid(type) != NID_X9_62_id_ecPublicKey || kind != V_ASN1_OBJECT ||
        OBJ_obj2nid(group) != NID_X9_62_prime256v1 || n != 65 || point[0] != 4)
        return false;
    memcpy(out, point + 1, 64);
    return true;
}

static int64_t seconds_of(const ASN1_TIME *t)
{
    struct tm tm;
    return t != NULL && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

bool gws_io_identify(struct gws_conn *c)
{
    X509 *cert = c->ssl == NULL ? NULL : SSL_get0_peer_certificate(c->ssl);
    if (cert == NULL || SSL_get_verify_result(c->ssl) != X509_V_OK || !common_name(c->device, cert))
        return false;
    c->not_after = seconds_of(X509_get0_notAfter(cert));
    return true;
}
