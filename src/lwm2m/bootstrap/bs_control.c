/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/bootstrap/bs_control.h"

#include <errno.h>
#include <string.h>

#include "util/log.h"

struct BsControl {
        const ServerEnv *env;
        const BsControlOps *ops;
        void *userdata;
        BsServerEnv server_env;
        BsServer *server; /* NULL without an account */
        Timer *timer;
        bool running, paused;
        bool first;        /* servers wait */
        bool wanted, soon; /* what the timer is for */
        bool stale;        /* another account has come; the old link still answers the server */
};

/* --- the account --- */

static bool same_place(const Account *a, const Account *b) {
        return a->security_instance == b->security_instance && strcmp(a->uri, b->uri) == 0 &&
               credentials_equal(a->credentials, b->credentials);
}

static void remove_server(BsControl *b) {
        if (!b->server)
                return;
        b->server = bs_server_free(b->server);
        events_server_removed(b->env->events, BS_SSID);
}

static void add_server(BsControl *b, Account *account, uint64_t now_usec) {
        b->server = bs_server_new(&b->server_env, account);
        events_server_added(b->env->events, BS_SSID);
        if (b->running)
                bs_server_start(b->server, now_usec);
}

static void follow_account(BsControl *b, bool even_lingering, uint64_t now_usec) {
        g_autoptr(Account) account = bs_account_load(b->env->parts->tree);

        b->stale = false;
        if (b->server && account && same_place(account, bs_server_account(b->server))) {
                bs_server_set_account(b->server, g_steal_pointer(&account));
                return;
        }
        if (b->server && account && bs_server_is_lingering(b->server) && !even_lingering) {
                b->stale = true;
                return;
        }
        if (b->server && !account)
                bs_server_forget(b->server);
        remove_server(b);
        if (account)
                add_server(b, g_steal_pointer(&account), now_usec);
}

void bs_control_follow(BsControl *b, unsigned n_servers, uint64_t now_usec) {
        follow_account(b, false, now_usec);
        if (b->first && !b->server) {
                b->first = false;
                b->ops->released(b->userdata, now_usec);
        }
        if (n_servers == 0 && b->running && !b->paused && b->server)
                bs_server_want(b->server, now_usec);
}

/* --- what happens --- */

static void release(BsControl *b, uint64_t now_usec) {
        if (!b->first || !b->server || !bs_server_has_failed(b->server))
                return;
        b->first = false;
        b->ops->released(b->userdata, now_usec);
}

static void on_timer(void *userdata, uint64_t now_usec) {
        BsControl *b = userdata;
        bool wanted = b->wanted, soon = b->soon;

        b->wanted = b->soon = false;
        if (b->stale && !(b->server && bs_server_is_lingering(b->server)))
                follow_account(b, false, now_usec);
        release(b, now_usec);
        if (!b->running || b->paused || !b->server)
                return;
        if (soon)
                (void) bs_control_now(b, now_usec);
        else if (wanted)
                bs_server_want(b->server, now_usec);
}

static void on_changed(void *userdata, uint64_t now_usec) {
        BsControl *b = userdata;

        if (b->stale || b->first)
                timer_arm(b->timer, now_usec);
        b->ops->changed(b->userdata, now_usec);
}

static void on_transferred(void *userdata, uint64_t now_usec) {
        BsControl *b = userdata;

        b->first = false;
        b->ops->transferred(b->userdata, now_usec);
}

void bs_control_registered(BsControl *b, uint64_t now_usec) {
        if (b->server && !b->soon)
                bs_server_drop(b->server, now_usec);
        b->wanted = false;
}

void bs_control_exhausted(BsControl *b, const Server *s, uint64_t now_usec) {
        const Account *account = server_account(s);

        if (!account->bootstrap_on_failure || !b->server || !b->running || b->paused)
                return;
        log_with(LOG_LEVEL_INFO, (&(LogFields){ .ssid = account->ssid }),
                 "no registration, falling back to a bootstrap (1/%u/16)",
                 account->server_instance);
        b->wanted = true;
        timer_arm(b->timer, now_usec);
}

int bs_control_now(BsControl *b, uint64_t now_usec) {
        if (b->stale)
                follow_account(b, true, now_usec);
        return b->server ? bs_server_now(b->server, now_usec) : -ENOENT;
}

int bs_control_soon(BsControl *b, uint64_t now_usec) {
        if (!b->server)
                return -ENOENT;
        if (b->soon || bs_server_is_active(b->server))
                return -EALREADY;
        b->soon = true;
        timer_arm(b->timer, now_usec);
        return 0;
}

/* --- life --- */

void bs_control_start(BsControl *b, bool first, uint64_t now_usec) {
        b->running = true;
        b->paused = false;
        b->first = first && b->server;
        if (!b->server)
                return;
        bs_server_start(b->server, now_usec);
        if (b->first)
                (void) bs_server_now(b->server, now_usec);
}

void bs_control_stop(BsControl *b, uint64_t now_usec) {
        b->running = b->paused = b->first = b->wanted = b->soon = false;
        timer_disarm(b->timer);
        if (b->server)
                bs_server_stop(b->server, now_usec);
        if (b->stale)
                follow_account(b, true, now_usec);
}

void bs_control_pause(BsControl *b, uint64_t now_usec) {
        b->paused = true;
        if (b->server)
                bs_server_pause(b->server, now_usec);
}

void bs_control_resume(BsControl *b, uint64_t now_usec) {
        b->paused = false;
        if (b->server)
                bs_server_resume(b->server, now_usec);
}

BsControl *bs_control_new(const ServerEnv *env, const BsControlOps *ops, void *userdata) {
        BsControl *b = g_new0(BsControl, 1);

        b->env = env;
        b->ops = ops;
        b->userdata = userdata;
        b->timer = timer_new(env->parts->timers, on_timer, b);
        b->server_env = (BsServerEnv){
                .server = env, .changed = on_changed, .transferred = on_transferred, .userdata = b
        };
        return b;
}

BsControl *bs_control_free(BsControl *b) {
        if (!b)
                return NULL;
        bs_server_free(b->server);
        timer_free(b->timer);
        g_free(b);
        return NULL;
}

bool bs_control_has_account(const BsControl *b) {
        return b->server && !b->stale;
}

bool bs_control_holds(const BsControl *b) {
        return b->first;
}

bool bs_control_is_active(const BsControl *b) {
        return b->server && bs_server_is_active(b->server);
}

bool bs_control_is_waiting(const BsControl *b) {
        return b->server && bs_server_is_waiting(b->server);
}

int bs_control_info(const BsControl *b, ServerInfo *ret) {
        if (!b->server)
                return -ENOENT;
        bs_server_info(b->server, ret);
        return 0;
}
