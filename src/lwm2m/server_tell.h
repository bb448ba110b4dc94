/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What happened with a server, in words: the details of an event (DBUS.md part 8) and the line in
 * the log. Of info the observations' count is not used. */
#include "lwm2m/client.h"
#include "lwm2m/rd.h"

const char *tell_error_name(int error); /* negative errno: "timeout", "refused" … or "network" */
/* key, value, key, value, …, NULL; wall_ns is the wall clock at now_usec. */
GPtrArray *tell_details(const ServerInfo *info, const RdEvent *event, int64_t wall_ns,
                        uint64_t now_usec);
void tell_log(const ServerInfo *info, const char *endpoint, const RdEvent *event,
              uint64_t now_usec);
