/*
 * agent.h - a device that updates itself: looks, fetches, installs, tries, confirms or goes back, reports.
 *
 *    gw_agent_open(&agent, &config, now_ms)
 *    for (;;) { gw_agent_step(&agent, now_ms, &wait_ms); do other work, or sleep, for wait_ms }
 *
 * or, to look once and be done, gw_update(&agent). It has no thread and no clock of its own: each step does one bounded
 * unit of work (a read from the transport, one erase, one write) and says when it wants the next one. Only
 * gw_agent_wake() may be called from interrupts and other threads. What must survive a reset (next look, back-off,
 * budgets, reports that nobody has yet) is in the journal. States, as drawn from the table in lib/src/agent.c:
 * SPEC.md, section 17.
 *
 * Milliseconds count from anywhere and may wrap; between two steps at most 24 days may pass. Seconds "since 1970" are
 * the clock's, if there is one. Without a clock, or with a wrong one, everything works but what needs a date: see
 * gw_agent_config.time.
 */
#ifndef GODWIT_AGENT_H
#define GODWIT_AGENT_H

#include "godwit/install.h"
#include "godwit/transport.h"

#define GW_OFFER_BUFFER (GW_MANIFEST_MAX + 1088u) /* a manifest, a head, a grant or two; offers may have 8192 bytes */
#define GW_LOOK_MAX 86400u                        /* longest interval between looks, seconds */
#define GW_LOOK_MIN 5u                            /* shortest */

enum gw_agent_state {
    GW_AGENT_IDLE = 0,  /* waiting: for the next look, after a failure, for an application that declined */
    GW_AGENT_SELF_TEST, /* the image is on trial: the application's own check */
    GW_AGENT_LOOK,      /* an offer is asked for and read */
    GW_AGENT_CONFIRM,   /* the look succeeded: the image on trial is confirmed */
    GW_AGENT_CHECK,     /* a trust bundle that came with the offer; the channel head */
    GW_AGENT_PLAN,      /* signatures, suitability, payloads; the application may decline */
    GW_AGENT_INSTALL,   /* one unit of work in flash */
    GW_AGENT_FETCH,     /* bytes of a payload are read */
    GW_AGENT_STAGE,     /* the slot is staged */
    GW_AGENT_FAIL,      /* something ended the attempt: reason, report, back-off */
    GW_AGENT_REPORT,    /* reports that nobody has yet */
    GW_AGENT_RESTART,   /* staged, or on trial and lost: waiting for the restart */
    GW_AGENT_STATES
};

/* What on_event tells; reason and numbers by event. */
enum gw_event {
    GW_EVENT_LOOK = 1,     /* a look begins; reason LINK_TRUST: without trust in the server */
    GW_EVENT_OFFER = 2,    /* a release was offered and its signatures are right: a = epoch, b = sequence */
    GW_EVENT_PLAN = 3,     /* it suits: a = bytes to fetch, b = bytes that are here already */
    GW_EVENT_PROGRESS = 4, /* a = bytes done, b = bytes in all */
    GW_EVENT_STAGED = 5,   /* restart to try it */
    GW_EVENT_FAILED = 6,   /* reason says why; a = seconds until the next look */
    GW_EVENT_TRIED = 7,    /* the image on trial was confirmed (reason 0) or left */
    GW_EVENT_NOTHING = 8,  /* nothing new; a = seconds until the next look */
    GW_EVENT_TRUST = 9,    /* a newer trust bundle was taken; a = 1: it waits for the next confirm */
    GW_EVENT_REPORTED = 10, /* the server has a report: a = its counter */
    GW_EVENT_LEFT = 11,    /* an image was left before this start: reason; a = epoch, b = sequence, if known */
};

struct gw_agent_config {
    const struct gw_device *dev;        /* mounted */
    const struct gw_handover *handover; /* what boot told this image */
    const struct gw_transport *transport;
    const struct gw_decoding *decoding; /* see install.h; its memory also checks trust bundles. NULL: none */
    /* The installer's, see gw_install_config; without decoding GW_VERIFY_MEMORY, or no bundle is taken (SPACE) */
    uint8_t *buffer;
    size_t buffer_size;
    uint8_t *offer;    /* for an offer: GW_OFFER_BUFFER; at most 8192 are of use. Larger offers are refused (LIMIT) */
    size_t offer_size;

    uint32_t look_interval_s;  /* between looks, until a server says otherwise; 0: 24 h */
    uint32_t wake_jitter_s;    /* a look after gw_agent_wake() waits for up to this long; 0: not at all */
    uint32_t confirm_s;        /* an image on trial must be confirmed within this time; 0: 600 */
    uint32_t steady_s;         /* a confirmed image that ran for so long has not crashed; 0: 300 */
    uint32_t attempts_per_day; /* installs begun or continued; 0: 24. One that was refused in the end counts as 8 */
    uint32_t bytes_per_day;    /* of payloads; 0: no limit */
    uint32_t chunk;            /* bytes asked for with one ranged request; 0: 256 KB */
    uint32_t ask_again_s;      /* after the application declined; 0: 60. A fetch: then twice as long, up to an hour */
    bool confirm_offline;      /* the self-test alone confirms; otherwise an authenticated look is needed as well */
    bool head_required;        /* a release without a channel head is refused (GW_ERR_HEAD_MISSING) */
    uint32_t head_age_s;       /* older heads are refused, if the time is known (GW_ERR_HEAD_STALE); 0: any age */
    struct gw_span channel;    /* heads of other channels are refused (GW_ERR_HEAD_OTHER); n 0: any */
    uint32_t anonymous_after;  /* looks in a row that failed for the server's certificate, after which one is made
                                * without any trust in the server, and its payloads; what comes is sealed. Never on
                                * trial. 0: never. SECURITY.md, 5 */
    struct gw_span report_kek; /* name of a KEK that MACs reports, if the device has no key that signs; n 0: none */

    /* Seconds since 1970; 0: not known. May be NULL. The date of the newest head is the least it can be. */
    uint32_t (*time)(void *ctx);
    /* Vetoes: return false to decline for now; asked again after ask_again_s. May be NULL: agreed. */
    bool (*may_fetch)(void *ctx, uint32_t bytes);
    bool (*may_restart)(void *ctx);
    /* The new image's own check: 0 if it is well. May be NULL. */
    int (*self_test)(void *ctx);
    /*
     * Restarts the device. May return (the restart comes later); called again every ask_again_s. NULL: the application
     * watches for GW_AGENT_RESTART, and may_restart is not asked.
     */
    void (*restart)(void *ctx);
    void (*on_event)(void *ctx, enum gw_event event, int reason, uint32_t a, uint32_t b); /* may be NULL */
    void *ctx;
    /* For gw_update() only: milliseconds now, and waiting (or other work) for up to so many. */
    uint32_t (*now_ms)(void *ctx);
    void (*wait)(void *ctx, uint32_t ms);
};

/* What survives in the journal (SPEC.md, section 17). */
struct gw_agent_memory {
    uint8_t failures;        /* looks in a row that failed, or declined */
    uint8_t cert_failures;   /* looks in a row that failed for the server's certificate */
    uint8_t attempts;        /* of this day */
    uint8_t refused;         /* reason of the last refusal that was told */
    uint32_t day;            /* since 1970, with the top bit set; without a clock: seconds of this day so far */
    uint32_t bytes;          /* of payloads, this day */
    uint32_t next_look;      /* seconds since 1970; 0: by `left_s` */
    uint32_t left_s;         /* seconds until the next look when this was written */
    uint32_t interval_s;     /* that a server asked for; 0: none has */
    uint8_t running_told[8]; /* the confirmed release that was reported: first bytes of its manifest's digest */
    uint8_t left_told[8];    /* the image that was left, likewise; then the reason in the last byte */
    uint8_t refused_told[8]; /* the offered manifest that was refused: first bytes of its SHA-256 */
};

/* An agent. Opaque: `sizeof` is printed by `make size`. */
struct gw_agent {
    const struct gw_agent_config *config;
    uint32_t state;             /* enum gw_agent_state */
    uint32_t flags;             /* GW_AGENT_INSTALLING ..., lib/src/agent.h */
    uint32_t now;               /* of this step, ms */
    uint32_t due;               /* next look, ms */
    uint32_t ask;               /* when the application is asked again, or a range of a payload, ms */
    uint32_t since;             /* when something happened last, ms */
    uint32_t open;              /* enum gw_agent_request; 0: none */
    uint32_t trial;             /* the running image is on trial */
    uint32_t offer_n;           /* bytes of the offer so far */
    uint32_t read;              /* payload bytes read from the transport by this attempt */
    uint32_t again;             /* of them, given up and fetched again */
    uint32_t range_left;        /* of the request that is open */
    uint32_t retries;           /* requests of a range, in a row, that brought nothing */
    uint32_t rest_s;            /* until the next look, when that was decided */
    uint32_t credit;            /* writes of failures and next looks that are allowed now */
    uint32_t kept;              /* up to when `credit` was counted, ms */
    uint32_t report_n;          /* bytes of the report that is being sent; 0: none is made */
    uint32_t counter;           /* of that report */
    uint32_t looked;            /* when the last look began, ms */
    uint32_t opened;            /* ms */
    uint32_t ticked;            /* up to when the day was counted, ms */
    uint32_t issued_at;         /* of the newest channel head: the least that the time can be */
    uint32_t noted;             /* bytes of the day's budget that are written down */
    uint32_t random;
    int reason;                 /* of the failure that is being dealt with */
    struct gw_order order;      /* of the release that is being dealt with */
    uint8_t untold;             /* failures that were not reported, since there were too many */
    volatile uint8_t woken;
    struct gw_agent_memory memory;
    struct gw_offer offer;      /* views into config->offer */
    struct gw_install_config install_config;
    struct gw_install install;
};

/*
 * Begins: reads what the journal remembers, finds out what became of the image before. Writes nothing yet.
 * GW_ERR_CONFIG: a needed field or function is missing; GW_ERR_SPACE: a buffer is too small; GW_ERR_FLASH_READ: the
 * journal cannot be read.
 */
GW_MUST_USE int gw_agent_open(struct gw_agent *agent, const struct gw_agent_config *config, uint32_t now_ms);

/*
 * One bounded unit of work. *wait_ms: call again after so long, or when the transport or gw_agent_wake() has something;
 * 0: at once. Returns GW_MORE while it is at something, GW_DONE while it waits for the next look or for the restart.
 * Failures of looks and updates are events, not errors. Errors: the journal cannot be read or written
 * (GW_ERR_FLASH_*, GW_ERR_JOURNAL_FULL): the step may be tried again.
 */
GW_MUST_USE int gw_agent_step(struct gw_agent *agent, uint32_t now_ms, uint32_t *wait_ms);

/*
 * Look now (a notification came), but not sooner than 5 s after the last look began. From interrupts and other threads
 * too; does nothing else than setting a flag.
 */
void gw_agent_wake(struct gw_agent *agent);

/*
 * Tells the transport what is trusted now, as each look does when it begins: for those who connect before the first
 * one, to a broker. After gw_agent_open() and before the first step. 0, or the error of the transport or of the flash.
 */
GW_MUST_USE int gw_agent_tell_trust(struct gw_agent *agent);

/*
 * The device is about to sleep for `for_s` seconds, RAM lost or not: writes down when the next look is due. With a
 * clock it knows that already, most of the time; without one it costs a record each time.
 */
GW_MUST_USE int gw_agent_sleep(struct gw_agent *agent, uint32_t now_ms, uint32_t for_s);

/* Ends: closes the request, keeps what an install has got so far. The object is wiped. */
void gw_agent_close(struct gw_agent *agent);

/*
 * Just update: one look, and all that follows from it, with config->now_ms and config->wait. GW_OK: nothing new;
 * GW_DONE: a release is staged, restart (or config->restart was called); an error: why not, as in GW_EVENT_FAILED.
 */
GW_MUST_USE int gw_update(struct gw_agent *agent);

/* For people and tests. */
struct gw_agent_status {
    enum gw_agent_state state;
    bool trial;             /* the running image is on trial */
    int reason;             /* of the last failure; 0: the last look went well */
    uint32_t next_look_s;   /* from now */
    uint32_t failures;      /* in a row */
    uint32_t attempts, bytes; /* of this day */
    uint32_t reports;       /* waiting to be sent */
    uint32_t read, again;   /* payload bytes of this attempt; of them, read twice */
};
void gw_agent_status(struct gw_agent *agent, struct gw_agent_status *status);
/* Name of a state, as in SPEC.md; never NULL. */
const char *gw_agent_state_name(enum gw_agent_state state);

/* ---- Reports (SPEC.md, section 18) ------------------------------------------------------------------------------ */

#define GW_REPORT_MAX 512u    /* largest signed report, bytes */
#define GW_REPORTS_KEPT 5u    /* that wait for a server; then the oldest is dropped */
#define GW_ALG_REPORT_MAC (-70002) /* a tag made with a pre-shared key instead of a signature */

enum gw_report_state {
    GW_REPORT_CONFIRMED = 1, /* runs, and stays: also the first report of a device */
    GW_REPORT_STAGED = 2,    /* installed; the next start tries it */
    GW_REPORT_FAILED = 3,    /* the update did not come so far; reason says why */
    GW_REPORT_LEFT = 4,      /* the device went back from this release; reason says why */
    GW_REPORT_DECLINED = 5,  /* the application declined for now */
};

struct gw_report {
    uint32_t counter;        /* only grows, for one device */
    uint32_t state;          /* enum gw_report_state */
    uint32_t reason;         /* 0: none */
    uint32_t times;          /* how often in a row, at least 1 */
    struct gw_order release; /* that it is about; sequence 0: none */
    uint32_t time;           /* seconds since 1970 when it happened; 0: not known */
    uint32_t bytes, again;   /* payload bytes read for it; of them, read twice */
    /* Filled in when it is sent: */
    struct gw_span device;   /* id */
    struct gw_order running; /* the confirmed release; sequence 0: factory image or recovery */
    uint32_t hardware, bootloader, trust_version, head_serial;
};
/* Parses the signed map of a report; views into the bytes. */
GW_MUST_USE int gw_report_parse(struct gw_report *r, const uint8_t *map, size_t n);
/* Verifies a report (COSE_Sign, type "godwit/report/1") by the device's public key, and parses it. */
GW_MUST_USE int gw_report_open(struct gw_report *r, const struct gw_crypto *crypto, const struct gw_pubkey *key,
                               const uint8_t *cose, size_t n);
/* The same for a report that was MACed with this KEK. */
GW_MUST_USE int gw_report_open_mac(struct gw_report *r, const struct gw_crypto *crypto, const uint8_t *kek,
                                   size_t kek_size, const uint8_t *cose, size_t n);

#endif
