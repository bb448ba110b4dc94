/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a notification says: the one place where its body is made of what was read, and the one that
 * hears how its way to the server ended. Bodies are shared between observations of the same path
 * and format while a turn's notifications are sent. */
#include "lwm2m/observe/observation.h"

typedef struct Body {
        GBytes *payload;
        uint64_t digest; /* of the values in it: judge_digest() */
} Body;

void body_clear(Body *b);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Body, body_clear)

void notify_bodies_begin(Observer *s);
void notify_bodies_end(Observer *s);
/* One that was made in this turn for the same path and format; borrowed, NULL if there is none. */
const Body *notify_body_shared(const Observation *o);
/* Encodes result for o. An error as of read_encode(). */
int notify_body_make(Observation *o, const ReadResult *result, Body *ret);
/* Some of what o covers is cached: its notifications have samples, each of which is in one, and
 * which leave their cache when it was acknowledged. They are confirmable and not shared. */
bool notify_body_has_samples(const Observation *o);
/* The Observe value of the body that was made last: the one it had before if that may have arrived,
 * so that its server can tell (RFC 7641, section 3.4). */
int notify_body_number(Observation *o);
/* The notification of o that was sent last has arrived (acknowledged, or non-confirmable and
 * handed to the network), or it is not known whether it has. Not called when o ends. */
void notify_body_settled(Observation *o, bool acknowledged);
