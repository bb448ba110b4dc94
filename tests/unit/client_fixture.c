/* SPDX-License-Identifier: Apache-2.0 */
#include "client_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- a store in memory --- */

static GHashTable *blobs, *synced;
static int store_is_here;
Store *const fake_store = (Store *) (void *) &store_is_here;
int fake_store_error;
unsigned fake_store_n_syncs;

static GHashTable *new_table(void) {
        return g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                     (GDestroyNotify) g_bytes_unref);
}

static GHashTable *store(void) {
        if (!blobs)
                blobs = new_table();
        return blobs;
}

static GHashTable *copy_table(GHashTable *from) {
        GHashTable *to = new_table();
        GHashTableIter i;
        void *name, *blob;

        g_hash_table_iter_init(&i, from);
        while (g_hash_table_iter_next(&i, &name, &blob))
                g_hash_table_insert(to, g_strdup(name), g_bytes_ref(blob));
        return to;
}

void fake_store_clear(void) {
        g_clear_pointer(&blobs, g_hash_table_unref);
        g_clear_pointer(&synced, g_hash_table_unref);
        fake_store_error = 0;
        fake_store_n_syncs = 0;
}

GBytes *fake_store_get(const char *name) {
        return g_hash_table_lookup(store(), name);
}

void fake_store_set(const char *name, GBytes *blob) {
        g_hash_table_insert(store(), g_strdup(name), g_bytes_ref(blob));
}

int store_put_blob(Store *s, const char *name, const void *data, size_t n) {
        assert_ptr_equal(s, fake_store);
        if (fake_store_error)
                return fake_store_error;
        if (data)
                g_hash_table_insert(store(), g_strdup(name), g_bytes_new(data, n));
        else
                g_hash_table_remove(store(), name);
        return 0;
}

int store_get_blob(const Store *s, const char *name, GBytes **ret) {
        GBytes *blob = g_hash_table_lookup(store(), name);

        if (!blob)
                return -ENOENT;
        *ret = g_bytes_ref(blob);
        return 0;
}

static int compare_names(gconstpointer a, gconstpointer b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

void store_foreach_blob(const Store *s, const char *prefix,
                        void (*func)(void *userdata, const char *name, GBytes *blob),
                        void *userdata) {
        g_autoptr(GPtrArray) names = g_ptr_array_new();
        GHashTableIter i;
        void *name;

        g_hash_table_iter_init(&i, store());
        while (g_hash_table_iter_next(&i, &name, NULL))
                if (g_str_has_prefix(name, prefix))
                        g_ptr_array_add(names, name);
        g_ptr_array_sort(names, compare_names);
        for (guint j = 0; j < names->len; j++)
                func(userdata, names->pdata[j], g_hash_table_lookup(store(), names->pdata[j]));
}

unsigned fake_store_count(const char *prefix) {
        GHashTableIter i;
        unsigned n = 0;
        void *name;

        g_hash_table_iter_init(&i, store());
        while (g_hash_table_iter_next(&i, &name, NULL))
                n += g_str_has_prefix(name, prefix);
        return n;
}

int store_sync(Store *s) {
        fake_store_n_syncs++;
        if (fake_store_error)
                return fake_store_error;
        g_clear_pointer(&synced, g_hash_table_unref);
        synced = copy_table(store());
        return 0;
}

/* --- clocks --- */

static uint64_t wall_base_usec; /* the virtual time that WALL_START_SEC is */
static const Bed *wall_bed;
int64_t fake_wall_offset_ns;

static int64_t wall_ns(void) {
        return WALL_START_SEC * 1000000000 + (int64_t) (wall_bed->now - wall_base_usec) * 1000 +
               fake_wall_offset_ns;
}

/* --- what the client tells --- */

static void on_event(void *userdata, const ClientEvent *event) {
        GString *s = g_string_new(NULL);
        Bed *b = userdata;

        g_string_append_printf(b->log, "%s%s@%u", b->log->len ? " " : "", event->name, event->ssid);
        for (size_t i = 0; event->details[i]; i += 2)
                g_string_append_printf(s, "%s%s=%s", i ? " " : "", event->details[i],
                                       event->details[i + 1]);
        g_free(b->details);
        b->details = g_string_free(s, FALSE);
}

static void on_added(void *userdata, uint16_t ssid) {
        Bed *b = userdata;

        g_string_append_printf(b->log, "%s+%u", b->log->len ? " " : "", ssid);
}

static void on_removed(void *userdata, uint16_t ssid) {
        Bed *b = userdata;

        g_string_append_printf(b->log, "%s-%u", b->log->len ? " " : "", ssid);
}

static const ClientListener listener = {
        .event = on_event,
        .server_added = on_added,
        .server_removed = on_removed,
};

void bed_log(Bed *b, const char *expected) {
        assert_string_equal(b->log->str, expected);
        g_string_truncate(b->log, 0);
}

/* --- the bed --- */

static void on_bad_definition(void *userdata, const char *text) {
        fail_msg("%s", text);
}

Bed *bed_new(void) {
        Bed *b = g_new0(Bed, 1);

        b->schema = schema_new();
        schema_add_directory(b->schema, getenv("LWM2MD_OBJECTS"), on_bad_definition, NULL);
        assert_int_equal(schema_prefer(b->schema, 1, (Version){ 1, 1 }), 0);
        assert_int_equal(schema_prefer(b->schema, 3, (Version){ 1, 1 }), 0);
        b->tree = tree_new(b->schema);
        b->log = g_string_new(NULL);
        b->now = wall_base_usec = 5000 * SEC;
        wall_bed = b;
        fake_wall_offset_ns = 0;
        b->config = (ClientConfig){
                .endpoint = (char *) "dev",
                .lifetime_sec = 300,
                .update_early_sec = 10,
                .update_interval_min_sec = 15,
                .deregister_timeout_usec = 5 * SEC,
                .backoff_max_sec = 3600,
                .servers_max = 16,
                .events_max = 256,
                .seed = 1,
        };
        return b;
}

static void on_observation_event(void *userdata, const char *name, uint16_t ssid, const Path *path,
                                 const char *why) {
        const char *details[] = { "path", PATH_TEXT(path), *why ? "error" : NULL, why, NULL };
        Bed *b = userdata;

        if (b->client && b->observations_told)
                client_emit(b->client, name, ssid, details);
}

static void clocks(void *userdata, int64_t *ret_wall_ns, int64_t *ret_boot_ns) {
        *ret_wall_ns = wall_ns();
        *ret_boot_ns = (int64_t) wall_bed->now * 1000;
}

static void boot_parts(Bed *b) {
        DmConfig dm = { .event = on_observation_event, .event_userdata = b };

        b->timers = timerq_new();
        b->transport = fake_transport_new();
        dm.tree = b->tree;
        dm.series = b->series;
        dm.clocks = clocks;
        dm.timers = b->timers;
        dm.transport = &fake_transport_ops;
        b->dm = dm_new(&dm);
}

void bed_boot(Bed *b) {
        ClientParts parts = { .tree = b->tree,
                              .store = fake_store,
                              .timers = NULL,
                              .transport = &fake_transport_ops,
                              .wall_clock_ns = wall_ns,
                              .est = b->est };

        boot_parts(b);
        parts.dm = b->dm;
        parts.timers = b->timers;
        parts.transport_userdata = b->transport;
        b->client = client_new(&b->config, &parts);
        client_add_listener(b->client, &listener, b);
}

static void shut_down(Bed *b) {
        Client *c = g_steal_pointer(&b->client);

        client_free(c);
        dm_free(b->dm);
        fake_transport_free(b->transport);
        timerq_free(b->timers);
}

Bed *bed_free(Bed *b) {
        shut_down(b);
        series_free(b->series);
        tree_free(b->tree);
        schema_free(b->schema);
        g_string_free(b->log, TRUE);
        g_free(b->details);
        g_free(b);
        return NULL;
}

/* A tree without listeners of the dead client, with the same accounts. */
static int copy_visit(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        Tree *t = userdata;

        if (p->n == 2)
                return tree_create(t, p->id[0], p->id[1], (Version){ 0, 0 });
        return v ? tree_set(t, p, v) : 0;
}

void bed_reboot(Bed *b, uint64_t seconds_later) {
        Tree *t = tree_new(b->schema);

        shut_down(b);
        tree_begin(t, ORIGIN_INTERNAL, 0);
        assert_int_equal(tree_walk(b->tree, &PATH_ROOT, copy_visit, t), 0);
        assert_int_equal(tree_commit(t), 0);
        tree_free(b->tree);
        b->tree = t;
        b->now += seconds_later * SEC;
        g_string_truncate(b->log, 0);
        bed_boot(b);
}

void bed_kill(Bed *b, uint64_t seconds_later) {
        g_clear_pointer(&blobs, g_hash_table_unref);
        blobs = synced ? copy_table(synced) : new_table();
        bed_reboot(b, seconds_later);
}

void bed_add(Bed *b, uint16_t ssid, const char *uri, uint32_t lifetime) {
        ServerAccount account = { .uri = uri, .ssid = ssid, .lifetime_sec = lifetime };
        g_autofree char *error = NULL;

        if (client_add_account(b->client, &account, &error, b->now) < 0)
                fail_msg("%s", error);
}

void bed_start(Bed *b) {
        assert_int_equal(client_start(b->client, NULL, b->now), 0);
        bed_advance(b, 0);
}

void bed_advance(Bed *b, uint64_t usec) {
        uint64_t end = b->now + usec;

        while (timerq_next(b->timers) <= end) {
                b->now = MAX(b->now, timerq_next(b->timers));
                timerq_run(b->timers, b->now);
        }
        b->now = end;
}

/* --- the servers' side --- */

Link *bed_link(const Bed *b, uint16_t ssid) {
        for (guint i = 0; i < b->transport->links->len; i++) {
                Link *l = b->transport->links->pdata[i];

                if (l->ssid == ssid)
                        return l;
        }
        return NULL;
}

void bed_up(Bed *b, uint16_t ssid) {
        Link *l = bed_link(b, ssid);

        assert_non_null(l);
        l->events.up(l->owner, b->now);
        bed_advance(b, 0);
}

static Call *call_of(const Bed *b, uint16_t ssid) {
        for (guint i = 0; i < b->transport->sent->len; i++) {
                Call *c = b->transport->sent->pdata[i];

                if (c->open && c->response && c->link->ssid == ssid)
                        return c;
        }
        return NULL;
}

const FakeMessage *bed_request(const Bed *b, uint16_t ssid) {
        Call *c = call_of(b, ssid);

        return c ? &c->message : NULL;
}

void bed_answer(Bed *b, uint16_t ssid, uint8_t code, const char *location) {
        g_auto(GStrv) path = location ? g_strsplit(location + 1, "/", -1) : NULL;
        Message m = MESSAGE_INIT(code);

        m.path = (const char *const *) path;
        assert_non_null(call_of(b, ssid));
        fake_call_respond(call_of(b, ssid), &m, b->now);
        bed_advance(b, 0);
}

void bed_no_answer(Bed *b, uint16_t ssid, int error) {
        assert_non_null(call_of(b, ssid));
        fake_call_end(call_of(b, ssid), error, b->now);
        bed_advance(b, 0);
}

void bed_register(Bed *b, uint16_t ssid) {
        g_autofree char *location = g_strdup_printf("/rd/%u", ssid);

        bed_up(b, ssid);
        bed_answer(b, ssid, CODE(2, 1), location);
        assert_string_equal(bed_state(b, ssid), "registered");
}

const char *bed_state(const Bed *b, uint16_t ssid) {
        ServerInfo info;

        return client_server_info(b->client, ssid, &info) < 0 ? "none" : info.state;
}

uint8_t bed_ask(Bed *b, uint16_t ssid, uint8_t method, const char *path, const char *text) {
        g_auto(GStrv) parts = g_strsplit(path + 1, "/", -1);
        Message m = MESSAGE_INIT(method);
        Link *l = bed_link(b, ssid);

        m.path = (const char *const *) parts;
        if (text) {
                m.payload = g_bytes_new(text, strlen(text));
                m.format = FORMAT_TEXT;
        }
        fake_forget_answers(b->transport);
        l->events.request(l->owner, fake_exchange_new(b->transport), &m, b->now);
        g_clear_pointer(&m.payload, g_bytes_unref);
        if (!fake_last_answer(b->transport))
                bed_advance(b, 0);
        assert_non_null(fake_last_answer(b->transport));
        return fake_last_answer(b->transport)->code;
}

uint8_t bed_observe(Bed *b, uint16_t ssid, const char *path, const char *token, int accept) {
        g_auto(GStrv) parts = g_strsplit(path + 1, "/", -1);
        Message m = MESSAGE_INIT(METHOD_GET);
        Link *l = bed_link(b, ssid);

        m.path = (const char *const *) parts;
        m.observe = 0;
        m.accept = accept;
        m.token = g_bytes_new(token, strlen(token));
        fake_forget_answers(b->transport);
        l->events.request(l->owner, fake_exchange_new(b->transport), &m, b->now);
        g_bytes_unref(m.token);
        assert_non_null(fake_last_answer(b->transport));
        return fake_last_answer(b->transport)->code;
}

uint8_t bed_attributes(Bed *b, uint16_t ssid, const char *path, const char *query) {
        g_auto(GStrv) parts = g_strsplit(path + 1, "/", -1), names = g_strsplit(query, "&", -1);
        Message m = MESSAGE_INIT(METHOD_PUT);
        Link *l = bed_link(b, ssid);

        m.path = (const char *const *) parts;
        m.query = (const char *const *) names;
        fake_forget_answers(b->transport);
        l->events.request(l->owner, fake_exchange_new(b->transport), &m, b->now);
        assert_non_null(fake_last_answer(b->transport));
        return fake_last_answer(b->transport)->code;
}

/* Calls that are over are passed by once: some tests make many thousands. */
static Call *notification_of(const Bed *b, uint16_t ssid) {
        FakeTransport *t = b->transport;
        const GPtrArray *sent = t->sent;

        while (t->n_over < sent->len && !((const Call *) sent->pdata[t->n_over])->open)
                t->n_over++;
        for (guint i = t->n_over; i < sent->len; i++) {
                Call *c = sent->pdata[i];

                if (c->open && c->notified && c->link->ssid == ssid)
                        return c;
        }
        return NULL;
}

const FakeMessage *bed_notification(const Bed *b, uint16_t ssid) {
        Call *c = notification_of(b, ssid);

        return c ? &c->message : NULL;
}

void bed_ack(Bed *b, uint16_t ssid, int error) {
        Call *c = notification_of(b, ssid);

        assert_non_null(c);
        fake_call_end(c, error, b->now);
        bed_advance(b, 0);
}

/* --- the device's side --- */

static Path parse(const char *text) {
        Path p;

        assert_int_equal(path_parse(text, &p), 0);
        return p;
}

void bed_set(Bed *b, const char *path, Value value) {
        Path p = parse(path);

        tree_begin(b->tree, ORIGIN_APP, 0);
        assert_int_equal(tree_set(b->tree, &p, &value), 0);
        assert_int_equal(tree_commit(b->tree), 0);
        value_clear(&value);
}

int bed_write(Bed *b, const char *path, Value value) {
        Op op = { .path = parse(path), .kind = OP_SET, .value = value };
        OpError error;
        int r = dm_apply(b->dm, &op, 1, &error, b->now);

        value_clear(&op.value);
        return r;
}

void bed_create(Bed *b, const char *path) {
        Path p = parse(path);

        tree_begin(b->tree, ORIGIN_APP, 0);
        assert_int_equal(tree_create(b->tree, p.id[0], p.id[1], (Version){ 0, 0 }), 0);
        assert_int_equal(tree_commit(b->tree), 0);
}

void bed_delete(Bed *b, const char *path) {
        Path p = parse(path);

        tree_begin(b->tree, ORIGIN_APP, 0);
        assert_int_equal(tree_delete(b->tree, &p), 0);
        assert_int_equal(tree_commit(b->tree), 0);
}

Value value_int(int64_t i) {
        return (Value){ .type = VALUE_INTEGER, .i = i };
}

Value value_uint(uint64_t u) {
        return (Value){ .type = VALUE_UNSIGNED, .u = u };
}

Value value_bool(bool v) {
        return (Value){ .type = VALUE_BOOLEAN, .b = v };
}
