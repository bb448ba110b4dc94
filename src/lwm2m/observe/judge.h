/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whether what happened to a value is worth telling to one observer: finds the conditions in effect
 * for each value of an observation and what its server was told last of it. Conditions written at a
 * resource hold for it, and for each instance of a multiple one, in every observation that covers
 * it, whatever its level; a value without conditions counts when it changes. */
#include "lwm2m/observe/observation.h"

/* A value was set in the tree; now is what it is. */
Pending judge_set(Observation *o, const Path *p, const Value *now);
/* Values were read, or asked for. */
Pending judge_result(Observation *o, const ReadResult *result);
/* result was told: what comes later is held against it. */
void judge_told(Observation *o, const ReadResult *result);
/* result need not be told: remembers of it what was not known. */
void judge_seen(Observation *o, const ReadResult *result);
/* The attributes are others now: holds what is there against them, and marks what is to be told. */
void judge_rewritten(Observation *o);
uint64_t judge_digest(const ReadResult *result);
