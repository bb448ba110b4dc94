/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/server/server_tell.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lwm2m/catalog.h"
#include "util/log.h"

#define DIAGNOSTIC_MAX 256 /* bytes of a server's error text that are kept */

bool server_uri_is_literal(const char *uri) {
        g_autofree char *host = NULL;
        struct in_addr address;
        const char *start = strstr(uri, "://");

        if (!start || start[3] == '[')
                return true;
        host = g_strndup(start + 3, strcspn(start + 3, ":/"));
        return inet_pton(AF_INET, host, &address) == 1;
}

const char *tell_state(const Rd *rd, const char *uri) {
        switch (rd_state(rd)) {
        case RD_CONNECTING:
                return server_uri_is_literal(uri) ? "connecting" : "resolving";
        case RD_REGISTERING:
                return "registering";
        case RD_REGISTERED:
        case RD_ASLEEP:
                return "registered";
        case RD_UPDATING:
                return "updating";
        case RD_DEREGISTERING:
                return rd_disabled_until(rd) ? "disabled" : "registered";
        case RD_DISABLED:
                return "disabled";
        case RD_RETRYING:
        case RD_GIVEN_UP:
        case RD_FAILING:
                return "failed";
        case RD_IDLE:
        case RD_HELD:
        case RD_DELAYED:
        case RD_PAUSED:
        case RD_LEFT:
        case RD_ANY:
                break;
        }
        return "idle";
}

const char *tell_error_name(int error) {
        static const struct {
                int error;
                const char *name;
        } names[] = {
                { -ETIMEDOUT, "timeout" },       { -ECONNREFUSED, "refused" },
                { -ECONNRESET, "reset" },        { -EHOSTUNREACH, "unreachable" },
                { -ENETUNREACH, "unreachable" }, { -EPROTONOSUPPORT, "not-supported" },
                { -EBADMSG, "bad-answer" },      { -ENOENT, "name" },
                { -ENOKEY, "no-key" },           { -EKEYREJECTED, "credentials" },
                { -EKEYEXPIRED, "expired" },     { -EPROTO, "handshake" },
                { -ESTALE, "session" },          { -EINVAL, "account" },
                { -EBADE, "inconsistent" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                if (names[i].error == error)
                        return names[i].name;
        return "network";
}

static bool is(const RdEvent *event, const char *name) {
        return strcmp(event->name, name) == 0;
}

/* What comes next is another attempt, not an Update. */
static bool comes_back(const RdEvent *event) {
        return event->failure || is(event, "server-disabled");
}

static void put(GPtrArray *details, const char *key, char *value /* taken over */) {
        g_ptr_array_add(details, g_strdup(key));
        g_ptr_array_add(details, value);
}

GPtrArray *tell_details(const ServerInfo *info, const RdEvent *event, int64_t wall_ns,
                        uint64_t now_usec) {
        GPtrArray *d = g_ptr_array_new_with_free_func(g_free);

        if (event->failure) {
                put(d, event->code ? "code" : "error", g_strdup(info->last_error_code));
                put(d, "text", g_strdup(info->last_error_text));
        }
        if (is(event, "registration-complete")) {
                put(d, "location", g_strdup(info->location));
                put(d, "version",
                    g_strdup_printf("%u.%u", info->version.major, info->version.minor));
                put(d, "lifetime", g_strdup_printf("%u", info->lifetime_sec));
        }
        if (is(event, "queue-mode-rx-off"))
                put(d, "socket", g_strdup(info->queue_socket));
        if (event->next_usec != USEC_INFINITY)
                put(d, comes_back(event) ? "retry-at" : "next-update",
                    g_strdup_printf("%" G_GINT64_FORMAT,
                                    wall_ns + (int64_t) (event->next_usec - now_usec) * 1000));
        g_ptr_array_add(d, NULL);
        return d;
}

static void append_next(GString *line, const RdEvent *event, uint64_t now_usec) {
        if (event->next_usec == USEC_INFINITY || event->next_usec <= now_usec)
                return;
        g_string_append_printf(line, "%s%s in %" PRIu64 " s", event->failure ? ", " : "; ",
                               comes_back(event) ? "next attempt" : "next update",
                               (event->next_usec - now_usec + USEC_PER_SEC / 2) / USEC_PER_SEC);
}

/* One line for people: what happened, with whom, and what comes next. */
void tell_log(const ServerInfo *info, const char *endpoint, const RdEvent *event,
              uint64_t now_usec) {
        g_autoptr(GString) line = g_string_new(event->name);

        if (event->failure) {
                g_string_append(line, ": ");
                if (event->code)
                        g_string_append_printf(line, "%s ", info->last_error_code);
                g_string_append_printf(line, "%s (%s)", info->last_error_text, info->uri);
        } else if (is(event, "registration-complete"))
                g_string_append_printf(line, ": %s as %s, location %s, LwM2M %u.%u, lifetime %u s",
                                       info->uri, endpoint, info->location, info->version.major,
                                       info->version.minor, info->lifetime_sec);
        append_next(line, event, now_usec);
        log_with(event->failure ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
                 (&(LogFields){
                         .ssid = info->ssid, .event = event->name, .id = catalog_id(event->name) }),
                 "%s", line->str);
}

void told_clear(Told *told) {
        for (size_t i = 0; i < G_N_ELEMENTS(told->lines); i++)
                g_clear_pointer(&told->lines[i].what, g_free);
}

bool tell_was_told(Told *told, const ServerInfo *info, const RdEvent *event, uint64_t now_usec) {
        g_autofree char *what = g_strconcat(event->name, ": ", info->last_error_text, NULL);
        unsigned slot = told->next;

        if (!event->failure)
                return false;
        for (unsigned i = 0; i < G_N_ELEMENTS(told->lines); i++) {
                if (g_strcmp0(told->lines[i].what, what) != 0)
                        continue;
                if (now_usec < told->lines[i].usec + TELL_AGAIN_USEC)
                        return true;
                slot = i;
        }
        if (slot == told->next)
                told->next = (slot + 1) % G_N_ELEMENTS(told->lines);
        g_free(told->lines[slot].what);
        told->lines[slot].what = g_steal_pointer(&what);
        told->lines[slot].usec = now_usec;
        return false;
}

char *tell_diagnostic(const Message *response) {
        const char *data;
        gsize n = 0;

        if (!response->payload || response->code < CODE(4, 0))
                return NULL;
        data = g_bytes_get_data(response->payload, &n);
        return n > 0 ? g_strndup(data, MIN(n, DIAGNOSTIC_MAX)) : NULL;
}
