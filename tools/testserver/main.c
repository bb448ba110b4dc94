/* SPDX-License-Identifier: Apache-2.0 */
/* lwm2m-testserver: an LwM2M server led by JSON lines. See README.md. */
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "est.h"
#include "exchange.h"
#include "inbound.h"
#include "observe.h"
#include "registry.h"
#include "report.h"
#include "rule.h"
#include "stream.h"

#define LINE_MAX_BYTES (16U << 20)

typedef struct Input {
        Server *server;
        GString *text;
} Input;

static gboolean on_input(int fd, GIOCondition condition, void *userdata) {
        Input *in = userdata;
        char data[65536], *end;
        ssize_t n = read(fd, data, sizeof(data));

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return G_SOURCE_CONTINUE;
        if (n <= 0 || in->text->len + (size_t) n > LINE_MAX_BYTES) {
                g_main_loop_quit(in->server->loop);
                return G_SOURCE_REMOVE;
        }
        g_string_append_len(in->text, data, n);
        while ((end = memchr(in->text->str, '\n', in->text->len))) {
                *end = '\0';
                if (end > in->text->str)
                        command_run(in->server, in->text->str);
                g_string_erase(in->text, 0, end - in->text->str + 1);
        }
        return G_SOURCE_CONTINUE;
}

static gboolean on_signal(void *userdata) {
        g_main_loop_quit(userdata);
        return G_SOURCE_CONTINUE;
}

static void free_exchange(void *p) {
        exchange_free(p);
}

static void free_observation(void *p) {
        observation_free(p);
}

static void free_rule(void *p) {
        rule_free(p);
}

static void server_init(Server *s) {
        *s = (Server){
                .loop = g_main_loop_new(NULL, FALSE),
                .fd = -1,
                .next_mid = (uint16_t) g_random_int(),
                .next_token = (uint64_t) g_random_int() << 32,
                .next_location = 1,
                .ack_timeout_ms = 2000,
                .max_retransmit = 4,
                .reset_unknown = true,
                .pong = true,
                .exchanges = g_ptr_array_new(),
                .observations = g_ptr_array_new_with_free_func(free_observation),
                .rules = g_ptr_array_new_with_free_func(free_rule),
        };
        g_queue_init(&s->seen);
        g_queue_init(&s->late);
        registry_init(s);
}

static void server_clear(Server *s) {
        g_ptr_array_set_free_func(s->exchanges, free_exchange);
        g_clear_pointer(&s->exchanges, g_ptr_array_unref);
        g_clear_pointer(&s->observations, g_ptr_array_unref);
        g_clear_pointer(&s->rules, g_ptr_array_unref);
        registry_clear(s);
        streams_clear(s);
        inbound_clear(s);
        est_free(s->est);
        g_queue_clear_full(&s->late, g_free);
        g_clear_pointer(&s->location, g_free);
        g_clear_pointer(&s->loop, g_main_loop_unref);
        if (s->fd >= 0)
                close(s->fd);
}

static void stream_config_clear(StreamConfig *c) {
        g_free(c->psk);
        g_free(c->certificate);
        g_free(c->key);
        g_free(c->authority);
        g_free(c->ciphers);
}

/* stream: NULL for datagrams. */
static int run(Server *s, const char *address, const StreamConfig *stream) {
        Input in = { .server = s, .text = g_string_new(NULL) };
        cJSON *event;
        uint16_t port;
        int r;

        r = stream ? streams_open(s, stream, address, &port)
                   : net_bind(address, &s->fd, &s->family, &port);
        if (r < 0) {
                fprintf(stderr, "lwm2m-testserver: cannot bind to '%s': %s\n", address,
                        strerror(-r));
                g_string_free(in.text, TRUE);
                return r;
        }
        if (!stream)
                g_unix_fd_add(s->fd, G_IO_IN, inbound_on_readable, s);
        g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP, on_input, &in);
        g_unix_signal_add(SIGTERM, on_signal, s->loop);
        g_unix_signal_add(SIGINT, on_signal, s->loop);
        event = report_event("listening");
        cJSON_AddNumberToObject(event, "port", port);
        report_print(event);
        g_main_loop_run(s->loop);
        g_string_free(in.text, TRUE);
        return 0;
}

int main(int argc, char **argv) {
        g_autofree char *address = NULL, *location = NULL;
        StreamConfig stream = { .max_message = 0 };
        gboolean tcp = FALSE;
        int max_message = 0;
        GOptionEntry entries[] = {
                { "bind", 'b', 0, G_OPTION_ARG_STRING, &address,
                  "Address to listen at; port 0 picks one", "ADDR:PORT" },
                { "location", 'l', 0, G_OPTION_ARG_FILENAME, &location,
                  "Location of registrations, {n} for their number (rd/{n})", "PATTERN" },
                { "tcp", 't', 0, G_OPTION_ARG_NONE, &tcp, "CoAP over TCP (RFC 8323)", NULL },
                { "max-message", 0, 0, G_OPTION_ARG_INT, &max_message,
                  "Max-Message-Size of the CSM over TCP (65536)", "BYTES" },
                { "no-blocks", 0, 0, G_OPTION_ARG_NONE, &stream.no_blocks,
                  "No Block-Wise-Transfer in the CSM", NULL },
                { "no-csm", 0, 0, G_OPTION_ARG_NONE, &stream.no_csm, "No CSM at all", NULL },
                { "psk", 0, 0, G_OPTION_ARG_STRING, &stream.psk, "TLS with a pre-shared key",
                  "IDENTITY:HEX" },
                { "certificate", 0, 0, G_OPTION_ARG_FILENAME, &stream.certificate,
                  "TLS with this certificate", "PEM" },
                { "key", 0, 0, G_OPTION_ARG_FILENAME, &stream.key, "… and its private key", "PEM" },
                { "authority", 0, 0, G_OPTION_ARG_FILENAME, &stream.authority,
                  "Clients must have a certificate of it", "PEM" },
                { "ciphers", 0, 0, G_OPTION_ARG_STRING, &stream.ciphers, "In OpenSSL's names",
                  "LIST" },
                { "tickets", 0, 0, G_OPTION_ARG_NONE, &stream.tickets,
                  "Sessions are kept by the clients, not here", NULL },
                { "no-alpn", 0, 0, G_OPTION_ARG_NONE, &stream.no_alpn, "Without ALPN", NULL },
                { NULL },
        };
        g_autoptr(GOptionContext) context =
                g_option_context_new("- LwM2M server led by JSON lines");
        g_autoptr(GError) error = NULL;
        Server server;
        int r;

        g_option_context_add_main_entries(context, entries, NULL);
        if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
                fprintf(stderr, "lwm2m-testserver: %s\n",
                        error ? error->message : "extra argument");
                return 2;
        }
        signal(SIGPIPE, SIG_IGN);
        server_init(&server);
        server.location = g_strdup(location ? location : "rd/{n}");
        stream.max_message = (uint32_t) MAX(max_message, 0);
        r = run(&server, address ? address : "127.0.0.1:0", tcp ? &stream : NULL);
        server_clear(&server);
        stream_config_clear(&stream);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
