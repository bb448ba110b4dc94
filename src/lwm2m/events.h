/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What happened, in order: a ring of the last events for whoever joins late, and listeners that are
 * told at once. A listener may be added at any time, also from within a callback, and stays. */
#include <glib.h>
#include <stdint.h>

#define EVENT_DETAILS_MAX 16 /* pairs kept of one event; more are left out */
#define EVENT_TEXT_MAX 1024  /* bytes kept of one detail */

typedef struct ClientEvent {
        int64_t time_ns; /* wall clock */
        const char *name;
        uint16_t ssid;              /* 0: of no one server */
        const char *const *details; /* key, value, key, value, …, NULL */
} ClientEvent;
typedef struct ClientListener {
        void (*event)(void *userdata, const ClientEvent *event);
        /* Something a ServerInfo or the client's state shows has changed (PropertiesChanged); ssid
         * 0 = client. */
        void (*changed)(void *userdata, uint16_t ssid);
        void (*server_added)(void *userdata, uint16_t ssid);
        void (*server_removed)(void *userdata, uint16_t ssid);
} ClientListener;

typedef struct Events Events;

Events *events_new(uint32_t max); /* kept at most; 0 keeps none */
Events *events_free(Events *e);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Events, events_free)

void events_add_listener(Events *e, const ClientListener *listener, void *userdata);
/* Copies everything. details: key, value, …, NULL; may be NULL. Values become valid UTF-8. */
void events_emit(Events *e, int64_t time_ns, const char *name, uint16_t ssid,
                 const char *const *details);
/* Oldest first. */
void events_foreach(const Events *e, void (*func)(void *userdata, const ClientEvent *event),
                    void *userdata);

/* Pass on to the listeners. */
void events_changed(Events *e, uint16_t ssid);
void events_server_added(Events *e, uint16_t ssid);
void events_server_removed(Events *e, uint16_t ssid);
