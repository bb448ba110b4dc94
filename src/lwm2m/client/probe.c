/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/client/probe.h"

#include <errno.h>
#include <string.h>

#include "lwm2m/bootstrap/bs_account.h"
#include "lwm2m/server/server.h"
#include "lwm2m/server/session.h"
#include "lwm2m/server/server_tell.h"

enum {
        STEP_ACCOUNT,
        STEP_NAME,
        STEP_ROUTE,
        STEP_HANDSHAKE,
        STEP_ANSWER,
        STEP_REGISTRATION,
        N_STEPS
};

struct Probe {
        Client *client;
        const ClientParts *parts;
        uint16_t ssid;
        Account *account;
        Link *link;
        Call *call;
        Timer *timer;
        ProbeStep steps[N_STEPS];
        size_t n; /* passed so far; the next is at work */
        bool registering;
        char *cipher; /* what the handshake has led to */
        ProbeDone done;
        void *userdata;
};

static int64_t wall_ns(const Probe *p) {
        return p->parts->wall_clock_ns();
}

static bool is_secured(const Probe *p) {
        return account_uri_is_secure(p->account->uri);
}

static void note(Probe *p, const char *result, char *text /* taken over */) {
        static const char *const names[N_STEPS] = { "account",   "name",   "route",
                                                    "handshake", "answer", "registration" };

        if (p->n == N_STEPS) {
                g_free(text);
                return;
        }
        p->steps[p->n] = (ProbeStep){ .name = names[p->n], .result = result, .text = text };
        p->n++;
}

static void drop_link(Probe *p) {
        if (p->call)
                p->parts->transport->cancel(g_steal_pointer(&p->call));
        if (p->link)
                p->parts->transport->close(g_steal_pointer(&p->link));
}

static void finish(Probe *p, uint64_t now_usec) {
        drop_link(p);
        timer_disarm(p->timer);
        p->registering = false;
        p->done(p->userdata, p->steps, p->n, now_usec);
}

static void fail(Probe *p, char *text, uint64_t now_usec) {
        note(p, "failed", text);
        finish(p, now_usec);
}

/* --- registration --- */

static const char *detail(const ClientEvent *event, const char *key) {
        for (const char *const *d = event->details; d && d[0] && d[1]; d += 2)
                if (strcmp(d[0], key) == 0)
                        return d[1];
        return NULL;
}

void probe_event(Probe *p, const ClientEvent *event, uint64_t now_usec) {
        static const char *const bad[] = { "registration-failure", "reg-timeout", "network-error",
                                           "disconnect" };
        const char *code = detail(event, "code"), *text = detail(event, "text");

        if (!p->registering || event->ssid != p->ssid)
                return;
        if (strcmp(event->name, "registration-complete") == 0)
                note(p, "ok",
                     g_strdup_printf("registered at %s", detail(event, "location") ?: "?"));
        else if (strcmp(event->name, "reg-update-complete") == 0)
                note(p, "ok", g_strdup("registered, and an Update was accepted"));
        for (size_t i = 0; i < G_N_ELEMENTS(bad) && p->n < N_STEPS; i++)
                if (strcmp(event->name, bad[i]) == 0)
                        note(p, "failed",
                             g_strdup_printf("%s%s%s", code ? code : "", code ? " " : "",
                                             text ? text : event->name));
        /* Told from within the registration: the answer waits for the next turn. */
        if (p->n == N_STEPS) {
                p->registering = false;
                timer_arm(p->timer, now_usec);
        }
}

static void try_registration(Probe *p, uint64_t now_usec) {
        int r;

        drop_link(p);
        if (p->ssid == BS_SSID) {
                note(p, "skipped",
                     g_strdup("the bootstrap server takes none; a bootstrap would "
                              "change the accounts and is not tried"));
                finish(p, now_usec);
                return;
        }
        p->registering = true;
        timer_arm(p->timer, now_usec + PROBE_REGISTRATION_USEC);
        r = client_update(p->client, p->ssid, now_usec);
        if (r < 0)
                r = client_register(p->client, p->ssid, now_usec);
        if (r < 0 && p->n < N_STEPS) {
                ServerInfo info;

                note(p, "skipped",
                     g_strdup_printf("not now: %s",
                                     r == -ESHUTDOWN ? "the client is not running"
                                     : client_server_info(p->client, p->ssid, &info) < 0
                                             ? "the account has gone"
                                             : info.state));
                finish(p, now_usec);
        }
}

/* --- the link --- */

static void on_answer(void *userdata, int error, const Message *response, uint64_t now_usec) {
        Probe *p = userdata;

        p->call = NULL;
        if (error >= 0)
                note(p, "ok",
                     g_strdup_printf("%u.%02u to a GET of /.well-known/core", response->code >> 5,
                                     response->code & 31U));
        else if (error == -ECONNRESET)
                note(p, "ok", g_strdup("Reset to a GET of /.well-known/core"));
        else {
                fail(p,
                     g_strdup_printf("%s", error == -ECONNREFUSED
                                                   ? "nobody listens at that port (ICMP)"
                                                   : g_strerror(-error)),
                     now_usec);
                return;
        }
        try_registration(p, now_usec);
}

static void ask(Probe *p, uint64_t now_usec) {
        static const char *const path[] = { ".well-known", "core", NULL };
        Message m = MESSAGE_INIT(METHOD_GET);
        int r;

        m.path = path;
        timer_arm(p->timer, now_usec + PROBE_ANSWER_USEC);
        r = p->parts->transport->request(p->link, &m, on_answer, p, &p->call);
        if (r < 0)
                fail(p, g_strdup(g_strerror(-r)), now_usec);
}

static void note_name(Probe *p, const char *peer) {
        if (server_uri_is_literal(p->account->uri))
                note(p, "skipped", g_strdup("an address, not a name"));
        else
                note(p, "ok", g_strdup(peer ? peer : "resolved"));
}

static void on_secured(void *owner, const LinkSecurity *security, uint64_t now_usec) {
        Probe *p = owner;

        g_free(p->cipher);
        p->cipher = g_strdup(security->cipher);
}

static void on_up(void *owner, uint64_t now_usec) {
        Probe *p = owner;
        const char *peer = p->parts->transport->peer(p->link);

        note_name(p, peer);
        note(p, "ok", g_strdup_printf("to %s", peer ? peer : "?"));
        if (is_secured(p))
                note(p, "ok", g_strdup(p->cipher ? p->cipher : "done"));
        else
                note(p, "skipped",
                     g_strdup(p->account->credentials->oscore
                                      ? "none with OSCORE, which protects each message"
                                      : "no security"));
        ask(p, now_usec);
}

static bool is_way_error(int error) {
        switch (-error) {
        case ENETUNREACH:
        case EHOSTUNREACH:
        case ECONNREFUSED:
        case ENETDOWN:
        case EADDRNOTAVAIL:
        case EAFNOSUPPORT:
                return true;
        default:
                return false;
        }
}

static void on_down(void *owner, int error, const char *reason, uint64_t now_usec) {
        Probe *p = owner;
        char *why = g_strdup(reason ? reason : g_strerror(-error));

        if (p->n == STEP_NAME && error != -ENOENT) {
                note_name(p, NULL);
                if (is_secured(p) && !is_way_error(error))
                        note(p, "ok", g_strdup("no error on the way"));
        }
        fail(p, why, now_usec);
}

static void on_request(void *owner, Exchange *x, const Message *request, uint64_t now_usec) {
        ((Probe *) owner)->parts->transport->respond(x, &MESSAGE_INIT(CODE(5, 3)));
}

static const LinkEvents link_events = {
        .secured = on_secured, .up = on_up, .down = on_down, .request = on_request
};

static void open_link(Probe *p, uint64_t now_usec) {
        LinkConfig config = { .uri = p->account->uri,
                              .ssid = p->ssid,
                              .socket = client_config_socket(client_config(p->client), p->ssid),
                              .aside = true,
                              .ignore_dates = session_ignores_dates(
                                      wall_ns(p), client_config(p->client)->dates_need_clock) };
        g_autofree char *why = NULL;
        int r;

        r = account_link_credentials(p->account, &config.credentials, &why);
        if (r < 0) {
                fail(p, g_steal_pointer(&why), now_usec);
                return;
        }
        note(p, "ok", g_strdup(p->account->uri));
        timer_arm(p->timer, now_usec + PROBE_LINK_USEC);
        r = p->parts->transport->open(p->parts->transport_userdata, &config, &link_events, p,
                                      &p->link);
        if (r < 0)
                fail(p, g_strdup(g_strerror(-r)), now_usec);
}

static void on_timer(void *userdata, uint64_t now_usec) {
        Probe *p = userdata;

        if (p->n == 0)
                open_link(p, now_usec);
        else if (p->n == N_STEPS)
                finish(p, now_usec);
        else {
                if (p->n == STEP_NAME && server_uri_is_literal(p->account->uri))
                        note_name(p, NULL);
                fail(p, g_strdup("no answer in time"), now_usec);
        }
}

/* --- life --- */

static Account *find_account(const Tree *tree, uint16_t ssid) {
        g_autoptr(GPtrArray) all = NULL;

        if (ssid == BS_SSID)
                return bs_account_load(tree);
        all = accounts_load(tree, 0, UINT32_MAX, NULL, NULL);
        for (guint i = 0; i < all->len; i++)
                if (((const Account *) all->pdata[i])->ssid == ssid)
                        return g_ptr_array_steal_index(all, i);
        return NULL;
}

int probe_start(Client *c, uint16_t ssid, ProbeDone done, void *userdata, uint64_t now_usec,
                Probe **ret) {
        Account *account = find_account(client_tree(c), ssid);
        Probe *p;

        if (!account)
                return -ENOENT;
        p = g_new0(Probe, 1);
        p->client = c;
        p->parts = client_parts(c);
        p->ssid = ssid;
        p->account = account;
        client_add_enrolled(c, account);
        p->done = done;
        p->userdata = userdata;
        p->timer = timer_new(p->parts->timers, on_timer, p);
        timer_arm(p->timer, now_usec);
        *ret = p;
        return 0;
}

Probe *probe_free(Probe *p) {
        if (!p)
                return NULL;
        drop_link(p);
        timer_free(p->timer);
        for (size_t i = 0; i < p->n; i++)
                g_free(p->steps[i].text);
        account_free(p->account);
        g_free(p->cipher);
        g_free(p);
        return NULL;
}
