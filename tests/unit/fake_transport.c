/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_transport.h"

#include <string.h>

struct Exchange {
        FakeTransport *transport;
};

static char *join(const char *const *parts, const char *separator, const char *lead) {
        g_autofree char *joined = NULL;

        if (!parts || !parts[0])
                return g_strdup("");
        joined = g_strjoinv(separator, (char **) parts);
        return g_strconcat(lead, joined, NULL);
}

static FakeMessage copy_message(const Message *m) {
        return (FakeMessage){
                .code = m->code,
                .confirmable = m->confirmable,
                .format = m->format,
                .accept = m->accept,
                .observe = m->observe,
                .path = join(m->path, "/", "/"),
                .query = join(m->query, "&", ""),
                .token = m->token ? g_bytes_ref(m->token) : NULL,
                .payload = m->payload ? g_bytes_ref(m->payload) : NULL,
        };
}

static void clear_message(FakeMessage *m) {
        g_free(m->path);
        g_free(m->query);
        g_clear_pointer(&m->token, g_bytes_unref);
        g_clear_pointer(&m->payload, g_bytes_unref);
}

static void free_message(void *m) {
        clear_message(m);
        g_free(m);
}

static void free_call(void *userdata) {
        Call *c = userdata;

        clear_message(&c->message);
        g_free(c);
}

static void free_link(void *userdata) {
        Link *l = userdata;

        g_free(l->uri);
        g_free(l);
}

FakeTransport *fake_transport_new(void) {
        FakeTransport *t = g_new0(FakeTransport, 1);

        t->links = g_ptr_array_new_with_free_func(free_link);
        t->sent = g_ptr_array_new_with_free_func(free_call);
        t->answers = g_ptr_array_new_with_free_func(free_message);
        return t;
}

FakeTransport *fake_transport_free(FakeTransport *t) {
        if (!t)
                return NULL;
        g_ptr_array_unref(t->sent);
        g_ptr_array_unref(t->answers);
        g_ptr_array_unref(t->links);
        g_free(t);
        return NULL;
}

Link *fake_link_new(FakeTransport *t) {
        Link *l = g_new0(Link, 1);

        l->transport = t;
        g_ptr_array_add(t->links, l);
        return l;
}

static int fake_open(void *transport, const LinkConfig *config, const LinkEvents *events,
                     void *owner, Link **ret) {
        FakeTransport *t = transport;

        if (t->open_error)
                return t->open_error;
        *ret = fake_link_new(t);
        (*ret)->uri = g_strdup(config->uri);
        (*ret)->ssid = config->ssid;
        (*ret)->place = config->place.port > 0 ? config->place : (LinkPlace){ .port = 40000 };
        (*ret)->events = *events;
        (*ret)->owner = owner;
        return 0;
}

static void fake_close(Link *l) {
        FakeTransport *t = l->transport;

        for (guint i = 0; i < t->sent->len; i++) {
                Call *c = t->sent->pdata[i];

                if (c->link == l)
                        c->open = false;
        }
        g_ptr_array_remove(t->links, l);
}

static Call *add_call(Link *l, const Message *m, void *userdata) {
        Call *c = g_new0(Call, 1);

        c->transport = l->transport;
        c->link = l;
        c->message = copy_message(m);
        c->userdata = userdata;
        c->open = true;
        g_ptr_array_add(l->transport->sent, c);
        return c;
}

static int fake_request(Link *l, const Message *m, ResponseFunc done, void *userdata, Call **ret) {
        if (l->transport->send_error)
                return l->transport->send_error;
        g_assert_false(l->asleep && l->deaf); /* its end would not be heard */
        *ret = add_call(l, m, userdata);
        (*ret)->response = done;
        return 0;
}

static int fake_notify(Link *l, const Message *m, NotifyFunc done, void *userdata, Call **ret) {
        if (l->transport->send_error)
                return l->transport->send_error;
        g_assert_false(l->asleep && l->deaf); /* its end would not be heard */
        *ret = add_call(l, m, userdata);
        (*ret)->notified = done;
        return 0;
}

static void fake_cancel(Call *c) {
        g_assert(c->open);
        c->open = false;
}

static void fake_respond(Exchange *x, const Message *response) {
        FakeMessage m = copy_message(response);

        x->transport->n_exchanges--;
        g_ptr_array_add(x->transport->answers, g_memdup2(&m, sizeof(m)));
        g_free(x);
}

static const char *fake_peer(const Link *l) {
        return "192.0.2.1:5683";
}

static uint64_t fake_busy_until(const Link *l, uint64_t now_usec) {
        for (guint i = 0; i < l->transport->sent->len; i++) {
                const Call *c = l->transport->sent->pdata[i];

                if (c->link == l && c->open)
                        return UINT64_MAX;
        }
        return l->transport->busy_until;
}

static int fake_sleep(Link *l, bool deaf, uint64_t now_usec) {
        if (l->transport->sleep_error)
                return l->transport->sleep_error;
        g_assert_false(l->asleep);
        g_assert_true(fake_busy_until(l, now_usec) <= now_usec);
        l->asleep = true;
        l->deaf = deaf;
        return 0;
}

static void fake_wake(Link *l) {
        l->asleep = false;
}

static LinkPlace fake_place(const Link *l) {
        return l->place;
}

const TransportOps fake_transport_ops = {
        .open = fake_open,
        .close = fake_close,
        .request = fake_request,
        .notify = fake_notify,
        .cancel = fake_cancel,
        .respond = fake_respond,
        .peer = fake_peer,
        .place = fake_place,
        .busy_until = fake_busy_until,
        .sleep = fake_sleep,
        .wake = fake_wake,
};

Exchange *fake_exchange_new(FakeTransport *t) {
        Exchange *x = g_new0(Exchange, 1);

        x->transport = t;
        t->n_exchanges++;
        return x;
}

const FakeMessage *fake_last_answer(const FakeTransport *t) {
        return t->answers->len > 0 ? t->answers->pdata[t->answers->len - 1] : NULL;
}

void fake_forget_answers(FakeTransport *t) {
        g_ptr_array_set_size(t->answers, 0);
}

Call *fake_open_call(const FakeTransport *t, unsigned index) {
        for (guint i = t->sent->len; i > 0; i--) {
                Call *c = t->sent->pdata[i - 1];

                if (c->open && index-- == 0)
                        return c;
        }
        return NULL;
}

unsigned fake_n_open(const FakeTransport *t) {
        unsigned n = 0;

        for (guint i = 0; i < t->sent->len; i++)
                n += ((const Call *) t->sent->pdata[i])->open;
        return n;
}

unsigned fake_n_sent(const FakeTransport *t) {
        return t->sent->len;
}

void fake_call_respond(Call *c, const Message *response, uint64_t now_usec) {
        g_assert(c->open && c->response);
        c->open = false;
        c->response(c->userdata, 0, response, now_usec);
}

void fake_call_end(Call *c, int error, uint64_t now_usec) {
        g_assert(c->open);
        c->open = false;
        if (c->response)
                c->response(c->userdata, error, NULL, now_usec);
        else
                c->notified(c->userdata, error, now_usec);
}

const char *fake_text(const FakeMessage *m) {
        static char *text;
        gsize n = 0;
        const char *data = m->payload ? g_bytes_get_data(m->payload, &n) : "";

        g_free(text);
        text = g_strndup(data ? data : "", n);
        return text;
}
