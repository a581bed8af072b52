/*
 * fuzz_answer.c - heads of HTTP answers, as a PC's transport reads them (ports/posix/posix_answer.h).
 *
 * What is taken for a range must lie within what was asked for; strings end within their buffers.
 */
#include <string.h>

#include "fuzz_formats.h"
#include "posix_answer.h"

static void judge(const struct gwp_answer *a)
{
    static const struct gw_request offer = { .resource = GW_RESOURCE_OFFER, .longest = 5000 };
    static const struct gw_request range = {
        .resource = GW_RESOURCE_PAYLOAD, .offset = 100, .longest = 50, .size = 1000
    };
    MUST(memchr(a->etag, '\0', sizeof a->etag) != NULL && memchr(a->location, '\0', sizeof a->location) != NULL);
    MUST(strpbrk(a->etag, "\r\n") == NULL && strpbrk(a->location, "\r\n") == NULL);
    bool first = gwp_answer_judge(a, &range, false, NULL) == GW_OK;
    MUST(first || gwp_answer_judge(a, &range, false, a->etag) != GW_OK);
    if (first) {
        MUST(a->has_range && a->status == 206 && a->first == 100 && a->size == 1000 &&
             gwp_answer_room(a, &range) - 1 < 50);
    }
    if (gwp_answer_judge(a, &offer, true, "") == GW_OK) {
        MUST(a->status == 200 && gwp_answer_room(a, &offer) == 5000);
    }
    MUST(gwp_answer_judge_report(a) <= GW_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gwp_answer a;
    const char *text = (const char *)data;

    memset(&a, 0, sizeof a);
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t n = end != NULL ? (size_t)(end - text) + 1 : size;
        if (gwp_answer_line(&a, text, n) != GW_OK) {
            break;
        }
        MUST(a.bytes <= GWP_HEAD_MAX);
        text += n;
        size -= n;
        if (a.complete) {
            judge(&a);
        }
    }
    return 0;
}
