/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* LwM2M paths: "/" (n = 0), /Object (1), /Object/Instance (2), /Object/Instance/Resource (3) and
 * /Object/Instance/Resource/ResourceInstance (4). Identifiers are 0..65534; 65535 is reserved by
 * the specification (TS Core 1.1.1, section 7.1 ff.) and refused. */
#include <stdbool.h>
#include <stdint.h>

#define PATH_TEXT_MAX 32 /* longest text with its NUL: four identifiers of five digits */
#define ID_MAX 65534
#define ID_RESERVED 65535

typedef struct Path {
        uint16_t id[4]; /* unused ones are 0 */
        uint8_t n;      /* how many identifiers, 0..4 */
} Path;

#define PATH_ROOT ((Path){ .n = 0 })
#define PATH_O(o) ((Path){ .id = { (uint16_t) (o) }, .n = 1 })
#define PATH_OI(o, i) ((Path){ .id = { (uint16_t) (o), (uint16_t) (i) }, .n = 2 })
#define PATH_OIR(o, i, r)                                                                          \
        ((Path){ .id = { (uint16_t) (o), (uint16_t) (i), (uint16_t) (r) }, .n = 3 })
#define PATH_OIRI(o, i, r, ri)                                                                     \
        ((Path){ .id = { (uint16_t) (o), (uint16_t) (i), (uint16_t) (r), (uint16_t) (ri) },        \
                 .n = 4 })

/* Canonical text only: leading slash, decimal, no leading zeros, no trailing slash ("/" is the
 * root). -EINVAL otherwise. */
int path_parse(const char *text, Path *ret);
/* Writes and returns the canonical text. */
const char *path_format(const Path *p, char buffer[static PATH_TEXT_MAX]);
/* path_format() into a buffer that lives until the end of the enclosing block. */
#define PATH_TEXT(p) path_format((p), (char[PATH_TEXT_MAX]){ 0 })

/* Order of a walk through the tree: a parent stands before its children. */
int path_compare(const Path *a, const Path *b);
bool path_equal(const Path *a, const Path *b);
/* Whether p is prefix itself or below it; the root covers everything. */
bool path_covers(const Path *prefix, const Path *p);
Path path_child(const Path *p, uint16_t id);
Path path_prefix(const Path *p, uint8_t n); /* the first n identifiers; n <= p->n */
