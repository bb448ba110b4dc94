/* SPDX-License-Identifier: Apache-2.0 */
#include "pki.h"

#include <glib/gstdio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct Pki {
        char *folder;
        GPtrArray *paths;
        long serial;
};

Pki *pki_new(void) {
        Pki *p = g_new0(Pki, 1);

        p->folder = g_dir_make_tmp("lwm2md-pki-XXXXXX", NULL);
        g_assert_nonnull(p->folder);
        p->paths = g_ptr_array_new_with_free_func(g_free);
        return p;
}

Pki *pki_free(Pki *p) {
        GDir *dir;
        const char *name;

        if (!p)
                return NULL;
        dir = g_dir_open(p->folder, 0, NULL);
        while ((name = g_dir_read_name(dir))) {
                g_autofree char *path = g_build_filename(p->folder, name, NULL);

                g_unlink(path);
        }
        g_dir_close(dir);
        g_rmdir(p->folder);
        g_ptr_array_unref(p->paths);
        g_free(p->folder);
        g_free(p);
        return NULL;
}

const char *pki_folder(const Pki *p) {
        return p->folder;
}

const char *pki_path(Pki *p, const char *file) {
        g_ptr_array_add(p->paths, g_build_filename(p->folder, file, NULL));
        return g_ptr_array_index(p->paths, p->paths->len - 1);
}

static FILE *open_file(Pki *p, const char *name, const char *end, const char *mode) {
        g_autofree char *file = g_strconcat(name, end, NULL);
        FILE *f = fopen(pki_path(p, file), mode);

        g_assert_nonnull(f);
        return f;
}

static EVP_PKEY *make_key(Pki *p, const char *name) {
        EVP_PKEY *key = EVP_EC_gen("P-256");
        FILE *f = open_file(p, name, ".key", "w");

        fchmod(fileno(f), 0600);
        PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
        fclose(f);
        f = open_file(p, name, ".pub", "w");
        PEM_write_PUBKEY(f, key);
        fclose(f);
        return key;
}

static void add_extension(X509 *x, int nid, const char *value) {
        X509V3_CTX context;
        X509_EXTENSION *e;

        X509V3_set_ctx(&context, x, x, NULL, NULL, 0);
        e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
        g_assert_nonnull(e);
        X509_add_ext(x, e, -1);
        X509_EXTENSION_free(e);
}

static void sign(Pki *p, X509 *x, const PkiWish *w, EVP_PKEY *own) {
        EVP_PKEY *key;
        X509 *issuer;
        FILE *f;

        if (!w->issuer) {
                X509_set_issuer_name(x, X509_get_subject_name(x));
                X509_sign(x, own, EVP_sha256());
                return;
        }
        f = open_file(p, w->issuer, ".pem", "r");
        issuer = PEM_read_X509(f, NULL, NULL, NULL);
        fclose(f);
        f = open_file(p, w->issuer, ".key", "r");
        key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
        fclose(f);
        X509_set_issuer_name(x, X509_get_subject_name(issuer));
        X509_sign(x, key, EVP_sha256());
        EVP_PKEY_free(key);
        X509_free(issuer);
}

void pki_issue(Pki *p, const PkiWish *w) {
        EVP_PKEY *key = make_key(p, w->name);
        X509 *x = X509_new();
        FILE *f;

        X509_set_version(x, X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(x), ++p->serial);
        X509_gmtime_adj(X509_getm_notBefore(x), w->from_sec ? w->from_sec : -1800);
        X509_gmtime_adj(X509_getm_notAfter(x), w->to_sec ? w->to_sec : 1800);
        X509_set_pubkey(x, key);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                                   (const unsigned char *) w->subject, -1, -1, 0);
        add_extension(x, NID_basic_constraints, w->authority ? "critical,CA:TRUE" : "CA:FALSE");
        if (w->alt)
                add_extension(x, NID_subject_alt_name, w->alt);
        sign(p, x, w, key);
        f = open_file(p, w->name, ".pem", "w");
        PEM_write_X509(f, x);
        fclose(f);
        X509_free(x);
        EVP_PKEY_free(key);
}

GBytes *pki_read(Pki *p, const char *file) {
        char *text;
        gsize n;

        g_assert_true(g_file_get_contents(pki_path(p, file), &text, &n, NULL));
        return g_bytes_new_take(text, n);
}

GBytes *pki_der(Pki *p, const char *file) {
        FILE *f = fopen(pki_path(p, file), "r");
        char *name, *header;
        unsigned char *data;
        GBytes *bytes;
        long n;

        g_assert_nonnull(f);
        g_assert_true(PEM_read(f, &name, &header, &data, &n) == 1);
        fclose(f);
        bytes = g_bytes_new(data, (gsize) n);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(data);
        return bytes;
}

GBytes *pki_digest(Pki *p, const char *file, const char *algorithm) {
        g_autoptr(GBytes) der = pki_der(p, file);
        unsigned char digest[EVP_MAX_MD_SIZE];
        size_t length = 0;
        gsize n;
        const void *data = g_bytes_get_data(der, &n);

        g_assert_true(EVP_Q_digest(NULL, algorithm, NULL, data, n, digest, &length) == 1);
        return g_bytes_new(digest, length);
}
