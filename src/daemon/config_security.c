/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config_security.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "lwm2m/account/credentials_file.h"

static const struct {
        const char *name;
        size_t offset;
} keys[] = {
        { "SecurityMode", offsetof(SecurityTexts, mode) },
        { "Identity", offsetof(SecurityTexts, identity) },
        { "Key", offsetof(SecurityTexts, key) },
        { "KeyFile", offsetof(SecurityTexts, key_file) },
        { "CertificateFile", offsetof(SecurityTexts, certificate_file) },
        { "TrustFile", offsetof(SecurityTexts, trust_file) },
        { "ServerFile", offsetof(SecurityTexts, server_file) },
        { "CertificateUsage", offsetof(SecurityTexts, usage) },
        { "MatchingType", offsetof(SecurityTexts, matching) },
        { "Sni", offsetof(SecurityTexts, sni) },
        { "CipherSuites", offsetof(SecurityTexts, suites) },
        { "OscoreSenderId", offsetof(SecurityTexts, oscore_sender_id) },
        { "OscoreRecipientId", offsetof(SecurityTexts, oscore_recipient_id) },
        { "OscoreSecret", offsetof(SecurityTexts, oscore_secret) },
        { "OscoreSecretFile", offsetof(SecurityTexts, oscore_secret_file) },
        { "OscoreSalt", offsetof(SecurityTexts, oscore_salt) },
        { "OscoreIdContext", offsetof(SecurityTexts, oscore_id_context) },
        { "OscoreAead", offsetof(SecurityTexts, oscore_aead) },
        { "OscoreHkdf", offsetof(SecurityTexts, oscore_hkdf) },
};

static char **field(SecurityTexts *t, size_t i) {
        return (char **) (void *) ((char *) t + keys[i].offset);
}

static void wipe(char **text) {
        if (*text)
                explicit_bzero(*text, strlen(*text));
        g_clear_pointer(text, g_free);
}

int config_security_set(SecurityTexts *t, const char *name, const char *text) {
        for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
                if (strcmp(keys[i].name, name) == 0) {
                        wipe(field(t, i));
                        *field(t, i) = g_strdup(text);
                        return 0;
                }
        return -ENOENT;
}

void config_security_clear(SecurityTexts *t) {
        for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
                wipe(field(t, i));
}

static int parse_bytes(const char *key, const char *text, GBytes **ret, char **ret_error) {
        if (!text)
                return 0;
        if (credentials_parse(text, strlen(text), ret) >= 0)
                return 0;
        *ret_error = g_strdup_printf("%s: neither text nor hex:… nor base64:…", key);
        return -EINVAL;
}

typedef struct OscoreBytes {
        GBytes *sender_id, *recipient_id, *secret, *salt, *id_context;
} OscoreBytes;

static void oscore_bytes_clear(OscoreBytes *b) {
        g_clear_pointer(&b->sender_id, g_bytes_unref);
        g_clear_pointer(&b->recipient_id, g_bytes_unref);
        g_clear_pointer(&b->secret, g_bytes_unref);
        g_clear_pointer(&b->salt, g_bytes_unref);
        g_clear_pointer(&b->id_context, g_bytes_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(OscoreBytes, oscore_bytes_clear)

static int read_oscore(const SecurityTexts *t, OscoreBytes *b, OscoreSpec *ret, char **ret_error) {
        if (t->oscore_secret && t->oscore_secret_file) {
                *ret_error = g_strdup(
                        "OscoreSecretFile: either OscoreSecret or OscoreSecretFile, not both");
                return -EINVAL;
        }
        if (parse_bytes("OscoreSenderId", t->oscore_sender_id, &b->sender_id, ret_error) < 0 ||
            parse_bytes("OscoreRecipientId", t->oscore_recipient_id, &b->recipient_id, ret_error) <
                    0 ||
            parse_bytes("OscoreSecret", t->oscore_secret, &b->secret, ret_error) < 0 ||
            parse_bytes("OscoreSalt", t->oscore_salt, &b->salt, ret_error) < 0 ||
            parse_bytes("OscoreIdContext", t->oscore_id_context, &b->id_context, ret_error) < 0)
                return -EINVAL;
        if (t->oscore_secret_file)
                b->secret = credentials_reference(t->oscore_secret_file);
        *ret = (OscoreSpec){ .sender_id = b->sender_id,
                             .recipient_id = b->recipient_id,
                             .secret = b->secret,
                             .salt = b->salt,
                             .id_context = b->id_context,
                             .aead = t->oscore_aead,
                             .hkdf = t->oscore_hkdf };
        return 0;
}

/* --- keys that are nothing without each other --- */

static bool is_mode(const SecurityTexts *t, const char *mode) {
        return g_strcmp0(t->mode, mode) == 0;
}

/* The first of these keys that is there: where the mistake is. */
static const char *first_given(const SecurityTexts *t, const char *from, const char *to) {
        bool on = false;

        for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
                on = on || strcmp(keys[i].name, from) == 0;
                if (on && *field((SecurityTexts *) t, i))
                        return keys[i].name;
                if (strcmp(keys[i].name, to) == 0)
                        break;
        }
        return "SecurityMode";
}

static int lacks(char **ret_error, const char *key, const char *what) {
        *ret_error = g_strdup_printf("%s: needs %s beside it", key, what);
        return -ENOKEY;
}

static int check_oscore(const SecurityTexts *t, char **ret_error) {
        const char *first = first_given(t, "OscoreSenderId", "OscoreHkdf");

        if (strcmp(first, "SecurityMode") == 0)
                return 0;
        if (!t->oscore_sender_id)
                return lacks(ret_error, first, "OscoreSenderId");
        if (!t->oscore_recipient_id)
                return lacks(ret_error, first, "OscoreRecipientId");
        return t->oscore_secret || t->oscore_secret_file
                       ? 0
                       : lacks(ret_error, first, "OscoreSecretFile or OscoreSecret");
}

/* What the account as a whole must have is said again behind this (credentials_check()), there by
 * the numbers of its resources, for it may come from anywhere. */
static int check_partners(const SecurityTexts *t, char **ret_error) {
        const bool psk = t->mode ? is_mode(t, "psk")
                                 : !t->certificate_file && (t->identity || t->key || t->key_file);
        const bool own =
                t->mode ? is_mode(t, "x509") || is_mode(t, "rpk") : t->certificate_file != NULL;
        const char *first = first_given(t, "SecurityMode", "ServerFile");

        if (g_strcmp0(t->key_file, CREDENTIALS_AWAITED) == 0)
                return 0;
        if (psk && !t->identity)
                return lacks(ret_error, first, "Identity");
        if (psk && !t->key && !t->key_file)
                return lacks(ret_error, first, "KeyFile or Key");
        if (own && !t->certificate_file)
                return lacks(ret_error, first, "CertificateFile");
        if (own && !t->key && !t->key_file)
                return lacks(ret_error, first, "KeyFile");
        if (own && !t->trust_file && !t->server_file)
                return lacks(ret_error, first, "TrustFile or ServerFile");
        return check_oscore(t, ret_error);
}

/* The account names a key by its resource, "0/x/5: …", or by what it is. */
static char *name_key(const SecurityTexts *t, const char *error) {
        static const char *const kinds[][2] = { { "pre-shared key: ", "KeyFile: " },
                                                { "OSCORE Master Secret: ",
                                                  "OscoreSecretFile: " } };
        static const char prefix[] = "0/x/";
        const char *key = NULL, *rest;

        for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
                if (g_str_has_prefix(error, kinds[i][0]))
                        return g_strconcat(kinds[i][1], error + strlen(kinds[i][0]), NULL);
        if (!g_str_has_prefix(error, prefix) || !(rest = strstr(error, ": ")))
                return g_strdup(error);
        switch (error[strlen(prefix)]) {
        case '3':
                key = t->certificate_file ? "CertificateFile" : "Identity";
                break;
        case '4':
                key = t->trust_file ? "TrustFile" : "ServerFile";
                break;
        case '5':
                key = t->key_file ? "KeyFile" : "Key";
                break;
        default:
                return g_strdup(error);
        }
        return g_strconcat(key, rest, NULL);
}

int config_security_build(const SecurityTexts *t, const char *directory, Credentials **ret,
                          char **ret_error) {
        g_autoptr(GBytes) identity = NULL, key = NULL;
        g_autoptr(GBytes) certificate =
                t->certificate_file ? credentials_reference(t->certificate_file) : NULL;
        g_autoptr(GBytes) trust = t->trust_file ? credentials_reference(t->trust_file) : NULL;
        g_autoptr(GBytes) server = t->server_file ? credentials_reference(t->server_file) : NULL;
        g_auto(OscoreBytes) oscore = { NULL };
        g_auto(GStrv) suites = t->suites ? g_strsplit(t->suites, ";", -1) : NULL;
        CredentialsSpec spec = { .mode = t->mode,
                                 .certificate = certificate,
                                 .trust = trust,
                                 .server = server,
                                 .usage = t->usage,
                                 .matching = t->matching,
                                 .sni = t->sni,
                                 .suites = (const char *const *) suites };
        int r;

        if (t->key && t->key_file) {
                *ret_error = g_strdup("KeyFile: either Key or KeyFile, not both");
                return -EINVAL;
        }
        r = check_partners(t, ret_error);
        if (r < 0)
                return r;
        if (parse_bytes("Identity", t->identity, &identity, ret_error) < 0 ||
            parse_bytes("Key", t->key, &key, ret_error) < 0)
                return -EINVAL;
        if (read_oscore(t, &oscore, &spec.oscore, ret_error) < 0)
                return -EINVAL;
        if (t->key_file)
                key = credentials_reference(t->key_file);
        spec.identity = identity;
        spec.key = key;
        return credentials_build(&spec, directory, ret, ret_error);
}

char *config_security_explain(const SecurityTexts *t, const ConfigWhere *where, const char *group,
                              const char *error) {
        g_autofree char *text = name_key(t, error);

        return config_where_text(where, group, text);
}

char **config_security_providers(const char *text) {
        g_auto(GStrv) words = text ? g_strsplit_set(text, ";, ", -1) : NULL;
        g_autoptr(GPtrArray) names = NULL;

        if (!words)
                return NULL;
        names = g_ptr_array_new_with_free_func(g_free);
        for (size_t i = 0; words[i]; i++)
                if (*words[i])
                        g_ptr_array_add(names, g_strdup(words[i]));
        g_ptr_array_add(names, NULL);
        return (char **) g_ptr_array_steal(names, NULL);
}

/* A name, not a path: OpenSSL looks for it in its own folder of modules. */
char *config_security_check(const char *name, const char *text) {
        g_auto(GStrv) names =
                strcmp(name, "Providers") == 0 ? config_security_providers(text) : NULL;

        for (size_t i = 0; names && names[i]; i++)
                if (strspn(names[i], G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_-") !=
                    strlen(names[i]))
                        return g_strdup_printf("'%s' is not the name of a provider of OpenSSL "
                                               "(pkcs11, tpm2, ...)",
                                               names[i]);
        if (strcmp(name, "Pkcs11Module") == 0 && !g_path_is_absolute(text))
                return g_strdup_printf("'%s' is not a path that begins with /", text);
        return NULL;
}
