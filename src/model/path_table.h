/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Hash tables keyed by paths. */
#include <glib.h>

#include "codec/path.h"

/* Keys are owned Path * (path_dup()); values are freed with free_value, NULL if they need none. */
GHashTable *path_table_new(GDestroyNotify free_value);
Path *path_dup(const Path *p); /* g_free() */
