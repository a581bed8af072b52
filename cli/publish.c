/*
 * publish.c - godwit release publish and list: a static repository in a folder or a bucket.
 */
#include <string.h>
#include <time.h>

#include "fleet.h"
#include "publish.h"

static const struct gwh_option publish_options[] = {
    {"to", "WHERE", "DIR, s3://bucket/prefix (AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, "
                    "AWS_SECRET_ACCESS_KEY; docs/static.md), or a server: https://HOST:PORT", true, false},
    {"trust", "BUNDLE", "the trust bundle of the devices: what they would refuse is not published; needed but for a "
                        "server, which has its own", false, false},
    {"root", "KEY", "a root; those in BUNDLE.roots.pem if none is given", false, true},
    {"threshold", "N", "root signatures needed; 2 if not given", false, false},
    {"offer-trust", NULL, "offer the trust bundle too", false, false},
    {"head-only", "HEAD", "instead of RELEASE: offer the class of this head nothing but the head", false, false},
    {"next-look", "SECONDS", "when devices shall ask again", false, false},
    {"payload-base", "URL", "where devices fetch payloads, https; beside the offer if not given", false, false},
    {"class", "NAME", "name of the class, for `release list`; checked against its id", false, false},
    {"allow-older", NULL, "replace the offer of a newer release, or one that cannot be read", false, false},
    CLI_ACCESS,
    CLI_DRY_RUN,
    CLI_JSON,
    GWH_OPTIONS_END,
};

static void tell(void *ctx, const char *line)
{
    (void)ctx;
    gwh_note("%s", line);
}

/* What devices fetch, on stdout as JSON; a sentence for people. */
static int report(const struct gwh_args *a, const struct gwh_publish *p, const struct gwh_published *done)
{
    char offer[GWH_STORE_NAME_MAX];
    gwh_offer_name(offer, done->class_id);
    gwh_note("%s: %s; %u payload(s) put, %u there already; %llu bytes put%s", gwh_text(a, "to"),
             !done->offer_changed    ? "the offer is there already"
             : p->release != NULL ? "offered"
                                  : "nothing is offered to the class any more, but the head",
             (unsigned)done->payloads, (unsigned)done->payloads_there, (unsigned long long)done->bytes,
             p->dry_run ? " (dry run: nothing was written)" : "");
    if (!gwh_flag(a, "json")) {
        (void)printf("%s\n", offer);
        return GWH_OK;
    }
    json_t *o = json_pack("{s:s,s:o,s:s,s:i,s:b,s:i,s:i,s:I,s:b}", "to", gwh_text(a, "to"), "class id",
                          gwh_show_hex(done->class_id, 16), "offer", offer, "offer bytes", (int)done->offer_bytes,
                          "offer changed", (int)done->offer_changed, "payloads put", (int)done->payloads,
                          "payloads there", (int)done->payloads_there, "bytes put", (json_int_t)done->bytes, "dry run",
                          (int)p->dry_run);
    if (p->release != NULL) {
        (void)json_object_set_new(o, "digest", gwh_show_hex(p->release->digest, 32));
    }
    return cli_print(a, o);
}

/* What is published: a release, or a head alone. */
static int take_what(const struct gwh_args *a, struct gwh_publish *p, struct gwh_release *r, struct gwh_buf *head,
                     struct gwh_error *err)
{
    const char *head_only = gwh_text(a, "head-only");
    if ((a->operand_count == 1) == (head_only != NULL)) {
        return gwh_fail(err, GWH_USAGE, "expected either RELEASE or --head-only HEAD");
    }
    if (head_only != NULL && (gwh_flag(a, "class") || gwh_flag(a, "payload-base"))) {
        return gwh_fail(err, GWH_USAGE, "--class and --payload-base are for releases, and --head-only offers none");
    }
    p->release = head_only == NULL ? r : NULL;
    int e = head_only != NULL ? gwh_file_read(head, head_only, 65536, err) : gwh_release_load(r, a->operand[0], err);
    p->head = gwh_span(head);
    return e;
}

static int publish(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_release r = {0};
    struct gwh_buf bundle = {0}, head = {0};
    struct gw_trust trust;
    struct gwh_store store = {0};
    struct gwh_published done;
    struct gwh_publish p = {.trust = &trust,
                            .now = (uint32_t)time(NULL),
                            .payload_base = gwh_text(a, "payload-base"),
                            .class_name = gwh_text(a, "class"),
                            .allow_older = gwh_flag(a, "allow-older"),
                            .dry_run = gwh_flag(a, "dry-run"),
                            .tell = tell};
    int e = gwh_number(a, "next-look", 0, &p.next_look_s, err);
    e = e == GWH_OK ? take_what(a, &p, &r, &head, err) : e;
    e = e == GWH_OK ? cli_trust(a, &bundle, &trust, err) : e;
    p.bundle = gwh_flag(a, "offer-trust") ? gwh_span(&bundle) : (struct gw_span){NULL, 0};
    e = e == GWH_OK ? gwh_store_open(&store, gwh_text(a, "to"), !p.dry_run, err) : e;
    e = e == GWH_OK ? gwh_publish(&store, &p, &done, err) : e;
    e = e == GWH_OK ? report(a, &p, &done) : e;
    gwh_store_close(&store);
    gwh_release_free(&r);
    gwh_buf_free(&bundle);
    gwh_buf_free(&head);
    return e;
}

static int run_publish(const struct gwh_args *a, struct gwh_error *err)
{
    if (cli_is_server(gwh_text(a, "to"))) {
        return cli_server_publish(a, err);
    }
    int e = gwh_need(a, "trust", err);
    return e == GWH_OK ? publish(a, err) : e;
}

/* ---- list -------------------------------------------------------------------------------------------------------- */

static const struct gwh_option list_options[] = {
    {"from", "WHERE", "DIR, s3://bucket/prefix, or a server: https://HOST:PORT; or else the profile's", false, false},
    {"check", NULL, "also compare the SHA-256 of payloads: of files by reading them, in a bucket as it was put", false,
     false},
    CLI_ACCESS,
    CLI_JSON,
    GWH_OPTIONS_END,
};
static const struct gwh_option show_options[] = {
    {"from", "URL", "of the server: https://HOST:PORT; of the profile if not given", false, false},
    CLI_ACCESS,
    CLI_JSON,
    GWH_OPTIONS_END,
};

static int run_list(const struct gwh_args *a, struct gwh_error *err)
{
    if (!gwh_flag(a, "from") || cli_is_server(gwh_text(a, "from"))) {
        return gwh_flag(a, "check") ? gwh_fail(err, GWH_USAGE, "--check is for static repositories")
                                    : cli_server_releases(a, err);
    }
    struct gwh_store store = {0};
    json_t *tree = NULL;
    bool whole = false;
    const char *from = gwh_text(a, "from");
    int e = gwh_store_open(&store, from, false, err);
    e = e == GWH_OK ? gwh_repository_list(&store, gwh_flag(a, "check"), &tree, &whole, err) : e;
    e = e == GWH_OK ? cli_print(a, tree) : e;
    gwh_store_close(&store);
    if (e == GWH_OK && !whole) {
        (void)gwh_fail(err, GWH_REFUSED, "%s is not whole: see its problems above", from);
        e = gwh_hint(err, "publish the release again: what is missing or differs is put");
    }
    return e;
}

const struct gwh_command cli_publish[] = {
    {"release", "publish", "[RELEASE]", 0, 1,
     "offer a release to its class, in a static repository; goes on where it was interrupted", publish_options,
     "godwit release publish rel/ --to /srv/updates --trust trust.cose", run_publish},
    {"release", "list", "", 0, 0, "what lies in a static repository, and whether it is whole", list_options,
     "godwit release list --from /srv/updates --json", run_list},
    {"release", "show", "DIGEST", 1, 1, "a release on a server, with its payloads", show_options,
     "godwit release show 5a0c... --from https://updates.example.com:8443", cli_server_release},
    {"release", "delete", "DIGEST", 1, 1, "delete a release from a server, unless a rollout needs it", show_options,
     "godwit release delete 5a0c... --from https://updates.example.com:8443", cli_server_delete},
    CLI_COMMANDS_END,
};
