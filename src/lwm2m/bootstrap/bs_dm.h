/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The bootstrap interface's operations (TS Core 1.1.1, section 6.1.7): Discover, Read, Write,
 * Delete and Finish of a bootstrap server, on a BsStage. When and with whom there is a session is
 * decided elsewhere (bootstrap.h); without one every request is refused with 4.01. */
#include "lwm2m/bootstrap/bs_stage.h"
#include "lwm2m/dm/dm.h"

typedef struct BsDm BsDm;

typedef struct BsDmConfig {
        Dm *dm;
        BsLimits limits;
        Version version; /* of LwM2M, as Discover tells it */
        int64_t (*wall_clock_ns)(void);
        /* One of the server's requests was answered, whatever the answer. */
        void (*operation)(void *userdata, uint64_t now_usec);
        /* Finish has come; finished() follows, perhaps from within the same request. */
        void (*finish)(void *userdata, uint64_t now_usec);
        /* 0: everything is in the tree and on disk, the server has its 2.04, and the session is
         * over. Else nothing has changed, the server knows, and may correct what it has asked for
         * (section 6.1.6); text is valid until the call returns. */
        void (*finished)(void *userdata, int error, const char *text, uint64_t now_usec);
        void *userdata;
} BsDmConfig;

BsDm *bs_dm_new(const BsDmConfig *config);
BsDm *bs_dm_free(BsDm *d);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BsDm, bs_dm_free)

/* Begins a session, with nothing asked for yet; an open one is dropped. */
void bs_dm_open(BsDm *d);
/* Drops the session with all that was asked for; a Finish that waits for applications is answered
 * 5.03. */
void bs_dm_close(BsDm *d);
void bs_dm_request(BsDm *d, Exchange *x, const Message *request, uint64_t now_usec);

/* What a Bootstrap-Pack-Request brought: in a session of its own, as if everything had been written
 * and finished; finished() follows, perhaps from within. -errno with *ret_error (g_free()) for what
 * is no pack: then it does not. */
int bs_dm_pack(BsDm *d, int format, GBytes *payload, char **ret_error, uint64_t now_usec);
