/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The data of the device: object instances and the values of their resources, sorted by path. It
 * knows types, multiplicity and ranges (the schema), not who may do what: read-only protection is
 * the caller's. Every change happens in a transaction, which commits as a whole or leaves no trace.
 */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/record.h"
#include "model/schema.h"

typedef struct Tree Tree;

/* Who made a change; observers, storage and persistence policies look at it. */
typedef enum Origin {
        ORIGIN_INTERNAL, /* the daemon itself: loading, object behaviour */
        ORIGIN_APP,      /* over D-Bus */
        ORIGIN_SERVER,   /* an LwM2M server */
} Origin;

typedef enum ChangeKind {
        CHANGE_SET,     /* resource or resource instance: a value was stored (equal or not) */
        CHANGE_CREATED, /* object instance */
        CHANGE_DELETED, /* object instance, resource or resource instance */
} ChangeKind;

typedef struct Change {
        Path path;
        ChangeKind kind;
        uint8_t mark;     /* CHANGE_DELETED: the marks of what went, everything below included
                             (tree_marks.h) */
        const Value *old; /* CHANGE_SET: the value before the transaction; NULL if there was none */
} Change;

#define TREE_RESOURCE_INSTANCES_MAX 16384 /* of one resource */

/* Changes of one commit in the order they were made, each path at most once per kind (the last one;
 * what came and went within the transaction is left out, emptying a multiple resource is a
 * CHANGE_SET of it). The tree already has the new state. A listener may make a transaction of its
 * own. */
typedef void (*TreeCommitted)(void *userdata, Origin origin, uint16_t ssid, const Change *changes,
                              size_t n);

Tree *tree_new(const Schema *schema);
Tree *tree_free(Tree *t);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Tree, tree_free)
const Schema *tree_schema(const Tree *t);
/* Asked before a commit takes effect, while the new state is already visible; a negative errno
 * refuses it and tree_commit() rolls back. The store makes server writes durable here, so that a
 * full disk changes nothing. */
typedef int (*TreePrepare)(void *userdata, Origin origin, uint16_t ssid, const Change *changes,
                           size_t n);
void tree_on_prepare(Tree *t, TreePrepare func, void *userdata);
/* Limits: object instances in all, bytes of values in all: 24 each, and the length of text and
 * opaque ones; 0 = none. */
void tree_set_limits(Tree *t, uint32_t instances, uint64_t bytes);
/* Listeners run in the order they were added. */
void tree_on_commit(Tree *t, TreeCommitted func, void *userdata);
void tree_remove_listener(Tree *t, TreeCommitted func, void *userdata); /* not from within one */

/* --- looking --- O(log n); what is returned is borrowed until the next change. */
bool tree_exists(const Tree *t, const Path *p); /* the root and known objects with instances, too */
/* The value at a single resource or a resource instance. -ENOENT; -EISDIR a multiple resource or
 * above. */
int tree_get(const Tree *t, const Path *p, const Value **ret);
const Value *tree_value(const Tree *t, const Path *p); /* the same; NULL for each of them */
const ObjectDef *tree_object_def(const Tree *t, uint16_t object,
                                 int instance); /* the instance's version; -1: preferred */
const ResourceDef *tree_resource_def(const Tree *t, const Path *p); /* p->n >= 3 */
/* Walks what exists at and below prefix in path order: object instances (n = 2, value NULL),
 * resources (n = 3; value NULL for a multiple one) and resource instances (n = 4). Objects
 * themselves are not reported. Stops at the first non-zero result and returns it. The tree must not
 * change meanwhile. */
typedef int (*TreeVisit)(void *userdata, const Path *p, const Value *v, const ResourceDef *def);
int tree_walk(const Tree *t, const Path *prefix, TreeVisit visit, void *userdata);
/* The next object/instance after p in order, for resumable walks: 0 and *ret, or -ENOENT at the
 * end. */
int tree_next_instance(const Tree *t, const Path *after, Path *ret);
uint32_t tree_n_instances(const Tree *t, int object);                     /* -1: of all objects */
int tree_free_instance_id(const Tree *t, uint16_t object, uint16_t *ret); /* lowest free; -ENOSPC */

/* --- changing --- one transaction at a time; begin, operations, then commit or abort. Any
 * operation may fail without effect of its own; the caller decides to abort. */
void tree_begin(Tree *t, Origin origin, uint16_t ssid);
int tree_commit(Tree *t); /* an error of a TreePrepare: everything is rolled back */
void tree_abort(Tree *t);

/* version 0.0: the schema's preferred one. -EEXIST, -ENOENT unknown object, -EDQUOT limit (here and
 * below), -EPERM a second instance (or another id than 0) of a single-instance object. Mandatory
 * resources are the caller's care. */
int tree_create(Tree *t, uint16_t object, uint16_t instance, Version version);
/* Stores a copy of v, converted exactly to the schema's type. p is a single resource or a resource
 * instance; its object instance must exist (-ENOENT); -ENOENT unknown resource, -EINVAL/-ERANGE bad
 * value, -ENOTDIR a resource instance of a single resource, -EISDIR a multiple one without
 * instance, -EPERM an executable. */
int tree_set(Tree *t, const Path *p, const Value *v);
/* An empty multiple resource, or an existing one emptied. */
int tree_clear_resource(Tree *t, const Path *p);
/* Object instance, resource or resource instance; -ENOENT. */
int tree_delete(Tree *t, const Path *p);

/* For codec: the schema as decoders ask for it (instance's version when it exists). */
FormatSchema tree_format_schema(const Tree *t);
