/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The beginning of a link whose keys are elsewhere: an application is asked for them
 * (lwm2m/account/key_provider.h), and then a token (token_loader.h), before anything else is done,
 * for this link alone. */
#include "coap/link.h"

/* Goes on with opening the link; error and text when there are no keys. config is what link_open()
 * was given, with the credentials that were found. Within link_enter(). */
typedef void (*LinkKeysFunc)(Link *l, int error, const char *text, const LinkConfig *config,
                             const char *host, uint16_t port, uint64_t now_usec);

/* Whether a link with this configuration needs it. */
bool link_keys_are_elsewhere(const Link *l, const LinkConfig *config);
/* config, host and port are copied. 0: func runs later, whatever happens. */
void link_keys_start(Link *l, const LinkConfig *config, const char *host, uint16_t port,
                     LinkKeysFunc func);
struct evp_pkey_st *link_keys_private(const Link *l); /* borrowed; NULL: none of a token */
/* An application's: no session of it is kept. */
bool link_keys_are_provided(const Link *l);
void link_keys_stop(LinkKeys *k);      /* nothing is told any more */
LinkKeys *link_keys_free(LinkKeys *k); /* after everything that uses the key */
