/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The baseline: what libcoap alone does in the daemon's place. It registers with one POST /rd and
 * answers on the same session; every resource takes a PUT and gives it back to a GET. Blocks and
 * observations are libcoap's own. */
#include <stdbool.h>

typedef struct BareCoap BareCoap;

/* A resource for each of the n paths (no leading slash) and for "OBJECT/0…n_observable-1/5700",
 * observable. Registers with 127.0.0.1:port. NULL on error, told on stderr. */
BareCoap *bare_coap_new(int port, char **paths, int n, unsigned object, unsigned n_observable);
BareCoap *bare_coap_free(BareCoap *b);

/* A descriptor to poll for reading; bare_coap_prepare() before each poll, bare_coap_process()
 * after it. */
int bare_coap_fd(const BareCoap *b);
void bare_coap_prepare(BareCoap *b);
void bare_coap_process(BareCoap *b);

/* Waits in libcoap and serves, until *stop. */
void bare_coap_run(BareCoap *b, const volatile bool *stop);

/* The value of observable resource `index` changed to text: its observers are told. */
void bare_coap_set(BareCoap *b, unsigned index, const char *text);
