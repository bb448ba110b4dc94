/* SPDX-License-Identifier: Apache-2.0 */
#include "util/complain.h"

#include <stdarg.h>

int complain(char **ret_error, int error, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        *ret_error = g_strdup_vprintf(format, ap);
        va_end(ap);
        return error;
}
