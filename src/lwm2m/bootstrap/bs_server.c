/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/bootstrap/bs_server.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "codec/format.h"
#include "lwm2m/bootstrap/bootstrap.h"
#include "lwm2m/bootstrap/bs_dm.h"
#include "lwm2m/catalog.h"
#include "lwm2m/server/server_tell.h"
#include "lwm2m/server/session.h"
#include "util/log.h"

/* Between attempts: 10 s, doubling five times and then on to the cap. */
#define RETRY_COUNT 5
#define RETRY_TIMER_SEC 10

#define LISTEN_PORT 5683 /* CoAP's own */

struct BsServer {
        const BsServerEnv *env;
        Account *account;
        Bootstrap *machine;
        BsDm *dm;
        Link *link;
        Session *session;
        Call *call;
        Timer *purge_timer;
        int alert; /* of TLS or DTLS, from the server over this link; -1: none */
        bool running;
        bool explicit; /* asked for by a user or a server: not dropped when a server registers */
        bool failed;   /* the last attempt */
        bool pack;     /* the request under way */
        char *address, *reason, *error_code, *error_text;
};

static const ClientConfig *config(const BsServer *s) {
        return s->env->server->config;
}

static const ClientParts *parts(const BsServer *s) {
        return s->env->server->parts;
}

static const TransportOps *transport(const BsServer *s) {
        return parts(s)->transport;
}

static int64_t wall_ns(const BsServer *s) {
        return server_wall_ns(s->env->server);
}

static void set_text(char **where, const char *text) {
        g_free(*where);
        *where = g_strdup(text ? text : "");
}

static Version version_of(const ClientConfig *c) {
        return c->version.major > 0 ? c->version : (Version){ 1, 1 };
}

/* --- the link --- */

static void drop_link(void *userdata) {
        BsServer *s = userdata;

        bs_dm_close(s->dm);
        if (s->call)
                transport(s)->cancel(g_steal_pointer(&s->call));
        if (s->link) {
                transport(s)->close(g_steal_pointer(&s->link));
                session_link_closed(s->session, 0);
        }
        set_text(&s->address, "");
}

static void on_secured(void *owner, const LinkSecurity *security, uint64_t now_usec) {
        BsServer *s = owner;

        session_agreed(s->session, security, wall_ns(s));
        events_changed(s->env->server->events, BS_SSID);
}

/* What 1/x/11 is for the others: this account has no instance of object 1. */
static void on_alert(void *owner, uint8_t description, uint64_t now_usec) {
        BsServer *s = owner;

        s->alert = description;
}

static uint16_t listen_port(const BsServer *s) {
        return config(s)->bootstrap_port ?: LISTEN_PORT;
}

static void on_up(void *owner, uint64_t now_usec) {
        BsServer *s = owner;

        if (bootstrap_state(s->machine) == BOOTSTRAP_HOLDING &&
            transport(s)->place(s->link).port != listen_port(s))
                log_warning("Port %u is taken: the bootstrap server cannot begin by itself",
                            listen_port(s));
        set_text(&s->address, transport(s)->peer(s->link));
        (void) bootstrap_input(s->machine, BOOTSTRAP_UP, now_usec);
}

static void on_down(void *owner, int error, const char *reason, uint64_t now_usec) {
        BsServer *s = owner;
        g_autofree char *why = s->alert > 0 ? g_strdup_printf("%s (alert %d)", reason, s->alert)
                                            : g_strdup(reason);
        bool handshake = !*session_cipher(s->session);

        drop_link(s);
        if (handshake)
                session_link_closed(s->session, error);
        bootstrap_down(s->machine, error, why, now_usec);
}

static void on_request(void *owner, Exchange *x, const Message *request, uint64_t now_usec) {
        bs_dm_request(((BsServer *) owner)->dm, x, request, now_usec);
}

static const LinkEvents link_events = {
        .secured = on_secured,
        .up = on_up,
        .down = on_down,
        .alert = on_alert,
        .request = on_request,
};

static int open_link(BsServer *s, LinkPlace place, const char **ret_text) {
        LinkConfig lc = session_link_config(s->session, s->account, wall_ns(s),
                                            config(s)->dates_need_clock);
        g_autofree char *why = NULL;
        int r;

        lc.socket = client_config_socket(config(s), BS_SSID);
        lc.place = place;
        s->alert = -1;
        r = account_check_security(s->account->uri, s->account->credentials, &why);
        if (r < 0) {
                g_free(s->reason);
                *ret_text = s->reason = g_steal_pointer(&why);
                return r;
        }
        return transport(s)->open(parts(s)->transport_userdata, &lc, &link_events, s, &s->link);
}

static int connect_link(void *userdata, const char **ret_text, uint64_t now_usec) {
        return open_link(userdata, (LinkPlace){ 0 }, ret_text);
}

/* From the port where such a server expects us. Nobody else gets through to a socket that is
 * connected to its address, and without security there is nothing to begin with. */
static int listen_link(void *userdata, uint64_t now_usec) {
        BsServer *s = userdata;
        const LinkPlace place = { .port = listen_port(s) };
        const char *text = NULL;
        int r;

        if (s->link)
                return 0;
        if (s->account->credentials->mode != SECURITY_MODE_NOSEC ||
            account_uri_is_tcp(s->account->uri))
                return -EOPNOTSUPP;
        r = open_link(s, place, &text);
        if (r < 0)
                log_warning_errno(r, "Cannot wait for the bootstrap server: %m");
        return r;
}

/* --- requests --- */

/* A pack that cannot be used is answered for by asking in the other way (TS Core 1.2, 6.1.6). */
static void take_pack(BsServer *s, const Message *response, uint64_t now_usec) {
        g_autofree char *why = NULL;
        int r;

        r = bs_dm_pack(s->dm, response->format, response->payload, &why, now_usec);
        if (r >= 0)
                return;
        log_warning("bootstrap: the Bootstrap-Pack cannot be used: %s", why ? why : g_strerror(-r));
        bootstrap_answer(s->machine, -EBADMSG, response->code, why, now_usec);
}

static void on_response(void *userdata, int error, const Message *response, uint64_t now_usec) {
        BsServer *s = userdata;
        g_autofree char *text = NULL;

        s->call = NULL;
        if (error >= 0 && s->pack && response->code == CODE(2, 5)) {
                take_pack(s, response, now_usec);
                return;
        }
        if (error >= 0)
                text = tell_diagnostic(response);
        if (error >= 0 && s->pack)
                log_info("bootstrap: no Bootstrap-Pack to be had (%u.%02u), asking for a session",
                         response->code >> 5, response->code & 31U);
        bootstrap_answer(s->machine, error, error >= 0 ? response->code : 0, text, now_usec);
}

static Format preferred_format_of(const BsServer *s) {
        int f = config(s)->bootstrap_format;

        return f > 0 ? (Format) f : FORMAT_SENML_CBOR;
}

static int send_what(void *userdata, bool pack, bool preferred_format, uint64_t now_usec) {
        static const char *const paths[][2] = { { "bs", NULL }, { "bspack", NULL } };
        BsServer *s = userdata;
        g_autofree char *ep = g_strconcat("ep=", s->env->server->endpoint, NULL);
        g_autofree char *pct = g_strdup_printf("pct=%u", (unsigned) preferred_format_of(s));
        const char *query[] = { ep, !pack && preferred_format ? pct : NULL, NULL };
        Message m = MESSAGE_INIT(pack ? METHOD_GET : METHOD_POST);

        if (!s->link)
                return -ENOTCONN;
        s->pack = pack;
        m.path = paths[pack];
        m.query = query;
        if (pack)
                m.accept = preferred_format_of(s) == FORMAT_TLV ? FORMAT_SENML_CBOR
                                                                : (int) preferred_format_of(s);
        return transport(s)->request(s->link, &m, on_response, s, &s->call);
}

/* --- the session --- */

static void on_session(void *userdata, bool open) {
        BsServer *s = userdata;

        if (open)
                bs_dm_open(s->dm);
        else
                bs_dm_close(s->dm);
}

static void on_operation(void *userdata, uint64_t now_usec) {
        (void) bootstrap_input(((BsServer *) userdata)->machine, BOOTSTRAP_OPERATION, now_usec);
}

static void on_finish(void *userdata, uint64_t now_usec) {
        (void) bootstrap_input(((BsServer *) userdata)->machine, BOOTSTRAP_FINISH, now_usec);
}

/* --- the account's own end --- */

static int64_t last_bootstrapped_sec(const BsServer *s) {
        Path p = PATH_O(OBJECT_SERVER);
        const Value *v;
        int64_t last = 0;

        while (tree_next_instance(parts(s)->tree, &p, &p) == 0 && p.id[0] == OBJECT_SERVER) {
                const Path at = path_child(&p, SERVER_LAST_BOOTSTRAPPED);

                if (tree_get(parts(s)->tree, &at, &v) == 0 && v->type == VALUE_TIME)
                        last = MAX(last, v->i);
        }
        return last;
}

/* 0/x/12 counts from the end of the last bootstrap, which 1/x/12 has over restarts. Where that is
 * not (LwM2M 1.0), or lies in the future, it counts from now. */
static void watch_timeout(BsServer *s, uint64_t now_usec) {
        int64_t last = last_bootstrapped_sec(s), now_sec = wall_ns(s) / 1000000000;
        uint64_t left = s->account->account_timeout_sec;

        if (left == 0 || tree_n_instances(parts(s)->tree, OBJECT_SERVER) == 0) {
                timer_disarm(s->purge_timer);
                return;
        }
        if (last > 0 && last <= now_sec)
                left = (uint64_t) (now_sec - last) < left ? left - (uint64_t) (now_sec - last) : 0;
        timer_arm(s->purge_timer, now_usec + left * USEC_PER_SEC);
}

static void on_purge(void *userdata, uint64_t now_usec) {
        BsServer *s = userdata;
        int r;

        if (bootstrap_is_active(s->machine)) { /* not under its own feet */
                timer_arm(s->purge_timer, now_usec + 10 * USEC_PER_SEC);
                return;
        }
        (void) bootstrap_input(s->machine, BOOTSTRAP_STOP, now_usec);
        r = bs_account_remove(parts(s)->tree);
        if (r < 0)
                log_warning_errno(r, "Cannot remove the bootstrap server's account: %m");
        else
                log_info("The bootstrap server's account is removed, as /0/%u/12 says",
                         s->account->security_instance);
}

static void on_finished(void *userdata, int error, const char *text, uint64_t now_usec) {
        BsServer *s = userdata;

        if (error < 0) {
                bootstrap_inconsistent(s->machine, error, text, now_usec);
                return;
        }
        s->failed = false;
        s->explicit = false;
        (void) bootstrap_input(s->machine, BOOTSTRAP_DONE, now_usec);
        watch_timeout(s, now_usec);
        s->env->transferred(s->env->userdata, now_usec);
}

/* --- events --- */

static void note_error(BsServer *s, const BootstrapEvent *event) {
        g_autofree char *code = NULL;

        if (event->code >= CODE(4, 0))
                code = g_strdup_printf("%u.%02u", event->code >> 5, event->code & 31U);
        set_text(&s->error_code, code ? code : tell_error_name(event->error));
        set_text(&s->error_text, event->text    ? event->text
                                 : event->error ? g_strerror(-event->error)
                                                : "the server refused");
}

static void log_event(const BsServer *s, const BootstrapEvent *event, uint64_t now_usec) {
        g_autoptr(GString) line = g_string_new(event->name);

        if (event->failure)
                g_string_append_printf(line, ": %s%s%s (%s)", event->code ? s->error_code : "",
                                       event->code ? " " : "", s->error_text, s->account->uri);
        else
                g_string_append_printf(line, ": %s as %s", s->account->uri,
                                       s->env->server->endpoint);
        if (event->next_usec != USEC_INFINITY)
                g_string_append_printf(line, ", next attempt in %" PRIu64 " s",
                                       (event->next_usec - now_usec + USEC_PER_SEC / 2) /
                                               USEC_PER_SEC);
        log_with(event->failure ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
                 (&(LogFields){ .event = event->name, .id = catalog_id(event->name) }), "%s",
                 line->str);
}

static void on_event(void *userdata, const BootstrapEvent *event, uint64_t now_usec) {
        BsServer *s = userdata;
        g_autofree char *at = NULL;
        const char *details[11] = { "uri", s->account->uri };
        size_t n = 2;

        s->failed = event->failure;
        if (event->failure) {
                note_error(s, event);
                details[n++] = event->code ? "code" : "error";
                details[n++] = s->error_code;
                details[n++] = "text";
                details[n++] = s->error_text;
        } else {
                set_text(&s->error_code, "");
                set_text(&s->error_text, "");
        }
        if (event->next_usec != USEC_INFINITY) {
                at = g_strdup_printf("%" PRId64,
                                     wall_ns(s) + (int64_t) (event->next_usec - now_usec) * 1000);
                details[n++] = "retry-at";
                details[n++] = at;
        }
        /* The server may still put right what it has asked for. */
        if (event->failure && bootstrap_state(s->machine) == BOOTSTRAP_SESSION) {
                details[n++] = "session";
                details[n++] = "open";
        }
        log_event(s, event, now_usec);
        events_emit(s->env->server->events, wall_ns(s), event->name, BS_SSID, details);
}

static void on_changed(void *userdata, uint64_t now_usec) {
        BsServer *s = userdata;

        log_debug("bootstrap: %s", bootstrap_state_name(bootstrap_state(s->machine)));
        events_changed(s->env->server->events, BS_SSID);
        s->env->changed(s->env->userdata, now_usec);
}

static const BootstrapOps machine_ops = {
        .connect = connect_link,
        .listen = listen_link,
        .disconnect = drop_link,
        .request = send_what,
        .session = on_session,
        .event = on_event,
        .changed = on_changed,
};

/* --- life --- */

static BootstrapConfig machine_config(const BsServer *s) {
        const ClientConfig *c = config(s);
        const Version v = version_of(c);

        return (BootstrapConfig){
                .retry = { .count = RETRY_COUNT,
                           .timer_sec = RETRY_TIMER_SEC,
                           .sequence_delay_sec = RETRY_NO_SEQUENCE,
                           .cap_sec = c->backoff_max_sec },
                .hold_off_sec = s->account->hold_off_sec,
                .session_max_usec = c->bootstrap_max_usec,
                .unsolicited = v.minor == 0,
                .pack = v.minor >= 2,
                .preferred_format = v.minor >= 1,
                .give_up = c->give_up,
        };
}

BsServer *bs_server_new(const BsServerEnv *env, Account *account) {
        BsServer *s = g_new0(BsServer, 1);
        BootstrapConfig mc;
        BsDmConfig dc = {
                .dm = env->server->parts->dm,
                .limits = { .paths = env->server->config->bootstrap_paths,
                            .bytes = env->server->config->bootstrap_bytes },
                .version = version_of(env->server->config),
                .wall_clock_ns = env->server->parts->wall_clock_ns,
                .operation = on_operation,
                .finish = on_finish,
                .finished = on_finished,
                .userdata = s,
        };

        s->env = env;
        s->account = account;
        s->alert = -1;
        s->session = session_new(parts(s)->store, account);
        s->dm = bs_dm_new(&dc);
        mc = machine_config(s);
        s->machine = bootstrap_new(&mc, &machine_ops, s, parts(s)->timers, env->server->rnd);
        s->purge_timer = timer_new(parts(s)->timers, on_purge, s);
        set_text(&s->address, "");
        set_text(&s->error_code, "");
        set_text(&s->error_text, "");
        return s;
}

BsServer *bs_server_free(BsServer *s) {
        if (!s)
                return NULL;
        drop_link(s);
        bootstrap_free(s->machine);
        bs_dm_free(s->dm);
        timer_free(s->purge_timer);
        session_free(s->session);
        account_free(s->account);
        g_free(s->address);
        g_free(s->reason);
        g_free(s->error_code);
        g_free(s->error_text);
        g_free(s);
        return NULL;
}

void bs_server_forget(BsServer *s) {
        session_forget(s->session);
}

const Account *bs_server_account(const BsServer *s) {
        return s->account;
}

void bs_server_set_account(BsServer *s, Account *account) {
        BootstrapConfig mc;

        account_free(s->account);
        s->account = account;
        mc = machine_config(s);
        bootstrap_set_config(s->machine, &mc);
}

void bs_server_start(BsServer *s, uint64_t now_usec) {
        s->running = true;
        watch_timeout(s, now_usec);
}

void bs_server_stop(BsServer *s, uint64_t now_usec) {
        s->running = s->explicit = s->failed = false;
        timer_disarm(s->purge_timer);
        (void) bootstrap_input(s->machine, BOOTSTRAP_STOP, now_usec);
}

void bs_server_pause(BsServer *s, uint64_t now_usec) {
        (void) bootstrap_input(s->machine, BOOTSTRAP_PAUSE, now_usec);
}

void bs_server_resume(BsServer *s, uint64_t now_usec) {
        (void) bootstrap_input(s->machine, BOOTSTRAP_RESUME, now_usec);
}

void bs_server_want(BsServer *s, uint64_t now_usec) {
        (void) bootstrap_input(s->machine, BOOTSTRAP_WANT, now_usec);
}

int bs_server_now(BsServer *s, uint64_t now_usec) {
        int r = bootstrap_input(s->machine, BOOTSTRAP_NOW, now_usec);

        if (r >= 0)
                s->explicit = true;
        return r;
}

void bs_server_drop(BsServer *s, uint64_t now_usec) {
        if (!s->explicit)
                (void) bootstrap_input(s->machine, BOOTSTRAP_DROP, now_usec);
}

bool bs_server_is_active(const BsServer *s) {
        return bootstrap_is_active(s->machine);
}

bool bs_server_is_waiting(const BsServer *s) {
        BootstrapState state = bootstrap_state(s->machine);

        return state == BOOTSTRAP_HOLDING || state == BOOTSTRAP_RETRYING;
}

bool bs_server_is_lingering(const BsServer *s) {
        return bootstrap_state(s->machine) == BOOTSTRAP_LINGERING;
}

bool bs_server_has_failed(const BsServer *s) {
        return s->failed;
}

/* --- for people --- */

static const char *state_text(const BsServer *s) {
        switch (bootstrap_state(s->machine)) {
        case BOOTSTRAP_CONNECTING:
                return server_uri_is_literal(s->account->uri) ? "connecting" : "resolving";
        case BOOTSTRAP_PACKING:
        case BOOTSTRAP_REQUESTING:
        case BOOTSTRAP_SESSION:
        case BOOTSTRAP_FINISHING:
                return "bootstrapping";
        case BOOTSTRAP_RETRYING:
        case BOOTSTRAP_GIVEN_UP:
        case BOOTSTRAP_FAILING:
                return "failed";
        case BOOTSTRAP_IDLE:
        case BOOTSTRAP_HOLDING:
        case BOOTSTRAP_LINGERING:
        case BOOTSTRAP_PAUSED:
        case BOOTSTRAP_ANY:
                break;
        }
        return "idle";
}

void bs_server_info(const BsServer *s, ServerInfo *ret) {
        int64_t last = last_bootstrapped_sec(s);

        *ret = (ServerInfo){
                .ssid = BS_SSID,
                .uri = s->account->uri,
                .security = credentials_name(s->account->credentials),
                .cipher = session_cipher(s->session),
                .resumed = session_is_resumed(s->session),
                .cid = session_has_cid(s->session),
                .binding = "",
                .state = state_text(s),
                .location = "",
                .peer = s->address,
                .last_error_code = s->error_code,
                .last_error_text = s->error_text,
                .version = version_of(config(s)),
                .last_registered_ns = last > INT64_MAX / 1000000000 ? 0 : last * 1000000000,
                .next_update_usec =
                        bs_server_is_waiting(s) ? bootstrap_next_usec(s->machine) : USEC_INFINITY,
                .send_muted = true,
        };
}
