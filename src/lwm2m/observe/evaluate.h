/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Asking applications for the values of an observation. One question serves all observations of the
 * same path, of whatever server, that have something to look at or may do so by now (epmin): their
 * later turns (epmax) fall together then. */
#include "lwm2m/observe/observation.h"

/* ask: the paths (n = 3 or 4) that applications answer for. notify_on_evaluated() follows for o and
 * whoever joined. */
void evaluate(Observation *o, const GArray *ask, uint64_t now_usec);
/* o wants no answer any more; the last one withdraws the question. */
void evaluation_leave(Observation *o);
