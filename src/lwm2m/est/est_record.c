/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/est/est_record.h"

#include <errno.h>
#include <string.h>

#include "codec/reader.h"
#include "lwm2m/account/credentials.h"
#include "util/log.h"
#include "util/parse.h"

#define FORMAT_NUMBER 1u
#define FIELD_MAX (1u << 20)
#define HEAD (sizeof(uint32_t) + 2 * sizeof(uint64_t)) /* format, both ends of the validity */

EstCertificate *est_certificate_free(EstCertificate *c) {
        if (!c)
                return NULL;
        g_clear_pointer(&c->chain, g_bytes_unref);
        g_free(c->subject);
        g_free(c->issuer);
        g_free(c);
        return NULL;
}

EstRecord *est_record_new(const char *endpoint) {
        EstRecord *r = g_new0(EstRecord, 1);

        r->endpoint = g_strdup(endpoint);
        return r;
}

EstRecord *est_record_free(EstRecord *r) {
        if (!r)
                return NULL;
        g_free(r->endpoint);
        g_clear_pointer(&r->key, g_bytes_unref);
        est_certificate_free(r->certificate);
        g_clear_pointer(&r->authorities, g_bytes_unref);
        g_clear_pointer(&r->pending, g_bytes_unref);
        g_free(r);
        return NULL;
}

/* --- as bytes --- numbers most significant byte first, then fields with their length in front: of
 * what is absent, 0 */

typedef struct Field {
        const void *data;
        size_t n;
} Field;

#define N_FIELDS 7u

static Field text_field(const char *text) {
        return (Field){ text, text ? strlen(text) : 0 };
}

static Field bytes_field(GBytes *bytes) {
        gsize n = 0;
        const void *data = bytes ? g_bytes_get_data(bytes, &n) : NULL;

        return (Field){ data, n };
}

static uint8_t *put_be(uint8_t *to, uint64_t value, size_t n) {
        for (size_t i = 0; i < n; i++)
                to[i] = (uint8_t) (value >> 8 * (n - 1 - i));
        return to + n;
}

GBytes *est_record_pack(const EstRecord *r) {
        const EstCertificate *c = r->certificate;
        const Field fields[N_FIELDS] = {
                text_field(r->endpoint),          bytes_field(r->key),
                bytes_field(c ? c->chain : NULL), bytes_field(r->authorities),
                bytes_field(r->pending),          text_field(c ? c->subject : NULL),
                text_field(c ? c->issuer : NULL),
        };
        size_t size = HEAD;
        uint8_t *buffer, *at;
        GBytes *ret;

        for (size_t i = 0; i < N_FIELDS; i++)
                size += sizeof(uint32_t) + fields[i].n;
        at = buffer = g_malloc(size);
        at = put_be(at, FORMAT_NUMBER, 4);
        at = put_be(at, c ? (uint64_t) c->not_before_sec : 0, 8);
        at = put_be(at, c ? (uint64_t) c->not_after_sec : 0, 8);
        for (size_t i = 0; i < N_FIELDS; i++) {
                at = put_be(at, fields[i].n, 4);
                if (fields[i].n > 0)
                        memcpy(at, fields[i].data, fields[i].n);
                at += fields[i].n;
        }
        ret = credentials_bytes(buffer, size);
        explicit_bzero(buffer, size);
        g_free(buffer);
        return ret;
}

static int take_number(Reader *in, int64_t *ret) {
        uint32_t high, low;
        int r;

        r = reader_be(in, 4, &high);
        if (r >= 0)
                r = reader_be(in, 4, &low);
        if (r >= 0)
                *ret = (int64_t) ((uint64_t) high << 32 | low);
        return r;
}

static int take_field(Reader *in, Reader *ret) {
        uint32_t n;
        int r;

        r = reader_be(in, 4, &n);
        if (r < 0)
                return r;
        return n > FIELD_MAX ? -EBADMSG : reader_take(in, n, ret);
}

static char *as_text(const Reader *field) {
        return g_strndup((const char *) field->pos, field->left);
}

static GBytes *as_bytes(const Reader *field) {
        return field->left > 0 ? credentials_bytes(field->pos, field->left) : NULL;
}

int est_record_unpack(GBytes *bytes, EstRecord **ret) {
        static const size_t texts[] = { 0, 5, 6 };
        g_autoptr(EstRecord) r = NULL;
        g_autoptr(EstCertificate) c = g_new0(EstCertificate, 1);
        Reader in, fields[N_FIELDS];
        uint32_t format;
        gsize n;

        in.pos = g_bytes_get_data(bytes, &n);
        in.left = n;
        if (reader_be(&in, 4, &format) < 0 || format != FORMAT_NUMBER ||
            take_number(&in, &c->not_before_sec) < 0 || take_number(&in, &c->not_after_sec) < 0)
                return -EBADMSG;
        for (size_t i = 0; i < N_FIELDS; i++)
                if (take_field(&in, &fields[i]) < 0)
                        return -EBADMSG;
        if (in.left > 0 || fields[0].left == 0)
                return -EBADMSG;
        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
                if (memchr(fields[texts[i]].pos, 0, fields[texts[i]].left))
                        return -EBADMSG;
        r = g_new0(EstRecord, 1);
        r->endpoint = as_text(&fields[0]);
        r->key = as_bytes(&fields[1]);
        c->chain = as_bytes(&fields[2]);
        r->authorities = as_bytes(&fields[3]);
        r->pending = as_bytes(&fields[4]);
        c->subject = as_text(&fields[5]);
        c->issuer = as_text(&fields[6]);
        if (!r->key != !c->chain || !r->key != !r->authorities)
                return -EBADMSG;
        if (r->key)
                r->certificate = g_steal_pointer(&c);
        *ret = g_steal_pointer(&r);
        return 0;
}

/* --- in the store --- */

static char *blob_name(uint16_t ssid) {
        return g_strdup_printf(EST_BLOB_PREFIX "%u", ssid);
}

EstRecord *est_record_load(const Store *store, uint16_t ssid) {
        g_autofree char *name = blob_name(ssid);
        g_autoptr(GBytes) blob = NULL;
        EstRecord *r = NULL;

        if (!store || store_get_blob(store, name, &blob) < 0)
                return NULL;
        if (est_record_unpack(blob, &r) < 0)
                log_with(LOG_LEVEL_WARNING, (&(LogFields){ .ssid = ssid }),
                         "the kept certificate is damaged, another will be asked for");
        return r;
}

int est_record_save(const EstRecord *record, Store *store, uint16_t ssid) {
        g_autofree char *name = blob_name(ssid);
        g_autoptr(GBytes) bytes = est_record_pack(record), before = NULL;
        gsize n, n_before = 0;
        const void *data = g_bytes_get_data(bytes, &n), *old;
        int r;

        if (!store)
                return 0;
        if (store_get_blob(store, name, &before) < 0)
                before = NULL;
        r = store_put_blob(store, name, data, n);
        if (r >= 0)
                r = store_sync(store);
        if (r >= 0)
                return 0;
        /* A later sync must not write what was not taken. */
        old = before ? g_bytes_get_data(before, &n_before) : NULL;
        (void) store_put_blob(store, name, old, n_before);
        return r;
}

void est_record_forget(Store *store, uint16_t ssid) {
        g_autofree char *name = blob_name(ssid);
        int r;

        if (!store)
                return;
        r = store_put_blob(store, name, NULL, 0);
        if (r >= 0)
                r = store_sync(store);
        if (r < 0 && r != -ENOENT)
                log_at(LOG_LEVEL_WARNING, r, (&(LogFields){ .ssid = ssid }),
                       "Cannot remove the certificate and its key from the disk: %m");
}

typedef struct Sweep {
        const uint16_t *ssids;
        size_t n;
        GArray *gone; /* of uint16_t */
} Sweep;

static void look_at(void *userdata, const char *name, GBytes *blob) {
        Sweep *s = userdata;
        uint16_t ssid;

        if (parse_u16(name + strlen(EST_BLOB_PREFIX), &ssid) < 0)
                return;
        for (size_t i = 0; i < s->n; i++)
                if (s->ssids[i] == ssid)
                        return;
        g_array_append_val(s->gone, ssid);
}

void est_record_sweep(Store *store, const uint16_t *ssids, size_t n) {
        g_autoptr(GArray) gone = g_array_new(FALSE, FALSE, sizeof(uint16_t));
        Sweep s = { ssids, n, gone };

        if (!store)
                return;
        store_foreach_blob(store, EST_BLOB_PREFIX, look_at, &s);
        for (guint i = 0; i < gone->len; i++)
                est_record_forget(store, g_array_index(gone, uint16_t, i));
}
