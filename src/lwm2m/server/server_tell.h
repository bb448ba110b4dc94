/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What happened with a server, in words: the details of an event (DBUS.md part 8) and the line in
 * the log. Of info the observations' count is not used. */
#include "lwm2m/server/server_info.h"
#include "lwm2m/server/rd.h"
#include "lwm2m/transport.h"

/* Whether the host in it is an address, so that nothing has to be resolved. */
bool server_uri_is_literal(const char *uri);
/* As ServerInfo.state has it. */
const char *tell_state(const Rd *rd, const char *uri);
const char *tell_error_name(int error); /* negative errno: "timeout", "refused" … or "network" */
/* The text a server's error answer carries, cut to what is kept; g_free(). NULL: none. */
char *tell_diagnostic(const Message *response);
/* key, value, key, value, …, NULL; wall_ns is the wall clock at now_usec. */
GPtrArray *tell_details(const ServerInfo *info, const RdEvent *event, int64_t wall_ns,
                        uint64_t now_usec);
/* What is in the log already: a server that refuses us every few seconds does not fill it, not even
 * with several reasons in turn. All 0 to begin with. */
#define TELL_AGAIN_USEC (60 * USEC_PER_SEC)
typedef struct Told {
        struct {
                char *what;
                uint64_t usec;
        } lines[4]; /* the latest ones */
        unsigned next;
} Told;
void told_clear(Told *told);
bool tell_was_told(Told *told, const ServerInfo *info, const RdEvent *event, uint64_t now_usec);
void tell_log(const ServerInfo *info, const char *endpoint, const RdEvent *event,
              uint64_t now_usec);
