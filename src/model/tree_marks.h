/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Eight bits beside each object instance, resource and resource instance for the store, so that
 * knowing what is on disk costs no memory. A new node has none; they go with the node and come back
 * when a deletion is rolled back. */
#include <stdint.h>

#include "model/tree.h"

enum {
        MARK_STORED = 1,   /* the disk has it, or something below it */
        MARK_SHADOWED = 2, /* the disk has an older value */
};

uint8_t tree_mark(const Tree *t, const Path *p); /* 0 for what does not exist */
void tree_set_mark(Tree *t, const Path *p, uint8_t mark);
