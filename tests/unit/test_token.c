/* SPDX-License-Identifier: Apache-2.0 */
/* Keys in OpenSSL's stores, with the scheme that OpenSSL has itself: file:. Real tokens are the
 * integration tests'. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

#include "coap/material.h"
#include "coap/token_loader.h"
#include "pki.h"

typedef struct Fixture {
        Pki *pki;
        Token *token;
        Loop *loop;
        TokenLoader *loader;
        unsigned n_done;
        int error;
        TokenKeys keys;
} Fixture;

static int setup(void **state) {
        Fixture *f = g_new0(Fixture, 1);

        f->pki = pki_new();
        pki_issue(f->pki, &(PkiWish){ .name = "ca", .subject = "ca", .authority = true });
        pki_issue(f->pki, &(PkiWish){ .name = "client", .issuer = "ca", .subject = "client" });
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;

        token_keys_clear(&f->keys);
        token_unref(f->token);
        token_loader_free(f->loader);
        loop_free(f->loop);
        pki_free(f->pki);
        g_free(f);
        return 0;
}

static void refer(Fixture *f, GBytes **where, const char *file, const char *more) {
        g_autofree char *text = g_strconcat("store:file:", pki_path(f->pki, file), more, NULL);

        g_bytes_unref(*where);
        *where = g_bytes_new(text, strlen(text));
}

static Credentials *wanted(Fixture *f, const char *key, const char *more) {
        Credentials *c = credentials_new(SECURITY_MODE_X509);

        refer(f, &c->secret, key, more);
        refer(f, &c->identity, "client.pem", "");
        g_bytes_unref(c->peer);
        c->peer = g_bytes_new_static("as it is", 8);
        return c;
}

static void open_token(Fixture *f, const TokenConfig *config) {
        token_keys_clear(&f->keys);
        token_unref(f->token);
        f->token = token_new(config);
}

static void loads(Fixture *f, const Credentials *c) {
        g_autofree char *why = NULL;

        token_keys_clear(&f->keys);
        if (token_load(f->token, c, &f->keys, &why) < 0)
                fail_msg("%s", why);
        assert_non_null(f->keys.key);
}

static void refuses(Fixture *f, const Credentials *c, int error, const char *text) {
        g_autofree char *why = NULL;
        TokenKeys keys = { 0 };
        int r = token_load(f->token, c, &keys, &why);

        if (r != error || !strstr(why, text))
                fail_msg("%d, %s", r, why);
        assert_null(keys.key);
        assert_null(keys.credentials);
}

/* The key of the client with a passphrase, in another file. */
static void lock_key(Fixture *f, const char *name, const char *passphrase) {
        g_autoptr(GBytes) plain = pki_read(f->pki, "client.key");
        g_autofree char *why = NULL, *path = g_build_filename(pki_folder(f->pki), name, NULL);
        FILE *file = fopen(path, "w");
        EVP_PKEY *key;

        assert_int_equal(material_private_key(plain, &key, &why), 0);
        assert_int_equal(PEM_write_PKCS8PrivateKey(file, key, EVP_aes_128_cbc(), passphrase,
                                                   (int) strlen(passphrase), NULL, NULL),
                         1);
        fclose(file);
        EVP_PKEY_free(key);
}

static void write_pin(Fixture *f, const char *name, const char *text) {
        g_autofree char *path = g_build_filename(pki_folder(f->pki), name, NULL);

        assert_true(g_file_set_contents(path, text, -1, NULL));
        chmod(path, 0600);
}

static void test_load(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = wanted(f, "client.key", "");
        g_autoptr(GBytes) der = pki_der(f->pki, "client.pem");
        EVP_PKEY *first;

        open_token(f, NULL);
        loads(f, c);
        assert_true(g_bytes_equal(f->keys.credentials->identity, der));
        assert_memory_equal(g_bytes_get_data(f->keys.credentials->peer, NULL), "as it is", 8);
        assert_true(EVP_PKEY_is_a(f->keys.key, "EC"));
        /* The certificate fits; the secret half does not come out. */
        {
                const uint8_t *at = g_bytes_get_data(der, NULL);
                X509 *x = d2i_X509(NULL, &at, (long) g_bytes_get_size(der));
                uint8_t *out = NULL;

                assert_int_equal(X509_check_private_key(x, f->keys.key), 1);
                assert_true(i2d_PrivateKey(f->keys.key, &out) <= 0);
                assert_true(i2d_PUBKEY(f->keys.key, &out) > 0); /* a raw public key is */
                OPENSSL_free(out);
                X509_free(x);
        }
        /* A second user of the same, and the first one goes. */
        first = g_steal_pointer(&f->keys.key);
        loads(f, c);
        EVP_PKEY_free(first);
        loads(f, c);
}

static void test_what_is_missing(void **state) {
        static const char *const none[] = { "nosuch", NULL };
        Fixture *f = *state;
        g_autoptr(Credentials) c = wanted(f, "client.key", "");

        open_token(f, &(TokenConfig){ .providers = none });
        refuses(f, c, -ENOPKG, "OpenSSL's provider 'nosuch' cannot be loaded: ");
        open_token(f, NULL);
        refer(f, &c->identity, "client.key", "");
        refuses(f, c, -ENOKEY, "0/x/3: 'file:");
        refer(f, &c->secret, "ca.pem", "");
        refuses(f, c, -ENOKEY, "there is no such private key");
        refer(f, &c->secret, "gone.key", "");
        refuses(f, c, -ENOKEY, "0/x/5: 'file:");
        g_bytes_unref(c->secret);
        c->secret = g_bytes_new_static("store:pkcs11:object=a?pin-value=4711", 36);
        refuses(f, c, -EINVAL, "'pkcs11:object=a': a PIN in the URI");
        g_bytes_unref(c->secret);
        c->secret = g_bytes_new_static("store:pkcs11:object=a", 21);
        refuses(f, c, -ENOPKG, "no provider knows such URIs (Providers of [Security]: none)");
}

static void test_pin(void **state) {
        Fixture *f = *state;
        TokenConfig config = { .pin_file = "pin", .secrets_directory = pki_folder(f->pki) };
        g_autoptr(Credentials) c = NULL;

        lock_key(f, "locked.key", "4711");
        c = wanted(f, "locked.key", "");
        open_token(f, NULL);
        refuses(f, c, -ENOKEY, "asks for a PIN, and there is none");
        open_token(f, &config);
        refuses(f, c, -EKEYREJECTED, "asks for a PIN, and '");
        write_pin(f, "pin", "\n");
        refuses(f, c, -EKEYREJECTED, "begins with no PIN");
        write_pin(f, "pin", "4711\n");
        chmod(pki_path(f->pki, "pin"), 0644);
        refuses(f, c, -EKEYREJECTED, "open to all users");
        write_pin(f, "pin", "4712");
        refuses(f, c, -EKEYREJECTED, "the PIN was refused (");
        /* It is not given again, whoever asks … */
        refuses(f, c, -EKEYREJECTED, "the PIN was refused; it is not tried again");
        /* … but another is. */
        write_pin(f, "pin", "4711\nand a comment");
        loads(f, c);
        /* A PIN for one key alone. */
        lock_key(f, "other.key", "0815");
        write_pin(f, "its pin", "0815");
        refer(f, &c->secret, "other.key", "?pin-source=file:its%20pin");
        loads(f, c);
        refer(f, &c->secret, "other.key", "?pin-source=");
        refuses(f, c, -EINVAL, "pin-source is not a file");
}

/* --- from the loop --- */

static void on_loaded(void *userdata, int error, const char *text, TokenKeys *keys,
                      uint64_t now_usec) {
        Fixture *f = userdata;

        f->n_done++;
        f->error = error;
        if (error == 0) {
                token_keys_clear(&f->keys);
                f->keys = *keys;
                *keys = (TokenKeys){ 0 };
        } else
                assert_non_null(text);
        loop_quit(f->loop, 0);
}

static void test_loader(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = wanted(f, "client.key", "");
        TokenLoad *load, *given_up;

        assert_int_equal(loop_new(&f->loop), 0);
        assert_int_equal(token_loader_new(f->loop, NULL, &f->loader), 0);
        assert_int_equal(token_loader_start(f->loader, c, 10 * USEC_PER_SEC, on_loaded, f, &load),
                         0);
        assert_int_equal(
                token_loader_start(f->loader, c, 10 * USEC_PER_SEC, on_loaded, f, &given_up), 0);
        token_load_cancel(given_up);
        loop_run(f->loop);
        assert_int_equal(f->n_done, 1);
        assert_int_equal(f->error, 0);
        assert_non_null(f->keys.key);
        /* No time: told so, and the thread's answer is nobody's. */
        assert_int_equal(token_loader_start(f->loader, c, 0, on_loaded, f, &load), 0);
        loop_run(f->loop);
        assert_int_equal(f->n_done, 2);
        assert_true(f->error == -ETIMEDOUT || f->error == 0);
        refer(f, &c->secret, "gone.key", "");
        assert_int_equal(token_loader_start(f->loader, c, 10 * USEC_PER_SEC, on_loaded, f, &load),
                         0);
        loop_run(f->loop);
        assert_int_equal(f->error, -ENOKEY);
        for (unsigned i = 0; i < TOKEN_LOADS_MAX; i++)
                if (token_loader_start(f->loader, c, 10 * USEC_PER_SEC, on_loaded, f, &load) < 0)
                        fail_msg("%u", i);
        assert_int_equal(token_loader_start(f->loader, c, 10 * USEC_PER_SEC, on_loaded, f, &load),
                         -ENOBUFS);
        while (f->n_done < 3 + TOKEN_LOADS_MAX)
                loop_run(f->loop);
        /* The keys go before what they are from. */
        token_keys_clear(&f->keys);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_load, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_is_missing, setup, teardown),
                cmocka_unit_test_setup_teardown(test_pin, setup, teardown),
                cmocka_unit_test_setup_teardown(test_loader, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
