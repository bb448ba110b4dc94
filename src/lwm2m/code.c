/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/code.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include <glib.h>

#include "lwm2m/transport.h"

static const struct {
        int error;
        uint8_t code;
} codes[] = {
        { 0, CODE(2, 4) },

        { EBADMSG, CODE(4, 0) }, /* malformed */
        { EINVAL, CODE(4, 0) },  /* a value of another type, a bad query */
        { ERANGE, CODE(4, 0) },  /* a value the definition does not allow */
        { EEXIST, CODE(4, 0) },  /* Create of an instance that is there */
        { EISDIR, CODE(4, 0) },  /* a value for a multiple resource as a whole */
        { ENOTDIR, CODE(4, 0) }, /* an instance of a single resource */
        { EBADE, CODE(4, 0) },   /* an expectation that does not hold */
        { EACCES, CODE(4, 1) },    { ENOENT, CODE(4, 4) },
        { EPERM, CODE(4, 5) }, /* the operation is not for this path */
        { ENOMEDIUM, CODE(4, 6) }, { E2BIG, CODE(4, 13) },
        { EFBIG, CODE(4, 13) },    { EMEDIUMTYPE, CODE(4, 15) },

        { ENOTSUP, CODE(5, 1) },   { ENOSYS, CODE(5, 1) },
        { EBUSY, CODE(5, 3) },     { EAGAIN, CODE(5, 3) },
        { EUSERS, CODE(5, 3) }, /* too many requests wait for applications */
        { ETIMEDOUT, CODE(5, 3) }, { EHOSTUNREACH, CODE(5, 3) }, /* the owner of the path is gone */
        { ECANCELED, CODE(5, 3) },
};

uint8_t code_from_errno(int error) {
        for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
                if (codes[i].error == abs(error))
                        return codes[i].code;
        return CODE(5, 0);
}
