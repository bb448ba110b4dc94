/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/material.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

#include "lwm2m/credentials.h"
#include "util/cleanup.h"

#define PEM_BEGIN "-----BEGIN "

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509, X509_free)

/* --- files --- */

static int bad_file(char **ret_error, int error, const char *name, const char *why) {
        *ret_error = g_strdup_printf("'%s': %s", name, why);
        return error;
}

static int read_fd(int fd, const char *name, size_t size, GBytes **ret, char **ret_error) {
        g_autofree uint8_t *buffer = g_malloc(size + 1);
        size_t n = 0;

        while (n < size) {
                ssize_t got = read(fd, buffer + n, size - n);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return bad_file(ret_error, -errno, name, g_strerror(errno));
                if (got == 0)
                        break;
                n += (size_t) got;
        }
        *ret = credentials_bytes(buffer, n);
        explicit_bzero(buffer, size);
        return 0;
}

static int read_file(const char *name, bool secret, GBytes **ret, char **ret_error) {
        autoclose int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return bad_file(ret_error, -errno, name, g_strerror(errno));
        if (!S_ISREG(st.st_mode))
                return bad_file(ret_error, -EINVAL, name, "not a regular file");
        if (st.st_size > (off_t) CREDENTIALS_BYTES_MAX)
                return bad_file(ret_error, -EFBIG, name, "too large for a key or certificate");
        if (secret && st.st_mode & 07)
                return bad_file(ret_error, -EPERM, name,
                                "open to all users of this device (chmod o= takes that away)");
        return read_fd(fd, name, (size_t) st.st_size, ret, ret_error);
}

int material_read(GBytes *value, const char *directory, bool secret, GBytes **ret,
                  char **ret_error) {
        const size_t n_prefix = strlen(CREDENTIALS_REFERENCE);
        g_autofree char *name = NULL, *path = NULL;
        gsize n;
        const char *data = g_bytes_get_data(value, &n);

        if (n <= n_prefix || memcmp(data, CREDENTIALS_REFERENCE, n_prefix) != 0) {
                *ret = g_bytes_ref(value);
                return 0;
        }
        name = g_strndup(data + n_prefix, n - n_prefix);
        if (strlen(name) != n - n_prefix || n > PATH_MAX)
                return bad_file(ret_error, -EINVAL, "file:", "not a file name");
        if (name[0] == '/')
                return read_file(name, secret, ret, ret_error);
        if (!directory || strchr(name, '/') || name[0] == '.')
                return bad_file(ret_error, -EINVAL, name,
                                "neither an absolute path nor a name in the folder of secrets");
        path = g_build_filename(directory, name, NULL);
        return read_file(path, secret, ret, ret_error);
}

/* --- parsing --- */

static bool is_pem(GBytes *bytes) {
        gsize n;
        const char *data = g_bytes_get_data(bytes, &n);

        return data && memmem(data, n, PEM_BEGIN, strlen(PEM_BEGIN));
}

static BIO *bio_of(GBytes *bytes) {
        gsize n;
        const void *data = g_bytes_get_data(bytes, &n);

        return BIO_new_mem_buf(data, (int) n);
}

/* Never asks for a passphrase: nobody is there to answer. */
static int no_passphrase(char *buffer, int size, int writing, void *userdata) {
        return -1;
}

static int complain(char **ret_error, const char *text) {
        ERR_clear_error();
        *ret_error = g_strdup(text);
        return -EINVAL;
}

static X509 *next_der(const uint8_t **at, const uint8_t *end) {
        return *at < end ? d2i_X509(NULL, at, end - *at) : NULL;
}

int material_certificates(GBytes *bytes, STACK_OF(X509) * *ret, char **ret_error) {
        STACK_OF(X509) *list = sk_X509_new_null();
        g_autoptr(BIO) bio = bio_of(bytes);
        const bool pem = is_pem(bytes);
        gsize n;
        const uint8_t *at = g_bytes_get_data(bytes, &n), *end = at + n;
        X509 *x;

        ERR_clear_error();
        while ((x = pem ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : next_der(&at, end))) {
                if (sk_X509_num(list) >= (int) MATERIAL_CERTIFICATES_MAX ||
                    sk_X509_push(list, x) <= 0) {
                        X509_free(x);
                        sk_X509_pop_free(list, X509_free);
                        return complain(ret_error, "too many certificates");
                }
        }
        if (sk_X509_num(list) == 0 ||
            (pem ? ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE : at != end)) {
                sk_X509_pop_free(list, X509_free);
                return complain(ret_error, "not a certificate (X.509, DER or PEM)");
        }
        ERR_clear_error();
        *ret = list;
        return 0;
}

int material_private_key(GBytes *bytes, EVP_PKEY **ret, char **ret_error) {
        gsize n;
        const uint8_t *at = g_bytes_get_data(bytes, &n);
        EVP_PKEY *key;

        if (is_pem(bytes)) {
                g_autoptr(BIO) bio = bio_of(bytes);

                key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
        } else
                key = d2i_AutoPrivateKey(NULL, &at, (long) n);
        if (!key)
                return complain(ret_error, "not a private key (PKCS#8, SEC 1 or PKCS#1, DER or "
                                           "PEM, without passphrase)");
        *ret = key;
        return 0;
}

int material_public_key(GBytes *bytes, EVP_PKEY **ret, char **ret_error) {
        gsize n;
        const uint8_t *at = g_bytes_get_data(bytes, &n), *der = at;
        g_autoptr(X509) x = NULL;
        EVP_PKEY *key;

        if (is_pem(bytes)) {
                g_autoptr(BIO) bio = bio_of(bytes), again = bio_of(bytes);

                key = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
                x = key ? NULL : PEM_read_bio_X509(again, NULL, no_passphrase, NULL);
        } else {
                key = d2i_PUBKEY(NULL, &at, (long) n);
                x = key ? NULL : d2i_X509(NULL, &der, (long) n);
        }
        if (x)
                key = X509_get_pubkey(x);
        if (!key)
                return complain(ret_error, "not a public key (SubjectPublicKeyInfo, DER or PEM)");
        ERR_clear_error();
        *ret = key;
        return 0;
}
