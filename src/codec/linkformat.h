/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Lists of links in CoRE Link Format (RFC 6690, section 2), as resources of type Corelnk hold and
 * peers send them: a reader that neither copies nor allocates. */
#include <stdbool.h>

#include "codec/reader.h"

typedef struct LinkItem {
        Reader uri;    /* between < and > */
        Reader params; /* for linkformat_param(); well-formed already */
} LinkItem;

typedef struct LinkParam {
        Reader name;
        Reader value; /* without quotes, with its escapes; empty if there is none */
        bool has_value, quoted;
} LinkParam;

/* Takes the next link, from a Reader over the whole list: 1, 0 at the end, -EBADMSG for what is no
 * link. The list may be empty. */
int linkformat_next(Reader *in, LinkItem *ret);
/* Takes the next parameter of a link: 1, 0 at the end. */
int linkformat_param(Reader *params, LinkParam *ret);
/* 0 for a list of links, -EBADMSG otherwise. */
int linkformat_check(const void *data, size_t n);
