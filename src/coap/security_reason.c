/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/security_reason.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

typedef struct Reason {
        int code, error;
        const char *text;
} Reason;

static const Reason *find_reason(const Reason *table, size_t n, long code) {
        for (size_t i = 0; i < n; i++)
                if (table[i].code == code)
                        return &table[i];
        return NULL;
}

/* Numbers that OpenSSL has no name for: RFC 5246, section 7.2; RFC 8446, section 6; and
 * reserved ones of older versions, which a server may still send. */
#define ALERT_DECRYPTION_FAILED 21
#define ALERT_NO_CERTIFICATE 41
#define ALERT_EXPORT_RESTRICTION 60
#define ALERT_INAPPROPRIATE_FALLBACK 86
#define ALERT_MISSING_EXTENSION 109
#define ALERT_NO_APPLICATION_PROTOCOL 120

#define ANOTHER_KEY "the server has another key"
#define OUR_FAULT "the server cannot make sense of what we say"

static const Reason alerts[] = {
        { SSL_AD_CLOSE_NOTIFY, -ECONNRESET, "the server has closed the session" },
        { SSL_AD_UNEXPECTED_MESSAGE, -EPROTO, OUR_FAULT " (unexpected message)" },
        { SSL_AD_BAD_RECORD_MAC, -EKEYREJECTED, ANOTHER_KEY },
        { ALERT_DECRYPTION_FAILED, -EKEYREJECTED, ANOTHER_KEY },
        { SSL_AD_RECORD_OVERFLOW, -EPROTO, OUR_FAULT " (a record too long)" },
        { SSL_AD_DECOMPRESSION_FAILURE, -EPROTO, OUR_FAULT " (compression)" },
        { SSL_AD_HANDSHAKE_FAILURE, -EKEYREJECTED,
          "the server refuses the handshake: no cipher suite or no kind of credentials in common" },
        { ALERT_NO_CERTIFICATE, -EKEYREJECTED, "the server has no certificate" },
        { SSL_AD_BAD_CERTIFICATE, -EKEYREJECTED, "the server finds our certificate bad" },
        { SSL_AD_UNSUPPORTED_CERTIFICATE, -EKEYREJECTED,
          "the server does not take certificates like ours" },
        { SSL_AD_CERTIFICATE_REVOKED, -EKEYREJECTED, "our certificate was revoked" },
        { SSL_AD_CERTIFICATE_EXPIRED, -EKEYEXPIRED, "our certificate has expired" },
        { SSL_AD_CERTIFICATE_UNKNOWN, -EKEYREJECTED, "the server does not accept our certificate" },
        { SSL_AD_ILLEGAL_PARAMETER, -EPROTO, OUR_FAULT " (an illegal parameter)" },
        { SSL_AD_UNKNOWN_CA, -EKEYREJECTED,
          "the server does not know the authority that issued our certificate" },
        { SSL_AD_ACCESS_DENIED, -EKEYREJECTED, "the server denies us access" },
        { SSL_AD_DECODE_ERROR, -EPROTO, OUR_FAULT " (a length is wrong)" },
        { SSL_AD_DECRYPT_ERROR, -EKEYREJECTED, ANOTHER_KEY },
        { ALERT_EXPORT_RESTRICTION, -EPROTO, "the server follows export rules of old" },
        { SSL_AD_PROTOCOL_VERSION, -EPROTO, "the server has no (D)TLS 1.2" },
        { SSL_AD_INSUFFICIENT_SECURITY, -EPROTO, "the server wants stronger cipher suites" },
        { SSL_AD_INTERNAL_ERROR, -EPROTO, "the server has an internal error" },
        { ALERT_INAPPROPRIATE_FALLBACK, -EPROTO,
          "the server takes us for somebody forced to an older version" },
        { SSL_AD_USER_CANCELLED, -EPROTO, "the server has broken off the handshake" },
        { SSL_AD_NO_RENEGOTIATION, -EPROTO, "the server makes no second handshake in a session" },
        { ALERT_MISSING_EXTENSION, -EPROTO, "the server misses an extension of TLS 1.3" },
        { SSL_AD_UNSUPPORTED_EXTENSION, -EPROTO, "the server does not like an extension of ours" },
        { SSL_AD_CERTIFICATE_UNOBTAINABLE, -EPROTO,
          "the server cannot fetch our certificate from its URL" },
        { SSL_AD_UNRECOGNIZED_NAME, -EPROTO, "the server does not know its name (SNI)" },
        { SSL_AD_BAD_CERTIFICATE_STATUS_RESPONSE, -EPROTO,
          "the server finds the status of a certificate bad (OCSP)" },
        { SSL_AD_BAD_CERTIFICATE_HASH_VALUE, -EKEYREJECTED,
          "the server was given another certificate than its hash says" },
        { SSL_AD_UNKNOWN_PSK_IDENTITY, -EKEYREJECTED, "the server does not know our identity" },
        { SSL_AD_CERTIFICATE_REQUIRED, -EKEYREJECTED, "the server wants a certificate of ours" },
        { ALERT_NO_APPLICATION_PROTOCOL, -EPROTO,
          "the server has no application protocol in common with us (ALPN)" },
};

static const Reason verdicts[] = {
        { X509_V_ERR_DANE_NO_MATCH, -EKEYREJECTED,
          "the server's certificate or key is not the one expected (0/x/4)" },
        { X509_V_ERR_HOSTNAME_MISMATCH, -EKEYREJECTED,
          "the server's certificate is for another name" },
        { X509_V_ERR_IP_ADDRESS_MISMATCH, -EKEYREJECTED,
          "the server's certificate is for another address" },
        { X509_V_ERR_CERT_HAS_EXPIRED, -EKEYEXPIRED, "the server's certificate has expired" },
        { X509_V_ERR_CERT_NOT_YET_VALID, -EKEYEXPIRED,
          "the server's certificate is not valid yet (is the clock right?)" },
        { X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, -EKEYREJECTED,
          "the server's certificate is signed by itself and by no authority we know" },
        { X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, -EKEYREJECTED,
          "the server's certificate is of an authority we do not know" },
        { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, -EKEYREJECTED,
          "the server's certificate is of an authority we do not know" },
        { X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, -EKEYREJECTED,
          "the server's certificate is of an authority we do not know" },
        { X509_V_ERR_CERT_UNTRUSTED, -EKEYREJECTED,
          "the server's certificate is of an authority we do not know" },
        { X509_V_ERR_INVALID_PURPOSE, -EKEYREJECTED,
          "the server's certificate is not for servers" },
        { X509_V_ERR_CERT_REVOKED, -EKEYREJECTED, "the server's certificate was revoked" },
        { X509_V_ERR_EE_KEY_TOO_SMALL, -EKEYREJECTED, "the server's key is too small" },
        { X509_V_ERR_CA_KEY_TOO_SMALL, -EKEYREJECTED,
          "the key of the server's authority is too small" },
        { X509_V_ERR_CA_MD_TOO_WEAK, -EKEYREJECTED,
          "the server's certificate has a signature too weak" },
};

static const Reason wrong_authority = {
        X509_V_ERR_DANE_NO_MATCH, -EKEYREJECTED,
        "the server's certificate is not of the authority expected (0/x/4)"
};

static const Reason silences[] = {
        { 0, -ETIMEDOUT, "no answer to the handshake" },
        { 1, -ETIMEDOUT, "the server has gone silent in the middle of the handshake" },
        { 2, -EKEYREJECTED,
          "the server does not answer the end of the handshake: it has another key for our "
          "identity, or does not know it" },
        { 3, -EKEYREJECTED, "the server went silent after our certificate" },
};

static const Reason *explain_silence(const HandshakeEnd *end) {
        if (!end->finished)
                return &silences[end->heard ? 1 : 0];
        return &silences[end->psk ? 2 : 3];
}

static const Reason *explain_verdict(const HandshakeEnd *end) {
        if (end->verify == X509_V_ERR_DANE_NO_MATCH && end->authority)
                return &wrong_authority;
        return find_reason(verdicts, G_N_ELEMENTS(verdicts), end->verify);
}

/* What the tables do not have, in OpenSSL's words. */
static int explain_rest(const HandshakeEnd *end, char **ret_text) {
        const char *reason = end->error ? ERR_reason_error_string(end->error) : NULL;

        if (end->verify != X509_V_OK) {
                *ret_text = g_strdup_printf("the server's certificate is refused: %s",
                                            X509_verify_cert_error_string(end->verify));
                return -EKEYREJECTED;
        }
        if (end->alert >= 0)
                *ret_text = g_strdup_printf("alert %d of the server: %s", end->alert,
                                            SSL_alert_desc_string_long(end->alert));
        else if (reason)
                *ret_text = g_strdup_printf("the handshake failed: %s", reason);
        else
                *ret_text = g_strdup("the session has ended");
        return -EPROTO;
}

/* Of what it means in a handshake nothing is true any more. */
static bool is_end_of_session(const HandshakeEnd *end) {
        return end->established && end->alert >= 0 && end->alert != SSL_AD_CLOSE_NOTIFY;
}

int security_reason(const HandshakeEnd *end, char **ret_text) {
        const Reason *r = NULL;

        if (end->own_key) {
                *ret_text = g_strdup_printf("our private key cannot sign: %s", end->own_key);
                return -EKEYREJECTED;
        }
        if (is_end_of_session(end)) {
                *ret_text = g_strdup_printf("the server has broken off the session (alert %d, %s)",
                                            end->alert, SSL_alert_desc_string_long(end->alert));
                return -ECONNRESET;
        }
        if (end->verify != X509_V_OK)
                r = explain_verdict(end);
        else if (end->alert >= 0)
                r = find_reason(alerts, G_N_ELEMENTS(alerts), end->alert);
        else if (end->silent)
                r = explain_silence(end);
        if (!r)
                return explain_rest(end, ret_text);
        *ret_text = g_strdup(r->text);
        return r->error;
}
