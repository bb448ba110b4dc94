/* SPDX-License-Identifier: Apache-2.0 */
#include "stream_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#include "field.h"

/* Of the context. */
typedef struct Keys {
        char *identity;
        GBytes *psk;
} Keys;

/* Of a connection. */
typedef struct State {
        unsigned n_messages;
        char *identity;
} State;

static unsigned on_psk(SSL *ssl, const char *identity, unsigned char *psk, unsigned n_psk) {
        const Keys *keys = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
        State *state = SSL_get_app_data(ssl);
        gsize n;
        const void *key = g_bytes_get_data(keys->psk, &n);

        if (strcmp(identity, keys->identity) != 0 || n > n_psk)
                return 0;
        g_free(state->identity);
        state->identity = g_strdup(identity);
        memcpy(psk, key, n);
        return (unsigned) n;
}

static void on_message(int out, int version, int type, const void *data, size_t n, SSL *ssl,
                       void *userdata) {
        State *state = SSL_get_app_data(ssl);

        if (type == SSL3_RT_HANDSHAKE && state)
                state->n_messages++;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n_out,
                   const unsigned char *in, unsigned n_in, void *userdata) {
        static const unsigned char ours[] = "\x04"
                                            "coap";

        return SSL_select_next_proto((unsigned char **) out, n_out, ours, sizeof(ours) - 1, in,
                                     n_in) == OPENSSL_NPN_NEGOTIATED
                       ? SSL_TLSEXT_ERR_OK
                       : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool use_psk(SSL_CTX *x, const char *text) {
        const char *colon = strchr(text, ':');
        Keys *keys = SSL_CTX_get_app_data(x);

        if (!colon || field_parse_hex(colon + 1, &keys->psk) < 0)
                return false;
        keys->identity = g_strndup(text, (gsize) (colon - text));
        SSL_CTX_set_psk_server_callback(x, on_psk);
        return true;
}

static bool use_files(SSL_CTX *x, const StreamConfig *c) {
        if (c->certificate && SSL_CTX_use_certificate_chain_file(x, c->certificate) != 1)
                return false;
        if (c->key && SSL_CTX_use_PrivateKey_file(x, c->key, SSL_FILETYPE_PEM) != 1)
                return false;
        if (!c->authority)
                return true;
        if (SSL_CTX_load_verify_file(x, c->authority) != 1)
                return false;
        SSL_CTX_set_client_CA_list(x, SSL_load_client_CA_file(c->authority));
        SSL_CTX_set_verify(x, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        return true;
}

SSL_CTX *tls_context(const StreamConfig *c) {
        SSL_CTX *x = SSL_CTX_new(TLS_server_method());

        SSL_CTX_set_app_data(x, g_new0(Keys, 1));
        SSL_CTX_set_security_level(x, 0);
        SSL_CTX_set_min_proto_version(x, TLS1_2_VERSION);
        SSL_CTX_set_mode(x, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        /* A client that was killed may come back with its session. */
        SSL_CTX_set_options(x, SSL_OP_IGNORE_UNEXPECTED_EOF | (c->tickets ? 0 : SSL_OP_NO_TICKET));
        SSL_CTX_set_session_id_context(x, (const unsigned char *) "t", 1);
        SSL_CTX_set_msg_callback(x, on_message);
        if (!c->no_alpn)
                SSL_CTX_set_alpn_select_cb(x, on_alpn, NULL);
        if (SSL_CTX_set_cipher_list(x, c->ciphers ? c->ciphers : "ALL:PSK:@SECLEVEL=0") == 1 &&
            (!c->psk || use_psk(x, c->psk)) && use_files(x, c))
                return x;
        ERR_print_errors_fp(stderr);
        tls_context_free(x);
        return NULL;
}

void tls_context_free(SSL_CTX *x) {
        Keys *keys = x ? SSL_CTX_get_app_data(x) : NULL;

        if (keys) {
                g_free(keys->identity);
                g_clear_pointer(&keys->psk, g_bytes_unref);
        }
        g_free(keys);
        SSL_CTX_free(x);
}

static int state_index = -1;

static void state_free(void *parent, void *p, CRYPTO_EX_DATA *data, int index, long argl,
                       void *argp) {
        State *state = p;

        if (state)
                g_free(state->identity);
        g_free(state);
}

SSL *tls_new(SSL_CTX *x, int fd) {
        SSL *ssl = SSL_new(x);
        State *state = g_new0(State, 1);

        if (state_index < 0)
                state_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, state_free);
        SSL_set_ex_data(ssl, state_index, state); /* owns it */
        SSL_set_app_data(ssl, state);
        SSL_set_fd(ssl, fd);
        SSL_set_accept_state(ssl);
        return ssl;
}

int tls_accept(SSL *ssl) {
        int r, error;

        ERR_clear_error();
        r = SSL_do_handshake(ssl);
        if (r == 1)
                return 1;
        error = SSL_get_error(ssl, r);
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

const char *tls_reason(void) {
        const char *reason = ERR_reason_error_string(ERR_peek_error());

        return reason ? reason : "closed during the handshake";
}

void tls_describe(SSL *ssl, cJSON *event) {
        const State *state = SSL_get_app_data(ssl);
        const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        X509 *certificate = SSL_get1_peer_certificate(ssl);
        const unsigned char *alpn;
        unsigned n_alpn;
        char subject[256] = "", protocol[256];

        if (certificate)
                X509_NAME_oneline(X509_get_subject_name(certificate), subject, sizeof(subject));
        X509_free(certificate);
        SSL_get0_alpn_selected(ssl, &alpn, &n_alpn);
        g_snprintf(protocol, sizeof(protocol), "%.*s", (int) n_alpn, (const char *) alpn);
        cJSON_AddStringToObject(event, "identity", state->identity ? state->identity : subject);
        cJSON_AddStringToObject(event, "cipher",
                                SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl)));
        cJSON_AddStringToObject(event, "version", SSL_get_version(ssl));
        cJSON_AddStringToObject(event, "sni", sni ? sni : "");
        cJSON_AddStringToObject(event, "alpn", protocol);
        cJSON_AddBoolToObject(event, "resumed", SSL_session_reused(ssl));
        cJSON_AddNumberToObject(event, "messages", state->n_messages);
}

static ssize_t result(SSL *ssl, int n) {
        int error;

        if (n > 0)
                return n;
        error = SSL_get_error(ssl, n);
        if (error == SSL_ERROR_ZERO_RETURN)
                return 0;
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
                errno = EAGAIN;
        else if (error != SSL_ERROR_SYSCALL || errno == 0)
                errno = ECONNRESET;
        return -1;
}

ssize_t tls_read(SSL *ssl, void *buffer, size_t n) {
        ERR_clear_error();
        errno = 0;
        return result(ssl, SSL_read(ssl, buffer, (int) n));
}

ssize_t tls_write(SSL *ssl, const void *data, size_t n) {
        ERR_clear_error();
        errno = 0;
        return result(ssl, SSL_write(ssl, data, (int) n));
}

void tls_shutdown(SSL *ssl) {
        (void) SSL_shutdown(ssl);
        ERR_clear_error();
}
