/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A list of operations on the tree, applied as a whole or not at all: what Apply and SetMany bring
 * over D-Bus, what a server's request decodes to, and what handlers see in Prepare. */
#include <glib.h>

#include "codec/record.h"
#include "model/tree.h"

typedef enum OpKind {
        OP_CREATE,  /* object instance; value ignored. A server's or app's: mandatory resources get
                       defaults from nowhere */
        OP_DELETE,  /* object instance */
        OP_SET,     /* resource or resource instance = value (adds the resource instance) */
        OP_UNSET,   /* resource or resource instance removed */
        OP_REPLACE, /* empties an instance's writable resources or a multiple resource; OP_SETs
                       follow */
        OP_EXPECT,  /* fails the lot unless the value is equal; VALUE_NONE: unless it does not exist
                     */
} OpKind;

typedef struct Op {
        Path path;
        Value value; /* owned */
        OpKind kind;
} Op;

typedef struct OpList {
        Op *v;
        size_t n, n_allocated;
} OpList;

void op_list_add(OpList *l, OpKind kind, const Path *path,
                 Value *value /* taken over; may be NULL */);
void op_list_clear(OpList *l);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(OpList, op_list_clear)
const char *op_name(OpKind kind); /* "create" … as on D-Bus */
int op_from_name(const char *name, OpKind *ret);

typedef struct OpError {
        size_t index;   /* of the operation at fault; n when the commit itself failed */
        char text[256]; /* "/3303/0/5700: Float expected, got String": path, what, why */
} OpError;

/* One transaction. -errno as tree.h, -EBADE when an OP_EXPECT does not hold; nothing changed then.
 */
int ops_apply(Tree *tree, const Op *ops, size_t n, Origin origin, uint16_t ssid, OpError *error);

/* The same with somebody in the way, for objects with behaviour of their own. before() is asked for
 * each OP_CREATE and OP_DELETE (0 and -ENOSYS: go on), and, after everything else was applied, for
 * each OP_SET that concerns() it, with the converted value: -ENOSYS store it, 0 taken (not stored),
 * else refused. */
typedef struct OpsHook {
        bool (*concerns)(void *userdata, const Path *p);
        int (*before)(void *userdata, const Op *op);
        void *userdata;
} OpsHook;
int ops_apply_hooked(Tree *tree, const Op *ops, size_t n, Origin origin, uint16_t ssid,
                     const OpsHook *hook, OpError *error);

/* Tries ops: look() sees the tree as it would be, and then everything is taken back, unseen by
 * anybody else. Returns what look() returned, or -errno of the operation at fault. */
int ops_try(Tree *tree, const Op *ops, size_t n, int (*look)(void *userdata, const Tree *tree),
            void *userdata, OpError *error);
