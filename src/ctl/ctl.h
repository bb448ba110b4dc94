/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What every verb of lwm2mctl shares: the settings of the command line, the connection to the
 * daemon, calls whose failures become a message and an exit code, and the output's two forms.
 * Functions that return CtlExit have said on stderr what was wrong; callers only pass it on. */
#include <cjson/cJSON.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#define BUS_NAME "org.lwm2md.Client1"
#define BUS_ROOT "/org/lwm2md/Client1"
#define BUS_INTERFACE(name) BUS_NAME "." name
#define BUS_ERROR(name) BUS_NAME ".Error." name

G_DEFINE_AUTOPTR_CLEANUP_FUNC(sd_bus_message, sd_bus_message_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(cJSON, cJSON_Delete)

typedef enum CtlExit {
        CTL_OK = 0,
        CTL_FAILED = 1,
        CTL_USAGE = 2,
        CTL_NOT_FOUND = 3,
        CTL_DENIED = 4,
        CTL_ABSENT = 5,
        CTL_TIMEOUT = 6,
} CtlExit;

typedef struct Ctl {
        sd_bus *bus;           /* NULL until ctl_connect() */
        const char *address;   /* "system", "session" or a D-Bus address */
        const char *instance;  /* NULL: the first one */
        char *name;            /* bus name of that instance */
        uint64_t timeout_usec; /* 0: the library's default for calls, none for waiting */
        bool json, colour;
        bool may_activate;   /* calls may start the daemon by D-Bus activation */
        GHashTable *objects; /* id -> cJSON of Model.Describe, see schema.h */
} Ctl;

void ctl_clear(Ctl *c);

/* Says "lwm2mctl: …" and returns code. */
CtlExit ctl_fail(CtlExit code, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ctl_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for an error that came from the bus; where, if any, stands before its text. */
CtlExit ctl_bus_fail(Ctl *c, const sd_bus_error *error, int r, const char *where);
/* The exit code of a D-Bus error name. */
CtlExit ctl_error_code(const char *error_name);

CtlExit ctl_connect(Ctl *c);
/* interface is short: "Data", "Manager". A path of NULL is the root object. */
CtlExit ctl_message(Ctl *c, const char *path, const char *interface, const char *member,
                    sd_bus_message **ret);
/* ret_reply may be NULL. */
CtlExit ctl_send(Ctl *c, sd_bus_message *m, const char *where, sd_bus_message **ret_reply);
CtlExit ctl_call(Ctl *c, const char *path, const char *interface, const char *member,
                 const char *where, sd_bus_message **ret_reply, const char *types, ...);
/* All properties of one interface as an object. */
CtlExit ctl_properties(Ctl *c, const char *path, const char *interface, cJSON **ret);
/* A message of ours could not be built, or a reply has not the form the interface promises. */
CtlExit ctl_protocol_fail(int r, const char *where);
