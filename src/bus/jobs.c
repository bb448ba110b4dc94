/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: Update, Register, De-register and Send take as long as the network does. The caller gets a
 * number at once and a unicast JobDone later, or with wait=true the answer itself when it is over.
 */
#include <errno.h>
#include <string.h>

#include "bus/bus_internal.h"
#include "util/log.h"

#define JOBS_MAX 256
#define JOB_USEC (300 * USEC_PER_SEC)           /* longer than any CoAP exchange (247 s) */
#define JOB_BOOTSTRAP_USEC (900 * USEC_PER_SEC) /* many of them */

struct Jobs {
        Bus *bus;
        GPtrArray *all; /* Job */
        uint32_t last_id;
};

typedef struct Job {
        Jobs *jobs;
        uint32_t id;
        uint16_t ssid; /* 0: of several servers */
        const char *kind;
        sd_bus_message *call; /* answered when it is over, if it waits */
        char *sender;
        bool wait;
        Timer *timer;   /* of those that end by events */
        SendJob *send;  /* of a Send that is not over */
        Pending *place; /* among the calls of its user that wait */
} Job;

typedef struct JobEnd {
        const char *result; /* "complete", "failed" … */
        const char *error;  /* name of the D-Bus error that says so; NULL: it is well */
        const char *text;   /* more about it; NULL */
        const SendReport *report;
} JobEnd;

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
        { "bootstrap", "bootstrap-transfer-complete", "complete" },
        { "bootstrap", "bootstrap-reg-failure", "failed" },
};

static void job_free(gpointer p) {
        Job *j = p;

        if (j->send)
                send_job_forget(j->send);
        sd_bus_message_unref(j->call);
        pending_free(j->place);
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

/* --- the end of a job --- */

/* "4.05 (no such resource)", "sensor off", "" */
static char *outcome_text(const SendOutcome *o) {
        const char *text = o->text ? o->text : "";

        if (o->result != SEND_REFUSED)
                return g_strdup(text);
        return g_strdup_printf("%u.%02u%s%s%s", o->code >> 5, o->code & 31U, *text ? " (" : "",
                               text, *text ? ")" : "");
}

static int append_outcomes(sd_bus_message *m, const SendReport *report, bool texts) {
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", texts ? "errors" : "servers");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{qs}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{qs}");
        for (size_t i = 0; r >= 0 && i < report->n_outcomes; i++) {
                const SendOutcome *o = &report->outcomes[i];
                g_autofree char *text = outcome_text(o);

                if (!texts || *text)
                        r = sd_bus_message_append(m, "{qs}", o->ssid,
                                                  texts ? text : send_result_name(o->result));
        }
        for (int depth = 0; r >= 0 && depth < 3; depth++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_details(sd_bus_message *m, const Job *j, const JobEnd *end) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}", "server", "q", j->ssid, "error", "s",
                                          end->text ? end->text : "");
        if (r >= 0 && end->report)
                r = append_outcomes(m, end->report, false);
        if (r >= 0 && end->report)
                r = append_outcomes(m, end->report, true);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void signal_done(const Job *j, const JobEnd *end) {
        sd_bus *bus = j->jobs->bus->bus;
        sd_bus_message *m = NULL;
        int r;

        if (!bus)
                return;
        r = sd_bus_message_new_signal(bus, &m, BUS_PATH, BUS_NAME ".Manager", "JobDone");
        if (r >= 0)
                r = sd_bus_message_append(m, "uss", j->id, j->kind, end->result);
        if (r >= 0)
                r = append_details(m, j, end);
        if (r >= 0)
                sd_bus_send_to(bus, m, j->sender, NULL);
        sd_bus_message_unref(m);
}

static void reply_failed(const Job *j, const JobEnd *end) {
        g_autofree char *who = j->ssid ? g_strdup_printf("Server %u", j->ssid)
                               : strcmp(j->kind, "bootstrap") == 0 ? g_strdup("Bootstrap server")
                                                                   : g_strdup("Several servers");
        sd_bus_error e = SD_BUS_ERROR_NULL;

        bus_error_named(&e, end->error, "%s: %s: %s%s%s", who, j->kind, end->result,
                        end->text && *end->text ? ": " : "", end->text ? end->text : "");
        sd_bus_reply_method_error(j->call, &e);
        sd_bus_error_free(&e);
}

static void job_over(Job *j, const JobEnd *end) {
        if (!j->wait)
                signal_done(j, end);
        else if (end->error)
                reply_failed(j, end);
        else
                sd_bus_reply_method_return(j->call, "u", j->id);
        g_ptr_array_remove(j->jobs->all, j);
}

/* --- those that end by events --- */

static void on_too_long(void *userdata, uint64_t now_usec) {
        job_over(userdata, &(JobEnd){ .result = "timeout", .error = ERROR_PREFIX "Timeout" });
}

static void end_by_event(Job *j, const char *result, const ClientEvent *event) {
        job_over(j, &(JobEnd){ .result = result,
                               .error = strcmp(result, "complete") == 0  ? NULL
                                        : strcmp(result, "timeout") == 0 ? ERROR_PREFIX "Timeout"
                                                                         : ERROR_PREFIX
                                                "ServerRefused",
                               .text = detail(event, "text") ?: detail(event, "error") });
}

void jobs_event(Jobs *jobs, const ClientEvent *event) {
        for (guint i = jobs->all->len; i-- > 0;) {
                Job *j = g_ptr_array_index(jobs->all, i);

                for (size_t k = 0; k < G_N_ELEMENTS(endings); k++)
                        if (j->ssid == event->ssid && strcmp(endings[k].kind, j->kind) == 0 &&
                            strcmp(endings[k].event, event->name) == 0 &&
                            !detail(event, "session")) { /* that goes on */
                                end_by_event(j, endings[k].result, event);
                                break;
                        }
        }
}

static int job_new(Jobs *jobs, sd_bus_message *m, uint16_t ssid, const char *kind, bool wait,
                   Job **ret, sd_bus_error *error) {
        Pending *place;
        Job *j;
        int r;

        if (jobs->all->len >= JOBS_MAX)
                return bus_error(error, -EDQUOT, "%d jobs are waiting already", JOBS_MAX);
        place = pending_new(jobs->bus, m, &PATH_ROOT);
        r = pending_count(place, error);
        if (r < 0) {
                pending_free(place);
                return r;
        }
        j = g_new0(Job, 1);
        j->place = place;
        j->jobs = jobs;
        j->id = ++jobs->last_id;
        j->ssid = ssid;
        j->kind = kind;
        j->wait = wait;
        j->sender = g_strdup(sd_bus_message_get_sender(m));
        j->call = sd_bus_message_ref(m);
        g_ptr_array_add(jobs->all, j);
        *ret = j;
        return 0;
}

int jobs_add(Jobs *jobs, sd_bus_message *m, uint16_t ssid, const char *kind, bool wait,
             sd_bus_error *error) {
        Job *j;
        int r;

        r = job_new(jobs, m, ssid, kind, wait, &j, error);
        if (r < 0)
                return r;
        j->timer = timer_new(loop_timers(jobs->bus->loop), on_too_long, j);
        timer_arm(j->timer,
                  bus_now(jobs->bus) +
                          (strcmp(kind, "bootstrap") == 0 ? JOB_BOOTSTRAP_USEC : JOB_USEC));
        return wait ? 1 : sd_bus_reply_method_return(m, "u", j->id);
}

/* --- Send --- */

static const char *send_error(SendResult result) {
        static const char *const names[] = {
                [SEND_MUTED] = ERROR_PREFIX "Muted",
                [SEND_NOT_SUPPORTED] = ERROR_PREFIX "NotSupported",
                [SEND_NOT_REGISTERED] = ERROR_PREFIX "NotRegistered",
                [SEND_TIMEOUT] = ERROR_PREFIX "Timeout",
                [SEND_REFUSED] = ERROR_PREFIX "ServerRefused",
                [SEND_DENIED] = SD_BUS_ERROR_ACCESS_DENIED,
                [SEND_FULL] = ERROR_PREFIX "LimitReached",
                [SEND_GONE] = ERROR_PREFIX "NotFound",
                [SEND_FAILED] = ERROR_PREFIX "Failed",
        };

        return result == SEND_ACKED ? NULL : names[result];
}

static char *report_text(const SendReport *report) {
        GString *s = g_string_new(NULL);

        if (report->n_outcomes == 1) {
                g_string_free(s, TRUE);
                return outcome_text(&report->outcomes[0]);
        }
        for (size_t i = 0; i < report->n_outcomes; i++) {
                const SendOutcome *o = &report->outcomes[i];
                g_autofree char *text = outcome_text(o);

                g_string_append_printf(s, "%sserver %u %s%s%s", i ? ", " : "", o->ssid,
                                       send_result_name(o->result), *text ? " " : "", text);
        }
        return g_string_free(s, FALSE);
}

static void on_sent(void *userdata, const SendReport *report, uint64_t now_usec) {
        g_autofree char *text = report_text(report);
        Job *j = userdata;

        j->send = NULL;
        if (report->n_outcomes == 1)
                j->ssid = report->outcomes[0].ssid;
        job_over(j, &(JobEnd){ .result = send_result_name(report->result),
                               .error = send_error(report->result),
                               .text = text,
                               .report = report });
}

int jobs_send(Jobs *jobs, sd_bus_message *m, const SendRequest *request, bool wait,
              sd_bus_error *error) {
        g_autofree char *why = NULL;
        Job *j;
        int r;

        r = job_new(jobs, m, request->ssid, "send", wait, &j, error);
        if (r < 0)
                return r;
        r = send_start(client_dm(jobs->bus->client), request, on_sent, j, &j->send, &why,
                       bus_now(jobs->bus));
        if (r < 0) {
                g_ptr_array_remove(jobs->all, j);
                return r == -ESRCH ? bus_error(error, -ENOENT, "%s", why)
                       : r == -EINVAL
                               ? bus_error_named(error, ERROR_PREFIX "InvalidPath", "%s", why)
                               : bus_error(error, r, "%s", why);
        }
        return wait ? 1 : sd_bus_reply_method_return(m, "u", j->id);
}

void jobs_bus_gone(Jobs *jobs) {
        if (jobs->all->len > 0)
                log_info("The bus is gone: %u jobs go on, and nobody is told of their end",
                         jobs->all->len);
        g_ptr_array_set_size(jobs->all, 0);
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
