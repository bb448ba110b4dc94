/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/observe/observe_save.h"

#include <errno.h>
#include <string.h>

#include "codec/cborio.h"
#include "lwm2m/observe/observation.h"

#define RECORD_FORMAT 1U
#define RECORD_FIELDS 9
#define RECORD_PATHS_MAX 65535
#define RECORD_TOKEN_MAX 8 /* RFC 7252, section 3 */

/* --- the form on disk --- [1, token, composite, format, run, sequence,
 * attributes, request, [paths]] */

static void put_bytes(GByteArray *out, GBytes *bytes) {
        gsize n = 0;
        const void *data = bytes ? g_bytes_get_data(bytes, &n) : NULL;
        Value v = { .type = VALUE_OPAQUE, .data = (char *) (n > 0 ? data : ""), .length = 0 };

        v.length = (uint32_t) n;
        cborio_put_value(out, &v, false);
}

static void put_string(GByteArray *out, const char *text) {
        cborio_put_text(out, text, strlen(text));
}

GBytes *observation_record_encode(const ObservationRecord *r) {
        g_autofree char *attributes = r->own ? attrs_format(r->own) : g_strdup("");
        GByteArray *out = g_byte_array_new();

        cborio_put_array(out, RECORD_FIELDS);
        cborio_put_uint(out, RECORD_FORMAT);
        put_bytes(out, r->token);
        cborio_put_uint(out, r->target.composite);
        cborio_put_uint(out, r->target.format);
        cborio_put_uint(out, r->run);
        cborio_put_uint(out, r->sequence);
        put_string(out, attributes);
        put_bytes(out, r->request_key);
        cborio_put_array(out, r->target.n);
        for (size_t i = 0; i < r->target.n; i++)
                put_string(out, PATH_TEXT(&r->target.paths[i]));
        return g_byte_array_free_to_bytes(out);
}

static int take_string(Reader *in, CborKind kind, size_t max, Reader *ret) {
        CborItem item;
        int r;

        r = cborio_read(in, &item);
        if (r < 0)
                return r;
        if (item.kind != kind || item.indefinite || item.n > max)
                return -EBADMSG;
        *ret = (Reader){ .pos = item.data, .left = (size_t) item.n };
        return 0;
}

static int take_paths(Reader *in, ReadTarget *target) {
        uint64_t n;
        Reader text;
        int r;

        r = cborio_take_array(in, &n);
        if (r < 0)
                return r;
        if (n == 0 || n > RECORD_PATHS_MAX || n > in->left || (n > 1 && !target->composite))
                return -EBADMSG;
        target->paths = g_new(Path, n);
        for (; target->n < n; target->n++) {
                char copy[PATH_TEXT_MAX];

                r = take_string(in, CBOR_KIND_TEXT, sizeof(copy) - 1, &text);
                if (r < 0)
                        return r;
                memcpy(copy, text.pos, text.left);
                copy[text.left] = '\0';
                if (path_parse(copy, &target->paths[target->n]) < 0 ||
                    dm_access(&target->paths[target->n]) < 0 ||
                    (!target->composite && target->paths[target->n].n == 0))
                        return -EBADMSG;
        }
        return 0;
}

static int take_attributes(Reader *in, Attrs **ret) {
        g_autofree char *copy = NULL;
        Reader text;
        int r;

        r = take_string(in, CBOR_KIND_TEXT, 1024, &text);
        if (r < 0)
                return r;
        if (text.left == 0)
                return 0;
        copy = g_strndup((const char *) text.pos, text.left);
        *ret = g_new0(Attrs, 1);
        return attrs_parse_text(copy, *ret) < 0 ? -EBADMSG : 0;
}

static int take_fields(Reader *in, ObservationRecord *ret) {
        uint64_t format = 0, composite = 0, value = 0, run = 0, sequence = 0;
        Reader token = { .left = 0 }, key = { .left = 0 };
        int r;

        r = cborio_take_uint(in, RECORD_FORMAT, &format);
        if (r == 0)
                r = take_string(in, CBOR_KIND_BYTES, RECORD_TOKEN_MAX, &token);
        if (r == 0)
                r = cborio_take_uint(in, 1, &composite);
        if (r == 0)
                r = cborio_take_uint(in, UINT16_MAX, &value);
        if (r == 0)
                r = cborio_take_uint(in, UINT32_MAX, &run);
        if (r == 0)
                r = cborio_take_uint(in, UINT32_MAX, &sequence);
        if (r == 0)
                r = take_attributes(in, &ret->own);
        if (r == 0)
                r = take_string(in, CBOR_KIND_BYTES, OBSERVE_REQUEST_KEY_MAX, &key);
        if (r < 0)
                return r;
        if (format != RECORD_FORMAT ||
            format_from_number((unsigned) value, &ret->target.format) < 0)
                return -EBADMSG;
        ret->token = g_bytes_new(token.pos, token.left);
        ret->request_key = key.left > 0 ? g_bytes_new(key.pos, key.left) : NULL;
        ret->target.composite = composite;
        ret->run = (uint32_t) run;
        ret->sequence = (uint32_t) sequence;
        return take_paths(in, &ret->target);
}

int observation_record_decode(GBytes *bytes, ObservationRecord *ret) {
        g_auto(ObservationRecord) record = { .token = NULL };
        gsize n;
        const void *data = g_bytes_get_data(bytes, &n);
        Reader in = { .pos = data, .left = n };
        uint64_t n_fields;
        int r;

        r = cborio_take_array(&in, &n_fields);
        if (r == 0)
                r = n_fields == RECORD_FIELDS ? take_fields(&in, &record) : -EBADMSG;
        if (r < 0 || in.left > 0)
                return -EBADMSG;
        *ret = record;
        record = (ObservationRecord){ .token = NULL };
        return 0;
}

void observation_record_clear(ObservationRecord *r) {
        g_clear_pointer(&r->token, g_bytes_unref);
        g_clear_pointer(&r->request_key, g_bytes_unref);
        g_clear_pointer(&r->target.paths, g_free);
        g_clear_pointer(&r->own, g_free);
        r->target.n = 0;
}

/* --- what waits to be written --- */

static uint64_t new_id(void) {
        return (uint64_t) g_random_int() << 32 | g_random_int();
}

void observe_save_identify(Observation *o) {
        if (o->id == 0)
                o->id = new_id() | 1;
}

void observe_save_changed(Observation *o, bool began) {
        Peer *p = o->peer;

        if (!p->unsaved_func)
                return;
        observe_save_identify(o);
        if (!o->unsaved) {
                o->unsaved = true;
                g_queue_push_tail_link(&p->unsaved, &o->save_node);
        }
        p->unsaved_func(p->unsaved_userdata, began);
}

void observe_save_ended(Observation *o) {
        Peer *p = o->peer;

        if (o->unsaved)
                g_queue_unlink(&p->unsaved, &o->save_node);
        o->unsaved = false;
        if (!o->saved || !p->unsaved_func)
                return;
        g_array_append_val(p->gone, o->id);
        p->unsaved_func(p->unsaved_userdata, false);
}

int observe_save_next_sequence(Observation *o) {
        o->sequence++;
        if (o->saved && !o->unsaved && o->sequence_saved - o->sequence < OBSERVE_ROOM / 2)
                observe_save_changed(o, false);
        return (int) (o->sequence & OBSERVE_MASK);
}

void peer_keep_observations(Peer *p, uint32_t run, void (*unsaved)(void *userdata, bool began),
                            void *userdata) {
        p->run = run;
        p->unsaved_func = unsaved;
        p->unsaved_userdata = userdata;
        if (unsaved && !p->gone)
                p->gone = g_array_new(FALSE, FALSE, sizeof(uint64_t));
}

static GBytes *encode(Observation *o) {
        const ObservationRecord record = {
                .token = o->token,
                .request_key = o->request_key,
                .target = o->target,
                .own = o->own,
                .sequence = o->sequence + OBSERVE_ROOM,
                .run = o->peer->run,
        };

        return observation_record_encode(&record);
}

void peer_save_observations(Peer *p, void (*put)(void *userdata, uint64_t id, GBytes *bytes),
                            void *userdata) {
        for (guint i = 0; p->gone && i < p->gone->len; i++)
                put(userdata, g_array_index(p->gone, uint64_t, i), NULL);
        if (p->gone)
                g_array_set_size(p->gone, 0);
        while (p->unsaved.head) {
                Observation *o = p->unsaved.head->data;
                g_autoptr(GBytes) bytes = encode(o);

                g_queue_unlink(&p->unsaved, &o->save_node);
                o->unsaved = false;
                o->saved = true;
                o->sequence_saved = o->sequence + OBSERVE_ROOM;
                put(userdata, o->id, bytes);
        }
}

/* --- after a restart --- */

static void on_settled(void *userdata, uint64_t now_usec) {
        Peer *p = userdata;
        GHashTableIter i;
        void *value;

        g_hash_table_iter_init(&i, p->observations);
        while (g_hash_table_iter_next(&i, NULL, &value)) {
                Observation *o = value;

                if (!o->settling)
                        continue;
                o->settling = false;
                notify_mark(o, o->digest ? PENDING_CHANGE : PENDING_NEWS, NULL, true);
        }
}

int peer_restore_observation(Peer *p, uint64_t id, GBytes *bytes, uint64_t digest,
                             uint64_t settled_usec, uint64_t now_usec) {
        g_auto(ObservationRecord) record = { .token = NULL };
        Observation *o;
        int r;

        r = observation_record_decode(bytes, &record);
        if (r < 0)
                return r;
        if (id == 0 || g_hash_table_contains(p->observations, record.token))
                return -EEXIST;
        record.sequence += (p->run - record.run - 1) * OBSERVE_ROOM;
        r = observe_restore(p, &record, digest, now_usec, &o);
        if (r < 0)
                return r;
        o->id = id;
        o->saved = true;
        o->sequence_saved = record.sequence + OBSERVE_ROOM;
        o->settling = true;
        if (!p->settle)
                p->settle = timer_new(p->dm->config.timers, on_settled, p);
        timer_arm(p->settle, settled_usec);
        return 0;
}

void peer_foreach_notified(const Peer *p,
                           void (*func)(void *userdata, uint64_t id, uint64_t digest),
                           void *userdata) {
        GHashTableIter i;
        void *value;

        g_hash_table_iter_init(&i, p->observations);
        while (g_hash_table_iter_next(&i, NULL, &value)) {
                const Observation *o = value;

                /* Whether one on its way will have arrived is not known. */
                if (o->saved && !o->call && !o->pending && o->digest)
                        func(userdata, o->id, o->digest);
        }
}
