/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A small device with one server in front of it, on virtual time and the fakes beside this file.
 *
 * Objects: 0/0 (account of server 1), 1/0 (server 1), 3/0 (0 = "ACME", 7 = {0: 3800, 1: 5000}),
 * 3303/0 and /1 (5700 = 21.5 and 22.5), 33000/0 of the definition below (1 = 5, 2 = "two", 5 = {1:
 * 0.5, 3: 1.5}), 33001 without instance.
 *
 * 33000: 0 R Integer mandatory, 1 RW Integer 0..100 mandatory, 2 RW String, 3 W String, 4 E, 5 RW
 * Float multiple, 6 RW Opaque, 7 RW Boolean, 8 R Integer (computed: now in seconds), 9 E (by the
 * daemon), 10 R String multiple, 11 RW Integer (the daemon takes 1, refuses 2, leaves the rest), 12
 * RW Time, 13 RW Objlnk, 14 RW Unsigned. 33001: one instance, 0 RW Integer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_apps.h"
#include "fake_transport.h"
#include "lwm2m/dm/dm.h"
#include "lwm2m/ops.h"

typedef struct Fixture {
        Schema *schema;
        Tree *tree;
        TimerQueue *timers;
        FakeTransport *transport;
        FakeApps *apps;
        Series *series;
        int64_t wall_ns; /* of the clocks at time 0 of now; boot time is now */
        Dm *dm;
        Peer *peer; /* server 1, LwM2M 1.1 */
        Link *link;
        uint64_t now;      /* microseconds; starts at 1000 s */
        GString *events;   /* "observer-added 1 /3303/0/5700; …" */
        GString *executed; /* what the daemon itself did: "/33000/0/9 (0); …" */
        unsigned n_attributes_changed;
} Fixture;

int fixture_setup(void **state);
int fixture_teardown(void **state);
#define DM_TEST(f) cmocka_unit_test_setup_teardown((f), fixture_setup, fixture_teardown)

typedef struct Ask {
        uint8_t method;
        const char *path;  /* "/3/0" */
        const char *query; /* "pmin=1&pmax=5"; NULL */
        int format, accept, observe;
        const char *token; /* NULL = empty */
        const void *payload;
        size_t n_payload;
} Ask;
/* The answer's code; 0 when there is none yet. The answer itself is fake_last_answer(). */
uint8_t fixture_ask(Fixture *f, const Ask *ask);
uint8_t get(Fixture *f, const char *path, int accept);
uint8_t observe(Fixture *f, const char *path, const char *token);
uint8_t put(Fixture *f, const char *path, int format, const char *text);
uint8_t post(Fixture *f, const char *path, int format, const char *text);
uint8_t put_bytes(Fixture *f, const char *path, int format, const void *data, size_t n);
uint8_t post_bytes(Fixture *f, const char *path, int format, const void *data, size_t n);
uint8_t delete_path(Fixture *f, const char *path);
uint8_t attributes(Fixture *f, const char *path, const char *query);
uint8_t fetch(Fixture *f, const char *json, int accept);
uint8_t ipatch(Fixture *f, const char *json);
const char *answer_text(const Fixture *f); /* payload of the last answer */

void set_float(Fixture *f, const char *path, double d);
void set_integer(Fixture *f, const char *path, int64_t i);
void create(Fixture *f, const char *path);
char *value_at(const Fixture *f, const char *path); /* as text; "none" if there is none; g_free() */
#define assert_value(f, path, expected)                                                            \
        do {                                                                                       \
                char *text_ = value_at((f), (path));                                               \
                assert_string_equal(text_, (expected));                                            \
                g_free(text_);                                                                     \
        } while (0)
/* Lets the time pass to now + seconds, running every timer in order. */
void pass(Fixture *f, double seconds);
