/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/link_keys.h"

#include <errno.h>

#include "coap/token_loader.h"

struct LinkKeys {
        const KeyProvider *provider;
        KeyQuestion *question; /* to an application; NULL once it is over */
        TokenLoad *load;       /* likewise, of a token */
        LoopSource *failing;   /* tells an error from the loop */
        int error;
        bool provided;
        TokenKeys keys;

        /* what the link is opened with */
        char *uri, *host;
        GBytes *session;
        bool ignore_dates;
        uint16_t port;
        LinkKeysFunc func;
};

static void finish(Link *l, int error, const char *text, uint64_t now_usec) {
        LinkKeys *k = l->keys;
        LinkConfig config = { .session = k->provided ? NULL : k->session,
                              .ignore_dates = k->ignore_dates,
                              .credentials = k->keys.credentials };

        link_enter(l);
        k->func(l, error, text, &config, k->host, k->port, now_usec);
        link_settle(l, now_usec);
        link_leave(l);
}

static void on_loaded(void *userdata, int error, const char *text, TokenKeys *keys,
                      uint64_t now_usec) {
        Link *l = userdata;
        LinkKeys *k = l->keys;

        k->load = NULL;
        if (error == 0) {
                token_keys_clear(&k->keys);
                k->keys = *keys;
                *keys = (TokenKeys){ 0 };
        }
        finish(l, error, text, now_usec);
}

/* 1: the token is asked. */
static int load(Link *l) {
        LinkKeys *k = l->keys;
        int r;

        if (!credentials_use_store(k->keys.credentials))
                return 0;
        r = token_loader_start(l->transport->tokens, k->keys.credentials,
                               l->transport->config.handshake_usec, on_loaded, l, &k->load);
        return r < 0 ? r : 1;
}

static void on_answer(void *userdata, int error, const char *text, Credentials *credentials,
                      uint64_t now_usec) {
        Link *l = userdata;
        LinkKeys *k = l->keys;

        k->question = NULL;
        if (error == 0) {
                credentials_free(k->keys.credentials);
                k->keys.credentials = credentials;
                error = load(l);
                text = error < 0 ? g_strerror(-error) : NULL;
        }
        if (error <= 0)
                finish(l, error, text, now_usec);
}

static bool is_provided(const Link *l) {
        const CoapTransport *t = l->transport;

        return t->provider && t->provider->provides(t->provider_userdata, l->ssid);
}

static void start(Link *l);

static void on_failing(void *userdata) {
        Link *l = userdata;
        LinkKeys *k = l->keys;

        k->failing = loop_source_free(k->failing);
        if (k->error == -ENOKEY && is_provided(l)) { /* there is one by now */
                start(l);
                return;
        }
        finish(l, k->error,
               k->error == -ENOKEY ? "waiting for an application that provides the credentials"
                                   : g_strerror(-k->error),
               link_now(l));
}

bool link_keys_are_elsewhere(const Link *l, const LinkConfig *config) {
        return credentials_are_awaited(config->credentials) ||
               credentials_use_store(config->credentials) || is_provided(l);
}

static int begin(Link *l) {
        const CoapTransport *t = l->transport;
        LinkKeys *k = l->keys;

        k->provider = t->provider;
        k->provided = is_provided(l);
        if (k->provided)
                return t->provider->ask(t->provider_userdata, l->ssid, k->uri, k->keys.credentials,
                                        on_answer, l, &k->question);
        return credentials_are_awaited(k->keys.credentials) ? -ENOKEY : load(l);
}

static void start(Link *l) {
        LinkKeys *k = l->keys;
        int r = begin(l);

        if (r >= 0)
                return;
        k->error = r;
        k->failing = loop_add_idle(l->transport->loop, on_failing, l);
}

void link_keys_start(Link *l, const LinkConfig *config, const char *host, uint16_t port,
                     LinkKeysFunc func) {
        LinkKeys *k = g_new0(LinkKeys, 1);

        k->keys.credentials = credentials_copy(config->credentials);
        k->session = config->session ? g_bytes_ref(config->session) : NULL;
        k->ignore_dates = config->ignore_dates;
        k->uri = g_strdup(config->uri);
        k->host = g_strdup(host);
        k->port = port;
        k->func = func;
        l->keys = k;
        start(l);
}

struct evp_pkey_st *link_keys_private(const Link *l) {
        return l->keys ? l->keys->keys.key : NULL;
}

bool link_keys_are_provided(const Link *l) {
        return l->keys && l->keys->provided;
}

void link_keys_stop(LinkKeys *k) {
        if (k->question)
                k->provider->cancel(g_steal_pointer(&k->question));
        k->load = token_load_cancel(k->load);
        k->failing = loop_source_free(k->failing);
}

LinkKeys *link_keys_free(LinkKeys *k) {
        if (!k)
                return NULL;
        link_keys_stop(k);
        token_keys_clear(&k->keys);
        g_clear_pointer(&k->session, g_bytes_unref);
        g_free(k->uri);
        g_free(k->host);
        g_free(k);
        return NULL;
}
