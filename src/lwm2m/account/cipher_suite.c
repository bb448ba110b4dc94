/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/account/cipher_suite.h"

#include <glib.h>

static const CipherSuite suites[] = {
        { "TLS_PSK_WITH_AES_128_CCM_8", CIPHER_PSK, 0xc0a8, true },
        { "TLS_PSK_WITH_AES_128_GCM_SHA256", CIPHER_PSK, 0x00a8, true },
        { "TLS_PSK_WITH_AES_128_CCM", CIPHER_PSK, 0xc0a4, true },
        { "TLS_PSK_WITH_AES_256_GCM_SHA384", CIPHER_PSK, 0x00a9, true },
        { "TLS_PSK_WITH_CHACHA20_POLY1305_SHA256", CIPHER_PSK, 0xccab, true },
        { "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256", CIPHER_PSK, 0xccac, false },
        { "TLS_PSK_WITH_AES_256_CCM", CIPHER_PSK, 0xc0a5, false },
        { "TLS_PSK_WITH_AES_256_CCM_8", CIPHER_PSK, 0xc0a9, false },
        { "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256", CIPHER_PSK, 0xc037, false },
        { "TLS_PSK_WITH_AES_128_CBC_SHA256", CIPHER_PSK, 0x00ae, false },
        { "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", CIPHER_CERTIFICATE, 0xc0ae, true },
        { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", CIPHER_CERTIFICATE, 0xc02b, true },
        { "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", CIPHER_CERTIFICATE, 0xc0ac, true },
        { "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", CIPHER_CERTIFICATE, 0xc02c, true },
        { "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", CIPHER_CERTIFICATE, 0xcca9, true },
        { "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", CIPHER_CERTIFICATE, 0xc02f, true },
        { "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", CIPHER_CERTIFICATE, 0xc030, true },
        { "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", CIPHER_CERTIFICATE, 0xcca8, false },
        { "TLS_ECDHE_ECDSA_WITH_AES_256_CCM", CIPHER_CERTIFICATE, 0xc0ad, false },
        { "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8", CIPHER_CERTIFICATE, 0xc0af, false },
        { "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", CIPHER_CERTIFICATE, 0xc023, false },
};

const CipherSuite *cipher_suite_at(size_t i) {
        return i < G_N_ELEMENTS(suites) ? &suites[i] : NULL;
}

const CipherSuite *cipher_suite_by_number(uint64_t number) {
        for (size_t i = 0; i < G_N_ELEMENTS(suites); i++)
                if (suites[i].number == number)
                        return &suites[i];
        return NULL;
}

const CipherSuite *cipher_suite_by_name(const char *name) {
        for (size_t i = 0; i < G_N_ELEMENTS(suites); i++)
                if (g_ascii_strcasecmp(suites[i].name, name) == 0)
                        return &suites[i];
        return NULL;
}
