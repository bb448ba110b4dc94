/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Things kept by path, several at a path: finds those at a path's ancestors in constant time, and
 * those below it in O(log n + found). The things are borrowed. The index must not change while it
 * is walked. */
#include <glib.h>
#include <stdbool.h>

#include "codec/path.h"

typedef struct PathIndex PathIndex;
typedef void (*PathIndexFunc)(void *userdata, void *thing);

PathIndex *path_index_new(void);
PathIndex *path_index_free(PathIndex *x);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PathIndex, path_index_free)

void path_index_add(PathIndex *x, const Path *p, void *thing);
void path_index_remove(PathIndex *x, const Path *p, void *thing);
guint path_index_count(const PathIndex *x, const Path *p); /* at p itself */
bool path_index_is_empty(const PathIndex *x);
void path_index_at(const PathIndex *x, const Path *p, PathIndexFunc func, void *userdata);
/* At p and at each of its ancestors up to the root. */
void path_index_covering(const PathIndex *x, const Path *p, PathIndexFunc func, void *userdata);
/* Below p, without p itself. */
void path_index_below(const PathIndex *x, const Path *p, PathIndexFunc func, void *userdata);
/* Whether something stands at p, above or below it. */
bool path_index_touches(const PathIndex *x, const Path *p);
