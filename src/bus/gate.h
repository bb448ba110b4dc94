/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What stands between a caller and the methods: rights (grants.h) and quotas of his user. Methods
 * of no path are judged before they run, by a filter; the others ask for each path they get. */
#include "bus/bus_internal.h"

/* The filter: answers AccessDenied itself to who may not call a method. Methods of Manager, Server
 * and Model are for administrators unless the table in gate.c says otherwise. */
int gate_filter(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* A copy, for as long as the bus lives, whose methods sd-bus itself does not keep for root: the
 * filter judges them. g_free() */
sd_bus_vtable *gate_open(const sd_bus_vtable *vtable);

/* 0, or an AccessDenied error that names the rule it takes. */
int check_right(sd_bus_message *m, Right right, const Path *p, sd_bus_error *error);
/* For what can be told in part: *ret_view is NULL when the sender may read all of p, else what is
 * below must be asked of it. An error when there is nothing for him. */
int check_right_some(sd_bus_message *m, const Path *p, const GrantView **ret_view,
                     sd_bus_error *error);
/* What read_paths() asks for each path. */
typedef int (*PathCheck)(sd_bus_message *m, const Path *p, sd_bus_error *error);
int check_path_read(sd_bus_message *m, const Path *p, sd_bus_error *error);
int check_path_write(sd_bus_message *m, const Path *p, sd_bus_error *error);
/* An argument "as" of paths with at least n_min levels, at most max of them, appended to ret
 * (Path). check may be NULL. */
int read_paths(sd_bus_message *m, uint8_t n_min, unsigned max, PathCheck check, GArray *ret,
               sd_bus_error *error);
/* A claim of p: the right to, or for a path that is reserved (apps.d) owning the bus name. */
int check_claim(sd_bus_message *m, const Path *p, sd_bus_error *error);
int gate_uid(sd_bus_message *m, uid_t *ret); /* the sender's; -EACCES nobody knows */
/* n values of the sender's; LimitReached when his user set too many in this second. */
int check_budget(sd_bus_message *m, uint64_t n, sd_bus_error *error);
/* Of somebody who is not calling just now: whether he may still hold what he has. */
bool gate_may(Bus *b, const char *name, Right right, const Path *p);
/* Whether the connection unique owns that bus name. Asks the bus. */
bool gate_owns_name(Bus *b, const char *unique, const char *well_known);
bool gate_may_claim(Bus *b, const char *name, const Path *p);
