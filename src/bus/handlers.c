/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/handlers.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "bus/errors.h"
#include "bus/variant.h"
#include "util/log.h"

#define READ_RECORDS_MAX 200000 /* as many as GetMany gives */
#define UNSENT_MAX 256          /* messages in sd-bus, besides what the socket has */

struct Handlers {
        Loop *loop;
        const Claims *claims;
        sd_bus *bus;
        uint32_t queue_max, n_in_flight;
        uint64_t last_txn;
        GQueue waiting;   /* Part, not yet sent */
        GHashTable *apps; /* address -> App, of those with parts */
};

/* An application with calls. */
typedef struct App {
        char *address;
        unsigned n_parts, n_in_flight, n_waiting;
} App;

typedef enum CallKind { CALL_EXECUTE, CALL_READ, CALL_PREPARE } CallKind;

/* One message to one application. */
typedef struct Part {
        AppCall *call;
        sd_bus_message *message; /* until it is sent */
        sd_bus_slot *slot;       /* while in flight */
        uint64_t timeout_usec, deadline_usec;
        App *app;
        char *handler; /* for Commit and Abort */
        bool waiting, done;
} Part;

struct AppCall {
        Handlers *handlers;
        CallKind kind;
        AppDone done;
        void *userdata;
        uint64_t txn;
        GPtrArray *parts; /* Part */
        unsigned n_pending;
        int error;
        char *text;
        RecordList records;
        Timer *deliver;          /* reports a result that was there before anything was sent */
        GPtrArray *alternatives; /* Execute of a shared prefix: messages for the next claims, in
                                    order */
};

/* --- fairness --- */
static App *app_take(Handlers *h, const char *address) {
        App *a = g_hash_table_lookup(h->apps, address);

        if (!a) {
                a = g_new0(App, 1);
                a->address = g_strdup(address);
                g_hash_table_insert(h->apps, a->address, a);
        }
        a->n_parts++;
        return a;
}

static void app_give_back(Handlers *h, App *a) {
        if (--a->n_parts > 0)
                return;
        g_hash_table_remove(h->apps, a->address);
        g_free(a->address);
        g_free(a);
}

static bool has_room(const Handlers *h, const App *a) {
        unsigned reserve = a->n_in_flight < CALLS_OF_APP_MIN ? CALLS_RESERVE : 0;

        return h->n_in_flight < CALLS_IN_FLIGHT_MAX + reserve;
}

static bool may_wait(const Handlers *h, const App *a) {
        return h->waiting.length < h->queue_max && a->n_waiting <= h->queue_max / 4 * 3;
}

static void take_from_queue(Handlers *h, Part *part, GList *node) {
        g_queue_delete_link(&h->waiting, node);
        part->waiting = false;
        part->app->n_waiting--;
}

static void part_landed(Part *part) {
        part->slot = sd_bus_slot_unref(part->slot);
        part->app->n_in_flight--;
        part->call->handlers->n_in_flight--;
}

static void part_free(gpointer p) {
        Part *part = p;
        Handlers *h = part->call->handlers;

        if (part->waiting)
                take_from_queue(h, part, g_queue_find(&h->waiting, part));
        if (part->slot)
                part_landed(part);
        sd_bus_message_unref(part->message);
        app_give_back(h, part->app);
        g_free(part->handler);
        g_free(part);
}

static void call_free(AppCall *call) {
        timer_free(call->deliver);
        g_ptr_array_unref(call->parts);
        g_clear_pointer(&call->alternatives, g_ptr_array_unref);
        record_list_clear(&call->records);
        g_free(call->text);
        g_free(call);
}

static void send_waiting(Handlers *h);

/* Tells the caller; a prepared call stays until finish(), anything else is over. */
static void deliver(AppCall *call, uint64_t now_usec) {
        AppDone done = call->done;
        void *userdata = call->userdata;
        bool keep = call->kind == CALL_PREPARE && call->error == 0;

        call->done = NULL;
        done(userdata, call->error, call->text,
             call->kind == CALL_READ && call->error == 0 ? &call->records : NULL, now_usec);
        if (!keep)
                call_free(call);
}

static void on_deliver(void *userdata, uint64_t now_usec) {
        deliver(userdata, now_usec);
}

static void tell(AppCall *call, const Part *part, const char *member) {
        Handlers *h = call->handlers;
        int r;

        if (!h->bus)
                return;
        r = sd_bus_call_method_async(h->bus, NULL, part->app->address, part->handler,
                                     HANDLER_INTERFACE, member, NULL, NULL, "t", call->txn);
        if (r < 0)
                log_warning_errno(r, "Cannot send %s to %s: %m", member, part->app->address);
}

static void fail(AppCall *call, int error, const char *text) {
        if (call->error < 0)
                return;
        call->error = error;
        call->text = g_strdup(text);
}

static void call_over(AppCall *call) {
        uint64_t now_usec = loop_now(call->handlers->loop);

        if (call->kind == CALL_PREPARE && call->error < 0 && call->parts->len > 1)
                for (guint i = 0; i < call->parts->len; i++)
                        tell(call, g_ptr_array_index(call->parts, i), "Abort");
        deliver(call, now_usec);
}

static int read_records(sd_bus_message *m, AppCall *call) {
        const char *text;
        int64_t time;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(svx)");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "svx")) > 0) {
                bool multiple;
                Path p;

                if (call->records.n >= READ_RECORDS_MAX)
                        return -E2BIG;
                r = sd_bus_message_read_basic(m, 's', &text);
                if (r >= 0)
                        r = path_parse(text, &p);
                if (r >= 0)
                        r = variant_read(m, &p, &call->records, &multiple);
                if (r >= 0)
                        r = sd_bus_message_read_basic(m, 'x', &time);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

static bool try_alternative(AppCall *call, const sd_bus_error *error);

/* The same error comes from sd-bus when the time is over and from the bus when the application has
 * left it. */
static void fail_by_error(AppCall *call, const Part *part, const sd_bus_error *error) {
        bool unanswered = sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY);
        char text[64];

        if (unanswered && loop_now(call->handlers->loop) >= part->deadline_usec) {
                g_snprintf(text, sizeof(text), "the application did not answer in %g s",
                           (double) part->timeout_usec / USEC_PER_SEC);
                fail(call, -ETIMEDOUT, text);
        } else if (unanswered)
                fail(call, -EHOSTUNREACH, "the application went away without an answer");
        else
                fail(call, bus_error_from_handler(error), error->message);
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Part *part = userdata;
        AppCall *call = part->call;
        Handlers *h = call->handlers;
        const sd_bus_error *error = sd_bus_message_get_error(m);

        part_landed(part);
        part->done = true;
        call->n_pending--;
        if (error && try_alternative(call, error))
                return 0;
        if (error)
                fail_by_error(call, part, error);
        else if (call->kind == CALL_READ && read_records(m, call) < 0)
                fail(call, -EIO,
                     "the application's Read reply is not of the form a(svx), or too long");
        if (call->n_pending == 0)
                call_over(call);
        send_waiting(h);
        return 0;
}

static void send_part(Handlers *h, Part *part) {
        uint64_t n_queued = 0;
        int r = -EHOSTUNREACH;

        if (h->bus)
                (void) sd_bus_get_n_queued_write(h->bus, &n_queued);
        /* sd-bus counts from a moment later, and on another clock. */
        part->deadline_usec = loop_now(h->loop) + part->timeout_usec - USEC_PER_MSEC;
        /* Calls whose time is over stay in the queue of a bus that does not read. */
        if (h->bus && n_queued < UNSENT_MAX)
                r = sd_bus_call_async(h->bus, &part->slot, part->message, on_reply, part,
                                      part->timeout_usec);
        part->message = sd_bus_message_unref(part->message);
        if (r >= 0) {
                h->n_in_flight++;
                part->app->n_in_flight++;
                return;
        }
        fail(part->call, -EHOSTUNREACH,
             n_queued < UNSENT_MAX ? "the D-Bus connection is gone" : "the bus takes no messages");
        if (--part->call->n_pending == 0)
                timer_arm(part->call->deliver, loop_now(h->loop));
}

static void send_waiting(Handlers *h) {
        GList *next = h->waiting.head;

        while (next && h->n_in_flight < CALLS_IN_FLIGHT_MAX + CALLS_RESERVE) {
                GList *node = next;
                Part *part = node->data;

                next = node->next;
                if (!has_room(h, part->app))
                        continue; /* of another application there may be one further back */
                take_from_queue(h, part, node);
                send_part(h, part);
        }
}

static void submit(Handlers *h, Part *part) {
        part->call->n_pending++;
        if (has_room(h, part->app)) {
                send_part(h, part);
        } else if (may_wait(h, part->app)) {
                part->waiting = true;
                part->app->n_waiting++;
                g_queue_push_tail(&h->waiting, part);
        } else {
                fail(part->call, -EBUSY, "too many calls to applications are waiting");
                if (--part->call->n_pending == 0)
                        timer_arm(part->call->deliver, loop_now(h->loop));
        }
}

static AppCall *call_new(Handlers *h, CallKind kind, AppDone done, void *userdata) {
        AppCall *call = g_new0(AppCall, 1);

        call->handlers = h;
        call->kind = kind;
        call->done = done;
        call->userdata = userdata;
        call->parts = g_ptr_array_new_with_free_func(part_free);
        call->deliver = timer_new(loop_timers(h->loop), on_deliver, call);
        return call;
}

static Part *part_new(AppCall *call, const Claim *claim, sd_bus_message *m) {
        Part *part = g_new0(Part, 1);

        part->call = call;
        part->message = sd_bus_message_ref(m);
        part->timeout_usec = claim->timeout_ms * USEC_PER_MSEC;
        part->app = app_take(call->handlers, claim_address(claim));
        part->handler = g_strdup(claim->handler);
        g_ptr_array_add(call->parts, part);
        return part;
}

/* An application that vanished, or a bus that did, answers for the whole call: later, as every
 * answer. */
static AppCall *call_failed(AppCall *call, int error, const char *text) {
        fail(call, error, text);
        timer_arm(call->deliver, loop_now(call->handlers->loop));
        return call;
}

static AppCall *message_failed(AppCall *call, int r) {
        switch (r) {
        case -EHOSTUNREACH:
                return call_failed(call, r, "the D-Bus connection is gone");
        case -E2BIG:
                return call_failed(call, r, "too big to be shown to an application over D-Bus");
        default:
                return call_failed(call, -EIO, "cannot build the message to the application");
        }
}

static AppCall *owner_gone(AppCall *call) {
        return call_failed(call, -EHOSTUNREACH, "the application that claimed this path has gone");
}

static const Claim *claim_for(const Handlers *h, const Path *p, unsigned operation) {
        const GPtrArray *list = claims_find(h->claims, p);
        const Claim *best = NULL;

        for (guint i = 0; list && i < list->len; i++) {
                const Claim *c = g_ptr_array_index(list, i);

                if ((c->operations & operation) &&
                    (!best || (!claim_address(best) && claim_address(c))))
                        best = c;
        }
        return best;
}

static void add_offer(void *userdata, const Claim *claim) {
        GArray *ret = userdata;

        for (size_t i = 0; claim->operations & APP_CREATE && i < claim->n_prefixes; i++)
                if (claim->prefixes[i].n == 1)
                        g_array_append_val(ret, claim->prefixes[i].id[0]);
}

static void handlers_offered(void *apps, GArray *ret) {
        claims_foreach(((const Handlers *) apps)->claims, add_offer, ret);
        claims_foreach_standing(((const Handlers *) apps)->claims, add_offer, ret);
}

static unsigned handlers_claimed(void *apps, const Path *p) {
        const Handlers *h = apps;
        const GPtrArray *list = claims_find(h->claims, p);
        unsigned operations = 0;

        for (guint i = 0; list && i < list->len; i++)
                operations |= ((const Claim *) g_ptr_array_index(list, i))->operations;
        return operations;
}

static int new_message(Handlers *h, const Claim *claim, const char *member, sd_bus_message **ret) {
        if (!h->bus)
                return -EHOSTUNREACH;
        return sd_bus_message_new_method_call(h->bus, ret, claim_address(claim), claim->handler,
                                              HANDLER_INTERFACE, member);
}

/* ctx: who asks, and until when an answer is of use (wall clock, ns). */
static int append_context(sd_bus_message *m, const AppContext *context, const Claim *claim,
                          const char *raw, int final) {
        struct timespec ts;
        int r;

        clock_gettime(CLOCK_REALTIME, &ts);
        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "server", "q", context->ssid);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "deadline", "x",
                                          (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec +
                                                  claim->timeout_ms * INT64_C(1000000));
        if (r >= 0 && raw)
                r = sd_bus_message_append(m, "{sv}", "raw", "s", raw);
        if (r >= 0 && final >= 0)
                r = sd_bus_message_append(m, "{sv}", "final", "b", final);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int execute_message(Handlers *h, const Claim *claim, const Path *p, const ExecuteArg *args,
                           size_t n_args, const char *raw, const AppContext *context,
                           sd_bus_message **ret) {
        sd_bus_message *m = NULL;
        int r;

        r = new_message(h, claim, "Execute", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", PATH_TEXT(p));
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(ys)");
        for (size_t i = 0; i < n_args && r >= 0; i++)
                r = sd_bus_message_append(m, "(ys)", args[i].digit,
                                          args[i].value ? args[i].value : "");
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = append_context(m, context, claim, raw, -1);
        if (r < 0) {
                sd_bus_message_unref(m);
                return r;
        }
        *ret = m;
        return 0;
}

/* A prefix shared by several: the next one is asked when one says that this is not its path. */
typedef struct Alternative {
        uint32_t claim_id;
        sd_bus_message *message;
} Alternative;

static void alternative_free(gpointer p) {
        Alternative *a = p;

        sd_bus_message_unref(a->message);
        g_free(a);
}

static bool try_alternative(AppCall *call, const sd_bus_error *error) {
        Handlers *h = call->handlers;

        if (!call->alternatives || strcmp(error->name, ERROR_PREFIX "NotMine") != 0)
                return false;
        while (call->alternatives->len > 0) {
                Alternative *a = g_ptr_array_steal_index(call->alternatives, 0);
                const Claim *c = claims_by_id(h->claims, a->claim_id);
                bool usable = c && claim_address(c);

                if (usable)
                        submit(h, part_new(call, c, a->message));
                alternative_free(a);
                if (usable)
                        return true;
        }
        return false;
}

static AppCall *handlers_execute(void *apps, const Path *p, const ExecuteArg *args, size_t n_args,
                                 const char *raw, const AppContext *context, AppDone done,
                                 void *userdata) {
        Handlers *h = apps;
        const GPtrArray *list = claims_find(h->claims, p);
        AppCall *call = call_new(h, CALL_EXECUTE, done, userdata);

        call->alternatives = g_ptr_array_new_with_free_func(alternative_free);
        for (guint i = 0; list && i < list->len; i++) {
                const Claim *c = g_ptr_array_index(list, i);
                sd_bus_message *m = NULL;
                int r;

                if (!(c->operations & APP_EXECUTE) || !claim_address(c))
                        continue;
                r = execute_message(h, c, p, args, n_args, raw, context, &m);
                if (r < 0)
                        return message_failed(call, r);
                if (call->parts->len == 0) {
                        submit(h, part_new(call, c, m));
                        sd_bus_message_unref(m);
                } else {
                        Alternative *a = g_new0(Alternative, 1);

                        a->claim_id = c->id;
                        a->message = m;
                        g_ptr_array_add(call->alternatives, a);
                }
        }
        if (call->parts->len == 0)
                return owner_gone(call);
        return call;
}

/* The claims of n items without repetition, in the order of the items. */
static GPtrArray *distinct(const Claim **claims, size_t n) {
        g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
        GPtrArray *list = g_ptr_array_new();

        for (size_t i = 0; i < n; i++)
                if (claims[i] && g_hash_table_add(seen, (gpointer) claims[i]))
                        g_ptr_array_add(list, (gpointer) claims[i]);
        return list;
}

static int add_read(Handlers *h, AppCall *call, const Claim *claim, const Path *paths,
                    const Claim **claims, size_t n, const AppContext *context) {
        sd_bus_message *m = NULL;
        int r;

        r = new_message(h, claim, "Read", &m);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; i < n && r >= 0; i++)
                if (claims[i] == claim)
                        r = sd_bus_message_append(m, "s", PATH_TEXT(&paths[i]));
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = append_context(m, context, claim, NULL, -1);
        if (r >= 0)
                part_new(call, claim, m);
        sd_bus_message_unref(m);
        return r;
}

static void submit_all(AppCall *call) {
        for (guint i = 0; i < call->parts->len; i++)
                submit(call->handlers, g_ptr_array_index(call->parts, i));
}

static AppCall *handlers_read(void *apps, const Path *paths, size_t n, const AppContext *context,
                              AppDone done, void *userdata) {
        Handlers *h = apps;
        g_autofree const Claim **claims = g_new0(const Claim *, n);
        g_autoptr(GPtrArray) owners = NULL;
        AppCall *call = call_new(h, CALL_READ, done, userdata);

        for (size_t i = 0; i < n; i++)
                claims[i] = claim_for(h, &paths[i], APP_READ);
        owners = distinct(claims, n);
        for (guint i = 0; i < owners->len; i++) {
                const Claim *claim = g_ptr_array_index(owners, i);
                int r;

                if (!claim_address(claim))
                        return owner_gone(call);
                r = add_read(h, call, claim, paths, claims, n, context);
                if (r < 0)
                        return message_failed(call, r);
        }
        if (call->parts->len == 0)
                return call_failed(call, 0, NULL);
        submit_all(call);
        return call;
}

static const Claim *claim_for_op(const Handlers *h, const Op *op) {
        switch (op->kind) {
        case OP_CREATE:
        case OP_DELETE:
                return claim_for(h, &op->path, APP_CREATE);
        case OP_SET:
        case OP_UNSET:
        case OP_REPLACE:
                return claim_for(h, &op->path, APP_WRITE);
        case OP_EXPECT:
        default:
                return NULL;
        }
}

/* Only OP_SET carries a value; the others go with b true, as in Apply. */
static int append_op(sd_bus_message *m, const Op *op) {
        int r;

        r = sd_bus_message_open_container(m, 'r', "ssv");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", op_name(op->kind), PATH_TEXT(&op->path));
        if (r >= 0)
                r = op->value.type == VALUE_NONE ? sd_bus_message_append(m, "v", "b", 1)
                                                 : variant_append(m, &op->value);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int add_prepare(Handlers *h, AppCall *call, const Claim *claim, const Op *ops,
                       const Claim **claims, size_t n, const AppContext *context, bool final) {
        sd_bus_message *m = NULL;
        size_t n_bytes = 0;
        int r;

        r = new_message(h, claim, "Prepare", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "t", call->txn);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(ssv)");
        for (size_t i = 0; i < n && r >= 0; i++) {
                if (claims[i] != claim)
                        continue;
                n_bytes += variant_size(&ops[i].value);
                r = n_bytes > BUS_VALUE_BYTES_MAX ? -E2BIG : append_op(m, &ops[i]);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = append_context(m, context, claim, NULL, final);
        if (r >= 0)
                part_new(call, claim, m);
        sd_bus_message_unref(m);
        return r;
}

static AppCall *handlers_prepare(void *apps, const Op *ops, size_t n, const AppContext *context,
                                 AppDone done, void *userdata) {
        Handlers *h = apps;
        g_autofree const Claim **claims = g_new0(const Claim *, n);
        g_autoptr(GPtrArray) owners = NULL;
        AppCall *call;

        for (size_t i = 0; i < n; i++)
                claims[i] = claim_for_op(h, &ops[i]);
        owners = distinct(claims, n);
        if (owners->len == 0)
                return NULL;
        call = call_new(h, CALL_PREPARE, done, userdata);
        call->txn = ++h->last_txn;
        for (guint i = 0; i < owners->len; i++) {
                const Claim *claim = g_ptr_array_index(owners, i);
                int r;

                if (!claim_address(claim))
                        return owner_gone(call);
                r = add_prepare(h, call, claim, ops, claims, n, context, owners->len == 1);
                if (r < 0)
                        return message_failed(call, r);
        }
        submit_all(call);
        return call;
}

static void handlers_finish(AppCall *call, bool commit) {
        /* With one owner its Prepare was final, unless the change failed afterwards: that it must
         * know. */
        if (call->parts->len > 1 || !commit)
                for (guint i = 0; i < call->parts->len; i++)
                        tell(call, g_ptr_array_index(call->parts, i), commit ? "Commit" : "Abort");
        call_free(call);
}

static void handlers_cancel(AppCall *call) {
        Handlers *h = call->handlers;

        if (call->kind == CALL_PREPARE)
                for (guint i = 0; i < call->parts->len; i++)
                        tell(call, g_ptr_array_index(call->parts, i), "Abort");
        call_free(call);
        send_waiting(h);
}

const AppOps handlers_app_ops = {
        .claimed = handlers_claimed,
        .offered = handlers_offered,
        .execute = handlers_execute,
        .read = handlers_read,
        .prepare = handlers_prepare,
        .finish = handlers_finish,
        .cancel = handlers_cancel,
};

Handlers *handlers_new(Loop *loop, const Claims *claims, uint32_t queue_max) {
        Handlers *h = g_new0(Handlers, 1);

        h->loop = loop;
        h->claims = claims;
        h->queue_max = queue_max;
        g_queue_init(&h->waiting);
        h->apps = g_hash_table_new(g_str_hash, g_str_equal);
        return h;
}

Handlers *handlers_free(Handlers *h) {
        if (h)
                g_hash_table_unref(h->apps);
        g_free(h);
        return NULL;
}

void handlers_released(Handlers *h, const Claim *claim, const char *reason) {
        int r;

        if (!h->bus || !claim->owner)
                return;
        r = sd_bus_call_method_async(h->bus, NULL, owner_name(claim->owner), claim->handler,
                                     HANDLER_INTERFACE, "Released", NULL, NULL, "us", claim->id,
                                     reason);
        if (r < 0)
                log_warning_errno(r, "Cannot tell %s of its claim's end: %m",
                                  owner_name(claim->owner));
}

void handlers_set_bus(Handlers *h, sd_bus *bus) {
        h->bus = bus;
        /* sd-bus answers what is in flight with an error when its connection closes; what waits is
         * sent into the void here, which fails it the same way. */
        if (!bus)
                while (!g_queue_is_empty(&h->waiting)) {
                        Part *part = g_queue_peek_head(&h->waiting);

                        take_from_queue(h, part, h->waiting.head);
                        send_part(h, part);
                }
}
