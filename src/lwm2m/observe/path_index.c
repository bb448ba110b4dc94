/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/observe/path_index.h"

/* Most paths have one thing, which needs no array. */
typedef struct Node {
        Path path; /* first: the node is its own key */
        guint n;
        union {
                void *one;   /* n == 1 */
                void **many; /* n > 1; as long as the next power of two */
        };
        GSequenceIter *place;
} Node;

struct PathIndex {
        GHashTable *nodes; /* of Node, by path */
        GSequence *sorted; /* the same nodes by path; owns them */
};

static guint hash_path(const void *key) {
        const Path *p = key;
        const uint64_t ids = (uint64_t) p->id[0] << 48 | (uint64_t) p->id[1] << 32 |
                             (uint64_t) p->id[2] << 16 | p->id[3];

        return (guint) ((ids ^ p->n) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static gboolean equal_paths(const void *a, const void *b) {
        return path_equal(a, b);
}

static void node_free(void *userdata) {
        Node *n = userdata;

        if (n->n > 1)
                g_free(n->many);
        g_free(n);
}

PathIndex *path_index_new(void) {
        PathIndex *x = g_new(PathIndex, 1);

        *x = (PathIndex){
                .nodes = g_hash_table_new(hash_path, equal_paths),
                .sorted = g_sequence_new(node_free),
        };
        return x;
}

PathIndex *path_index_free(PathIndex *x) {
        if (x) {
                g_clear_pointer(&x->nodes, g_hash_table_unref);
                g_clear_pointer(&x->sorted, g_sequence_free);
        }
        g_free(x);
        return NULL;
}

static int compare_nodes(const void *a, const void *b, void *userdata) {
        return path_compare(&((const Node *) a)->path, &((const Node *) b)->path);
}

static void *const *things(const Node *n) {
        return n->n == 1 ? &n->one : n->many;
}

static void append(Node *n, void *thing) {
        if (n->n == 0)
                n->one = thing;
        else if (n->n == 1) {
                void *first = n->one;

                n->many = g_new(void *, 2);
                n->many[0] = first;
        } else if ((n->n & (n->n - 1)) == 0)
                n->many = g_renew(void *, n->many, 2 * n->n);
        if (n->n > 0)
                n->many[n->n] = thing;
        n->n++;
}

static void drop(Node *n, const void *thing) {
        guint i = 0;

        while (i < n->n && things(n)[i] != thing)
                i++;
        if (i == n->n)
                return;
        n->n--;
        if (n->n == 0)
                return;
        n->many[i] = n->many[n->n];
        if (n->n == 1) {
                void **many = n->many;

                n->one = many[0];
                g_free(many);
        }
}

void path_index_add(PathIndex *x, const Path *p, void *thing) {
        Node *n = g_hash_table_lookup(x->nodes, p);

        if (!n) {
                n = g_new(Node, 1);
                *n = (Node){ .path = *p };
                n->place = g_sequence_insert_sorted(x->sorted, n, compare_nodes, NULL);
                g_hash_table_add(x->nodes, n);
        }
        append(n, thing);
}

void path_index_remove(PathIndex *x, const Path *p, void *thing) {
        Node *n = g_hash_table_lookup(x->nodes, p);

        if (!n)
                return;
        drop(n, thing);
        if (n->n == 0) {
                g_hash_table_remove(x->nodes, p);
                g_sequence_remove(n->place);
        }
}

guint path_index_count(const PathIndex *x, const Path *p) {
        const Node *n = g_hash_table_lookup(x->nodes, p);

        return n ? n->n : 0;
}

bool path_index_is_empty(const PathIndex *x) {
        return g_hash_table_size(x->nodes) == 0;
}

static void run(const Node *n, PathIndexFunc func, void *userdata) {
        for (guint i = 0; i < n->n; i++)
                func(userdata, things(n)[i]);
}

void path_index_at(const PathIndex *x, const Path *p, PathIndexFunc func, void *userdata) {
        const Node *n = g_hash_table_lookup(x->nodes, p);

        if (n)
                run(n, func, userdata);
}

void path_index_covering(const PathIndex *x, const Path *p, PathIndexFunc func, void *userdata) {
        if (path_index_is_empty(x))
                return;
        for (uint8_t i = 0; i <= p->n; i++) {
                const Path prefix = path_prefix(p, i);
                const Node *n = g_hash_table_lookup(x->nodes, &prefix);

                if (n)
                        run(n, func, userdata);
        }
}

/* The first node behind p. */
static GSequenceIter *behind(const PathIndex *x, const Path *p) {
        return g_sequence_search(x->sorted, &(Node){ .path = *p }, compare_nodes, NULL);
}

void path_index_below(const PathIndex *x, const Path *p, PathIndexFunc func, void *userdata) {
        if (path_index_is_empty(x))
                return;
        for (GSequenceIter *i = behind(x, p); !g_sequence_iter_is_end(i);
             i = g_sequence_iter_next(i)) {
                const Node *n = g_sequence_get(i);

                if (!path_covers(p, &n->path))
                        break;
                run(n, func, userdata);
        }
}

static void on_found(void *userdata, void *thing) {
        *(bool *) userdata = true;
}

bool path_index_touches(const PathIndex *x, const Path *p) {
        GSequenceIter *i;
        bool found = false;

        path_index_covering(x, p, on_found, &found);
        if (found || path_index_is_empty(x))
                return found;
        i = behind(x, p);
        return !g_sequence_iter_is_end(i) &&
               path_covers(p, &((const Node *) g_sequence_get(i))->path);
}
