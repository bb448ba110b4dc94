/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/account/oscore_keys.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lwm2m/account/account.h"
#include "util/complain.h"
#include "util/parse.h"

/* Those of RFC 9053 that OpenSSL has. An identifier has room for 6 bytes less than the nonce, so
 * with the short nonces of AES-CCM-64-… one byte is left for it. */
static const OscoreAead aeads[] = {
        { 10, "AES-CCM-16-64-128", 16, 13, 8 },
        { 11, "AES-CCM-16-64-256", 32, 13, 8 },
        { 30, "AES-CCM-16-128-128", 16, 13, 16 },
        { 31, "AES-CCM-16-128-256", 32, 13, 16 },
        { 12, "AES-CCM-64-64-128", 16, 7, 8 },
        { 13, "AES-CCM-64-64-256", 32, 7, 8 },
        { 32, "AES-CCM-64-128-128", 16, 7, 16 },
        { 33, "AES-CCM-64-128-256", 32, 7, 16 },
        { 1, "A128GCM", 16, 12, 16 },
        { 2, "A192GCM", 24, 12, 16 },
        { 3, "A256GCM", 32, 12, 16 },
        { 24, "ChaCha20/Poly1305", 32, 12, 16 },
};

/* The object speaks of the hash by the numbers of the HMAC algorithms (RFC 8152, table 7), servers
 * write those of the key derivation (table 12), too: both mean the same HKDF. */
static const struct {
        int64_t number;
        const char *name, *hash;
} hkdfs[] = {
        { OSCORE_HKDF_DEFAULT, "HKDF-SHA-256", "SHA256" },
        { -11, "HKDF-SHA-512", "SHA512" },
        { 5, "HMAC 256/256", "SHA256" },
        { 6, "HMAC 384/384", "SHA384" },
        { 7, "HMAC 512/512", "SHA512" },
};

/* --- algorithms --- */

static bool parse_number(const char *text, int64_t *ret) {
        char *end;

        *ret = g_ascii_strtoll(text, &end, 10);
        return end != text && *end == '\0';
}

const OscoreAead *oscore_aead(int64_t number) {
        for (size_t i = 0; i < G_N_ELEMENTS(aeads); i++)
                if (aeads[i].number == number)
                        return &aeads[i];
        return NULL;
}

const OscoreAead *oscore_aead_by_name(const char *text) {
        int64_t number;

        for (size_t i = 0; i < G_N_ELEMENTS(aeads); i++)
                if (g_ascii_strcasecmp(aeads[i].name, text) == 0)
                        return &aeads[i];
        return parse_number(text, &number) ? oscore_aead(number) : NULL;
}

const char *oscore_hkdf_hash(int64_t number) {
        for (size_t i = 0; i < G_N_ELEMENTS(hkdfs); i++)
                if (hkdfs[i].number == number)
                        return hkdfs[i].hash;
        return NULL;
}

int oscore_hkdf_parse(const char *text, int64_t *ret) {
        int64_t number;

        for (size_t i = 0; i < G_N_ELEMENTS(hkdfs); i++)
                if (g_ascii_strcasecmp(hkdfs[i].name, text) == 0) {
                        *ret = hkdfs[i].number;
                        return 0;
                }
        if (!parse_number(text, &number) || !oscore_hkdf_hash(number))
                return -EINVAL;
        *ret = number;
        return 0;
}

/* --- life --- */

OscoreKeys *oscore_keys_new(void) {
        OscoreKeys *k = g_new0(OscoreKeys, 1);

        k->secret = credentials_bytes(NULL, 0);
        k->sender_id = g_bytes_ref(k->secret);
        k->recipient_id = g_bytes_ref(k->secret);
        k->salt = g_bytes_ref(k->secret);
        k->id_context = g_bytes_ref(k->secret);
        k->aead = OSCORE_AEAD_DEFAULT;
        k->hkdf = OSCORE_HKDF_DEFAULT;
        return k;
}

OscoreKeys *oscore_keys_copy(const OscoreKeys *k) {
        OscoreKeys *copy;

        if (!k)
                return NULL;
        copy = g_memdup2(k, sizeof(*k));
        g_bytes_ref(k->secret);
        g_bytes_ref(k->sender_id);
        g_bytes_ref(k->recipient_id);
        g_bytes_ref(k->salt);
        g_bytes_ref(k->id_context);
        copy->fault = g_strdup(k->fault);
        return copy;
}

OscoreKeys *oscore_keys_free(OscoreKeys *k) {
        if (!k)
                return NULL;
        g_bytes_unref(k->secret);
        g_bytes_unref(k->sender_id);
        g_bytes_unref(k->recipient_id);
        g_bytes_unref(k->salt);
        g_bytes_unref(k->id_context);
        g_free(k->fault);
        g_free(k);
        return NULL;
}

bool oscore_keys_equal(const OscoreKeys *a, const OscoreKeys *b) {
        if (!a || !b)
                return a == b;
        return a->aead == b->aead && a->hkdf == b->hkdf && g_strcmp0(a->fault, b->fault) == 0 &&
               g_bytes_equal(a->secret, b->secret) && g_bytes_equal(a->sender_id, b->sender_id) &&
               g_bytes_equal(a->recipient_id, b->recipient_id) && g_bytes_equal(a->salt, b->salt) &&
               g_bytes_equal(a->id_context, b->id_context);
}

/* --- in the tree --- */

/* False: the resource is not there. */
static bool load_bytes(const Tree *tree, uint16_t instance, uint16_t resource, GBytes **where) {
        const Value *v = tree_value(tree, &PATH_OIR(OBJECT_OSCORE, instance, resource));

        if (!v || v->type != VALUE_OPAQUE)
                return false;
        g_bytes_unref(*where);
        *where = credentials_bytes(v->data, v->length);
        return true;
}

static void load_number(const Tree *tree, uint16_t instance, uint16_t resource, int64_t *where) {
        const Value *v = tree_value(tree, &PATH_OIR(OBJECT_OSCORE, instance, resource));
        Value n;

        if (v && value_convert(v, VALUE_INTEGER, &n) == 0)
                *where = n.i;
}

static void load_instance(OscoreKeys *k, const Tree *tree, uint16_t i) {
        static const char *const names[] = { "Master Secret", "Sender ID", "Recipient ID" };
        GBytes **const needed[] = { &k->secret, &k->sender_id, &k->recipient_id };

        for (uint16_t r = 0; r < G_N_ELEMENTS(needed) && !k->fault; r++)
                if (!load_bytes(tree, i, r, needed[r]))
                        k->fault = g_strdup_printf("no OSCORE %s (/21/%u/%u)", names[r], i, r);
        load_bytes(tree, i, OSCORE_SALT, &k->salt);
        load_bytes(tree, i, OSCORE_ID_CONTEXT, &k->id_context);
        load_number(tree, i, OSCORE_AEAD, &k->aead);
        load_number(tree, i, OSCORE_HMAC, &k->hkdf);
}

OscoreKeys *oscore_keys_load(const Tree *tree, uint16_t security) {
        const Value *link = tree_value(tree, &PATH_OIR(OBJECT_SECURITY, security, SECURITY_OSCORE));
        OscoreKeys *k;

        /* 65535:65535 is the null link. */
        if (!link || link->type != VALUE_OBJLNK ||
            (link->link.object == UINT16_MAX && link->link.instance == UINT16_MAX))
                return NULL;
        k = oscore_keys_new();
        if (link->link.object != OBJECT_OSCORE)
                k->fault = g_strdup_printf("/0/%u/17 links to object %u, not to object 21",
                                           security, link->link.object);
        else if (!tree_exists(tree, &PATH_OI(OBJECT_OSCORE, link->link.instance)))
                k->fault = g_strdup_printf("/0/%u/17: there is no /21/%u", security,
                                           link->link.instance);
        else
                load_instance(k, tree, link->link.instance);
        return k;
}

static int set(Tree *tree, uint16_t object, uint16_t instance, uint16_t resource, Value v) {
        int r = tree_set(tree, &PATH_OIR(object, instance, resource), &v);

        value_clear(&v);
        return r;
}

static int set_bytes(Tree *tree, uint16_t instance, uint16_t resource, GBytes *bytes) {
        gsize n;
        const void *data = g_bytes_get_data(bytes, &n);

        return set(tree, OBJECT_OSCORE, instance, resource,
                   value_text(VALUE_OPAQUE, data ? data : "", n));
}

static int set_optional(Tree *tree, uint16_t instance, const OscoreKeys *k) {
        int r = 0;

        if (k->aead != OSCORE_AEAD_DEFAULT)
                r = set(tree, OBJECT_OSCORE, instance, OSCORE_AEAD,
                        (Value){ .type = VALUE_INTEGER, .i = k->aead });
        if (r >= 0 && k->hkdf != OSCORE_HKDF_DEFAULT)
                r = set(tree, OBJECT_OSCORE, instance, OSCORE_HMAC,
                        (Value){ .type = VALUE_INTEGER, .i = k->hkdf });
        if (r >= 0 && g_bytes_get_size(k->salt) > 0)
                r = set_bytes(tree, instance, OSCORE_SALT, k->salt);
        if (r >= 0 && g_bytes_get_size(k->id_context) > 0)
                r = set_bytes(tree, instance, OSCORE_ID_CONTEXT, k->id_context);
        return r;
}

int oscore_keys_store(const OscoreKeys *k, Tree *tree, uint16_t security) {
        uint16_t i;
        int r;

        if ((r = tree_free_instance_id(tree, OBJECT_OSCORE, &i)) < 0 ||
            (r = tree_create(tree, OBJECT_OSCORE, i, (Version){ 0, 0 })) < 0 ||
            (r = set_bytes(tree, i, OSCORE_SECRET, k->secret)) < 0 ||
            (r = set_bytes(tree, i, OSCORE_SENDER_ID, k->sender_id)) < 0 ||
            (r = set_bytes(tree, i, OSCORE_RECIPIENT_ID, k->recipient_id)) < 0 ||
            (r = set_optional(tree, i, k)) < 0)
                return r;
        return set(tree, OBJECT_SECURITY, security, SECURITY_OSCORE,
                   (Value){ .type = VALUE_OBJLNK,
                            .link = { .object = OBJECT_OSCORE, .instance = i } });
}

/* --- checks --- */

int oscore_keys_check(const OscoreKeys *k, char **ret_error) {
        const OscoreAead *aead = oscore_aead(k->aead);
        gsize id_max;

        if (k->fault)
                return complain(ret_error, -ENOKEY, "%s", k->fault);
        if (g_bytes_get_size(k->secret) == 0)
                return complain(ret_error, -ENOKEY, "the OSCORE Master Secret is empty");
        if (!aead)
                return complain(ret_error, -EINVAL,
                                "OSCORE AEAD algorithm %" PRId64 " is not one this version has",
                                k->aead);
        if (!oscore_hkdf_hash(k->hkdf))
                return complain(ret_error, -EINVAL,
                                "OSCORE HMAC algorithm %" PRId64 " is not one this version has",
                                k->hkdf);
        id_max = aead->n_nonce - 6u;
        if (g_bytes_get_size(k->sender_id) > id_max || g_bytes_get_size(k->recipient_id) > id_max)
                return complain(ret_error, -EINVAL,
                                "OSCORE Sender and Recipient IDs have at most %zu bytes with %s",
                                id_max, aead->name);
        /* Otherwise both sides would encrypt with the same key and nonces (section 3.3). */
        if (g_bytes_equal(k->sender_id, k->recipient_id))
                return complain(ret_error, -EINVAL,
                                "the OSCORE Sender ID and Recipient ID are the same");
        if (g_bytes_get_size(k->secret) > OSCORE_SECRET_MAX ||
            g_bytes_get_size(k->salt) > OSCORE_SALT_MAX ||
            g_bytes_get_size(k->id_context) > OSCORE_ID_CONTEXT_MAX)
                return complain(ret_error, -EINVAL,
                                "an OSCORE Master Secret or Salt has at most 255 bytes, an ID "
                                "Context %u",
                                OSCORE_ID_CONTEXT_MAX);
        return 0;
}
