/*
 * client.c - load for bench/server/run.py: TLS clients in threads, on loopback, for a number of operations.
 *
 *   client MODE --port P --ca F [--cert F --key F] [--path P] [--count N] [--threads N] [--etag TEXT]
 *
 * look: requests over kept connections; full, resumed: a new connection for each; download: ranges of 1 MiB over kept
 * connections; idle: opens `count` connections, asks once on each, says "idle", keeps them until stdin ends. Prints
 * "operations N bytes B seconds T". Any other answer than 200, 204, 206, 304 ends it with an error.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RANGE (1u << 20)
#define THREADS_MAX 16

static struct {
    const char *mode, *ca, *cert, *key, *path, *etag;
    int port, count, threads;
    uint64_t size;
} want = { .path = "/", .count = 1000, .threads = 1 };

struct worker {
    pthread_t thread;
    int count, number;
    uint64_t bytes;
};

struct link {
    SSL *ssl;
    int fd;
};

static SSL_CTX *ctx;

static void die(const char *what)
{
    fprintf(stderr, "client: %s: %s\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

static struct link connect_to(SSL_SESSION *session)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)want.port) };
    struct link l = { SSL_new(ctx), socket(AF_INET, SOCK_STREAM, 0) };
    int yes = 1;
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(l.fd, (struct sockaddr *)&sa, sizeof sa) != 0)
        die("connect");
    setsockopt(l.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    SSL_set_fd(l.ssl, l.fd);
    if (session != NULL)
        SSL_set_session(l.ssl, session);
    if (SSL_connect(l.ssl) != 1)
        die("handshake");
    if (session != NULL && !SSL_session_reused(l.ssl))
        die("the session was not resumed");
    return l;
}

static void close_link(struct link l)
{
    SSL_shutdown(l.ssl);
    SSL_free(l.ssl);
    close(l.fd);
}

static void check_head(const char *head)
{
    int status = atoi(head + 9);
    if (strncmp(head, "HTTP/1.1 ", 9) != 0 || (status != 200 && status != 204 && status != 206 && status != 304)) {
        fprintf(stderr, "client: %.300s\n", head);
        exit(1);
    }
}

/* Reads one answer; bytes of its body. */
static uint64_t read_answer(SSL *ssl)
{
    static _Thread_local char text[1 << 16];
    size_t n = 0;
    char *end = NULL;
    while (end == NULL) {
        int got = SSL_read(ssl, text + n, (int)(sizeof text - 1 - n));
        if (got <= 0)
            die("read");
        n += (size_t)got;
        text[n] = '\0';
        end = strstr(text, "\r\n\r\n");
    }
    check_head(text);
    const char *length = strcasestr(text, "\r\nContent-Length: ");
    uint64_t body = length == NULL || length > end ? 0 : strtoull(length + 18, NULL, 10),
             have = n - (size_t)(end + 4 - text);
    for (uint64_t left = body - have; have < body && left > 0;) {
        int got = SSL_read(ssl, text, (int)sizeof text);
        if (got <= 0)
            die("read");
        left -= (uint64_t)got;
    }
    return body;
}

static uint64_t ask(SSL *ssl, const char *extra)
{
    char text[512];
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", want.path, extra);
    if (SSL_write(ssl, text, n) != n)
        die("write");
    return read_answer(ssl);
}

static void run_look(struct worker *w)
{
    char extra[100] = "";
    struct link l = connect_to(NULL);
    if (want.etag != NULL)
        snprintf(extra, sizeof extra, "If-None-Match: %s\r\n", want.etag);
    for (int i = 0; i < w->count; i++)
        w->bytes += ask(l.ssl, extra);
    close_link(l);
}

static void run_full(struct worker *w)
{
    for (int i = 0; i < w->count; i++) {
        struct link l = connect_to(NULL);
        w->bytes += ask(l.ssl, "");
        close_link(l);
    }
}

/* Each connection resumes the session of the one before. */
static void run_resumed(struct worker *w)
{
    SSL_SESSION *session = NULL;
    for (int i = 0; i <= w->count; i++) {
        struct link l = connect_to(session);
        w->bytes += ask(l.ssl, "");
        SSL_SESSION_free(session);
        session = SSL_get1_session(l.ssl);
        close_link(l);
    }
    SSL_SESSION_free(session);
}

static void run_download(struct worker *w)
{
    struct link l = connect_to(NULL);
    for (int i = 0; i < w->count; i++) {
        char extra[100];
        uint64_t at = (uint64_t)(w->number * w->count + i) * RANGE % want.size;
        snprintf(extra, sizeof extra, "Range: bytes=%llu-%llu\r\n", (unsigned long long)at,
                 (unsigned long long)at + RANGE - 1);
        w->bytes += ask(l.ssl, extra);
    }
    close_link(l);
}

static void run_idle(void)
{
    char c;
    struct link *links = calloc((size_t)want.count, sizeof *links);
    for (int i = 0; i < want.count; i++) {
        links[i] = connect_to(NULL);
        ask(links[i].ssl, "");
    }
    puts("idle");
    fflush(stdout);
    while (read(STDIN_FILENO, &c, 1) > 0) {
    }
}

static void *work(void *ctx_)
{
    static const struct {
        const char *name;
        void (*run)(struct worker *);
    } modes[] = {
        { "look", run_look }, { "full", run_full }, { "resumed", run_resumed }, { "download", run_download }
    };
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(modes[i].name, want.mode) == 0)
            modes[i].run(ctx_);
    return NULL;
}

static void parse(int argc, char **argv)
{
    want.mode = argc > 1 ? argv[1] : "";
    for (int i = 2; i + 1 < argc; i += 2) {
        const struct {
            const char *name, **text;
            int *number;
        } options[] = { { "--port", NULL, &want.port },       { "--count", NULL, &want.count },
                        { "--threads", NULL, &want.threads }, { "--ca", &want.ca, NULL },
                        { "--cert", &want.cert, NULL },       { "--key", &want.key, NULL },
                        { "--path", &want.path, NULL },       { "--etag", &want.etag, NULL } };
        if (strcmp(argv[i], "--size") == 0)
            want.size = strtoull(argv[i + 1], NULL, 10);
        for (size_t k = 0; k < sizeof options / sizeof options[0]; k++) {
            if (strcmp(options[k].name, argv[i]) != 0)
                continue;
            if (options[k].text != NULL)
                *options[k].text = argv[i + 1];
            else
                *options[k].number = atoi(argv[i + 1]);
        }
    }
}

static void prepare(void)
{
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set1_groups_list(ctx, "X25519");
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    if (strcmp(want.mode, "idle") == 0)
        SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    if (want.ca == NULL || SSL_CTX_load_verify_file(ctx, want.ca) != 1)
        die("ca");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (want.cert != NULL && (SSL_CTX_use_certificate_chain_file(ctx, want.cert) != 1 ||
                              SSL_CTX_use_PrivateKey_file(ctx, want.key, SSL_FILETYPE_PEM) != 1))
        die("certificate");
}

int main(int argc, char **argv)
{
    struct worker workers[THREADS_MAX] = { { 0 } };
    struct timespec a, b;
    uint64_t bytes = 0;
    parse(argc, argv);
    prepare();
    if (strcmp(want.mode, "idle") == 0) {
        run_idle();
        return 0;
    }
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < want.threads && i < THREADS_MAX; i++) {
        workers[i].number = i;
        workers[i].count = want.count / want.threads;
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (int i = 0; i < want.threads && i < THREADS_MAX; i++) {
        pthread_join(workers[i].thread, NULL);
        bytes += workers[i].bytes;
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("operations %d bytes %llu seconds %.6f\n", want.count / want.threads * want.threads,
           (unsigned long long)bytes, (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
    return 0;
}
