/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/send/send.h"

#include <errno.h>
#include <stdlib.h>

#include "lwm2m/account/account.h"
#include "lwm2m/dm/operation.h"
#include "lwm2m/dm/read.h"
#include "lwm2m/dm/samples.h"
#include "util/complain.h"

#define SEND_JOBS_MAX 1024 /* waiting for applications or servers, in all */
#define FORMAT_DEFAULT FORMAT_SENML_CBOR

/* One server's part of a job. */
typedef struct Share {
        SendJob *job;
        SendOutcome outcome;
        SendTask *task; /* NULL: not handed over yet, or over */
        bool over;
} Share;

struct SendJob {
        Dm *dm;
        SendRequest request;
        Path *paths;
        Share *shares;
        size_t n_shares;
        uint64_t deadline_usec;
        Operation *asking;
        SendDone done; /* NULL: nobody wants to know */
        void *userdata;
        Timer *timer; /* tells the end */
        GList node;   /* in Dm.sends */
};

/* --- the end --- */
static void job_free(SendJob *j) {
        for (size_t i = 0; i < j->n_shares; i++) {
                if (j->shares[i].task)
                        send_task_drop(j->shares[i].task);
                g_free(j->shares[i].outcome.text);
        }
        operation_free(j->asking);
        timer_free(j->timer);
        g_queue_unlink(&j->dm->sends, &j->node);
        g_free(j->shares);
        g_free(j->paths);
        g_free(j);
}

static void tell(SendJob *j, uint64_t now_usec) {
        g_autofree SendOutcome *outcomes = g_new(SendOutcome, j->n_shares);
        SendReport report = { .outcomes = outcomes, .n_outcomes = j->n_shares };

        for (size_t i = 0; i < j->n_shares; i++) {
                outcomes[i] = j->shares[i].outcome;
                report.result = MAX(report.result, outcomes[i].result);
        }
        j->done(j->userdata, &report, now_usec);
}

static void on_end(void *userdata, uint64_t now_usec) {
        SendJob *j = userdata;

        if (j->done)
                tell(j, now_usec);
        job_free(j);
}

static void end_share(Share *s, SendResult result, uint8_t code, const char *text) {
        SendJob *j = s->job;

        s->task = NULL;
        s->over = true;
        s->outcome.result = result;
        s->outcome.code = code;
        s->outcome.text = g_strdup(text);
        for (size_t i = 0; i < j->n_shares; i++)
                if (!j->shares[i].over)
                        return;
        timer_arm(j->timer, 0);
}

static void end_all(SendJob *j, SendResult result, const char *text) {
        for (size_t i = 0; i < j->n_shares; i++)
                if (!j->shares[i].over)
                        end_share(&j->shares[i], result, 0, text);
}

static void on_task_done(void *userdata, SendResult result, uint8_t code, const char *text,
                         uint64_t now_usec) {
        end_share(userdata, result, code, text);
}

void send_job_forget(SendJob *j) {
        j->done = NULL;
}

void send_free_all(Dm *dm) {
        while (dm->sends.head) {
                SendJob *j = dm->sends.head->data;

                end_all(j, SEND_GONE, NULL);
                on_end(j, 0);
        }
}

/* --- to the servers --- */
static Peer *find_peer(const Dm *dm, uint16_t ssid) {
        for (GList *i = dm->peers.head; i; i = i->next)
                if (((Peer *) i->data)->ssid == ssid)
                        return i->data;
        return NULL;
}

static void hand_over(Share *s, SendContent *content) {
        SendJob *j = s->job;
        const Peer *p = find_peer(j->dm, s->outcome.ssid);
        int r;

        if (!p) {
                end_share(s, SEND_GONE, 0, NULL);
                return;
        }
        r = send_queue_add(p->sends, content, j->request.now, j->deadline_usec, on_task_done, s,
                           &s->task);
        if (r < 0)
                end_share(s, SEND_FULL, 0, NULL);
}

/* What the server may read of it (TS Core 1.1.1, section 8.2); NULL: all, so that it can be shared
 * with others. */
static SendContent *restrict_content(const SendJob *j, uint16_t ssid, const SendContent *all) {
        g_auto(RecordList) records = { .v = NULL };
        SendContent *part;
        size_t n = 0;

        for (size_t i = 0; i < all->records.n; i++)
                n += dm_may(j->dm, ssid, &all->records.v[i].path, ACCESS_READ) == 0;
        if (n == all->records.n)
                return NULL;
        for (size_t i = 0; i < all->records.n; i++) {
                const Record *r = &all->records.v[i];
                Value v;

                if (dm_may(j->dm, ssid, &r->path, ACCESS_READ) < 0)
                        continue;
                v = value_copy(&r->value);
                record_list_add(&records, &r->path, &v, r->time_ns);
        }
        part = send_content_new(all->format, &records);
        part->cached = all->cached ? g_array_ref(all->cached) : NULL;
        return part;
}

/* Whether nothing is left for the server. */
static bool is_withheld(const SendJob *j, uint16_t ssid, const SendContent *c) {
        for (guint i = 0; c->cached && i < c->cached->len; i++)
                if (dm_may(j->dm, ssid, &g_array_index(c->cached, Path, i), ACCESS_READ) == 0)
                        return false;
        return c->records.n == 0;
}

static void distribute(SendJob *j, RecordList *records, GArray *cached) {
        g_autoptr(SendContent) content = send_content_new(j->request.format, records);

        if (cached && cached->len > 0)
                content->cached = g_array_ref(cached);
        for (size_t i = 0; i < j->n_shares; i++) {
                Share *s = &j->shares[i];
                g_autoptr(SendContent) part = NULL;

                if (s->over)
                        continue;
                if (access_is_enforced(j->dm->access))
                        part = restrict_content(j, s->outcome.ssid, content);
                if (is_withheld(j, s->outcome.ssid, part ? part : content))
                        end_share(s, SEND_DENIED, 0, NULL);
                else
                        hand_over(s, part ? part : content);
        }
}

static bool takes_sends(const Peer *p, Format f) {
        return version_reaches(p->version, 1, 1) &&
               (f != FORMAT_LWM2M_CBOR || version_reaches(p->version, 1, 2));
}

static void add_share(SendJob *j, const Peer *p) {
        j->shares[j->n_shares++] = (Share){ .job = j, .outcome.ssid = p->ssid };
}

static int compare_shares(const void *a, const void *b) {
        return (int) ((const Share *) a)->outcome.ssid - (int) ((const Share *) b)->outcome.ssid;
}

static int choose_servers(SendJob *j, char **ret_error) {
        const SendRequest *rq = &j->request;

        j->shares = g_new0(Share, j->dm->peers.length + 1);
        for (GList *i = j->dm->peers.head; i; i = i->next) {
                const Peer *p = i->data;

                if (rq->ssid == p->ssid || (rq->ssid == 0 && takes_sends(p, rq->format)))
                        add_share(j, p);
        }
        if (j->n_shares == 0 && rq->ssid > 0)
                return complain(ret_error, -ESRCH, "There is no server %u", rq->ssid);
        if (j->n_shares == 0)
                return complain(ret_error, -ESRCH, "There is no server that takes a Send%s",
                                rq->format == FORMAT_LWM2M_CBOR ? " in LwM2M CBOR" : "");
        qsort(j->shares, j->n_shares, sizeof(Share), compare_shares);
        return 0;
}

/* What can be said without sending anything. */
static void look_ahead(Share *s) {
        const SendRequest *rq = &s->job->request;
        const Peer *p = find_peer(s->job->dm, s->outcome.ssid);

        if (!p)
                end_share(s, SEND_GONE, 0, NULL);
        else if (!takes_sends(p, rq->format))
                end_share(s, SEND_NOT_SUPPORTED, 0, NULL);
        else if (account_is_muted(p->dm->tree, p->ssid))
                end_share(s, SEND_MUTED, 0, NULL);
        else if (p->presence == PRESENCE_ABSENT && !rq->queue)
                end_share(s, SEND_NOT_REGISTERED, 0, NULL);
}

/* What was named itself is not left out silently (TS Core 1.1.1, section 8.2). */
static void check_rights(Share *s) {
        const SendJob *j = s->job;

        for (size_t i = 0; i < j->request.n_paths && !s->over; i++) {
                const Path *p = &j->paths[i];
                g_autofree char *why = NULL;

                if (p->n < 2 || dm_may(j->dm, s->outcome.ssid, p, ACCESS_READ) == 0)
                        continue;
                why = g_strdup_printf("it may not read %s", PATH_TEXT(p));
                end_share(s, SEND_DENIED, 0, why);
        }
}

/* --- gathering --- */
static int compare_paths(const void *a, const void *b) {
        return path_compare(a, b);
}

static int take_paths(SendJob *j, const SendRequest *rq, char **ret_error) {
        size_t n = 0;

        if (rq->n_paths == 0)
                return complain(ret_error, -EINVAL, "There is no path to send");
        if (rq->n_paths > j->dm->config.composite_paths_max && !rq->samples_only)
                return complain(ret_error, -E2BIG, "More than %u paths ([Limits] CompositePaths)",
                                j->dm->config.composite_paths_max);
        for (size_t i = 0; i < rq->n_paths; i++) {
                if (rq->paths[i].n == 0)
                        return complain(ret_error, -EINVAL, "/: a Send names objects or less");
                if (dm_access(&rq->paths[i]) < 0)
                        return complain(ret_error, -EACCES, "%s: keys and credentials are not sent",
                                        PATH_TEXT(&rq->paths[i]));
        }
        j->paths = g_memdup2(rq->paths, rq->n_paths * sizeof(Path));
        qsort(j->paths, rq->n_paths, sizeof(Path), compare_paths);
        for (size_t i = 0; i < rq->n_paths; i++)
                if (n == 0 || !path_covers(&j->paths[n - 1], &j->paths[i]))
                        j->paths[n++] = j->paths[i];
        j->request.paths = j->paths;
        j->request.n_paths = n;
        return 0;
}

static int check_paths(const SendJob *j, GArray *ask, char **ret_error) {
        size_t n_found = 0;

        for (size_t i = 0; i < j->request.n_paths; i++) {
                const Path *p = &j->paths[i];
                g_auto(ReadResult) result = { .v = NULL };
                const ReadTarget target = { .paths = &j->paths[i],
                                            .n = 1,
                                            .format = FORMAT_SENML_CBOR };
                int r;

                r = read_collect(j->dm, &target, NULL, &result, ask);
                if (r < 0)
                        return complain(ret_error, r, "%s: %s", PATH_TEXT(p),
                                        r == -ENOENT  ? "there is nothing"
                                        : r == -EPERM ? "it is not readable"
                                                      : g_strerror(-r));
                n_found += result.n;
        }
        if (n_found == 0 && ask->len == 0)
                return complain(ret_error, -ENOENT, "%s%s: there is no value",
                                PATH_TEXT(&j->paths[0]),
                                j->request.n_paths > 1 ? " and the others" : "");
        return 0;
}

/* A cached resource without samples gives its value. */
static bool has_samples(const SendJob *j, const Path *p) {
        SeriesInfo info;

        return j->request.with_cache && j->dm->config.series &&
               format_has_time(j->request.format) &&
               samples_cached(j->dm, p, tree_resource_def(j->dm->tree, p)) &&
               series_info(j->dm->config.series, p, &info) && info.n > 0;
}

static int collect(SendJob *j, const RecordList *answers, RecordList *ret, GArray *cached) {
        const ReadTarget target = { .paths = j->paths,
                                    .n = j->request.n_paths,
                                    .composite = true,
                                    .format = FORMAT_SENML_CBOR };
        g_auto(ReadResult) result = { .v = NULL };
        int r;

        r = answers ? read_collect_answered(j->dm, &target, answers, &result)
                    : read_collect(j->dm, &target, NULL, &result, NULL);
        if (r == 0 && result.n == 0)
                r = -ENOENT;
        for (size_t i = 0; r == 0 && i < result.n; i++) {
                const Record *record = &result.v[i];
                Value v;

                if (has_samples(j, &record->path)) {
                        g_array_append_vals(cached, &record->path, 1);
                        continue;
                }
                if (j->request.samples_only)
                        continue;
                v = value_copy(&record->value);
                record_list_add(ret, &record->path, &v,
                                record->time_ns == RECORD_NO_TIME ? j->request.time_ns
                                                                  : record->time_ns);
        }
        return r;
}

static void gather(SendJob *j, const RecordList *answers) {
        g_autoptr(GArray) cached = g_array_new(FALSE, FALSE, sizeof(Path));
        g_auto(RecordList) records = { .v = NULL };
        int r;

        samples_note_clock(j->dm);
        r = collect(j, answers, &records, cached);
        if (r == 0 && records.n == 0 && cached->len == 0)
                end_all(j, SEND_ACKED, NULL);
        else if (r < 0)
                end_all(j, SEND_FAILED, r == -ENOENT ? "there is no value" : g_strerror(-r));
        else
                distribute(j, &records, cached);
}

static void on_answers(Operation *op, void *state, int error, const char *text,
                       const RecordList *records, uint64_t now_usec) {
        static const RecordList none = { .v = NULL };
        SendJob *j = state;

        j->asking = NULL;
        operation_free(op);
        if (error < 0)
                end_all(j, SEND_FAILED, text ? text : g_strerror(-error));
        else
                gather(j, records ? records : &none);
}

static void ask_apps(SendJob *j, const GArray *ask) {
        const AppContext context = { .ssid = j->request.ssid };
        const DmConfig *c = &j->dm->config;

        j->asking = operation_new_silent(j->dm, NULL, on_answers, j);
        operation_wait(j->asking,
                       c->apps->read(c->apps_userdata, (const Path *) (const void *) ask->data,
                                     ask->len, &context, operation_done, j->asking));
}

/* --- the beginning --- */
static bool all_over(const SendJob *j) {
        for (size_t i = 0; i < j->n_shares; i++)
                if (!j->shares[i].over)
                        return false;
        return true;
}

/* One server's full queue is an error at once; of several it is that one's outcome. */
static int check_room(const SendJob *j, char **ret_error) {
        const Share *s = &j->shares[0];
        const Peer *p = find_peer(j->dm, s->outcome.ssid);

        if (j->dm->sends.length > SEND_JOBS_MAX)
                return complain(ret_error, -EDQUOT, "%d Sends are under way already",
                                SEND_JOBS_MAX);
        if (j->n_shares == 1 && !s->over && p && !send_queue_has_room(p->sends, 0))
                return complain(ret_error, -EDQUOT,
                                "%zu Sends wait for server %u already ([Limits] Sends, SendBytes)",
                                send_queue_length(p->sends), p->ssid);
        return 0;
}

static int check_format(SendJob *j, char **ret_error) {
        Format *f = &j->request.format;

        if (*f == FORMAT_NONE)
                *f = FORMAT_DEFAULT;
        if (*f == FORMAT_SENML_CBOR || *f == FORMAT_SENML_JSON || *f == FORMAT_LWM2M_CBOR)
                return 0;
        return complain(ret_error, -ENOTSUP, "%s is not a format of Send", format_name(*f));
}

static int job_new(Dm *dm, const SendRequest *request, SendDone done, void *userdata, SendJob **ret,
                   char **ret_error, uint64_t now_usec) {
        const uint64_t longest = dm->config.send_timeout_usec;
        const uint64_t timeout =
                request->timeout_usec ? MIN(request->timeout_usec, longest) : longest;
        SendJob *j = g_new(SendJob, 1);
        int r;

        *j = (SendJob){
                .dm = dm,
                .request = *request,
                .deadline_usec = now_usec + timeout,
                .done = done,
                .userdata = userdata,
        };
        j->node.data = j;
        j->timer = timer_new(dm->config.timers, on_end, j);
        g_queue_push_tail_link(&dm->sends, &j->node);
        r = check_format(j, ret_error);
        if (r >= 0)
                r = choose_servers(j, ret_error);
        if (r >= 0) {
                for (size_t i = 0; i < j->n_shares; i++)
                        look_ahead(&j->shares[i]);
                r = check_room(j, ret_error);
        }
        if (r < 0) {
                job_free(j);
                return r;
        }
        *ret = j;
        return 0;
}

int send_start(Dm *dm, const SendRequest *request, SendDone done, void *userdata, SendJob **ret,
               char **ret_error, uint64_t now_usec) {
        g_autoptr(GArray) ask = g_array_new(FALSE, FALSE, sizeof(Path));
        SendJob *j;
        int r;

        r = job_new(dm, request, done, userdata, &j, ret_error, now_usec);
        if (r < 0)
                return r;
        r = take_paths(j, request, ret_error);
        if (r >= 0)
                r = check_paths(j, ask, ret_error);
        if (r < 0) {
                job_free(j);
                return r;
        }
        for (size_t i = 0; i < j->n_shares && !request->samples_only; i++)
                check_rights(&j->shares[i]);
        if (!all_over(j) && ask->len > 0)
                ask_apps(j, ask);
        else if (!all_over(j))
                gather(j, NULL);
        *ret = j;
        return 0;
}

int send_records(Dm *dm, const SendRequest *request, RecordList *records, SendDone done,
                 void *userdata, SendJob **ret, char **ret_error, uint64_t now_usec) {
        int r;

        r = job_new(dm, request, done, userdata, ret, ret_error, now_usec);
        if (r < 0)
                return r;
        distribute(*ret, records, NULL);
        return 0;
}
