/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "util/cleanup.h"

#define STACK_SIZE (256u * 1024) /* name service modules are known to need more than 64 KiB */

/* Shared with the threads, which may outlive the resolver: the last one turns off the light. */
typedef struct Shared {
        pthread_mutex_t mutex;
        unsigned n_refs; /* guarded, as are done and event_fd */
        GQueue done;     /* of Job */
        int event_fd;    /* -1 once the resolver is gone */
        LookupFunc lookup;
} Shared;

typedef struct Job {
        Shared *shared;
        char *host, port[6];
        int error; /* of getaddrinfo() */
        int system_error;
        struct addrinfo *list;
        GList *queries; /* the loop's thread only */
        bool running;
} Job;

struct Query {
        Resolver *resolver;
        Job *job;
        QueryFunc func;
        void *userdata;
};

struct Resolver {
        Loop *loop;
        LoopSource *source;
        Shared *shared;
        GQueue jobs; /* of Job; running or waiting */
        unsigned n_running, n_queries;
};

/* --- thread --- */

static void job_free(Job *j) {
        if (j->list)
                freeaddrinfo(j->list);
        g_free(j->host);
        g_free(j);
}

static void shared_unref(Shared *s) {
        unsigned n;

        pthread_mutex_lock(&s->mutex);
        n = --s->n_refs;
        pthread_mutex_unlock(&s->mutex);
        if (n > 0)
                return;
        for (Job *j; (j = g_queue_pop_head(&s->done));)
                job_free(j);
        pthread_mutex_destroy(&s->mutex);
        g_free(s);
}

static void *run_job(void *userdata) {
        static const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                               .ai_socktype = SOCK_DGRAM,
                                               .ai_flags = AI_NUMERICSERV };
        Job *j = userdata;
        Shared *s = j->shared;

        j->error = s->lookup(j->host, j->port, &hints, &j->list);
        j->system_error = errno;
        pthread_mutex_lock(&s->mutex);
        g_queue_push_tail(&s->done, j);
        if (s->event_fd >= 0)
                eventfd_write(s->event_fd, 1);
        pthread_mutex_unlock(&s->mutex);
        shared_unref(s);
        return NULL;
}

static int start_thread(Job *j) {
        pthread_attr_t attributes;
        pthread_t thread;
        int r;

        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attributes, STACK_SIZE);
        r = pthread_create(&thread, &attributes, run_job, j);
        pthread_attr_destroy(&attributes);
        return -r;
}

/* --- loop --- */

static void take_ref(Shared *s) {
        pthread_mutex_lock(&s->mutex);
        s->n_refs++;
        pthread_mutex_unlock(&s->mutex);
}

static void report(Job *j) {
        Shared *s = j->shared;

        pthread_mutex_lock(&s->mutex);
        g_queue_push_tail(&s->done, j);
        eventfd_write(s->event_fd, 1);
        pthread_mutex_unlock(&s->mutex);
}

/* A job without a thread is reported like one that failed. */
static void fail_job(Job *j, int error) {
        Shared *s = j->shared;

        j->error = EAI_SYSTEM;
        j->system_error = -error;
        report(j);
        shared_unref(s);
}

/* An address as text needs no name service, so no thread. */
static bool is_address(Job *j) {
        static const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                               .ai_socktype = SOCK_DGRAM,
                                               .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST };

        return getaddrinfo(j->host, j->port, &hints, &j->list) == 0;
}

static void start_jobs(Resolver *r) {
        for (GList *l = r->jobs.head; l && r->n_running < RESOLVER_THREADS_MAX; l = l->next) {
                Job *j = l->data;
                int error;

                if (j->running)
                        continue;
                j->running = true;
                r->n_running++;
                if (is_address(j)) {
                        report(j);
                        continue;
                }
                take_ref(j->shared);
                error = start_thread(j);
                if (error < 0)
                        fail_job(j, error);
        }
}

static int to_errno(const Job *j) {
        switch (j->error) {
        case 0:
                return j->list ? 0 : -ENOENT;
        case EAI_AGAIN:
                return -EAGAIN;
        case EAI_MEMORY:
                return -ENOMEM;
        case EAI_SYSTEM:
                return j->system_error > 0 ? -j->system_error : -EIO;
        default:
                return -ENOENT;
        }
}

static void finish_job(Resolver *r, Job *j) {
        uint64_t now = loop_now(r->loop);
        int error = to_errno(j);
        const char *text = j->error == EAI_SYSTEM ? g_strerror(-error)
                           : j->error             ? gai_strerror(j->error)
                                                  : "no address";

        g_queue_remove(&r->jobs, j);
        r->n_running--;
        while (j->queries) {
                Query *q = j->queries->data;
                QueryFunc func = q->func;
                void *userdata = q->userdata;

                j->queries = g_list_delete_link(j->queries, j->queries);
                r->n_queries--;
                g_free(q);
                func(userdata, error, text, error == 0 ? j->list : NULL, now);
        }
        job_free(j);
}

static void on_event(void *userdata, int fd, short revents) {
        Resolver *r = userdata;
        eventfd_t n;

        if (eventfd_read(fd, &n) < 0)
                return;
        for (;;) {
                Job *j;

                pthread_mutex_lock(&r->shared->mutex);
                j = g_queue_pop_head(&r->shared->done);
                pthread_mutex_unlock(&r->shared->mutex);
                if (!j)
                        break;
                finish_job(r, j);
        }
        start_jobs(r);
}

int resolver_new(Loop *loop, LookupFunc lookup, Resolver **ret) {
        autoclose int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        Resolver *r;

        if (fd < 0)
                return -errno;
        r = g_new0(Resolver, 1);
        r->loop = loop;
        r->shared = g_new0(Shared, 1);
        pthread_mutex_init(&r->shared->mutex, NULL);
        g_queue_init(&r->shared->done);
        r->shared->n_refs = 1;
        r->shared->lookup = lookup ?: getaddrinfo;
        r->shared->event_fd = steal_fd(&fd);
        r->source = loop_add_fd(loop, r->shared->event_fd, POLLIN, on_event, NULL, r);
        *ret = r;
        return 0;
}

Resolver *resolver_free(Resolver *r) {
        if (!r)
                return NULL;
        loop_source_free(r->source);
        pthread_mutex_lock(&r->shared->mutex);
        close_fd(&r->shared->event_fd);
        pthread_mutex_unlock(&r->shared->mutex);
        for (Job *j; (j = g_queue_pop_head(&r->jobs));)
                if (!j->running)
                        job_free(j); /* a running one goes with its thread */
        shared_unref(r->shared);
        g_free(r);
        return NULL;
}

static Job *find_job(const Resolver *r, const char *host, const char *port) {
        for (GList *l = r->jobs.head; l; l = l->next) {
                Job *j = l->data;

                if (strcmp(j->host, host) == 0 && strcmp(j->port, port) == 0)
                        return j;
        }
        return NULL;
}

int resolver_query(Resolver *r, const char *host, uint16_t port, QueryFunc func, void *userdata,
                   Query **ret) {
        char text[6];
        Query *q;
        Job *j;

        if (host[0] == 0 || strlen(host) > RESOLVER_HOST_MAX)
                return -EINVAL;
        if (r->n_queries >= RESOLVER_QUERIES_MAX)
                return -ENOBUFS;
        g_snprintf(text, sizeof(text), "%u", (unsigned) port);
        j = find_job(r, host, text);
        if (!j) {
                j = g_new0(Job, 1);
                j->shared = r->shared;
                j->host = g_strdup(host);
                memcpy(j->port, text, sizeof(text));
                g_queue_push_tail(&r->jobs, j);
        }
        q = g_new0(Query, 1);
        *q = (Query){ .resolver = r, .job = j, .func = func, .userdata = userdata };
        j->queries = g_list_append(j->queries, q);
        r->n_queries++;
        start_jobs(r);
        *ret = q;
        return 0;
}

Query *query_cancel(Query *q) {
        Resolver *r;

        if (!q)
                return NULL;
        r = q->resolver;
        q->job->queries = g_list_remove(q->job->queries, q);
        r->n_queries--;
        if (!q->job->queries && !q->job->running) {
                g_queue_remove(&r->jobs, q->job);
                job_free(q->job);
        }
        g_free(q);
        return NULL;
}
