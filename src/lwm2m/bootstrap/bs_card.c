/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/bootstrap/bs_card.h"

#define HEAD 4u /* number of objects, and bytes of all of them */

bool bs_card_is_one(const uint8_t *data, size_t n) {
        return n >= HEAD && data[0] == 0;
}

/* Number, version, length, instances. The minor version is there if the major one is not 0. */
static int read_object(Reader *in, BsCardObject *ret) {
        uint32_t id, major, minor = 0, length;

        if (reader_be(in, 2, &id) < 0 || reader_be(in, 1, &major) < 0 ||
            (major > 0 && reader_be(in, 1, &minor) < 0) || reader_be(in, 2, &length) < 0 ||
            id == ID_RESERVED)
                return -EBADMSG;
        ret->id = (uint16_t) id;
        ret->version = (Version){ (uint8_t) major, (uint8_t) minor };
        return reader_take(in, length, &ret->instances);
}

int bs_card_read(const uint8_t *data, size_t n, BsCardObject ret[static BS_CARD_OBJECTS_MAX]) {
        Reader file = { .pos = data, .left = n }, in;
        uint32_t n_objects, length;

        if (reader_be(&file, 2, &n_objects) < 0 || reader_be(&file, 2, &length) < 0 ||
            reader_take(&file, length, &in) < 0)
                return -EBADMSG;
        if (n_objects > BS_CARD_OBJECTS_MAX)
                return -E2BIG;
        for (uint32_t i = 0; i < n_objects; i++) {
                int r = read_object(&in, &ret[i]);

                if (r < 0)
                        return r;
                for (uint32_t k = 0; k < i; k++)
                        if (ret[k].id == ret[i].id)
                                return -EEXIST;
        }
        return in.left == 0 ? (int) n_objects : -EBADMSG;
}
