/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A whole client on virtual time: the shipped objects, a tree, dm, a transport that the test
 * answers for, and a store in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_transport.h"
#include "lwm2m/client/client.h"
#include "lwm2m/dm/samples.h"

#define SEC USEC_PER_SEC
#define WALL_START_SEC INT64_C(1764000000)

typedef struct Bed {
        Schema *schema;
        Tree *tree;
        Dm *dm;
        Series *series; /* caches, if the test has made them; freed by bed_free() */
        TimerQueue *timers;
        FakeTransport *transport;
        Client *client;
        ClientConfig config;
        const struct EstCryptoOps *est; /* as ClientParts has it */
        GString *log;                   /* "name@ssid", and server changes as "+1" and "-1" */
        char *details;                  /* of the last event, "key=value key=value" */
        uint64_t now;
        unsigned n_stopped;
        bool observations_told; /* observer-added and its like are in log, too */
} Bed;

Bed *bed_new(void);
void bed_boot(Bed *b); /* makes the client from b->config */
Bed *bed_free(Bed *b); /* the store's contents stay until fake_store_clear() */
void bed_reboot(Bed *b, uint64_t seconds_later); /* as after kill -9: the tree and the store stay */
/* The same, with what the store has not synced lost. */
void bed_kill(Bed *b, uint64_t seconds_later);

void bed_add(Bed *b, uint16_t ssid, const char *uri, uint32_t lifetime);
void bed_start(Bed *b);
void bed_advance(Bed *b, uint64_t usec);
void bed_log(Bed *b, const char *expected); /* compares and forgets */

Link *bed_link(const Bed *b, uint16_t ssid); /* NULL if none is open */
void bed_up(Bed *b, uint16_t ssid);
const FakeMessage *bed_request(const Bed *b, uint16_t ssid); /* under way; NULL if none */
void bed_answer(Bed *b, uint16_t ssid, uint8_t code, const char *location);
void bed_no_answer(Bed *b, uint16_t ssid, int error);
void bed_register(Bed *b, uint16_t ssid); /* up and 2.01 with /rd/<ssid> */
const char *bed_state(const Bed *b, uint16_t ssid);

uint8_t bed_observe(Bed *b, uint16_t ssid, const char *path, const char *token, int accept);
/* Write-Attributes; the answer's code. */
uint8_t bed_attributes(Bed *b, uint16_t ssid, const char *path, const char *query);
/* The oldest notification under way; NULL if none. */
const FakeMessage *bed_notification(const Bed *b, uint16_t ssid);
void bed_ack(Bed *b, uint16_t ssid, int error); /* 0: acknowledged */

void bed_set(Bed *b, const char *path, Value value /* taken over */); /* as an application */
int bed_write(Bed *b, const char *path, Value value); /* as D-Bus, past the behaviours */
void bed_create(Bed *b, const char *path);
void bed_delete(Bed *b, const char *path);
Value value_int(int64_t i);
Value value_uint(uint64_t u);
Value value_bool(bool b);

/* A server's request, answered; the answer's code. */
uint8_t bed_ask(Bed *b, uint16_t ssid, uint8_t method, const char *path, const char *text);

extern int fake_store_error;
extern unsigned fake_store_n_syncs;
void fake_store_clear(void);
unsigned fake_store_count(const char *prefix); /* blobs of that name */
GBytes *fake_store_get(const char *name);      /* borrowed; NULL */
void fake_store_set(const char *name, GBytes *blob);
extern Store *const fake_store;
extern int64_t fake_wall_offset_ns; /* a jump of the wall clock */
