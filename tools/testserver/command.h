/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One JSON command: checked as a whole, then carried out. README.md lists them. */
#include "server.h"

void command_run(Server *s, const char *line);
