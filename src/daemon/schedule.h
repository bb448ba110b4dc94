/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* [SendScheduler] of the configuration: the switches and the rules of the send scheduler in a form
 * for people. They become values of objects 10523 and 10524 (lwm2m/send/sched_object.h), as
 * [Values] would set them. */
#include <glib.h>

#include "codec/path.h"

#define SCHEDULE_FIRST_INSTANCE 10000 /* of object 10524; servers take lower ones */

typedef struct Schedule Schedule;

Schedule *schedule_new(void);
Schedule *schedule_free(Schedule *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Schedule, schedule_free)
/* One line: "MaxSamples" "100", "/3303/0/5700" "pmin=60 st=0.5". -EINVAL with *ret_error
 * (g_free()). A later line for the same resource takes the place of the earlier one. */
int schedule_add(Schedule *s, const char *name, const char *text, const char *where,
                 char **ret_error);
/* The values, as [Values] has them; where is that of the line. */
typedef void (*ScheduleSeed)(void *userdata, const Path *p, const char *text, const char *where);
void schedule_foreach_seed(const Schedule *s, ScheduleSeed func, void *userdata);
