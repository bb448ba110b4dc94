/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* [Values] of the configuration: values, and with them Object Instances, that the tree gets at
 * start when it does not have them. They are not stored: the file is their home. */
#include "daemon/config.h"
#include "model/tree.h"

/* All or nothing. On failure *ret_error (g_free()) has one line for each mistake, "file:line:
 * reason". */
int seed_apply(const Config *config, Tree *tree, char **ret_error);
/* For accounts that the configuration has just made: its values of object 1 take the place of the
 * defaults, and are stored like the rest of the account. */
int seed_accounts(const Config *config, Tree *tree, char **ret_error);
