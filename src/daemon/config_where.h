/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where groups and keys were read: for mistakes that show only when all of them are known, or when
 * the files are read that they name. */
#include <glib.h>

#include "daemon/keyfile.h"

typedef struct ConfigWhere ConfigWhere;

ConfigWhere *config_where_new(void);
ConfigWhere *config_where_free(ConfigWhere *w);
/* key NULL: the group itself. */
void config_where_note(ConfigWhere *w, KeyFile *f, const char *group, const char *key);
/* Adds "file:line: [group] key: …" to the errors, or what of it is known. */
void config_where_complain(const ConfigWhere *w, GString *errors, const char *group,
                           const char *key, const char *format, ...) G_GNUC_PRINTF(5, 6);
/* The same of a text, which begins with "Key: " if it is about one key of the group. g_free() */
char *config_where_text(const ConfigWhere *w, const char *group, const char *text);
