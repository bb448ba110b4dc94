/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What tree.c (looking) and txn.c (changing) share. */
#include <glib.h>

#include "model/idmap.h"
#include "model/slots.h"
#include "model/tree.h"
#include "model/tree_marks.h"

typedef struct Undo Undo;
typedef struct Event Event;

typedef struct Listener {
        TreeCommitted func;
        void *userdata;
} Listener;

struct Tree {
        const Schema *schema;
        IdMap objects; /* IdMap of Instance, never empty, by object */
        uint32_t n_instances, instances_max;
        uint64_t n_bytes, bytes_max;
        GArray *listeners; /* Listener */
        TreePrepare prepare;
        void *prepare_userdata;
        /* The transaction. */
        bool active;
        Origin origin;
        uint16_t ssid;
        GArray *undo;   /* Undo, oldest first */
        GArray *events; /* Event, oldest first */
};

Instance *tree_instance(const Tree *t, uint16_t object, uint16_t instance);
/* The slot of a resource (n = 3) or resource instance (n = 4). */
Slot *tree_slot(const Tree *t, const Path *p);
void tree_insert_instance(Tree *t, uint16_t object, uint16_t id, Instance *instance);
Instance *tree_take_instance(Tree *t, uint16_t object, uint16_t id);
/* Where it is kept: adding a resource may move it. */
Instance **tree_instance_place(const Tree *t, uint16_t object, uint16_t instance);
