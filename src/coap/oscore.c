/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/oscore.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "coap/frame.h"
#include "coap/oscore_crypto.h"

#define ID_MAX_BYTES 7u /* nonce without 6 bytes: section 3.3 */
#define HEAD 4u         /* bytes of a message before the token */
#define VERSION 1u
#define NUMBER_MAX_BYTES 5u
/* Of the option's first byte (section 6.1). */
#define FLAG_NUMBER 0x07
#define FLAG_ID 0x08
#define FLAG_CONTEXT 0x10
#define FLAG_RESERVED 0xe0
#define OPTION_VALUE_MAX (1 + NUMBER_MAX_BYTES + 1 + OSCORE_ID_CONTEXT_MAX + ID_MAX_BYTES)
#define AAD_MAX 64u
/* Longest: three strings of bytes, and a few short items around them. */
#define INFO_MAX (ID_MAX_BYTES + OSCORE_ID_CONTEXT_MAX + 32u)

typedef struct Id {
        uint8_t v[ID_MAX_BYTES], n;
} Id;

struct Oscore {
        const OscoreAead *aead;
        Id sender, recipient;
        uint8_t context[OSCORE_ID_CONTEXT_MAX];
        size_t n_context;
        uint8_t sender_key[OSCORE_KEY_MAX], recipient_key[OSCORE_KEY_MAX], iv[OSCORE_NONCE_MAX];
        char name[2 * OSCORE_NAME_HALF + 1];
};

/* --- numbers --- */

/* As short as it can be, but of one byte at least. */
OscoreNumber oscore_number(uint64_t number) {
        OscoreNumber r = { .n = 1 };

        while (r.n < NUMBER_MAX_BYTES && number >> 8 * r.n > 0)
                r.n++;
        for (unsigned i = 0; i < r.n; i++)
                r.v[i] = (uint8_t) (number >> 8 * (r.n - 1 - i));
        return r;
}

uint64_t oscore_number_value(const OscoreNumber *n) {
        uint64_t v = 0;

        for (unsigned i = 0; i < n->n; i++)
                v = v << 8 | n->v[i];
        return v;
}

/* --- the few bits of CBOR (RFC 8949) --- */

enum { CBOR_UNSIGNED = 0, CBOR_NEGATIVE = 1, CBOR_BYTES = 2, CBOR_TEXT = 3, CBOR_ARRAY = 4 };
#define CBOR_NULL 0xf6

/* Nothing here is longer than 255. */
static void put_head(OptionWriter *w, uint8_t major, uint8_t n) {
        uint8_t head[2] = { (uint8_t) (major << 5 | (n < 24 ? n : 24)), n };

        option_put(w, head, n < 24 ? 1 : 2);
}

static void put_bytes(OptionWriter *w, const void *data, size_t n) {
        put_head(w, CBOR_BYTES, (uint8_t) n);
        option_put(w, data, n);
}

static void put_text(OptionWriter *w, const char *text) {
        put_head(w, CBOR_TEXT, (uint8_t) strlen(text));
        option_put(w, text, strlen(text));
}

static void put_integer(OptionWriter *w, int64_t v) {
        if (v >= 0)
                put_head(w, CBOR_UNSIGNED, (uint8_t) v);
        else
                put_head(w, CBOR_NEGATIVE, (uint8_t) (-1 - v));
}

/* --- the context --- */

static Id id_of(GBytes *bytes) {
        gsize n;
        const void *data = g_bytes_get_data(bytes, &n);
        Id id = { .n = (uint8_t) MIN(n, ID_MAX_BYTES) };

        if (id.n > 0)
                memcpy(id.v, data, id.n);
        return id;
}

/* Section 3.2.1: HKDF with info = [id, id_context, alg_aead, type, L]. */
static int derive(const Oscore *o, const OscoreKeys *keys, const Id *id, const char *type,
                  uint8_t *out, uint8_t n_out) {
        uint8_t info[INFO_MAX];
        OptionWriter w = { .pos = info, .end = info + sizeof(info) };

        put_head(&w, CBOR_ARRAY, 5);
        put_bytes(&w, id->v, id->n);
        if (o->n_context > 0)
                put_bytes(&w, o->context, o->n_context);
        else
                option_put(&w, "\xf6", 1); /* null */
        put_integer(&w, keys->aead);
        put_text(&w, type);
        put_integer(&w, n_out);
        if (w.error < 0)
                return w.error;
        return oscore_derive_bytes(oscore_hkdf_hash(keys->hkdf), keys->secret, keys->salt, info,
                                   (size_t) (w.pos - info), out, n_out);
}

/* Of the keys themselves, so that keys which come back after they were removed are known again. */
static void name_key(const Oscore *o, const uint8_t *key, char ret[static OSCORE_NAME_HALF + 1]) {
        g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);

        g_checksum_update(sum, (const guchar *) "lwm2md oscore", -1);
        g_checksum_update(sum, key, o->aead->n_key);
        g_checksum_update(sum, o->iv, o->aead->n_nonce);
        g_strlcpy(ret, g_checksum_get_string(sum), OSCORE_NAME_HALF + 1);
}

static void make_name(Oscore *o) {
        name_key(o, o->sender_key, o->name);
        name_key(o, o->recipient_key, o->name + OSCORE_NAME_HALF);
}

int oscore_new(const OscoreKeys *keys, Oscore **ret) {
        static const Id nobody = { .n = 0 };
        g_autoptr(Oscore) o = g_new0(Oscore, 1);
        gsize n;
        const void *context = g_bytes_get_data(keys->id_context, &n);
        int r;

        o->aead = oscore_aead(keys->aead);
        if (!o->aead || n > sizeof(o->context))
                return -EINVAL;
        o->sender = id_of(keys->sender_id);
        o->recipient = id_of(keys->recipient_id);
        o->n_context = n;
        if (n > 0)
                memcpy(o->context, context, n);
        if ((r = derive(o, keys, &o->sender, "Key", o->sender_key, o->aead->n_key)) < 0 ||
            (r = derive(o, keys, &o->recipient, "Key", o->recipient_key, o->aead->n_key)) < 0 ||
            (r = derive(o, keys, &nobody, "IV", o->iv, o->aead->n_nonce)) < 0)
                return r;
        make_name(o);
        *ret = g_steal_pointer(&o);
        return 0;
}

Oscore *oscore_free(Oscore *o) {
        if (o)
                explicit_bzero(o, sizeof(*o));
        g_free(o);
        return NULL;
}

const char *oscore_name(const Oscore *o) {
        return o->name;
}

size_t oscore_overhead(const Oscore *o) {
        /* The option with its header, the marker, the code inside, Observe twice, the tag. */
        return 3 + OPTION_VALUE_MAX - OSCORE_ID_CONTEXT_MAX + o->n_context + 1 + 1 + 4 +
               o->aead->n_tag;
}

/* Section 5.2. whose: who chose the number. */
static void make_nonce(const Oscore *o, const Id *whose, const OscoreNumber *number,
                       uint8_t nonce[static OSCORE_NONCE_MAX]) {
        const size_t n = o->aead->n_nonce;

        memset(nonce, 0, OSCORE_NONCE_MAX);
        nonce[0] = whose->n;
        memcpy(nonce + n - NUMBER_MAX_BYTES - whose->n, whose->v, whose->n);
        memcpy(nonce + n - number->n, number->v, number->n);
        for (size_t i = 0; i < n; i++)
                nonce[i] ^= o->iv[i];
}

/* Section 5.4: of the request, also for its answers. */
static size_t make_aad(const Oscore *o, const Id *whose, const OscoreNumber *request,
                       uint8_t aad[static AAD_MAX]) {
        uint8_t external[AAD_MAX];
        OptionWriter w = { .pos = external, .end = external + sizeof(external) };
        size_t n;

        put_head(&w, CBOR_ARRAY, 5);
        put_integer(&w, VERSION);
        put_head(&w, CBOR_ARRAY, 1);
        put_integer(&w, o->aead->number);
        put_bytes(&w, whose->v, whose->n);
        put_bytes(&w, request->v, request->n);
        put_bytes(&w, NULL, 0);
        n = (size_t) (w.pos - external);
        w = (OptionWriter){ .pos = aad, .end = aad + AAD_MAX };
        put_head(&w, CBOR_ARRAY, 3);
        put_text(&w, "Encrypt0");
        put_bytes(&w, NULL, 0);
        put_bytes(&w, external, n);
        return (size_t) (w.pos - aad);
}

/* --- out --- */

/* Section 6.1; a request says whose it is. */
static size_t write_option(const Oscore *o, bool is_request, const OscoreNumber *own,
                           uint8_t value[static OPTION_VALUE_MAX]) {
        OptionWriter w = { .pos = value + 1, .end = value + OPTION_VALUE_MAX };
        const uint8_t n_context = (uint8_t) o->n_context;

        value[0] = own ? own->n : 0;
        if (own)
                option_put(&w, own->v, own->n);
        if (is_request && n_context > 0) {
                value[0] |= FLAG_CONTEXT;
                option_put(&w, &n_context, 1);
                option_put(&w, o->context, n_context);
        }
        if (is_request) {
                value[0] |= FLAG_ID;
                option_put(&w, o->sender.v, o->sender.n);
        }
        return value[0] == 0 ? 0 : (size_t) (w.pos - value);
}

typedef struct Halves {
        OptionWriter outer, inner;
} Halves;

/* Options are for the inside, but for the server's name and port (those for proxies are not ours to
 * send), and Observe for both: inside a notification it has no value, the number takes its place
 * (section 4.1.3.5). */
static int split_options(Halves *h, bool is_request, const uint8_t *options, size_t n,
                         bool *ret_observe) {
        FrameOption option = { .number = 0 };
        size_t at = 0;
        int r;

        *ret_observe = false;
        while ((r = frame_next_option(options, n, &at, &option)) > 0) {
                bool observe = option.number == OPTION_OBSERVE,
                     outer = option.number == OPTION_URI_HOST || option.number == OPTION_URI_PORT;

                *ret_observe = *ret_observe || observe;
                if (outer || observe)
                        option_write(&h->outer, (uint16_t) option.number, option.value, option.n);
                if (!outer)
                        option_write(&h->inner, (uint16_t) option.number, option.value,
                                     observe && !is_request ? 0 : option.n);
        }
        if (r < 0)
                return r;
        if (at < n) {
                option_put(&h->inner, "\xff", 1);
                option_put(&h->inner, options + at, n - at);
        }
        return h->inner.error;
}

/* Section 4.2. */
static uint8_t outer_code(bool is_request, bool observe) {
        if (is_request)
                return observe ? METHOD_FETCH : METHOD_POST;
        return observe ? CODE(2, 5) : CODE(2, 4);
}

int oscore_seal(const Oscore *o, const OscoreNumber *request, const OscoreNumber *own,
                const uint8_t *message, size_t n, uint8_t *out, size_t n_out) {
        const bool is_request = !request;
        const size_t n_token = message[0] & 15u, n_head = HEAD + n_token;
        g_autofree uint8_t *plain = g_malloc(n + 1); /* of the message no byte is there twice */
        uint8_t value[OPTION_VALUE_MAX], aad[AAD_MAX], nonce[OSCORE_NONCE_MAX];
        Halves h = { .outer = { .pos = out, .end = out + n_out },
                     .inner = { .pos = plain, .end = plain + n + 1 } };
        OscoreCipher c = { .aead = o->aead, .key = o->sender_key, .nonce = nonce, .aad = aad };
        size_t n_plain;
        bool observe;
        int r;

        if (n < n_head || (is_request && !own))
                return -EINVAL;
        option_put(&h.outer, message, n_head);
        option_put(&h.inner, message + 1, 1);
        r = split_options(&h, is_request, message + n_head, n - n_head, &observe);
        if (r < 0)
                return r;
        option_write(&h.outer, OPTION_OSCORE, value, write_option(o, is_request, own, value));
        option_put(&h.outer, "\xff", 1);
        n_plain = (size_t) (h.inner.pos - plain);
        if (h.outer.error < 0 || (size_t) (h.outer.end - h.outer.pos) < n_plain + o->aead->n_tag)
                return -EMSGSIZE;
        out[1] = outer_code(is_request, observe);
        make_nonce(o, own ? &o->sender : &o->recipient, own ? own : request, nonce);
        c.n_aad =
                make_aad(o, is_request ? &o->sender : &o->recipient, request ? request : own, aad);
        r = oscore_encrypt(&c, plain, n_plain, h.outer.pos);
        return r < 0 ? r : (int) ((size_t) (h.outer.pos - out) + n_plain + o->aead->n_tag);
}

/* --- in --- */

int oscore_parse_option(const uint8_t *value, size_t n, OscoreOption *ret) {
        OscoreOption o = { .has_id = false };
        size_t at = 1;

        if (n == 0) {
                *ret = o;
                return 0;
        }
        o.number.n = value[0] & FLAG_NUMBER;
        if (value[0] & FLAG_RESERVED || o.number.n > NUMBER_MAX_BYTES || n - at < o.number.n)
                return -EBADMSG;
        memcpy(o.number.v, value + at, o.number.n);
        at += o.number.n;
        o.has_context = value[0] & FLAG_CONTEXT;
        if (o.has_context) {
                if (at == n || n - at - 1 < value[at])
                        return -EBADMSG;
                o.n_context = value[at];
                o.context = value + at + 1;
                at += 1 + o.n_context;
        }
        o.has_id = value[0] & FLAG_ID;
        o.id = value + at;
        o.n_id = n - at;
        if (!o.has_id && at < n)
                return -EBADMSG; /* nobody knows what that is */
        *ret = o;
        return 0;
}

static bool is_same(const uint8_t *a, size_t n_a, const uint8_t *b, size_t n_b) {
        return n_a == n_b && (n_a == 0 || memcmp(a, b, n_a) == 0);
}

bool oscore_is_ours(const Oscore *o, const OscoreOption *option) {
        return option->has_id &&
               is_same(option->id, option->n_id, o->recipient.v, o->recipient.n) &&
               (!option->has_context ||
                is_same(option->context, option->n_context, o->context, o->n_context));
}

int oscore_open(const Oscore *o, const Packet *p, const OscoreOption *option,
                const OscoreNumber *request, uint8_t *plain) {
        const OscoreNumber *number = option->number.n > 0 ? &option->number : NULL;
        uint8_t aad[AAD_MAX], nonce[OSCORE_NONCE_MAX];
        OscoreCipher c = { .aead = o->aead, .key = o->recipient_key, .nonce = nonce, .aad = aad };
        int r;

        /* The number of an answer without one is that of its request. */
        if (!number && !request)
                return -EBADMSG;
        if (p->n_payload <= o->aead->n_tag)
                return -EBADMSG;
        make_nonce(o, number ? &o->recipient : &o->sender, number ? number : request, nonce);
        c.n_aad =
                make_aad(o, request ? &o->sender : &o->recipient, request ? request : number, aad);
        r = oscore_decrypt(&c, p->payload, p->n_payload, plain);
        return r < 0 ? r : (int) (p->n_payload - o->aead->n_tag);
}

int oscore_read(const Packet *outer, const uint8_t *plain, size_t n, Packet *ret) {
        FrameOption o = { .number = 0 };
        size_t at = 1;
        int r;

        if (n == 0 || plain[0] == 0 || (plain[0] < CODE(1, 0)) != (outer->code < CODE(1, 0)) ||
            plain[0] >= CODE(7, 0))
                return -EBADMSG;
        packet_begin(ret, outer->type, plain[0], outer->mid, outer->token.v, outer->token.n);
        ret->stream = outer->stream;
        while ((r = frame_next_option(plain, n, &at, &o)) > 0)
                packet_option(ret, (uint16_t) o.number, o.value, o.n);
        if (r < 0)
                return r;
        packet_end(ret, plain + at, n - at);
        if (plain[0] < CODE(1, 0) && plain[0] > METHOD_IPATCH)
                ret->refusal = CODE(4, 5);
        else if (ret->has_oscore)
                ret->refusal = CODE(4, 2);
        return 0;
}
