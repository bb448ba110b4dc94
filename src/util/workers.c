/* SPDX-License-Identifier: Apache-2.0 */
#include "util/workers.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "util/cleanup.h"

/* Shared with the threads, which may outlive the workers: the last one turns off the light. */
typedef struct Shared {
        const WorkersOps *ops;
        pthread_mutex_t mutex;
        unsigned n_refs; /* guarded, as are done and event_fd */
        GQueue done;     /* of Task */
        int event_fd;    /* -1 once the workers are gone */
} Shared;

typedef struct Task {
        Shared *shared;
        void *job;
        int error;
        bool threaded;
} Task;

struct Workers {
        Loop *loop;
        LoopSource *source;
        void *owner;
        Shared *shared;
        GQueue waiting; /* of jobs */
        unsigned n_running;
};

static void shared_unref(Shared *s) {
        unsigned n;

        pthread_mutex_lock(&s->mutex);
        n = --s->n_refs;
        pthread_mutex_unlock(&s->mutex);
        if (n > 0)
                return;
        for (Task *t; (t = g_queue_pop_head(&s->done));) {
                s->ops->free(t->job);
                g_free(t);
        }
        pthread_mutex_destroy(&s->mutex);
        g_free(s);
}

static void report(Task *t) {
        Shared *s = t->shared;

        pthread_mutex_lock(&s->mutex);
        g_queue_push_tail(&s->done, t);
        if (s->event_fd >= 0)
                eventfd_write(s->event_fd, 1);
        pthread_mutex_unlock(&s->mutex);
}

static void *run(void *userdata) {
        Task *t = userdata;
        Shared *s = t->shared;

        s->ops->work(t->job);
        report(t);
        shared_unref(s);
        return NULL;
}

static int start_thread(Task *t) {
        pthread_attr_t attributes;
        pthread_t thread;
        int r;

        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attributes, t->shared->ops->stack_size);
        r = pthread_create(&thread, &attributes, run, t);
        pthread_attr_destroy(&attributes);
        return -r;
}

/* --- loop's thread --- */

static Task *task_new(Workers *w, void *job) {
        Task *t = g_new0(Task, 1);

        t->shared = w->shared;
        t->job = job;
        return t;
}

static void start_waiting(Workers *w) {
        Shared *s = w->shared;

        while (w->n_running < s->ops->threads_max && !g_queue_is_empty(&w->waiting)) {
                Task *t = task_new(w, g_queue_pop_head(&w->waiting));
                int r;

                t->threaded = true;
                w->n_running++;
                pthread_mutex_lock(&s->mutex);
                s->n_refs++;
                pthread_mutex_unlock(&s->mutex);
                r = start_thread(t);
                if (r < 0) {
                        t->error = r;
                        report(t);
                        shared_unref(s);
                }
        }
}

static Task *take_done(Shared *s) {
        Task *t;

        pthread_mutex_lock(&s->mutex);
        t = g_queue_pop_head(&s->done);
        pthread_mutex_unlock(&s->mutex);
        return t;
}

static void on_event(void *userdata, int fd, short revents) {
        Workers *w = userdata;
        eventfd_t n;

        if (eventfd_read(fd, &n) < 0)
                return;
        for (Task *t; (t = take_done(w->shared));) {
                void *job = t->job;
                int error = t->error;

                if (t->threaded)
                        w->n_running--;
                g_free(t);
                w->shared->ops->done(w->owner, job, error, loop_now(w->loop));
        }
        start_waiting(w);
}

int workers_new(Loop *loop, const WorkersOps *ops, void *owner, Workers **ret) {
        autoclose int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        Workers *w;

        if (fd < 0)
                return -errno;
        w = g_new0(Workers, 1);
        w->loop = loop;
        w->owner = owner;
        w->shared = g_new0(Shared, 1);
        w->shared->ops = ops;
        pthread_mutex_init(&w->shared->mutex, NULL);
        w->shared->n_refs = 1;
        w->shared->event_fd = steal_fd(&fd);
        w->source = loop_add_fd(loop, w->shared->event_fd, POLLIN, on_event, NULL, w);
        *ret = w;
        return 0;
}

Workers *workers_free(Workers *w) {
        if (!w)
                return NULL;
        loop_source_free(w->source);
        pthread_mutex_lock(&w->shared->mutex);
        close_fd(&w->shared->event_fd);
        pthread_mutex_unlock(&w->shared->mutex);
        g_queue_clear_full(&w->waiting, w->shared->ops->free);
        shared_unref(w->shared);
        g_free(w);
        return NULL;
}

void workers_add(Workers *w, void *job) {
        g_queue_push_tail(&w->waiting, job);
        start_waiting(w);
}

void workers_return(Workers *w, void *job) {
        report(task_new(w, job));
}

bool workers_withdraw(Workers *w, void *job) {
        return g_queue_remove(&w->waiting, job);
}
