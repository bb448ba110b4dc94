/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, requests and what an EST server answers, by OpenSSL: good answers, and those of servers
 * that are broken or mean harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <string.h>
#include <time.h>

#include "coap/est_openssl.h"
#include "coap/material.h"
#include "lwm2m/account/credentials.h"
#include "pki.h"

static const EstCryptoOps *const ops = &est_openssl_ops;
static Pki *pki;

/* root -> middle -> device, and others */
static int set_up(void **state) {
        const PkiWish wishes[] = {
                { .name = "root", .subject = "Root", .authority = true },
                { .name = "middle", .issuer = "root", .subject = "Middle", .authority = true },
                { .name = "device", .issuer = "middle", .subject = "urn:dev:1" },
                { .name = "direct", .issuer = "root", .subject = "urn:dev:1" },
                { .name = "stranger", .subject = "Stranger", .authority = true },
                { .name = "strange", .issuer = "stranger", .subject = "urn:dev:1" },
                { .name = "old",
                  .issuer = "root",
                  .subject = "a",
                  .from_sec = -900,
                  .to_sec = -60 },
                { .name = "young",
                  .issuer = "root",
                  .subject = "a",
                  .from_sec = 1200,
                  .to_sec = 1500 },
                { .name = "ahead",
                  .issuer = "root",
                  .subject = "a",
                  .from_sec = 300,
                  .to_sec = 1500 },
                { .name = "self", .subject = "urn:dev:1" },
                { .name = "odd", .issuer = "root", .subject = "a\nb\x1b[31m" },
        };

        pki = pki_new();
        for (size_t i = 0; i < G_N_ELEMENTS(wishes); i++)
                pki_issue(pki, &wishes[i]);
        return 0;
}

static int tear_down(void **state) {
        pki_free(pki);
        return 0;
}

static X509 *certificate(const char *name) {
        g_autofree char *file = g_strconcat(name, ".pem", NULL);
        FILE *f = fopen(pki_path(pki, file), "r");
        X509 *x = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

        assert_non_null(x);
        fclose(f);
        return x;
}

static GBytes *private_key(const char *name) {
        g_autofree char *file = g_strconcat(name, ".key", NULL);

        return pki_read(pki, file);
}

static GBytes *single(const char *name) {
        g_autofree char *file = g_strconcat(name, ".pem", NULL);

        return pki_der(pki, file);
}

/* A bag of "name name …", as application/pkcs7-mime has it. */
static GBytes *bag(const char *names) {
        g_auto(GStrv) list = g_strsplit(names, " ", -1);
        PKCS7 *p7 = PKCS7_new();
        uint8_t *der = NULL;
        GBytes *bytes;
        int n;

        PKCS7_set_type(p7, NID_pkcs7_signed);
        PKCS7_content_new(p7, NID_pkcs7_data);
        PKCS7_set_detached(p7, 1);
        for (char **name = list; *name; name++)
                if (**name) {
                        X509 *x = certificate(*name);

                        PKCS7_add_certificate(p7, x);
                        X509_free(x);
                }
        n = i2d_PKCS7(p7, &der);
        bytes = g_bytes_new(der, (gsize) n);
        OPENSSL_free(der);
        PKCS7_free(p7);
        return bytes;
}

static int count(GBytes *der) {
        STACK_OF(X509) *list = NULL;
        g_autofree char *error = NULL;
        int n;

        assert_int_equal(material_certificates(der, &list, &error), 0);
        n = sk_X509_num(list);
        sk_X509_pop_free(list, X509_free);
        return n;
}

/* --- requests --- */

static void check_request(GBytes *der, const char *name, int curve, int digest) {
        gsize n;
        const uint8_t *at = g_bytes_get_data(der, &n);
        X509_REQ *request = d2i_X509_REQ(NULL, &at, (long) n);
        char text[300] = "", group[64] = "";
        EVP_PKEY *key;
        int md = NID_undef;

        assert_non_null(request);
        key = X509_REQ_get_pubkey(request);
        assert_int_equal(X509_REQ_verify(request, key), 1);
        X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(request), NID_commonName, text,
                                  sizeof(text));
        assert_string_equal(text, name);
        assert_int_equal(EVP_PKEY_get_group_name(key, group, sizeof(group), NULL), 1);
        assert_int_equal(OBJ_txt2nid(group), curve);
        OBJ_find_sigid_algs(X509_REQ_get_signature_nid(request), &md, NULL);
        assert_int_equal(md, digest);
        EVP_PKEY_free(key);
        X509_REQ_free(request);
}

static void test_requests(void **state) {
        static const struct {
                EstCurve curve;
                unsigned hash_bits;
                int nid, digest;
        } cases[] = {
                { EST_P256, 0, NID_X9_62_prime256v1, NID_sha256 },
                { EST_P384, 0, NID_secp384r1, NID_sha384 },
                { EST_P521, 0, NID_secp521r1, NID_sha512 },
                { EST_P256, 512, NID_X9_62_prime256v1, NID_sha512 },
                { EST_P521, 256, NID_secp521r1, NID_sha256 },
        };
        g_autofree char *long_name = g_strnfill(255, 'n'); /* past what X.520 has */
        const char *names[] = { "urn:dev:1", "Gerät", long_name };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
                for (size_t k = 0; k < G_N_ELEMENTS(names); k++) {
                        const EstAttributes a = { .hash_bits = cases[i].hash_bits };
                        g_autoptr(GBytes) key = NULL, request = NULL;
                        g_autofree char *error = NULL;

                        assert_int_equal(ops->make_key(cases[i].curve, &key, &error), 0);
                        assert_int_equal(ops->make_request(key, names[k], &a, &request, &error), 0);
                        check_request(request, names[k], cases[i].nid, cases[i].digest);
                }
}

static void test_keys_differ(void **state) {
        g_autoptr(GBytes) a = NULL, b = NULL;
        g_autofree char *error = NULL;

        assert_int_equal(ops->make_key(EST_P256, &a, &error), 0);
        assert_int_equal(ops->make_key(EST_P256, &b, &error), 0);
        assert_false(g_bytes_equal(a, b));
}

/* --- attributes --- */

static int attributes(const char *hex, EstAttributes *ret) {
        gsize n = strlen(hex) / 2;
        g_autofree uint8_t *bytes = g_malloc(n + 1);
        g_autoptr(GBytes) body = NULL;
        g_autofree char *error = NULL;
        int r;

        for (gsize i = 0; i < n; i++)
                bytes[i] = (uint8_t) (g_ascii_xdigit_value(hex[2 * i]) << 4 |
                                      g_ascii_xdigit_value(hex[2 * i + 1]));
        body = g_bytes_new(bytes, n);
        r = ops->read_attributes(body, ret, &error);
        assert_true((r < 0) == (error != NULL));
        return r;
}

#define ATTRIBUTES                                                                                 \
        "3029"                                                                                     \
        "301206072a8648ce3d0201310706052b81040022"                                                 \
        "06082a8648ce3d040303"                                                                     \
        "06092a864886f70d010907"

static void test_attributes(void **state) {
        EstAttributes a = { 0 };

        assert_int_equal(attributes("3000", &a), 0);
        assert_false(a.has_curve || a.hash_bits || a.n_ignored);
        assert_int_equal(attributes(ATTRIBUTES, &a), 0);
        assert_true(a.has_curve && a.curve == EST_P384);
        assert_int_equal(a.hash_bits, 384);
        assert_int_equal(a.n_ignored, 1);
        /* A kind of key and a curve that nobody here knows: as if nothing was said. */
        assert_int_equal(attributes("300b06092a864886f70d010101", &a), 0);
        assert_false(a.has_curve);
        assert_int_equal(a.n_ignored, 1);
        assert_int_equal(attributes("3014301206072a8648ce3d0201310706052b81040021", &a), 0);
        assert_false(a.has_curve);
        /* A curve alone, in place of an attribute. */
        assert_int_equal(attributes("300706052b81040023", &a), 0);
        assert_true(a.has_curve && a.curve == EST_P521);
}

static void test_bad_attributes(void **state) {
        static const char *const bad[] = {
                "",           "30",
                "3001",       "300000",
                "0500",       "30020500",
                "30023000",   "300430020500",
                "3003020101", "300506032a0304ff",
                "3080",       ATTRIBUTES "00",
        };
        EstAttributes a = { .n_ignored = 77 };

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                if (attributes(bad[i], &a) != -EBADMSG)
                        fail_msg("'%s' was taken", bad[i]);
        for (size_t n = 0; n < strlen(ATTRIBUTES); n += 2) {
                g_autofree char *cut = g_strndup(ATTRIBUTES, n);

                assert_int_equal(attributes(cut, &a), -EBADMSG);
        }
        assert_int_equal(a.n_ignored, 77); /* nothing has changed */
}

/* --- authorities --- */

static int authorities(GBytes *body, int format, int *ret_n) {
        g_autofree char *error = NULL;
        GBytes *der = NULL;
        int r;

        r = ops->read_authorities(body, format, &der, &error);
        assert_true((r < 0) == (error != NULL) && (r < 0) == (der == NULL));
        assert_int_equal(ERR_peek_error(), 0);
        if (der)
                *ret_n = count(der);
        g_clear_pointer(&der, g_bytes_unref);
        return r;
}

static void test_authorities(void **state) {
        g_autoptr(GBytes) both = bag("root middle"), root = single("root"), none = bag("");
        g_autoptr(GBytes) mixed = bag("root device"), leaf = single("device");
        g_autoptr(GBytes) many = bag("root root root root root root root root "
                                     "root root root root root root root root root");
        int n = 0;

        assert_int_equal(authorities(both, EST_FORMAT_CERTS, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(authorities(both, -1, &n), 0);
        assert_int_equal(authorities(root, EST_FORMAT_CERT, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(authorities(root, -1, &n), 0);
        assert_int_equal(authorities(root, EST_FORMAT_CERTS, &n), -EBADMSG);
        assert_int_equal(authorities(both, EST_FORMAT_CERT, &n), -EBADMSG);
        assert_int_equal(authorities(both, 60, &n), -EBADMSG);
        assert_int_equal(authorities(none, EST_FORMAT_CERTS, &n), -EBADMSG);
        assert_int_equal(authorities(mixed, EST_FORMAT_CERTS, &n), -EKEYREJECTED);
        assert_int_equal(authorities(leaf, EST_FORMAT_CERT, &n), -EKEYREJECTED);
        assert_int_equal(authorities(many, EST_FORMAT_CERTS, &n), -E2BIG);
}

static void test_cut_and_garbled(void **state) {
        g_autoptr(GBytes) body = bag("root middle");
        gsize n;
        const uint8_t *data = g_bytes_get_data(body, &n);
        int found = 0;

        for (gsize i = 0; i < n; i++) {
                g_autoptr(GBytes) cut = g_bytes_new(data, i);

                assert_int_equal(authorities(cut, EST_FORMAT_CERTS, &found), -EBADMSG);
        }
        for (gsize i = 0; i < n; i++) { /* whatever it says, it says it */
                g_autofree uint8_t *copy = g_memdup2(data, n + 0);
                g_autoptr(GBytes) garbled = NULL;

                copy[i] ^= 0x81;
                garbled = g_bytes_new(copy, n);
                (void) authorities(garbled, -1, &found);
        }
}

/* --- certificates --- */

typedef struct Case {
        const char *bag, *key, *authorities;
        int error;
        const char *text; /* part of the error's */
} Case;

static int take(GBytes *body, int format, const Case *c, bool ignore_dates, int64_t now_sec,
                EstCertificate **ret, char **ret_error) {
        g_autoptr(GBytes) key = private_key(c->key), trust = bag(c->authorities), der = NULL;
        EstAnswer answer = { .body = body,
                             .format = format,
                             .key = key,
                             .now_sec = now_sec,
                             .ignore_dates = ignore_dates };

        assert_int_equal(ops->read_authorities(trust, EST_FORMAT_CERTS, &der, ret_error), 0);
        answer.authorities = der;
        return ops->read_certificate(&answer, ret, ret_error);
}

static void test_certificates(void **state) {
        static const Case cases[] = {
                { "direct", "direct", "root", 0, "" },
                { "device middle", "device", "root", 0, "" },
                { "middle device", "device", "root", 0, "" }, /* in any order */
                { "device", "device", "root middle", 0, "" },
                { "device", "device", "middle", 0, "" }, /* that is trusted itself */
                { "device middle root", "device", "root", 0, "" },
                { "ahead", "ahead", "root", 0, "" }, /* our clock is behind */
                { "device", "device", "root", -EKEYREJECTED, "unable to get" },
                { "direct", "device", "root", -EKEYREJECTED, "another key" },
                { "root", "device", "root", -EKEYREJECTED, "another key" },
                { "strange", "strange", "root", -EKEYREJECTED, "authorities" },
                { "strange stranger", "strange", "root", -EKEYREJECTED, "authorities" },
                { "self", "self", "root", -EKEYREJECTED, "authorities" },
                { "old", "old", "root", -EKEYEXPIRED, "not valid now" },
                { "young", "young", "root", -EKEYEXPIRED, "not valid now" },
                { "", "device", "root", -EBADMSG, "not a bag" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GBytes) body = bag(cases[i].bag);
                g_autoptr(EstCertificate) c = NULL;
                g_autofree char *error = NULL;
                int r;

                r = take(body, EST_FORMAT_CERTS, &cases[i], false, time(NULL), &c, &error);
                if (r != cases[i].error || (r < 0 && !strstr(error, cases[i].text)))
                        fail_msg("'%s' by '%s': %d, %s", cases[i].bag, cases[i].authorities, r,
                                 error);
                assert_true((r < 0) == (c == NULL));
                assert_int_equal(ERR_peek_error(), 0);
        }
}

static void test_what_is_kept(void **state) {
        static const Case way = { "device middle root", "device", "root", 0, "" };
        g_autoptr(GBytes) body = bag(way.bag), ours = single("device");
        g_autoptr(EstCertificate) c = NULL;
        g_autofree char *error = NULL;
        gsize n;
        const void *data = g_bytes_get_data(ours, &n);

        assert_int_equal(take(body, EST_FORMAT_CERTS, &way, false, time(NULL), &c, &error), 0);
        assert_int_equal(count(c->chain), 2); /* the trust anchor is not sent along */
        assert_memory_equal(g_bytes_get_data(c->chain, NULL), data, n);
        assert_string_equal(c->subject, "urn:dev:1");
        assert_string_equal(c->issuer, "Middle");
        assert_in_range((uint64_t) (time(NULL) - c->not_before_sec), 1700, 1900);
        assert_in_range((uint64_t) (c->not_after_sec - time(NULL)), 1700, 1900);
}

static void test_without_a_clock(void **state) {
        static const Case ways[] = { { "old", "old", "root", 0, "" },
                                     { "young", "young", "root", 0, "" } };

        for (size_t i = 0; i < G_N_ELEMENTS(ways); i++) {
                g_autoptr(GBytes) body = bag(ways[i].bag);
                g_autoptr(EstCertificate) c = NULL;
                g_autofree char *error = NULL;

                assert_int_equal(take(body, -1, &ways[i], true, 1000, &c, &error), 0);
        }
}

static void test_single(void **state) {
        static const Case way = { "direct", "direct", "root", 0, "" };
        g_autoptr(GBytes) body = single("direct");
        g_autoptr(EstCertificate) c = NULL;
        g_autofree char *error = NULL;

        assert_int_equal(take(body, EST_FORMAT_CERT, &way, false, time(NULL), &c, &error), 0);
        assert_int_equal(count(c->chain), 1);
}

/* Names come into logs and onto terminals. */
static void test_odd_name(void **state) {
        static const Case way = { "odd", "odd", "root", 0, "" };
        g_autoptr(GBytes) body = bag("odd");
        g_autoptr(EstCertificate) c = NULL;
        g_autofree char *error = NULL;

        assert_int_equal(take(body, EST_FORMAT_CERTS, &way, false, time(NULL), &c, &error), 0);
        assert_string_equal(c->subject, "a?b?[31m");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_requests),        cmocka_unit_test(test_keys_differ),
                cmocka_unit_test(test_attributes),      cmocka_unit_test(test_bad_attributes),
                cmocka_unit_test(test_authorities),     cmocka_unit_test(test_cut_and_garbled),
                cmocka_unit_test(test_certificates),    cmocka_unit_test(test_what_is_kept),
                cmocka_unit_test(test_without_a_clock), cmocka_unit_test(test_single),
                cmocka_unit_test(test_odd_name),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
