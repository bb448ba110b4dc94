/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/record.h"

static Record *append(RecordList *l) {
        if (l->n == l->n_allocated) {
                l->n_allocated = l->n_allocated ? 2 * l->n_allocated : 8;
                l->v = g_renew(Record, l->v, l->n_allocated);
        }
        return &l->v[l->n++];
}

void record_list_add(RecordList *l, const Path *path, Value *value, int64_t time_ns) {
        *append(l) = (Record){ .path = *path, .value = value_steal(value), .time_ns = time_ns };
}

void record_list_add_path(RecordList *l, const Path *path) {
        *append(l) = (Record){ .path = *path, .value = VALUE_INIT, .time_ns = RECORD_NO_TIME };
}

void record_list_clear(RecordList *l) {
        for (size_t i = 0; i < l->n; i++)
                value_clear(&l->v[i].value);
        g_free(l->v);
        *l = (RecordList){ 0 };
}

static int compare(const void *a, const void *b, void *userdata) {
        const Record *x = a, *y = b;
        int r = path_compare(&x->path, &y->path);

        if (r != 0 || x->time_ns == y->time_ns)
                return r;
        return x->time_ns < y->time_ns ? -1 : 1;
}

void record_list_sort(RecordList *l) {
        size_t i = 1;

        /* What the tree and most peers give is in order already. */
        while (i < l->n && compare(&l->v[i - 1], &l->v[i], NULL) <= 0)
                i++;
        if (i < l->n)
                g_qsort_with_data(l->v, (int) l->n, sizeof(Record), compare, NULL); /* stable */
}
