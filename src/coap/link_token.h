/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The beginning of a link whose keys are in a token: they are had before anything else, by
 * token_loader.h, for this link alone. */
#include "coap/link.h"

/* Goes on with opening the link; error and text when there are no keys. config is what link_open()
 * was given, with certificates in place of references. Within link_enter(). */
typedef void (*LinkTokenFunc)(Link *l, int error, const char *text, const LinkConfig *config,
                              const char *host, uint16_t port, uint64_t now_usec);

/* config, host and port are copied. Errors of token_loader_start(). */
int link_token_start(Link *l, const LinkConfig *config, const char *host, uint16_t port,
                     LinkTokenFunc func);
struct evp_pkey_st *link_token_key(const Link *l); /* borrowed; NULL: none of a token */
void link_token_stop(LinkToken *t);                /* nothing is told any more */
LinkToken *link_token_free(LinkToken *t);          /* after everything that uses the key */
