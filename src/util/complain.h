/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An error and, for people, what is wrong. */
#include <glib.h>

/* Puts the text into *ret_error (g_free()); returns error. */
int complain(char **ret_error, int error, const char *format, ...) G_GNUC_PRINTF(3, 4);
