/* SPDX-License-Identifier: Apache-2.0 */
/* lwm2m-lossproxy: a UDP proxy that loses, doubles, reorders, damages and delays datagrams as its
 * seed says. Each client has a socket of its own towards the target; --rebind lets SIGUSR1 replace
 * them, as a NAT does that forgot its mappings. See README.md. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"

#define DATAGRAM_MAX 65535U
#define CLIENTS_MAX 256U
#define HOLD_MAX_MS 100U /* a datagram held back for reordering leaves then at the latest */

typedef struct Proxy Proxy;

typedef struct Client {
        Proxy *proxy;
        Address address;
        int fd;
        guint source;
} Client;

/* A datagram on its way: to the target through the client's socket, or back to the client. */
typedef struct Parcel {
        Proxy *proxy;
        Address client;
        bool up;
        GBytes *bytes;
        guint source;
} Parcel;

struct Proxy {
        GMainLoop *loop;
        int fd, family;
        Address target;
        GPtrArray *clients, *parcels;
        uint64_t random[2]; /* of each direction, so that neither disturbs the other */
        double drop, dup, reorder, corrupt, delay_ms;
        Parcel *held[2];
        unsigned n_handshake, n_cid; /* datagrams that begin with such a record of DTLS */
        unsigned n_up, n_down, n_dropped, n_doubled, n_reordered, n_corrupted;
        GString *input;
};

/* xorshift64*: the same seed makes the same decisions for the same sequence of datagrams. */
static double chance(uint64_t *random) {
        *random ^= *random >> 12;
        *random ^= *random << 25;
        *random ^= *random >> 27;
        return (double) (*random * 2685821657736338717ULL >> 11) / 9007199254740992.0;
}

static Client *find_client(Proxy *p, const Address *address) {
        for (guint i = 0; i < p->clients->len; i++) {
                Client *c = p->clients->pdata[i];

                if (address_equal(&c->address, address))
                        return c;
        }
        return NULL;
}

static void parcel_free(void *data) {
        Parcel *parcel = data;

        if (parcel->source != 0)
                g_source_remove(parcel->source);
        g_bytes_unref(parcel->bytes);
        g_free(parcel);
}

static void deliver(Parcel *parcel) {
        Proxy *p = parcel->proxy;
        Client *c = find_client(p, &parcel->client);
        const Address *to = parcel->up ? &p->target : &parcel->client;
        size_t length;
        const void *data = g_bytes_get_data(parcel->bytes, &length);

        /* What cannot be sent is lost, as datagrams are. */
        if (c)
                (void) !sendto(parcel->up ? c->fd : p->fd, data, length, 0,
                               (const struct sockaddr *) &to->storage, to->length);
        g_ptr_array_remove(p->parcels, parcel);
}

static gboolean on_due(void *data) {
        Parcel *parcel = data;
        Proxy *p = parcel->proxy;

        parcel->source = 0;
        if (p->held[parcel->up] == parcel)
                p->held[parcel->up] = NULL;
        deliver(parcel);
        return G_SOURCE_REMOVE;
}

static Parcel *parcel_new(Proxy *p, const Address *client, bool up, GBytes *bytes) {
        Parcel *parcel = g_new0(Parcel, 1);

        *parcel = (Parcel){ .proxy = p, .client = *client, .up = up, .bytes = g_bytes_ref(bytes) };
        g_ptr_array_add(p->parcels, parcel);
        return parcel;
}

static void send_parcel(Parcel *parcel) {
        unsigned delay_ms = (unsigned) parcel->proxy->delay_ms;

        if (delay_ms > 0)
                parcel->source = g_timeout_add(delay_ms, on_due, parcel);
        else
                deliver(parcel);
}

static GBytes *damage(Proxy *p, double where, const uint8_t *data, size_t length) {
        uint8_t *copy = g_memdup2(data, length);
        size_t bit = (size_t) (where * (double) (length * 8));

        copy[bit / 8] ^= (uint8_t) (1 << bit % 8);
        p->n_corrupted++;
        return g_bytes_new_take(copy, length);
}

/* The content type of a record (RFC 6347, section 4.1; RFC 9146, section 4); no message of CoAP
 * begins like that. */
static void count_record(Proxy *p, const uint8_t *data, size_t length) {
        if (length > 2 && data[1] == 0xfe) {
                p->n_handshake += data[0] == 22;
                p->n_cid += data[0] == 25;
        }
}

/* Five numbers are drawn for each datagram whatever the settings, so that a change of one setting
 * does not change what the others do. */
static void forward(Proxy *p, const Address *client, bool up, const uint8_t *data, size_t length) {
        uint64_t *random = &p->random[up];
        bool drop = chance(random) < p->drop, dup = chance(random) < p->dup;
        bool reorder = chance(random) < p->reorder, corrupt = chance(random) < p->corrupt;
        double where = chance(random);
        g_autoptr(GBytes) bytes = NULL;
        Parcel *released = g_steal_pointer(&p->held[up]);

        *(up ? &p->n_up : &p->n_down) += 1;
        count_record(p, data, length);
        bytes = corrupt && length > 0 ? damage(p, where, data, length) : g_bytes_new(data, length);
        if (drop)
                p->n_dropped++;
        else if (reorder && !released) {
                p->n_reordered++;
                p->held[up] = parcel_new(p, client, up, bytes);
                p->held[up]->source =
                        g_timeout_add(HOLD_MAX_MS + (unsigned) p->delay_ms, on_due, p->held[up]);
        } else
                send_parcel(parcel_new(p, client, up, bytes));
        if (dup && !drop) {
                p->n_doubled++;
                send_parcel(parcel_new(p, client, up, bytes));
        }
        if (released) {
                g_source_remove(released->source);
                released->source = 0;
                send_parcel(released);
        }
}

static gboolean on_target(int fd, GIOCondition condition, void *userdata) {
        static uint8_t data[DATAGRAM_MAX];
        Client *c = userdata;
        Address from = { .length = sizeof(from.storage) };
        ssize_t n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *) &from.storage,
                             &from.length);

        if (n >= 0 && address_equal(&from, &c->proxy->target))
                forward(c->proxy, &c->address, false, data, (size_t) n);
        return G_SOURCE_CONTINUE;
}

static int client_open(Client *c) {
        const char *any = c->proxy->family == AF_INET6 ? "[::]:0" : "0.0.0.0:0";
        uint16_t port;
        int family, r;

        r = net_bind(any, &c->fd, &family, &port);
        if (r < 0)
                return r;
        c->source = g_unix_fd_add(c->fd, G_IO_IN, on_target, c);
        return 0;
}

static void client_close(Client *c) {
        if (c->fd < 0)
                return;
        g_source_remove(c->source);
        close(c->fd);
        c->fd = -1;
}

static void client_free(void *data) {
        client_close(data);
        g_free(data);
}

static Client *get_client(Proxy *p, const Address *address) {
        Client *c = find_client(p, address);

        if (c || p->clients->len >= CLIENTS_MAX)
                return c;
        c = g_new0(Client, 1);
        *c = (Client){ .proxy = p, .address = *address, .fd = -1 };
        if (client_open(c) < 0) {
                client_free(c);
                return NULL;
        }
        g_ptr_array_add(p->clients, c);
        return c;
}

static gboolean on_client(int fd, GIOCondition condition, void *userdata) {
        static uint8_t data[DATAGRAM_MAX];
        Proxy *p = userdata;
        Address from = { .length = sizeof(from.storage) };
        ssize_t n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *) &from.storage,
                             &from.length);

        if (n >= 0 && get_client(p, &from))
                forward(p, &from, true, data, (size_t) n);
        return G_SOURCE_CONTINUE;
}

static void print_stats(const Proxy *p) {
        printf("{\"event\":\"stats\",\"up\":%u,\"down\":%u,\"dropped\":%u,\"doubled\":%u,"
               "\"reordered\":%u,\"corrupted\":%u,\"handshake\":%u,\"cid\":%u}\n",
               p->n_up, p->n_down, p->n_dropped, p->n_doubled, p->n_reordered, p->n_corrupted,
               p->n_handshake, p->n_cid);
        fflush(stdout);
}

static void rebind_all(Proxy *p) {
        for (guint i = 0; i < p->clients->len; i++) {
                Client *c = p->clients->pdata[i];

                client_close(c);
                if (client_open(c) < 0)
                        fprintf(stderr, "lwm2m-lossproxy: cannot open a new socket: %m\n");
        }
        printf("{\"event\":\"rebound\",\"clients\":%u}\n", p->clients->len);
        fflush(stdout);
}

static gboolean on_rebind(void *userdata) {
        rebind_all(userdata);
        return G_SOURCE_CONTINUE;
}

/* {"drop":1} and the like change a setting, {"stats":true} and {"rebind":true} do what they say. */
static void on_line(Proxy *p, const char *line) {
        cJSON *o = cJSON_Parse(line);
        const cJSON *item;
        struct {
                const char *key;
                double *value, max;
        } settings[] = { { "drop", &p->drop, 1 },
                         { "dup", &p->dup, 1 },
                         { "reorder", &p->reorder, 1 },
                         { "corrupt", &p->corrupt, 1 },
                         { "delay-ms", &p->delay_ms, 60000 } };
        bool known = cJSON_IsObject(o);

        cJSON_ArrayForEach(item, o) {
                bool found = false;

                for (size_t i = 0; i < G_N_ELEMENTS(settings); i++) {
                        if (!g_str_equal(settings[i].key, item->string) || !cJSON_IsNumber(item) ||
                            item->valuedouble < 0 || item->valuedouble > settings[i].max)
                                continue;
                        *settings[i].value = item->valuedouble;
                        found = true;
                }
                if (g_str_equal(item->string, "rebind"))
                        rebind_all(p);
                else if (!found && !g_str_equal(item->string, "stats"))
                        known = false;
        }
        if (!known)
                puts("{\"event\":\"error\",\"error\":\"not a setting\"}");
        print_stats(p);
        cJSON_Delete(o);
}

static gboolean on_input(int fd, GIOCondition condition, void *userdata) {
        Proxy *p = userdata;
        char data[4096], *end;
        ssize_t n = read(fd, data, sizeof(data));

        if (n <= 0 || p->input->len > sizeof(data) * 16) {
                g_main_loop_quit(p->loop);
                return G_SOURCE_REMOVE;
        }
        g_string_append_len(p->input, data, n);
        while ((end = memchr(p->input->str, '\n', p->input->len))) {
                *end = '\0';
                on_line(p, p->input->str);
                g_string_erase(p->input, 0, end - p->input->str + 1);
        }
        return G_SOURCE_CONTINUE;
}

static gboolean on_end(void *userdata) {
        g_main_loop_quit(((Proxy *) userdata)->loop);
        return G_SOURCE_CONTINUE;
}

static int start(Proxy *p, const char *listen_at, const char *target, bool rebind) {
        uint16_t port;
        int r;

        r = net_bind(listen_at, &p->fd, &p->family, &port);
        if (r < 0) {
                fprintf(stderr, "lwm2m-lossproxy: cannot bind to '%s': %s\n", listen_at,
                        strerror(-r));
                return r;
        }
        if (!target || address_parse(target, p->family, &p->target) < 0) {
                fprintf(stderr, "lwm2m-lossproxy: '%s' is not an address\n", target ? target : "");
                return -EINVAL;
        }
        g_unix_fd_add(p->fd, G_IO_IN, on_client, p);
        g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP, on_input, p);
        g_unix_signal_add(SIGTERM, on_end, p);
        g_unix_signal_add(SIGINT, on_end, p);
        if (rebind)
                g_unix_signal_add(SIGUSR1, on_rebind, p);
        printf("{\"event\":\"listening\",\"port\":%u}\n", port);
        fflush(stdout);
        return 0;
}

static void proxy_clear(Proxy *p) {
        g_clear_pointer(&p->parcels, g_ptr_array_unref);
        g_clear_pointer(&p->clients, g_ptr_array_unref);
        g_clear_pointer(&p->loop, g_main_loop_unref);
        g_string_free(p->input, TRUE);
        if (p->fd >= 0)
                close(p->fd);
}

static bool valid(const Proxy *p) {
        const double odds[] = { p->drop, p->dup, p->reorder, p->corrupt };

        for (size_t i = 0; i < G_N_ELEMENTS(odds); i++) {
                if (!(odds[i] >= 0 && odds[i] <= 1))
                        return false;
        }
        return p->delay_ms >= 0 && p->delay_ms <= 60000;
}

int main(int argc, char **argv) {
        g_autofree char *listen_at = NULL, *target = NULL;
        gboolean rebind = FALSE;
        gint64 seed = 1;
        Proxy p = { .fd = -1 };
        GOptionEntry entries[] = {
                { "listen", 0, 0, G_OPTION_ARG_STRING, &listen_at, "Where clients send",
                  "ADDR:PORT" },
                { "target", 0, 0, G_OPTION_ARG_STRING, &target, "Where it goes", "ADDR:PORT" },
                { "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "Start of the random numbers", "N" },
                { "drop", 0, 0, G_OPTION_ARG_DOUBLE, &p.drop, "Chance to lose a datagram", "P" },
                { "dup", 0, 0, G_OPTION_ARG_DOUBLE, &p.dup, "Chance to send it twice", "P" },
                { "reorder", 0, 0, G_OPTION_ARG_DOUBLE, &p.reorder, "Chance to swap two", "P" },
                { "corrupt", 0, 0, G_OPTION_ARG_DOUBLE, &p.corrupt, "Chance to flip a bit", "P" },
                { "delay-ms", 0, 0, G_OPTION_ARG_DOUBLE, &p.delay_ms, "Delay of each", "MS" },
                { "rebind", 0, 0, G_OPTION_ARG_NONE, &rebind, "New source ports on SIGUSR1", NULL },
                { NULL },
        };
        g_autoptr(GOptionContext) context = g_option_context_new("- UDP proxy with losses");
        g_autoptr(GError) error = NULL;
        int r;

        g_option_context_add_main_entries(context, entries, NULL);
        if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1 || !valid(&p)) {
                fprintf(stderr, "lwm2m-lossproxy: %s\n", error ? error->message : "bad argument");
                return 2;
        }
        p.loop = g_main_loop_new(NULL, FALSE);
        p.clients = g_ptr_array_new_with_free_func(client_free);
        p.parcels = g_ptr_array_new_with_free_func(parcel_free);
        p.input = g_string_new(NULL);
        /* spread the seed's bits; zero would stay zero for ever */
        p.random[0] = ((uint64_t) seed + 0x9e3779b97f4a7c15ULL) * 0xbf58476d1ce4e5b9ULL | 1;
        p.random[1] = p.random[0] * 0x94d049bb133111ebULL;
        r = start(&p, listen_at ? listen_at : "127.0.0.1:0", target, rebind);
        if (r >= 0) {
                g_main_loop_run(p.loop);
                print_stats(&p);
        }
        proxy_clear(&p);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
