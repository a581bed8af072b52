/*
 * server_stubs.h - what a handler of the server calls, for tests without HTTP: the answer is written down.
 */
#ifndef T_SERVER_STUBS_H
#define T_SERVER_STUBS_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server.h"

static struct {
    unsigned answers, events, notified;
    int status;
    char code[64], etag[40], if_none_match[80], device[GW_DEVICE_ID_MAX + 1];
    uint8_t body[8192];
    size_t n;
    int64_t now;
    uint64_t count[GWS_METRICS];
} stub = {.now = 1000};

int64_t gws_now(void)
{
    return stub.now;
}
void gws_log(const struct gws_server *s, const char *event, ...)
{
    (void)s;
    (void)event;
}
void gws_event(struct gws_server *s, const char *type, json_t *data)
{
    (void)s;
    (void)type;
    stub.events++;
    json_decref(data);
}
void gws_count(enum gws_metric m, uint64_t n)
{
    stub.count[m] += n;
}
void gws_mqtt_notify(struct gws_server *s, const char *device)
{
    (void)s;
    stub.notified++;
    snprintf(stub.device, sizeof stub.device, "%s", device != NULL ? device : "");
}
void gws_answer_header(struct gws_call *call, const char *name, const char *value)
{
    (void)call;
    if (strcmp(name, "ETag") == 0) {
        snprintf(stub.etag, sizeof stub.etag, "%s", value);
    }
}
void gws_answer(struct gws_call *call, int status, const char *type, struct gw_span body)
{
    (void)call;
    (void)type;
    stub.answers++;
    stub.status = status;
    stub.code[0] = '\0';
    stub.n = body.n;
    if (body.n > 0 && body.n <= sizeof stub.body) {
        memcpy(stub.body, body.p, body.n);
    }
}
void gws_answer_error(struct gws_call *call, int status, const char *code, const char *format, ...)
{
    (void)format;
    gws_answer(call, status, NULL, (struct gw_span){NULL, 0});
    snprintf(stub.code, sizeof stub.code, "%s", code);
}
const char *gws_header(const struct gws_call *call, const char *name)
{
    (void)call;
    return strcmp(name, "If-None-Match") == 0 && stub.if_none_match[0] != '\0' ? stub.if_none_match : NULL;
}
void gws_call_again(struct gws_call *call)
{
    (void)call;
    stub.answers++;
    stub.status = 0;
}

#endif
