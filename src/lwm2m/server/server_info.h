/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How it stands with one server, for people and programs. */
#include <stdbool.h>
#include <stdint.h>

#include "model/schema.h"

typedef struct ServerInfo {
        uint16_t ssid;
        const char *uri, *security, *binding, *state; /* idle resolving connecting registering
                                                         registered updating disabled failed
                                                         bootstrapping enrolling */
        const char *queue; /* queue mode: "none", "awake", "asleep" until next_update_usec or until
                              something is to be sent */
        const char *queue_socket; /* while asleep: "stop-polling", "listen", "close" */
        const char *location, *peer, *last_error_code, *last_error_text; /* "" when none */
        const char *cipher; /* IANA name of the cipher suite in use; "" when none */
        bool resumed, cid;  /* the session is an earlier one; it has a Connection ID */
        Version version;
        int64_t last_registered_ns; /* wall clock; 0 never */
        uint64_t next_update_usec;  /* now_usec time line; USEC_INFINITY none */
        uint64_t disabled_until_usec;
        uint32_t lifetime_sec, queued_notifications;
        uint32_t dropped_notifications; /* of those stored while it was away, since the start */
        bool send_muted;
        const char *enrolling;     /* how it stands with its certificate, in mode est; else NULL */
        int64_t enrolled_until_ns; /* wall clock; 0: not enrolled */
        const char *enrolled_by;   /* the authority; NULL */
} ServerInfo;
