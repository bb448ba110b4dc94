/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: Update, Register and De-register take as long as the network does. The caller gets a number
 * at once and a unicast JobDone later, or with wait=true the answer itself when it is over. */
#include <errno.h>
#include <string.h>

#include "bus/bus_internal.h"

#define JOBS_MAX 256
#define JOB_USEC (300 * USEC_PER_SEC) /* longer than any CoAP exchange (247 s) */

struct Jobs {
        Bus *bus;
        GPtrArray *all; /* Job */
        uint32_t last_id;
};

typedef struct Job {
        Jobs *jobs;
        uint32_t id;
        uint16_t ssid;
        const char *kind;
        sd_bus_message *call; /* answered when it is over, if it waits */
        char *sender;
        bool wait;
        Timer *timer;
} Job;

/* Which events end which kind of job, and how. */
static const struct {
        const char *kind, *event, *result;
} endings[] = {
        { "update", "reg-update-complete", "complete" },
        { "update", "registration-complete", "complete" },
        { "update", "registration-failure", "failed" },
        { "update", "reg-timeout", "timeout" },
        { "update", "network-error", "failed" },
        { "register", "registration-complete", "complete" },
        { "register", "registration-failure", "failed" },
        { "register", "reg-timeout", "timeout" },
        { "register", "network-error", "failed" },
        { "deregister", "deregister-failure", "failed" },
        { "deregister", "disconnect", "complete" },
};

static void job_free(gpointer p) {
        Job *j = p;

        sd_bus_message_unref(j->call);
        timer_free(j->timer);
        g_free(j->sender);
        g_free(j);
}

static const char *detail(const ClientEvent *event, const char *key) {
        for (const char *const *d = event ? event->details : NULL; d && d[0] && d[1]; d += 2)
                if (strcmp(d[0], key) == 0)
                        return d[1];
        return NULL;
}

static void job_over(Job *j, const char *result, const ClientEvent *event) {
        const char *why = detail(event, "error");
        sd_bus_message *m = NULL;
        sd_bus_error e = SD_BUS_ERROR_NULL;

        if (j->wait && strcmp(result, "complete") == 0) {
                sd_bus_reply_method_return(j->call, "u", j->id);
        } else if (j->wait) {
                bus_error_named(&e,
                                strcmp(result, "timeout") == 0 ? ERROR_PREFIX "Timeout"
                                                               : ERROR_PREFIX "ServerRefused",
                                "Server %u: %s: %s%s%s", j->ssid, j->kind, result, why ? ": " : "",
                                why ? why : "");
                sd_bus_reply_method_error(j->call, &e);
                sd_bus_error_free(&e);
        } else if (j->jobs->bus->bus &&
                   sd_bus_message_new_signal(j->jobs->bus->bus, &m, BUS_PATH, BUS_NAME ".Manager",
                                             "JobDone") >= 0) {
                sd_bus_message_append(m, "ussa{sv}", j->id, j->kind, result, 2, "server", "q",
                                      j->ssid, "error", "s", why ? why : "");
                sd_bus_send_to(j->jobs->bus->bus, m, j->sender, NULL);
                sd_bus_message_unref(m);
        }
        g_ptr_array_remove(j->jobs->all, j);
}

static void on_too_long(void *userdata, uint64_t now_usec) {
        job_over(userdata, "timeout", NULL);
}

void jobs_event(Jobs *jobs, const ClientEvent *event) {
        for (guint i = jobs->all->len; i-- > 0;) {
                Job *j = g_ptr_array_index(jobs->all, i);

                for (size_t k = 0; k < G_N_ELEMENTS(endings); k++)
                        if (j->ssid == event->ssid && strcmp(endings[k].kind, j->kind) == 0 &&
                            strcmp(endings[k].event, event->name) == 0) {
                                job_over(j, endings[k].result, event);
                                break;
                        }
        }
}

int jobs_add(Jobs *jobs, sd_bus_message *m, uint16_t ssid, const char *kind, bool wait,
             sd_bus_error *error) {
        Job *j;

        if (jobs->all->len >= JOBS_MAX)
                return bus_error(error, -EDQUOT, "%d jobs are waiting already", JOBS_MAX);
        j = g_new0(Job, 1);
        j->jobs = jobs;
        j->id = ++jobs->last_id;
        j->ssid = ssid;
        j->kind = kind;
        j->wait = wait;
        j->sender = g_strdup(sd_bus_message_get_sender(m));
        j->call = sd_bus_message_ref(m);
        j->timer = timer_new(loop_timers(jobs->bus->loop), on_too_long, j);
        timer_arm(j->timer, bus_now(jobs->bus) + JOB_USEC);
        g_ptr_array_add(jobs->all, j);
        return wait ? 1 : sd_bus_reply_method_return(m, "u", j->id);
}

Jobs *jobs_new(Bus *b) {
        Jobs *jobs = g_new0(Jobs, 1);

        jobs->bus = b;
        jobs->all = g_ptr_array_new_with_free_func(job_free);
        return jobs;
}

Jobs *jobs_free(Jobs *jobs) {
        if (!jobs)
                return NULL;
        g_ptr_array_unref(jobs->all);
        g_free(jobs);
        return NULL;
}
