/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The group [Est]: where certificates for servers in security mode est come from. */
#include "daemon/config.h"
#include "lwm2m/est/est_place.h"

/* What is wrong with a key of the group; NULL: nothing that can be told from the text. g_free() */
char *config_est_check(const char *name, const char *text);
/* directory: of secrets. Errors as config_security_build(). *ret_uri (g_free(); may be NULL): of
 * the EST server without its path; NULL for the bootstrap server's. */
int config_est_build(const Config *c, const char *directory, EstConfig **ret, char **ret_uri,
                     char **ret_error);
