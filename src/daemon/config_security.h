/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The keys of [Server NAME] that are about security. */
#include "daemon/config_where.h"
#include "lwm2m/account/credentials.h"

typedef struct SecurityTexts { /* as they stand in the file; NULL without */
        char *mode, *identity, *key, *key_file, *certificate_file, *trust_file, *server_file;
        char *usage, *matching, *sni, *suites;
        char *oscore_sender_id, *oscore_recipient_id, *oscore_secret, *oscore_secret_file;
        char *oscore_salt, *oscore_id_context, *oscore_aead, *oscore_hkdf;
} SecurityTexts;

/* 0, or -ENOENT: not one of these keys. */
int config_security_set(SecurityTexts *t, const char *name, const char *text);
/* NULL in *ret without any. Errors and directory as credentials_build(); *ret_error begins with the
 * key it is about where that is known. */
int config_security_build(const SecurityTexts *t, const char *directory, Credentials **ret,
                          char **ret_error);
/* What was wrong with it for people: "file:line: [group] Key: …", with the names of keys in place
 * of resources of object 0. g_free() */
char *config_security_explain(const SecurityTexts *t, const ConfigWhere *where, const char *group,
                              const char *error);
/* The names in [Security] Providers=; NULL for none. g_strfreev() */
char **config_security_providers(const char *text);
/* What is wrong with a key of [Security]; NULL: nothing. g_free() */
char *config_security_check(const char *name, const char *text);
void config_security_clear(SecurityTexts *t); /* wipes */
