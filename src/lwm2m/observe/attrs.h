/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Notification attributes (TS Core 1.1.1 and 1.2, section 5.1.2): parse a Write-Attributes query,
 * check what it leads to, show it. Which of them belong to a path and a server is kept by
 * attr_store. Periods are in seconds, 0..2^32-1; a period of 0 means there is none. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/path.h"
#include "model/schema.h"

typedef enum AttrName {
        ATTR_PMIN,
        ATTR_PMAX,
        ATTR_GT,
        ATTR_LT,
        ATTR_ST,
        ATTR_EPMIN,
        ATTR_EPMAX,
        ATTR_EDGE,  /* 1.2: 0 falling, 1 rising */
        ATTR_CON,   /* 1.2: 1 = confirmable notifications */
        ATTR_HQMAX, /* 1.2: notifications kept while the server is away */
        _ATTR_MAX,
} AttrName;

typedef struct Attrs {
        double value[_ATTR_MAX]; /* exact for the integer ones, too */
        uint16_t set;            /* bits 1 << AttrName */
} Attrs;

/* What a query asks for: values to set, and names to remove ("pmin" without a value). */
typedef struct AttrsUpdate {
        Attrs set;
        uint16_t remove;
} AttrsUpdate;

static inline bool attrs_has(const Attrs *a, AttrName name) {
        return a->set & 1U << name;
}

/* The elements of a query ("pmin=10"), NULL-terminated. -EINVAL: empty, a name unknown or given
 * twice, a value that is none; *ret_bad, if not NULL, is then the element at fault (borrowed). */
int attrs_parse(const char *const *query, AttrsUpdate *ret, const char **ret_bad);
/* Whether an enabler of this version knows the names: epmin and epmax came with 1.1, edge, con and
 * hqmax with 1.2. -EINVAL and the first that it does not know. */
int attrs_check_version(const AttrsUpdate *u, Version version, const char **ret_name);
/* Whether the names may be written at p: gt, lt and st belong to numeric resources and their
 * instances, edge to Boolean ones. def is NULL above resources. -EINVAL. */
int attrs_check_target(const AttrsUpdate *u, const Path *p, const ResourceDef *def);
bool attrs_equal(const Attrs *a, const Attrs *b);
void attrs_update(Attrs *a, const AttrsUpdate *u);
/* pmin <= pmax, epmin <= epmax, lt < gt, lt + 2 st < gt, as far as they are there; -EINVAL and what
 * is wrong. */
int attrs_check(const Attrs *a, const char **ret_why);
/* The part of it that is about values: lt < gt, lt + 2 st < gt. */
int attrs_check_conditions(const Attrs *a, const char **ret_why);
/* Lays those of top over a: the lower level wins (section 5.1.2, precedence). */
void attrs_overlay(Attrs *a, const Attrs *top);

/* Appends "pmin=10" … each behind separator but, when lead is false, the first. */
void attrs_append(const Attrs *a, GString *out, char separator, bool lead);
/* "pmin=1&pmax=60"; "" for none. Inverse of attrs_parse_text(). */
char *attrs_format(const Attrs *a);
int attrs_parse_text(const char *text, Attrs *ret);
