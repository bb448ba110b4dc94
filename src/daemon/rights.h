/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The files that say which users of the bus may do what (man lwm2md-access.d): access.d with rules,
 * apps.d with reserved paths. */
#include <glib.h>

#include "bus/grants.h"

/* Reads the *.conf of both folders beside the configuration file. Mistakes become lines in errors,
 * "file:line: what is wrong and what is allowed". Names of users and groups are looked up here. A
 * folder that is there but cannot be read is a mistake, too: what it would have refused must not be
 * granted. */
Grants *rights_load(const char *config_file, GString *errors);
