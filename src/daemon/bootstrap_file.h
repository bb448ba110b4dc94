/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bootstrap information from a file, as a smartcard would hold it (man lwm2md.conf, BootstrapFile):
 * a Bootstrap-Pack in SenML JSON, SenML CBOR or LwM2M CBOR, or a folder with a file ID.tlv for each
 * object. */
#include "lwm2m/bootstrap/bs_stage.h"

#define BOOTSTRAP_FILE_BYTES_MAX (4U << 20)
#define BOOTSTRAP_FILES_MAX 256 /* in a folder */

/* Puts it into tree, as bs_import(). *ret_error (g_free()) names the file. */
int bootstrap_file_apply(const char *path, Tree *tree, const BsLimits *limits, char **ret_error);
