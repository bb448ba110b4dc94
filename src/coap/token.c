/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/token.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "coap/material.h"
#include "coap/token_key.h"
#include "lwm2m/account/credentials_file.h"
#include "util/complain.h"
#include "util/timerq.h"

#define LOAD_WAIT_USEC (20 * USEC_PER_SEC)
#define PIN_MAX 512u
#define REFUSED_MAX 64u /* PINs that are remembered as refused */

/* The owner's providers, and the library context they are in. */
typedef struct Providers {
        OSSL_LIB_CTX *context;
        GPtrArray *loaded; /* OSSL_PROVIDER */
} Providers;

struct Token {
        pthread_mutex_t mutex;
        pthread_cond_t free;
        unsigned n_refs;
        bool busy;
        GPtrArray *keys; /* TokenKey; those without reference are freed by who leaves */
        char **providers, *pin_file, *secrets_directory;

        /* The rest is for who has entered. */
        Providers *wrappers; /* of token_key_wrap() */
        Providers *current;  /* NULL until everything is loaded */
        GPtrArray *former;   /* Providers that keys are still from */
        UI_METHOD *ui;
        GHashTable *refused; /* digests of URI and PIN */
        GHashTable *worked;  /* digests of PINs */
};

/* One URI, and the PIN for it; what became of the provider's question. */
typedef struct Asking {
        Token *token;
        char *uri, *name; /* for the provider, and for people: without what is behind a '?' */
        char *pin_file;   /* where the PIN is; NULL: none is given */
        char *pin, *error;
        bool opened; /* a provider knows such URIs */
        bool asked, answered;
} Asking;

char *token_take_error(void) {
        const char *data = NULL, *reason;
        unsigned long e, first = 0;
        g_autofree char *more = NULL;
        int flags = 0;

        /* The first one is the provider's, the others say what could not be done for it. */
        while ((e = ERR_get_error_all(NULL, NULL, NULL, &data, &flags))) {
                if (!first)
                        first = e;
                if (!more && data && *data && flags & ERR_TXT_STRING)
                        more = g_strdup(data);
        }
        if (!first)
                return NULL;
        reason = ERR_reason_error_string(first);
        if (!reason && !more)
                return g_strdup_printf("error %lx", first);
        return g_strdup_printf("%s%s%s%s", reason ? reason : "", reason && more ? " (" : "",
                               more ? more : "", reason && more ? ")" : "");
}

/* --- life --- */

static int on_pin(char *buffer, int size, int writing, void *userdata);

Token *token_new(const TokenConfig *config) {
        Token *t = g_new0(Token, 1);
        pthread_condattr_t attributes;

        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&t->free, &attributes);
        pthread_condattr_destroy(&attributes);
        pthread_mutex_init(&t->mutex, NULL);
        t->n_refs = 1;
        t->providers = config ? g_strdupv((char **) config->providers) : NULL;
        t->pin_file = config ? g_strdup(config->pin_file) : NULL;
        t->secrets_directory = config ? g_strdup(config->secrets_directory) : NULL;
        t->keys = g_ptr_array_new();
        t->former = g_ptr_array_new();
        t->refused = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        t->worked = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        return t;
}

Token *token_ref(Token *t) {
        pthread_mutex_lock(&t->mutex);
        t->n_refs++;
        pthread_mutex_unlock(&t->mutex);
        return t;
}

static Providers *providers_free(Providers *p) {
        if (!p)
                return NULL;
        while (p->loaded->len > 0)
                OSSL_PROVIDER_unload(g_ptr_array_steal_index(p->loaded, p->loaded->len - 1));
        g_ptr_array_unref(p->loaded);
        OPENSSL_thread_stop_ex(p->context);
        OSSL_LIB_CTX_free(p->context);
        g_free(p);
        return NULL;
}

static void key_free(TokenKey *k) {
        EVP_PKEY_free(k->key);
        g_free(k->uri);
        g_free(k->properties);
        g_free(k);
}

static bool is_from(const Token *t, const Providers *p) {
        for (guint i = 0; i < t->keys->len; i++)
                if (((const TokenKey *) t->keys->pdata[i])->context == p->context)
                        return true;
        return false;
}

/* Keys that nobody has any more, and then providers without keys. By who has entered. */
static void free_unused(Token *t) {
        for (guint i = t->keys->len; i-- > 0;)
                if (((const TokenKey *) t->keys->pdata[i])->n_refs == 0)
                        key_free(g_ptr_array_steal_index_fast(t->keys, i));
        for (guint i = t->former->len; i-- > 0;)
                if (!is_from(t, t->former->pdata[i]))
                        providers_free(g_ptr_array_steal_index_fast(t->former, i));
}

Token *token_unref(Token *t) {
        unsigned n;

        if (!t)
                return NULL;
        pthread_mutex_lock(&t->mutex);
        n = --t->n_refs;
        pthread_mutex_unlock(&t->mutex);
        if (n > 0)
                return NULL;
        free_unused(t);
        g_ptr_array_unref(t->keys);
        g_ptr_array_unref(t->former);
        providers_free(t->current);
        providers_free(t->wrappers);
        UI_destroy_method(t->ui);
        g_hash_table_unref(t->refused);
        g_hash_table_unref(t->worked);
        pthread_cond_destroy(&t->free);
        pthread_mutex_destroy(&t->mutex);
        g_strfreev(t->providers);
        g_free(t->pin_file);
        g_free(t->secrets_directory);
        g_free(t);
        return NULL;
}

void token_keys_clear(TokenKeys *k) {
        k->credentials = credentials_free(k->credentials);
        EVP_PKEY_free(k->key);
        k->key = NULL;
}

bool token_enter(Token *t, uint64_t usec) {
        struct timespec until;
        int r = 0;

        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += (time_t) (usec / USEC_PER_SEC);
        pthread_mutex_lock(&t->mutex);
        while (t->busy && r == 0)
                r = pthread_cond_timedwait(&t->free, &t->mutex, &until);
        if (!t->busy)
                r = 0;
        if (r == 0)
                t->busy = true;
        pthread_mutex_unlock(&t->mutex);
        return r == 0;
}

/* The lock is held while keys are freed, for a moment: else one could be found that is about to go.
 */
void token_leave(Token *t) {
        pthread_mutex_lock(&t->mutex);
        free_unused(t);
        t->busy = false;
        pthread_cond_signal(&t->free);
        pthread_mutex_unlock(&t->mutex);
}

/* --- keys --- */

TokenKey *token_key_ref(TokenKey *k) {
        pthread_mutex_lock(&k->token->mutex);
        k->n_refs++;
        pthread_mutex_unlock(&k->token->mutex);
        return k;
}

/* Its provider may ask the token when a key goes, and need not know threads: it is freed by whoever
 * is using the token now. */
void token_key_unref(TokenKey *k) {
        Token *t = k->token;
        bool leave;

        pthread_mutex_lock(&t->mutex);
        leave = --k->n_refs == 0 && !t->busy;
        t->busy = t->busy || leave;
        pthread_mutex_unlock(&t->mutex);
        if (leave)
                token_leave(t);
}

static TokenKey *key_new(Token *t, const char *uri, EVP_PKEY *key) {
        const OSSL_PROVIDER *provider = EVP_PKEY_get0_provider(key);
        TokenKey *k = g_new0(TokenKey, 1);

        EVP_PKEY_up_ref(key);
        *k = (TokenKey){ .token = t,
                         .context = t->current->context,
                         .key = key,
                         .uri = g_strdup(uri),
                         .n_refs = 1 };
        if (provider)
                k->properties = g_strdup_printf("?provider=%s", OSSL_PROVIDER_get0_name(provider));
        pthread_mutex_lock(&t->mutex);
        g_ptr_array_add(t->keys, k);
        pthread_mutex_unlock(&t->mutex);
        return k;
}

/* One that is in use: two of one handle of a TPM are the same to its library, and go together. */
static TokenKey *key_find(Token *t, const char *uri) {
        TokenKey *found = NULL;

        pthread_mutex_lock(&t->mutex);
        for (guint i = 0; i < t->keys->len && !found; i++) {
                TokenKey *k = t->keys->pdata[i];

                if (strcmp(k->uri, uri) == 0 && k->context == t->current->context)
                        found = k;
        }
        if (found)
                found->n_refs++;
        pthread_mutex_unlock(&t->mutex);
        return found;
}

/* --- providers --- */

static int load_provider(Providers *p, const char *name, char **ret_error) {
        OSSL_PROVIDER *provider = OSSL_PROVIDER_load(p->context, name);
        g_autofree char *why = NULL;

        if (provider) {
                g_ptr_array_add(p->loaded, provider);
                return 0;
        }
        why = token_take_error();
        return complain(ret_error, -ENOPKG, "OpenSSL's provider '%s' cannot be loaded: %s", name,
                        why ? why : "no reason given");
}

static Providers *providers_new(void) {
        Providers *p = g_new0(Providers, 1);

        p->loaded = g_ptr_array_new();
        p->context = OSSL_LIB_CTX_new();
        return p;
}

/* A raw public key is written by the encoders of its key's context: the usual ones are there. */
static int load_wrappers(Token *t, char **ret_error) {
        Providers *p = providers_new();
        OSSL_PROVIDER *wrapper = token_key_provider(p->context);

        if (wrapper)
                g_ptr_array_add(p->loaded, wrapper);
        if (!wrapper || load_provider(p, "default", ret_error) < 0) {
                providers_free(p);
                return wrapper ? -ENOPKG : complain(ret_error, -ENOMEM, "OpenSSL cannot be set up");
        }
        t->wrappers = p;
        return 0;
}

static int prepare(Token *t, char **ret_error) {
        if (!t->ui)
                t->ui = UI_UTIL_wrap_read_pem_callback(on_pin, 0);
        if (!t->ui)
                return complain(ret_error, -ENOMEM, "OpenSSL cannot be set up");
        return t->wrappers ? 0 : load_wrappers(t, ret_error);
}

/* All or none: what was missing, the daemon of a TPM perhaps, may be there the next time. */
static int load_providers(Token *t, char **ret_error) {
        Providers *p;
        int r;

        if (t->current)
                return 0;
        r = prepare(t, ret_error);
        if (r < 0)
                return r;
        p = providers_new();
        /* First the usual one: it has the digests, and the PEM that others' keys come in. */
        r = load_provider(p, "default", ret_error);
        for (size_t i = 0; r >= 0 && t->providers && t->providers[i]; i++)
                r = load_provider(p, t->providers[i], ret_error);
        t->current = r >= 0 ? p : providers_free(p);
        return r;
}

/* The token was pulled or started again: its provider may not get over that. */
static int reload_providers(Token *t, char **ret_error) {
        g_ptr_array_add(t->former, g_steal_pointer(&t->current));
        return load_providers(t, ret_error);
}

/* --- the PIN --- */

static void asking_clear(Asking *a) {
        if (a->pin)
                explicit_bzero(a->pin, strlen(a->pin));
        g_clear_pointer(&a->pin, g_free);
        g_clear_pointer(&a->uri, g_free);
        g_clear_pointer(&a->name, g_free);
        g_clear_pointer(&a->pin_file, g_free);
        g_clear_pointer(&a->error, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Asking, asking_clear)

/* pin-source=FILE behind the '?' (RFC 7512, section 2.4), perhaps with file: before it, is for us:
 * what the providers make of it differs. A PIN itself has no place in a URI. */
static int take_pin_source(const char *item, Asking *a, char **ret_error) {
        const char *from = item + strlen("pin-source=");
        g_autofree char *file = g_uri_unescape_string(from, NULL);

        if (g_str_has_prefix(item, "pin-value="))
                return complain(ret_error, -EINVAL,
                                "'%s': a PIN in the URI (pin-value) is not taken, only the name "
                                "of its file (pin-source)",
                                a->name);
        if (!file || !*file)
                return complain(ret_error, -EINVAL, "'%s': pin-source is not a file", a->name);
        g_free(a->pin_file);
        a->pin_file = g_strdup(g_str_has_prefix(file, "file://") ? file + strlen("file://")
                               : g_str_has_prefix(file, "file:") ? file + strlen("file:")
                                                                 : file);
        return 0;
}

static int asking_init(Asking *a, Token *t, const char *uri, char **ret_error) {
        const size_t n = strcspn(uri, "?");
        g_auto(GStrv) items = g_strsplit(uri[n] ? uri + n + 1 : "", "&", -1);
        g_autoptr(GString) left = g_string_new_len(uri, (gssize) n);
        char before = '?';
        int r = 0;

        *a = (Asking){ .token = t };
        a->name = g_strndup(uri, n);
        a->pin_file = g_strdup(t->pin_file);
        for (size_t i = 0; items[i] && r >= 0; i++) {
                if (g_str_has_prefix(items[i], "pin-source=") ||
                    g_str_has_prefix(items[i], "pin-value=")) {
                        r = take_pin_source(items[i], a, ret_error);
                        continue;
                }
                g_string_append_printf(left, "%c%s", before, items[i]);
                before = '&';
        }
        a->uri = g_strdup(left->str);
        return r;
}

static int read_pin(Asking *a) {
        g_autoptr(GBytes) name = NULL, file = NULL;
        const char *text;
        gsize n;
        int r;

        if (a->pin)
                return 0;
        if (!a->pin_file)
                return -ENOKEY;
        g_clear_pointer(&a->error, g_free);
        name = credentials_reference(a->pin_file);
        r = credentials_read(name, a->token->secrets_directory, true, &file, &a->error);
        if (r < 0)
                return r;
        text = g_bytes_get_data(file, &n); /* ends with a zero byte */
        n = strcspn(text, "\r\n");
        if (n == 0 || n > PIN_MAX)
                return complain(&a->error, -EINVAL, "'%s' begins with no PIN of 1 to %u characters",
                                a->pin_file, PIN_MAX);
        a->pin = g_strndup(text, n);
        return 0;
}

static char *digest_of(const char *uri, const char *pin) {
        g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);

        g_checksum_update(sum, (const guchar *) uri, -1);
        g_checksum_update(sum, (const guchar *) "\n", 1);
        g_checksum_update(sum, (const guchar *) pin, -1);
        return g_strdup(g_checksum_get_string(sum));
}

/* Of UI_METHOD: the PIN into buffer. Its length, or -1: there is none. */
static int on_pin(char *buffer, int size, int writing, void *userdata) {
        Asking *a = userdata;
        size_t n;

        a->asked = true;
        if (writing || read_pin(a) < 0)
                return -1;
        n = strlen(a->pin);
        if (n > (size_t) size)
                return -1;
        memcpy(buffer, a->pin, n);
        a->answered = true;
        return (int) n;
}

/* --- looking --- */

typedef struct Found {
        GPtrArray *list; /* OSSL_STORE_INFO of the type wanted */
        bool any;        /* or others */
} Found;

static void found_clear(Found *f) {
        g_clear_pointer(&f->list, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Found, found_clear)

static int look(Asking *a, int type, Found *ret) {
        const Token *t = a->token;
        OSSL_STORE_CTX *s;
        OSSL_STORE_INFO *info;

        ERR_clear_error();
        ret->list = g_ptr_array_new_with_free_func((GDestroyNotify) OSSL_STORE_INFO_free);
        s = OSSL_STORE_open_ex(a->uri, t->current->context, NULL, t->ui, a, NULL, NULL, NULL);
        if (!s)
                return -ENOENT;
        a->opened = true;
        if (type)
                (void) OSSL_STORE_expect(s, type);
        while (ret->list->len < MATERIAL_CERTIFICATES_MAX && !OSSL_STORE_eof(s)) {
                info = OSSL_STORE_load(s);
                if (!info)
                        break; /* its error is in the queue, if there is any */
                ret->any = true;
                if (!type || OSSL_STORE_INFO_get_type(info) == type)
                        g_ptr_array_add(ret->list, info);
                else
                        OSSL_STORE_INFO_free(info);
        }
        (void) OSSL_STORE_close(s);
        return ret->list->len > 0 ? 0 : -ENOENT;
}

/* A URI of PKCS#11 with nothing but what is said of the token, or without the type of the object.
 */
static char *reduce(const char *uri, bool token_only) {
        static const char *const of_token[] = { "token=", "manufacturer=", "serial=",
                                                "model=", "slot-id=",      "slot-description=",
                                                NULL };
        g_auto(GStrv) attributes = g_strsplit(uri + strlen("pkcs11:"), ";", -1);
        GString *s = g_string_new("pkcs11:");
        bool first = true;

        for (size_t i = 0; attributes[i]; i++) {
                bool is_token = false;

                for (size_t k = 0; of_token[k]; k++)
                        is_token = is_token || g_str_has_prefix(attributes[i], of_token[k]);
                if (token_only ? !is_token : g_str_has_prefix(attributes[i], "type="))
                        continue;
                g_string_append_printf(s, "%s%s", first ? "" : ";", attributes[i]);
                first = false;
        }
        return g_string_free(s, FALSE);
}

/* The providers for PKCS#11 do not say why there is nothing. What can be seen without a PIN tells
 * more: the certificate or public key beside a private one, and anything at all of the token. */
static bool is_seen(const Asking *of, bool token_only) {
        g_auto(Asking) a = { .token = of->token, .uri = reduce(of->name, token_only) };
        g_auto(Found) f = { 0 };

        (void) look(&a, 0, &f);
        ERR_clear_error();
        return f.any || (token_only && a.asked);
}

static void remember_pin(const Asking *a, bool worked) {
        Token *t = a->token;

        if (!a->answered)
                return;
        if (g_hash_table_size(t->refused) >= REFUSED_MAX)
                g_hash_table_remove_all(t->refused);
        g_hash_table_add(worked ? t->worked : t->refused, digest_of(worked ? "" : a->uri, a->pin));
}

static bool has_worked(const Asking *a) {
        g_autofree char *digest = a->pin ? digest_of("", a->pin) : NULL;

        return digest && g_hash_table_contains(a->token->worked, digest);
}

static const char *const kinds[] = { [OSSL_STORE_INFO_PUBKEY] = "public key",
                                     [OSSL_STORE_INFO_PKEY] = "private key",
                                     [OSSL_STORE_INFO_CERT] = "certificate" };
#define NOT_AGAIN "; it is not tried again while it is the same, for tokens lock themselves"

static int explain_pin(const Asking *a, int type, const char *why, char **ret_error) {
        remember_pin(a, false);
        if (g_str_has_prefix(a->uri, "pkcs11:") && !is_seen(a, false))
                return complain(ret_error, -EKEYREJECTED,
                                "'%s': the PIN was refused, or the token has no such %s" NOT_AGAIN,
                                a->name, kinds[type]);
        return complain(ret_error, -EKEYREJECTED, "'%s': the PIN was refused%s%s%s" NOT_AGAIN,
                        a->name, why ? " (" : "", why ? why : "", why ? ")" : "");
}

static bool is_unknown_scheme(const Asking *a) {
        const unsigned long e = ERR_peek_last_error();

        return !a->opened && ERR_GET_LIB(e) == ERR_LIB_OSSL_STORE &&
               (ERR_GET_REASON(e) == OSSL_STORE_R_UNREGISTERED_SCHEME ||
                ERR_GET_REASON(e) == ERR_R_UNSUPPORTED);
}

/* Why nothing was found: what is known, and else what can be. */
static int explain(const Asking *a, int type, char **ret_error) {
        const bool unknown = is_unknown_scheme(a);
        g_autofree char *why = token_take_error();
        g_autofree char *known =
                a->token->providers ? g_strjoinv(" ", a->token->providers) : g_strdup("");

        if (a->error)
                return complain(ret_error, -EKEYREJECTED, "'%s' asks for a PIN, and %s", a->name,
                                a->error);
        if (a->asked && !a->answered)
                return complain(ret_error, -ENOKEY,
                                "'%s' asks for a PIN, and there is none (PinFile of [Security])",
                                a->name);
        if (unknown)
                return complain(ret_error, -ENOPKG,
                                "'%s': no provider knows such URIs (Providers of [Security]: %s)",
                                a->name, *known ? known : "none");
        if (g_str_has_prefix(a->uri, "pkcs11:") && !is_seen(a, true))
                return complain(ret_error, -ENOKEY, "'%s': no such token, or nothing on it",
                                a->name);
        if (a->answered && !has_worked(a))
                return explain_pin(a, type, why, ret_error);
        return complain(ret_error, -ENOKEY, "'%s': there is no such %s%s%s", a->name, kinds[type],
                        why ? ": " : "", why ? why : "");
}

static int find(Asking *a, int type, Found *ret, char **ret_error) {
        g_autofree char *digest = NULL;

        /* Whether it may be given is known before anybody asks; an error is one only then. */
        if (read_pin(a) >= 0)
                digest = digest_of(a->uri, a->pin);
        g_clear_pointer(&a->error, g_free);
        if (digest && g_hash_table_contains(a->token->refused, digest))
                return complain(ret_error, -EKEYREJECTED, "'%s': the PIN was refused" NOT_AGAIN,
                                a->name);
        if (look(a, type, ret) < 0)
                return explain(a, type, ret_error);
        ERR_clear_error();
        return 0;
}

/* --- what is found --- */

/* "0/x/5: …" */
static int name_resource(char **text, int error, const char *resource) {
        char *why = *text;

        *text = g_strdup_printf("%s: %s", resource, why ? why : g_strerror(-error));
        g_free(why);
        return error;
}

static void append_der(GByteArray *to, uint8_t *der, int n) {
        if (n > 0)
                g_byte_array_append(to, der, (guint) n);
        OPENSSL_free(der);
}

/* Certificates one behind the other, or a public key. */
static GBytes *collect(const Found *f, int type) {
        GByteArray *bytes = g_byte_array_new();

        for (guint i = 0; f->list && i < f->list->len; i++) {
                OSSL_STORE_INFO *info = f->list->pdata[i];
                uint8_t *der = NULL;
                int n;

                if (type == OSSL_STORE_INFO_CERT)
                        n = i2d_X509(OSSL_STORE_INFO_get0_CERT(info), &der);
                else
                        n = i2d_PUBKEY(OSSL_STORE_INFO_get0_PUBKEY(info), &der);
                append_der(bytes, der, n);
        }
        return g_byte_array_free_to_bytes(bytes);
}

static int take_public(Token *t, int type, GBytes **where, char **ret_error) {
        g_autofree char *uri = credentials_store_uri(*where);
        g_auto(Asking) a = { 0 };
        g_auto(Found) f = { 0 };
        GBytes *bytes;
        int r;

        if (!uri)
                return 0;
        r = asking_init(&a, t, uri, ret_error);
        if (r >= 0)
                r = find(&a, type, &f, ret_error);
        if (r < 0)
                return r;
        remember_pin(&a, true);
        bytes = collect(&f, type);
        g_bytes_unref(*where);
        *where = bytes;
        return 0;
}

/* A TPM takes any PIN until it has to sign. */
static int prove(const Asking *a, const TokenKey *k, char **ret_error) {
        g_autofree char *why = NULL;

        if (token_key_try(k) >= 0) {
                remember_pin(a, true);
                return 0;
        }
        why = token_take_error();
        if (!a->answered || has_worked(a))
                return complain(ret_error, -EKEYREJECTED, "'%s' cannot sign: %s", a->name,
                                why ? why : "no reason given");
        remember_pin(a, false);
        return complain(ret_error, -EKEYREJECTED,
                        "'%s' cannot sign, the PIN may be wrong: %s" NOT_AGAIN, a->name,
                        why ? why : "no reason given");
}

static int fetch(Token *t, Asking *a, TokenKey **ret, char **ret_error) {
        g_auto(Found) f = { 0 };
        TokenKey *k;
        int r;

        r = find(a, OSSL_STORE_INFO_PKEY, &f, ret_error);
        if (r < 0)
                return r;
        if (f.list->len > 1)
                return complain(ret_error, -EINVAL, "'%s' is the URI of %u private keys", a->name,
                                f.list->len);
        k = key_new(t, a->uri, OSSL_STORE_INFO_get0_PKEY(f.list->pdata[0]));
        r = prove(a, k, ret_error);
        if (r < 0)
                token_key_unref(k);
        else
                *ret = k;
        return r;
}

/* A key that is in use and does not sign any more is looked for again, in fresh providers. */
static int get(Token *t, Asking *a, TokenKey **ret, char **ret_error) {
        TokenKey *k = key_find(t, a->uri);
        int r;

        if (!k)
                return fetch(t, a, ret, ret_error);
        if (token_key_try(k) >= 0) {
                *ret = k;
                return 0;
        }
        token_key_unref(k);
        r = reload_providers(t, ret_error);
        return r < 0 ? r : fetch(t, a, ret, ret_error);
}

static int take_private(Token *t, GBytes *value, EVP_PKEY **ret, char **ret_error) {
        g_autofree char *uri = credentials_store_uri(value);
        g_auto(Asking) a = { 0 };
        TokenKey *k = NULL;
        int r;

        if (!uri)
                return 0;
        r = asking_init(&a, t, uri, ret_error);
        if (r >= 0)
                r = get(t, &a, &k, ret_error);
        if (r < 0 || !k)
                return r;
        r = token_key_wrap(k, t->wrappers->context, ret);
        token_key_unref(k);
        if (r < 0)
                return complain(ret_error, r, "'%s': %s", a.name,
                                r == -ENOTSUP ? "only EC and RSA keys can be used in a token"
                                              : "OpenSSL does not take this key");
        return 0;
}

static int take_all(Token *t, Credentials *c, EVP_PKEY **ret, char **ret_error) {
        const bool rpk = c->mode == SECURITY_MODE_RPK;
        int r;

        r = take_private(t, c->secret, ret, ret_error);
        if (r < 0)
                return name_resource(ret_error, r, "0/x/5");
        r = rpk ? 0 : take_public(t, OSSL_STORE_INFO_CERT, &c->identity, ret_error);
        if (r < 0)
                return name_resource(ret_error, r, "0/x/3");
        r = take_public(t, rpk ? OSSL_STORE_INFO_PUBKEY : OSSL_STORE_INFO_CERT, &c->peer,
                        ret_error);
        return r < 0 ? name_resource(ret_error, r, "0/x/4") : 0;
}

int token_load(Token *t, const Credentials *c, TokenKeys *ret, char **ret_error) {
        TokenKeys keys = { .credentials = credentials_copy(c) };
        int r;

        if (!token_enter(t, LOAD_WAIT_USEC)) {
                token_keys_clear(&keys);
                return complain(ret_error, -ETIMEDOUT, "the token has not answered in time");
        }
        r = load_providers(t, ret_error);
        if (r >= 0)
                r = take_all(t, keys.credentials, &keys.key, ret_error);
        if (t->current)
                OPENSSL_thread_stop_ex(t->current->context);
        if (r < 0)
                token_keys_clear(&keys);
        else
                *ret = keys;
        token_leave(t);
        return r;
}
