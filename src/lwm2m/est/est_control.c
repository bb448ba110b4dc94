/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/est/est_control.h"

#include <errno.h>

struct EstControl {
        EstEnv env;
        EstConfig *config;
        const EstControlOps *ops;
        void *userdata;
        GPtrArray *servers; /* of EstServer */
        bool running, paused, swept;
};

static EstServer *at(const EstControl *c, guint i) {
        return g_ptr_array_index(c->servers, i);
}

static EstServer *find(const EstControl *c, uint16_t ssid) {
        for (guint i = 0; i < c->servers->len; i++)
                if (est_server_ssid(at(c, i)) == ssid)
                        return at(c, i);
        return NULL;
}

static const Account *find_account(const GPtrArray *accounts, uint16_t ssid) {
        for (guint i = 0; i < accounts->len; i++) {
                const Account *a = g_ptr_array_index(accounts, i);

                if (a->ssid == ssid && a->credentials->mode == SECURITY_MODE_EST)
                        return a;
        }
        return NULL;
}

/* What a crash has left between the end of an account and that of its key. */
static void sweep(EstControl *c, const GPtrArray *accounts) {
        g_autoptr(GArray) known = g_array_new(FALSE, FALSE, sizeof(uint16_t));

        for (guint i = 0; i < accounts->len; i++) {
                const Account *a = g_ptr_array_index(accounts, i);

                if (a->credentials->mode == SECURITY_MODE_EST)
                        g_array_append_val(known, a->ssid);
        }
        est_record_sweep(c->env.server->parts->store, (const uint16_t *) (void *) known->data,
                         known->len);
        c->swept = true;
}

static void add(EstControl *c, uint16_t ssid, uint64_t now_usec) {
        EstServer *s = est_server_new(&c->env, ssid);

        g_ptr_array_add(c->servers, s);
        if (c->running && !c->paused)
                est_server_start(s, now_usec);
}

void est_control_follow(EstControl *c, GPtrArray *accounts, uint64_t now_usec) {
        if (!c->swept)
                sweep(c, accounts);
        for (guint i = c->servers->len; i > 0; i--)
                if (!find_account(accounts, est_server_ssid(at(c, i - 1)))) {
                        est_server_forget(at(c, i - 1));
                        g_ptr_array_remove_index(c->servers, i - 1);
                }
        for (guint i = 0; i < accounts->len; i++) {
                Account *a = g_ptr_array_index(accounts, i);
                EstServer *s;

                if (a->credentials->mode != SECURITY_MODE_EST)
                        continue;
                s = find(c, a->ssid);
                if (s)
                        est_server_follow(s, now_usec);
                else
                        add(c, a->ssid, now_usec);
                est_control_fill(c, a);
        }
}

void est_control_fill(const EstControl *c, Account *account) {
        const EstServer *s = find(c, account->ssid);

        credentials_free(account->enrolled);
        account->enrolled = s && account->credentials->mode == SECURITY_MODE_EST
                                    ? est_server_credentials(s, account->credentials)
                                    : NULL;
}

bool est_control_holds(EstControl *c, const Account *account) {
        EstServer *s = find(c, account->ssid);

        return account->credentials->mode == SECURITY_MODE_EST && s && est_server_holds(s);
}

EstRelease est_control_releases(EstControl *c, const Account *account) {
        EstServer *s = find(c, account->ssid);

        return account->credentials->mode == SECURITY_MODE_EST && s ? est_server_releases(s)
                                                                    : EST_RELEASE_NOTHING;
}

bool est_control_is_active(const EstControl *c) {
        for (guint i = 0; i < c->servers->len; i++)
                if (est_server_is_enrolling(at(c, i)))
                        return true;
        return false;
}

void est_control_start(EstControl *c, uint64_t now_usec) {
        c->running = true;
        c->paused = false;
        for (guint i = 0; i < c->servers->len; i++)
                est_server_start(at(c, i), now_usec);
}

void est_control_stop(EstControl *c, uint64_t now_usec) {
        c->running = c->paused = false;
        for (guint i = 0; i < c->servers->len; i++)
                est_server_stop(at(c, i), now_usec);
}

void est_control_pause(EstControl *c, uint64_t now_usec) {
        c->paused = true;
        for (guint i = 0; i < c->servers->len; i++)
                est_server_pause(at(c, i), now_usec);
}

unsigned est_control_resume(EstControl *c, uint64_t now_usec) {
        c->paused = false;
        for (guint i = 0; i < c->servers->len; i++)
                est_server_resume(at(c, i), now_usec);
        return c->servers->len;
}

int est_control_now(EstControl *c, uint16_t ssid, uint64_t now_usec) {
        EstServer *s = find(c, ssid);

        return s ? est_server_now(s, now_usec) : -ENOENT;
}

void est_control_info(const EstControl *c, uint16_t ssid, bool at_work, ServerInfo *ret) {
        const EstServer *s = find(c, ssid);

        if (s)
                est_server_info(s, at_work, ret);
}

/* --- life --- */

static void on_renewed(void *userdata, uint64_t now_usec) {
        EstControl *c = userdata;

        c->ops->renewed(c->userdata, now_usec);
}

static void on_changed(void *userdata, uint16_t ssid, uint64_t now_usec) {
        EstControl *c = userdata;

        c->ops->changed(c->userdata, ssid, now_usec);
}

static void free_server(void *s) {
        est_server_free(s);
}

EstControl *est_control_new(const ServerEnv *env, const EstConfig *config, const EstControlOps *ops,
                            void *userdata) {
        EstControl *c = g_new0(EstControl, 1);

        c->config = est_config_copy(config);
        c->ops = ops;
        c->userdata = userdata;
        c->servers = g_ptr_array_new_with_free_func(free_server);
        c->env = (EstEnv){ .server = env,
                           .config = c->config,
                           .renewed = on_renewed,
                           .changed = on_changed,
                           .userdata = c };
        return c;
}

EstControl *est_control_free(EstControl *c) {
        if (!c)
                return NULL;
        g_ptr_array_unref(c->servers);
        est_config_free(c->config);
        g_free(c);
        return NULL;
}
