/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/resolver.h"

#include <errno.h>
#include <string.h>

#include "util/workers.h"

#define STACK_SIZE (256u * 1024) /* name service modules are known to need more than 64 KiB */

typedef struct Job {
        LookupFunc lookup;
        char *host, port[6];
        int error; /* of getaddrinfo() */
        int system_error;
        struct addrinfo *list;
        GList *queries; /* the loop's thread only */
} Job;

struct Query {
        Resolver *resolver;
        Job *job;
        QueryFunc func;
        void *userdata;
};

struct Resolver {
        LookupFunc lookup;
        Workers *workers;
        GQueue jobs; /* of Job, which the workers have */
        unsigned n_queries;
};

/* --- thread --- */

static void job_free(void *userdata) {
        Job *j = userdata;

        if (j->list)
                freeaddrinfo(j->list);
        g_free(j->host);
        g_free(j);
}

static void job_work(void *userdata) {
        static const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                               .ai_socktype = SOCK_DGRAM,
                                               .ai_flags = AI_NUMERICSERV };
        Job *j = userdata;

        j->error = j->lookup(j->host, j->port, &hints, &j->list);
        j->system_error = errno;
}

/* --- loop --- */

/* An address as text needs no name service, so no thread. */
static bool is_address(Job *j) {
        static const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                               .ai_socktype = SOCK_DGRAM,
                                               .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST };

        return getaddrinfo(j->host, j->port, &hints, &j->list) == 0;
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

static void job_done(void *owner, void *job, int no_thread, uint64_t now_usec) {
        Resolver *r = owner;
        Job *j = job;
        const char *text;
        int error;

        if (no_thread < 0) {
                j->error = EAI_SYSTEM;
                j->system_error = -no_thread;
        }
        error = to_errno(j);
        text = j->error == EAI_SYSTEM ? g_strerror(-error)
               : j->error             ? gai_strerror(j->error)
                                      : "no address";
        g_queue_remove(&r->jobs, j);
        while (j->queries) {
                Query *q = j->queries->data;
                QueryFunc func = q->func;
                void *userdata = q->userdata;

                j->queries = g_list_delete_link(j->queries, j->queries);
                r->n_queries--;
                g_free(q);
                func(userdata, error, text, error == 0 ? j->list : NULL, now_usec);
        }
        job_free(j);
}

int resolver_new(Loop *loop, LookupFunc lookup, Resolver **ret) {
        static const WorkersOps ops = {
                .work = job_work,
                .done = job_done,
                .free = job_free,
                .threads_max = RESOLVER_THREADS_MAX,
                .stack_size = STACK_SIZE,
        };
        Resolver *r = g_new0(Resolver, 1);
        int error;

        r->lookup = lookup ?: getaddrinfo;
        error = workers_new(loop, &ops, r, &r->workers);
        if (error < 0) {
                g_free(r);
                return error;
        }
        *ret = r;
        return 0;
}

Resolver *resolver_free(Resolver *r) {
        if (!r)
                return NULL;
        workers_free(r->workers);
        g_queue_clear(&r->jobs);
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
                j->lookup = r->lookup;
                j->host = g_strdup(host);
                memcpy(j->port, text, sizeof(text));
                g_queue_push_tail(&r->jobs, j);
                if (is_address(j))
                        workers_return(r->workers, j);
                else
                        workers_add(r->workers, j);
        }
        q = g_new0(Query, 1);
        *q = (Query){ .resolver = r, .job = j, .func = func, .userdata = userdata };
        j->queries = g_list_append(j->queries, q);
        r->n_queries++;
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
        if (!q->job->queries && workers_withdraw(r->workers, q->job)) {
                g_queue_remove(&r->jobs, q->job);
                job_free(q->job);
        }
        g_free(q);
        return NULL;
}
