/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/link.h"

#include <assert.h>
#include <string.h>

#include "coap/call.h"
#include "coap/exchange.h"
#include "coap/link_io.h"
#include "coap/link_keys.h"
#include "coap/link_oscore.h"
#include "coap/link_secure.h"
#include "coap/link_tcp.h"
#include "coap/local.h"
#include "coap/race.h"
#include "coap/sleep.h"

#define HOUSEKEEPING_USEC                                                                          \
        (60 * USEC_PER_SEC) /* coarse, so that an idle daemon is not woken for it */

uint64_t link_now(const Link *l) {
        return loop_now(l->transport->loop);
}

/* --- life --- */

static void destroy(Link *l) {
        query_cancel(l->query);
        race_free(l->race);
        if (l->literal)
                freeaddrinfo(l->literal);
        loop_source_free(l->source);
        loop_source_free(l->deferred);
        link_io_close(l);
        l->tcp = link_tcp_free(l);
        link_secure_free(l->secure);
        link_keys_free(l->keys);
        link_oscore_free(l->oscore);
        timer_free(l->housekeeping);
        timer_free(l->ack_timer);
        dedup_free(l->dedup);
        block1_free(l->block1);
        block2_free(l->block2);
        g_clear_pointer(&l->by_token, g_hash_table_unref);
        g_free(l->non_sent);
        g_queue_clear_full(&l->resets, (GDestroyNotify) g_bytes_unref);
        g_free(l->peer);
        g_free(l->refusal_text);
        local_clear(l);
        g_free(l->host);
        g_free(l);
}

void link_enter(Link *l) {
        l->depth++;
}

void link_leave(Link *l) {
        assert(l->depth > 0);
        if (--l->depth == 0 && l->closed)
                destroy(l);
}

/* What the next link to a server of this name can use. */
static void note_address(Link *l) {
        const bool works = l->tcp ? link_tcp_is_up(l) : l->heard; /* not just a handshake */

        if (!l->host || l->noted || !works || l->address.n == 0)
                return;
        l->noted = true;
        hosts_heard(l->transport->hosts, l->host, &l->address, l->unanswered);
}

static void note_end(Link *l) {
        note_address(l);
        if (l->host && !l->noted && l->address.n > 0)
                hosts_silent(l->transport->hosts, l->host);
}

void link_close(Link *l) {
        if (!l->closed) {
                note_end(l);
                local_keep(l);
        }
        exchange_orphan_all(l);
        call_free_all(l);
        l->closed = true;
        l->query = query_cancel(l->query);
        l->race = race_free(l->race);
        if (l->keys)
                link_keys_stop(l->keys);
        if (l->depth == 0)
                destroy(l);
}

const char *link_peer(const Link *l) {
        return l->peer;
}

/* --- turns --- */

bool link_has_way(const Link *l) {
        return l->tcp ? link_tcp_is_up(l) : l->session != NULL;
}

static bool is_delivered(const Link *l) {
        return l->tcp ? link_tcp_is_confirmed(l) : coap_can_exit(l->context);
}

/* How the message that libcoap had has ended. There is no callback for an acknowledgement: nothing
 * of this context waits for one any more. */
static bool settle_current(Link *l, uint64_t now_usec) {
        Fate fate = l->fate;

        if (!l->outbox.current && !l->withdraw)
                return false;
        if (l->withdraw) {
                l->withdraw = false;
                if (l->tcp)
                        link_tcp_forget(l);
                else
                        link_io_withdraw(l);
                return true;
        }
        if (fate == FATE_OPEN && !is_delivered(l))
                return false;
        l->fate = FATE_OPEN;
        call_settle_current(l, fate, now_usec);
        return true;
}

static void tell_resets(Link *l, uint64_t now_usec) {
        while (!l->closed && l->resets.head) {
                g_autoptr(GBytes) token = g_queue_pop_head(&l->resets);

                if (l->events.reset)
                        l->events.reset(l->owner, token, now_usec);
        }
}

void link_settle(Link *l, uint64_t now_usec) {
        if (!l->closed && l->secure)
                link_secure_settle(l, now_usec);
        if (!l->closed && l->tcp)
                link_tcp_settle(l, now_usec);
        while (!l->closed && link_has_way(l) && link_secure_is_open(l)) {
                bool more = settle_current(l, now_usec);

                more = call_send_next(l) || more;
                call_run_finished(l, now_usec);
                tell_resets(l, now_usec);
                if (!more && !l->withdraw && l->finished.length == 0)
                        break;
        }
        if (!l->closed && l->secure)
                link_secure_watch(l, now_usec);
        if (l->was_open && !l->closed && !link_is_open(l))
                l->active = true;
        l->was_open = !l->closed && link_is_open(l);
        note_address(l);
        if (!l->closed && l->active) {
                l->active = false;
                if (l->events.activity)
                        l->events.activity(l->owner, now_usec);
        }
}

void link_fail(Link *l, int error, const char *reason, uint64_t now_usec) {
        if (l->events.down)
                l->events.down(l->owner, error, reason, now_usec);
}

/* The owner hears what has become of the way to the server. */
static void tell_way(Link *l, int error, const char *text, uint64_t now_usec) {
        if (error < 0)
                link_fail(l, error, text, now_usec);
        else if (!l->secure && !l->tcp && l->events.up)
                l->events.up(l->owner, now_usec);
}

static const char *way_error(const Link *l, int error) {
        return l->socket_error < 0 ? l->socket_error_text : g_strerror(-error);
}

/* The first address that a socket can be connected to: a host without IPv6 refuses those at once.
 */
static int open_first(Link *l, const Address *addresses, unsigned n) {
        int r = -ENOENT;

        for (unsigned i = 0; i < n; i++) {
                r = link_io_open(l, (const struct sockaddr *) &addresses[i].v, addresses[i].n);
                if (r == 0) {
                        l->address = addresses[i];
                        break;
                }
        }
        return r;
}

static void on_race(Link *l, const RaceResult *result, uint64_t now_usec) {
        int r = result->error;
        const char *text = result->text;

        if (r == 0) {
                l->unanswered = !result->answered;
                l->address = *result->address;
                if (l->tcp)
                        link_tcp_begin(l, result->fd);
                else
                        r = open_first(l, result->address, 1);
                if (r < 0)
                        text = way_error(l, r);
        }
        tell_way(l, r, text, now_usec);
}

/* 1: not decided yet. */
static int connect_any(Link *l, const struct addrinfo *list) {
        const Hosts *hosts = l->transport->hosts;
        Address addresses[ADDRESSES_MAX];
        unsigned n = hosts_order(hosts, l->host, list, addresses);
        int r;

        if (n == 0)
                return -ENOENT;
        if (!l->tcp && (n == 1 || hosts_is_mute(hosts, l->host)))
                return open_first(l, addresses, n);
        r = race_start(l,
                       l->tcp      ? RACE_TCP
                       : l->secure ? RACE_DTLS
                                   : RACE_UDP,
                       addresses, n, on_race, &l->race);
        return r < 0 ? r : 1;
}

static void on_resolved(void *userdata, int error, const char *text, const struct addrinfo *list,
                        uint64_t now_usec) {
        Link *l = userdata;

        l->query = NULL;
        link_enter(l);
        if (error == 0) {
                error = connect_any(l, list);
                text = error < 0 ? way_error(l, error) : NULL;
        }
        if (error <= 0)
                tell_way(l, error, text, now_usec);
        link_settle(l, now_usec);
        link_leave(l);
}

static void on_deferred(void *userdata) {
        Link *l = userdata;

        l->deferred = loop_source_free(l->deferred);
        link_enter(l);
        if (l->refusal) {
                g_autofree char *text = g_steal_pointer(&l->refusal_text);

                link_fail(l, l->refusal, text, link_now(l));
        } else if (l->literal) {
                struct addrinfo *list = g_steal_pointer(&l->literal);

                on_resolved(l, 0, NULL, list, link_now(l));
                freeaddrinfo(list);
        }
        link_settle(l, link_now(l));
        link_leave(l);
}

void link_defer(Link *l) {
        if (!l->closed && !l->deferred)
                l->deferred = loop_add_idle(l->transport->loop, on_deferred, l);
}

/* --- housekeeping --- */

static void on_housekeeping(void *userdata, uint64_t now_usec) {
        Link *l = userdata;
        uint64_t next = dedup_expire(l->dedup, now_usec);

        next = MIN(next, block1_expire(l->block1, now_usec));
        next = MIN(next, block2_expire(l->block2, now_usec));
        if (next != USEC_INFINITY)
                timer_arm(l->housekeeping, MAX(next, now_usec + HOUSEKEEPING_USEC / 2));
}

void link_keep_house(Link *l, uint64_t now_usec) {
        if (timer_due(l->housekeeping) == USEC_INFINITY)
                timer_arm(l->housekeeping,
                          now_usec + MIN(HOUSEKEEPING_USEC, l->transport->config.transfer_usec));
}

/* --- opening --- */

typedef struct Target {
        bool secure, tcp;
        char *host;
        uint16_t port;
} Target;

static int parse_uri(const char *uri, Target *ret) {
        static const char *const schemes[] = { "coap", "coaps", "coap+tcp", "coaps+tcp", NULL };
        g_autoptr(GUri) u = g_uri_parse(uri, G_URI_FLAGS_NONE, NULL);
        const char *scheme;
        int port;

        if (!u || !g_uri_get_host(u) || !*g_uri_get_host(u))
                return -EINVAL;
        scheme = g_uri_get_scheme(u);
        ret->tcp = g_str_has_suffix(scheme, "+tcp");
        ret->secure = g_str_has_prefix(scheme, "coaps");
        if (!g_strv_contains(schemes, scheme))
                return g_str_has_prefix(scheme, "coap") ? -EPROTONOSUPPORT : -EINVAL;
        port = g_uri_get_port(u);
        if (port == 0)
                return -EINVAL;
        ret->host = g_strdup(g_uri_get_host(u));
        ret->port = port > 0      ? (uint16_t) port
                    : ret->secure ? COAPS_DEFAULT_PORT
                                  : COAP_DEFAULT_PORT;
        return 0;
}

static void add_parts(Link *l) {
        const CoapConfig *c = &l->transport->config;
        TimerQueue *timers = loop_timers(l->transport->loop);

        l->dedup = dedup_new(
                &(DedupLimits){ .entries_max = c->dedup_entries, .bytes_max = c->dedup_bytes });
        l->block1 = block1_new(&(Block1Config){
                .spool_directory = l->transport->spool_directory,
                .body_max = c->body_max,
                .transfers_max = c->transfers_max,
                .lifetime_usec = c->transfer_usec,
                .szx = l->tcp && l->szx == BLOCK_SZX_MAX ? BLOCK_SZX_BERT : l->szx });
        l->block2 = block2_new(&(Block2Config){ .bytes_max = c->block2_bytes,
                                                .bodies_max = c->block2_bodies,
                                                .lifetime_usec = c->transfer_usec });
        l->by_token = g_hash_table_new(g_int64_hash, g_int64_equal);
        outbox_init(&l->outbox, c->queue_max);
        l->housekeeping = timer_new(timers, on_housekeeping, l);
        l->ack_timer = timer_new(timers, exchange_on_ack_timer, l);
}

static int add_oscore(Link *l, const LinkConfig *config) {
        const OscoreKeys *oscore = config->credentials ? config->credentials->oscore : NULL;

        if (!oscore)
                return 0;
        if (l->secure && !l->tcp && link_secure_is_opaque(l)) {
                /* libcoap would take its messages for its own, and nothing comes before it there.
                 */
                l->refusal_text = g_strdup("OSCORE inside DTLS needs a libcoap with OpenSSL");
                return -EPROTONOSUPPORT;
        }
        return link_oscore_new(l, oscore, &l->refusal_text);
}

/* An address in the URI needs no look-up; both ways end in on_resolved(), later. */
static int find_address(Link *l, const char *host, uint16_t port) {
        static const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                               .ai_socktype = SOCK_DGRAM,
                                               .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
        char text[6];

        g_snprintf(text, sizeof(text), "%u", (unsigned) port);
        if (getaddrinfo(host, text, &hints, &l->literal) == 0) {
                link_defer(l);
                return 0;
        }
        l->host = g_strdup(host);
        return resolver_query(l->transport->resolver, host, port, on_resolved, l, &l->query);
}

static int secure(Link *l, const LinkConfig *config, const char *host, uint16_t port) {
        int r;

        r = l->tcp ? link_tcp_secure(l, config, host, port, &l->refusal_text)
                   : link_secure_new(l, config, host, &l->refusal_text);
        return r < 0 ? r : add_oscore(l, config);
}

static void on_keys(Link *l, int error, const char *text, const LinkConfig *config,
                    const char *host, uint16_t port, uint64_t now_usec) {
        g_autofree char *why = NULL;

        if (error == 0) {
                error = secure(l, config, host, port);
                text = why = g_steal_pointer(&l->refusal_text);
                /* The next answer may be a better one: no fault of the account. */
                if (error < 0 && link_keys_are_provided(l))
                        error = -EKEYREJECTED;
        }
        if (error == 0)
                error = find_address(l, host, port);
        if (error < 0)
                link_fail(l, error, text ? text : g_strerror(-error), now_usec);
}

int link_open(CoapTransport *t, const LinkConfig *config, const LinkEvents *events, void *owner,
              Link **ret) {
        size_t size = config->block_size ?: block_size(BLOCK_SZX_MAX);
        g_autofree char *host = NULL;
        Target target;
        Link *l;
        int r;

        r = parse_uri(config->uri, &target);
        if (r < 0)
                return r;
        host = target.host;
        if (size < block_size(0) || (target.secure && !config->credentials))
                return -EINVAL;
        l = g_new0(Link, 1);
        l->transport = t;
        l->events = *events;
        l->owner = owner;
        l->ssid = config->ssid;
        l->aside = config->aside;
        local_take_place(l, &config->place);
        if (config->place.address[0])
                hosts_suggest(t->hosts, host, config->place.address);
        local_set(l, &config->socket);
        l->szx = block_szx(size);
        l->epoll_fd = l->socket_fd = -1;
        if (target.tcp)
                l->tcp = link_tcp_new(l);
        add_parts(l);
        if (target.secure && link_keys_are_elsewhere(l, config)) {
                link_keys_start(l, config, host, target.port, on_keys);
                *ret = l;
                return 0;
        }
        r = target.secure ? secure(l, config, host, target.port) : add_oscore(l, config);
        if (r < 0) {
                l->refusal = r;
                link_defer(l);
                *ret = l;
                return 0;
        }
        r = find_address(l, host, target.port);
        if (r < 0) {
                link_close(l);
                return r;
        }
        *ret = l;
        return 0;
}
