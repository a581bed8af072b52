/*
 * strerror.c - names and sentences of errors and reasons, from the one table in godwit.h.
 *
 * A file of its own: devices that only report numbers do not link it.
 */
#include "godwit/godwit.h"

static const struct {
    int reason;
    const char *name;
    const char *text;
} errors[] = {
    { 0, "OK", "no error" },
#define ROW(name, reason, text) { reason, #name, text },
    GW_ERRORS(ROW)
#undef ROW
    { 0, "UNKNOWN", "an error of a newer version; see SPEC.md, section 12" },
};
#define UNKNOWN (sizeof errors / sizeof errors[0] - 1)

static size_t find(int error)
{
    size_t i = 0;
    while (i < UNKNOWN && errors[i].reason != error && errors[i].reason != -error) {
        i++;
    }
    return i;
}

const char *gw_strerror(int error)
{
    return errors[find(error)].text;
}

const char *gw_error_name(int error)
{
    return errors[find(error)].name;
}
