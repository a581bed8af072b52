/*
 * cose.c - COSE_Sign and COSE_Key, as cose.h describes them.
 *
 * What it keeps true: the payload is hashed where it lies and never parsed here; a key is found by its kid, and then
 * its own algorithm, roles and revocation decide; a failure of the crypto library ends the check and is no verdict.
 */
#include <string.h>

#include "cose.h"
#include "fields.h"
#include "hash.h"

#define TAG_SIGN 98u
#define LABEL_ALGORITHM 1
#define LABEL_KID 4
#define LABEL_EPHEMERAL (-1)
#define LABEL_MANIFEST (-70001)
#define RSA_MAX 384u
#ifdef GW_INSECURE_RSA1024
#define RSA_MIN 128u
#else
#define RSA_MIN 256u
#endif

_Static_assert(GW_KEYS_MAX <= 32, "gw_config.h: GW_KEYS_MAX above 32 does not fit the set of keys that signed");

/* ---- Keys ---- */

static bool whole_odd(struct gw_span s, size_t least, size_t most)
{
    return s.n >= least && s.n <= most && s.p[0] != 0 && (s.p[s.n - 1] & 1) != 0;
}

/* An RSA exponent of 1 would make every signature right. */
static bool strong(const struct gw_pubkey *key)
{
    if (key->algorithm == GW_ALG_PS256) {
        return whole_odd(key->x, RSA_MIN, RSA_MAX) && (key->x.n > RSA_MIN || key->x.p[0] >= 0x80) &&
               whole_odd(key->y, 1, 4) && (key->y.n > 1 || key->y.p[0] > 1);
    }
    return key->x.n == 32 && key->y.n == 32;
}

/*
 * The encodings that a key may have: what stands before x (or n), and the label between x and y (or n and e). The last
 * two, with the required members alone, are what a thumbprint is made of; the first of them is also a key for ECDH.
 */
static const struct shape {
    int8_t algorithm;
    uint8_t label, n;
    uint8_t start[8];
} shapes[] = {
    { GW_ALG_ES256, 0x22, 8, { 0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21 } },
    { GW_ALG_PS256, 0x21, 7, { 0xa4, 0x01, 0x03, 0x03, 0x38, 0x24, 0x20 } },
    { 0, 0x22, 6, { 0xa4, 0x01, 0x02, 0x20, 0x01, 0x21 } },
    { 0, 0x21, 4, { 0xa3, 0x01, 0x03, 0x20 } },
};
#define SHAPE_BARE 2u

void gw_cose_key(struct gw_cbor *c, struct gw_pubkey *key, bool signs)
{
    struct gw_span map;
    struct gw_cbor in = *c;

    memset(key, 0, sizeof *key);
    map = gw_cbor_item(c);
    for (unsigned i = signs ? 0 : SHAPE_BARE; i <= (signs ? 1 : SHAPE_BARE); i++) {
        const struct shape *shape = &shapes[i];
        if (map.n <= shape->n || memcmp(map.p, shape->start, shape->n) != 0) {
            continue;
        }
        key->algorithm = shape->algorithm;
        in.at += shape->n;
        key->x = gw_cbor_bytes(&in);
        if (gw_cbor_peek(&in) == 1 && in.p[in.at++] == shape->label) {
            key->y = gw_cbor_bytes(&in);
        }
        if (in.at != c->at || !strong(key)) {
            gw_cbor_fail(c, GW_ERR_KEY_WEAK);
        }
        return;
    }
    gw_cbor_fail(c, GW_ERR_ALGORITHM);
}

uint32_t gw_span_occurs(struct gw_span whole, struct gw_span part)
{
    uint32_t n = 0;
    for (; whole.n >= part.n; whole.p++, whole.n--) {
        n += memcmp(whole.p, part.p, part.n) == 0;
    }
    return n;
}

static void hash_bytes(struct gw_hash *h, const void *p, size_t n)
{
    uint8_t head[9];
    struct gw_cborw w;
    gw_cborw_init(&w, head, sizeof head);
    gw_cborw_head(&w, 2, n);
    gw_hash_add(h, head, w.at);
    gw_hash_add(h, p, n);
}

int gw_key_thumbprint(const struct gw_crypto *crypto, const struct gw_pubkey *key, uint8_t digest[32])
{
    const struct shape *shape = &shapes[SHAPE_BARE + (key->algorithm == GW_ALG_PS256)];
    struct gw_hash h;

    gw_hash_start(&h, crypto);
    gw_hash_add(&h, shape->start, shape->n);
    hash_bytes(&h, key->x.p, key->x.n);
    gw_hash_add(&h, &shape->label, 1);
    hash_bytes(&h, key->y.p, key->y.n);
    return gw_hash_end(&h, digest);
}

/* ---- Headers ---- */

int32_t gw_cose_algorithm(struct gw_cbor *c)
{
    int64_t v = gw_cbor_int(c);
    if (v != (int32_t)v) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
    return (int32_t)v;
}

/*
 * The labels of one header. In the unprotected one any may be, text too: gw_cbor_item() has checked the map, what is
 * not known is skipped.
 */
static void read_labels(struct gw_cbor *outer, struct gw_span map, bool is_protected, struct gw_cose_header *h)
{
    struct gw_cbor c;
    struct gw_cbor_map m;

    gw_cbor_init(&c, map.p, map.n);
    (void)gw_cbor_item(&c);
    gw_cbor_fail(&c, gw_cbor_end(&c));
    c.at = 0;
    gw_cbor_map(&c, &m);
    for (; m.left > 0 && c.error == GW_OK; m.left--) {
        bool is_number = gw_cbor_peek(&c) <= 1;
        int32_t label = is_number ? gw_cose_algorithm(&c) : 0;
        if (!is_number) {
            (void)gw_cbor_item(&c);
        }
        if (label == LABEL_ALGORITHM && (is_protected || h->protected_header.n == 0)) {
            h->algorithm = gw_cose_algorithm(&c);
        } else if (label == LABEL_MANIFEST && is_protected) {
            h->manifest = gw_cbor_bytes(&c);
        } else if (is_protected) {
            gw_cbor_fail(&c, GW_ERR_UNKNOWN_KEY);
        } else if (label == LABEL_KID) {
            h->kid = gw_cbor_bytes(&c);
        } else {
            struct gw_span item = gw_cbor_item(&c);
            h->key = label == LABEL_EPHEMERAL ? item : h->key;
        }
    }
    gw_cbor_fail(outer, c.error);
}

void gw_cose_headers(struct gw_cbor *c, struct gw_cose_header *h)
{
    struct gw_span map;

    memset(h, 0, sizeof *h);
    h->protected_header = gw_cbor_bytes(c);
    map = gw_cbor_item(c);
    if (h->protected_header.n != 0) {
        read_labels(c, h->protected_header, true, h);
    }
    read_labels(c, map, false, h);
}

/* ---- COSE_Sign ---- */

int gw_cose_sign_parse(struct gw_cose_sign *s, const uint8_t *cose, size_t n)
{
    struct gw_cbor c;
    struct gw_cose_header h;
    struct gw_cose_sign is;
    int error;

    gw_cbor_init(&c, cose, n);
    (void)gw_cbor_tag(&c, TAG_SIGN);
    gw_cbor_tuple(&c, 4);
    gw_cose_headers(&c, &h);
    if (h.protected_header.n != 0) {
        gw_cbor_fail(&c, GW_ERR_UNKNOWN_KEY);
    }
    is.protected_header = h.protected_header;
    is.payload = gw_cbor_bytes(&c);
    if (gw_cbor_peek(&c) != 4) {
        gw_cbor_fail(&c, GW_ERR_FORMAT);
    }
    is.signatures = gw_cbor_item(&c);
    is.count = gw_list_count(is.signatures);
    if (is.count > GW_SIGNATURES_MAX) {
        gw_cbor_fail(&c, GW_ERR_LIMIT);
    }
    error = gw_cbor_end(&c);
    if (error == GW_OK) {
        *s = is;
    }
    return error;
}

static void read_signature(struct gw_cbor *c, void *out)
{
    struct gw_cose_signature *sig = out;
    struct gw_cose_header h;

    gw_cbor_tuple(c, 3);
    gw_cose_headers(c, &h);
    sig->signature = gw_cbor_bytes(c);
    sig->protected_header = h.protected_header;
    sig->kid = h.kid;
    sig->algorithm = h.protected_header.n != 0 ? h.algorithm : 0;
    if (h.manifest.p != NULL) {
        gw_cbor_fail(c, GW_ERR_UNKNOWN_KEY);
    }
}

int gw_cose_signature(const struct gw_cose_sign *s, uint32_t i, struct gw_cose_signature *sig)
{
    return gw_list_read(s->signatures, i, read_signature, sig);
}

int gw_cose_sig_digest(const struct gw_crypto *crypto, const char *type, struct gw_span body_protected,
                       struct gw_span sign_protected, struct gw_span payload, uint8_t digest[32])
{
    static const char start[] = "\x85\x69Signature"; /* an array of five, a text of nine */
    size_t type_size = 0;
    struct gw_hash h;

    while (type[type_size] != '\0') {
        type_size++;
    }
    gw_hash_start(&h, crypto);
    gw_hash_add(&h, start, sizeof start - 1);
    hash_bytes(&h, body_protected.p, body_protected.n);
    hash_bytes(&h, sign_protected.p, sign_protected.n);
    hash_bytes(&h, type, type_size);
    hash_bytes(&h, payload.p, payload.n);
    return gw_hash_end(&h, digest);
}

/* ---- Verifying by a policy ---- */

/* Who signed so far. */
struct signers {
    uint32_t keys;  /* bit i: key i of the ring */
    uint32_t count;
    uint32_t roles[GW_SIGNATURES_MAX];
};

static int ring_key(const struct gw_keyring *ring, uint32_t i, struct gw_pubkey *key)
{
    if (ring->trust != NULL) {
        return gw_trust_key(ring->trust, i, key);
    }
    if (i >= ring->roots->count) {
        return GW_ERR_NOTHING;
    }
    *key = ring->roots->key[i];
    key->roles = GW_ROLE_ROOT;
    return GW_OK;
}

/* The index of the first key whose id is `kid`, or an error. */
static int find_key(const struct gw_keyring *ring, struct gw_span kid, struct gw_pubkey *key)
{
    uint8_t digest[GW_DIGEST_SIZE];
    int error;

    if (kid.n != GW_KEY_ID_SIZE) {
        return GW_ERR_KEY_UNKNOWN;
    }
    if (ring->trust != NULL && gw_list_has(ring->trust->revoked, kid.p, kid.n)) {
        return GW_ERR_KEY_REVOKED;
    }
    for (uint32_t i = 0; i < GW_KEYS_MAX && ring_key(ring, i, key) == GW_OK; i++) {
        error = gw_key_thumbprint(ring->crypto, key, digest);
        if (error != GW_OK) {
            return error;
        }
        if (memcmp(digest, kid.p, kid.n) == 0) {
            return (int)i;
        }
    }
    return GW_ERR_KEY_UNKNOWN;
}

static int verify(const struct gw_crypto *crypto, const char *type, const struct gw_cose_sign *s,
                  const struct gw_cose_signature *sig, const struct gw_pubkey *key)
{
    uint8_t digest[GW_DIGEST_SIZE];
    int error;

    if (sig->signature.n != (key->algorithm == GW_ALG_PS256 ? key->x.n : 64u)) {
        return GW_ERR_SIGNATURE;
    }
    error = gw_cose_sig_digest(crypto, type, s->protected_header, sig->protected_header, s->payload, digest);
    if (error != GW_OK) {
        return error;
    }
    error = crypto->verify(crypto->ctx, key, digest, sig->signature.p, sig->signature.n);
    return error == GW_OK || error == GW_ERR_SIGNATURE || error == GW_ERR_KEY_WEAK ? error : GW_ERR_CRYPTO;
}

/* Signature i: counts it, or says why not. */
static int check_signature(const struct gw_keyring *ring, const char *type, uint32_t roles,
                           const struct gw_cose_sign *s, uint32_t i, struct signers *signers)
{
    struct gw_cose_signature sig;
    struct gw_pubkey key;
    int k, error = gw_cose_signature(s, i, &sig);

    if (error != GW_OK) {
        return error;
    }
    k = find_key(ring, sig.kid, &key);
    if (k < 0) {
        return k;
    }
    if ((key.roles & roles) == 0) {
        return GW_ERR_KEY_ROLE;
    }
    if (key.algorithm != sig.algorithm) {
        return GW_ERR_ALGORITHM;
    }
    if ((signers->keys >> k & 1u) != 0) {
        return GW_ERR_SIGNER_TWICE;
    }
    error = verify(ring->crypto, type, s, &sig, &key);
    if (error == GW_OK) {
        signers->keys |= (uint32_t)1 << k;
        signers->roles[signers->count++] = key.roles;
    }
    return error;
}

/* Hall's condition: then each line can have its number of signers, and no signer stands for two. */
static bool satisfied(const struct gw_policy_line *policy, uint32_t lines, const struct signers *signers)
{
    for (uint32_t set = 1; set < (uint32_t)1 << lines; set++) {
        uint32_t roles = 0, need = 0, have = 0;
        for (uint32_t i = 0; i < lines; i++) {
            if ((set >> i & 1u) != 0) {
                roles |= policy[i].roles;
                need += policy[i].count;
            }
        }
        for (uint32_t i = 0; i < signers->count; i++) {
            have += (signers->roles[i] & roles) != 0;
        }
        if (have < need) {
            return false;
        }
    }
    return lines > 0 && signers->count > 0;
}

int gw_cose_verify(const struct gw_keyring *ring, const char *type, const struct gw_policy_line *policy,
                   uint32_t policy_count, const uint8_t *cose, size_t n, struct gw_span *payload)
{
    struct gw_cose_sign s;
    struct signers signers;
    uint32_t roles = 0;
    int first = GW_OK, error = gw_cose_sign_parse(&s, cose, n);

    if (error != GW_OK || policy_count > GW_POLICY_MAX) {
        return error != GW_OK ? error : GW_ERR_LIMIT;
    }
    memset(&signers, 0, sizeof signers);
    for (uint32_t i = 0; i < policy_count; i++) {
        roles |= policy[i].roles;
    }
    for (uint32_t i = 0; i < s.count; i++) {
        error = check_signature(ring, type, roles, &s, i, &signers);
        if (error == GW_ERR_CRYPTO) {
            return error;
        }
        if (first == GW_OK) {
            first = error;
        }
    }
    if (!satisfied(policy, policy_count, &signers)) {
        return first != GW_OK ? first : GW_ERR_SIGNERS_FEW;
    }
    *payload = s.payload;
    return GW_OK;
}
