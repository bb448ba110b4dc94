/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* EF(LwM2M_Bootstrap) of a smartcard (TS Core 1.1.1, appendix G.3.4), as a file: which objects are
 * in it, and where their instances are, in TLV. How it comes off the card is not our affair. */
#include <stdbool.h>

#include "codec/path.h"
#include "codec/reader.h"
#include "model/schema.h"

#define BS_CARD_OBJECTS_MAX 32u

typedef struct BsCardObject {
        uint16_t id;
        Version version;  /* 0.0: not said */
        Reader instances; /* TLV; borrowed from what was read */
} BsCardObject;

/* Whether it may be one, by its first bytes: no text and no CBOR begins like that. */
bool bs_card_is_one(const uint8_t *data, size_t n);
/* How many objects: what stands behind them, as cards have it, is not looked at. -EBADMSG: the
 * lengths do not fit together; -E2BIG: too many; -EEXIST: one is there twice. */
int bs_card_read(const uint8_t *data, size_t n, BsCardObject ret[static BS_CARD_OBJECTS_MAX]);
