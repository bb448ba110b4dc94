/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where an EST server has its resources, if not at /.well-known/est: the answer to a GET of
 * /.well-known/core (RFC 9148, section 4.1). */
#include <glib.h>

/* The path above the resource of type ace.est.sen, as segments (g_strfreev()). -ENOENT there is
 * none on that server, -EBADMSG no list of links, or a path that cannot be used. */
int est_discover(GBytes *links, char ***ret);
