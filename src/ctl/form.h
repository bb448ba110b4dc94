/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The forms -x -s -b -u8…-u64 -s8…-s64 -f -t of `read` and `write`, as a device's shell knows them:
 * a form names a type and, for integers, a width that is enforced. */
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/datum.h"

typedef struct Form {
        const char *option;
        DatumType type;
        unsigned bits; /* of integers */
} Form;

extern const Option read_options[], write_options[];

/* The form asked for, NULL for that of the resource itself; more than one is CTL_USAGE. */
CtlExit form_option(const Args *a, const Form **ret);
/* Whether text fits the width. -EINVAL, -ERANGE with *ret_error. */
int form_check(const Form *f, const char *text, char **ret_error);
/* A value of json.h in that form. -EINVAL: the value has no such form; -ERANGE: it does not fit. */
int form_format(const Form *f, const cJSON *value, char **ret, char **ret_error);
