/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/dm/create.h"

#include <errno.h>

#include "codec/format.h"
#include "lwm2m/dm/write.h"

/* The two highest bits of a TLV's first byte tell what it is; 00 is an object instance
 * (section 7.4.3). */
static bool is_bare_tlv(const Request *rq, Format format) {
        const uint8_t *data;
        size_t n;

        data = request_payload(rq, &n);
        return format == FORMAT_TLV && n > 0 && data[0] >> 6 != 0;
}

static int decode(Request *rq, uint16_t free_id, RecordList *records, Path *instance) {
        Path base = rq->path;
        size_t n_payload;
        Format format;
        int r;

        *instance = path_child(&rq->path, free_id);
        request_payload(rq, &n_payload);
        if (n_payload == 0)
                return 0;
        r = write_format(rq, &rq->path, NULL, false, &format);
        if (r < 0)
                return r;
        if (is_bare_tlv(rq, format))
                base = *instance;
        r = write_decode(rq, format, &base, records);
        if (r < 0)
                return r;
        if (base.n == 2 || records->n == 0)
                return 0;
        *instance = path_prefix(&records->v[0].path, MIN(records->v[0].path.n, 2));
        for (size_t i = 0; i < records->n; i++)
                if (instance->n < 2 || !path_covers(instance, &records->v[i].path))
                        return request_fail(rq, -EINVAL, "%s: one instance at a time",
                                            PATH_TEXT(&rq->path));
        return 0;
}

static int check_instance(Request *rq, const ObjectDef *def, const Path *instance) {
        if (tree_exists(rq->dm->tree, instance))
                return request_fail(rq, -EEXIST, "%s: exists already", PATH_TEXT(instance));
        if (!def->multiple && instance->id[1] != 0)
                return request_fail(rq, -EPERM, "%s: the object has one instance only",
                                    PATH_TEXT(instance));
        return 0;
}

static int build_ops(Request *rq, const ObjectDef *def, RecordList *records, const Path *instance,
                     OpList *ops) {
        int r;

        op_list_add(ops, OP_CREATE, instance, NULL);
        for (size_t i = 0; i < records->n; i++) {
                Record *record = &records->v[i];

                if (record->path.n >= 3 && !object_resource(def, record->path.id[2]))
                        continue;
                if (record->path.n == 2 && record->value.type == VALUE_NONE)
                        continue;
                r = write_add_record(rq, record, true, ops);
                if (r < 0)
                        return r;
        }
        return write_check_mandatory(rq, def, instance, ops);
}

int create_request(Request *rq) {
        const ObjectDef *def = tree_object_def(rq->dm->tree, rq->path.id[0], -1);
        g_auto(RecordList) records = { .v = NULL };
        g_auto(OpList) ops = { .v = NULL };
        uint16_t free_id = 0;
        Path instance;
        int r;

        if (!def)
                return request_fail(rq, -ENOENT, "%s: no such object", PATH_TEXT(&rq->path));
        r = request_may(rq, &rq->path, ACCESS_CREATE);
        if (r < 0)
                return r;
        if (rq->path.id[0] == 1) /* accounts are made by a bootstrap server or on the device */
                return request_fail(rq, -EPERM, "/1: not by a server");
        if (!def->multiple && tree_n_instances(rq->dm->tree, def->id) > 0)
                return request_fail(rq, -EPERM, "%s: has one instance only", PATH_TEXT(&rq->path));
        r = tree_free_instance_id(rq->dm->tree, rq->path.id[0], &free_id);
        if (r < 0)
                return r;
        r = decode(rq, free_id, &records, &instance);
        if (r < 0)
                return r;
        r = check_instance(rq, def, &instance);
        if (r < 0)
                return r;
        r = build_ops(rq, def, &records, &instance, &ops);
        if (r < 0)
                return r;
        return write_submit(rq, &ops, &(WriteAnswer){ .code = CODE(2, 1), .location = instance });
}

int delete_request(Request *rq) {
        const Path *p = &rq->path;
        const Tree *tree = rq->dm->tree;
        const WriteAnswer answer = { .code = CODE(2, 2) };
        g_auto(OpList) ops = { .v = NULL };
        const ResourceDef *resource;
        const ObjectDef *def;
        int r;

        if (p->n == 0)
                return request_fail(rq, -EPERM, "Delete needs an object instance");
        def = tree_object_def(tree, p->id[0], -1);
        if (!def || (p->n >= 2 && !tree_exists(tree, p)))
                return -ENOENT;
        if (p->n == 2) {
                r = request_may(rq, p, ACCESS_DELETE);
                if (r < 0)
                        return r;
                if (p->id[0] == 1 || (def->mandatory && !def->multiple))
                        return request_fail(rq, -EPERM, "%s: must not be deleted", PATH_TEXT(p));
                op_list_add(&ops, OP_DELETE, p, NULL);
                return write_submit(rq, &ops, &answer);
        }
        if (p->n != 4 || !version_reaches(rq->peer->version, 1, 2))
                return request_fail(rq, -EPERM, "%s: not to be deleted", PATH_TEXT(p));
        r = request_may(rq, p, ACCESS_WRITE); /* of a resource instance: section 6.3.7 */
        if (r < 0)
                return r;
        resource = tree_resource_def(tree, p);
        if (!resource || !(resource->operations & OPERATION_WRITE))
                return request_fail(rq, -EPERM, "%s: not writable", PATH_TEXT(p));
        op_list_add(&ops, OP_UNSET, p, NULL);
        return write_submit(rq, &ops, &answer);
}
