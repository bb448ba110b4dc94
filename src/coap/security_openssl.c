/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/security.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "coap/packet.h"
#include "coap/security_material.h"
#include "coap/security_pki.h"
#include "coap/security_plain.h"
#include "coap/security_reason.h"
#include "lwm2m/account/cipher_suite.h"
#include "util/complain.h"

#if OPENSSL_VERSION_NUMBER >= 0x30200000L
#define HAVE_RPK 1
#else
#define HAVE_RPK 0
#endif

/* What OpenSSL takes at most. */
#define PSK_IDENTITY_MAX 127u
#define PSK_KEY_MAX 256u
/* Handshake messages are cut to datagrams that fit any path (RFC 7252, section 4.6). */
#define HANDSHAKE_MTU PACKET_MESSAGE_SIZE

struct Security {
        SSL *ssl; /* libcoap's, or own; NULL before and after */
        SSL *own; /* of TLS over TCP; owned */
        SecurityState state;
        Credentials *credentials;
        char *host, *trust_store;
        GString *suites;           /* in OpenSSL's names */
        SecurityMaterial material; /* nothing with a pre-shared key */
        GBytes *resume;
        bool ignore_dates, once;
        bool plain;       /* another TLS library: security_plain.h */
        SecurityPki *pki; /* … with certificates; NULL */
        void (*connected)(void *userdata, const coap_session_t *session);
        void *userdata;

        bool heard, finished; /* of the handshake: an answer came; our last flight is out */
        bool resumed, cid, was_established;
        const char *cipher;
        GBytes *session;
        int alert_in, alert_out; /* the last ones; -1 */
        long verify;             /* X509_V_… */
        unsigned long error;     /* OpenSSL's */
        char *token_error;       /* what the token of our key said; NULL */
};

/* Whose SSL object the library makes next. */
static Security *expected;
static int ssl_index = -1;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SSL_CTX, SSL_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SSL, SSL_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_STORE, X509_STORE_free)

static Security *security_of(const SSL *ssl) {
        return SSL_get_ex_data(ssl, ssl_index);
}

/* --- callbacks of OpenSSL --- */

static unsigned on_psk(SSL *ssl, const char *hint, char *identity, unsigned n_identity,
                       unsigned char *psk, unsigned n_psk) {
        const Security *s = security_of(ssl);
        gsize n_id, n_key;
        const void *id, *key;

        if (!s)
                return 0;
        id = g_bytes_get_data(s->credentials->identity, &n_id);
        key = g_bytes_get_data(s->credentials->secret, &n_key);
        if (n_id >= n_identity || n_key > n_psk)
                return 0;
        memcpy(identity, id, n_id);
        identity[n_id] = '\0';
        memcpy(psk, key, n_key);
        return (unsigned) n_key;
}

/* The cipher suites are named one by one, so that the general strength wanted of them does not
 * matter: OpenSSL 3.2 counts CCM_8 as none at all. Keys and signatures are held to it. */
static int on_strength(const SSL *ssl, const SSL_CTX *context, int op, int bits, int nid,
                       void *other, void *userdata) {
        static int (*usual)(const SSL *, const SSL_CTX *, int, int, int, void *, void *);
        SSL_CTX *fresh;

        if (op == SSL_SECOP_CIPHER_SUPPORTED || op == SSL_SECOP_CIPHER_SHARED ||
            op == SSL_SECOP_CIPHER_CHECK)
                return 1;
        if (!usual) {
                fresh = SSL_CTX_new(DTLS_client_method());
                if (!fresh)
                        return 0;
                usual = SSL_CTX_get_security_callback(fresh);
                SSL_CTX_free(fresh);
        }
        return usual(ssl, context, op, bits, nid, other, userdata);
}

static void note_state(Security *s, const SSL *ssl) {
        switch ((int) SSL_get_state(ssl)) {
        case DTLS_ST_CR_HELLO_VERIFY_REQUEST:
        case TLS_ST_CR_SRVR_HELLO:
                s->heard = true;
                break;
        case TLS_ST_CW_FINISHED:
                s->finished = true;
                break;
        default:
                break;
        }
}

static GBytes *serialize(SSL_SESSION *session) {
        int n = session && SSL_SESSION_is_resumable(session) ? i2d_SSL_SESSION(session, NULL) : 0;
        uint8_t *buffer, *at;
        GBytes *bytes;

        if (n <= 0)
                return NULL;
        at = buffer = g_malloc((size_t) n);
        i2d_SSL_SESSION(session, &at);
        bytes = credentials_bytes(buffer, (size_t) n);
        explicit_bzero(buffer, (size_t) n);
        g_free(buffer);
        return bytes;
}

static void note_done(Security *s, SSL *ssl) {
        const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);

        s->state = SECURITY_ESTABLISHED;
        s->was_established = true;
        s->resumed = SSL_session_reused(ssl);
        s->cipher = cipher ? SSL_CIPHER_standard_name(cipher) : "";
        g_clear_pointer(&s->session, g_bytes_unref);
        s->session = s->once ? NULL : serialize(SSL_get0_session(ssl));
}

/* The first error is that of the token's provider, which libssl could do nothing about. */
static void note_token(Security *s) {
        const char *data = NULL, *reason;
        int flags = 0;
        unsigned long e = ERR_peek_error_all(NULL, NULL, NULL, &data, &flags);

        if (!s->material.in_token || s->token_error || e == 0 || ERR_GET_LIB(e) == ERR_LIB_SSL)
                return;
        reason = ERR_reason_error_string(e);
        s->token_error = g_strdup_printf("%s%s%s", reason ? reason : "",
                                         reason && flags & ERR_TXT_STRING ? ": " : "",
                                         flags & ERR_TXT_STRING && data ? data : "");
}

static void note_exit(Security *s, const SSL *ssl) {
        unsigned long e = ERR_peek_error();

        if (s->state == SECURITY_HANDSHAKE)
                note_token(s);

        if (s->state == SECURITY_HANDSHAKE && e != 0 && ERR_GET_LIB(e) == ERR_LIB_SSL) {
                s->error = e;
                s->verify = SSL_get_verify_result(ssl);
        }
}

static int adopt(Security *s, SSL *ssl);

static void on_info(const SSL *ssl, int where, int ret) {
        void (*next)(const SSL *, int, int) = SSL_CTX_get_info_callback(SSL_get_SSL_CTX(ssl));
        Security *s;

        /* OpenSSL hands out its own object as a constant one; it was made on our behalf. */
        if (where == SSL_CB_HANDSHAKE_START && expected && !expected->ssl &&
            SSL_get_state(ssl) == TLS_ST_BEFORE && !SSL_is_server(ssl))
                (void) adopt(expected, (SSL *) (uintptr_t) ssl);
        s = security_of(ssl);
        if (s) {
                if (where & SSL_CB_LOOP)
                        note_state(s, ssl);
                else if (where & SSL_CB_ALERT && where & SSL_CB_READ)
                        s->alert_in = ret & 0xff;
                else if (where & SSL_CB_ALERT)
                        s->alert_out = ret & 0xff;
                else if (where & SSL_CB_EXIT && ret <= 0)
                        note_exit(s, ssl);
                else if (where == SSL_CB_HANDSHAKE_DONE)
                        note_done(s, (SSL *) (uintptr_t) ssl);
        }
        if (next)
                next(ssl, where, ret);
}

static void on_new(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl,
                   void *argp) {
        if (expected)
                SSL_set_info_callback(parent, on_info);
}

static void on_free(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl,
                    void *argp) {
        Security *s = ptr;

        if (!s)
                return;
        s->ssl = NULL;
        s->state = SECURITY_FAILED;
}

static int register_hook(void) {
        if (ssl_index >= 0)
                return 0;
        OPENSSL_init_ssl(0, NULL);
        ssl_index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, NULL, on_new, NULL, on_free);
        return ssl_index >= 0 ? 0 : -ENOMEM;
}

/* --- settings of one SSL object --- each 0, or -EINVAL with OpenSSL's error queue */

static bool is_address(const char *host) {
        struct in6_addr a;

        return inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
}

static int set_suites(const Security *s, SSL *ssl) {
        SSL_set_security_callback(ssl, on_strength);
        return SSL_set_cipher_list(ssl, s->suites->str) == 1 ? 0 : -EINVAL;
}

static int set_own_key(const Security *s, SSL *ssl) {
        SSL_set_psk_client_callback(ssl, s->material.key ? NULL : on_psk);
        if (!s->material.key)
                return 0;
        if (s->material.chain && SSL_use_certificate(ssl, sk_X509_value(s->material.chain, 0)) != 1)
                return -EINVAL;
        if (SSL_use_PrivateKey(ssl, s->material.key) != 1)
                return -EINVAL;
        for (int i = 1; s->material.chain && i < sk_X509_num(s->material.chain); i++)
                if (SSL_add1_chain_cert(ssl, sk_X509_value(s->material.chain, i)) != 1)
                        return -EINVAL;
        return 0;
}

/* The name or address the server's certificate must have: SNI and URI (TS Transport 1.1.1, section
 * 5.2.8.7). */
static int set_name(const Security *s, SSL *ssl) {
        X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
        g_autofree char *name = g_strdup(s->credentials->sni ? s->credentials->sni : s->host);
        const bool address = is_address(name);

        if (X509_VERIFY_PARAM_set1_host(param, address ? NULL : name, 0) != 1 ||
            (address && X509_VERIFY_PARAM_set1_ip_asc(param, name) != 1))
                return -EINVAL;
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        return SSL_set_tlsext_host_name(ssl, address ? NULL : name) == 1 ? 0 : -EINVAL;
}

static int set_trust_store(const Security *s, SSL *ssl) {
        g_autoptr(X509_STORE) store = X509_STORE_new();
        int r;

        if (s->trust_store && g_file_test(s->trust_store, G_FILE_TEST_IS_DIR))
                r = X509_STORE_load_path(store, s->trust_store);
        else if (s->trust_store)
                r = X509_STORE_load_file(store, s->trust_store);
        else
                r = X509_STORE_set_default_paths(store);
        return r == 1 && SSL_set1_verify_cert_store(ssl, store) == 1 ? 0 : -EINVAL;
}

static uint8_t selector(const Security *s) {
        return s->credentials->mode == SECURITY_MODE_RPK ? 1 /* the key */ : 0 /* all of it */;
}

/* Matching type and certificate usage of LwM2M are those of DANE (RFC 6698), which OpenSSL has; of
 * the matching types LwM2M numbers two in another way. A certificate that must match itself, usage
 * 3, counts whatever name and dates it has (RFC 7671, section 5.1). */
static int set_expectations(const Security *s, SSL *ssl) {
        const Credentials *c = s->credentials;
        const bool rpk = c->mode == SECURITY_MODE_RPK;
        SSL_CTX *context = SSL_get_SSL_CTX(ssl);

        if (SSL_CTX_dane_enable(context) != 1 ||
            SSL_CTX_dane_mtype_set(context, EVP_sha256(), MATCHING_SHA256, 1) != 1 ||
            SSL_CTX_dane_mtype_set(context, EVP_sha384(), MATCHING_SHA384, 2) != 1 ||
            SSL_CTX_dane_mtype_set(context, EVP_sha512(), MATCHING_SHA512, 3) != 1 ||
            SSL_dane_enable(ssl, "peer.invalid") != 1)
                return -EINVAL;
        SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
        for (guint i = 0; i < s->material.records->len; i++) {
                gsize n;
                const uint8_t *data =
                        g_bytes_get_data(g_ptr_array_index(s->material.records, i), &n);

                if (SSL_dane_tlsa_add(ssl, rpk ? USAGE_DOMAIN_ISSUED : c->usage, selector(s),
                                      c->matching, data, n) <= 0)
                        return -EINVAL;
        }
        SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
        if (s->ignore_dates)
                X509_VERIFY_PARAM_set_flags(SSL_get0_param(ssl), X509_V_FLAG_NO_CHECK_TIME);
        if (!rpk && c->usage <= USAGE_SERVICE_CONSTRAINT)
                return set_trust_store(s, ssl);
        return 0;
}

static int set_raw_keys(const Security *s, SSL *ssl) {
#if HAVE_RPK
        static const unsigned char raw[] = { TLSEXT_cert_type_rpk };

        if (s->credentials->mode == SECURITY_MODE_RPK &&
            (SSL_set1_server_cert_type(ssl, raw, sizeof(raw)) != 1 ||
             SSL_set1_client_cert_type(ssl, raw, sizeof(raw)) != 1))
                return -EINVAL;
#endif
        return 0;
}

/* Whatever comes of it: a session that is not taken costs a full handshake. */
static void set_session(const Security *s, SSL *ssl) {
        SSL_SESSION *session;
        const uint8_t *data;
        gsize n;

        if (!s->resume)
                return;
        data = g_bytes_get_data(s->resume, &n);
        session = d2i_SSL_SESSION(NULL, &data, (long) n);
        if (session)
                SSL_set_session(ssl, session);
        SSL_SESSION_free(session);
        ERR_clear_error();
}

static int apply(const Security *s, SSL *ssl) {
        static const unsigned char alpn[] = "\x04"
                                            "coap"; /* RFC 8323, section 8.2 */
        int r;

        SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION);
        if (!SSL_is_dtls(ssl)) {
                /* The cipher suites of 0/x/16 are those of 1.2, and so are our pre-shared keys. */
                SSL_set_min_proto_version(ssl, TLS1_2_VERSION);
                SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
                if (SSL_set_alpn_protos(ssl, alpn, sizeof(alpn) - 1) != 0)
                        return -ENOMEM;
        }
        r = set_suites(s, ssl);
        if (r >= 0 && s->material.records->len > 0)
                r = set_expectations(s, ssl);
        if (r >= 0)
                r = set_name(s, ssl);
        if (r >= 0)
                r = set_raw_keys(s, ssl);
        if (r >= 0)
                r = set_own_key(s, ssl);
        return r;
}

static int adopt(Security *s, SSL *ssl) {
        int r;

        ERR_clear_error();
        if (SSL_set_ex_data(ssl, ssl_index, s) != 1)
                return -ENOMEM;
        s->ssl = ssl;
        s->state = SECURITY_HANDSHAKE;
        if (s->connected && SSL_get_app_data(ssl)) /* libcoap's session, with all its versions */
                s->connected(s->userdata, SSL_get_app_data(ssl));
        /* Without it the session would be marked as not to be resumed when the link goes. A server
         * may find out by itself that a device has gone: most go without a word. */
        SSL_set_quiet_shutdown(ssl, 1);
        r = apply(s, ssl);
        if (r < 0) { /* it was tried when s was made */
                s->state = SECURITY_FAILED;
                return r;
        }
        set_session(s, ssl);
        ERR_clear_error();
        return 0;
}

/* --- what is to be set --- */

static void add_suite(GString *list, const CipherSuite *suite) {
        const char *name = OPENSSL_cipher_name(suite->name);

        if (strcmp(name, "(NONE)") != 0)
                g_string_append_printf(list, "%s%s", list->len > 0 ? ":" : "", name);
}

static void choose_suites(Security *s) {
        const Credentials *c = s->credentials;
        const CipherKind kind = c->mode == SECURITY_MODE_PSK ? CIPHER_PSK : CIPHER_CERTIFICATE;
        const CipherSuite *suite;

        for (unsigned i = 0; i < c->n_suites; i++) {
                suite = cipher_suite_by_number(c->suites[i]);
                if (suite && suite->kind == kind)
                        add_suite(s->suites, suite);
        }
        for (size_t i = 0; c->n_suites == 0 && (suite = cipher_suite_at(i)); i++)
                if (suite->kind == kind && suite->preset)
                        add_suite(s->suites, suite);
}

static int check_psk(const Security *s, char **ret_error) {
        gsize n_id, n_key;
        const char *id = g_bytes_get_data(s->credentials->identity, &n_id);

        (void) g_bytes_get_data(s->credentials->secret, &n_key);
        if (n_id > PSK_IDENTITY_MAX)
                return complain(ret_error, -EINVAL, "PSK identity above %u bytes (0/x/3)",
                                PSK_IDENTITY_MAX);
        if (memchr(id, 0, n_id))
                return complain(ret_error, -EINVAL,
                                "a PSK identity with a zero byte cannot be sent by OpenSSL "
                                "(0/x/3)");
        if (n_key > PSK_KEY_MAX)
                return complain(ret_error, -EINVAL, "pre-shared key above %u bytes (0/x/5)",
                                PSK_KEY_MAX);
        return 0;
}

/* What goes wrong in the handshake's first step is better known now. */
static int rehearse(const Security *s, char **ret_error) {
        g_autoptr(SSL_CTX) context = SSL_CTX_new(DTLS_client_method());
        g_autoptr(SSL) ssl = context ? SSL_new(context) : NULL;
        char text[256];
        unsigned long e;

        ERR_clear_error();
        if (ssl && apply(s, ssl) >= 0)
                return 0;
        e = ERR_peek_last_error();
        ERR_error_string_n(e, text, sizeof(text));
        ERR_clear_error();
        return complain(ret_error, -EINVAL, "OpenSSL refuses the credentials: %s",
                        ERR_reason_error_string(e) ? ERR_reason_error_string(e) : text);
}

static int read_all(Security *s, const SecurityConfig *config, char **ret_error) {
        int r;

        if (config->credentials->mode == SECURITY_MODE_RPK && !HAVE_RPK)
                return complain(ret_error, -EPROTONOSUPPORT,
                                "raw public keys need OpenSSL 3.2 or later, this is %s",
                                OpenSSL_version(OPENSSL_VERSION_STRING));
        choose_suites(s);
        if (s->suites->len == 0)
                return complain(ret_error, -EPROTONOSUPPORT,
                                "OpenSSL has none of the cipher suites wanted (0/x/16)");
        if (s->credentials->mode == SECURITY_MODE_PSK)
                r = check_psk(s, ret_error);
        else
                r = security_material_read(&s->material, config, ret_error);
        return r < 0 ? r : rehearse(s, ret_error);
}

/* --- life --- */

int security_new(const SecurityConfig *config, Security **ret, char **ret_error) {
        g_autoptr(Security) s = NULL;
        int r;

        r = register_hook();
        if (r < 0)
                return complain(ret_error, r, "OpenSSL cannot be set up");
        s = g_new0(Security, 1);
        s->credentials = credentials_copy(config->credentials);
        s->host = g_strdup(config->host);
        s->trust_store = g_strdup(config->trust_store);
        s->suites = g_string_new(NULL);
        security_material_init(&s->material);
        s->resume = config->session ? g_bytes_ref(config->session) : NULL;
        s->ignore_dates = config->ignore_dates;
        s->once = config->once;
        s->connected = config->connected;
        s->userdata = config->userdata;
        s->alert_in = s->alert_out = -1;
        s->cipher = "";
        s->plain = !config->stream && !security_is_openssl();
        if (!s->plain)
                r = read_all(s, config, ret_error);
        else if (s->credentials->mode == SECURITY_MODE_PSK)
                r = security_plain_check(s->credentials, ret_error);
        else
                r = security_pki_new(config, &s->pki, ret_error);
        if (r >= 0)
                *ret = g_steal_pointer(&s);
        return r;
}

Security *security_free(Security *s) {
        if (!s)
                return NULL;
        if (expected == s)
                expected = NULL;
        if (s->ssl)
                SSL_set_ex_data(s->ssl, ssl_index, NULL);
        SSL_free(s->own);
        credentials_free(s->credentials);
        security_material_clear(&s->material);
        security_pki_free(s->pki);
        g_string_free(s->suites, TRUE);
        g_clear_pointer(&s->resume, g_bytes_unref);
        g_clear_pointer(&s->session, g_bytes_unref);
        g_free(s->token_error);
        g_free(s->host);
        g_free(s->trust_store);
        g_free(s);
        return NULL;
}

/* The first message is out before the socket can be seen. */
static coap_session_t *connect_plain(Security *s, coap_context_t *context,
                                     const coap_address_t *local, const coap_address_t *remote,
                                     coap_proto_t proto) {
        coap_session_t *session;

        s->state = SECURITY_HANDSHAKE;
        session = s->pki ? security_pki_connect(s->pki, context, local, remote, proto)
                         : security_plain_connect(s->credentials, context, local, remote, proto);
        if (session && s->connected)
                s->connected(s->userdata, session);
        return session;
}

coap_session_t *security_connect(Security *s, coap_context_t *context, const coap_address_t *local,
                                 const coap_address_t *remote, coap_proto_t proto) {
        /* Placeholders: libcoap insists on them, and the hook puts what is meant in their place. */
        static const uint8_t nothing[] = "-";
        coap_dtls_cpsk_t setup = {
                .version = COAP_DTLS_CPSK_SETUP_VERSION,
                .psk_info = { .identity = { 1, nothing }, .key = { 1, nothing } },
        };
        coap_session_t *session;
        int error;

        if (s->plain)
                return connect_plain(s, context, local, remote, proto);
        expected = s;
        errno = 0;
        session = coap_new_client_session_psk2(context, local, remote, proto, &setup);
        error = errno;
        expected = NULL;
        errno = error;
        return session;
}

void security_cut_flights(Security *s) {
        if (s->ssl && SSL_is_dtls(s->ssl))
                SSL_set_mtu(s->ssl, HANDSHAKE_MTU);
}

static void note_plain(Security *s, const coap_session_t *session) {
        LinkSecurity agreed;

        s->verify = s->pki ? security_pki_verdict(s->pki, true) : X509_V_OK;
        if (s->verify != X509_V_OK) {
                s->state = SECURITY_FAILED;
                return;
        }
        security_plain_agreed(session, &agreed);
        s->state = SECURITY_ESTABLISHED;
        s->cipher = agreed.cipher;
        s->cid = agreed.cid;
}

void security_look_at(Security *s, const coap_session_t *session) {
        if (!s->plain || !session || s->state == SECURITY_FAILED)
                return; /* OpenSSL has told more */
        switch ((int) coap_session_get_state(session)) {
        case COAP_SESSION_STATE_ESTABLISHED:
                if (s->state != SECURITY_ESTABLISHED)
                        note_plain(s, session);
                break;
        case COAP_SESSION_STATE_NONE:
                if (s->pki && s->state != SECURITY_ESTABLISHED)
                        s->verify = security_pki_verdict(s->pki, false);
                s->state = SECURITY_FAILED;
                break;
        default:
                break;
        }
}

bool security_is_opaque(const Security *s) {
        return s->plain;
}

SecurityState security_state(const Security *s) {
        return s->state;
}

void security_agreed(const Security *s, LinkSecurity *ret) {
        *ret = (LinkSecurity){
                .cipher = s->cipher, .resumed = s->resumed, .cid = s->cid, .session = s->session
        };
}

int security_alert(const Security *s) {
        return s->alert_in;
}

/* --- messages --- */

/* Only records of application data are for us (RFC 6347, section 4.1). OpenSSL keeps what it has
 * decrypted until it is read, by security_take() or by libcoap, which then finds it instead of the
 * record in its datagram. */
size_t security_look(Security *s, const uint8_t *datagram, size_t n, uint8_t *head, size_t n_head) {
        BIO *usual, *once;
        int got;

        if (!s->ssl || s->state != SECURITY_ESTABLISHED || n == 0 ||
            datagram[0] != SSL3_RT_APPLICATION_DATA)
                return 0;
        once = BIO_new_mem_buf(datagram, (int) n);
        if (!once)
                return 0;
        BIO_set_mem_eof_return(once, -1);
        usual = SSL_get_rbio(s->ssl);
        BIO_up_ref(usual);
        SSL_set0_rbio(s->ssl, once);
        got = SSL_peek(s->ssl, head, (int) n_head);
        SSL_set0_rbio(s->ssl, usual);
        ERR_clear_error();
        return got > 0 ? (size_t) got : 0;
}

/* All of it, for what is left of a record would be taken for the next message. */
size_t security_take(Security *s, uint8_t *buffer, size_t n_buffer) {
        uint8_t message[SSL3_RT_MAX_PLAIN_LENGTH];
        int got = s->ssl ? SSL_read(s->ssl, message, sizeof(message)) : 0;
        size_t n = MIN((size_t) MAX(got, 0), n_buffer);

        ERR_clear_error();
        if (n > 0)
                memcpy(buffer, message, n);
        return n;
}

/* Explicit nonce and tag: what an encrypted record without content has. */
static size_t record_overhead(const Security *s) {
        const SSL_CIPHER *cipher = SSL_get_current_cipher(s->ssl);

        if (!cipher)
                cipher = SSL_get_pending_cipher(s->ssl);
        if (!cipher || !SSL_CIPHER_is_aead(cipher))
                return 16;
        if (SSL_CIPHER_get_cipher_nid(cipher) == NID_chacha20_poly1305)
                return EVP_CHACHAPOLY_TLS_TAG_LEN;
        return strstr(SSL_CIPHER_get_name(cipher), "CCM8")
                       ? EVP_CCM_TLS_EXPLICIT_IV_LEN + EVP_CCM8_TLS_TAG_LEN
                       : EVP_GCM_TLS_EXPLICIT_IV_LEN + EVP_GCM_TLS_TAG_LEN;
}

bool security_is_sound(const Security *s, const uint8_t *datagram, size_t n) {
        const size_t overhead = s->ssl ? record_overhead(s) : 0;

        while (n > 0) {
                size_t length;

                if (n < DTLS1_RT_HEADER_LENGTH || datagram[1] != DTLS1_VERSION_MAJOR)
                        return false;
                length = (size_t) datagram[11] << 8 | datagram[12];
                if (length > n - DTLS1_RT_HEADER_LENGTH)
                        return false;
                if ((datagram[3] || datagram[4]) && length < overhead)
                        return false;
                datagram += DTLS1_RT_HEADER_LENGTH + length;
                n -= DTLS1_RT_HEADER_LENGTH + length;
        }
        return true;
}

/* --- over a stream --- */

/* A session with buffers in place of a socket. */
static SSL *new_stream(void) {
        g_autoptr(SSL_CTX) context = SSL_CTX_new(TLS_client_method());
        g_autoptr(SSL) ssl = context ? SSL_new(context) : NULL;
        BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

        if (!ssl || !in || !out) {
                BIO_free(in);
                BIO_free(out);
                return NULL;
        }
        BIO_set_mem_eof_return(in, -1);
        SSL_set_bio(ssl, in, out);
        return g_steal_pointer(&ssl);
}

static int go_on(Security *s, int result) {
        int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(s->own, result);

        ERR_clear_error();
        if (error == SSL_ERROR_ZERO_RETURN)
                return -ECONNRESET;
        return error == SSL_ERROR_NONE || error == SSL_ERROR_WANT_READ ? 0 : -EPROTO;
}

int security_tls_start(Security *s) {
        int r;

        s->own = new_stream();
        if (!s->own)
                return -ENOMEM;
        SSL_set_info_callback(s->own, on_info);
        r = adopt(s, s->own);
        if (r < 0)
                return r;
        return go_on(s, SSL_connect(s->own));
}

int security_tls_feed(Security *s, const uint8_t *bytes, size_t n) {
        if (!s->own || BIO_write(SSL_get_rbio(s->own), bytes, (int) n) != (int) n)
                return -EPROTO;
        return s->state == SECURITY_HANDSHAKE ? go_on(s, SSL_connect(s->own)) : 0;
}

ssize_t security_tls_read(Security *s, uint8_t *buffer, size_t n) {
        int got;

        if (!s->own || s->state != SECURITY_ESTABLISHED)
                return 0;
        ERR_clear_error();
        got = SSL_read(s->own, buffer, (int) n);
        return got > 0 ? got : go_on(s, got);
}

int security_tls_write(Security *s, const uint8_t *bytes, size_t n) {
        ERR_clear_error();
        return s->own && SSL_write(s->own, bytes, (int) n) == (int) n ? 0 : -EPROTO;
}

bool security_tls_has_alpn(const Security *s) {
        const unsigned char *name;
        unsigned n;

        if (!s->own)
                return false;
        SSL_get0_alpn_selected(s->own, &name, &n); /* no other than ours could be */
        return n > 0;
}

void security_tls_end(Security *s) {
        if (!s->own || s->state != SECURITY_ESTABLISHED)
                return;
        SSL_set_quiet_shutdown(s->own, 0);
        (void) SSL_shutdown(s->own);
        ERR_clear_error();
}

void security_tls_output(Security *s, GByteArray *out) {
        uint8_t buffer[4096];
        int n;

        while (s->own && (n = BIO_read(SSL_get_wbio(s->own), buffer, sizeof(buffer))) > 0)
                g_byte_array_append(out, buffer, (guint) n);
}

/* --- failures --- */

static bool expects_authority(const Security *s) {
        return s->credentials->mode == SECURITY_MODE_X509 &&
               (s->credentials->usage == USAGE_CA_CONSTRAINT ||
                s->credentials->usage == USAGE_TRUST_ANCHOR);
}

int security_failure(const Security *s, bool silent, char **ret_text) {
        if (s->plain && s->verify == X509_V_OK)
                return security_plain_failure(silent, ret_text);
        return security_reason(&(HandshakeEnd){ .verify = s->verify,
                                                .authority = expects_authority(s),
                                                .alert = s->alert_in,
                                                .error = s->error,
                                                .silent = silent,
                                                .heard = s->heard,
                                                .finished = s->finished,
                                                .psk = !s->material.key,
                                                .own_key = s->token_error,
                                                .established = s->was_established },
                               ret_text);
}
