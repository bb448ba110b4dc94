/* SPDX-License-Identifier: Apache-2.0 */
/* bench-busload: the D-Bus load side of lwm2m-bench.
 *
 *   bench-busload set    ADDRESS NAME N WINDOW PATH            N calls of Set
 *   bench-busload many   ADDRESS NAME N WINDOW OBJECT COUNT    N calls of SetMany, COUNT values
 * each bench-busload create ADDRESS NAME OBJECT FIRST COUNT       instances with a 5700, 500 a call
 *   bench-busload push   ADDRESS NAME N WINDOW OBJECT COUNT INSTANCES    N calls of Push, COUNT
 *                                   samples each, which the instances get in turn
 *   bench-busload series ADDRESS NAME N WINDOW OBJECT COUNT INSTANCES    N calls of PushSeries,
 *                                   COUNT samples each, to one instance after the other
 *   bench-busload notify ADDRESS NAME FD N PATH                Set, wait for its notification
 *   bench-busload burst  ADDRESS NAME FD N OBJECT COUNT        SetMany, wait for COUNT
 * notifications
 *   bench-busload paced  ADDRESS NAME FD N OBJECT COUNT RATE   RATE calls of Set a second, each of
 * the next of COUNT resources
 *
 * WINDOW calls are in flight. FD is the server's UDP socket, on which the peer observes nothing
 * else. Each value differs from the one before, so that each call is a change. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <time.h>

#include "result.h"
#include "wire.h"

#define OBJECT_PATH "/org/lwm2md/Client1"
#define INTERFACE "org.lwm2md.Client1.Data"
#define CHUNK 500
#define WAIT_USEC 10000000U

typedef struct BusLoad {
        sd_bus *bus;
        const char *name;
        Result result;
        size_t in_flight;
        uint64_t start; /* moves on between two runs: no value is what the run before left */
        unsigned round;
        int64_t last_ns; /* of the last sample */
} BusLoad;

typedef struct Call {
        BusLoad *load;
        uint64_t started;
} Call;

static void check(int r, const char *what) {
        if (r >= 0)
                return;
        errno = -r;
        result_die(what);
}

static double next_value(BusLoad *l, size_t i) {
        return 20 + (double) ((l->start + i + l->round) % 1000000) / 8;
}

static sd_bus_message *new_call(BusLoad *l, const char *method) {
        sd_bus_message *m = NULL;

        check(sd_bus_message_new_method_call(l->bus, &m, l->name, OBJECT_PATH, INTERFACE, method),
              method);
        return m;
}

static sd_bus_message *new_set(BusLoad *l, const char *path) {
        sd_bus_message *m = new_call(l, "Set");

        check(sd_bus_message_append(m, "sva{sv}", path, "d", next_value(l, l->round++), 0), "Set");
        return m;
}

static sd_bus_message *new_many(BusLoad *l, const char *object, unsigned first, unsigned count,
                                bool create) {
        sd_bus_message *m = new_call(l, "SetMany");
        int r;

        r = sd_bus_message_open_container(m, 'a', "(sv)");
        for (unsigned i = 0; i < count && r >= 0; i++) {
                char path[32];

                snprintf(path, sizeof(path), "/%s/%u/5700", object, first + i);
                r = sd_bus_message_append(m, "(sv)", path, "d", next_value(l, i));
        }
        l->round++;
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = create ? sd_bus_message_append(m, "a{sv}", 1, "create", "b", 1)
                           : sd_bus_message_append(m, "a{sv}", 0);
        check(r, "SetMany");
        return m;
}

/* Samples of the last milliseconds, each later than those before. */
static int64_t next_time(BusLoad *l, size_t count) {
        struct timespec t;
        int64_t now;

        clock_gettime(CLOCK_REALTIME, &t);
        now = t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
        if (l->last_ns < now - INT64_C(1000000000))
                l->last_ns = now - INT64_C(1000000000);
        l->last_ns += (int64_t) count;
        return l->last_ns - (int64_t) count;
}

static sd_bus_message *new_push(BusLoad *l, const char *object, unsigned count,
                                unsigned instances) {
        sd_bus_message *m = new_call(l, "Push");
        int64_t start = next_time(l, count);
        int r;

        r = sd_bus_message_open_container(m, 'a', "(svx)");
        for (unsigned i = 0; i < count && r >= 0; i++) {
                char path[32];

                snprintf(path, sizeof(path), "/%s/%u/5700", object, i % instances);
                r = sd_bus_message_append(m, "(svx)", path, "d", next_value(l, i), start + i);
        }
        l->round++;
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "a{sv}", 0);
        check(r, "Push");
        return m;
}

static sd_bus_message *new_series(BusLoad *l, const char *object, unsigned count,
                                  unsigned instances) {
        sd_bus_message *m = new_call(l, "PushSeries");
        double *values = calloc(count, sizeof(double));
        char path[32];
        int r;

        if (!values)
                result_die("calloc");
        for (unsigned i = 0; i < count; i++)
                values[i] = next_value(l, i);
        snprintf(path, sizeof(path), "/%s/%u/5700", object, l->round++ % instances);
        r = sd_bus_message_append(m, "s", path);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "ad");
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'd', values, count * sizeof(double));
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "xxa{sv}", next_time(l, count), INT64_C(1), 0);
        check(r, "PushSeries");
        free(values);
        return m;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Call *call = userdata;
        BusLoad *l = call->load;

        l->in_flight--;
        if (sd_bus_message_is_method_error(m, NULL)) {
                if (l->result.failed++ == 0)
                        fprintf(stderr, "%s: %s\n", l->name, sd_bus_message_get_error(m)->message);
        } else
                result_add(&l->result, wire_now() - call->started);
        free(call);
        return 1;
}

/* Sends and drops m; its reply is counted. */
static void call(BusLoad *l, sd_bus_message *m) {
        Call *c = malloc(sizeof(*c));

        if (!c)
                result_die("malloc");
        *c = (Call){ l, wire_now() };
        check(sd_bus_call_async(l->bus, NULL, m, on_reply, c, 0), "call");
        sd_bus_message_unref(m);
        l->in_flight++;
}

static void process(BusLoad *l) {
        int r;

        do {
                r = sd_bus_process(l->bus, NULL);
                check(r, "process");
        } while (r > 0);
}

/* Until fewer than `limit` calls are in flight. */
static void drain(BusLoad *l, size_t limit) {
        process(l);
        while (l->in_flight >= limit) {
                check(sd_bus_wait(l->bus, WAIT_USEC), "wait");
                process(l);
        }
}

static void run_set(BusLoad *l, size_t n, size_t window, const char *path) {
        result_init(&l->result, n);
        for (size_t i = 0; i < n; i++) {
                call(l, new_set(l, path));
                drain(l, window);
        }
        drain(l, 1);
}

static void run_many(BusLoad *l, size_t n, size_t window, const char *object, unsigned count) {
        result_init(&l->result, n);
        for (size_t i = 0; i < n; i++) {
                call(l, new_many(l, object, 0, count, false));
                drain(l, window);
        }
        drain(l, 1);
}

static void run_push(BusLoad *l, size_t n, size_t window, const char *object, unsigned count,
                     unsigned instances, bool series) {
        result_init(&l->result, n);
        for (size_t i = 0; i < n; i++) {
                call(l, series ? new_series(l, object, count, instances)
                               : new_push(l, object, count, instances));
                drain(l, window);
        }
        drain(l, 1);
}

static void run_create(BusLoad *l, const char *object, unsigned first, unsigned count) {
        result_init(&l->result, count / CHUNK + 1);
        for (unsigned done = 0; done < count; done += CHUNK) {
                unsigned n = count - done < CHUNK ? count - done : CHUNK;

                call(l, new_many(l, object, first + done, n, true));
                drain(l, 1);
        }
}

/* Waits until the socket or the bus has something; true for the socket. */
static bool wait_both(BusLoad *l, int fd) {
        struct pollfd fds[2] = { { .fd = fd, .events = POLLIN }, { .fd = sd_bus_get_fd(l->bus) } };

        process(l);
        fds[1].events = (short) sd_bus_get_events(l->bus);
        if (poll(fds, 2, (int) (WAIT_USEC / 1000)) <= 0)
                return false;
        return fds[0].revents != 0;
}

/* One datagram; true when it is a notification. */
static bool receive(BusLoad *l, int fd) {
        static uint8_t in[WIRE_MAX];
        struct sockaddr_in from;
        socklen_t length = sizeof(from);
        ssize_t n = recvfrom(fd, in, sizeof(in), MSG_DONTWAIT, (struct sockaddr *) &from, &length);
        Message m;

        if (n < 0 || wire_parse(in, (size_t) n, &m) < 0)
                return false;
        wire_answer(fd, &from, &m);
        if (m.code < 64 || wire_option(&m, WIRE_OBSERVE, NULL, NULL) != 1)
                return false;
        l->result.codes[m.code]++;
        return true;
}

/* Latencies are from before the call was made to the arrival of the notification. */
static void run_notify(BusLoad *l, int fd, size_t n, const char *path) {
        result_init(&l->result, n);
        for (size_t i = 0; i < n; i++) {
                uint64_t started = wire_now(), end = started + WAIT_USEC * 1000U;
                sd_bus_message *m = new_set(l, path);
                bool told = false;

                check(sd_bus_message_set_expect_reply(m, false), "Set");
                check(sd_bus_send(l->bus, m, NULL), "Set");
                check(sd_bus_flush(l->bus), "Set");
                sd_bus_message_unref(m);
                while (!told && wire_now() < end)
                        told = wait_both(l, fd) && receive(l, fd);
                if (told)
                        result_add(&l->result, wire_now() - started);
                else
                        l->result.failed++;
        }
}

/* n counts notifications; latencies are of whole rounds. */
static void run_burst(BusLoad *l, int fd, size_t n, const char *object, unsigned count) {
        Result rounds;

        result_init(&l->result, n);
        result_init(&rounds, n);
        for (size_t i = 0; i < n; i++) {
                uint64_t started = wire_now(), end = started + WAIT_USEC * 1000U;
                unsigned told = 0;

                call(l, new_many(l, object, 0, count, false));
                while (told < count && wire_now() < end)
                        if (wait_both(l, fd))
                                while (receive(l, fd))
                                        told++;
                drain(l, 1);
                rounds.failed += count - (told < count ? told : count);
                result_add(&rounds, wire_now() - started);
                rounds.bytes += told;
        }
        rounds.failed += l->result.failed;
        rounds.n = (size_t) rounds.bytes;
        rounds.bytes = 0;
        memcpy(rounds.codes, l->result.codes, sizeof(rounds.codes));
        free(l->result.latencies);
        l->result = rounds;
        l->result.n_max = n;
}

/* Sends what is due by now, without waiting for replies. */
static void send_due(BusLoad *l, uint64_t *sent, size_t *n_sent, size_t n, uint64_t now,
                     uint64_t began, const char *object, unsigned count, unsigned rate) {
        while (*n_sent < n && began + *n_sent * UINT64_C(1000000000) / rate <= now) {
                sd_bus_message *m;
                char path[32];

                /* A stride that is prime to count, so that neighbours do not help each other. */
                snprintf(path, sizeof(path), "/%s/%u/5700", object,
                         (unsigned) (*n_sent * 7919 % count));
                m = new_set(l, path);
                check(sd_bus_message_set_expect_reply(m, false), "Set");
                check(sd_bus_send(l->bus, m, NULL), "Set");
                sd_bus_message_unref(m);
                sent[(*n_sent)++] = wire_now();
        }
        check(sd_bus_flush(l->bus), "Set");
}

/* n counts Sets; each leads to one notification. They come in the order of the Sets, but for what
 * overtakes; latencies are from the k-th Set to the k-th of them. */
static void run_paced(BusLoad *l, int fd, size_t n, const char *object, unsigned count,
                      unsigned rate) {
        uint64_t *sent = calloc(n, sizeof(*sent)), began = wire_now(), last = began;
        size_t n_sent = 0, told = 0;

        if (!sent)
                result_die("calloc");
        result_init(&l->result, n);
        while (told < n && wire_now() < last + WAIT_USEC * 1000U) {
                struct pollfd p = { .fd = fd, .events = POLLIN };
                const size_t before = told;

                send_due(l, sent, &n_sent, n, wire_now(), began, object, count, rate);
                process(l);
                (void) poll(&p, 1, 1);
                while (told < n_sent && receive(l, fd))
                        result_add(&l->result, wire_now() - sent[told++]);
                if (told > before)
                        last = wire_now();
        }
        l->result.failed += n - told;
        free(sent);
}

static unsigned number(const char *text) {
        return (unsigned) strtoul(text, NULL, 10);
}

int main(int argc, char **argv) {
        BusLoad l = { .start = wire_now() / 1000 };
        const char *mode = argc > 1 ? argv[1] : "";

        if (argc < 6 || argc > 9) {
                fprintf(stderr, "see the head of busload.c\n");
                return 2;
        }
        l.name = argv[3];
        check(sd_bus_new(&l.bus), "bus");
        check(sd_bus_set_address(l.bus, argv[2]), "bus");
        check(sd_bus_set_bus_client(l.bus, true), "bus");
        check(sd_bus_start(l.bus), argv[2]);
        if (strcmp(mode, "set") == 0 && argc == 7)
                run_set(&l, number(argv[4]), number(argv[5]), argv[6]);
        else if (strcmp(mode, "many") == 0 && argc == 8)
                run_many(&l, number(argv[4]), number(argv[5]), argv[6], number(argv[7]));
        else if (strcmp(mode, "push") == 0 && argc == 9)
                run_push(&l, number(argv[4]), number(argv[5]), argv[6], number(argv[7]),
                         number(argv[8]), false);
        else if (strcmp(mode, "series") == 0 && argc == 9)
                run_push(&l, number(argv[4]), number(argv[5]), argv[6], number(argv[7]),
                         number(argv[8]), true);
        else if (strcmp(mode, "create") == 0 && argc == 7)
                run_create(&l, argv[4], number(argv[5]), number(argv[6]));
        else if (strcmp(mode, "notify") == 0 && argc == 7)
                run_notify(&l, atoi(argv[4]), number(argv[5]), argv[6]);
        else if (strcmp(mode, "burst") == 0 && argc == 8)
                run_burst(&l, atoi(argv[4]), number(argv[5]), argv[6], number(argv[7]));
        else if (strcmp(mode, "paced") == 0 && argc == 9)
                run_paced(&l, atoi(argv[4]), number(argv[5]), argv[6], number(argv[7]),
                          number(argv[8]));
        else {
                fprintf(stderr, "see the head of busload.c\n");
                return 2;
        }
        l.result.ended = wire_now();
        result_print(&l.result);
        sd_bus_flush_close_unref(l.bus);
        return l.result.failed ? 1 : 0;
}
