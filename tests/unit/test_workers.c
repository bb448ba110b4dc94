/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <unistd.h>

#include "util/workers.h"

#define THREADS 2u

typedef struct Job {
        int number;
        bool stuck, worked;
} Job;

typedef struct Bench {
        Loop *loop;
        Workers *workers;
        int done[16]; /* numbers, in order */
        unsigned n_done, n_wanted;
        bool worked; /* of the last */
} Bench;

static atomic_int n_inside, n_inside_max, n_freed;
static atomic_bool released;

static void work(void *userdata) {
        Job *j = userdata;
        int inside = atomic_fetch_add(&n_inside, 1) + 1;

        if (inside > atomic_load(&n_inside_max))
                atomic_store(&n_inside_max, inside);
        while (j->stuck && !atomic_load(&released))
                usleep(1000);
        j->worked = true;
        atomic_fetch_sub(&n_inside, 1);
}

static void done(void *owner, void *job, int error, uint64_t now_usec) {
        Bench *b = owner;
        Job *j = job;

        assert_int_equal(error, 0);
        assert_true(b->n_done < G_N_ELEMENTS(b->done));
        b->done[b->n_done++] = j->number;
        b->worked = j->worked;
        g_free(j);
        if (b->n_done == b->n_wanted)
                loop_quit(b->loop, 0);
}

static void free_job(void *job) {
        g_free(job);
        atomic_fetch_add(&n_freed, 1);
}

static const WorkersOps ops = {
        .work = work,
        .done = done,
        .free = free_job,
        .threads_max = THREADS,
        .stack_size = 256 * 1024,
};

static Job *job_new(int number, bool stuck) {
        Job *j = g_new0(Job, 1);

        j->number = number;
        j->stuck = stuck;
        return j;
}

static void setup(Bench *b) {
        *b = (Bench){ 0 };
        atomic_store(&n_inside_max, 0);
        atomic_store(&n_freed, 0);
        atomic_store(&released, false);
        assert_int_equal(loop_new(&b->loop), 0);
        assert_int_equal(workers_new(b->loop, &ops, b, &b->workers), 0);
}

static void teardown(Bench *b) {
        workers_free(b->workers);
        loop_free(b->loop);
}

static void run_until(Bench *b, unsigned n_done) {
        b->n_wanted = n_done;
        assert_int_equal(loop_run(b->loop), 0);
}

static void test_all_come_back(void **state) {
        Bench b;

        setup(&b);
        for (int i = 0; i < 10; i++)
                workers_add(b.workers, job_new(i, false));
        run_until(&b, 10);
        assert_true(b.worked);
        assert_in_range(atomic_load(&n_inside_max), 1, THREADS);
        teardown(&b);
        assert_int_equal(atomic_load(&n_freed), 0);
}

/* What waits behind stuck ones goes on in order, one place at a time. */
static void test_order(void **state) {
        Bench b;

        setup(&b);
        workers_add(b.workers, job_new(0, true));
        for (int i = 1; i < 6; i++)
                workers_add(b.workers, job_new(i, false));
        run_until(&b, 5);
        for (int i = 0; i < 5; i++)
                assert_int_equal(b.done[i], i + 1);
        atomic_store(&released, true);
        run_until(&b, 6);
        assert_int_equal(b.done[5], 0);
        teardown(&b);
}

static void test_nothing_to_work_on(void **state) {
        Bench b;

        setup(&b);
        for (unsigned i = 0; i < THREADS; i++)
                workers_add(b.workers, job_new(1, true));
        workers_return(b.workers, job_new(7, false));
        assert_int_equal(b.n_done, 0); /* later, but past all that wait */
        run_until(&b, 1);
        assert_int_equal(b.done[0], 7);
        assert_false(b.worked);
        atomic_store(&released, true);
        run_until(&b, 1 + THREADS);
        teardown(&b);
}

static void test_withdraw(void **state) {
        Job *running = job_new(0, true), *waiting = job_new(2, false);
        Bench b;

        setup(&b);
        workers_add(b.workers, running);
        workers_add(b.workers, job_new(1, true));
        workers_add(b.workers, waiting);
        assert_false(workers_withdraw(b.workers, running));
        assert_true(workers_withdraw(b.workers, waiting));
        assert_false(workers_withdraw(b.workers, waiting));
        g_free(waiting);
        atomic_store(&released, true);
        run_until(&b, 2);
        assert_int_equal(b.done[0] + b.done[1], 1);
        teardown(&b);
}

/* Those that wait are freed at once, a stuck one when its thread ends: nobody waits for it. */
static void test_freed_while_stuck(void **state) {
        Bench b;

        setup(&b);
        for (unsigned i = 0; i < THREADS + 3; i++)
                workers_add(b.workers, job_new(1, true));
        teardown(&b);
        assert_int_equal(atomic_load(&n_freed), 3);
        atomic_store(&released, true);
        while (atomic_load(&n_freed) < (int) THREADS + 3)
                usleep(1000);
        assert_int_equal(b.n_done, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_come_back),      cmocka_unit_test(test_order),
                cmocka_unit_test(test_nothing_to_work_on), cmocka_unit_test(test_withdraw),
                cmocka_unit_test(test_freed_while_stuck),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
