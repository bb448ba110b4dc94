/* SPDX-License-Identifier: Apache-2.0 */
/* What users want of one server, by its Short Server ID: the second half of client.h. */
#include <errno.h>

#include "lwm2m/client/client_internal.h"
#include "util/log.h"

Server *client_find(const Client *c, uint16_t ssid) {
        for (guint i = 0; i < c->servers->len; i++)
                if (server_account(client_at(c->servers, i))->ssid == ssid)
                        return client_at(c->servers, i);
        return NULL;
}

uint16_t *client_servers(const Client *c, size_t *ret_n) {
        uint16_t *ids = g_new0(uint16_t, c->servers->len + 1);

        for (guint i = 0; i < c->servers->len; i++)
                ids[i] = server_account(client_at(c->servers, i))->ssid;
        *ret_n = c->servers->len;
        return ids;
}

int client_server_info(const Client *c, uint16_t ssid, ServerInfo *ret) {
        Server *s = client_find(c, ssid);

        if (ssid == BS_SSID)
                return bs_control_info(c->bootstrap, ret);
        if (!s)
                return -ENOENT;
        server_info(s, ret);
        est_control_info(c->est, ssid, rd_state(server_rd(s)) != RD_IDLE, ret);
        return 0;
}

/* The machine of one server, to be told what a user wants; nothing moves while stopped or paused.
 */
static int take_machine(Client *c, uint16_t ssid, uint64_t now_usec, Rd **ret) {
        Server *s = client_find(c, ssid);

        if (!s)
                return -ENOENT;
        if (c->run != RUNNING)
                return -ESHUTDOWN;
        if (c->paused)
                return -ENOTCONN;
        c->now_usec = now_usec;
        *ret = server_rd(s);
        return 0;
}

static int command(Client *c, uint16_t ssid, RdInput input, uint64_t now_usec) {
        Rd *rd;
        int r;

        r = take_machine(c, ssid, now_usec, &rd);
        return r < 0 ? r : rd_input(rd, input, now_usec);
}

int client_update(Client *c, uint16_t ssid, uint64_t now_usec) {
        int r = -ENOTCONN;

        if (ssid > 0)
                return command(c, ssid, RD_UPDATE, now_usec);
        if (c->run != RUNNING)
                return -ESHUTDOWN;
        for (guint i = 0; i < c->servers->len; i++)
                if (command(c, server_account(client_at(c->servers, i))->ssid, RD_UPDATE,
                            now_usec) == 0)
                        r = 0;
        return r;
}

int client_register(Client *c, uint16_t ssid, uint64_t now_usec) {
        return command(c, ssid, RD_REGISTER, now_usec);
}

int client_deregister(Client *c, uint16_t ssid, uint64_t now_usec) {
        return command(c, ssid, RD_STOP, now_usec);
}

int client_disable(Client *c, uint16_t ssid, uint32_t seconds, uint64_t now_usec) {
        Rd *rd;
        int r;

        r = take_machine(c, ssid, now_usec, &rd);
        return r < 0 ? r : rd_disable(rd, now_usec + seconds * USEC_PER_SEC, now_usec);
}

int client_enable(Client *c, uint16_t ssid, uint64_t now_usec) {
        return command(c, ssid, RD_ENABLE, now_usec);
}

int client_enrol(Client *c, uint16_t ssid, uint64_t now_usec) {
        const Server *s = client_find(c, ssid);

        if (!s)
                return -ENOENT;
        if (c->run != RUNNING)
                return -ESHUTDOWN;
        if (c->paused)
                return -ENOTCONN;
        if (server_account(s)->credentials->mode != SECURITY_MODE_EST)
                return -ENOTSUP;
        c->now_usec = now_usec;
        return est_control_now(c->est, ssid, now_usec);
}

int client_hold_awake(Client *c, uint16_t ssid) {
        Server *s = client_find(c, ssid);

        if (ssid == 0)
                c->env.n_holds++;
        else if (s)
                awake_hold(server_awake(s));
        else
                return -ENOENT;
        return 0;
}

int client_release_awake(Client *c, uint16_t ssid, uint64_t now_usec) {
        Server *s = client_find(c, ssid);

        if (ssid > 0) {
                if (s)
                        awake_release(server_awake(s), now_usec);
                return s ? 0 : -ENOENT;
        }
        if (c->env.n_holds > 0 && --c->env.n_holds == 0)
                for (guint i = 0; i < c->servers->len; i++)
                        awake_look(server_awake(client_at(c->servers, i)), now_usec);
        return 0;
}

int client_add_account(Client *c, const ServerAccount *account, char **ret_error,
                       uint64_t now_usec) {
        int r;

        if (!account->bootstrap && c->servers->len >= c->config.servers_max) {
                *ret_error = g_strdup_printf("There are %u servers already", c->servers->len);
                return -ENOSPC;
        }
        c->now_usec = now_usec;
        r = account->bootstrap
                    ? bs_account_add(c->parts.tree, account, ret_error)
                    : account_add(c->parts.tree, account, c->config.lifetime_sec, ret_error);
        if (r >= 0) {
                log_with(LOG_LEVEL_INFO, (&(LogFields){ .ssid = account->ssid }),
                         "account added, %s", account->uri);
                client_follow_accounts(c, now_usec);
        }
        return r;
}

int client_remove_account(Client *c, uint16_t ssid, uint64_t now_usec) {
        int r;

        c->now_usec = now_usec;
        r = ssid == BS_SSID ? bs_account_remove(c->parts.tree)
                            : account_remove(c->parts.tree, ssid);
        if (r >= 0) {
                log_with(LOG_LEVEL_INFO, (&(LogFields){ .ssid = ssid }), "account removed");
                client_follow_accounts(c, now_usec);
        }
        return r;
}
