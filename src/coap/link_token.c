/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/link_token.h"

#include "coap/token_loader.h"

struct LinkToken {
        TokenLoad *load; /* NULL once it is over */
        TokenKeys keys;

        /* until then: what the link is opened with */
        GBytes *session;
        bool ignore_dates;
        char *host;
        uint16_t port;
        LinkTokenFunc func;
};

static void on_loaded(void *userdata, int error, const char *text, TokenKeys *keys,
                      uint64_t now_usec) {
        Link *l = userdata;
        LinkToken *t = l->token;
        LinkConfig config = { .session = t->session, .ignore_dates = t->ignore_dates };

        t->load = NULL;
        if (error == 0) {
                t->keys = *keys;
                *keys = (TokenKeys){ 0 };
                config.credentials = t->keys.credentials;
        }
        link_enter(l);
        t->func(l, error, text, &config, t->host, t->port, now_usec);
        link_settle(l, now_usec);
        link_leave(l);
}

int link_token_start(Link *l, const LinkConfig *config, const char *host, uint16_t port,
                     LinkTokenFunc func) {
        LinkToken *t = g_new0(LinkToken, 1);

        t->session = config->session ? g_bytes_ref(config->session) : NULL;
        t->ignore_dates = config->ignore_dates;
        t->host = g_strdup(host);
        t->port = port;
        t->func = func;
        l->token = t;
        return token_loader_start(l->transport->tokens, config->credentials,
                                  l->transport->config.handshake_usec, on_loaded, l, &t->load);
}

struct evp_pkey_st *link_token_key(const Link *l) {
        return l->token ? l->token->keys.key : NULL;
}

void link_token_stop(LinkToken *t) {
        t->load = token_load_cancel(t->load);
}

LinkToken *link_token_free(LinkToken *t) {
        if (!t)
                return NULL;
        token_load_cancel(t->load);
        token_keys_clear(&t->keys);
        g_clear_pointer(&t->session, g_bytes_unref);
        g_free(t->host);
        g_free(t);
        return NULL;
}
