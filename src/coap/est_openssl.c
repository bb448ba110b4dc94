/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/est_openssl.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "coap/material.h"
#include "lwm2m/account/credentials.h"

#define NAME_MAX_BYTES 256u
/* A clock that is a little behind that of the authority. */
#define SKEW_MAX_SEC 600

typedef STACK_OF(X509) Certificates;

static void free_certificates(Certificates *list) {
        sk_X509_pop_free(list, X509_free);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Certificates, free_certificates)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PKCS7, PKCS7_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_ATTRIBUTE, X509_ATTRIBUTE_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_REQ, X509_REQ_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_STORE, X509_STORE_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_STORE_CTX, X509_STORE_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free)

static void free_sequence(ASN1_SEQUENCE_ANY *list) {
        sk_ASN1_TYPE_pop_free(list, ASN1_TYPE_free);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ASN1_SEQUENCE_ANY, free_sequence)

static int complain(char **ret_error, int error, const char *format, ...) G_GNUC_PRINTF(3, 4);
static int complain(char **ret_error, int error, const char *format, ...) {
        va_list ap;

        ERR_clear_error();
        va_start(ap, format);
        *ret_error = g_strdup_vprintf(format, ap);
        va_end(ap);
        return error;
}

/* --- keys and requests --- */

static const struct {
        const char *name;
        int nid;
        unsigned bits;
} curves[] = {
        [EST_P256] = { "P-256", NID_X9_62_prime256v1, 256 },
        [EST_P384] = { "P-384", NID_secp384r1, 384 },
        [EST_P521] = { "P-521", NID_secp521r1, 512 },
};

/* What i2d functions give: taken over, and wiped. */
static GBytes *take_der(uint8_t *der, int n) {
        GBytes *bytes = n > 0 ? credentials_bytes(der, (size_t) n) : NULL;

        if (n > 0)
                OPENSSL_clear_free(der, (size_t) n);
        return bytes;
}

static int make_key(EstCurve curve, GBytes **ret, char **ret_error) {
        g_autoptr(EVP_PKEY) key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curves[curve].name);
        g_autoptr(PKCS8_PRIV_KEY_INFO) info = key ? EVP_PKEY2PKCS8(key) : NULL;
        uint8_t *der = NULL;
        int n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : 0;

        if (n <= 0)
                return complain(ret_error, -EIO, "no key on curve %s can be made",
                                curves[curve].name);
        *ret = take_der(der, n);
        return 0;
}

static unsigned curve_bits(EVP_PKEY *key) {
        char name[64] = "";

        (void) EVP_PKEY_get_group_name(key, name, sizeof(name), NULL);
        for (size_t i = 0; i < G_N_ELEMENTS(curves); i++)
                if (OBJ_txt2nid(name) == curves[i].nid)
                        return curves[i].bits;
        return 256;
}

static const EVP_MD *digest_of(unsigned bits) {
        return bits >= 512 ? EVP_sha512() : bits >= 384 ? EVP_sha384() : EVP_sha256();
}

/* An endpoint name may be longer than the 64 characters that X.520 has for a common name; it is
 * written as it is, for it must be the one of the registration. */
static bool set_subject(X509_REQ *request, const char *common_name) {
        return X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(request), NID_commonName,
                                          V_ASN1_UTF8STRING, (const uint8_t *) common_name, -1, -1,
                                          0) == 1;
}

static int make_request(GBytes *secret, const char *common_name, const EstAttributes *attributes,
                        GBytes **ret, char **ret_error) {
        g_autoptr(EVP_PKEY) key = NULL;
        g_autoptr(X509_REQ) request = X509_REQ_new();
        uint8_t *der = NULL;
        unsigned bits;
        int n, r;

        r = material_private_key(secret, &key, ret_error);
        if (r < 0)
                return r;
        bits = attributes->hash_bits ? attributes->hash_bits : curve_bits(key);
        if (!request || X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
            !set_subject(request, common_name) || X509_REQ_set_pubkey(request, key) != 1 ||
            X509_REQ_sign(request, key, digest_of(bits)) <= 0 ||
            (n = i2d_X509_REQ(request, &der)) <= 0)
                return complain(ret_error, -EIO, "the request for a certificate cannot be made");
        *ret = take_der(der, n);
        return 0;
}

/* --- attributes --- */

static bool take_curve(EstAttributes *a, int nid) {
        for (size_t i = 0; i < G_N_ELEMENTS(curves); i++)
                if (curves[i].nid == nid) {
                        a->has_curve = true;
                        a->curve = (EstCurve) i;
                        return true;
                }
        return false;
}

static bool take_hash(EstAttributes *a, int nid) {
        switch (nid) {
        case NID_ecdsa_with_SHA256:
        case NID_sha256:
                a->hash_bits = 256;
                return true;
        case NID_ecdsa_with_SHA384:
        case NID_sha384:
                a->hash_bits = 384;
                return true;
        case NID_ecdsa_with_SHA512:
        case NID_sha512:
                a->hash_bits = 512;
                return true;
        default:
                return false;
        }
}

/* The kind of key, with the curves that are welcome. */
static bool take_key_kind(EstAttributes *a, X509_ATTRIBUTE *attribute) {
        if (OBJ_obj2nid(X509_ATTRIBUTE_get0_object(attribute)) != NID_X9_62_id_ecPublicKey)
                return false;
        for (int i = 0; i < X509_ATTRIBUTE_count(attribute); i++) {
                const ASN1_TYPE *value = X509_ATTRIBUTE_get0_type(attribute, i);

                if (value && value->type == V_ASN1_OBJECT &&
                    take_curve(a, OBJ_obj2nid(value->value.object)))
                        return true;
        }
        return false;
}

/* One AttrOrOID. -EBADMSG. */
static int take_attribute(EstAttributes *a, const ASN1_TYPE *item) {
        g_autoptr(X509_ATTRIBUTE) attribute = NULL;
        const uint8_t *at;

        if (item->type == V_ASN1_OBJECT) {
                int nid = OBJ_obj2nid(item->value.object);

                if (!take_hash(a, nid) && !take_curve(a, nid) && nid != NID_X9_62_id_ecPublicKey)
                        a->n_ignored++;
                return 0;
        }
        if (item->type != V_ASN1_SEQUENCE)
                return -EBADMSG;
        at = item->value.sequence->data;
        attribute = d2i_X509_ATTRIBUTE(NULL, &at, item->value.sequence->length);
        if (!attribute)
                return -EBADMSG;
        if (!take_key_kind(a, attribute))
                a->n_ignored++;
        return 0;
}

/* Never NULL, which no offset may be added to. */
static const uint8_t *bytes_of(GBytes *body, gsize *ret_n) {
        const uint8_t *bytes = g_bytes_get_data(body, ret_n);

        return bytes ? bytes : (const uint8_t *) "";
}

static int read_attributes(GBytes *body, EstAttributes *ret, char **ret_error) {
        gsize n;
        const uint8_t *at = bytes_of(body, &n), *end = at + n;
        g_autoptr(ASN1_SEQUENCE_ANY) list = d2i_ASN1_SEQUENCE_ANY(NULL, &at, (long) n);
        EstAttributes a = { 0 };

        if (!list || at != end)
                return complain(ret_error, -EBADMSG, "the attributes are not CsrAttrs");
        for (int i = 0; i < sk_ASN1_TYPE_num(list); i++)
                if (take_attribute(&a, sk_ASN1_TYPE_value(list, i)) < 0)
                        return complain(ret_error, -EBADMSG, "the attributes are not CsrAttrs");
        ERR_clear_error();
        *ret = a;
        return 0;
}

/* --- certificates --- */

static Certificates *read_bag(GBytes *body) {
        gsize n;
        const uint8_t *at = bytes_of(body, &n), *end = at + n;
        g_autoptr(PKCS7) p7 = d2i_PKCS7(NULL, &at, (long) n);

        if (!p7 || at != end || !PKCS7_type_is_signed(p7) || !p7->d.sign || !p7->d.sign->cert)
                return NULL;
        return X509_chain_up_ref(p7->d.sign->cert);
}

static Certificates *read_single(GBytes *body) {
        gsize n;
        const uint8_t *at = bytes_of(body, &n), *end = at + n;
        g_autoptr(X509) x = d2i_X509(NULL, &at, (long) n);
        Certificates *list;

        if (!x || at != end)
                return NULL;
        list = sk_X509_new_null();
        if (sk_X509_push(list, x) > 0)
                (void) g_steal_pointer(&x);
        return list;
}

static int read_certificates(GBytes *body, int format, Certificates **ret, char **ret_error) {
        g_autoptr(Certificates) list = NULL;

        if (format != -1 && format != EST_FORMAT_CERTS && format != EST_FORMAT_CERT)
                return complain(ret_error, -EBADMSG,
                                "certificates in content format %d, which is neither %d nor %d",
                                format, EST_FORMAT_CERTS, EST_FORMAT_CERT);
        if (format != EST_FORMAT_CERT)
                list = read_bag(body);
        if (!list && format != EST_FORMAT_CERTS)
                list = read_single(body);
        if (!list || sk_X509_num(list) == 0)
                return complain(ret_error, -EBADMSG, "%s",
                                format == EST_FORMAT_CERT
                                        ? "not a certificate (X.509 in DER)"
                                        : "not a bag of certificates (PKCS#7 in DER)");
        if (sk_X509_num(list) > (int) EST_CERTIFICATES_MAX)
                return complain(ret_error, -E2BIG, "%d certificates, at most %u are taken",
                                sk_X509_num(list), EST_CERTIFICATES_MAX);
        ERR_clear_error();
        *ret = g_steal_pointer(&list);
        return 0;
}

static void add_der(GByteArray *to, X509 *x) {
        uint8_t *der = NULL;
        int n = i2d_X509(x, &der);

        if (n > 0)
                g_byte_array_append(to, der, (guint) n);
        OPENSSL_free(der);
}

/* A common name, or all there is; what a log can take of it. */
static char *name_text(const X509_NAME *name) {
        int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
        g_autoptr(BIO) bio = BIO_new(BIO_s_mem());
        char *data = NULL;
        char *text;
        long n = 0;

        if (at >= 0)
                ASN1_STRING_print_ex(bio, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)),
                                     ASN1_STRFLGS_UTF8_CONVERT);
        else
                X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
        n = BIO_get_mem_data(bio, &data);
        text = g_utf8_make_valid(data ? data : "", MIN(n, (long) NAME_MAX_BYTES));
        for (char *c = text; *c; c++)
                if (g_ascii_iscntrl(*c))
                        *c = '?';
        return text;
}

static char *time_text(int64_t sec) {
        g_autoptr(GDateTime) t = g_date_time_new_from_unix_utc(sec);

        return t ? g_date_time_format(t, "%Y-%m-%dT%H:%M:%SZ") : g_strdup("?");
}

static int read_time(const ASN1_TIME *t, int64_t *ret) {
        struct tm tm;

        if (ASN1_TIME_to_tm(t, &tm) != 1)
                return -EBADMSG;
        *ret = timegm(&tm);
        return 0;
}

static int read_authorities(GBytes *body, int format, GBytes **ret, char **ret_error) {
        g_autoptr(Certificates) list = NULL;
        GByteArray *der;
        int r;

        r = read_certificates(body, format, &list, ret_error);
        if (r < 0)
                return r;
        for (int i = 0; i < sk_X509_num(list); i++)
                if (X509_check_ca(sk_X509_value(list, i)) < 1) {
                        g_autofree char *name =
                                name_text(X509_get_subject_name(sk_X509_value(list, i)));

                        return complain(ret_error, -EKEYREJECTED,
                                        "'%s' among the authorities is none (no CA certificate)",
                                        name);
                }
        der = g_byte_array_new();
        for (int i = 0; i < sk_X509_num(list); i++)
                add_der(der, sk_X509_value(list, i));
        *ret = g_byte_array_free_to_bytes(der);
        return 0;
}

static X509 *find_ours(Certificates *list, EVP_PKEY *key) {
        for (int i = 0; i < sk_X509_num(list); i++)
                if (X509_check_private_key(sk_X509_value(list, i), key) == 1)
                        return sk_X509_value(list, i);
        return NULL;
}

static X509_STORE *make_store(GBytes *authorities, char **ret_error) {
        X509_STORE *store = X509_STORE_new();
        Certificates *list = NULL;

        if (material_certificates(authorities, &list, ret_error) < 0) {
                X509_STORE_free(store);
                return NULL;
        }
        for (int i = 0; i < sk_X509_num(list); i++)
                X509_STORE_add_cert(store, sk_X509_value(list, i));
        sk_X509_pop_free(list, X509_free);
        return store;
}

/* Whether it is that of a TLS client, issued by the authorities; an intermediate one of them is as
 * good as a root. */
static int verify(const EstAnswer *answer, X509 *ours, Certificates *list,
                  const EstCertificate *dates, Certificates **ret_chain, char **ret_error) {
        g_autoptr(X509_STORE) store = make_store(answer->authorities, ret_error);
        g_autoptr(X509_STORE_CTX) context = X509_STORE_CTX_new();
        X509_VERIFY_PARAM *param;
        int64_t at = answer->now_sec;
        int e;

        if (!store)
                return -EBADMSG;
        if (!context || X509_STORE_CTX_init(context, store, ours, list) != 1)
                return complain(ret_error, -EIO, "the certificate cannot be verified");
        if (dates->not_before_sec > at && dates->not_before_sec - at <= SKEW_MAX_SEC)
                at = dates->not_before_sec;
        param = X509_STORE_CTX_get0_param(context);
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
        X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT);
        if (answer->ignore_dates) /* which a time that is set would overrule */
                X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME);
        else
                X509_VERIFY_PARAM_set_time(param, (time_t) at);
        if (X509_verify_cert(context) == 1) {
                *ret_chain = X509_STORE_CTX_get1_chain(context);
                return 0;
        }
        e = X509_STORE_CTX_get_error(context);
        if (e == X509_V_ERR_CERT_HAS_EXPIRED || e == X509_V_ERR_CERT_NOT_YET_VALID) {
                g_autofree char *from = time_text(dates->not_before_sec),
                                *to = time_text(dates->not_after_sec);

                return complain(ret_error, -EKEYEXPIRED,
                                "the certificate is not valid now, but from %s to %s", from, to);
        }
        return complain(ret_error, -EKEYREJECTED,
                        "the certificate is not one of the EST server's authorities: %s",
                        X509_verify_cert_error_string(e));
}

/* With what is between it and the trust anchor, which the other side has (object 0, resource 3). */
static GBytes *chain_der(const Certificates *chain) {
        GByteArray *der = g_byte_array_new();

        for (int i = 0; i < sk_X509_num(chain); i++) {
                X509 *x = sk_X509_value(chain, i);

                if (i == 0 || (X509_get_extension_flags(x) & EXFLAG_SS) == 0)
                        add_der(der, x);
        }
        return g_byte_array_free_to_bytes(der);
}

static int read_certificate(const EstAnswer *answer, EstCertificate **ret, char **ret_error) {
        g_autoptr(EstCertificate) c = g_new0(EstCertificate, 1);
        g_autoptr(Certificates) list = NULL, chain = NULL;
        g_autoptr(EVP_PKEY) key = NULL;
        X509 *ours;
        int r;

        r = read_certificates(answer->body, answer->format, &list, ret_error);
        if (r >= 0)
                r = material_private_key(answer->key, &key, ret_error);
        if (r < 0)
                return r;
        ours = find_ours(list, key);
        if (!ours)
                return complain(ret_error, -EKEYREJECTED,
                                "the certificate is for another key than ours");
        if (read_time(X509_get0_notBefore(ours), &c->not_before_sec) < 0 ||
            read_time(X509_get0_notAfter(ours), &c->not_after_sec) < 0)
                return complain(ret_error, -EBADMSG, "the certificate has no dates");
        r = verify(answer, ours, list, c, &chain, ret_error);
        if (r < 0)
                return r;
        c->chain = chain_der(chain);
        c->subject = name_text(X509_get_subject_name(ours));
        c->issuer = name_text(X509_get_issuer_name(ours));
        ERR_clear_error();
        *ret = g_steal_pointer(&c);
        return 0;
}

const EstCryptoOps est_openssl_ops = {
        .make_key = make_key,
        .make_request = make_request,
        .read_attributes = read_attributes,
        .read_authorities = read_authorities,
        .read_certificate = read_certificate,
};
