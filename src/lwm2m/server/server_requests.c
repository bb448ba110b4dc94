/* SPDX-License-Identifier: Apache-2.0 */
/* Register, Update and De-register: what is sent, and what an answer changes. */
#include <errno.h>
#include <string.h>

#include "lwm2m/server/server_internal.h"
#include "util/log.h"

static void set_binding(const Server *s, Registration *r) {
        const ServerOptions *o = server_options(s);

        if (o && o->has_queue_mode)
                registration_set_binding(r, NULL, o->queue_mode);
        else
                registration_set_binding(r, s->account->binding, s->env->config->queue_mode);
}

static gint compare_ids(gconstpointer a, gconstpointer b) {
        return (int) *(const uint16_t *) a - (int) *(const uint16_t *) b;
}

static char *format_links(const Server *s, Version version) {
        const ClientConfig *config = s->env->config;
        g_autoptr(GArray) offered = g_array_new(FALSE, FALSE, sizeof(uint16_t));

        g_array_append_vals(offered, config->offered, (guint) config->n_offered);
        dm_offered_objects(s->env->parts->dm, offered);
        g_array_sort(offered, compare_ids);
        return rd_links_format(s->env->parts->tree, offered, version);
}

static Registration *describe(const Server *s, char **ret_links) {
        const ClientConfig *config = s->env->config;
        Registration *r = registration_new();

        r->endpoint = g_strdup(s->env->endpoint);
        r->uri = g_strdup(s->account->uri);
        r->version = rd_version(s->rd);
        r->lifetime_sec = s->account->lifetime_sec;
        r->sms = g_strdup(config->sms);
        set_binding(s, r);
        *ret_links = format_links(s, r->version);
        r->links_digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, *ret_links, -1);
        return r;
}

static void start_contact(const Server *s, Registration *r) {
        r->registered_ns = server_wall_ns(s->env);
        r->deadline_ns = r->lifetime_sec > 0
                                 ? r->registered_ns + (int64_t) r->lifetime_sec * 1000000000
                                 : INT64_MAX;
}

static void continue_known(Registration *r, const Registration *known) {
        r->location = g_strdupv(known->location);
}

/* Takes over what the server has just agreed to; -EBADMSG for a Register's answer without a place.
 */
static int take_answer(Server *s, const Message *response) {
        g_autoptr(Registration) pending = g_steal_pointer(&s->pending);
        int r;

        if (s->call_what == RD_SEND_REGISTER && response->code == CODE(2, 1)) {
                r = registration_set_location(pending, response->path);
                if (r < 0)
                        return r;
        } else if (s->call_what == RD_SEND_UPDATE && response->code == CODE(2, 4) && s->known)
                continue_known(pending, s->known);
        else
                return 0;

        registration_free(s->known);
        s->known = g_steal_pointer(&pending);
        s->known->place = server_transport(s)->place(s->link);
        s->registered_ns = s->known->registered_ns;
        server_show_known(s);
        if (s->peer)
                peer_set_version(s->peer, s->known->version);
        server_save(s, s->call_what == RD_SEND_REGISTER);
        return 0;
}

static void on_response(void *userdata, int error, const Message *response, uint64_t now_usec) {
        Server *s = userdata;
        g_autofree char *text = NULL;
        uint8_t code = 0;

        s->call = NULL;
        if (error >= 0) {
                code = response->code;
                text = tell_diagnostic(response);
                error = take_answer(s, response);
                if (error < 0)
                        text = g_strdup("no usable Location-Path in the answer");
        }
        s->pending = registration_free(s->pending);
        rd_answer(s->rd, error, code, text, now_usec);
}

static int request(Server *s, Message *m) {
        return server_transport(s)->request(s->link, m, on_response, s, &s->call);
}

static int send_register(Server *s) {
        static const char *const path[] = { "rd", NULL };
        Message m = MESSAGE_INIT(METHOD_POST);
        g_autoptr(GBytes) payload = NULL;
        g_auto(GStrv) query = NULL;
        char *links;

        s->pending = describe(s, &links);
        start_contact(s, s->pending);
        payload = g_bytes_new_take(links, strlen(links));
        query = registration_query(s->pending);
        m.format = FORMAT_LINK;
        m.path = path;
        m.query = (const char *const *) query;
        m.payload = payload;
        if (s->peer)
                peer_set_version(s->peer, s->pending->version);
        return request(s, &m);
}

static bool has_other_links(const Registration *r, const Registration *known) {
        return g_strcmp0(r->links_digest, known->links_digest) != 0;
}

bool server_has_news(void *userdata) {
        const Server *s = userdata;
        g_autofree char *links = NULL;
        g_autoptr(Registration) r = NULL;
        g_auto(GStrv) query = NULL;

        if (!s->known)
                return true;
        r = describe(s, &links);
        query = registration_update_query(r, s->known);
        return query[0] || has_other_links(r, s->known);
}

static int send_update(Server *s) {
        Message m = MESSAGE_INIT(METHOD_POST);
        g_autoptr(GBytes) payload = NULL;
        g_auto(GStrv) query = NULL;
        char *links;

        s->pending = describe(s, &links);
        start_contact(s, s->pending);
        payload = g_bytes_new_take(links, strlen(links));
        query = registration_update_query(s->pending, s->known);
        m.path = (const char *const *) s->known->location;
        m.query = (const char *const *) query;
        if (has_other_links(s->pending, s->known)) {
                m.format = FORMAT_LINK;
                m.payload = payload;
        }
        return request(s, &m);
}

static int send_deregister(Server *s) {
        Message m = MESSAGE_INIT(METHOD_DELETE);

        m.path = (const char *const *) s->known->location;
        return request(s, &m);
}

int server_send(void *userdata, RdRequest what, uint64_t now_usec) {
        Server *s = userdata;

        server_drop_call(s);
        s->call_what = what;
        if (!s->link || (what != RD_SEND_REGISTER && !s->known))
                return -ENOTCONN;
        awake_contact(s->awake, now_usec);
        switch (what) {
        case RD_SEND_REGISTER:
                return send_register(s);
        case RD_SEND_UPDATE:
                return send_update(s);
        case RD_SEND_DEREGISTER:
                return send_deregister(s);
        }
        return -EINVAL;
}

void server_cancel_call(void *userdata) {
        server_drop_call(userdata);
}

void server_on_lost(void *userdata, const char *why) {
        Server *s = userdata;

        s->known = registration_free(s->known);
        server_show_known(s);
        if (s->peer) {
                peer_drop_observations(s->peer, why);
                keeper_flush(s->keeper);
        }
        server_save(s, true);
}
