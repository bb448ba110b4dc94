/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/dm/composite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/format.h"
#include "lwm2m/dm/read.h"
#include "lwm2m/dm/write.h"

static int compare_paths(const void *a, const void *b) {
        return path_compare(a, b);
}

/* The paths asked for, sorted, each once. */
static int take_paths(Request *rq, const RecordList *records, Path **ret, size_t *ret_n) {
        g_autofree Path *paths = g_new(Path, records->n);
        size_t n = 0;
        int r;

        for (size_t i = 0; i < records->n; i++) {
                r = dm_access(&records->v[i].path);
                if (r < 0)
                        return r;
                paths[i] = records->v[i].path;
        }
        qsort(paths, records->n, sizeof(Path), compare_paths);
        for (size_t i = 0; i < records->n; i++)
                if (n == 0 || !path_equal(&paths[n - 1], &paths[i]))
                        paths[n++] = paths[i];
        *ret = g_steal_pointer(&paths);
        *ret_n = n;
        return 0;
}

static int decode_paths(Request *rq, Path **ret, size_t *ret_n) {
        g_auto(RecordList) records = { .v = NULL };
        const void *data;
        Format format;
        size_t n;
        int r;

        r = write_format(rq, &PATH_ROOT, NULL, true, &format);
        if (r < 0)
                return r;
        data = request_payload(rq, &n);
        r = format_decode_paths(format, data, n, &rq->dm->config.limits, &records);
        if (r == -ENOTSUP)
                return -EMEDIUMTYPE;
        if (r < 0)
                return request_fail(rq, r, "Malformed %s", format_name(format));
        if (records.n == 0)
                return request_fail(rq, -EINVAL, "No paths");
        if (records.n > rq->dm->config.composite_paths_max)
                return request_fail(rq, -E2BIG, "More than %u paths",
                                    rq->dm->config.composite_paths_max);
        return take_paths(rq, &records, ret, ret_n);
}

int composite_read_request(Request *rq) {
        ReadTarget target = { .composite = true, .ssid = rq->peer->ssid };
        int r;

        if (rq->path.n > 0)
                return request_fail(rq, -EPERM, "FETCH is for the empty path");
        r = decode_paths(rq, &target.paths, &target.n);
        if (r < 0)
                return r;
        r = read_format(rq->peer->version, &PATH_ROOT, NULL, rq->message->accept, true,
                        &target.format);
        if (r < 0) {
                g_free(target.paths);
                return r;
        }
        return read_start(rq, &target, rq->message->observe == 0);
}

/* A null in LwM2M 1.2 removes a resource instance. */
static int add_record(Request *rq, Record *record, OpList *ops) {
        const ResourceDef *def;

        if (record->value.type == VALUE_NONE && record->path.n == 4 &&
            version_reaches(rq->peer->version, 1, 2) && tree_exists(rq->dm->tree, &record->path)) {
                int r = request_may(rq, &record->path, ACCESS_WRITE);

                if (r < 0)
                        return r;
                def = tree_resource_def(rq->dm->tree, &record->path);
                if (!def || !(def->operations & OPERATION_WRITE))
                        return request_fail(rq, -EPERM, "%s: not writable",
                                            PATH_TEXT(&record->path));
                op_list_add(ops, OP_UNSET, &record->path, NULL);
                return 0;
        }
        return write_add_record(rq, record, false, ops);
}

int composite_write_request(Request *rq) {
        g_auto(RecordList) records = { .v = NULL };
        g_auto(OpList) ops = { .v = NULL };
        Format format;
        int r;

        if (rq->path.n > 0)
                return request_fail(rq, -EPERM, "iPATCH is for the empty path");
        r = write_format(rq, &PATH_ROOT, NULL, true, &format);
        if (r < 0)
                return r;
        r = write_decode(rq, format, &PATH_ROOT, &records);
        if (r < 0)
                return r;
        if (records.n == 0)
                return request_fail(rq, -EINVAL, "Nothing to write");
        for (size_t i = 0; i < records.n; i++) {
                r = add_record(rq, &records.v[i], &ops);
                if (r < 0)
                        return r;
        }
        return write_submit(rq, &ops, &(WriteAnswer){ .code = CODE(2, 4) });
}
