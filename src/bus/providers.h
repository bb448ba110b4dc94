/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Applications that have the credentials for a server (Claims.ProvideCredentials), and the
 * questions to them: one Load of their CredentialProvider object before each connection. The answer
 * is for that connection; what is wrong with it, or with the application, becomes the server's
 * LastError. Implements KeyProvider of lwm2m/account/key_provider.h. */

#include "bus/grants.h"
#include "bus/owners.h"
#include "bus/sdbus.h"
#include "lwm2m/account/key_provider.h"

#define PROVIDER_INTERFACE "org.lwm2md.Client1.CredentialProvider"
/* Beside what handlers.h takes of the 128 answers one connection may wait for. */
#define QUESTIONS_IN_FLIGHT_MAX 12u
#define QUESTIONS_MAX 1100u /* a link each has one */

typedef struct Bus Bus;
typedef struct Providers Providers;

extern const KeyProvider providers_key_provider; /* its userdata is the Providers */

Providers *providers_new(Bus *b);
Providers *providers_free(Providers *ps);
void providers_set_bus(Providers *ps, sd_bus *bus); /* NULL: gone, every question fails */
void providers_vanished(Providers *ps, const Owner *o);
/* The applications of apps.d that are asked while nobody else provides: the bus starts them. */
void providers_take_reservations(Providers *ps, const Grants *grants);
/* Rules have changed: those that are not allowed any more end. */
void providers_recheck(Providers *ps);
int method_provide_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_withdraw_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error);
