/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "coap/resolver.h"

typedef struct Result {
        int error;
        unsigned n_calls, n_addresses;
        char text[128];
} Result;

static atomic_int n_lookups, n_inside, n_inside_max;
static atomic_bool released;

/* Names: "stuck…" waits until released, "bad…" does not exist, the rest is a number. */
static int lookup(const char *host, const char *port, const struct addrinfo *hints,
                  struct addrinfo **ret) {
        int inside = atomic_fetch_add(&n_inside, 1) + 1, most = atomic_load(&n_inside_max);

        while (inside > most && !atomic_compare_exchange_weak(&n_inside_max, &most, inside))
                ;
        atomic_fetch_add(&n_lookups, 1);
        while (strncmp(host, "stuck", 5) == 0 && !atomic_load(&released))
                usleep(1000);
        atomic_fetch_sub(&n_inside, 1);
        if (strncmp(host, "bad", 3) == 0)
                return EAI_NONAME;
        if (strncmp(host, "later", 5) == 0)
                return EAI_AGAIN;
        return getaddrinfo("127.0.0.1", port, hints, ret);
}

static void on_result(void *userdata, int error, const char *text, const struct addrinfo *list,
                      uint64_t now_usec) {
        Result *r = userdata;

        r->n_calls++;
        r->error = error;
        for (; list; list = list->ai_next)
                r->n_addresses++;
        g_strlcpy(r->text, text, sizeof(r->text));
}

static void setup(Loop **loop, Resolver **r) {
        atomic_store(&n_lookups, 0);
        atomic_store(&n_inside_max, 0);
        atomic_store(&released, false);
        assert_int_equal(loop_new(loop), 0);
        assert_int_equal(resolver_new(*loop, lookup, r), 0);
}

static void run_until(const unsigned *n, unsigned wanted) {
        while (*n < wanted)
                g_main_context_iteration(NULL, TRUE);
}

static void test_results(void **state) {
        g_autoptr(Loop) loop = NULL;
        g_autoptr(Resolver) r = NULL;
        Result good = { 0 }, bad = { 0 }, later = { 0 };
        char longest[300] = { 0 };
        Query *q;

        setup(&loop, &r);
        assert_int_equal(resolver_query(r, "good", 5683, on_result, &good, &q), 0);
        assert_int_equal(resolver_query(r, "bad", 5683, on_result, &bad, &q), 0);
        assert_int_equal(resolver_query(r, "later", 5683, on_result, &later, &q), 0);
        assert_int_equal(good.n_calls, 0);
        run_until(&good.n_calls, 1);
        run_until(&bad.n_calls, 1);
        run_until(&later.n_calls, 1);
        assert_int_equal(good.error, 0);
        assert_int_equal(good.n_addresses, 1);
        assert_int_equal(bad.error, -ENOENT);
        assert_true(bad.text[0]);
        assert_int_equal(later.error, -EAGAIN);
        memset(longest, 'a', sizeof(longest) - 1);
        assert_int_equal(resolver_query(r, "", 1, on_result, &good, &q), -EINVAL);
        assert_int_equal(resolver_query(r, longest, 1, on_result, &good, &q), -EINVAL);
}

/* An address as text is no name: nobody is asked, and the answer comes later all the same. */
static void test_addresses(void **state) {
        static const char *const addresses[] = { "127.0.0.1", "::1", "fe80::1%lo" };
        g_autoptr(Loop) loop = NULL;
        g_autoptr(Resolver) r = NULL;
        Query *q;

        setup(&loop, &r);
        for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++) {
                Result result = { 0 };

                assert_int_equal(resolver_query(r, addresses[i], 5683, on_result, &result, &q), 0);
                assert_int_equal(result.n_calls, 0);
                run_until(&result.n_calls, 1);
                assert_int_equal(result.error, 0);
                assert_int_equal(result.n_addresses, 1);
        }
        assert_int_equal(atomic_load(&n_lookups), 0);
}

/* A look-up that hangs delays no other, even asked for again and again. */
static void test_stuck(void **state) {
        g_autoptr(Loop) loop = NULL;
        g_autoptr(Resolver) r = NULL;
        Result stuck = { 0 }, good = { 0 };
        Query *q, *again;

        setup(&loop, &r);
        for (unsigned i = 0; i < 100; i++) {
                assert_int_equal(resolver_query(r, "stuck", 1, on_result, &stuck, &q), 0);
                query_cancel(q);
        }
        assert_int_equal(resolver_query(r, "stuck", 1, on_result, &stuck, &q), 0);
        assert_int_equal(resolver_query(r, "stuck", 1, on_result, &stuck, &again), 0);
        assert_int_equal(resolver_query(r, "good", 1, on_result, &good, &q), 0);
        run_until(&good.n_calls, 1);
        assert_int_equal(stuck.n_calls, 0);
        atomic_store(&released, true);
        run_until(&stuck.n_calls, 2);
        assert_int_equal(stuck.error, 0);
        assert_int_equal(atomic_load(&n_lookups), 2);
}

static void test_bounded(void **state) {
        g_autoptr(Loop) loop = NULL;
        g_autoptr(Resolver) r = NULL;
        Query *q[RESOLVER_QUERIES_MAX], *more;
        Result stuck = { 0 };
        char name[32];

        setup(&loop, &r);
        for (unsigned i = 0; i < RESOLVER_QUERIES_MAX; i++) {
                snprintf(name, sizeof(name), "stuck%u", i);
                assert_int_equal(resolver_query(r, name, 1, on_result, &stuck, &q[i]), 0);
        }
        assert_int_equal(resolver_query(r, "one-more", 1, on_result, &stuck, &more), -ENOBUFS);
        query_cancel(q[RESOLVER_QUERIES_MAX - 1]);
        assert_int_equal(resolver_query(r, "one-more", 1, on_result, &stuck, &more), 0);
        atomic_store(&released, true);
        run_until(&stuck.n_calls, RESOLVER_QUERIES_MAX);
        assert_true(atomic_load(&n_inside_max) <= (int) RESOLVER_THREADS_MAX);
}

/* What runs when the resolver goes ends by itself, touching nothing that is gone. */
static void test_freed_while_stuck(void **state) {
        Loop *loop;
        Resolver *r;
        Result stuck = { 0 };
        Query *q, *waiting;

        setup(&loop, &r);
        assert_int_equal(resolver_query(r, "stuck", 1, on_result, &stuck, &q), 0);
        assert_int_equal(resolver_query(r, "stuck2", 1, on_result, &stuck, &waiting), 0);
        query_cancel(q);
        query_cancel(waiting);
        resolver_free(r);
        loop_free(loop);
        atomic_store(&released, true);
        while (atomic_load(&n_lookups) < 2 || atomic_load(&n_inside) > 0)
                usleep(1000);
        usleep(50000);
        assert_int_equal(stuck.n_calls, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_results),
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_stuck),
                cmocka_unit_test(test_bounded),
                cmocka_unit_test(test_freed_while_stuck),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
