/* SPDX-License-Identifier: Apache-2.0 */
#include "est.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "field.h"

#define ROOT "/.well-known/est/"
#define FORMAT_CERTS 281U
#define FORMAT_ATTRIBUTES 285U
#define FORMAT_CERT 287U
#define BLOCK_SIZE 512U

struct Est {
        X509 *authority;
        EVP_PKEY *key;
        double valid_s, from_s;
        char *answer;       /* how: "good" … */
        GBytes *attributes; /* NULL: none */
        char *root;         /* "/.well-known/est/" */
        uint64_t serial;
        /* The last body that is longer than a block, for the rest of it. */
        GBytes *body;
        uint32_t format;
        char *path;
        Address to;
};

Est *est_free(Est *e) {
        if (!e)
                return NULL;
        X509_free(e->authority);
        EVP_PKEY_free(e->key);
        g_free(e->answer);
        g_free(e->root);
        g_clear_pointer(&e->attributes, g_bytes_unref);
        g_clear_pointer(&e->body, g_bytes_unref);
        g_free(e->path);
        g_free(e);
        return NULL;
}

/* --- the command --- */

static BIO *open_file(const cJSON *c, const char *key) {
        const char *name = field_string(c, key);

        return name ? BIO_new_file(name, "r") : NULL;
}

static int load(Est *e, const cJSON *c, char **ret_error) {
        BIO *authority = open_file(c, "authority"), *key = open_file(c, "key");

        if (authority) {
                X509_free(e->authority);
                e->authority = PEM_read_bio_X509(authority, NULL, NULL, NULL);
        }
        if (key) {
                EVP_PKEY_free(e->key);
                e->key = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
        }
        BIO_free(authority);
        BIO_free(key);
        ERR_clear_error();
        if (e->authority && e->key)
                return 0;
        *ret_error = g_strdup("\"authority\" and \"key\" are PEM files");
        return -EINVAL;
}

int est_run(Server *s, const cJSON *command, cJSON *answer, char **ret_error) {
        static const char *const answers[] = { "good", "single", "other-key",      "stranger",
                                               "past", "future", "garbage",        "many",
                                               "big",  "empty",  "no-authorities", NULL };
        const char *how = field_string(command, "answer"),
                   *attributes = field_string(command, "attributes");
        Est *e = s->est ? s->est : g_new0(Est, 1);
        int r;

        s->est = e;
        r = load(e, command, ret_error);
        if (r < 0)
                return r;
        if (how && !g_strv_contains(answers, how)) {
                *ret_error = g_strdup_printf("\"answer\": '%s' is none", how);
                return -EINVAL;
        }
        g_free(e->answer);
        e->answer = g_strdup(how ? how : "good");
        g_free(e->root);
        e->root = g_strdup(field_string(command, "path") ? field_string(command, "path") : ROOT);
        e->valid_s = field_number(command, "valid_s", 3600);
        e->from_s = field_number(command, "from_s", -60);
        g_clear_pointer(&e->attributes, g_bytes_unref);
        return attributes ? field_parse_hex(attributes, &e->attributes) : 0;
}

static bool is(const Est *e, const char *how) {
        return g_str_equal(e->answer, how);
}

/* --- certificates --- */

static X509 *issue(Est *e, X509_NAME *subject, EVP_PKEY *public, X509 *authority, EVP_PKEY *key) {
        double from = is(e, "past") ? -7200 : is(e, "future") ? 86400 : e->from_s;
        double to = is(e, "past") ? -3600 : is(e, "future") ? 90000 : e->valid_s;
        X509 *x = X509_new();

        X509_set_version(x, X509_VERSION_3);
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), ++e->serial);
        X509_gmtime_adj(X509_getm_notBefore(x), (long) from);
        X509_gmtime_adj(X509_getm_notAfter(x), (long) to);
        X509_set_subject_name(x, subject);
        X509_set_issuer_name(x, X509_get_subject_name(authority));
        X509_set_pubkey(x, public);
        X509_sign(x, key, EVP_sha256());
        return x;
}

static GBytes *bag(STACK_OF(X509) * list) {
        PKCS7 *p7 = PKCS7_new();
        uint8_t *der = NULL;
        GBytes *bytes;
        int n;

        PKCS7_set_type(p7, NID_pkcs7_signed);
        PKCS7_content_new(p7, NID_pkcs7_data);
        PKCS7_set_detached(p7, 1);
        for (int i = 0; i < sk_X509_num(list); i++)
                PKCS7_add_certificate(p7, sk_X509_value(list, i));
        n = i2d_PKCS7(p7, &der);
        bytes = g_bytes_new(der, n > 0 ? (gsize) n : 0);
        OPENSSL_free(der);
        PKCS7_free(p7);
        return bytes;
}

static GBytes *alone(X509 *x) {
        uint8_t *der = NULL;
        int n = i2d_X509(x, &der);
        GBytes *bytes = g_bytes_new(der, n > 0 ? (gsize) n : 0);

        OPENSSL_free(der);
        return bytes;
}

static GBytes *certificates(Est *e, X509 *x, uint32_t *ret_format) {
        STACK_OF(X509) *list = sk_X509_new_null();
        GBytes *bytes;

        for (unsigned i = 0; i < (is(e, "many") ? 100U : 1U); i++)
                sk_X509_push(list, x);
        *ret_format = is(e, "single") ? FORMAT_CERT : FORMAT_CERTS;
        bytes = is(e, "single") ? alone(x) : bag(list);
        sk_X509_free(list);
        return bytes;
}

static GBytes *sign(Est *e, X509_REQ *request, uint32_t *ret_format) {
        EVP_PKEY *public = is(e, "other-key") ? EVP_EC_gen("P-256") : X509_REQ_get_pubkey(request);
        EVP_PKEY *key = is(e, "stranger") ? EVP_EC_gen("P-256") : NULL;
        X509 *x = issue(e, X509_REQ_get_subject_name(request), public, e->authority,
                        key ? key : e->key);
        GBytes *bytes = certificates(e, x, ret_format);

        X509_free(x);
        EVP_PKEY_free(public);
        EVP_PKEY_free(key);
        return bytes;
}

/* --- requests --- */

static void describe(cJSON *event, X509_REQ *request, EVP_PKEY *key) {
        char name[256] = "", curve[64] = "";
        int digest = NID_undef;

        X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(request), NID_commonName, name,
                                  sizeof(name));
        (void) EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL);
        (void) OBJ_find_sigid_algs(X509_REQ_get_signature_nid(request), &digest, NULL);
        cJSON_AddStringToObject(event, "subject", name);
        cJSON_AddStringToObject(event, "curve", curve);
        cJSON_AddStringToObject(event, "digest", OBJ_nid2sn(digest));
}

static uint8_t enroll(Est *e, GBytes *body, GBytes **ret, uint32_t *ret_format, cJSON *event) {
        size_t n = 0;
        const uint8_t *at = body ? g_bytes_get_data(body, &n) : NULL;
        X509_REQ *request = n > 0 ? d2i_X509_REQ(NULL, &at, (long) n) : NULL;
        EVP_PKEY *key = request ? X509_REQ_get_pubkey(request) : NULL;
        bool good = key && X509_REQ_verify(request, key) == 1;

        if (good) {
                describe(event, request, key);
                *ret = sign(e, request, ret_format);
        }
        EVP_PKEY_free(key);
        X509_REQ_free(request);
        ERR_clear_error();
        return good ? WIRE_CODE(2, 4) : WIRE_CODE(4, 0);
}

static GBytes *spoil(const Est *e, GBytes *bytes) {
        if (is(e, "garbage") || is(e, "big") || is(e, "empty")) {
                size_t n = is(e, "big") ? 200000 : is(e, "garbage") ? 300 : 0;
                uint8_t *noise = g_malloc0(n + 1);

                memset(noise, 0x30, n);
                g_bytes_unref(bytes);
                return g_bytes_new_take(noise, n);
        }
        return bytes;
}

static uint8_t make_answer(Server *s, const Message *m, const char *what, GBytes *body,
                           GBytes **ret, uint32_t *ret_format, cJSON *event) {
        const bool get = m->code == WIRE_CODE(0, 1), post = m->code == WIRE_CODE(0, 2);
        Est *e = s->est;
        uint32_t accept;
        uint8_t code;

        if (g_str_equal(what, "crts") && get && !is(e, "no-authorities")) {
                STACK_OF(X509) *list = sk_X509_new_null();

                sk_X509_push(list, e->authority);
                *ret = bag(list);
                *ret_format = FORMAT_CERTS;
                sk_X509_free(list);
                return WIRE_CODE(2, 5);
        }
        if (g_str_equal(what, "att") && get && e->attributes) {
                *ret = g_bytes_ref(e->attributes);
                *ret_format = FORMAT_ATTRIBUTES;
                return WIRE_CODE(2, 5);
        }
        if ((!g_str_equal(what, "sen") && !g_str_equal(what, "sren")) || !post)
                return WIRE_CODE(4, 4);
        if (is(e, "single") && message_uint(m, OPTION_ACCEPT, &accept) >= 0 &&
            accept != FORMAT_CERT)
                return WIRE_CODE(4, 6);
        code = enroll(e, body, ret, ret_format, event);
        if (*ret)
                *ret = spoil(e, *ret);
        return code;
}

/* Puts the slice that is asked for into the reply. */
static void slice(Est *e, const Message *m, Reply *reply) {
        uint32_t szx = 5; /* of BLOCK_SIZE */
        size_t n, offset;
        const uint8_t *data = g_bytes_get_data(e->body, &n);
        Block b = { .num = 0 };

        if (message_block(m, OPTION_BLOCK2, &b) >= 0)
                szx = MIN(szx, b.szx);
        offset = (size_t) b.num << (szx + 4);
        if (offset >= n && n > 0) {
                reply->code = WIRE_CODE(4, 2);
                return;
        }
        options_add_uint(reply->options, OPTION_CONTENT_FORMAT, e->format);
        if (n > BLOCK_SIZE || b.num > 0)
                options_add_uint(reply->options, OPTION_BLOCK2,
                                 b.num << 4 | (offset + (16U << szx) < n ? 8U : 0U) | szx);
        else
                szx = 6;
        reply->payload = g_bytes_new(data + offset, MIN(n - offset, 16U << szx));
}

bool est_answer(Server *s, const Address *from, const Message *m, const char *path, GBytes *body,
                Reply *reply, cJSON *event) {
        Est *e = s->est;
        GBytes *whole = NULL;
        Block b;

        if (!e || !g_str_has_prefix(path, e->root))
                return false;
        if (message_block(m, OPTION_BLOCK2, &b) >= 0 && b.num > 0) {
                if (e->body && g_str_equal(e->path, path) && address_equal(&e->to, from)) {
                        reply->code = WIRE_CODE(2, 4);
                        slice(e, m, reply);
                } else
                        reply->code = WIRE_CODE(4, 8);
                return true;
        }
        reply->code = make_answer(s, m, path + strlen(e->root), body, &whole, &e->format, event);
        if (!whole)
                return true;
        g_clear_pointer(&e->body, g_bytes_unref);
        g_free(e->path);
        e->body = whole;
        e->path = g_strdup(path);
        e->to = *from;
        slice(e, m, reply);
        return true;
}
