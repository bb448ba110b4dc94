/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/account/credentials.h"

#include <errno.h>
#include <string.h>

#include "lwm2m/account/account.h"
#include "lwm2m/account/cipher_suite.h"
#include "lwm2m/account/oscore_keys.h"
#include "util/base64.h"
#include "util/complain.h"
#include "util/parse.h"

static const struct {
        SecurityMode mode;
        const char *name, *with_oscore;
} modes[] = {
        { SECURITY_MODE_PSK, "psk", "psk+oscore" },    { SECURITY_MODE_RPK, "rpk", "rpk+oscore" },
        { SECURITY_MODE_X509, "x509", "x509+oscore" }, { SECURITY_MODE_NOSEC, "nosec", "oscore" },
        { SECURITY_MODE_EST, "est", "est+oscore" },
};

const char *credentials_mode_name(int64_t mode) {
        for (size_t i = 0; i < G_N_ELEMENTS(modes); i++)
                if (modes[i].mode == mode)
                        return modes[i].name;
        return "?";
}

const char *credentials_name(const Credentials *c) {
        for (size_t i = 0; i < G_N_ELEMENTS(modes); i++)
                if (modes[i].mode == c->mode)
                        return c->oscore ? modes[i].with_oscore : modes[i].name;
        return "?";
}

int credentials_mode_parse(const char *name, int64_t *ret) {
        for (size_t i = 0; i < G_N_ELEMENTS(modes); i++)
                if (strcmp(modes[i].name, name) == 0) {
                        *ret = modes[i].mode;
                        return 0;
                }
        return -EINVAL;
}

/* --- bytes --- */

typedef struct Wiped {
        size_t n;
        uint8_t bytes[];
} Wiped;

static void wipe(gpointer p) {
        Wiped *w = p;

        explicit_bzero(w->bytes, w->n);
        g_free(w);
}

GBytes *credentials_bytes(const void *data, size_t n) {
        Wiped *w = g_malloc(sizeof(Wiped) + n + 1);

        w->n = n;
        if (n > 0)
                memcpy(w->bytes, data, n);
        w->bytes[n] = 0;
        return g_bytes_new_with_free_func(w->bytes, n, wipe, w);
}

static bool begins(const void *data, size_t n, const char *with) {
        const size_t n_with = strlen(with);

        return n >= n_with && memcmp(data, with, n_with) == 0;
}

bool credentials_is_reference(const Value *v) {
        return v->type == VALUE_OPAQUE && (begins(v->data, v->length, CREDENTIALS_REFERENCE) ||
                                           begins(v->data, v->length, CREDENTIALS_STORE) ||
                                           begins(v->data, v->length, CREDENTIALS_AWAITED));
}

bool credentials_are_awaited(const Credentials *c) {
        gsize n;
        const char *data = g_bytes_get_data(c->secret, &n);

        return n == strlen(CREDENTIALS_AWAITED) && memcmp(data, CREDENTIALS_AWAITED, n) == 0;
}

char *credentials_store_uri(GBytes *value) {
        const size_t n_prefix = strlen(CREDENTIALS_STORE);
        gsize n;
        const char *data = g_bytes_get_data(value, &n);

        if (!data || !begins(data, n, CREDENTIALS_STORE))
                return NULL;
        return g_strndup(data + n_prefix, MIN(n - n_prefix, CREDENTIALS_URI_MAX));
}

static bool is_stored(GBytes *value) {
        gsize n;
        const char *data = g_bytes_get_data(value, &n);

        return data && begins(data, n, CREDENTIALS_STORE);
}

bool credentials_use_store(const Credentials *c) {
        return (c->mode == SECURITY_MODE_RPK || c->mode == SECURITY_MODE_X509) &&
               (is_stored(c->secret) || is_stored(c->peer) ||
                (c->mode == SECURITY_MODE_X509 && is_stored(c->identity)));
}

static int decode_base64(const char *text, size_t n, GBytes **ret) {
        size_t room = n / 4 * 3 + 3, got = 0;
        g_autofree uint8_t *out = g_malloc(room);
        int r;

        r = base64_decode(text, n, false, out, &got);
        if (r >= 0)
                *ret = credentials_bytes(out, got);
        explicit_bzero(out, room);
        return r;
}

int credentials_parse(const char *text, size_t n, GBytes **ret) {
        g_autofree uint8_t *bytes = NULL;
        g_autofree char *copy = NULL;
        size_t got;
        int r;

        if (n >= 7 && memcmp(text, "base64:", 7) == 0)
                return decode_base64(text + 7, n - 7, ret);
        if (n < 4 || memcmp(text, "hex:", 4) != 0) {
                *ret = credentials_bytes(text, n);
                return 0;
        }
        copy = g_strndup(text + 4, n - 4);
        r = parse_hex(copy, &bytes, &got);
        explicit_bzero(copy, n - 4);
        if (r < 0)
                return -EINVAL;
        *ret = credentials_bytes(bytes, got);
        explicit_bzero(bytes, got);
        return 0;
}

/* --- life --- */

Credentials *credentials_new(int64_t mode) {
        Credentials *c = g_new0(Credentials, 1);

        c->mode = mode;
        c->usage = USAGE_DOMAIN_ISSUED;
        c->identity = credentials_bytes(NULL, 0);
        c->peer = g_bytes_ref(c->identity);
        c->secret = g_bytes_ref(c->identity);
        return c;
}

Credentials *credentials_copy(const Credentials *c) {
        Credentials *copy = g_new(Credentials, 1);

        *copy = *c;
        g_bytes_ref(copy->identity);
        g_bytes_ref(copy->peer);
        g_bytes_ref(copy->secret);
        copy->sni = g_strdup(c->sni);
        copy->oscore = oscore_keys_copy(c->oscore);
        return copy;
}

Credentials *credentials_free(Credentials *c) {
        if (!c)
                return NULL;
        g_bytes_unref(c->identity);
        g_bytes_unref(c->peer);
        g_bytes_unref(c->secret);
        g_free(c->sni);
        oscore_keys_free(c->oscore);
        g_free(c);
        return NULL;
}

bool credentials_equal(const Credentials *a, const Credentials *b) {
        return a->mode == b->mode && a->matching == b->matching && a->usage == b->usage &&
               a->n_suites == b->n_suites &&
               memcmp(a->suites, b->suites, a->n_suites * sizeof(a->suites[0])) == 0 &&
               g_strcmp0(a->sni, b->sni) == 0 && g_bytes_equal(a->identity, b->identity) &&
               g_bytes_equal(a->peer, b->peer) && g_bytes_equal(a->secret, b->secret) &&
               oscore_keys_equal(a->oscore, b->oscore);
}

/* --- in the tree --- */

static void load_bytes(const Tree *tree, uint16_t instance, uint16_t resource, GBytes **where) {
        Path p = PATH_OIR(OBJECT_SECURITY, instance, resource);
        const Value *v;

        if (tree_get(tree, &p, &v) < 0 || v->type != VALUE_OPAQUE)
                return;
        g_bytes_unref(*where);
        *where = credentials_bytes(v->data, v->length);
}

static uint64_t load_number(const Tree *tree, uint16_t instance, uint16_t resource,
                            uint64_t otherwise) {
        Path p = PATH_OIR(OBJECT_SECURITY, instance, resource);
        const Value *v;
        Value n;

        return tree_get(tree, &p, &v) == 0 && value_convert(v, VALUE_UNSIGNED, &n) == 0 ? n.u
                                                                                        : otherwise;
}

/* Suites that nobody here knows are left out: a server may name those of other clients, too. */
static int load_suite(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        Credentials *c = userdata;
        Value n;

        if (p->n == 4 && v && value_convert(v, VALUE_UNSIGNED, &n) == 0 &&
            cipher_suite_by_number(n.u) && c->n_suites < CREDENTIALS_SUITES_MAX)
                c->suites[c->n_suites++] = (uint16_t) n.u;
        return 0;
}

Credentials *credentials_load(const Tree *tree, uint16_t instance) {
        Credentials *c = credentials_new(SECURITY_MODE_NOSEC);
        Path p = PATH_OIR(OBJECT_SECURITY, instance, SECURITY_MODE);
        const Value *v;

        if (tree_get(tree, &p, &v) == 0 && v->type == VALUE_INTEGER)
                c->mode = v->i;
        load_bytes(tree, instance, SECURITY_IDENTITY, &c->identity);
        load_bytes(tree, instance, SECURITY_PEER_KEY, &c->peer);
        load_bytes(tree, instance, SECURITY_SECRET, &c->secret);
        c->matching = (uint8_t) MIN(load_number(tree, instance, SECURITY_MATCHING, 0), UINT8_MAX);
        c->usage = (uint8_t) MIN(load_number(tree, instance, SECURITY_USAGE, USAGE_DOMAIN_ISSUED),
                                 UINT8_MAX);
        p.id[2] = SECURITY_SNI;
        if (tree_get(tree, &p, &v) == 0 && v->type == VALUE_STRING && v->length > 0)
                c->sni = g_strdup(v->data);
        p.id[2] = SECURITY_SUITES;
        tree_walk(tree, &p, load_suite, c);
        c->oscore = oscore_keys_load(tree, instance);
        return c;
}

static int set(Tree *tree, uint16_t instance, uint16_t resource, Value v) {
        Path p = PATH_OIR(OBJECT_SECURITY, instance, resource);
        int r = tree_set(tree, &p, &v);

        value_clear(&v);
        return r;
}

static int set_bytes(Tree *tree, uint16_t instance, uint16_t resource, GBytes *bytes) {
        gsize n;
        const void *data = g_bytes_get_data(bytes, &n);

        return set(tree, instance, resource, value_text(VALUE_OPAQUE, data ? data : "", n));
}

static int set_suites(const Credentials *c, Tree *tree, uint16_t instance) {
        int r = 0;

        for (uint16_t i = 0; i < c->n_suites && r >= 0; i++) {
                Value v = { .type = VALUE_UNSIGNED, .u = c->suites[i] };

                r = tree_set(tree, &PATH_OIRI(OBJECT_SECURITY, instance, SECURITY_SUITES, i), &v);
        }
        return r;
}

int credentials_store(const Credentials *c, Tree *tree, uint16_t instance) {
        int r;

        r = set(tree, instance, SECURITY_MODE, (Value){ .type = VALUE_INTEGER, .i = c->mode });
        if (r < 0 || (r = set_bytes(tree, instance, SECURITY_IDENTITY, c->identity)) < 0 ||
            (r = set_bytes(tree, instance, SECURITY_PEER_KEY, c->peer)) < 0 ||
            (r = set_bytes(tree, instance, SECURITY_SECRET, c->secret)) < 0)
                return r;
        if (c->matching != MATCHING_EXACT)
                r = set(tree, instance, SECURITY_MATCHING,
                        (Value){ .type = VALUE_UNSIGNED, .u = c->matching });
        if (r >= 0 && c->sni)
                r = set(tree, instance, SECURITY_SNI, value_string(c->sni));
        if (r >= 0 && c->usage != USAGE_DOMAIN_ISSUED)
                r = set(tree, instance, SECURITY_USAGE,
                        (Value){ .type = VALUE_UNSIGNED, .u = c->usage });
        if (r >= 0)
                r = set_suites(c, tree, instance);
        return r >= 0 && c->oscore ? oscore_keys_store(c->oscore, tree, instance) : r;
}

/* --- checks --- */

static bool is_empty(GBytes *bytes) {
        return g_bytes_get_size(bytes) == 0;
}

static bool is_bad_uri(GBytes *value) {
        g_autofree char *uri = is_stored(value) ? credentials_store_uri(value) : NULL;
        const char *colon;

        if (!uri)
                return false;
        if (strlen(uri) + strlen(CREDENTIALS_STORE) != g_bytes_get_size(value))
                return true;
        for (const char *p = uri; *p; p++)
                if (!g_ascii_isgraph(*p))
                        return true;
        colon = strchr(uri, ':');
        return !colon || colon == uri || colon[1] == '\0';
}

static int check_keys(const Credentials *c, char **ret_error) {
        const bool psk = c->mode == SECURITY_MODE_PSK;
        const bool est = c->mode == SECURITY_MODE_EST;

        if (!est && credentials_are_awaited(c))
                return 0;
        if (psk && is_empty(c->identity))
                return complain(ret_error, -ENOKEY, "no PSK identity (0/x/3)");
        if (!est && is_empty(c->secret))
                return complain(ret_error, -ENOKEY, "%s",
                                psk ? "no pre-shared key (0/x/5)" : "no private key (0/x/5)");
        if (psk)
                return 0;
        if (is_bad_uri(c->identity) || is_bad_uri(c->peer) || is_bad_uri(c->secret))
                return complain(ret_error, -EINVAL,
                                "store: needs a URI behind it, of printable characters without "
                                "space (blanks are %%20)");
        if (c->mode == SECURITY_MODE_X509 && is_empty(c->identity))
                return complain(ret_error, -ENOKEY, "no certificate of our own (0/x/3)");
        /* The authorities of the EST server are trusted then. */
        if (!est && is_empty(c->peer))
                return complain(ret_error, -ENOKEY,
                                c->mode == SECURITY_MODE_RPK
                                        ? "no public key of the server (0/x/4)"
                                        : "neither certificate nor trust anchor of the server "
                                          "(0/x/4)");
        if (c->matching > MATCHING_SHA512)
                return complain(ret_error, -EINVAL, "unknown matching type (0/x/13)");
        return c->usage > USAGE_DOMAIN_ISSUED
                       ? complain(ret_error, -EINVAL, "unknown certificate usage (0/x/15)")
                       : 0;
}

int credentials_check(const Credentials *c, bool secure, char **ret_error) {
        const CipherKind kind = c->mode == SECURITY_MODE_PSK ? CIPHER_PSK : CIPHER_CERTIFICATE;
        int r = c->oscore ? oscore_keys_check(c->oscore, ret_error) : 0;

        if (r < 0)
                return r;
        if (!secure)
                return c->mode == SECURITY_MODE_NOSEC
                               ? 0
                               : complain(ret_error, -EINVAL,
                                          "the URI says coap://, which is without security, and "
                                          "the security mode is another: use coaps://");
        switch (c->mode) {
        case SECURITY_MODE_PSK:
        case SECURITY_MODE_RPK:
        case SECURITY_MODE_X509:
        case SECURITY_MODE_EST: /* 0/x/3 and 0/x/5 are not used: TS Transport 1.1.1, section 5.2.9
                                 */
                break;
        case SECURITY_MODE_NOSEC:
                return complain(ret_error, -EINVAL,
                                "the URI says coaps://, which takes keys or certificates, but "
                                "the security mode is nosec");
        default:
                return complain(ret_error, -EINVAL, "unknown security mode (0/x/2)");
        }
        for (unsigned i = 0; i < c->n_suites; i++)
                if (cipher_suite_by_number(c->suites[i])->kind == kind)
                        return check_keys(c, ret_error);
        return c->n_suites > 0
                       ? complain(ret_error, -EINVAL,
                                  "none of the cipher suites goes with the security mode (0/x/16)")
                       : check_keys(c, ret_error);
}
