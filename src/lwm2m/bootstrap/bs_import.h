/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bootstrap information that comes with the device instead of from a server (TS Core 1.1.1, section
 * 6.1.4: factory bootstrap, bootstrap from a smartcard): accounts and other instances in a format
 * of LwM2M, put into the tree as a bootstrap server would. */
#include <glib.h>

#include "lwm2m/bootstrap/bs_stage.h"

typedef struct BsImport {
        const char *name; /* of where it comes from, for messages */
        Path base;        /* the object it is about (TLV), or the root: a Bootstrap-Pack */
        Format format;
        GBytes *data;
} BsImport;

/* What the bytes look like: SenML JSON, SenML CBOR or LwM2M CBOR. -EBADMSG for nothing of these. */
int bs_import_format(GBytes *data, Format *ret);

/* All parts in one transaction, on disk when it returns. The instances of each object they name
 * give way first, but for object 3. The accounts must fit together; that of a bootstrap server
 * alone is enough. -errno with *ret_error (g_free()) saying which part and why; nothing has changed
 * then. */
int bs_import(Tree *tree, const BsImport *parts, size_t n, const BsLimits *limits, int64_t now_sec,
              char **ret_error);
