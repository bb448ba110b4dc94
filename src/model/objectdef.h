/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Life of one ObjectDef: built by the XML loader, then immutable and shared by the schema and by
 * every instance made from it, so that removing or replacing it in the schema never leaves an
 * instance behind without its definition. */
#include "model/schema.h"

/* An empty definition, owned once, multiple and mandatory false, version 1.0. */
ObjectDef *object_def_new(void);
const ObjectDef *object_def_ref(const ObjectDef *def);
const ObjectDef *object_def_unref(const ObjectDef *def); /* NULL is fine; returns NULL */
/* Whether somebody beside the schema holds it. */
bool object_def_in_use(const ObjectDef *def);
bool object_def_equal(const ObjectDef *a, const ObjectDef *b);
/* Takes the resource over. -EEXIST if the id is there already. Only while it is being built. */
int object_def_add_resource(ObjectDef *def, ResourceDef *resource);
void resource_def_clear(ResourceDef *resource);
int version_compare(Version a, Version b);
