/* SPDX-License-Identifier: Apache-2.0 */
/* lwm2m-dtlsproxy: the DTLS in front of a test server: what comes encrypted goes on in the clear,
 * each client with a socket of its own, and answers go back. Tells of each handshake. See
 * README.md.
 */
#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtls_peer.h"
#include "net.h"

#define DATAGRAM_MAX 2048

typedef struct Proxy {
        GMainLoop *loop;
        DtlsPeer *peer;
        Address target;
        int family;
        unsigned n_full, n_resumed, n_messages;
        GString *input;
} Proxy;

typedef struct Line { /* of one client to the target */
        DtlsClient *client;
        int fd;
        guint source;
} Line;

static void print(cJSON *o /* taken over */) {
        char *text = cJSON_PrintUnformatted(o);

        puts(text);
        fflush(stdout);
        cJSON_free(text);
        cJSON_Delete(o);
}

static cJSON *event(const char *name) {
        cJSON *o = cJSON_CreateObject();

        cJSON_AddStringToObject(o, "event", name);
        cJSON_AddNumberToObject(o, "t", (double) g_get_monotonic_time());
        return o;
}

/* --- a client's way to the target --- */

static void line_free(void *data) {
        Line *l = data;

        g_source_remove(l->source);
        close(l->fd);
        g_free(l);
}

static gboolean on_answer(gint fd, GIOCondition condition, gpointer userdata) {
        uint8_t buffer[DATAGRAM_MAX];
        Line *l = userdata;
        ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

        if (n > 0)
                dtls_client_send(l->client, buffer, (size_t) n);
        return G_SOURCE_CONTINUE;
}

static Line *line_of(Proxy *p, DtlsClient *c) {
        Line *l = dtls_client_data(c);

        if (l)
                return l;
        l = g_new0(Line, 1);
        l->client = c;
        l->fd = socket(p->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (l->fd < 0 ||
            connect(l->fd, (struct sockaddr *) &p->target.storage, p->target.length) < 0)
                g_error("no socket: %s", g_strerror(errno));
        l->source = g_unix_fd_add(l->fd, G_IO_IN, on_answer, l);
        dtls_client_set_data(c, l, line_free);
        return l;
}

/* --- DTLS --- */

static void on_established(void *userdata, DtlsClient *c, const DtlsHandshake *h) {
        Proxy *p = userdata;
        cJSON *o = event("handshake");

        h->resumed ? p->n_resumed++ : p->n_full++;
        p->n_messages += h->n_messages;
        cJSON_AddBoolToObject(o, "resumed", h->resumed);
        cJSON_AddBoolToObject(o, "cid", h->cid);
        cJSON_AddStringToObject(o, "identity", h->identity);
        cJSON_AddStringToObject(o, "cipher", h->cipher);
        cJSON_AddStringToObject(o, "sni", h->sni);
        cJSON_AddNumberToObject(o, "messages", h->n_messages);
        cJSON_AddNumberToObject(o, "full", p->n_full);
        cJSON_AddNumberToObject(o, "short", p->n_resumed);
        print(o);
}

static void on_message(void *userdata, DtlsClient *c, const uint8_t *data, size_t n) {
        const Line *l = line_of(userdata, c);

        (void) send(l->fd, data, n, MSG_DONTWAIT);
}

static void on_closed(void *userdata, DtlsClient *c, int alert, bool received, const char *reason) {
        cJSON *o = event("closed");

        if (alert >= 0) {
                cJSON_AddNumberToObject(o, "alert", alert);
                cJSON_AddBoolToObject(o, "received", received);
        }
        cJSON_AddStringToObject(o, "reason", reason);
        print(o);
}

static gboolean on_peer(gint fd, GIOCondition condition, gpointer userdata) {
        dtls_peer_read(((Proxy *) userdata)->peer);
        return G_SOURCE_CONTINUE;
}

/* --- commands --- */

static void on_line(Proxy *p, const char *line) {
        cJSON *o = cJSON_Parse(line), *answer = event("done");
        const cJSON *op = cJSON_GetObjectItemCaseSensitive(o, "op");
        const char *name = cJSON_IsString(op) ? op->valuestring : "";

        if (strcmp(name, "forget") == 0)
                dtls_peer_forget(p->peer);
        else if (strcmp(name, "mute") == 0 || strcmp(name, "unmute") == 0)
                dtls_peer_mute(p->peer, strcmp(name, "mute") == 0);
        else if (strcmp(name, "close") == 0)
                dtls_peer_close_all(p->peer);
        else if (strcmp(name, "renegotiate") == 0)
                dtls_peer_renegotiate(p->peer);
        else if (strcmp(name, "stats") != 0)
                cJSON_AddStringToObject(answer, "error", "not a command");
        if (cJSON_HasObjectItem(o, "id"))
                cJSON_AddItemToObject(answer, "id",
                                      cJSON_Duplicate(cJSON_GetObjectItem(o, "id"), true));
        cJSON_AddNumberToObject(answer, "full", p->n_full);
        cJSON_AddNumberToObject(answer, "short", p->n_resumed);
        cJSON_AddNumberToObject(answer, "messages", p->n_messages);
        cJSON_AddNumberToObject(answer, "datagrams", dtls_peer_n_datagrams(p->peer));
        print(answer);
        cJSON_Delete(o);
}

static gboolean on_input(gint fd, GIOCondition condition, gpointer userdata) {
        Proxy *p = userdata;
        char buffer[4096], *end;
        ssize_t n = read(fd, buffer, sizeof(buffer));

        if (n <= 0) {
                g_main_loop_quit(p->loop);
                return G_SOURCE_REMOVE;
        }
        g_string_append_len(p->input, buffer, n);
        while ((end = strchr(p->input->str, '\n'))) {
                *end = '\0';
                on_line(p, p->input->str);
                g_string_erase(p->input, 0, end - p->input->str + 1);
        }
        return G_SOURCE_CONTINUE;
}

static gboolean on_term(gpointer userdata) {
        g_main_loop_quit(((Proxy *) userdata)->loop);
        return G_SOURCE_REMOVE;
}

/* --- life --- */

/* IDENTITY:HEX */
static int parse_psk(const char *text, DtlsPeerConfig *ret) {
        const char *colon = strrchr(text, ':');
        size_t n = colon ? strlen(colon + 1) : 1;
        g_autofree uint8_t *key = g_malloc(n / 2 + 1);

        if (n % 2 || n == 0)
                return -EINVAL;
        for (size_t i = 0; i < n / 2; i++) {
                int high = g_ascii_xdigit_value(colon[1 + 2 * i]);
                int low = g_ascii_xdigit_value(colon[2 + 2 * i]);

                if (high < 0 || low < 0)
                        return -EINVAL;
                key[i] = (uint8_t) (high << 4 | low);
        }
        ret->identity = g_strndup(text, (gsize) (colon - text));
        ret->psk = g_bytes_new(key, n / 2);
        return 0;
}

static int run(Proxy *p, const DtlsPeerConfig *config) {
        static const DtlsPeerEvents events = { on_established, on_message, on_closed };
        cJSON *o;
        int r;

        r = dtls_peer_new(config, &events, p, &p->peer);
        if (r < 0) {
                fprintf(stderr, "lwm2m-dtlsproxy: %s\n", g_strerror(-r));
                return EXIT_FAILURE;
        }
        p->loop = g_main_loop_new(NULL, FALSE);
        p->input = g_string_new(NULL);
        g_unix_fd_add(dtls_peer_fd(p->peer), G_IO_IN, on_peer, p);
        g_unix_fd_add(STDIN_FILENO, G_IO_IN, on_input, p);
        g_unix_signal_add(SIGTERM, on_term, p);
        o = event("listening");
        cJSON_AddNumberToObject(o, "port", dtls_peer_port(p->peer));
        print(o);
        g_main_loop_run(p->loop);
        dtls_peer_free(p->peer);
        g_main_loop_unref(p->loop);
        g_string_free(p->input, TRUE);
        return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
        g_autofree char *target = NULL, *psk = NULL, *certificate = NULL, *key = NULL,
                        *authority = NULL, *client_key = NULL, *ciphers = NULL;
        gboolean tickets = FALSE, cookies = FALSE, without_cid = FALSE;
        gint port = 0;
        Proxy p = { .family = AF_INET };
        DtlsPeerConfig config = { 0 };
        GOptionEntry entries[] = {
                { "port", 0, 0, G_OPTION_ARG_INT, &port, "Where clients send", "PORT" },
                { "target", 0, 0, G_OPTION_ARG_STRING, &target, "Where it goes", "ADDR:PORT" },
                { "psk", 0, 0, G_OPTION_ARG_STRING, &psk, "A pre-shared key", "IDENTITY:HEX" },
                { "certificate", 0, 0, G_OPTION_ARG_STRING, &certificate, "Ours, PEM", "FILE" },
                { "key", 0, 0, G_OPTION_ARG_STRING, &key, "Ours, PEM", "FILE" },
                { "authority", 0, 0, G_OPTION_ARG_STRING, &authority, "Of the clients", "FILE" },
                { "client-key", 0, 0, G_OPTION_ARG_STRING, &client_key,
                  "The client's public key: raw public keys", "FILE" },
                { "ciphers", 0, 0, G_OPTION_ARG_STRING, &ciphers, "OpenSSL's names", "LIST" },
                { "tickets", 0, 0, G_OPTION_ARG_NONE, &tickets, "Sessions are tickets", NULL },
                { "cookies", 0, 0, G_OPTION_ARG_NONE, &cookies, "HelloVerifyRequest first", NULL },
                { "without-cid", 0, 0, G_OPTION_ARG_NONE, &without_cid, "No Connection IDs", NULL },
                { NULL },
        };
        g_autoptr(GOptionContext) context = g_option_context_new("- DTLS for a test server");
        g_autoptr(GError) error = NULL;
        int r;

        g_option_context_add_main_entries(context, entries, NULL);
        if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1 || !target ||
            address_parse(target, p.family, &p.target) < 0 || port < 0 || port > UINT16_MAX ||
            (psk && parse_psk(psk, &config) < 0)) {
                fprintf(stderr, "lwm2m-dtlsproxy: %s\n", error ? error->message : "bad argument");
                return 2;
        }
        config.port = (uint16_t) port;
        config.certificate = certificate;
        config.key = key;
        config.authority = authority;
        config.client_key = client_key;
        config.ciphers = ciphers;
        config.tickets = tickets;
        config.cookies = cookies;
        config.without_cid = without_cid;
        r = run(&p, &config);
        g_free((char *) config.identity);
        g_clear_pointer(&config.psk, g_bytes_unref);
        return r;
}
