/* SPDX-License-Identifier: Apache-2.0 */
/* Standing still, and what is written before: pause and resume, system sleep, the last writes. */
#include <errno.h>

#include "lwm2m/client/client_internal.h"
#include "util/log.h"

int client_sync(Client *c) {
        if (!c->parts.store)
                return 0;
        for (guint i = 0; i < c->servers->len; i++)
                server_flush(client_at(c->servers, i));
        return store_sync(c->parts.store);
}

void client_save_last(Client *c) {
        for (guint i = 0; i < c->servers->len; i++)
                server_save_last(client_at(c->servers, i));
}

static void pause_all(Client *c, const char *reason, uint64_t now_usec) {
        const char *details[] = { "reason", reason, NULL };

        c->now_usec = now_usec;
        c->paused = true;
        dm_suspend_notifications(c->parts.dm);
        bs_control_pause(c->bootstrap, now_usec);
        est_control_pause(c->est, now_usec);
        for (guint i = 0; i < c->servers->len; i++)
                (void) rd_input(server_rd(client_at(c->servers, i)), RD_PAUSE, now_usec);
        client_emit(c, "engine-suspended", 0, details);
        client_tell_state(c);
}

int client_pause(Client *c, uint64_t now_usec) {
        if (c->run != RUNNING)
                return -ESHUTDOWN;
        c->sleeping = false; /* stays paused after the wake-up */
        if (c->paused)
                return 0; /* as in Zephyr's shell, twice is fine */
        log_info("Paused: no messages and no timers until a resume");
        pause_all(c, "asked for", now_usec);
        return 0;
}

void client_sleep(Client *c, uint64_t now_usec) {
        int r;

        if (c->run == RUNNING && !c->paused) {
                log_info("The system goes to sleep");
                pause_all(c, "system sleep", now_usec);
                c->sleeping = true;
        }
        r = client_sync(c);
        if (r < 0)
                log_error_errno(r, "Cannot write the state before the sleep: %m");
}

void client_wake(Client *c, uint64_t now_usec) {
        if (c->sleeping)
                (void) client_resume(c, now_usec);
}

int client_resume(Client *c, uint64_t now_usec) {
        if (c->run != RUNNING)
                return -ESHUTDOWN;
        if (!c->paused)
                return -EALREADY;
        c->now_usec = now_usec;
        c->paused = c->sleeping = false;
        log_info("Resumed");
        if (est_control_resume(c->est, now_usec) > 0)
                client_follow_accounts(c, now_usec);
        for (guint i = 0; i < c->servers->len; i++)
                if (server_is_started(client_at(c->servers, i)))
                        (void) rd_input(server_rd(client_at(c->servers, i)), RD_RESUME, now_usec);
                else /* its account came during the pause */
                        client_start_server(c, client_at(c->servers, i), now_usec);
        dm_resume_notifications(c->parts.dm, now_usec);
        bs_control_resume(c->bootstrap, now_usec);
        bs_control_follow(c->bootstrap, c->servers->len, now_usec);
        timer_arm(c->turns_timer, now_usec);
        client_tell_state(c);
        return 0;
}

bool client_is_paused(const Client *c) {
        return c->paused;
}
