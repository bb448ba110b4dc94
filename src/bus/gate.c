/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/gate.h"

#include <errno.h>
#include <string.h>

#define OPEN 0U /* for everybody who reaches us */

/* By interface (the last part of its name) and member; NULL: all others of the interface. */
static const struct {
        const char *interface, *member;
        unsigned right;
} methods[] = {
        { "Manager", "Sync", OPEN },
        { "Manager", "GetEvents", RIGHT_EVENTS },
        { "Manager", "Monitor", RIGHT_EVENTS },
        { "Manager", NULL, RIGHT_ADMIN },
        { "Server", "ListObservations", RIGHT_EVENTS },
        { "Server", NULL, RIGHT_ADMIN },
        { "Model", "List", OPEN },
        { "Model", "Describe", OPEN },
        { "Model", NULL, RIGHT_ADMIN },
        { "Data", "Hold", RIGHT_HOLD },
        { "Claims", "ProvideCredentials", RIGHT_CREDENTIALS },
};

/* What a method of a path needs for that path; others go by whether they write. */
static const struct {
        const char *member;
        Right right;
} path_methods[] = {
        { "Create", RIGHT_CREATE },       { "Delete", RIGHT_DELETE },
        { "Claim", RIGHT_CLAIM },         { "Execute", RIGHT_EXECUTE },
        { "Send", RIGHT_SEND },           { "Push", RIGHT_PUSH },
        { "PushSeries", RIGHT_PUSH },     { "OpenStream", RIGHT_PUSH },
        { "Configure", RIGHT_CONFIGURE },
};

static Bus *bus_of(sd_bus_message *m) {
        return sd_bus_get_current_userdata(sd_bus_message_get_bus(m));
}

static int sender_of(sd_bus_message *m, const Sender **ret, sd_bus_error *error) {
        int r;

        r = senders_get(bus_of(m)->senders, sd_bus_message_get_bus(m), sd_bus_message_get_sender(m),
                        ret);
        return r < 0 ? bus_error_named(error, SD_BUS_ERROR_ACCESS_DENIED,
                                       "Access denied: the bus does not say who you are")
                     : r;
}

static int refuse(const Sender *s, Right right, const Path *p, const char *what,
                  sd_bus_error *error) {
        if (right == RIGHT_ADMIN)
                return bus_error_named(error, SD_BUS_ERROR_ACCESS_DENIED,
                                       "Access denied: %s is for root, and for users with "
                                       "allow=admin in access.d (you are user %u)",
                                       what, s->uid);
        if (!p)
                return bus_error_named(error, SD_BUS_ERROR_ACCESS_DENIED,
                                       "Access denied: %s takes a rule in access.d with user=%u "
                                       "and allow=%s",
                                       what, s->uid, right_name(right));
        return bus_error_named(error, SD_BUS_ERROR_ACCESS_DENIED,
                               "%s: access denied: it takes a rule in access.d with user=%u, "
                               "paths=%s and allow=%s",
                               PATH_TEXT(p), s->uid, PATH_TEXT(p), right_name(right));
}

/* --- methods of no path --- */
static unsigned right_of_method(const char *interface, const char *member) {
        for (size_t i = 0; i < G_N_ELEMENTS(methods); i++)
                if (strcmp(methods[i].interface, interface) == 0 &&
                    (!methods[i].member || strcmp(methods[i].member, member) == 0))
                        return methods[i].right;
        return OPEN;
}

int gate_filter(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *interface = sd_bus_message_get_interface(m);
        const char *member = sd_bus_message_get_member(m);
        g_autofree char *what = NULL;
        const Sender *s;
        unsigned right;
        uint8_t type;
        int r;

        if (sd_bus_message_get_type(m, &type) < 0 || type != SD_BUS_MESSAGE_METHOD_CALL || !member)
                return 0;
        if (!interface) /* which of them is meant would have to be guessed */
                return bus_error_named(error, SD_BUS_ERROR_UNKNOWN_METHOD,
                                       "A call of %s names no interface", member);
        if (!g_str_has_prefix(interface, BUS_NAME "."))
                return 0;
        interface += strlen(BUS_NAME ".");
        right = right_of_method(interface, member);
        if (right == OPEN)
                return 0;
        r = sender_of(m, &s, error);
        if (r < 0 || grant_view_may(&s->view, right, NULL))
                return r;
        what = g_strdup_printf("%s.%s", interface, member);
        return refuse(s, right, NULL, what, error);
}

sd_bus_vtable *gate_open(const sd_bus_vtable *vtable) {
        sd_bus_vtable *copy;
        size_t n = 0;

        while (vtable[n].type != _SD_BUS_VTABLE_END)
                n++;
        copy = g_memdup2(vtable, (n + 1) * sizeof(*vtable));
        for (size_t i = 0; i < n; i++)
                if (copy[i].type == _SD_BUS_VTABLE_METHOD)
                        copy[i].flags |= SD_BUS_VTABLE_UNPRIVILEGED;
        return copy;
}

/* --- paths --- */
int require_admin(sd_bus_message *m, const char *what, sd_bus_error *error) {
        const Sender *s;
        int r;

        r = sender_of(m, &s, error);
        if (r < 0 || grant_view_may(&s->view, RIGHT_ADMIN, NULL))
                return r;
        return refuse(s, RIGHT_ADMIN, NULL, what, error);
}

static int refuse_keys(const Path *p, sd_bus_error *error) {
        return bus_error_named(error, SD_BUS_ERROR_ACCESS_DENIED,
                               "%s: objects 0 and 21 hold keys and are not on the bus (see "
                               "Manager.AddServer)",
                               PATH_TEXT(p));
}

int check_right(sd_bus_message *m, Right right, const Path *p, sd_bus_error *error) {
        const Sender *s;
        int r;

        if (path_has_keys(p))
                return refuse_keys(p, error);
        if (right != RIGHT_GET && p->n > 0 && (p->id[0] == 1 || p->id[0] == 2))
                return require_admin(m, "Changing objects 1 and 2", error);
        r = sender_of(m, &s, error);
        if (r < 0 || grant_view_may(&s->view, right, p))
                return r;
        return refuse(s, right, p, NULL, error);
}

int check_access(sd_bus_message *m, const Path *p, bool write, sd_bus_error *error) {
        const char *member = sd_bus_message_get_member(m);
        Right right = write ? RIGHT_SET : RIGHT_GET;

        for (size_t i = 0; i < G_N_ELEMENTS(path_methods); i++)
                if (g_strcmp0(path_methods[i].member, member) == 0)
                        right = path_methods[i].right;
        return check_right(m, right, p, error);
}

int check_path_read(sd_bus_message *m, const Path *p, sd_bus_error *error) {
        return check_access(m, p, false, error);
}

int check_path_write(sd_bus_message *m, const Path *p, sd_bus_error *error) {
        return check_access(m, p, true, error);
}

int read_paths(sd_bus_message *m, uint8_t n_min, unsigned max, PathCheck check, GArray *ret,
               sd_bus_error *error) {
        int r;

        r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_at_end(m, false)) == 0) {
                Path p;

                r = path_argument(m, &p, n_min, 4, error);
                if (r >= 0 && check)
                        r = check(m, &p, error);
                if (r >= 0 && ret->len >= max)
                        r = bus_error(error, -E2BIG, "More than %u paths in one %s", max,
                                      sd_bus_message_get_member(m));
                if (r < 0)
                        return r;
                g_array_append_val(ret, p);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int check_right_some(sd_bus_message *m, const Path *p, const GrantView **ret_view,
                     sd_bus_error *error) {
        const Sender *s;
        int r;

        *ret_view = NULL;
        if (path_has_keys(p))
                return refuse_keys(p, error);
        r = sender_of(m, &s, error);
        if (r < 0 || grant_view_may(&s->view, RIGHT_GET, p))
                return r;
        if (!grant_view_may_some(&s->view, RIGHT_GET, p))
                return refuse(s, RIGHT_GET, p, NULL, error);
        *ret_view = &s->view;
        return 0;
}

bool gate_may(Bus *b, const char *name, Right right, const Path *p) {
        const Sender *s;

        return senders_get(b->senders, b->bus, name, &s) >= 0 && grant_view_may(&s->view, right, p);
}

/* --- claims --- */
static bool owns_name(sd_bus *bus, const char *unique, const char *well_known) {
        sd_bus_message *reply = NULL;
        const char *owner = NULL;
        bool owns = false;

        /* One question to the bus for a claim of reserved paths, which is rare. */
        if (sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                               "org.freedesktop.DBus", "GetNameOwner", NULL, &reply, "s",
                               well_known) >= 0 &&
            sd_bus_message_read(reply, "s", &owner) >= 0)
                owns = g_strcmp0(owner, unique) == 0;
        sd_bus_message_unref(reply);
        return owns;
}

bool gate_owns_name(Bus *b, const char *unique, const char *well_known) {
        return b->bus && owns_name(b->bus, unique, well_known);
}

bool gate_may_claim(Bus *b, const char *name, const Path *p) {
        const Reservation *r = grants_reserved(senders_grants(b->senders), p);

        return r ? owns_name(b->bus, name, r->bus_name) : gate_may(b, name, RIGHT_CLAIM, p);
}

int check_claim(sd_bus_message *m, const Path *p, sd_bus_error *error) {
        const Reservation *r = grants_reserved(senders_grants(bus_of(m)->senders), p);

        if (!r || path_has_keys(p))
                return check_right(m, RIGHT_CLAIM, p, error);
        if (!owns_name(sd_bus_message_get_bus(m), sd_bus_message_get_sender(m), r->bus_name))
                return bus_error_named(error, SD_BUS_ERROR_ACCESS_DENIED,
                                       "%s: access denied: it is reserved for whoever owns the "
                                       "bus name %s (apps.d)",
                                       PATH_TEXT(p), r->bus_name);
        return 0;
}

/* --- quotas --- */
int gate_uid(sd_bus_message *m, uid_t *ret) {
        const Sender *s;
        int r;

        r = senders_get(bus_of(m)->senders, sd_bus_message_get_bus(m), sd_bus_message_get_sender(m),
                        &s);
        if (r >= 0)
                *ret = s->uid;
        return r;
}

int check_budget(sd_bus_message *m, uint64_t n, sd_bus_error *error) {
        Bus *b = bus_of(m);
        const Sender *s;
        int r;

        r = sender_of(m, &s, error);
        if (r < 0)
                return r;
        if (senders_spend(b->senders, s->uid, n, bus_now(b)) < 0)
                return bus_error(error, -EDQUOT,
                                 "User %u has set %" G_GUINT64_FORMAT
                                 " values in this second, the most allowed ([Limits] "
                                 "ValuesPerUser)",
                                 s->uid, senders_limits(b->senders)->values);
        return 0;
}
