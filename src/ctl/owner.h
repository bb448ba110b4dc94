/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who owns the daemon's bus name: verbs that stay follow it over restarts, and take signals and
 * calls from its owner alone. */
#include "ctl/ctl.h"

typedef struct Owner Owner;
/* unique is NULL when the daemon left the bus. */
typedef void (*OwnerFunc)(void *userdata, const char *unique);

/* func is called for changes, from within sd_bus_process(). */
CtlExit owner_new(Ctl *c, OwnerFunc func, void *userdata, Owner **ret);
Owner *owner_free(Owner *o);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Owner, owner_free)
const char *owner_unique(const Owner *o); /* NULL: absent */
bool owner_sent(const Owner *o, sd_bus_message *m);

/* Processes the bus until *stop, or until deadline_usec of ctl_now(): CTL_TIMEOUT, without a
 * message. */
CtlExit ctl_loop(Ctl *c, const bool *stop, uint64_t deadline_usec);
uint64_t ctl_now(void); /* CLOCK_MONOTONIC, microseconds */
/* When --timeout ends; UINT64_MAX without one. */
uint64_t ctl_deadline(const Ctl *c);
