/* SPDX-License-Identifier: Apache-2.0 */
/* bench-coapload: the CoAP load side of lwm2m-bench.
 *
 *   bench-coapload req   FD PORT SEED N WINDOW   N requests, WINDOW of them in flight
 *   bench-coapload push  FD PORT SEED FILE       Block1 transfer of FILE in blocks of 1024
 *   bench-coapload pull  FD PORT SEED N          N whole Block2 transfers
 *   bench-coapload start FD CPU COMMAND…         from exec to the Register datagram
 *
 * FD is the server's UDP socket, PORT the peer's on 127.0.0.1. The request is read from stdin:
 * code byte, number of its last option below 23, its options and, for req, the payload with its
 * marker; the last byte of a PUT's payload is a digit that changes. Message ids and tokens count up
 * from SEED. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "result.h"
#include "wire.h"

#define WINDOW_MAX 256
#define REQUEST_MAX 2048
#define RETRY_NS 2000000000U
#define TRIES 5
#define BLOCK 1024
#define SZX 6
#define PUT 3

typedef struct Slot {
        bool used, acked;
        int tries;
        uint32_t token;
        uint64_t sent_first, sent_last;
        size_t length;
        uint8_t data[REQUEST_MAX];
} Slot;

typedef struct Load {
        int fd;
        struct sockaddr_in peer;
        uint32_t seed;
        uint8_t request[REQUEST_MAX];
        size_t request_length;
} Load;

static uint8_t in[WIRE_MAX];

/* Header, 4-byte token and the options of the request from stdin. */
static uint8_t *begin(const Load *l, uint32_t sequence, uint8_t *out, size_t n_options) {
        uint32_t token = htonl(sequence);

        out[0] = 0x44;
        out[1] = l->request[0];
        out[2] = (uint8_t) (sequence >> 8);
        out[3] = (uint8_t) sequence;
        memcpy(out + 4, &token, sizeof(token));
        memcpy(out + 8, l->request + 2, n_options);
        return out + 8 + n_options;
}

static void transmit(const Load *l, const uint8_t *data, size_t n) {
        if (sendto(l->fd, data, n, 0, (const struct sockaddr *) &l->peer, sizeof(l->peer)) < 0 &&
            errno != ECONNREFUSED)
                result_die("sendto");
}

/* One datagram into m; false when none came within the socket's timeout. */
static bool receive(int fd, Message *m, struct sockaddr_in *from, size_t *ret_n) {
        socklen_t length = sizeof(*from);
        ssize_t n = recvfrom(fd, in, sizeof(in), 0, (struct sockaddr *) from, &length);

        if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
                result_die("recvfrom");
        if (n < 0 || wire_parse(in, (size_t) n, m) < 0)
                return false;
        *ret_n = (size_t) n;
        return true;
}

static void slot_retry(const Load *l, Slot *s, Result *result, int *in_flight) {
        uint64_t now = wire_now();

        if (!s->used || now - s->sent_last < RETRY_NS)
                return;
        if (s->tries++ >= TRIES) {
                s->used = false;
                --*in_flight;
                result->failed++;
                return;
        }
        s->sent_last = now;
        result->retransmits++;
        if (!s->acked)
                transmit(l, s->data, s->length);
}

static Slot *find_slot(Slot *slots, int window, const Message *m) {
        uint32_t token;

        if (m->code >= 64 && m->token_length != sizeof(token))
                return NULL;
        for (int i = 0; i < window; i++) {
                if (!slots[i].used)
                        continue;
                memcpy(&token, m->token, sizeof(token));
                if (m->code >= 64 ? slots[i].token == ntohl(token)
                                  : (uint16_t) slots[i].token == m->mid)
                        return &slots[i];
        }
        return NULL;
}

static void on_message(const Load *l, const Message *m, const struct sockaddr_in *from, Slot *slots,
                       int window, int *in_flight, Result *result) {
        Slot *hit = m->code >= 64 || (m->code == 0 && m->type != WIRE_CON)
                            ? find_slot(slots, window, m)
                            : NULL;
        size_t payload;

        if (m->code == 0 && m->type != WIRE_CON) {
                if (hit && m->type == WIRE_RST) {
                        hit->used = false;
                        --*in_flight;
                        result->failed++;
                } else if (hit)
                        hit->acked = true;
                return;
        }
        wire_answer(l->fd, from, m);
        if (!hit)
                return;
        wire_option(m, 0, NULL, &payload);
        result->bytes += payload;
        result->codes[m->code]++;
        result_add(result, wire_now() - hit->sent_first);
        hit->used = false;
        --*in_flight;
}

static int run_requests(const Load *l, size_t total, int window) {
        static Slot slots[WINDOW_MAX];
        Result result;
        size_t sent = 0;
        int in_flight = 0;

        if (window < 1 || window > WINDOW_MAX || l->request_length + 8 > REQUEST_MAX)
                result_die("req");
        result_init(&result, total);
        while (result.n + result.failed < total) {
                struct sockaddr_in from;
                Message m;
                size_t n;

                for (int i = 0; i < window && sent < total; i++) {
                        Slot *s = &slots[i];

                        if (s->used)
                                continue;
                        *s = (Slot){ .used = true,
                                     .tries = 1,
                                     .token = l->seed + (uint32_t) sent++ };
                        s->length = (size_t) (begin(l, s->token, s->data, l->request_length - 2) -
                                              s->data);
                        if (l->request[0] == PUT) /* each Write is a change */
                                s->data[s->length - 1] = (uint8_t) ('0' + s->token % 10);
                        s->sent_first = s->sent_last = wire_now();
                        transmit(l, s->data, s->length);
                        in_flight++;
                }
                if (receive(l->fd, &m, &from, &n))
                        on_message(l, &m, &from, slots, window, &in_flight, &result);
                else
                        for (int i = 0; i < window; i++)
                                slot_retry(l, &slots[i], &result, &in_flight);
        }
        result.ended = wire_now();
        result_print(&result);
        return result.failed ? 1 : 0;
}

/* Sends one request and waits for its response, a separate one too. The response stays in `in`
 * until the next datagram. */
static bool exchange(const Load *l, uint32_t sequence, const uint8_t *data, size_t n, Message *m,
                     Result *result) {
        uint64_t first = wire_now(), last = first;
        bool acked = false;
        int tries = 1;

        transmit(l, data, n);
        while (true) {
                struct sockaddr_in from;
                uint32_t token;
                size_t n_in, payload;

                if (!receive(l->fd, m, &from, &n_in)) {
                        if (wire_now() - last < RETRY_NS)
                                continue;
                        if (tries++ >= TRIES * 3)
                                break;
                        last = wire_now();
                        result->retransmits++;
                        if (!acked)
                                transmit(l, data, n);
                        continue;
                }
                if (m->code == 0 && m->type != WIRE_CON) {
                        if (m->mid != (uint16_t) sequence)
                                continue;
                        if (m->type == WIRE_RST)
                                break;
                        acked = true;
                        continue;
                }
                wire_answer(l->fd, &from, m);
                if (m->code < 64 || m->token_length != sizeof(token))
                        continue;
                memcpy(&token, m->token, sizeof(token));
                if (ntohl(token) != sequence)
                        continue;
                wire_option(m, 0, NULL, &payload);
                result->codes[m->code]++;
                result_add(result, wire_now() - first);
                return true;
        }
        result->failed++;
        return false;
}

static const uint8_t *map_file(const char *path, size_t *ret_length) {
        struct stat st;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        void *p;

        if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
                result_die(path);
        p = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
        if (p == MAP_FAILED)
                result_die(path);
        close(fd);
        *ret_length = (size_t) st.st_size;
        return p;
}

static int run_push(const Load *l, const char *file) {
        uint8_t out[REQUEST_MAX + BLOCK];
        unsigned szx = SZX;
        size_t length, offset = 0;
        const uint8_t *data = map_file(file, &length);
        uint32_t sequence = l->seed;
        Result result;

        result_init(&result, length / 16 + 1);
        while (offset < length) {
                size_t size = (size_t) 16 << szx;
                size_t chunk = length - offset < size ? length - offset : size;
                bool more = offset + chunk < length;
                unsigned last = l->request[1];
                uint8_t *p = begin(l, sequence, out, l->request_length - 2);
                uint32_t block;
                Message m;

                p = wire_put_uint(p, &last, WIRE_BLOCK1,
                                  (uint32_t) (offset / size) << 4 | (more ? 8U : 0) | szx);
                if (offset == 0)
                        p = wire_put_uint(p, &last, WIRE_SIZE1, (uint32_t) length);
                *p++ = 0xff;
                memcpy(p, data + offset, chunk);
                p += chunk;
                if (!exchange(l, sequence++, out, (size_t) (p - out), &m, &result))
                        break;
                if (m.code >= 0x80) {
                        result.failed++;
                        break;
                }
                offset += chunk;
                if (m.code == 0x5f && wire_option(&m, WIRE_BLOCK1, &block, NULL) == 1 &&
                    (block & 7) < szx)
                        szx = block & 7;
        }
        result.ended = wire_now();
        result.bytes = offset;
        result_print(&result);
        return result.failed ? 1 : 0;
}

/* `total` whole transfers; the result's n counts transfers, its latencies are of whole ones. */
static int run_pull(const Load *l, size_t total) {
        uint8_t out[REQUEST_MAX];
        uint32_t sequence = l->seed;
        Result result, blocks;

        result_init(&result, total);
        result_init(&blocks, 0);
        while (result.n < total && blocks.failed == 0) {
                uint32_t number = 0, block = 8;
                uint64_t first = wire_now();

                while (block & 8) {
                        unsigned last = l->request[1];
                        uint8_t *p = begin(l, sequence, out, l->request_length - 2);
                        size_t payload = 0;
                        Message m;

                        p = wire_put_uint(p, &last, WIRE_BLOCK2, number++ << 4 | SZX);
                        block = 0;
                        if (!exchange(l, sequence++, out, (size_t) (p - out), &m, &blocks))
                                break;
                        if (m.code >= 0x80) {
                                blocks.failed++;
                                break;
                        }
                        wire_option(&m, WIRE_BLOCK2, &block, &payload);
                        result.bytes += payload;
                }
                result_add(&result, wire_now() - first);
        }
        result.ended = wire_now();
        memcpy(result.codes, blocks.codes, sizeof(result.codes));
        result.failed = blocks.failed;
        result.retransmits = blocks.retransmits;
        free(blocks.latencies);
        result_print(&result);
        return result.failed ? 1 : 0;
}

/* CPU time so far in ns, of the main thread (schedstat). */
static uint64_t cpu_of(pid_t pid) {
        unsigned long long ns = 0;
        char path[64];
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/schedstat", (int) pid);
        f = fopen(path, "re");
        if (!f)
                return 0;
        if (fscanf(f, "%llu", &ns) != 1)
                ns = 0;
        fclose(f);
        return ns;
}

static int run_start(int fd, int cpu, char **argv) {
        uint64_t started = wire_now(), registered = 0, cpu_ns = 0, end = started + 20000000000U;
        bool stopped = false;
        int status = 0;
        pid_t pid = fork();

        if (pid < 0)
                result_die("fork");
        if (pid == 0) {
                cpu_set_t set;

                CPU_ZERO(&set);
                CPU_SET((unsigned) cpu, &set);
                if (cpu >= 0)
                        (void) sched_setaffinity(0, sizeof(set), &set);
                execv(argv[0], argv);
                _exit(127);
        }
        while (waitpid(pid, &status, WNOHANG) == 0) {
                struct sockaddr_in from;
                uint64_t now;
                size_t n;
                Message m;

                if (receive(fd, &m, &from, &n)) {
                        now = wire_now();
                        wire_answer(fd, &from, &m);
                        if (m.code == 2 && !registered) {
                                registered = now;
                                cpu_ns = cpu_of(pid);
                                end = now + 200000000U; /* let it settle before it is stopped */
                        }
                } else
                        now = wire_now();
                if (now > end) {
                        kill(pid, registered && !stopped ? SIGTERM : SIGKILL);
                        stopped = true;
                        end = now + 10000000000U;
                }
        }
        printf("{\"registered_ms\": %.3f, \"cpu_ms\": %.3f, \"exit\": %d}\n",
               registered ? (double) (registered - started) / 1e6 : -1, (double) cpu_ns / 1e6,
               WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
        return registered ? 0 : 1;
}

static void read_request(Load *l) {
        ssize_t n;

        while (l->request_length < sizeof(l->request) &&
               (n = read(STDIN_FILENO, l->request + l->request_length,
                         sizeof(l->request) - l->request_length)) > 0)
                l->request_length += (size_t) n;
        if (l->request_length < 3 || l->request_length == sizeof(l->request))
                result_die("request");
}

int main(int argc, char **argv) {
        struct timeval timeout = { .tv_usec = 20000 };
        Load l = { .peer = { .sin_family = AF_INET } };

        if (argc < 5) {
                fprintf(stderr, "see the head of coapload.c\n");
                return 2;
        }
        l.fd = atoi(argv[2]);
        if (setsockopt(l.fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
            fcntl(l.fd, F_SETFL, fcntl(l.fd, F_GETFL) & ~O_NONBLOCK) < 0)
                result_die("socket");
        if (strcmp(argv[1], "start") == 0)
                return run_start(l.fd, atoi(argv[3]), argv + 4);
        l.peer.sin_port = htons((uint16_t) atoi(argv[3]));
        l.peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        l.seed = (uint32_t) strtoul(argv[4], NULL, 10);
        read_request(&l);
        if (strcmp(argv[1], "req") == 0 && argc == 7)
                return run_requests(&l, strtoul(argv[5], NULL, 10), atoi(argv[6]));
        if (strcmp(argv[1], "push") == 0 && argc == 6)
                return run_push(&l, argv[5]);
        if (strcmp(argv[1], "pull") == 0 && argc == 6)
                return run_pull(&l, strtoul(argv[5], NULL, 10));
        fprintf(stderr, "see the head of coapload.c\n");
        return 2;
}
