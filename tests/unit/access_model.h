/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Access control once more, from the text of TS Core 1.1.1 (sections 8.1 and 8.2, appendix E.1.3),
 * slow and obvious, to hold the daemon against. Everything is searched for when it is needed; it
 * shares no code with src/. Without [AccessControl].
 *
 * The device has object 33000 (resource 1 written and read, 9 executed) and object 3303 (5700 read
 * only), whose instances come and go, and up to three servers. */
#include <stdbool.h>

#define MODEL_SERVERS 3 /* Short Server IDs 1 to 3 */
#define MODEL_OBJECTS 2
#define MODEL_INSTANCES 5
#define MODEL_CONTROLS 64
#define MODEL_NOBODY 65535

enum { MODEL_R = 1, MODEL_W = 2, MODEL_E = 4, MODEL_D = 8, MODEL_C = 16 };

typedef struct ModelControl { /* an Access Control instance */
        bool used;
        int object, instance; /* a number as in the protocol; MODEL_NOBODY: the object itself */
        int owner;
        int entry[MODEL_SERVERS + 1]; /* by Short Server ID, 0 the default; -1: there is none */
} ModelControl;

typedef struct AccessModel {
        bool account[MODEL_SERVERS + 1];
        bool exists[MODEL_OBJECTS][MODEL_INSTANCES];
        int value[MODEL_OBJECTS][MODEL_INSTANCES];
        ModelControl controls[MODEL_CONTROLS]; /* by number */
} AccessModel;

extern const int model_objects[MODEL_OBJECTS], model_resources[MODEL_OBJECTS];

int model_rights(const AccessModel *m, int server, int object, int instance);
bool model_may_create(const AccessModel *m, int server, int object);
/* Of Access Control instance number: -1 there is none. */
bool model_may_manage(const AccessModel *m, int server, int number);
bool model_keeps_controls(const AccessModel *m); /* a Create of a server makes one, too */
int model_control_of(const AccessModel *m, int object, int instance); /* -1: none */
void model_remove_instance(AccessModel *m, int object, int instance);
void model_remove_account(AccessModel *m, int server);
