/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Applications that own paths and answer when the test says so. */
#include <glib.h>

#include "lwm2m/app.h"

typedef struct FakeApps {
        GArray *claims;   /* of FakeClaim */
        GPtrArray *calls; /* of AppCall, in the order made, ended ones too */
} FakeApps;

typedef struct FakeClaim {
        Path prefix;
        unsigned bits;
} FakeClaim;

struct AppCall {
        FakeApps *apps;
        const char *kind; /* "execute", "read", "prepare" */
        char *what;       /* "/3/0/4 0='a'", "/3303/0/5700 /3303/1/5700", "set:/3303/0/5700" */
        uint16_t ssid;
        AppDone done;
        void *userdata;
        bool pending, cancelled, finished, committed;
};

extern const AppOps fake_app_ops;

FakeApps *fake_apps_new(void);
FakeApps *fake_apps_free(FakeApps *a);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeApps, fake_apps_free)
void fake_apps_claim(FakeApps *a, const char *prefix, unsigned bits);
AppCall *fake_apps_last(const FakeApps *a); /* the newest call; NULL if none */
void fake_app_answer(AppCall *c, int error, const char *text, const RecordList *records,
                     uint64_t now_usec);
