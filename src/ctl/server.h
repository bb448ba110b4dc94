/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Server accounts as objects on the bus. */
#include "ctl/ctl.h"

#define SERVER_ROOT BUS_ROOT "/server"

/* Every account's properties, with "Name" (the last part of its object path) added, in the order of
 * their short ids. */
CtlExit server_list(Ctl *c, cJSON **ret);
/* The object path of "123" or "bootstrap"; CTL_USAGE otherwise. g_free() */
CtlExit server_path(const char *text, char **ret);
