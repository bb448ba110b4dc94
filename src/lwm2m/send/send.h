/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Send (TS Core 1.1.1, section 6.4.3): values go to servers because somebody here wants them to. A
 * job gathers the values once, asking applications that answer for them, hands them to the queue of
 * each server (send_queue.h), and tells how it ended everywhere. */
#include "lwm2m/dm/dm.h"
#include "lwm2m/send/send_queue.h"

typedef struct SendJob SendJob;

typedef struct SendRequest {
        uint16_t ssid;     /* 0: to every server of LwM2M 1.1 or later */
        const Path *paths; /* objects, instances, resources, resource instances; any order */
        size_t n_paths;
        Format format;         /* SenML CBOR, SenML JSON, LwM2M CBOR; FORMAT_NONE: SenML CBOR */
        int64_t time_ns;       /* of values without a time of their own; RECORD_NO_TIME: none */
        uint64_t timeout_usec; /* for all of it; 0: the longest, DmConfig.send_timeout_usec */
        bool with_cache; /* of cached resources the samples (model/series.h) that the server has not
                            had, which then leave, not the latest value */
        bool samples_only; /* with_cache: nothing but those that there are and that it may read */
        bool now;          /* do not wait for a sleeping server to be told first */
        bool queue;        /* wait for a server that is not registered, too */
} SendRequest;

typedef struct SendOutcome {
        uint16_t ssid;
        SendResult result;
        uint8_t code; /* SEND_REFUSED: the server's answer */
        char *text;   /* NULL: nothing more to say */
} SendOutcome;

typedef struct SendReport {          /* borrowed until the callback returns */
        SendResult result;           /* the worst */
        const SendOutcome *outcomes; /* by Short Server ID, at least one */
        size_t n_outcomes;
} SendReport;
typedef void (*SendDone)(void *userdata, const SendReport *report, uint64_t now_usec);

/* 0: done runs later, once. Or, with *ret_error (g_free()) saying which path and why: -EINVAL no
 * path, or "/"; -E2BIG more paths than DmConfig.composite_paths_max; -EACCES objects 0 and 21;
 * -ENOENT nothing there; -EPERM not readable; -ENOTSUP not a format for Send; -ESRCH no such
 * server, or none that knows Send; -EDQUOT too much waits already. */
int send_start(Dm *dm, const SendRequest *request, SendDone done, void *userdata, SendJob **ret,
               char **ret_error, uint64_t now_usec);
/* Records that are there already (taken over), in path order; paths and time of request are not
 * looked at. */
int send_records(Dm *dm, const SendRequest *request, RecordList *records, SendDone done,
                 void *userdata, SendJob **ret, char **ret_error, uint64_t now_usec);
/* Nobody waits for the result any more; done does not run. What was accepted is sent. */
void send_job_forget(SendJob *j);
void send_free_all(Dm *dm); /* for dm_free(): they end with SEND_GONE */
