/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Files of definitions that wait until their object is asked for: a start needs few of those that
 * are there, and reading each would be a tenth of it. One is known by its name at first, then by
 * the head of its text; what it has is for the schema to read. */
#include "model/schema.h"

typedef struct SchemaFile {
        uint16_t id;                    /* of the object it defines */
        bool closed;                    /* known by its name alone: the id may be another one, and
                                           the versions are not known */
        Version version, lwm2m_version; /* of the object; of the release it needs */
        unsigned order;                 /* in which they were found */
        GRefString *directory;
        char *name;
        void (*on_error)(void *userdata, const char *text);
        void *userdata;
} SchemaFile;

void schema_file_free(void *file);
char *schema_file_path(const SchemaFile *f);
/* Sets what the name says. False: nothing, it has to be looked at. */
bool schema_file_named(SchemaFile *f);
/* Sets what the text says, which is no longer closed then; of one that was, the head will do.
 * False: it cannot wait, for it does not define one object, says it too late or cannot be read. */
bool schema_file_look(SchemaFile *f);
/* The text of a regular file, of which at most one byte more than may be parsed. */
int schema_file_read(const char *path, GString *ret);

/* In an array of them, ordered by object and by when they were found: adding one, and the first of
 * an object or where it would be. */
void schema_files_add(GPtrArray *files, SchemaFile *f);
guint schema_files_first(const GPtrArray *files, uint16_t id);
