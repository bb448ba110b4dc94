/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/providers.h"

#include <errno.h>
#include <string.h>

#include "bus/gate.h"
#include "bus/server_security.h"

#define TIMEOUT_MS_DEFAULT 10000U
#define TIMEOUT_MS_MAX 30000U /* a server gives up a connection that does not come after 60 s */

typedef struct Provider {
        uint32_t id; /* 0: of apps.d */
        Owner *owner;
        char *bus_name; /* of apps.d */
        char *path;
        uint16_t ssid; /* or PROVIDER_OF_ALL */
        uint32_t timeout_ms;
} Provider;

struct Providers {
        Bus *b;
        sd_bus *bus;
        GPtrArray *list;  /* Provider */
        GQueue questions; /* KeyQuestion, in their order */
        unsigned n_in_flight;
        uint32_t last_id;
};

struct KeyQuestion {
        Providers *providers;
        uint16_t ssid;
        char *uri;
        Credentials *account;
        KeyAnswer done;
        void *userdata;
        char *address; /* who was asked; NULL: not yet */
        sd_bus_slot *slot;
        Timer *failing; /* tells an error from the loop */
        bool patient;   /* … unless the bus is there before */
        int error;
        char *text;
};

/* --- providers --- */

static void provider_free(gpointer data) {
        Provider *p = data;

        owner_unref(p->owner);
        g_free(p->bus_name);
        g_free(p->path);
        g_free(p);
}

static const char *provider_address(const Provider *p) {
        return p->owner ? owner_name(p->owner) : p->bus_name;
}

/* For that server rather than for all, and somebody present rather than one to be started. */
static const Provider *find(const Providers *ps, uint16_t ssid) {
        const Provider *best = NULL;
        int best_rank = -1;

        for (guint i = 0; i < ps->list->len; i++) {
                const Provider *p = ps->list->pdata[i];
                int rank = (p->ssid == ssid ? 2 : 0) + (p->owner ? 1 : 0);

                if ((p->ssid == ssid || p->ssid == PROVIDER_OF_ALL) && rank > best_rank) {
                        best = p;
                        best_rank = rank;
                }
        }
        return best;
}

/* --- questions --- */

static void question_free(KeyQuestion *q) {
        Providers *ps = q->providers;

        g_queue_remove(&ps->questions, q);
        if (q->slot) {
                ps->n_in_flight--;
                sd_bus_slot_unref(q->slot);
        }
        timer_free(q->failing);
        credentials_free(q->account);
        g_free(q->uri);
        g_free(q->address);
        g_free(q->text);
        g_free(q);
}

static void on_failing(void *userdata, uint64_t now_usec);

static void fail_at(KeyQuestion *q, uint64_t when_usec, int error, char *text /* taken over */) {
        Bus *b = q->providers->b;

        g_free(q->text);
        q->text = text;
        q->error = error;
        if (!q->failing)
                q->failing = timer_new(loop_timers(b->loop), on_failing, q);
        timer_arm(q->failing, when_usec);
}

static void fail_later(KeyQuestion *q, int error, char *text /* taken over */) {
        q->patient = false;
        fail_at(q, bus_now(q->providers->b), error, text);
}

/* At the start servers are ready before the bus is: an application that it would start can be asked
 * in a moment. */
static void wait_for_bus(KeyQuestion *q) {
        if (q->patient)
                return;
        q->patient = true;
        fail_at(q, bus_now(q->providers->b) + TIMEOUT_MS_DEFAULT * USEC_PER_MSEC, -ENOKEY,
                g_strdup("the application that provides the credentials cannot be asked: the bus "
                         "is not there"));
}

static int append_question(sd_bus_message *m, const KeyQuestion *q, uint32_t timeout_ms) {
        int r;

        r = sd_bus_message_append(m, "qs", q->ssid, q->uri);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "security", "s",
                                          credentials_mode_name(q->account->mode));
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "bootstrap", "b", q->ssid == 0);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "timeout_ms", "u", timeout_ms);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error);

static int send(KeyQuestion *q, const Provider *p) {
        Providers *ps = q->providers;
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(ps->bus, &m, provider_address(p), p->path,
                                           PROVIDER_INTERFACE, "Load");
        if (r >= 0)
                r = append_question(m, q, p->timeout_ms);
        if (r >= 0)
                r = sd_bus_call_async(ps->bus, &q->slot, m, on_reply, q,
                                      (uint64_t) p->timeout_ms * USEC_PER_MSEC);
        sd_bus_message_unref(m);
        if (r < 0)
                return r;
        q->address = g_strdup(provider_address(p));
        ps->n_in_flight++;
        return 0;
}

static void send_waiting(Providers *ps) {
        for (GList *l = ps->questions.head; l && ps->n_in_flight < QUESTIONS_IN_FLIGHT_MAX;
             l = l->next) {
                KeyQuestion *q = l->data;
                const Provider *p;
                int r;

                if (q->slot || (q->failing && !q->patient))
                        continue;
                p = find(ps, q->ssid);
                if (p && !ps->bus) {
                        wait_for_bus(q);
                        continue;
                }
                if (!p) {
                        fail_later(q, -ENOKEY,
                                   g_strdup("the application that provided the credentials has "
                                            "left the bus"));
                        continue;
                }
                q->failing = timer_free(q->failing);
                q->patient = false;
                r = send(q, p);
                if (r < 0)
                        fail_later(q, r,
                                   g_strdup_printf("cannot ask %s for credentials: %s",
                                                   provider_address(p), g_strerror(-r)));
        }
}

static void answer(KeyQuestion *q, int error, const char *text, Credentials *credentials,
                   uint64_t now_usec) {
        Providers *ps = q->providers;
        KeyAnswer done = q->done;
        void *userdata = q->userdata;

        question_free(q);
        done(userdata, error, text, credentials, now_usec);
        send_waiting(ps);
}

static void on_failing(void *userdata, uint64_t now_usec) {
        KeyQuestion *q = userdata;
        g_autofree char *text = g_steal_pointer(&q->text);

        answer(q, q->error, text, NULL, now_usec);
}

static int read_answer(sd_bus_message *m, const KeyQuestion *q, const char *directory,
                       Credentials **ret, char **ret_text) {
        g_auto(ServerSecurity) security = SERVER_SECURITY_INIT;
        const Option options[] = { SERVER_SECURITY_OPTIONS(security), { NULL } };
        g_autofree char *why = NULL;
        sd_bus_error bad = SD_BUS_ERROR_NULL;
        int r = -EBADMSG;

        if (sd_bus_message_has_signature(m, "a{sv}"))
                r = options_read(m, options, &bad);
        if (r < 0)
                why = g_strdup(bad.message ? bad.message : "not the type a{sv}");
        else
                r = server_security_build_on(&security, q->account, directory, ret, &why);
        sd_bus_error_free(&bad);
        if (r >= 0 && (*ret)->mode == SECURITY_MODE_NOSEC) {
                *ret = credentials_free(*ret);
                why = g_strdup("no credentials at all");
                r = -EINVAL;
        }
        if (r >= 0 && credentials_are_awaited(*ret)) {
                *ret = credentials_free(*ret);
                why = g_strdup("no key");
                r = -EINVAL;
        }
        if (r < 0)
                *ret_text = g_strdup_printf("the credentials of %s: %s", q->address,
                                            why ? why : g_strerror(-r));
        return r < 0 ? -EKEYREJECTED : 0;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        KeyQuestion *q = userdata;
        Bus *b = q->providers->b;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        g_autofree char *text = NULL;
        Credentials *c = NULL;
        int r = -ENOKEY;

        if (!e)
                r = read_answer(m, q, b->config.secrets_directory, &c, &text);
        else if (sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY) ||
                 sd_bus_error_has_name(e, SD_BUS_ERROR_TIMEOUT) ||
                 sd_bus_error_get_errno(e) == ETIMEDOUT) {
                r = -ETIMEDOUT;
                text = g_strdup_printf("%s has not answered with credentials in time", q->address);
        } else
                text = g_strdup_printf("%s has no credentials: %s", q->address,
                                       e->message ? e->message : e->name);
        answer(q, r, text, c, bus_now(b));
        return 1;
}

/* --- KeyProvider --- */

static bool provides(void *userdata, uint16_t ssid) {
        return find(userdata, ssid);
}

static int ask(void *userdata, uint16_t ssid, const char *uri, const Credentials *account,
               KeyAnswer done, void *done_userdata, KeyQuestion **ret) {
        Providers *ps = userdata;
        KeyQuestion *q;

        if (g_queue_get_length(&ps->questions) >= QUESTIONS_MAX)
                return -EBUSY;
        q = g_new0(KeyQuestion, 1);
        *q = (KeyQuestion){ .providers = ps,
                            .ssid = ssid,
                            .uri = g_strdup(uri),
                            .account = credentials_copy(account),
                            .done = done,
                            .userdata = done_userdata };
        g_queue_push_tail(&ps->questions, q);
        send_waiting(ps);
        *ret = q;
        return 0;
}

static void cancel(KeyQuestion *q) {
        Providers *ps = q->providers;

        question_free(q);
        send_waiting(ps);
}

const KeyProvider providers_key_provider = { .provides = provides, .ask = ask, .cancel = cancel };

/* --- those who come and go --- */

/* What is asked of somebody who has gone is answered so now, not when his time is over. */
static void fail_questions(Providers *ps, const char *address) {
        for (GList *l = ps->questions.head; l; l = l->next) {
                KeyQuestion *q = l->data;

                if (!q->address || (address && strcmp(q->address, address) != 0))
                        continue;
                if (q->slot) {
                        q->slot = sd_bus_slot_unref(q->slot);
                        ps->n_in_flight--;
                }
                fail_later(q, -ENOKEY,
                           g_strdup_printf("%s has left the bus without an answer", q->address));
        }
        send_waiting(ps);
}

void providers_vanished(Providers *ps, const Owner *o) {
        for (guint i = ps->list->len; i-- > 0;)
                if (((const Provider *) ps->list->pdata[i])->owner == o)
                        g_ptr_array_remove_index(ps->list, i);
        fail_questions(ps, owner_name(o));
}

void providers_set_bus(Providers *ps, sd_bus *bus) {
        ps->bus = bus;
        if (bus)
                send_waiting(ps);
        else
                fail_questions(ps, NULL);
}

void providers_recheck(Providers *ps) {
        for (guint i = ps->list->len; i-- > 0;) {
                const Provider *p = ps->list->pdata[i];

                if (p->owner && !gate_may(ps->b, owner_name(p->owner), RIGHT_CREDENTIALS, NULL))
                        g_ptr_array_remove_index(ps->list, i);
        }
}

static void stand(void *userdata, const Reservation *r) {
        Providers *ps = userdata;

        for (guint i = 0; i < r->credentials->len; i++) {
                Provider *p = g_new0(Provider, 1);

                p->bus_name = g_strdup(r->bus_name);
                p->path = g_strdup(r->handler);
                p->ssid = g_array_index(r->credentials, uint16_t, i);
                p->timeout_ms = MIN(r->timeout_ms, TIMEOUT_MS_MAX);
                g_ptr_array_add(ps->list, p);
        }
}

void providers_take_reservations(Providers *ps, const Grants *grants) {
        for (guint i = ps->list->len; i-- > 0;)
                if (!((const Provider *) ps->list->pdata[i])->owner)
                        g_ptr_array_remove_index(ps->list, i);
        grants_foreach_reservation(grants, stand, ps);
}

Providers *providers_new(Bus *b) {
        Providers *ps = g_new0(Providers, 1);

        ps->b = b;
        ps->list = g_ptr_array_new_with_free_func(provider_free);
        g_queue_init(&ps->questions);
        return ps;
}

Providers *providers_free(Providers *ps) {
        if (!ps)
                return NULL;
        g_assert(g_queue_is_empty(&ps->questions)); /* the links are closed */
        g_ptr_array_unref(ps->list);
        g_free(ps);
        return NULL;
}

/* --- methods --- */

/* A server that waits, or was refused, is tried at once with what there is now. */
static void try_now(Bus *b, uint16_t ssid) {
        g_autofree uint16_t *servers = NULL;
        size_t n;

        if (!b->client)
                return;
        servers = client_servers(b->client, &n);
        for (size_t i = 0; i < n; i++) {
                ServerInfo info;

                if ((ssid != servers[i] && ssid != PROVIDER_OF_ALL) ||
                    client_server_info(b->client, servers[i], &info) < 0 ||
                    strcmp(info.state, "failed") != 0)
                        continue;
                if (client_update(b->client, servers[i], bus_now(b)) < 0)
                        (void) client_register(b->client, servers[i], bus_now(b));
        }
}

static int check_provider(const Providers *ps, uint16_t ssid, const char *sender,
                          uint32_t timeout_ms, sd_bus_error *error) {
        if (timeout_ms == 0 || timeout_ms > TIMEOUT_MS_MAX)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "timeout_ms is %u, allowed are 1 to %u", timeout_ms,
                                       TIMEOUT_MS_MAX);
        if (ps->list->len >= PROVIDERS_MAX)
                return bus_error(error, -EDQUOT, "There are %u providers of credentials, the most",
                                 PROVIDERS_MAX);
        for (guint i = 0; i < ps->list->len; i++) {
                const Provider *p = ps->list->pdata[i];

                if (p->owner && p->ssid == ssid)
                        return bus_error_named(
                                error, ERROR_PREFIX "AlreadyClaimed",
                                "The credentials of server %u are provided by %s (uid %u)", ssid,
                                strcmp(owner_name(p->owner), sender) == 0 ? "you"
                                                                          : owner_name(p->owner),
                                owner_uid(p->owner));
        }
        return 0;
}

int method_provide_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        Providers *ps = b->providers;
        uint32_t timeout_ms = TIMEOUT_MS_DEFAULT;
        const Option options[] = { { "timeout_ms", OPTION_U32, &timeout_ms }, { NULL } };
        const char *path;
        uint16_t ssid;
        Owner *owner;
        Provider *p;
        int r;

        r = sd_bus_message_read(m, "qo", &ssid, &path);
        if (r >= 0)
                r = options_read(m, options, error);
        if (r >= 0)
                r = check_provider(ps, ssid, sd_bus_message_get_sender(m), timeout_ms, error);
        if (r >= 0)
                r = bus_owner(b, m, &owner, error);
        if (r < 0)
                return r;
        p = g_new0(Provider, 1);
        *p = (Provider){ .id = ++ps->last_id,
                         .owner = owner,
                         .path = g_strdup(path),
                         .ssid = ssid,
                         .timeout_ms = timeout_ms };
        g_ptr_array_add(ps->list, p);
        r = sd_bus_reply_method_return(m, "u", p->id);
        try_now(b, ssid);
        return r;
}

int method_withdraw_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        Providers *ps = b->providers;
        uint32_t id;
        int r;

        r = sd_bus_message_read(m, "u", &id);
        if (r < 0)
                return r;
        for (guint i = 0; i < ps->list->len; i++) {
                const Provider *p = ps->list->pdata[i];

                if (p->id != id || !p->owner)
                        continue;
                if (g_strcmp0(owner_name(p->owner), sd_bus_message_get_sender(m)) != 0)
                        return bus_error_named(error, ERROR_PREFIX "NotOwner",
                                               "Provider %u belongs to %s", id,
                                               owner_name(p->owner));
                g_ptr_array_remove_index(ps->list, i);
                return reply_ok(m);
        }
        return bus_error(error, -ENOENT, "There is no provider of credentials %u", id);
}
