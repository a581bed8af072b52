/*
 * holders.c - the keys that an option names: who may decrypt, or who can.
 */
#include <stdlib.h>

#include "cli.h"

#define LIST_MAX 64u

int cli_holders(struct cli_holders **holders, const struct gwh_args *a, const char *option, struct gwh_error *err)
{
    struct gwh_buf secret = {0};
    const char *passphrase = NULL;
    unsigned n = gwh_text_count(a, option);
    struct cli_holders *h = *holders = calloc(1, sizeof *h);
    if (h == NULL || (h->holder = calloc(n + 1u, sizeof *h->holder)) == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "--%s", option);
    }
    h->set.holder = h->holder;
    int e = n > LIST_MAX ? gwh_fail(err, GWH_USAGE, "--%s more than %u times", option, LIST_MAX) : GWH_OK;
    e = e == GWH_OK ? cli_passphrase(a, &secret, &passphrase, err) : e;
    for (unsigned i = 0; e == GWH_OK && i < n; i++) {
        e = gwh_holder_parse(&h->holder[i], gwh_text_i(a, option, i), passphrase, err);
        h->set.count += e == GWH_OK;
    }
    gwh_buf_free(&secret);
    return e;
}

void cli_holders_free(struct cli_holders *h)
{
    for (size_t i = 0; h != NULL && i < h->set.count; i++) {
        gwh_holder_free(&h->holder[i]);
    }
    free(h != NULL ? h->holder : NULL);
    free(h);
}
