/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What object 1 does beside holding values: lifetime and binding are checked before they are taken,
 * and the executables act on the registration (TS Core 1.1.1, appendix E.2). */
#include "lwm2m/dm/dm.h"

typedef struct ServerObjectOps {
        /* By instance of object 1; -ENOENT when no running server belongs to it. */
        int (*disable)(void *userdata, uint16_t instance, uint64_t now_usec);
        int (*trigger_update)(void *userdata, uint16_t instance, uint64_t now_usec);
        /* 1/x/9: after the answer has left. -EPERM without a bootstrap server, -EBUSY during a
         * bootstrap. */
        int (*bootstrap)(void *userdata, uint16_t instance, uint64_t now_usec);
        bool (*has_bootstrap)(void *userdata);
        /* The lifetime in force, and the lowest a server may write; 0, for ever, is above all. */
        int (*lifetime)(void *userdata, uint16_t instance, uint32_t *ret_sec,
                        uint32_t *ret_min_sec);
} ServerObjectOps;

typedef struct ServerObject {
        const Tree *tree;
        const Dm *dm;
        uint32_t lifetime_min_sec; /* of an instance that is no account of ours */
        bool forever;              /* 0 is a lifetime: not in LwM2M 1.0 */
        ServerObjectOps ops;
        void *userdata;
} ServerObject;

/* The behaviour's userdata is the ServerObject. */
extern const Behaviour server_object_behaviour;
