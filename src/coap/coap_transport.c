/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/coap_transport.h"

#include <errno.h>

#include "coap/call.h"
#include "coap/exchange.h"
#include "coap/link_io.h"
#include "coap/link_oscore.h"
#include "coap/local.h"
#include "coap/security.h"
#include "coap/sleep.h"
#include "coap/token_loader.h"

static CoapConfig with_defaults(const CoapConfig *c) {
        CoapConfig r = *c;

        r.body_max = c->body_max ?: (size_t) 16 << 20;
        r.transfers_max = c->transfers_max ?: 8;
        r.exchanges_max = c->exchanges_max ?: 64;
        r.dedup_entries = c->dedup_entries ?: 512;
        r.dedup_bytes = c->dedup_bytes ?: (size_t) 64 << 10;
        r.block2_bytes = c->block2_bytes ?: (size_t) 32 << 20;
        r.block2_bodies = c->block2_bodies ?: 16;
        r.queue_max = c->queue_max ?: 16384;
        r.separate_after_usec = c->separate_after_usec ?: USEC_PER_SEC;
        r.transfer_usec = c->transfer_usec ?: DEDUP_EXCHANGE_LIFETIME_USEC;
        r.response_usec = c->response_usec ?: 93 * USEC_PER_SEC;
        r.ack_timeout_usec = c->ack_timeout_usec ?: 2 * USEC_PER_SEC;
        r.max_retransmit = c->max_retransmit ?: 4;
        r.message_max = MAX(c->message_max ?: (size_t) 33 << 10, PACKET_MESSAGE_SIZE);
        r.handshake_usec = c->handshake_usec ?: 30 * USEC_PER_SEC;
        r.secrets_directory = g_strdup(c->secrets_directory);
        r.trust_store = g_strdup(c->trust_store);
        r.providers = NULL; /* the token loader has a copy, as of … */
        r.pin_file = NULL;
        r.state_directory = g_strdup(c->state_directory);
        return r;
}

static TokenConfig token_config(const CoapConfig *c) {
        return (TokenConfig){ .providers = c->providers,
                              .pin_file = c->pin_file,
                              .secrets_directory = c->secrets_directory };
}

int coap_transport_new(Loop *loop, const CoapConfig *config, CoapTransport **ret) {
        const TokenConfig token = token_config(config);
        CoapTransport *t;
        int r;

        t = g_new0(CoapTransport, 1);
        t->loop = loop;
        t->config = with_defaults(config);
        t->spool_directory = g_strdup(config->spool_directory);
        t->ports = local_ports_new();
        t->hosts = hosts_new();
        r = resolver_new(loop, NULL, &t->resolver);
        if (r >= 0)
                r = token_loader_new(loop, &token, &t->tokens);
        if (r < 0) {
                coap_transport_free(t);
                return r;
        }
        link_io_setup();
        *ret = t;
        return 0;
}

CoapTransport *coap_transport_free(CoapTransport *t) {
        if (!t)
                return NULL;
        resolver_free(t->resolver);
        token_loader_free(t->tokens);
        hosts_free(t->hosts);
        link_oscore_free_all(t);
        local_ports_free(t->ports);
        g_free(t->spool_directory);
        g_free((char *) t->config.secrets_directory);
        g_free((char *) t->config.trust_store);
        g_free((char *) t->config.state_directory);
        g_free(t);
        return NULL;
}

int coap_transport_try(const CoapConfig *config, const char *uri,
                       const struct Credentials *credentials, char **ret_error) {
        g_autoptr(GUri) u = g_uri_parse(uri, G_URI_FLAGS_NONE, NULL);
        SecurityConfig sc = { .credentials = credentials,
                              .host = u ? g_uri_get_host(u) : NULL,
                              .secrets_directory = config->secrets_directory,
                              .trust_store = config->trust_store };
        const TokenConfig token_settings = token_config(config);
        g_autoptr(Token) token = NULL;
        TokenKeys keys = { 0 };
        g_autoptr(Security) s = NULL;
        int r;

        if (!sc.host) {
                *ret_error = g_strdup_printf("'%s': not a URI", uri);
                return -EINVAL;
        }
        link_io_setup();
        sc.stream = g_str_has_suffix(g_uri_get_scheme(u), "+tcp");
        if (credentials_are_awaited(credentials))
                return 0; /* what they are is not known before somebody is asked */
        if (!credentials_use_store(credentials))
                return security_new(&sc, &s, ret_error);
        token = token_new(&token_settings);
        r = token_load(token, credentials, &keys, ret_error);
        if (r < 0)
                return r;
        sc.credentials = keys.credentials;
        sc.key = keys.key;
        r = security_new(&sc, &s, ret_error);
        s = security_free(s); /* before its key */
        token_keys_clear(&keys);
        return r;
}

const char *coap_transport_tls_library(void) {
        return security_library();
}

void coap_transport_set_provider(CoapTransport *t, const KeyProvider *provider, void *userdata) {
        t->provider = provider;
        t->provider_userdata = userdata;
}

bool coap_transport_has_dtls(void) {
        return security_has_dtls();
}

bool coap_transport_has_x509(void) {
        return security_has_x509();
}

bool coap_transport_has_rpk(void) {
        return security_has_rpk();
}

bool coap_transport_has_cid(void) {
        return security_has_cid();
}

static int transport_open(void *transport, const LinkConfig *config, const LinkEvents *events,
                          void *owner, Link **ret) {
        return link_open(transport, config, events, owner, ret);
}

const TransportOps *coap_transport_ops(void) {
        static const TransportOps ops = { .open = transport_open,
                                          .close = link_close,
                                          .request = call_request,
                                          .notify = call_notify,
                                          .cancel = call_cancel,
                                          .respond = exchange_respond,
                                          .peer = link_peer,
                                          .place = local_place,
                                          .busy_until = link_busy_until,
                                          .sleep = link_sleep,
                                          .wake = link_wake };

        return &ops;
}
