/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What an OSCORE security context is derived from (RFC 8613, section 3.2): one instance of object
 * 21 and its place in the tree. An account in object 0 links to it (0/x/17), and then OSCORE MUST
 * be used there. */
#include <glib.h>
#include <stdint.h>

#include "model/tree.h"

enum { /* resources of object 21 */
       OSCORE_SECRET = 0,
       OSCORE_SENDER_ID = 1,
       OSCORE_RECIPIENT_ID = 2,
       OSCORE_AEAD = 3,
       OSCORE_HMAC = 4,
       OSCORE_SALT = 5,
       OSCORE_ID_CONTEXT = 6,
};

#define OSCORE_SECRET_MAX 255u
#define OSCORE_SALT_MAX 255u
#define OSCORE_ID_CONTEXT_MAX 64u
#define OSCORE_AEAD_DEFAULT 10    /* AES-CCM-16-64-128: RFC 8613, section 3.2.1 */
#define OSCORE_HKDF_DEFAULT (-10) /* HKDF SHA-256 */

typedef struct OscoreAead { /* of the IANA registry "COSE Algorithms" */
        int64_t number;
        const char *name;
        uint8_t n_key, n_nonce, n_tag; /* bytes */
} OscoreAead;

typedef struct OscoreKeys {
        GBytes *secret;                   /* wiped when the last owner lets go */
        GBytes *sender_id, *recipient_id; /* may be of no bytes */
        GBytes *salt, *id_context;        /* of no bytes: none */
        int64_t aead, hkdf;               /* COSE numbers */
        char *fault; /* why the link of the account leads to nothing usable; NULL: it does */
} OscoreKeys;

OscoreKeys *oscore_keys_new(void);                 /* of empty bytes, with the default algorithms */
OscoreKeys *oscore_keys_copy(const OscoreKeys *k); /* NULL is fine */
OscoreKeys *oscore_keys_free(OscoreKeys *k);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OscoreKeys, oscore_keys_free)
bool oscore_keys_equal(const OscoreKeys *a, const OscoreKeys *b); /* NULL is none */

/* NULL when the account in instance `security` of object 0 has no link. What is wrong with what it
 * links to is in `fault`: never is an account without OSCORE because its keys are broken. */
OscoreKeys *oscore_keys_load(const Tree *tree, uint16_t security);
/* Makes an instance of object 21 and the link to it, within the caller's transaction. -ENOENT: an
 * object 0 of an older version, which has no such link. */
int oscore_keys_store(const OscoreKeys *k, Tree *tree, uint16_t security);
/* 0, -ENOKEY something is missing, -EINVAL; *ret_error (g_free()) says what, without a byte of it.
 */
int oscore_keys_check(const OscoreKeys *k, char **ret_error);

const OscoreAead *oscore_aead(int64_t number);           /* NULL: not one of ours */
const OscoreAead *oscore_aead_by_name(const char *text); /* or number */
/* The hash function of the key derivation: "SHA256" …, NULL: not one of ours. */
const char *oscore_hkdf_hash(int64_t number);
int oscore_hkdf_parse(const char *text, int64_t *ret); /* name or number; -EINVAL */
