/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/cipher_suite.h"

#include <glib.h>

static const CipherSuite suites[] = {
        { 0xc0a8, CIPHER_PSK, true, "TLS_PSK_WITH_AES_128_CCM_8" },
        { 0x00a8, CIPHER_PSK, true, "TLS_PSK_WITH_AES_128_GCM_SHA256" },
        { 0xc0a4, CIPHER_PSK, true, "TLS_PSK_WITH_AES_128_CCM" },
        { 0x00a9, CIPHER_PSK, true, "TLS_PSK_WITH_AES_256_GCM_SHA384" },
        { 0xccab, CIPHER_PSK, true, "TLS_PSK_WITH_CHACHA20_POLY1305_SHA256" },
        { 0xccac, CIPHER_PSK, false, "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256" },
        { 0xc0a5, CIPHER_PSK, false, "TLS_PSK_WITH_AES_256_CCM" },
        { 0xc0a9, CIPHER_PSK, false, "TLS_PSK_WITH_AES_256_CCM_8" },
        { 0xc037, CIPHER_PSK, false, "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256" },
        { 0x00ae, CIPHER_PSK, false, "TLS_PSK_WITH_AES_128_CBC_SHA256" },
        { 0xc0ae, CIPHER_CERTIFICATE, true, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8" },
        { 0xc02b, CIPHER_CERTIFICATE, true, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" },
        { 0xc0ac, CIPHER_CERTIFICATE, true, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM" },
        { 0xc02c, CIPHER_CERTIFICATE, true, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" },
        { 0xcca9, CIPHER_CERTIFICATE, true, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" },
        { 0xc02f, CIPHER_CERTIFICATE, true, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" },
        { 0xc030, CIPHER_CERTIFICATE, true, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" },
        { 0xcca8, CIPHER_CERTIFICATE, false, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" },
        { 0xc0ad, CIPHER_CERTIFICATE, false, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM" },
        { 0xc0af, CIPHER_CERTIFICATE, false, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8" },
        { 0xc023, CIPHER_CERTIFICATE, false, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256" },
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
