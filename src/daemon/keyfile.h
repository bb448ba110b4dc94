/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Configuration files (GKeyFile form) and folders of them, with the lines that messages name. */
#include <glib.h>

typedef struct KeyFile {
        const char *file; /* borrowed */
        char **lines;
        GKeyFile *keyfile;
        GString *errors;   /* borrowed */
        GHashTable *index; /* of the lines, once one was asked for */
} KeyFile;

/* -ENOENT, -EIO, -E2BIG, -EBADMSG with a line in errors. */
int keyfile_open(const char *file, GString *errors, KeyFile *ret);
void keyfile_clear(KeyFile *f);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(KeyFile, keyfile_clear)
/* The line of a group (key NULL) or key, from 1; 0 when it is not found. */
unsigned keyfile_line(KeyFile *f, const char *group, const char *key);
/* Adds "file:line: [group] key: …" to the errors. */
void keyfile_complain(KeyFile *f, const char *group, const char *key, const char *format, ...)
        G_GNUC_PRINTF(4, 5);
/* The *.conf of a folder in the order of their names (char *, full paths); none if it is not there,
 * and a line in errors if it cannot be read. */
GPtrArray *keyfile_folder(const char *folder, GString *errors);
