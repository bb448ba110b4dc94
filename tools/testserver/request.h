/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Commands that are CoAP requests: the operations of LwM2M and "request" for any other. */
#include "server.h"

#define REQUEST_PENDING 1

/* Reads "to" or "ep"; with neither, the endpoint registered last. */
int request_target(Server *s, const cJSON *command, Address *ret, char **ret_error);

/* Return REQUEST_PENDING when the answer will be printed later. */
int request_run(Server *s, const cJSON *command, cJSON *answer, char **ret_error);
int request_run_cancel(Server *s, const cJSON *command, cJSON *answer, char **ret_error);
