/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/account/credentials_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lwm2m/account/cipher_suite.h"
#include "lwm2m/account/oscore_keys.h"
#include "util/cleanup.h"
#include "util/complain.h"

/* --- files --- */

static int bad_file(char **ret_error, int error, const char *name, const char *why) {
        *ret_error = g_strdup_printf("'%s': %s", name, why);
        return error;
}

static int read_whole(int fd, const char *name, size_t size, GBytes **ret, char **ret_error) {
        g_autofree uint8_t *buffer = g_malloc(size + 1);
        size_t n = 0;

        while (n < size) {
                ssize_t got = pread(fd, buffer + n, size - n, (off_t) n);

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

int credentials_read_fd(int fd, const char *name, GBytes **ret, char **ret_error) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return bad_file(ret_error, -errno, name, g_strerror(errno));
        if (!S_ISREG(st.st_mode))
                return bad_file(ret_error, -EINVAL, name, "not a regular file");
        if (st.st_size > (off_t) CREDENTIALS_BYTES_MAX)
                return bad_file(ret_error, -EFBIG, name, "too large for a key or certificate");
        return read_whole(fd, name, (size_t) st.st_size, ret, ret_error);
}

static int read_file(const char *name, bool secret, GBytes **ret, char **ret_error) {
        /* A pipe or device does not hold us up. */
        autoclose int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return bad_file(ret_error, -errno, name, g_strerror(errno));
        if (secret && S_ISREG(st.st_mode) && st.st_mode & 07)
                return bad_file(ret_error, -EPERM, name,
                                "open to all users of this device (chmod o= takes that away)");
        return credentials_read_fd(fd, name, ret, ret_error);
}

static bool is_reference(GBytes *value) {
        gsize n;
        const char *data = g_bytes_get_data(value, &n);

        return n > strlen(CREDENTIALS_REFERENCE) &&
               memcmp(data, CREDENTIALS_REFERENCE, strlen(CREDENTIALS_REFERENCE)) == 0;
}

int credentials_read(GBytes *value, const char *directory, bool secret, GBytes **ret,
                     char **ret_error) {
        const size_t n_prefix = strlen(CREDENTIALS_REFERENCE);
        g_autofree char *name = NULL, *path = NULL;
        gsize n;
        const char *data = g_bytes_get_data(value, &n);

        if (!is_reference(value)) {
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

GBytes *credentials_reference(const char *name) {
        const char *prefix = g_str_has_prefix(name, CREDENTIALS_STORE) ? ""
                             : strcmp(name, CREDENTIALS_AWAITED) == 0  ? ""
                             : g_str_has_prefix(name, "pkcs11:")       ? CREDENTIALS_STORE
                                                                       : CREDENTIALS_REFERENCE;
        g_autofree char *text = g_strconcat(prefix, name, NULL);
        GBytes *bytes = credentials_bytes(text, strlen(text));

        explicit_bzero(text, strlen(text)); /* a URI may have a PIN */
        return bytes;
}

/* --- what an owner gives --- */

static void put(GBytes **where, GBytes *bytes) {
        if (!bytes)
                return;
        g_bytes_unref(*where);
        *where = g_bytes_ref(bytes);
}

static int find_mode(const CredentialsSpec *spec, int64_t *ret, char **ret_error) {
        if (!spec->mode) {
                *ret = spec->certificate             ? SECURITY_MODE_X509
                       : spec->identity || spec->key ? SECURITY_MODE_PSK
                                                     : SECURITY_MODE_NOSEC;
                return 0;
        }
        if (credentials_mode_parse(spec->mode, ret) >= 0)
                return 0;
        return complain(ret_error, -EINVAL,
                        "'%s' is no security mode (nosec, psk, rpk, x509 or est)", spec->mode);
}

static int find_word(const char *word, const char *const *words, const char *what, uint8_t *ret,
                     char **ret_error) {
        g_autofree char *known = NULL;

        for (uint8_t i = 0; words[i]; i++)
                if (strcmp(words[i], word) == 0) {
                        *ret = i;
                        return 0;
                }
        known = g_strjoinv(", ", (char **) words);
        return complain(ret_error, -EINVAL, "'%s' is no %s (%s)", word, what, known);
}

static int build_numbers(const CredentialsSpec *spec, Credentials *c, char **ret_error) {
        static const char *const usages[] = { "ca", "service", "anchor", "domain", NULL };
        static const char *const matchings[] = { "exact", "sha256", "sha384", "sha512", NULL };
        int r = 0;

        c->usage = spec->trust ? USAGE_TRUST_ANCHOR : USAGE_DOMAIN_ISSUED;
        if (spec->usage)
                r = find_word(spec->usage, usages, "certificate usage", &c->usage, ret_error);
        if (r >= 0 && spec->matching)
                r = find_word(spec->matching, matchings, "matching type", &c->matching, ret_error);
        for (const char *const *name = spec->suites; r >= 0 && name && *name; name++) {
                const CipherSuite *suite = cipher_suite_by_name(*name);

                if (!suite)
                        r = complain(ret_error, -EINVAL, "'%s' is no cipher suite this version has",
                                     *name);
                else if (c->n_suites >= CREDENTIALS_SUITES_MAX)
                        r = complain(ret_error, -EINVAL, "more than %u cipher suites",
                                     CREDENTIALS_SUITES_MAX);
                else
                        c->suites[c->n_suites++] = suite->number;
        }
        return r;
}

/* The text of a file, which an editor has ended with a new line; or the key itself. */
static int read_text_key(GBytes *key, const char *what, const char *directory, GBytes **where,
                         char **ret_error) {
        g_autofree char *uri = key ? credentials_store_uri(key) : NULL, *why = NULL;
        g_autoptr(GBytes) file = NULL, parsed = NULL;
        const char *text;
        gsize n;
        int r;

        if (uri)
                return complain(ret_error, -EINVAL,
                                "a pre-shared key cannot be left in a store: OpenSSL wants its "
                                "bytes");
        if (!key || !is_reference(key)) {
                put(where, key);
                return 0;
        }
        r = credentials_read(key, directory, true, &file, &why);
        if (r < 0)
                return complain(ret_error, r, "%s: %s", what, why);
        text = g_bytes_get_data(file, &n);
        while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
                n--;
        r = credentials_parse(text, n, &parsed);
        if (r < 0)
                return complain(ret_error, r,
                                "%s: what the file has is neither text nor hex:… nor base64:…",
                                what);
        put(where, parsed);
        return 0;
}

/* --- OSCORE --- */

static bool has_oscore(const OscoreSpec *s) {
        return s->sender_id || s->recipient_id || s->secret || s->salt || s->id_context ||
               s->aead || s->hkdf;
}

static int build_algorithms(const OscoreSpec *s, OscoreKeys *k, char **ret_error) {
        const OscoreAead *aead = s->aead ? oscore_aead_by_name(s->aead) : oscore_aead(k->aead);

        if (!aead)
                return complain(ret_error, -EINVAL,
                                "'%s' is no OSCORE AEAD algorithm this version has "
                                "(AES-CCM-16-64-128, A128GCM, ...)",
                                s->aead);
        if (s->hkdf && oscore_hkdf_parse(s->hkdf, &k->hkdf) < 0)
                return complain(ret_error, -EINVAL,
                                "'%s' is no OSCORE key derivation this version has "
                                "(HKDF-SHA-256, HKDF-SHA-512)",
                                s->hkdf);
        k->aead = aead->number;
        return 0;
}

static int build_oscore(const OscoreSpec *s, const char *directory, OscoreKeys **ret,
                        char **ret_error) {
        g_autoptr(OscoreKeys) k = oscore_keys_new();
        int r;

        if (!has_oscore(s))
                return 0;
        if (!s->sender_id || !s->recipient_id || !s->secret)
                return complain(ret_error, -ENOKEY,
                                "OSCORE needs a Sender ID, a Recipient ID and a Master Secret");
        r = build_algorithms(s, k, ret_error);
        if (r < 0)
                return r;
        put(&k->sender_id, s->sender_id);
        put(&k->recipient_id, s->recipient_id);
        put(&k->salt, s->salt);
        put(&k->id_context, s->id_context);
        r = read_text_key(s->secret, "OSCORE Master Secret", directory, &k->secret, ret_error);
        if (r >= 0)
                r = oscore_keys_check(k, ret_error);
        if (r >= 0)
                *ret = g_steal_pointer(&k);
        return r;
}

static bool is_empty(const CredentialsSpec *s) {
        return !s->mode && !s->identity && !s->key && !s->certificate && !s->trust && !s->server &&
               !s->usage && !s->matching && !s->sni && !s->suites && !has_oscore(&s->oscore);
}

static bool is_nothing(GBytes *bytes) {
        return g_bytes_get_size(bytes) == 0;
}

/* What the spec leaves open is as it was; keys of another mode say nothing of OSCORE. */
static void complete(Credentials *c, const CredentialsSpec *spec, const Credentials *base) {
        if (!c->oscore)
                c->oscore = oscore_keys_copy(base->oscore);
        if (c->mode != base->mode)
                return;
        if (is_nothing(c->identity))
                put(&c->identity, base->identity);
        if (is_nothing(c->secret) && !credentials_are_awaited(base))
                put(&c->secret, base->secret);
        if (is_nothing(c->peer)) {
                put(&c->peer, base->peer);
                c->usage = spec->usage ? c->usage : base->usage;
                c->matching = spec->matching ? c->matching : base->matching;
        }
        if (!c->sni)
                c->sni = g_strdup(base->sni);
        if (c->n_suites == 0) {
                c->n_suites = base->n_suites;
                memcpy(c->suites, base->suites, sizeof(c->suites));
        }
}

int credentials_build(const CredentialsSpec *spec, const char *directory, Credentials **ret,
                      char **ret_error) {
        if (!is_empty(spec))
                return credentials_build_on(spec, NULL, directory, ret, ret_error);
        *ret = NULL;
        return 0;
}

int credentials_build_on(const CredentialsSpec *spec, const Credentials *base,
                         const char *directory, Credentials **ret, char **ret_error) {
        g_autoptr(Credentials) c = credentials_new(SECURITY_MODE_NOSEC);
        int r;

        r = find_mode(spec, &c->mode, ret_error);
        if (r < 0)
                return r;
        if (base && !spec->mode)
                c->mode = base->mode;
        if (c->mode == SECURITY_MODE_NOSEC &&
            (spec->identity || spec->key || spec->certificate || spec->trust || spec->server))
                return complain(ret_error, -EINVAL,
                                "keys are given, but the security mode is "
                                "nosec");
        if (c->mode == SECURITY_MODE_EST && (spec->identity || spec->key || spec->certificate))
                return complain(ret_error, -EINVAL,
                                "keys are given, but in mode est they are made here and enrolled");
        if (spec->trust && spec->server)
                return complain(ret_error, -EINVAL,
                                "either the server's own certificate or an authority, not both");
        r = build_numbers(spec, c, ret_error);
        if (r < 0)
                return r;
        put(&c->identity, c->mode == SECURITY_MODE_PSK ? spec->identity : spec->certificate);
        put(&c->peer, spec->trust ? spec->trust : spec->server);
        c->sni = g_strdup(spec->sni);
        if (c->mode == SECURITY_MODE_PSK)
                r = read_text_key(spec->key, "pre-shared key", directory, &c->secret, ret_error);
        else
                put(&c->secret, spec->key);
        if (r >= 0)
                r = build_oscore(&spec->oscore, directory, &c->oscore, ret_error);
        if (r >= 0 && base)
                complete(c, spec, base);
        if (r >= 0 && c->mode != SECURITY_MODE_NOSEC)
                r = credentials_check(c, true, ret_error);
        if (r >= 0)
                *ret = g_steal_pointer(&c);
        return r;
}
