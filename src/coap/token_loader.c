/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/token_loader.h"

#include <errno.h>

#include "util/workers.h"

#define STACK_SIZE ((size_t) 1 << 20) /* libraries of card vendors */

/* What the thread is given and gives back. */
typedef struct Job {
        Token *token;
        Credentials *credentials;
        TokenKeys keys;
        int error;
        char *text;
        TokenLoad *load; /* the loop's thread only; NULL: nobody waits any more */
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
        Workers *workers;
        Token *token;
        unsigned n_jobs; /* which the workers have */
};

/* --- thread --- */

static void job_free(void *userdata) {
        Job *j = userdata;

        token_keys_clear(&j->keys);
        credentials_free(j->credentials);
        token_unref(j->token);
        g_free(j->text);
        g_free(j);
}

static void job_work(void *userdata) {
        Job *j = userdata;

        j->error = token_load(j->token, j->credentials, &j->keys, &j->text);
}

/* --- loop --- */

/* Tells who waits, and forgets about him. */
static void tell(TokenLoad *load, int error, const char *text, TokenKeys *keys, uint64_t now_usec) {
        TokenLoadFunc func = load->func;
        void *userdata = load->userdata;

        load->job->load = NULL;
        timer_free(load->timer);
        g_free(load);
        func(userdata, error, text, keys, now_usec);
}

static void job_done(void *owner, void *job, int no_thread, uint64_t now_usec) {
        TokenLoader *l = owner;
        Job *j = job;

        l->n_jobs--;
        if (no_thread < 0)
                j->error = no_thread;
        if (j->load)
                tell(j->load, j->error, j->text ? j->text : g_strerror(-j->error), &j->keys,
                     now_usec);
        job_free(j);
}

/* A job that waits is not needed any more, one that runs ends with its thread. */
static void abandon(TokenLoader *l, Job *j) {
        j->load = NULL;
        if (!workers_withdraw(l->workers, j))
                return;
        l->n_jobs--;
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

        if (l->n_jobs >= TOKEN_LOADS_MAX)
                return -ENOBUFS;
        j = g_new0(Job, 1);
        j->token = token_ref(l->token);
        j->credentials = credentials_copy(c);
        load = g_new0(TokenLoad, 1);
        *load = (TokenLoad){ .loader = l, .job = j, .func = func, .userdata = userdata };
        j->load = load;
        load->timer = timer_new(loop_timers(l->loop), on_timeout, load);
        timer_arm(load->timer, loop_now(l->loop) + usec);
        l->n_jobs++;
        workers_add(l->workers, j);
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
        static const WorkersOps ops = {
                .work = job_work,
                .done = job_done,
                .free = job_free,
                .threads_max = 1,
                .stack_size = STACK_SIZE,
        };
        TokenLoader *l = g_new0(TokenLoader, 1);
        int r = workers_new(loop, &ops, l, &l->workers);

        if (r < 0) {
                g_free(l);
                return r;
        }
        l->loop = loop;
        l->token = token_new(config);
        *ret = l;
        return 0;
}

TokenLoader *token_loader_free(TokenLoader *l) {
        if (!l)
                return NULL;
        workers_free(l->workers);
        token_unref(l->token);
        g_free(l);
        return NULL;
}
