/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/server_security.h"

#include <errno.h>
#include <string.h>

#include "lwm2m/account/credentials_file.h"

void server_security_clear(ServerSecurity *s) {
        g_clear_pointer(&s->identity, g_bytes_unref);
        g_clear_pointer(&s->oscore_sender_id, g_bytes_unref);
        g_clear_pointer(&s->oscore_recipient_id, g_bytes_unref);
        g_clear_pointer(&s->oscore_salt, g_bytes_unref);
        g_clear_pointer(&s->oscore_id_context, g_bytes_unref);
        g_clear_pointer(&s->suites, g_strfreev);
}

/* A file is referred to by its name; what a descriptor has is kept. */
static int take(const char *what, const char *file, int fd, GBytes **ret, char **ret_error) {
        if (file && fd >= 0) {
                *ret_error = g_strdup_printf("either %s or %s_file, not both", what, what);
                return -EINVAL;
        }
        if (file)
                *ret = credentials_reference(file);
        return fd >= 0 ? credentials_read_fd(fd, what, ret, ret_error) : 0;
}

/* As in a file: text, hex:… or base64:…, perhaps with a new line behind. */
static int take_text(const char *what, const char *file, int fd, GBytes **ret, char **ret_error) {
        g_autoptr(GBytes) content = NULL;
        const char *text;
        gsize n;
        int r;

        r = take(what, file, fd, &content, ret_error);
        if (r < 0 || !content)
                return r;
        if (file) {
                *ret = g_steal_pointer(&content);
                return 0;
        }
        text = g_bytes_get_data(content, &n);
        while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
                n--;
        r = credentials_parse(text, n, ret);
        if (r < 0)
                *ret_error = g_strdup_printf("%s: neither text nor hex:… nor base64:…", what);
        return r;
}

typedef int (*Build)(const CredentialsSpec *spec, const Credentials *base, const char *directory,
                     Credentials **ret, char **ret_error);

static int build(const ServerSecurity *s, Build how, const Credentials *base, const char *directory,
                 Credentials **ret, char **ret_error) {
        g_autoptr(GBytes) psk = NULL, key = NULL, certificate = NULL, trust = NULL, server = NULL,
                          secret = NULL;
        CredentialsSpec spec = { .mode = s->mode,
                                 .identity = s->identity,
                                 .usage = s->usage,
                                 .matching = s->matching,
                                 .sni = s->sni,
                                 .suites = (const char *const *) s->suites,
                                 .oscore = { .sender_id = s->oscore_sender_id,
                                             .recipient_id = s->oscore_recipient_id,
                                             .salt = s->oscore_salt,
                                             .id_context = s->oscore_id_context,
                                             .aead = s->oscore_aead,
                                             .hkdf = s->oscore_hkdf } };
        int r;

        if ((r = take_text("psk", s->psk_file, s->psk, &psk, ret_error)) < 0 ||
            (r = take_text("oscore_secret", s->oscore_secret_file, s->oscore_secret, &secret,
                           ret_error)) < 0 ||
            (r = take("key", s->key_file, s->key, &key, ret_error)) < 0 ||
            (r = take("certificate", s->certificate_file, s->certificate, &certificate,
                      ret_error)) < 0 ||
            (r = take("trust", s->trust_file, s->trust, &trust, ret_error)) < 0 ||
            (r = take("server", s->server_file, s->server, &server, ret_error)) < 0)
                return r;
        if (psk && key) {
                *ret_error = g_strdup("either a pre-shared or a private key, not both");
                return -EINVAL;
        }
        spec.key = psk ? psk : key;
        spec.oscore.secret = secret;
        spec.certificate = certificate;
        spec.trust = trust;
        spec.server = server;
        return how(&spec, base, directory, ret, ret_error);
}

static int build_alone(const CredentialsSpec *spec, const Credentials *base, const char *directory,
                       Credentials **ret, char **ret_error) {
        return credentials_build(spec, directory, ret, ret_error);
}

int server_security_build(const ServerSecurity *s, const char *directory, Credentials **ret,
                          char **ret_error) {
        return build(s, build_alone, NULL, directory, ret, ret_error);
}

int server_security_build_on(const ServerSecurity *s, const Credentials *base,
                             const char *directory, Credentials **ret, char **ret_error) {
        return build(s, credentials_build_on, base, directory, ret, ret_error);
}
