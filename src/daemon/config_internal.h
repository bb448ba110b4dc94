/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What config.c (keys and sections) and config_entries.c (lines whose key is a path, and lists)
 * share. */
#include "daemon/config.h"
#include "daemon/keyfile.h"

typedef struct Reading {
        KeyFile *file;
        GString *errors;
        Config *config;
} Reading;

#define complain(in, ...) keyfile_complain((in)->file, __VA_ARGS__)

/* One line each; mistakes are told with complain(). */
void config_put_seed(void *userdata, const Path *path, const char *text, const char *where);
void config_add_seed(Reading *in, const char *name, const char *text);
void config_add_persist(Reading *in, const char *name, const char *text);
void config_add_access(Reading *in, const char *name, const char *text);
void config_add_cache(Reading *in, const char *name, const char *text);
void config_add_schedule(Reading *in, const char *name, const char *text);
void config_set_offer(Reading *in, const char *text);
