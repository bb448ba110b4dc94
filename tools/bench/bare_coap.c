/* SPDX-License-Identifier: Apache-2.0 */
#include "bare_coap.h"

#include <arpa/inet.h>
#include <coap3/coap.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PLAIN_MAX 1024 /* above this an answer is left to libcoap's block layer */

typedef struct Entry {
        BareCoap *owner;
        coap_resource_t *resource;
        uint8_t *data;
        size_t length;
        uint16_t format;
        char small[24];
} Entry;

struct BareCoap {
        coap_context_t *context;
        coap_session_t *session;
        Entry *entries;
        unsigned n, n_paths;
};

static void on_get(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
                   const coap_string_t *query, coap_pdu_t *response) {
        Entry *e = coap_resource_get_userdata(resource);
        uint8_t format[4];

        coap_pdu_set_code(response, COAP_RESPONSE_CODE_CONTENT);
        if (e->length > PLAIN_MAX) {
                coap_add_data_large_response(resource, session, request, response, query, e->format,
                                             -1, 0, e->length, e->data, NULL, NULL);
                return;
        }
        coap_add_option(response, COAP_OPTION_CONTENT_FORMAT,
                        coap_encode_var_safe(format, sizeof(format), e->format), format);
        coap_add_data(response, e->length, e->data);
}

static void on_put(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
                   const coap_string_t *query, coap_pdu_t *response) {
        Entry *e = coap_resource_get_userdata(resource);
        coap_opt_iterator_t it;
        size_t length = 0, offset, total;
        const uint8_t *data = NULL;
        const coap_opt_t *format;

        coap_pdu_set_code(response, COAP_RESPONSE_CODE_CHANGED);
        if (!coap_get_data_large(request, &length, &data, &offset, &total))
                length = 0;
        if (e->length != length || e->data == (uint8_t *) e->small) {
                if (e->data != (uint8_t *) e->small)
                        free(e->data);
                e->data = malloc(length + 1);
                e->length = e->data ? length : 0;
        }
        if (e->length)
                memcpy(e->data, data, e->length);
        format = coap_check_option(request, COAP_OPTION_CONTENT_FORMAT, &it);
        if (format)
                e->format = (uint16_t) coap_decode_var_bytes(coap_opt_value(format),
                                                             coap_opt_length(format));
}

static void add_entry(BareCoap *b, const char *path, bool observable) {
        Entry *e = &b->entries[b->n++];
        coap_str_const_t *uri = coap_new_str_const((const uint8_t *) path, strlen(path));

        e->owner = b;
        e->data = (uint8_t *) e->small;
        e->length = (size_t) snprintf(e->small, sizeof(e->small), "21.5");
        e->resource = coap_resource_init(uri, COAP_RESOURCE_FLAGS_RELEASE_URI |
                                                      COAP_RESOURCE_FLAGS_NOTIFY_CON);
        coap_register_handler(e->resource, COAP_REQUEST_GET, on_get);
        coap_register_handler(e->resource, COAP_REQUEST_PUT, on_put);
        coap_resource_set_userdata(e->resource, e);
        coap_resource_set_get_observable(e->resource, observable);
        coap_add_resource(b->context, e->resource);
}

static bool send_register(BareCoap *b) {
        static const char *const queries[] = { "ep=bare", "lt=86400", "lwm2m=1.1", "b=U" };
        static const char links[] = "</>;rt=\"oma.lwm2m\";ct=112,</1/0>,</3/0>,</3303/0>";
        coap_pdu_t *pdu = coap_new_pdu(COAP_MESSAGE_CON, COAP_REQUEST_CODE_POST, b->session);
        uint8_t token[8], format[4];
        size_t length;

        if (!pdu)
                return false;
        coap_session_new_token(b->session, &length, token);
        coap_add_token(pdu, length, token);
        coap_add_option(pdu, COAP_OPTION_URI_PATH, 2, (const uint8_t *) "rd");
        coap_add_option(pdu, COAP_OPTION_CONTENT_FORMAT,
                        coap_encode_var_safe(format, sizeof(format), 40), format);
        for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++)
                coap_add_option(pdu, COAP_OPTION_URI_QUERY, strlen(queries[i]),
                                (const uint8_t *) queries[i]);
        coap_add_data(pdu, sizeof(links) - 1, (const uint8_t *) links);
        return coap_send(b->session, pdu) != COAP_INVALID_MID;
}

BareCoap *bare_coap_new(int port, char **paths, int n, unsigned object, unsigned n_observable) {
        BareCoap *b = calloc(1, sizeof(*b));
        coap_address_t address;

        if (!b)
                return NULL;
        b->entries = calloc((size_t) n + n_observable, sizeof(*b->entries));
        coap_startup();
        coap_set_log_level(LOG_ERR);
        b->context = coap_new_context(NULL);
        if (!b->context || !b->entries)
                return bare_coap_free(b);
        coap_context_set_block_mode(b->context, COAP_BLOCK_USE_LIBCOAP | COAP_BLOCK_SINGLE_BODY);
        for (int i = 0; i < n; i++)
                add_entry(b, paths[i], false);
        b->n_paths = b->n;
        for (unsigned i = 0; i < n_observable; i++) {
                char path[32];

                snprintf(path, sizeof(path), "%u/%u/5700", object, i);
                add_entry(b, path, true);
        }
        coap_address_init(&address);
        address.size = sizeof(address.addr.sin);
        address.addr.sin.sin_family = AF_INET;
        address.addr.sin.sin_port = htons((uint16_t) port);
        address.addr.sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        b->session = coap_new_client_session(b->context, NULL, &address, COAP_PROTO_UDP);
        if (!b->session || !send_register(b)) {
                fprintf(stderr, "bare libcoap client: cannot register\n");
                return bare_coap_free(b);
        }
        return b;
}

BareCoap *bare_coap_free(BareCoap *b) {
        if (!b)
                return NULL;
        if (b->session)
                coap_session_release(b->session);
        if (b->context)
                coap_free_context(b->context);
        coap_cleanup();
        for (unsigned i = 0; i < b->n; i++)
                if (b->entries[i].data != (uint8_t *) b->entries[i].small)
                        free(b->entries[i].data);
        free(b->entries);
        free(b);
        return NULL;
}

int bare_coap_fd(const BareCoap *b) {
        return coap_context_get_coap_fd(b->context);
}

static coap_tick_t ticks(void) {
        coap_tick_t now;

        coap_ticks(&now);
        return now;
}

void bare_coap_prepare(BareCoap *b) {
        coap_io_prepare_epoll(b->context, ticks());
}

void bare_coap_process(BareCoap *b) {
        coap_io_process(b->context, COAP_IO_NO_WAIT);
}

void bare_coap_run(BareCoap *b, const volatile bool *stop) {
        while (!*stop)
                coap_io_process(b->context, COAP_IO_WAIT);
}

void bare_coap_set(BareCoap *b, unsigned index, const char *text) {
        Entry *e;

        if (index >= b->n - b->n_paths)
                return;
        e = &b->entries[b->n_paths + index];
        if (e->data != (uint8_t *) e->small)
                return; /* a PUT has taken it over */
        e->length = (size_t) snprintf(e->small, sizeof(e->small), "%s", text);
        coap_resource_notify_observers(e->resource, NULL);
}
