/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/observe/backlog.h"

#include <errno.h>
#include <string.h>

#include "lwm2m/dm/dm_internal.h"
#include "lwm2m/observe/notify_body.h"
#include "lwm2m/observe/observation.h"
#include "lwm2m/dm/read.h"
#include "model/spill.h"
#include "util/log.h"

#define MEMORY_MAX (256U << 10)
#define FILE_MAX (4U << 20)
#define RETRY_USEC (30 * USEC_PER_SEC) /* after the network would not have one */
#define TOKEN_MAX 8

/* One in memory. */
typedef struct Entry {
        GList node, own_node; /* in Backlog.memory, and in KeptOf.entries */
        Observation *o;
        GBytes *payload;
        int64_t time_ns;
} Entry;

/* Of one observation. Those in the file are older than those in memory; the first n_skip of them
 * are dropped already. */
typedef struct KeptOf {
        GQueue entries;
        uint64_t n_file, n_skip;
        unsigned n_timeouts; /* of the oldest */
} KeptOf;

struct Backlog {
        Peer *peer;
        BacklogConfig config;
        char *directory;
        Spill *spill;  /* NULL: nothing leaves the memory */
        GQueue memory; /* of Entry, oldest first; all younger than what is in the file */
        uint64_t memory_bytes;
        BacklogCounts counts;
        bool storing, doubtful, closed, told_error;
        GBytes *sent_payload; /* of the confirmable notification on its way */
        Observation *sent;
        int64_t sent_ns;
        Call *call; /* of the oldest */
        Observation *calling;
        bool from_file;
        Timer *timer;
};

static void warn(const Backlog *b, int error, const char *what) {
        log_full(LOG_LEVEL_WARNING, error, &(LogFields){ .ssid = b->peer->ssid }, "%s: %m", what);
}

/* --- what is kept of an observation --- */

static KeptOf *kept_of(Observation *o) {
        if (!o->kept)
                o->kept = g_new0(KeptOf, 1);
        return o->kept;
}

static uint64_t count_of(const Observation *o) {
        const KeptOf *k = o->kept;

        return k ? k->n_file - k->n_skip + k->entries.length : 0;
}

static size_t entry_size(const Entry *e) {
        return sizeof(Entry) + g_bytes_get_size(e->payload) + 64; /* with what malloc adds */
}

static void entry_free(Backlog *b, Entry *e) {
        KeptOf *k = e->o->kept;

        b->memory_bytes -= entry_size(e);
        g_queue_unlink(&b->memory, &e->node);
        g_queue_unlink(&k->entries, &e->own_node);
        g_bytes_unref(e->payload);
        g_free(e);
}

static void note_dropped(Backlog *b, uint64_t n) {
        b->counts.waiting -= n;
        b->counts.dropped += n;
}

/* Of what was dropped nothing younger is kept: the server has to be told how things stand. */
static void check_lost(Observation *o) {
        if (count_of(o) == 0)
                o->untold = true;
}

static void drop_oldest_of(Backlog *b, Observation *o) {
        KeptOf *k = o->kept;

        if (k->n_file > k->n_skip)
                k->n_skip++; /* passed over when its turn comes */
        else
                entry_free(b, k->entries.head->data);
        note_dropped(b, 1);
}

/* --- the file --- id, length of the token, token, time, body */

static GBytes *pack(const Entry *e) {
        const uint64_t id = GUINT64_TO_BE(e->o->id), time = GUINT64_TO_BE((uint64_t) e->time_ns);
        GByteArray *out = g_byte_array_new();
        gsize n_token, n;
        const void *token = g_bytes_get_data(e->o->token, &n_token),
                   *body = g_bytes_get_data(e->payload, &n);
        const uint8_t length = (uint8_t) n_token;

        g_byte_array_append(out, (const uint8_t *) &id, sizeof(id));
        g_byte_array_append(out, &length, 1);
        g_byte_array_append(out, token ? token : "", length);
        g_byte_array_append(out, (const uint8_t *) &time, sizeof(time));
        g_byte_array_append(out, body ? body : "", (guint) n);
        return g_byte_array_free_to_bytes(out);
}

/* The observation a record is of; NULL when that is gone, or the record makes no sense. */
static Observation *unpack(const Backlog *b, GBytes *record, size_t *ret_body) {
        g_autoptr(GBytes) token = NULL;
        Observation *o;
        uint64_t id;
        gsize n;
        const uint8_t *data = g_bytes_get_data(record, &n);

        if (n < 17 || data[8] > TOKEN_MAX || n < 17U + data[8])
                return NULL;
        memcpy(&id, data, sizeof(id));
        token = g_bytes_new(data + 9, data[8]);
        o = g_hash_table_lookup(b->peer->observations, token);
        *ret_body = 17U + data[8];
        return o && o->id == GUINT64_FROM_BE(id) ? o : NULL;
}

/* The oldest in the file is gone, whatever it was. */
static void pop_file(Backlog *b, Observation *o, bool dropped) {
        KeptOf *k = o ? o->kept : NULL;

        spill_pop(b->spill);
        if (!k || k->n_file == 0)
                return;
        k->n_file--;
        if (k->n_skip > 0)
                k->n_skip--; /* counted already */
        else if (dropped) {
                note_dropped(b, 1);
                check_lost(o);
        } else
                b->counts.waiting--;
}

/* It cannot be read any more. */
static void lose_file(Backlog *b) {
        GHashTableIter i;
        void *value;

        spill_clear(b->spill);
        g_hash_table_iter_init(&i, b->peer->observations);
        while (g_hash_table_iter_next(&i, NULL, &value)) {
                KeptOf *k = ((Observation *) value)->kept;

                if (!k || k->n_file == 0)
                        continue;
                note_dropped(b, k->n_file - k->n_skip);
                k->n_file = k->n_skip = 0;
                check_lost(value);
        }
}

/* NULL: it is of nobody any more. */
static Observation *peek_file(Backlog *b, GBytes **ret) {
        g_autoptr(GBytes) record = NULL;
        size_t at = 0;
        Observation *o;
        int r;

        r = spill_peek(b->spill, &record);
        if (r < 0) {
                warn(b, r, "Cannot read the stored notifications, they are lost");
                lose_file(b);
                return NULL;
        }
        o = unpack(b, record, &at);
        if (o && ret)
                *ret = g_bytes_new_from_bytes(record, at, g_bytes_get_size(record) - at);
        return o;
}

/* Passes over what is dropped already. The oldest that counts; NULL: none is in the file. */
static Observation *look_at_file(Backlog *b, GBytes **ret) {
        while (b->spill && spill_count(b->spill) > 0) {
                g_autoptr(GBytes) payload = NULL;
                Observation *o = peek_file(b, &payload);

                if (o && o->kept && ((KeptOf *) o->kept)->n_skip == 0) {
                        *ret = g_steal_pointer(&payload);
                        return o;
                }
                pop_file(b, o, true);
        }
        return NULL;
}

static bool make_room(Backlog *b, uint64_t bytes) {
        while (spill_room(b->spill) < bytes && spill_count(b->spill) > 0)
                pop_file(b, peek_file(b, NULL), true);
        return spill_room(b->spill) >= bytes;
}

static void drop_memory(Backlog *b, uint64_t down_to) {
        while (b->memory_bytes > down_to) {
                Entry *e = b->memory.head->data;
                Observation *o = e->o;

                entry_free(b, e);
                note_dropped(b, 1);
                check_lost(o);
        }
}

static int write_records(Backlog *b, GPtrArray *records, uint64_t bytes) {
        int r;

        if (!make_room(b, bytes))
                return -ENOSPC;
        r = spill_append(b->spill, (GBytes *const *) records->pdata, records->len);
        return r < 0 ? r : spill_sync(b->spill);
}

/* Everything in memory goes behind what the file has. */
static int move_to_file(Backlog *b) {
        g_autoptr(GPtrArray) records =
                g_ptr_array_new_with_free_func((GDestroyNotify) g_bytes_unref);
        uint64_t bytes = 0;
        int r;

        if (!b->spill)
                return -ENOTSUP;
        for (GList *l = b->memory.head; l; l = l->next) {
                g_ptr_array_add(records, pack(l->data));
                bytes += spill_needs(g_bytes_get_size(records->pdata[records->len - 1]));
        }
        r = write_records(b, records, bytes);
        if (r < 0 && !b->told_error)
                warn(b, r, "Cannot write stored notifications to disk, the oldest are dropped");
        b->told_error = r < 0;
        if (r < 0)
                return r;
        while (b->memory.head) {
                Entry *e = b->memory.head->data;

                ((KeptOf *) e->o->kept)->n_file++;
                entry_free(b, e);
        }
        return 0;
}

/* --- keeping --- */

static bool is_storing(const Backlog *b) {
        return b->storing && (b->doubtful || peer_presence(b->peer) == PRESENCE_ABSENT);
}

bool backlog_takes(Observation *o) {
        if (!o->peer->backlog || !is_storing(o->peer->backlog) || notify_body_has_samples(o))
                return false; /* samples stay in their cache */
        observation_refresh(o);
        return o->hqmax > 0;
}

bool backlog_is_first(const Backlog *b) {
        return b && (b->counts.waiting > 0 || b->doubtful);
}

static void add(Backlog *b, Observation *o, GBytes *payload, int64_t time_ns) {
        KeptOf *k = kept_of(o);
        Entry *e = g_new0(Entry, 1);

        backlog_withdraw(b);
        observe_save_identify(o);
        o->untold = false;
        e->node.data = e->own_node.data = e;
        e->o = o;
        e->payload = g_bytes_ref(payload);
        e->time_ns = time_ns;
        g_queue_push_tail_link(&b->memory, &e->node);
        g_queue_push_tail_link(&k->entries, &e->own_node);
        b->memory_bytes += entry_size(e);
        b->counts.stored++;
        b->counts.waiting++;
        observation_refresh(o);
        while (count_of(o) > o->hqmax)
                drop_oldest_of(b, o);
        if (b->memory_bytes > b->config.memory_max && move_to_file(b) < 0)
                drop_memory(b, b->config.memory_max);
}

int backlog_store(Backlog *b, Observation *o, const ReadResult *result, uint64_t now_usec) {
        const int64_t now_ns = b->config.wall_clock_ns();
        g_autofree Record *v = NULL;
        g_autoptr(GBytes) payload = NULL;
        ReadResult timed = *result;
        int r;

        if (format_has_time(o->target.format)) {
                timed.v = v = g_memdup2(result->v, result->n * sizeof(Record));
                for (size_t i = 0; i < result->n; i++)
                        if (v[i].time_ns == RECORD_NO_TIME)
                                v[i].time_ns = now_ns;
        }
        r = read_encode(o->observer->dm, &o->target, &timed, &payload);
        if (r < 0)
                return r;
        add(b, o, payload, now_ns);
        return 0;
}

void backlog_note_sent(Backlog *b, Observation *o, GBytes *payload) {
        if (!b)
                return;
        g_clear_pointer(&b->sent_payload, g_bytes_unref);
        b->sent = payload && b->storing ? o : NULL;
        if (!b->sent)
                return;
        b->sent_payload = g_bytes_ref(payload);
        b->sent_ns = b->config.wall_clock_ns();
}

/* An acknowledgement that does not come may mean that the server is away, or that it does not want
 * this observation any more: an Update tells. When that was answered and the notification is again
 * not acknowledged, the observer is gone (RFC 7641, section 4.5). */
static bool is_lost(Backlog *b, Observation *o, uint64_t now_usec) {
        KeptOf *k = kept_of(o);

        if (k->n_timeouts++ > 0)
                return true;
        b->doubtful = true; /* until backlog_note_registered() */
        dm_doubt(b->peer->dm, b->peer->ssid, now_usec);
        return false;
}

bool backlog_take_back(Backlog *b, Observation *o, int error, uint64_t now_usec) {
        g_autoptr(GBytes) payload = NULL;

        if (!b || b->sent != o)
                return false;
        payload = g_steal_pointer(&b->sent_payload);
        b->sent = NULL;
        if (!b->storing || (error == -ETIMEDOUT && is_lost(b, o, now_usec)))
                return false;
        if (notify_body_has_samples(o)) {
                if (error == -ETIMEDOUT)
                        notify_lost(o);
                return error == -ETIMEDOUT;
        }
        add(b, o, payload, b->sent_ns);
        backlog_kick(b);
        return true;
}

uint64_t backlog_forget(Backlog *b, Observation *o) {
        uint64_t n = count_of(o);
        KeptOf *k = o->kept;

        if (!b)
                return 0;
        if (b->sent == o)
                backlog_note_sent(b, o, NULL);
        if (b->calling == o)
                backlog_withdraw(b);
        if (!k)
                return 0;
        while (k->entries.head)
                entry_free(b, k->entries.head->data);
        o->kept = NULL;
        g_free(k);
        note_dropped(b, n);
        /* What the file still has of it is passed over later. */
        if (b->counts.waiting == 0 && b->spill && !b->closed)
                spill_clear(b->spill);
        backlog_kick(b);
        return n;
}

/* --- on the way --- */

static void call_over(Backlog *b) {
        b->call = NULL;
        b->calling = NULL;
        b->peer->n_on_way--;
}

void backlog_withdraw(Backlog *b) {
        if (!b || !b->call)
                return;
        b->peer->dm->config.transport->cancel(b->call);
        call_over(b);
}

static void note_delivered(Backlog *b, Observation *o) {
        if (b->from_file)
                pop_file(b, o, false);
        else {
                entry_free(b, b->memory.head->data);
                b->counts.waiting--;
        }
        b->counts.delivered++;
        o->n_sent++;
        ((KeptOf *) o->kept)->n_timeouts = 0;
}

static void on_sent(void *userdata, int error, uint64_t now_usec) {
        Backlog *b = userdata;
        Observation *o = b->calling;

        call_over(b);
        switch (error) {
        case 0:
                note_delivered(b, o);
                observe_event(o, "notify-acked", "");
                break;
        case -ETIMEDOUT:
                observe_event(o, "notify-timeout", "");
                if (is_lost(b, o, now_usec))
                        observation_end(o, "notification timed out");
                break;
        case -ECONNRESET:
                observation_end(o, "rejected by the server");
                break;
        default:
                timer_arm(b->timer, now_usec + RETRY_USEC);
                return;
        }
        if (b->counts.waiting > 0)
                backlog_kick(b);
        else
                observe_presence_changed(b->peer); /* what has changed meanwhile */
}

static void send_oldest(Backlog *b, uint64_t now_usec) {
        g_autoptr(GBytes) payload = NULL;
        Message m = MESSAGE_INIT(CODE(2, 5));
        Observation *o = look_at_file(b, &payload);
        int r;

        b->from_file = o != NULL;
        if (!o && !b->memory.head)
                return;
        if (!o) {
                const Entry *e = b->memory.head->data;

                o = e->o;
                payload = g_bytes_ref(e->payload);
        }
        m.token = o->token;
        m.format = o->target.format;
        m.payload = payload;
        m.request_key = o->request_key;
        m.observe = observe_save_next_sequence(o);
        r = b->peer->dm->config.transport->notify(b->peer->link, &m, on_sent, b, &b->call);
        if (r < 0) {
                b->call = NULL;
                timer_arm(b->timer, now_usec + RETRY_USEC);
                return;
        }
        b->calling = o;
        b->peer->n_on_way++;
        o->last_confirmed_usec = now_usec;
}

static void on_timer(void *userdata, uint64_t now_usec) {
        Backlog *b = userdata;

        if (b->call || b->counts.waiting == 0 || is_storing(b) || b->peer->n_on_way > 0 ||
            observe_is_suspended(b->peer->dm) || !peer_may_send(b->peer, false, now_usec))
                return;
        send_oldest(b, now_usec);
        if (b->counts.waiting == 0) /* all that was left in the file is of nobody */
                observe_presence_changed(b->peer);
}

void backlog_kick(Backlog *b) {
        if (b && b->counts.waiting > 0)
                timer_arm(b->timer, 0);
}

void backlog_note_registered(Backlog *b) {
        const bool doubtful = b->doubtful;

        b->doubtful = false;
        if (doubtful)
                observe_presence_changed(b->peer);
        else
                backlog_kick(b);
}

void backlog_set_storing(Backlog *b, bool storing) {
        b->storing = storing;
}

void backlog_counts(const Backlog *b, BacklogCounts *ret) {
        *ret = b->counts;
        ret->bytes = b->memory_bytes + (b->spill ? spill_bytes(b->spill) : 0);
}

/* --- over the end of a process --- */

static void on_spill_message(void *userdata, int level, const char *text) {
        const Backlog *b = userdata;

        log_with(level, (&(LogFields){ .ssid = b->peer->ssid }), "%s", text);
}

static void count_record(void *userdata, GBytes *record) {
        Backlog *b = userdata;
        size_t at;
        Observation *o = unpack(b, record, &at);

        if (!o)
                return;
        kept_of(o)->n_file++;
        b->counts.waiting++;
        observation_refresh(o);
        if (count_of(o) > o->hqmax)
                drop_oldest_of(b, o);
}

void backlog_restore(Backlog *b) {
        g_autofree char *name = g_strdup_printf("notifications-%u", b->peer->ssid);
        SpillConfig config = { .directory = b->directory,
                               .name = name,
                               .bytes_max = b->config.file_max,
                               .message = on_spill_message,
                               .userdata = b };
        int r;

        if (b->spill || !b->directory || b->config.file_max == 0)
                return;
        r = spill_open(&config, &b->spill);
        if (r == 0)
                r = spill_foreach(b->spill, count_record, b);
        if (r < 0)
                warn(b, r, "Cannot read the stored notifications");
        if (b->spill && b->counts.waiting == 0)
                spill_clear(b->spill);
}

void backlog_leave_file(Backlog *b) {
        if (b)
                b->closed = true;
}

void backlog_flush(Backlog *b) {
        backlog_withdraw(b);
        if (b->memory.head)
                (void) move_to_file(b);
        backlog_leave_file(b);
}

/* --- life --- */

Backlog *backlog_new(Peer *p, const BacklogConfig *config) {
        Backlog *b = g_new0(Backlog, 1);

        b->peer = p;
        b->config = *config;
        b->config.memory_max = config->memory_max ?: MEMORY_MAX;
        b->directory = g_strdup(config->directory);
        b->config.directory = b->directory;
        b->timer = timer_new(p->dm->config.timers, on_timer, b);
        p->backlog = b;
        return b;
}

Backlog *backlog_free(Backlog *b) {
        if (!b)
                return NULL;
        backlog_withdraw(b);
        while (b->memory.head)
                entry_free(b, b->memory.head->data);
        g_clear_pointer(&b->sent_payload, g_bytes_unref);
        spill_close(b->spill);
        timer_free(b->timer);
        b->peer->backlog = NULL;
        g_free(b->directory);
        g_free(b);
        return NULL;
}
