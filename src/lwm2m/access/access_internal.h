/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What access.c (deciding) and access_keep.c (keeping object 2 in step) share. */
#include "lwm2m/access/access.h"

enum { /* resources of object 2 */
       ACCESS_OBJECT_ID = 0,
       ACCESS_INSTANCE_ID = 1,
       ACCESS_ACL = 2,
       ACCESS_OWNER = 3,
};

struct Access {
        Tree *tree;
        AccessPolicy *policy;
        GHashTable *by_target;   /* object << 16 | instance -> number of the Access Control instance
                                    about it + 1 */
        GHashTable *by_instance; /* that number + 1 -> Listed */
        unsigned n_provided;     /* of them, how many have no owner: a bootstrap made them */
        bool has_twins;          /* two are about the same; the lower number counts */
        GArray *accounts;        /* uint16_t, the Short Server IDs in use, ascending */
        GArray *gone;            /* uint16_t, in use once, until access_forget_servers() */
};

typedef struct Listed {
        uint32_t target;
        bool provided;
} Listed;

static inline uint32_t access_target(uint16_t object, uint16_t instance) {
        return (uint32_t) object << 16 | instance;
}

/* The Access Control instance about an object instance (or object/65535). */
bool access_find(const Access *a, uint16_t object, uint16_t instance, uint16_t *ret);
/* A resource of it as a number, -1 when it is not there; its owner so. */
int64_t access_number(const Tree *tree, const Path *p);
uint16_t access_owner(const Tree *tree, uint16_t id);
static inline bool access_is_governed(uint16_t object) {
        return object != 0 && object != OBJECT_ACCESS_CONTROL && object != 21;
}
