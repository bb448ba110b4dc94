/* SPDX-License-Identifier: Apache-2.0 */
/* Data.Send: a job (jobs.c) that hands values to servers. */
#include <errno.h>
#include <string.h>

#include "bus/data.h"
#include "bus/gate.h"

#define PREFIXES_MAX 10000

#define NS_PER_SEC INT64_C(1000000000)
#define TIME_MIN_NS ((INT64_C(1) << 28) * NS_PER_SEC) /* below it SenML times are relative */

static int take_format(const char *text, Format *ret, sd_bus_error *error) {
        *ret = FORMAT_NONE;
        if (text && format_from_name(text, ret) < 0)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "format: '%s' is not senml-cbor, senml-json or lwm2m-cbor",
                                       text);
        return 0;
}

static int take_time(int64_t time_ns, int64_t *ret, sd_bus_error *error) {
        *ret = time_ns == 0 ? g_get_real_time() * 1000 : time_ns;
        if (time_ns != RECORD_NO_TIME && *ret < TIME_MIN_NS)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "time: %" G_GINT64_FORMAT
                                       " are not nanoseconds since 1970 (0 is now)",
                                       time_ns);
        return 0;
}

int method_send(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autoptr(GArray) prefixes = g_array_new(FALSE, FALSE, sizeof(Path));
        SendRequest rq = { .time_ns = RECORD_NO_TIME };
        int64_t time_ns = RECORD_NO_TIME;
        const char *format = NULL;
        uint32_t timeout_ms = 0;
        bool wait = false;
        const Option options[] = {
                { "server", OPTION_U16, &rq.ssid },
                { "wait", OPTION_BOOL, &wait },
                { "now", OPTION_BOOL, &rq.now },
                { "queue", OPTION_BOOL, &rq.queue },
                { "format", OPTION_TEXT, &format },
                { "time", OPTION_I64, &time_ns },
                { "timeout_ms", OPTION_U32, &timeout_ms },
                { "with_cache", OPTION_BOOL, &rq.with_cache },
                { NULL },
        };
        int r;

        r = read_paths(m, 1, PREFIXES_MAX, check_path_read, prefixes, error);
        if (r >= 0)
                r = options_read(m, options, error);
        if (r >= 0)
                r = take_format(format, &rq.format, error);
        if (r >= 0)
                r = take_time(time_ns, &rq.time_ns, error);
        if (r < 0)
                return r;
        rq.paths = (const Path *) (const void *) prefixes->data;
        rq.n_paths = prefixes->len;
        rq.timeout_usec = timeout_ms * USEC_PER_MSEC;
        return jobs_send(b->jobs, m, &rq, wait, error);
}
