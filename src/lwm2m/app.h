/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What lwm2m/ needs of the applications that own parts of the tree: bus/ implements it over D-Bus
 * claims, tests fake it. Everything is answered later, by one callback that never runs inside the
 * call. */
#include <stdint.h>

#include "lwm2m/ops.h"

enum { APP_READ = 1, APP_WRITE = 2, APP_EXECUTE = 4, APP_CREATE = 8 };

typedef struct AppContext {
        uint16_t ssid; /* 0: asked over D-Bus by another application */
} AppContext;

/* LwM2M Execute arguments (TS Core 1.1.1, section 7.? "0='a',1"): digit and optional text. */
typedef struct ExecuteArg {
        uint8_t digit;
        char *value; /* NULL without one */
} ExecuteArg;

typedef struct AppCall AppCall;
/* error: 0, or -ENOENT, -EPERM (not allowed), -EINVAL, -EACCES, -EBUSY, -ETIMEDOUT, -EHOSTUNREACH
 * (owner gone), -ENOTSUP, -EIO; text says why, may be NULL. records is set for read() only,
 * borrowed. */
typedef void (*AppDone)(void *userdata, int error, const char *text, const RecordList *records,
                        uint64_t now_usec);

typedef struct AppOps {
        /* APP_… bits of the longest claim that covers p; 0 when nobody owns it. */
        unsigned (*claimed)(void *apps, const Path *p);
        /* Appends the objects (uint16_t) whose instances an application makes when a server asks;
         * NULL: there are none. */
        void (*offered)(void *apps, GArray *ret);
        AppCall *(*execute)(void *apps, const Path *p, const ExecuteArg *args, size_t n_args,
                            const char *raw, const AppContext *context, AppDone done,
                            void *userdata);
        /* The values of every APP_READ path in paths (n = 3 or 4 each), one call to each owner. */
        AppCall *(*read)(void *apps, const Path *paths, size_t n, const AppContext *context,
                         AppDone done, void *userdata);
        /* Asks every owner with APP_WRITE (OP_CREATE, OP_DELETE: APP_CREATE) whether ops may be
         * applied; NULL and no callback when no owner is concerned. After success exactly one
         * finish() must follow; with one owner only, its Prepare was final and finish() tells
         * nobody. */
        AppCall *(*prepare)(void *apps, const Op *ops, size_t n, const AppContext *context,
                            AppDone done, void *userdata);
        void (*finish)(AppCall *call,
                       bool commit);   /* after a prepare() that succeeded; releases call */
        void (*cancel)(AppCall *call); /* any call still pending; its callback will not run */
} AppOps;
