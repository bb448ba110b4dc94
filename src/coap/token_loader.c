/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/token_loader.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "util/cleanup.h"

#define STACK_SIZE ((size_t) 1 << 20) /* libraries of card vendors */

/* Shared with the thread, which may outlive the loader: the last one turns off the light. */
typedef struct Shared {
        pthread_mutex_t mutex;
        unsigned n_refs; /* guarded, as are done and event_fd */
        GQueue done;     /* of Job */
        int event_fd;    /* -1 once the loader is gone */
        Token *token;
} Shared;

/* What the thread is given and gives back. */
typedef struct Job {
        Shared *shared;
        Credentials *credentials;
        TokenKeys keys;
        int error;
        char *text;
        TokenLoad *load; /* the loop's thread only; NULL: nobody waits any more */
        bool running;
} Job;

struct TokenLoad {
        TokenLoader *loader;
        Job *job;
        Timer *timer;
        TokenLoadFunc func;
        void *userdata;
};

struct TokenLoader {
        Loop *loop;
        LoopSource *source;
        Shared *shared;
        GQueue jobs; /* of Job; running or waiting */
};

/* --- thread --- */

static void job_free(Job *j) {
        token_keys_clear(&j->keys);
        credentials_free(j->credentials);
        g_free(j->text);
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
        token_unref(s->token);
        pthread_mutex_destroy(&s->mutex);
        g_free(s);
}

static void report(Job *j) {
        Shared *s = j->shared;

        pthread_mutex_lock(&s->mutex);
        g_queue_push_tail(&s->done, j);
        if (s->event_fd >= 0)
                eventfd_write(s->event_fd, 1);
        pthread_mutex_unlock(&s->mutex);
        shared_unref(s);
}

static void *run_job(void *userdata) {
        Job *j = userdata;

        j->error = token_load(j->shared->token, j->credentials, &j->keys, &j->text);
        report(j);
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

/* The first one, unless the thread is at work. */
static void start_next(TokenLoader *l) {
        Job *j = g_queue_peek_head(&l->jobs);
        int r;

        if (!j || j->running)
                return;
        j->running = true;
        pthread_mutex_lock(&l->shared->mutex);
        l->shared->n_refs++;
        pthread_mutex_unlock(&l->shared->mutex);
        r = start_thread(j);
        if (r < 0) { /* reported like one that failed */
                j->error = r;
                report(j);
        }
}

/* Tells who waits, and forgets about him. */
static void tell(TokenLoad *load, int error, const char *text, TokenKeys *keys, uint64_t now_usec) {
        TokenLoadFunc func = load->func;
        void *userdata = load->userdata;

        load->job->load = NULL;
        timer_free(load->timer);
        g_free(load);
        func(userdata, error, text, keys, now_usec);
}

static void on_event(void *userdata, int fd, short revents) {
        TokenLoader *l = userdata;
        uint64_t now = loop_now(l->loop);
        eventfd_t n;

        if (eventfd_read(fd, &n) < 0)
                return;
        for (;;) {
                Job *j;

                pthread_mutex_lock(&l->shared->mutex);
                j = g_queue_pop_head(&l->shared->done);
                pthread_mutex_unlock(&l->shared->mutex);
                if (!j)
                        break;
                g_queue_remove(&l->jobs, j);
                if (j->load)
                        tell(j->load, j->error, j->text ? j->text : g_strerror(-j->error), &j->keys,
                             now);
                job_free(j);
        }
        start_next(l);
}

/* A job that waits is not needed any more, one that runs ends with its thread. */
static void abandon(TokenLoader *l, Job *j) {
        j->load = NULL;
        if (j->running)
                return;
        g_queue_remove(&l->jobs, j);
        job_free(j);
}

static void on_timeout(void *userdata, uint64_t now_usec) {
        TokenLoad *load = userdata;
        TokenLoader *l = load->loader;
        Job *j = load->job;

        tell(load, -ETIMEDOUT, "the token has not answered in time", NULL, now_usec);
        abandon(l, j);
}

int token_loader_start(TokenLoader *l, const Credentials *c, uint64_t usec, TokenLoadFunc func,
                       void *userdata, TokenLoad **ret) {
        TokenLoad *load;
        Job *j;

        if (g_queue_get_length(&l->jobs) >= TOKEN_LOADS_MAX)
                return -ENOBUFS;
        j = g_new0(Job, 1);
        j->shared = l->shared;
        j->credentials = credentials_copy(c);
        load = g_new0(TokenLoad, 1);
        *load = (TokenLoad){ .loader = l, .job = j, .func = func, .userdata = userdata };
        j->load = load;
        load->timer = timer_new(loop_timers(l->loop), on_timeout, load);
        timer_arm(load->timer, loop_now(l->loop) + usec);
        g_queue_push_tail(&l->jobs, j);
        start_next(l);
        *ret = load;
        return 0;
}

TokenLoad *token_load_cancel(TokenLoad *load) {
        if (!load)
                return NULL;
        abandon(load->loader, load->job);
        timer_free(load->timer);
        g_free(load);
        return NULL;
}

/* --- life --- */

int token_loader_new(Loop *loop, const TokenConfig *config, TokenLoader **ret) {
        autoclose int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        TokenLoader *l;

        if (fd < 0)
                return -errno;
        l = g_new0(TokenLoader, 1);
        l->loop = loop;
        l->shared = g_new0(Shared, 1);
        pthread_mutex_init(&l->shared->mutex, NULL);
        g_queue_init(&l->shared->done);
        l->shared->n_refs = 1;
        l->shared->token = token_new(config);
        l->shared->event_fd = steal_fd(&fd);
        l->source = loop_add_fd(loop, l->shared->event_fd, POLLIN, on_event, NULL, l);
        *ret = l;
        return 0;
}

TokenLoader *token_loader_free(TokenLoader *l) {
        if (!l)
                return NULL;
        loop_source_free(l->source);
        pthread_mutex_lock(&l->shared->mutex);
        close_fd(&l->shared->event_fd);
        pthread_mutex_unlock(&l->shared->mutex);
        for (Job *j; (j = g_queue_pop_head(&l->jobs));)
                if (!j->running)
                        job_free(j); /* a running one goes with its thread */
        shared_unref(l->shared);
        g_free(l);
        return NULL;
}
