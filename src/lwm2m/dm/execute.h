/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Execute (TS Core 1.1.1, section 6.3.6). Whoever stands behind the resource decides: an object
 * with behaviour, else the application that claims it. Nobody there is 4.05, the code the
 * specification has for a target that cannot be executed (5.01 is not among Execute's codes and
 * makes Leshan refuse the answer), and never 2.04. */
#include "lwm2m/dm/dm_internal.h"

int execute_request(Request *rq);
/* For dm_execute(). */
int execute_local(Dm *dm, const Path *p, const char *args, AppDone done, void *userdata,
                  uint64_t now_usec);
