/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/errors.h"

#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <string.h>

typedef struct ErrorName {
        int error;
        const char *name;
} ErrorName;

/* First match wins in both directions. */
static const ErrorName names[] = {
        { ENOENT, ERROR_PREFIX "NotFound" },
        { EINVAL, ERROR_PREFIX "InvalidValue" },
        { ERANGE, ERROR_PREFIX "InvalidValue" },
        { EBADMSG, ERROR_PREFIX "InvalidValue" },
        { EISDIR, ERROR_PREFIX "InvalidPath" },
        { ENOTDIR, ERROR_PREFIX "InvalidPath" },
        { EPERM, ERROR_PREFIX "NotAllowed" },
        { EACCES, SD_BUS_ERROR_ACCESS_DENIED },
        { EEXIST, ERROR_PREFIX "Exists" },
        { EBADE, ERROR_PREFIX "ExpectFailed" },
        { ENOSYS, ERROR_PREFIX "NoHandler" },
        { EBUSY, ERROR_PREFIX "Busy" },
        { EHOSTUNREACH, ERROR_PREFIX "NoReply" },
        { EDQUOT, ERROR_PREFIX "LimitReached" },
        { E2BIG, ERROR_PREFIX "LimitReached" },
        { ENOSPC, ERROR_PREFIX "StorageFailed" },
        { EIO, ERROR_PREFIX "StorageFailed" },
        { EROFS, ERROR_PREFIX "StorageFailed" },
        { ENOTCONN, ERROR_PREFIX "NotRegistered" },
        { ETIMEDOUT, ERROR_PREFIX "Timeout" },
        { ENOTSUP, ERROR_PREFIX "NotSupported" },
        { EPROTONOSUPPORT, ERROR_PREFIX "NotSupported" },
        { EALREADY, ERROR_PREFIX "AlreadyRunning" },
        { ESHUTDOWN, ERROR_PREFIX "NotRunning" },
};

int bus_error_named(sd_bus_error *error, const char *name, const char *format, ...) {
        g_autofree char *text = NULL;
        va_list ap;

        va_start(ap, format);
        text = g_strdup_vprintf(format, ap);
        va_end(ap);
        return sd_bus_error_set(error, name, text);
}

int bus_error(sd_bus_error *error, int r, const char *format, ...) {
        const char *name = ERROR_PREFIX "Failed";
        g_autofree char *text = NULL;
        va_list ap;

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                if (names[i].error == -r) {
                        name = names[i].name;
                        break;
                }
        errno = -r;
        va_start(ap, format);
        text = g_strdup_vprintf(format, ap);
        va_end(ap);
        sd_bus_error_set(error, name, text);
        return r;
}

int bus_error_from_handler(const sd_bus_error *error) {
        static const ErrorName extra[] = {
                { EACCES, ERROR_PREFIX "AccessDenied" },
                { ENOENT, ERROR_PREFIX "NotMine" },
                { EINVAL, SD_BUS_ERROR_INVALID_ARGS },
                { ENOTSUP, SD_BUS_ERROR_NOT_SUPPORTED },
                { ENOTSUP, SD_BUS_ERROR_UNKNOWN_METHOD },
                { ENOTSUP, SD_BUS_ERROR_UNKNOWN_INTERFACE },
                { ENOTSUP, SD_BUS_ERROR_UNKNOWN_OBJECT },
                { EHOSTUNREACH, SD_BUS_ERROR_NO_REPLY },
                { EHOSTUNREACH, SD_BUS_ERROR_SERVICE_UNKNOWN },
                { EHOSTUNREACH, SD_BUS_ERROR_NAME_HAS_NO_OWNER },
                { EHOSTUNREACH, SD_BUS_ERROR_DISCONNECTED },
                { ETIMEDOUT, SD_BUS_ERROR_TIMEOUT },
        };

        /* The application could not be started. */
        if (g_str_has_prefix(error->name, "org.freedesktop.DBus.Error.Spawn."))
                return -EHOSTUNREACH;
        for (size_t i = 0; i < G_N_ELEMENTS(extra); i++)
                if (strcmp(error->name, extra[i].name) == 0)
                        return -extra[i].error;
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                if (strcmp(error->name, names[i].name) == 0)
                        return -names[i].error;
        return -EIO;
}
