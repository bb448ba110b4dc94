/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/est/est_server.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lwm2m/catalog.h"
#include "codec/format.h"
#include "lwm2m/est/enrol.h"
#include "lwm2m/est/est_discover.h"
#include "lwm2m/server/server_tell.h"
#include "lwm2m/server/session.h"
#include "util/log.h"

/* Between attempts: 10 s, doubling five times and then on to the cap. */
#define RETRY_COUNT 5
#define RETRY_TIMER_SEC 10
/* Renewals of a fleet that was enrolled together come up to so much earlier, in percent. */
#define JITTER_PERCENT 5
#define SEC_NS INT64_C(1000000000)

struct EstServer {
        const EstEnv *env;
        uint16_t ssid;
        Enrol *machine;
        EstRecord *record;  /* NULL: nothing */
        bool holds, lapsed; /* the server waits for a certificate: the first, or another */
        Timer *expiry_timer;
        double jitter;            /* 0..1, of this certificate's renewal */
        int64_t since_sec;        /* when it came, wall clock; 0: before this start */
        uint64_t not_before_usec; /* no renewal sooner */

        /* One attempt. */
        EstPlace *place;
        char **found; /* another path than the place's; NULL */
        Link *link;
        Call *call;
        EnrolRequest what;
        bool again;      /* with the certificate there is: re-enrolment */
        bool first_keys; /* … which was refused: back to the account's own */
        bool single;     /* the server gives certificates one by one only */
        GBytes *authorities, *key;
        EstAttributes attributes;

        char *reason, *error_code, *error_text;
};

static const ClientParts *parts(const EstServer *s) {
        return s->env->server->parts;
}

static const TransportOps *transport(const EstServer *s) {
        return parts(s)->transport;
}

static int64_t wall_sec(const EstServer *s) {
        return server_wall_ns(s->env->server) / SEC_NS;
}

static bool clock_is_unset(const EstServer *s) {
        return session_ignores_dates(server_wall_ns(s->env->server),
                                     s->env->server->config->dates_need_clock);
}

static void set_text(char **where, const char *text) {
        g_free(*where);
        *where = g_strdup(text ? text : "");
}

/* --- the certificate there is --- */

static const EstCertificate *certificate(const EstServer *s) {
        return s->record && s->record->key &&
                               strcmp(s->record->endpoint, s->env->server->endpoint) == 0
                       ? s->record->certificate
                       : NULL;
}

bool est_server_is_ready(const EstServer *s) {
        const EstCertificate *c = certificate(s);

        return c && (clock_is_unset(s) || wall_sec(s) < c->not_after_sec);
}

/* Counted from when it came: a certificate that is dated back is not renewed at once. */
static int64_t renewal_sec(const EstServer *s, const EstCertificate *c) {
        int64_t begin = MAX(c->not_before_sec, s->since_sec);
        double lifetime = (double) (c->not_after_sec - begin);
        double part = s->env->config->renew_percent - s->jitter * JITTER_PERCENT;

        return begin + (int64_t) (lifetime * MAX(part, 1) / 100);
}

static uint64_t due(void *userdata, uint64_t now_usec) {
        EstServer *s = userdata;
        const EstCertificate *c = certificate(s);
        int64_t left;

        if (!c || !est_server_is_ready(s))
                return s->not_before_usec;
        if (clock_is_unset(s))
                return USEC_INFINITY;
        left = renewal_sec(s, c) - wall_sec(s);
        return MAX(left > 0 ? now_usec + (uint64_t) left * USEC_PER_SEC : 0, s->not_before_usec);
}

static void watch_expiry(EstServer *s, uint64_t now_usec) {
        const EstCertificate *c = certificate(s);
        uint64_t left_usec = ENROL_LOOK_MAX_USEC;

        if (!c || !est_server_is_ready(s)) {
                timer_disarm(s->expiry_timer);
                return;
        }
        if (!clock_is_unset(s) &&
            c->not_after_sec - wall_sec(s) < (int64_t) (ENROL_LOOK_MAX_USEC / USEC_PER_SEC))
                left_usec = (uint64_t) (c->not_after_sec * SEC_NS - server_wall_ns(s->env->server) +
                                        999) /
                            1000;
        timer_arm(s->expiry_timer, now_usec + left_usec);
}

static void on_expiry(void *userdata, uint64_t now_usec) {
        EstServer *s = userdata;

        watch_expiry(s, now_usec);
        if (est_server_is_ready(s))
                return;
        s->lapsed = true;
        log_with(LOG_LEVEL_WARNING, (&(LogFields){ .ssid = s->ssid }),
                 "the certificate for it has expired");
        s->env->renewed(s->env->userdata, now_usec);
}

Credentials *est_server_credentials(const EstServer *s, const Credentials *given) {
        Credentials *c;

        if (!est_server_is_ready(s))
                return NULL;
        c = credentials_copy(given);
        c->mode = SECURITY_MODE_X509;
        g_bytes_unref(c->identity);
        g_bytes_unref(c->secret);
        c->identity = g_bytes_ref(s->record->certificate->chain);
        c->secret = g_bytes_ref(s->record->key);
        if (g_bytes_get_size(c->peer) > 0)
                return c;
        g_bytes_unref(c->peer);
        c->peer = g_bytes_ref(s->record->authorities);
        c->matching = MATCHING_EXACT;
        c->usage = USAGE_TRUST_ANCHOR;
        return c;
}

/* --- the link --- */

static void drop_link(void *userdata) {
        EstServer *s = userdata;

        if (s->call)
                transport(s)->cancel(g_steal_pointer(&s->call));
        if (s->link)
                transport(s)->close(g_steal_pointer(&s->link));
}

static void on_up(void *owner, uint64_t now_usec) {
        (void) enrol_input(((EstServer *) owner)->machine, ENROL_UP, now_usec);
}

static void on_down(void *owner, int error, const char *reason, uint64_t now_usec) {
        EstServer *s = owner;
        g_autofree char *why = g_strdup(reason);

        drop_link(s);
        enrol_down(s->machine, error, why, now_usec);
}

/* It is no server of LwM2M as long as it is an EST server. */
static void on_request(void *owner, Exchange *x, const Message *request, uint64_t now_usec) {
        EstServer *s = owner;
        Message refusal = MESSAGE_INIT(CODE(4, 4));

        transport(s)->respond(x, &refusal);
}

static const LinkEvents link_events = { .up = on_up, .down = on_down, .request = on_request };

/* With certificates both ways the present one proves us (RFC 7030, section 4.2.2); where the
 * session stands on other keys, these go on doing so. */
static Credentials *link_credentials(const EstServer *s) {
        const Credentials *account = s->place->credentials;

        return s->again && account->mode == SECURITY_MODE_X509 ? est_server_credentials(s, account)
                                                               : credentials_copy(account);
}

static int fail_to_connect(EstServer *s, int error, char *why /* taken over */,
                           const char **ret_text) {
        g_free(s->reason);
        *ret_text = s->reason = why;
        return error;
}

static int connect_link(void *userdata, const char **ret_text, uint64_t now_usec) {
        EstServer *s = userdata;
        g_autoptr(Credentials) credentials = NULL;
        const ServerEnv *env = s->env->server;
        char *why = NULL;
        LinkConfig lc = {
                .ssid = s->ssid,
                .aside = true,
                .ignore_dates = clock_is_unset(s),
                .socket = client_config_socket(env->config, 0),
        };
        int r;

        s->place = est_place_free(s->place);
        if (!parts(s)->est)
                return fail_to_connect(s, -EPROTONOSUPPORT,
                                       g_strdup("this build has no EST: it needs libcoap on "
                                                "OpenSSL"),
                                       ret_text);
        r = est_place_find(parts(s)->tree, s->env->config, &s->place, &why);
        if (r < 0)
                return fail_to_connect(s, r, why, ret_text);
        s->again = est_server_is_ready(s) && !s->first_keys;
        s->single = false;
        g_clear_pointer(&s->found, g_strfreev);
        credentials = link_credentials(s);
        lc.uri = s->place->uri;
        lc.credentials = credentials;
        return transport(s)->open(parts(s)->transport_userdata, &lc, &link_events, s, &s->link);
}

/* --- requests --- */

static int take_authorities(EstServer *s, const Message *response, char **ret_error) {
        GBytes *authorities = NULL;
        int r;

        r = parts(s)->est->read_authorities(response->payload, response->format, &authorities,
                                            ret_error);
        if (r < 0)
                return r;
        g_clear_pointer(&s->authorities, g_bytes_unref);
        s->authorities = authorities;
        return 0;
}

static int take_place(EstServer *s, const Message *response, char **ret_error) {
        char **path = NULL;
        int r;

        r = est_discover(response->payload, &path);
        if (r < 0) {
                *ret_error = g_strdup(r == -ENOENT ? "the server has no resources for EST"
                                                   : "the server's links cannot be used");
                return r;
        }
        g_strfreev(s->found);
        s->found = path;
        return 0;
}

static int take_attributes(EstServer *s, const Message *response, char **ret_error) {
        EstAttributes attributes = { 0 };
        int r;

        r = parts(s)->est->read_attributes(response->payload, &attributes, ret_error);
        if (r < 0)
                return r;
        if (attributes.n_ignored > 0)
                log_with(LOG_LEVEL_DEBUG, (&(LogFields){ .ssid = s->ssid }),
                         "EST: %u attributes that the server wants are not known here",
                         attributes.n_ignored);
        s->attributes = attributes;
        return 0;
}

static void note_record(EstServer *s, EstRecord *record, uint64_t now_usec) {
        est_record_free(s->record);
        s->record = record;
        s->since_sec = wall_sec(s);
        s->jitter = g_rand_double(s->env->server->rnd);
        s->not_before_usec = now_usec + s->env->config->renew_min_usec;
        watch_expiry(s, now_usec);
}

/* Either all of it counts, or what was there before does. */
static int take_certificate(EstServer *s, const Message *response, char **ret_error,
                            uint64_t now_usec) {
        const EstAnswer answer = { .body = response->payload,
                                   .format = response->format,
                                   .key = s->key,
                                   .authorities = s->authorities,
                                   .now_sec = wall_sec(s),
                                   .ignore_dates = clock_is_unset(s) };
        g_autoptr(EstRecord) record = est_record_new(s->env->server->endpoint);
        int r;

        r = parts(s)->est->read_certificate(&answer, &record->certificate, ret_error);
        if (r < 0)
                return r;
        record->key = g_bytes_ref(s->key);
        record->authorities = g_bytes_ref(s->authorities);
        r = est_record_save(record, parts(s)->store, s->ssid);
        if (r < 0) {
                *ret_error = g_strdup_printf("the certificate cannot be kept: %s", g_strerror(-r));
                return r;
        }
        g_clear_pointer(&s->key, g_bytes_unref);
        note_record(s, g_steal_pointer(&record), now_usec);
        return 0;
}

/* The server has the request and thinks about it, for days if need be: the same key must be there
 * when its answer comes. */
static void keep_pending(EstServer *s) {
        g_autoptr(EstRecord) fresh = NULL;
        EstRecord *record = s->record;
        int r;

        if (!s->key || (record && record->pending == s->key))
                return;
        if (!certificate(s))
                record = fresh = est_record_new(s->env->server->endpoint);
        g_clear_pointer(&record->pending, g_bytes_unref);
        record->pending = g_bytes_ref(s->key);
        r = est_record_save(record, parts(s)->store, s->ssid);
        if (r < 0)
                log_at(LOG_LEVEL_WARNING, r, (&(LogFields){ .ssid = s->ssid }),
                       "Cannot keep the key that a certificate was asked for with: %m");
        if (fresh) {
                est_record_free(s->record);
                s->record = g_steal_pointer(&fresh);
        }
}

static void drop_pending(EstServer *s) {
        g_clear_pointer(&s->key, g_bytes_unref);
        if (s->record && s->record->pending) {
                g_clear_pointer(&s->record->pending, g_bytes_unref);
                (void) est_record_save(s->record, parts(s)->store, s->ssid);
        }
}

static int take(EstServer *s, const Message *response, char **ret_error, uint64_t now_usec) {
        size_t n = response->payload ? g_bytes_get_size(response->payload) : 0;

        if (n > s->env->config->body_max) {
                *ret_error = g_strdup_printf("an answer of %zu bytes, [Limits] EstBody is %zu", n,
                                             s->env->config->body_max);
                return -EFBIG;
        }
        if (n == 0 && s->what == ENROL_ASK_ATTRIBUTES)
                return 0;
        if (n == 0) {
                *ret_error = g_strdup("an answer without content");
                return -EBADMSG;
        }
        switch (s->what) {
        case ENROL_ASK_AUTHORITIES:
                return take_authorities(s, response, ret_error);
        case ENROL_ASK_PLACE:
                return take_place(s, response, ret_error);
        case ENROL_ASK_ATTRIBUTES:
                return take_attributes(s, response, ret_error);
        case ENROL_ASK_CERTIFICATE:
        default:
                return take_certificate(s, response, ret_error, now_usec);
        }
}

static int ask(EstServer *s, const char **ret_text);

static void refused(EstServer *s, const Message *response, uint64_t now_usec) {
        const bool is_certificate = s->what == ENROL_ASK_CERTIFICATE;
        g_autofree char *text = tell_diagnostic(response);

        if (is_certificate && response->code == CODE(5, 3))
                keep_pending(s);
        else if (is_certificate && response->code >> 5 == 4)
                drop_pending(s);
        enrol_answer(s->machine, 0, response->code, response->max_age, text, now_usec);
}

static void on_response(void *userdata, int error, const Message *response, uint64_t now_usec) {
        EstServer *s = userdata;
        g_autofree char *text = NULL;
        const char *why = NULL;
        int r;

        s->call = NULL;
        if (error == -EFBIG)
                text = g_strdup_printf("an answer above [Limits] EstBody, %zu bytes",
                                       s->env->config->body_max);
        if (error < 0) {
                enrol_answer(s->machine, error, 0, -1, text, now_usec);
                return;
        }
        if (response->code == CODE(4, 6) && !s->single && s->what == ENROL_ASK_CERTIFICATE) {
                s->single = true;
                r = ask(s, &why);
                if (r < 0)
                        enrol_answer(s->machine, r, 0, -1, why, now_usec);
                return;
        }
        if (response->code >> 5 != 2) {
                refused(s, response, now_usec);
                return;
        }
        r = take(s, response, &text, now_usec);
        enrol_answer(s->machine, r, response->code, -1, text, now_usec);
        if (r >= 0 && s->what == ENROL_ASK_CERTIFICATE)
                s->env->renewed(s->env->userdata, now_usec);
}

/* A key that was used in a request whose answer is not known goes on; else a new one is made. */
static int prepare_key(EstServer *s, char **ret_error) {
        EstCurve curve = s->attributes.has_curve ? s->attributes.curve : s->env->config->curve;

        if (!s->key && s->record && s->record->pending)
                s->key = g_bytes_ref(s->record->pending);
        return s->key ? 0 : parts(s)->est->make_key(curve, &s->key, ret_error);
}

static int send_request(EstServer *s, uint8_t method, const char *name, int accept,
                        GBytes *payload) {
        Message m = MESSAGE_INIT(method);
        g_autoptr(GPtrArray) path = g_ptr_array_new();

        if (!s->link)
                return -ENOTCONN;
        for (char **segment = s->found ? s->found : s->place->path; *segment; segment++)
                g_ptr_array_add(path, *segment);
        g_ptr_array_add(path, (char *) name);
        g_ptr_array_add(path, NULL);
        m.path = (const char *const *) path->pdata;
        m.accept = accept;
        m.payload = payload;
        m.format = payload ? EST_FORMAT_REQUEST : -1;
        m.answer_max = s->env->config->body_max;
        return transport(s)->request(s->link, &m, on_response, s, &s->call);
}

static int ask_place(EstServer *s) {
        static const char *const path[] = { ".well-known", "core", NULL };
        static const char *const query[] = { "rt=ace.est*", NULL };
        Message m = MESSAGE_INIT(METHOD_GET);

        if (!s->link)
                return -ENOTCONN;
        m.path = path;
        m.query = query;
        m.accept = FORMAT_LINK;
        m.answer_max = s->env->config->body_max;
        return transport(s)->request(s->link, &m, on_response, s, &s->call);
}

static bool may_search(void *userdata) {
        const EstServer *s = userdata;

        return s->place && s->place->usual;
}

static int ask_certificate(EstServer *s, char **ret_error) {
        g_autoptr(GBytes) request = NULL;
        int r;

        r = prepare_key(s, ret_error);
        if (r >= 0)
                r = parts(s)->est->make_request(s->key, s->env->server->endpoint, &s->attributes,
                                                &request, ret_error);
        return r < 0 ? r
                     : send_request(s, METHOD_POST, s->again ? "sren" : "sen",
                                    s->single ? EST_FORMAT_CERT : EST_FORMAT_CERTS, request);
}

static int ask(EstServer *s, const char **ret_text) {
        char *why = NULL;
        int r;

        switch (s->what) {
        case ENROL_ASK_AUTHORITIES:
                return send_request(s, METHOD_GET, "crts", EST_FORMAT_CERTS, NULL);
        case ENROL_ASK_PLACE:
                return ask_place(s);
        case ENROL_ASK_ATTRIBUTES:
                s->attributes = (EstAttributes){ 0 };
                if (s->env->config->skip_attributes)
                        return -ENOTSUP;
                return send_request(s, METHOD_GET, "att", EST_FORMAT_ATTRIBUTES, NULL);
        case ENROL_ASK_CERTIFICATE:
        default:
                r = ask_certificate(s, &why);
                if (why) {
                        g_free(s->reason);
                        *ret_text = s->reason = why;
                }
                return r;
        }
}

static int on_ask(void *userdata, EnrolRequest what, const char **ret_text, uint64_t now_usec) {
        EstServer *s = userdata;

        s->what = what;
        return ask(s, ret_text);
}

/* --- events --- */

/* An EST server that does not take the present certificate may still take what we began with. */
static void choose_next_keys(EstServer *s, const EnrolEvent *event) {
        bool not_taken = event->code >> 5 == 4 || event->error == -EKEYREJECTED ||
                         event->error == -EKEYEXPIRED || event->error == -EPROTO;

        s->first_keys = event->failure && s->again && not_taken;
}

static void note_error(EstServer *s, const EnrolEvent *event) {
        g_autofree char *code = NULL;

        if (!event->failure) {
                set_text(&s->error_code, "");
                set_text(&s->error_text, "");
                return;
        }
        if (event->code >= CODE(4, 0))
                code = g_strdup_printf("%u.%02u", event->code >> 5, event->code & 31U);
        set_text(&s->error_code, code ? code : tell_error_name(event->error));
        set_text(&s->error_text, event->text    ? event->text
                                 : event->error ? g_strerror(-event->error)
                                                : "the EST server refused");
}

static char *time_text(int64_t sec) {
        g_autoptr(GDateTime) t = g_date_time_new_from_unix_utc(sec);

        return t ? g_date_time_format(t, "%Y-%m-%dT%H:%M:%SZ") : g_strdup_printf("%" PRId64, sec);
}

static void log_event(const EstServer *s, const EnrolEvent *event, uint64_t now_usec) {
        const EstCertificate *c = certificate(s);
        g_autoptr(GString) line = g_string_new(event->name);
        uint64_t wait_usec = event->next_usec == USEC_INFINITY ? 0 : event->next_usec - now_usec;

        if (event->failure)
                g_string_append_printf(line, ": %s%s%s (%s)",
                                       event->code >= CODE(4, 0) ? s->error_code : "",
                                       event->code >= CODE(4, 0) ? " " : "", s->error_text,
                                       s->place ? s->place->uri : "no EST server");
        else if (strcmp(event->name, "est-enrolled") == 0 && c) {
                g_autofree char *until = time_text(c->not_after_sec);

                g_string_append_printf(line, ": '%s' by '%s' until %s", c->subject, c->issuer,
                                       until);
        }
        if (event->next_usec != USEC_INFINITY && strcmp(event->name, "est-enrolled") != 0)
                g_string_append_printf(line, ", next attempt in %" PRIu64 " s",
                                       (wait_usec + USEC_PER_SEC / 2) / USEC_PER_SEC);
        log_with(event->failure ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
                 (&(LogFields){
                         .ssid = s->ssid, .event = event->name, .id = catalog_id(event->name) }),
                 "%s", line->str);
}

/* 99991231235959Z, "for ever" (RFC 5280, section 4.1.2.5), has no nanoseconds that fit. */
static int64_t until_ns(const EstCertificate *c) {
        return CLAMP(c->not_after_sec, INT64_MIN / SEC_NS, INT64_MAX / SEC_NS) * SEC_NS;
}

static void add(GPtrArray *details, const char *key, char *value /* taken over */) {
        if (!value)
                return;
        g_ptr_array_add(details, g_strdup(key));
        g_ptr_array_add(details, value);
}

static GPtrArray *details_of(const EstServer *s, const EnrolEvent *event, uint64_t now_usec) {
        GPtrArray *d = g_ptr_array_new_with_free_func(g_free);
        const EstCertificate *c = certificate(s);
        const bool enrolled = strcmp(event->name, "est-enrolled") == 0;

        add(d, "uri", s->place ? g_strdup(s->place->uri) : NULL);
        if (event->failure) {
                add(d, event->code ? "code" : "error", g_strdup(s->error_code));
                add(d, "text", g_strdup(s->error_text));
        }
        if (enrolled && c) {
                add(d, "subject", g_strdup(c->subject));
                add(d, "issuer", g_strdup(c->issuer));
                add(d, "until", g_strdup_printf("%" PRId64, until_ns(c)));
        }
        if (event->next_usec != USEC_INFINITY && !enrolled)
                add(d, "retry-at",
                    g_strdup_printf("%" PRId64,
                                    server_wall_ns(s->env->server) +
                                            (int64_t) (event->next_usec - now_usec) * 1000));
        g_ptr_array_add(d, NULL);
        return d;
}

static void on_event(void *userdata, const EnrolEvent *event, uint64_t now_usec) {
        EstServer *s = userdata;
        g_autoptr(GPtrArray) details = NULL;

        choose_next_keys(s, event);
        note_error(s, event);
        log_event(s, event, now_usec);
        details = details_of(s, event, now_usec);
        events_emit(s->env->server->events, server_wall_ns(s->env->server), event->name, s->ssid,
                    (const char *const *) details->pdata);
}

static void on_changed(void *userdata, uint64_t now_usec) {
        EstServer *s = userdata;

        log_with(LOG_LEVEL_DEBUG, (&(LogFields){ .ssid = s->ssid }), "EST: %s",
                 enrol_state_name(enrol_state(s->machine)));
        s->env->changed(s->env->userdata, s->ssid, now_usec);
}

static const EnrolOps machine_ops = {
        .connect = connect_link,
        .disconnect = drop_link,
        .request = on_ask,
        .may_search = may_search,
        .due = due,
        .event = on_event,
        .changed = on_changed,
};

/* --- life --- */

static void load(EstServer *s) {
        est_record_free(s->record);
        s->record = est_record_load(parts(s)->store, s->ssid);
        s->jitter = g_rand_double(s->env->server->rnd);
}

EstServer *est_server_new(const EstEnv *env, uint16_t ssid) {
        const ClientConfig *c = env->server->config;
        const EnrolConfig mc = { .retry = { .count = RETRY_COUNT,
                                            .timer_sec = RETRY_TIMER_SEC,
                                            .sequence_delay_sec = RETRY_NO_SEQUENCE,
                                            .cap_sec = c->backoff_max_sec },
                                 .give_up = c->give_up };
        EstServer *s = g_new0(EstServer, 1);

        s->env = env;
        s->ssid = ssid;
        s->machine = enrol_new(&mc, &machine_ops, s, parts(s)->timers, env->server->rnd);
        s->expiry_timer = timer_new(parts(s)->timers, on_expiry, s);
        set_text(&s->error_code, "");
        set_text(&s->error_text, "");
        load(s);
        return s;
}

EstServer *est_server_free(EstServer *s) {
        if (!s)
                return NULL;
        drop_link(s);
        enrol_free(s->machine);
        timer_free(s->expiry_timer);
        est_record_free(s->record);
        est_place_free(s->place);
        g_strfreev(s->found);
        g_clear_pointer(&s->authorities, g_bytes_unref);
        g_clear_pointer(&s->key, g_bytes_unref);
        g_free(s->reason);
        g_free(s->error_code);
        g_free(s->error_text);
        g_free(s);
        return NULL;
}

uint16_t est_server_ssid(const EstServer *s) {
        return s->ssid;
}

void est_server_start(EstServer *s, uint64_t now_usec) {
        g_clear_pointer(&s->key, g_bytes_unref);
        load(s); /* a factory reset may have emptied the store meanwhile */
        s->since_sec = 0;
        s->not_before_usec = 0;
        s->first_keys = false;
        watch_expiry(s, now_usec);
        (void) enrol_input(s->machine, ENROL_START, now_usec);
}

void est_server_stop(EstServer *s, uint64_t now_usec) {
        s->holds = s->lapsed = false;
        timer_disarm(s->expiry_timer);
        (void) enrol_input(s->machine, ENROL_STOP, now_usec);
}

void est_server_pause(EstServer *s, uint64_t now_usec) {
        timer_disarm(s->expiry_timer);
        (void) enrol_input(s->machine, ENROL_PAUSE, now_usec);
}

void est_server_resume(EstServer *s, uint64_t now_usec) {
        s->lapsed = s->lapsed || (certificate(s) && !est_server_is_ready(s));
        watch_expiry(s, now_usec);
        if (enrol_input(s->machine, ENROL_RESUME, now_usec) < 0) /* it came during the pause */
                (void) enrol_input(s->machine, ENROL_START, now_usec);
}

void est_server_follow(EstServer *s, uint64_t now_usec) {
        g_autoptr(EstPlace) place = NULL;
        g_autofree char *why = NULL;
        EnrolState state = enrol_state(s->machine);

        if (state != ENROL_RETRYING && state != ENROL_GIVEN_UP)
                return;
        if (est_place_find(parts(s)->tree, s->env->config, &place, &why) >= 0 &&
            !est_place_equal(place, s->place))
                (void) enrol_input(s->machine, ENROL_START, now_usec);
}

int est_server_now(EstServer *s, uint64_t now_usec) {
        return enrol_input(s->machine, ENROL_NOW, now_usec);
}

void est_server_forget(EstServer *s) {
        s->record = est_record_free(s->record);
        est_record_forget(parts(s)->store, s->ssid);
}

/* --- for people --- */

static const char *state_text(const EstServer *s) {
        switch (enrol_state(s->machine)) {
        case ENROL_CONNECTING:
        case ENROL_TRUSTING:
        case ENROL_SEARCHING:
        case ENROL_ASKING:
        case ENROL_REQUESTING:
        case ENROL_DELAYED:
                return "enrolling";
        case ENROL_RETRYING:
        case ENROL_GIVEN_UP:
        case ENROL_FAILING:
                return "failed";
        case ENROL_IDLE:
        case ENROL_ENROLLED:
        case ENROL_PAUSED:
        case ENROL_ANY:
                break;
        }
        return NULL;
}

bool est_server_holds(EstServer *s) {
        s->holds = !est_server_is_ready(s);
        return s->holds;
}

EstRelease est_server_releases(EstServer *s) {
        EstRelease release = s->holds    ? EST_RELEASE_START
                             : s->lapsed ? EST_RELEASE_RETRY
                                         : EST_RELEASE_NOTHING;

        if (!est_server_is_ready(s))
                return EST_RELEASE_NOTHING;
        s->holds = s->lapsed = false;
        return release;
}

bool est_server_is_enrolling(const EstServer *s) {
        const char *state = state_text(s);

        return !est_server_is_ready(s) && state && strcmp(state, "enrolling") == 0;
}

void est_server_info(const EstServer *s, bool at_work, ServerInfo *ret) {
        const EstCertificate *c = certificate(s);
        const char *state = state_text(s);

        ret->enrolling = enrol_state_name(enrol_state(s->machine));
        if (c) {
                ret->enrolled_until_ns = until_ns(c);
                ret->enrolled_by = c->issuer;
        }
        if (state && !at_work && !est_server_is_ready(s))
                ret->state = state;
        if (*s->error_text && (!at_work || !*ret->last_error_text)) {
                ret->last_error_code = s->error_code;
                ret->last_error_text = s->error_text;
        }
}
