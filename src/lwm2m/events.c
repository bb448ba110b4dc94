/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/events.h"

typedef struct Listener {
        ClientListener calls;
        void *userdata;
} Listener;

typedef struct Kept {
        ClientEvent event;
        char *name;
        char **details;
} Kept;

struct Events {
        GQueue *ring; /* of Kept, oldest first */
        GArray *listeners;
        uint32_t max;
};

static void kept_free(void *data) {
        Kept *k = data;

        g_free(k->name);
        g_strfreev(k->details);
        g_free(k);
}

Events *events_new(uint32_t max) {
        Events *e = g_new0(Events, 1);

        e->ring = g_queue_new();
        e->listeners = g_array_new(FALSE, FALSE, sizeof(Listener));
        e->max = max;
        return e;
}

Events *events_free(Events *e) {
        if (!e)
                return NULL;
        g_queue_free_full(e->ring, kept_free);
        g_array_unref(e->listeners);
        g_free(e);
        return NULL;
}

void events_add_listener(Events *e, const ClientListener *listener, void *userdata) {
        Listener l = { .calls = *listener, .userdata = userdata };

        g_array_append_val(e->listeners, l);
}

/* Details may quote a peer's diagnostic text, and D-Bus takes nothing but bounded, valid UTF-8. */
static char **copy_details(const char *const *details) {
        GPtrArray *copy = g_ptr_array_new();

        for (size_t i = 0; details && details[i] && details[i + 1]; i += 2) {
                g_autofree char *bounded = g_strndup(details[i + 1], EVENT_TEXT_MAX);

                if (i / 2 == EVENT_DETAILS_MAX)
                        break;
                g_ptr_array_add(copy, g_strdup(details[i]));
                g_ptr_array_add(copy, g_utf8_make_valid(bounded, -1));
        }
        g_ptr_array_add(copy, NULL);
        return (char **) g_ptr_array_free(copy, FALSE);
}

void events_emit(Events *e, int64_t time_ns, const char *name, uint16_t ssid,
                 const char *const *details) {
        Kept *k = g_new0(Kept, 1);

        k->name = g_strdup(name);
        k->details = copy_details(details);
        k->event = (ClientEvent){ .time_ns = time_ns,
                                  .name = k->name,
                                  .ssid = ssid,
                                  .details = (const char *const *) k->details };
        /* By index and by copy: a listener may add another one and move the array. */
        for (guint i = 0; i < e->listeners->len; i++) {
                Listener l = g_array_index(e->listeners, Listener, i);

                if (l.calls.event)
                        l.calls.event(l.userdata, &k->event);
        }
        g_queue_push_tail(e->ring, k);
        while (g_queue_get_length(e->ring) > e->max)
                kept_free(g_queue_pop_head(e->ring));
}

void events_foreach(const Events *e, void (*func)(void *userdata, const ClientEvent *event),
                    void *userdata) {
        for (GList *i = e->ring->head; i; i = i->next)
                func(userdata, &((Kept *) i->data)->event);
}

void events_changed(Events *e, uint16_t ssid) {
        for (guint i = 0; i < e->listeners->len; i++) {
                Listener l = g_array_index(e->listeners, Listener, i);

                if (l.calls.changed)
                        l.calls.changed(l.userdata, ssid);
        }
}

void events_server_added(Events *e, uint16_t ssid) {
        for (guint i = 0; i < e->listeners->len; i++) {
                Listener l = g_array_index(e->listeners, Listener, i);

                if (l.calls.server_added)
                        l.calls.server_added(l.userdata, ssid);
        }
}

void events_server_removed(Events *e, uint16_t ssid) {
        for (guint i = 0; i < e->listeners->len; i++) {
                Listener l = g_array_index(e->listeners, Listener, i);

                if (l.calls.server_removed)
                        l.calls.server_removed(l.userdata, ssid);
        }
}
