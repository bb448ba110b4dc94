/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The options of Manager.AddServer that are about security. Secrets come as descriptors or as names
 * of files, never inside a message. */
#include "bus/variant.h"
#include "lwm2m/account/credentials.h"

typedef struct ServerSecurity {
        const char *mode, *usage, *matching, *sni;
        const char *psk_file, *key_file, *certificate_file, *trust_file, *server_file;
        int psk, key, certificate, trust, server; /* descriptors of regular files or memfds */
        GBytes *identity;
        char **suites;
        GBytes *oscore_sender_id, *oscore_recipient_id, *oscore_salt, *oscore_id_context;
        const char *oscore_secret_file, *oscore_aead, *oscore_hkdf;
        int oscore_secret; /* as the other descriptors */
} ServerSecurity;

#define SERVER_SECURITY_INIT                                                                       \
        ((ServerSecurity){ .psk = -1,                                                              \
                           .key = -1,                                                              \
                           .certificate = -1,                                                      \
                           .trust = -1,                                                            \
                           .server = -1,                                                           \
                           .oscore_secret = -1 })
/* For a table of Option. */
#define SERVER_SECURITY_OPTIONS(s)                                                                 \
        { "security", OPTION_TEXT, &(s).mode }, { "usage", OPTION_TEXT, &(s).usage },              \
                { "matching", OPTION_TEXT, &(s).matching }, { "sni", OPTION_TEXT, &(s).sni },      \
                { "identity", OPTION_BYTES, &(s).identity },                                       \
                { "psk_file", OPTION_TEXT, &(s).psk_file }, { "psk", OPTION_FD, &(s).psk },        \
                { "key_file", OPTION_TEXT, &(s).key_file }, { "key", OPTION_FD, &(s).key },        \
                { "certificate_file", OPTION_TEXT, &(s).certificate_file },                        \
                { "certificate", OPTION_FD, &(s).certificate },                                    \
                { "trust_file", OPTION_TEXT, &(s).trust_file },                                    \
                { "trust", OPTION_FD, &(s).trust },                                                \
                { "server_file", OPTION_TEXT, &(s).server_file },                                  \
                { "server", OPTION_FD, &(s).server },                                              \
                { "oscore_sender_id", OPTION_BYTES, &(s).oscore_sender_id },                       \
                { "oscore_recipient_id", OPTION_BYTES, &(s).oscore_recipient_id },                 \
                { "oscore_secret_file", OPTION_TEXT, &(s).oscore_secret_file },                    \
                { "oscore_secret", OPTION_FD, &(s).oscore_secret },                                \
                { "oscore_salt", OPTION_BYTES, &(s).oscore_salt },                                 \
                { "oscore_id_context", OPTION_BYTES, &(s).oscore_id_context },                     \
                { "oscore_aead", OPTION_TEXT, &(s).oscore_aead },                                  \
                { "oscore_hkdf", OPTION_TEXT, &(s).oscore_hkdf }, {                                \
                "cipher_suites", OPTION_TEXTS, &(s).suites                                         \
        }

/* NULL in *ret without any option. Errors as credentials_build(). */
int server_security_build(const ServerSecurity *s, const char *directory, Credentials **ret,
                          char **ret_error);
/* Never NULL; what the options leave open is as in base (NULL: nothing there). */
int server_security_build_on(const ServerSecurity *s, const Credentials *base,
                             const char *directory, Credentials **ret, char **ret_error);
void server_security_clear(ServerSecurity *s);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ServerSecurity, server_security_clear)
