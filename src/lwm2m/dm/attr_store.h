/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which attributes a server has written at which path, and what follows for a path by inheritance.
 */
#include <glib.h>
#include <stdint.h>

#include "lwm2m/observe/attrs.h"

#define ATTR_STORE_PATHS_MAX 100000 /* paths of all servers with attributes of their own */

typedef struct AttrStore AttrStore;

AttrStore *attr_store_new(void);
AttrStore *attr_store_free(AttrStore *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AttrStore, attr_store_free)

/* Those written at p itself; NULL if none. Borrowed until the next change. */
const Attrs *attr_store_get(const AttrStore *s, uint16_t ssid, const Path *p);
/* Replaces them; empty ones are removed. -EDQUOT. */
int attr_store_put(AttrStore *s, uint16_t ssid, const Path *p, const Attrs *a);
/* Lays what is written at the object, the instance, the resource and the resource instance over *a.
 */
void attr_store_inherit(const AttrStore *s, uint16_t ssid, const Path *p, Attrs *a);
/* Runs func for each path at or below p at which the server has written, in path order. */
void attr_store_foreach(const AttrStore *s, uint16_t ssid, const Path *p,
                        void (*func)(void *userdata, const Path *path, const Attrs *a),
                        void *userdata);
/* Forgets p and what is below, of every server; how many there were. */
size_t attr_store_drop(AttrStore *s, const Path *p);
/* Forgets all of one server. */
size_t attr_store_drop_server(AttrStore *s, uint16_t ssid);

/* Everything as one CBOR item, and back: [1, [[ssid, "/3303/0", "pmin=1&pmax=60"], …]]. -EBADMSG:
 * *s is as before. */
GBytes *attr_store_save(const AttrStore *s);
int attr_store_load(AttrStore *s, GBytes *blob);
