/*
 * fleet.c - a crowd of devices for bench/server/fleet.py: one thread, epoll, OpenSSL, on loopback.
 *
 *   fleet list    --count N --class HEX                      the devices, for `godwit device import`
 *   fleet reports --count N --each K --at-once M ...         kept connections; K signed reports of each in a round
 *   fleet poll    --count N --at-once M ...                  each connects, looks, closes: all of them, a round
 *   fleet notify  --count N ...                              MQTT: each subscribed to its topic, kept
 *   fleet publish --count N ...                              MQTT: one publisher, one message to each of N topics
 *
 * "...": --port P --ca F (of the server) --issuer F --issuer-key F (of the clients' certificates). Says what it is
 * ready for in a line, does a round for each line on stdin, and tells of it in a line. Times are CLOCK_MONOTONIC. What
 * is made by the devices' own processors (keys, certificates, signatures) is made before a round begins; but for poll,
 * of which no times count.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crowd.h"
#include "godwit/agent.h"

#define OPENING 100u /* handshakes at once of connections that are kept */
#define ROUND_S 60.0 /* the longest */

static struct {
    const char *mode, *ca, *issuer, *issuer_key, *class_id;
    unsigned port, count, each, at_once;
} want = { .count = 1000, .each = 10, .at_once = 200 };

struct link {
    SSL *ssl; /* NULL: none */
    int fd;
    unsigned device, done; /* done: of this round */
    bool shaken, ready, busy;
    double sent;
    struct gwh_key key;
    struct gwh_buf *reports; /* of this round */
    size_t n;
    uint8_t in[4096];
};

static struct {
    void (*shaken)(struct link *l);
    void (*data)(struct link *l);
} does;
static struct link *links;
static SSL_CTX *ctx;
static int loop;
static unsigned opening, ready, closed;

/* ---- Connections ------------------------------------------------------------------------------------------------- */

static SSL *connect_to(const char *name, struct gwh_key *key)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)want.port) };
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SSL *ssl = SSL_new(ctx);
    X509 *certificate = crowd_certificate(name, key->evp);
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (SSL_set_fd(ssl, fd) != 1 || SSL_use_certificate(ssl, certificate) != 1 ||
        SSL_use_PrivateKey(ssl, key->evp) != 1 || SSL_set_tlsext_host_name(ssl, "localhost") != 1)
        die("a connection");
    X509_free(certificate);
    return ssl;
}

static void open_link(struct link *l, unsigned device)
{
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT, .data.ptr = l };
    char name[CROWD_NAME_MAX];
    crowd_name(name, device);
    l->device = device;
    if (l->key.evp == NULL)
        crowd_key(&l->key, device);
    l->ssl = connect_to(name, &l->key);
    l->fd = SSL_get_fd(l->ssl);
    l->shaken = l->ready = l->busy = false;
    l->n = 0;
    fcntl(l->fd, F_SETFL, O_NONBLOCK);
    SSL_set_connect_state(l->ssl);
    opening++;
    if (epoll_ctl(loop, EPOLL_CTL_ADD, l->fd, &e) != 0)
        die("epoll");
}

static void close_link(struct link *l)
{
    SSL_shutdown(l->ssl);
    SSL_free(l->ssl);
    close(l->fd);
    l->ssl = NULL;
    closed++;
}

static void send_all(SSL *ssl, const void *p, size_t n)
{
    if (SSL_write(ssl, p, (int)n) != (int)n)
        die("write");
}

static void become_ready(struct link *l)
{
    l->ready = true;
    ready++;
    opening--;
}

/* True: go on. */
static bool handshake(struct link *l)
{
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = l };
    int result = SSL_do_handshake(l->ssl);
    if (result != 1) {
        int why = SSL_get_error(l->ssl, result);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            die("handshake");
        if (why == SSL_ERROR_WANT_READ)
            epoll_ctl(loop, EPOLL_CTL_MOD, l->fd, &e);
        return false;
    }
    epoll_ctl(loop, EPOLL_CTL_MOD, l->fd, &e);
    l->shaken = true;
    does.shaken(l);
    return true;
}

static void on_link(struct link *l)
{
    if (!l->shaken && !handshake(l))
        return;
    while (l->ssl != NULL) {
        int got = SSL_read(l->ssl, l->in + l->n, (int)(sizeof l->in - l->n));
        if (got <= 0) {
            if (SSL_get_error(l->ssl, got) != SSL_ERROR_WANT_READ)
                die("a connection was lost");
            return;
        }
        l->n += (size_t)got;
        does.data(l);
        if (l->ssl != NULL && l->n == sizeof l->in)
            die("a long answer");
    }
}

/* Once around; false: nothing within so many ms. */
static bool turn(int ms)
{
    struct epoll_event e[64];
    int n = epoll_wait(loop, e, 64, ms);
    for (int i = 0; i < n; i++)
        on_link(e[i].data.ptr);
    return n > 0;
}

static void take_in(struct link *l, size_t n)
{
    memmove(l->in, l->in + n, l->n - n);
    l->n -= n;
}

/* Devices come in no order: what is told in the order of their names has no advantage in the broker's memory. */
static unsigned *shuffled(void)
{
    unsigned *order = calloc(want.count, sizeof *order);
    srand(1);
    for (unsigned i = 0; i < want.count; i++) {
        unsigned other = (unsigned)rand() % (i + 1);
        order[i] = order[other];
        order[other] = i;
    }
    return order;
}

static void open_all(void)
{
    unsigned *order = shuffled();
    for (unsigned next = 0; ready < want.count;) {
        while (next < want.count && opening < OPENING) {
            open_link(&links[next], order[next]);
            next++;
        }
        if (!turn(30000))
            die("nobody answers");
    }
    free(order);
}

/* The next line of stdin: a round. */
static bool told_to(const char *fact)
{
    char line[80];
    puts(fact);
    fflush(stdout);
    return fgets(line, sizeof line, stdin) != NULL;
}

/* ---- HTTP -------------------------------------------------------------------------------------------------------- */

/* Bytes of a whole answer that is 2xx; 0: not yet. */
static size_t answer(struct link *l)
{
    l->in[l->n < sizeof l->in ? l->n : sizeof l->in - 1] = '\0';
    char *text = (char *)l->in, *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length: ");
    if (end == NULL)
        return 0;
    if (strncmp(text, "HTTP/1.1 2", 10) != 0) {
        fprintf(stderr, "fleet: %.600s\n", text);
        exit(1);
    }
    size_t n = (size_t)(end + 4 - text) + (length == NULL || length > end ? 0 : strtoul(length + 18, NULL, 10));
    return l->n >= n ? n : 0;
}

/* ---- Reports ----------------------------------------------------------------------------------------------------- */

static float *took;
static unsigned acknowledged, cursor;

static void send_report(struct link *l)
{
    char text[1024];
    struct gwh_buf *r = &l->reports[l->done++];
    int n = snprintf(text, sizeof text - GW_REPORT_MAX,
                     "POST /device/v1/report HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cose\r\n"
                     "Content-Length: %zu\r\n\r\n", r->n);
    memcpy(text + n, r->p, r->n);
    l->busy = true;
    l->sent = now_s();
    send_all(l->ssl, text, (size_t)n + r->n);
    gwh_buf_free(r);
}

/* Whose turn it is: round about, none that waits for an answer. */
static void send_next(void)
{
    for (unsigned i = 0; i < want.count; i++) {
        struct link *l = &links[cursor++ % want.count];
        if (!l->busy && l->done < want.each) {
            send_report(l);
            return;
        }
    }
}

static void on_report_answer(struct link *l)
{
    size_t n = answer(l);
    if (n == 0)
        return;
    take_in(l, n);
    took[acknowledged++] = (float)((now_s() - l->sent) * 1000);
    l->busy = false;
    send_next();
}

static void sign_round(uint32_t round)
{
    for (unsigned i = 0; i < want.count; i++) {
        for (unsigned k = 0; k < want.each; k++)
            crowd_report(&links[i].reports[k], links[i].device, &links[i].key, round * want.each + k + 1);
        links[i].done = 0;
    }
    acknowledged = cursor = 0;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static void run_reports(void)
{
    unsigned total = want.count * want.each;
    took = calloc(total, sizeof *took);
    does.shaken = become_ready;
    does.data = on_report_answer;
    for (unsigned i = 0; i < want.count; i++)
        links[i].reports = calloc(want.each, sizeof *links[i].reports);
    open_all();
    sign_round(0);
    for (uint32_t round = 1; told_to("ready"); round++) {
        double begun = now_s();
        for (unsigned i = 0; i < want.at_once && i < total; i++)
            send_next();
        while (acknowledged < total && turn(30000)) {
        }
        double seconds = now_s() - begun;
        qsort(took, acknowledged, sizeof *took, by_size);
        printf("reports %u seconds %.6f median %.2f p99 %.2f worst %.2f\n", acknowledged, seconds,
               (double)took[acknowledged / 2], (double)took[acknowledged * 99 / 100], (double)took[acknowledged - 1]);
        fflush(stdout);
        sign_round(round);
    }
}

/* ---- Looks ------------------------------------------------------------------------------------------------------- */

static unsigned looks;

static void look(struct link *l)
{
    static const char text[] = "GET /device/v1/offer HTTP/1.1\r\nHost: localhost\r\n\r\n";
    become_ready(l);
    send_all(l->ssl, text, sizeof text - 1);
}

static void on_offer(struct link *l)
{
    if (answer(l) == 0)
        return;
    looks++;
    gwh_key_free(&l->key);
    memset(&l->key, 0, sizeof l->key);
    close_link(l);
}

static void run_poll(void)
{
    does.shaken = look;
    does.data = on_offer;
    while (told_to("ready")) {
        unsigned next = 0;
        for (looks = 0; looks < want.count;) {
            for (unsigned i = 0; i < want.at_once && next < want.count; i++)
                if (links[i].ssl == NULL)
                    open_link(&links[i], next++);
            if (!turn(30000))
                die("nobody answers");
        }
        printf("looked %u\n", looks);
        fflush(stdout);
    }
}

/* ---- MQTT -------------------------------------------------------------------------------------------------------- */

#define PACKET_MAX 100u
static unsigned told, messages;
static double first_told, last_told;

static size_t put_text(uint8_t *p, const char *text)
{
    size_t n = strlen(text);
    p[0] = 0;
    p[1] = (uint8_t)n;
    memcpy(p + 2, text, n);
    return n + 2;
}

static size_t mqtt_connect(uint8_t out[PACKET_MAX], const char *name)
{
    uint8_t *p = out + 2;
    p += put_text(p, "MQTT");
    memcpy(p, "\x04\x02\x0e\x10", 4); /* 3.1.1, a clean session, an hour */
    p += 4;
    p += put_text(p, name);
    out[0] = 0x10;
    out[1] = (uint8_t)(p - out - 2);
    return (size_t)(p - out);
}

static size_t mqtt_subscribe(uint8_t out[PACKET_MAX], const char *topic)
{
    uint8_t *p = out + 4;
    p += put_text(p, topic);
    *p++ = 0; /* QoS */
    out[0] = 0x82;
    out[1] = (uint8_t)(p - out - 2);
    out[2] = 0;
    out[3] = 1;
    return (size_t)(p - out);
}

static size_t mqtt_publish(uint8_t out[PACKET_MAX], const char *topic)
{
    uint8_t *p = out + 2;
    p += put_text(p, topic);
    memcpy(p, "look", 4);
    out[0] = 0x30;
    out[1] = (uint8_t)(p + 4 - out - 2);
    return (size_t)(p + 4 - out);
}

static void topic_of(char out[40], unsigned number)
{
    char name[CROWD_NAME_MAX];
    crowd_name(name, number);
    snprintf(out, 40, "godwit/%s/notify", name);
}

static void subscribe(struct link *l)
{
    uint8_t text[2 * PACKET_MAX];
    char name[CROWD_NAME_MAX], topic[40];
    crowd_name(name, l->device);
    topic_of(topic, l->device);
    size_t n = mqtt_connect(text, name);
    n += mqtt_subscribe(text + n, topic);
    send_all(l->ssl, text, n);
}

static void on_packet(struct link *l)
{
    for (; l->n >= 2 && l->n >= 2u + l->in[1]; take_in(l, 2u + l->in[1])) {
        if (l->in[0] == 0x20 && l->in[3] != 0)
            die("the broker refused a device");
        if (l->in[0] == 0x90 && l->in[4] > 2)
            die("the broker refused a subscription");
        if (l->in[0] == 0x90)
            become_ready(l);
        if ((l->in[0] & 0xf0) == 0x30) {
            messages++;
            last_told = now_s();
            first_told = messages == 1 ? last_told : first_told;
            told += l->done == 0;
            l->done = 1;
        }
    }
}

static void run_notify(void)
{
    does.shaken = subscribe;
    does.data = on_packet;
    open_all();
    while (told_to("ready")) {
        while (turn(300)) { /* what is left of the round before */
        }
        for (unsigned i = 0; i < want.count; i++)
            links[i].done = 0;
        told = messages = 0;
        puts("waiting");
        fflush(stdout);
        for (double end = now_s() + ROUND_S; told < want.count && now_s() < end;)
            turn(1000);
        printf("told %u first %.6f last %.6f messages %u\n", told, first_told, last_told, messages);
        fflush(stdout);
    }
}

/* A record of TLS for each message, as libmosquitto sends them; a line that begins with b: as few as can be. */
static void publish_round(SSL *ssl, bool batched)
{
    uint8_t text[16384];
    char topic[40];
    size_t n = 0;
    for (unsigned i = 0; i < want.count; i++) {
        topic_of(topic, i);
        n += mqtt_publish(text + n, topic);
        if (!batched || n > sizeof text - PACKET_MAX || i + 1 == want.count) {
            send_all(ssl, text, n);
            n = 0;
        }
    }
}

static void run_publish(void)
{
    struct gwh_key key = { .evp = NULL };
    uint8_t text[PACKET_MAX];
    char line[80] = "";
    crowd_key(&key, 99999);
    SSL *ssl = connect_to("bench", &key);
    if (SSL_connect(ssl) != 1)
        die("handshake");
    send_all(ssl, text, mqtt_connect(text, "bench"));
    if (SSL_read(ssl, text, 4) != 4 || text[0] != 0x20 || text[3] != 0)
        die("the broker refused the publisher");
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        double begun = now_s();
        publish_round(ssl, line[0] == 'b');
        printf("published %u begun %.6f ended %.6f\n", want.count, begun, now_s());
        fflush(stdout);
    }
}

/* ---- Command line ------------------------------------------------------------------------------------------------ */

static void parse(int argc, char **argv)
{
    want.mode = argc > 1 ? argv[1] : "";
    for (int i = 2; i + 1 < argc; i += 2) {
        const struct {
            const char *name, **text;
            unsigned *number;
        } options[] = { { "--port", NULL, &want.port },       { "--count", NULL, &want.count },
                        { "--each", NULL, &want.each },       { "--at-once", NULL, &want.at_once },
                        { "--ca", &want.ca, NULL },           { "--issuer", &want.issuer, NULL },
                        { "--class", &want.class_id, NULL },  { "--issuer-key", &want.issuer_key, NULL } };
        for (size_t k = 0; k < sizeof options / sizeof options[0]; k++) {
            if (strcmp(options[k].name, argv[i]) != 0)
                continue;
            if (options[k].text != NULL)
                *options[k].text = argv[i + 1];
            else
                *options[k].number = (unsigned)atoi(argv[i + 1]);
        }
    }
}

static void prepare(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    loop = epoll_create1(EPOLL_CLOEXEC);
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set1_groups_list(ctx, "X25519");
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    if (want.ca == NULL || SSL_CTX_load_verify_file(ctx, want.ca) != 1)
        die("ca");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    crowd_issuer(want.issuer, want.issuer_key);
    links = calloc(want.count, sizeof *links);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {
        { "reports", run_reports }, { "poll", run_poll }, { "notify", run_notify }, { "publish", run_publish }
    };
    parse(argc, argv);
    if (strcmp(want.mode, "list") == 0 && want.class_id != NULL) {
        crowd_list(want.count, want.class_id);
        return 0;
    }
    prepare();
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(modes[i].name, want.mode) == 0)
            modes[i].run();
    return 0;
}
