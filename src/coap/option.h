/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Numbers of CoAP options, and a message written piece by piece (RFC 7252, section 3.1). Reading is
 * frame_next_option()'s. */
#include <stddef.h>
#include <stdint.h>

enum {
        OPTION_IF_MATCH = 1,
        OPTION_URI_HOST = 3,
        OPTION_ETAG = 4,
        OPTION_IF_NONE_MATCH = 5,
        OPTION_OBSERVE = 6,
        OPTION_URI_PORT = 7,
        OPTION_LOCATION_PATH = 8,
        OPTION_OSCORE = 9,
        OPTION_URI_PATH = 11,
        OPTION_FORMAT = 12,
        OPTION_MAX_AGE = 14,
        OPTION_URI_QUERY = 15,
        OPTION_ACCEPT = 17,
        OPTION_BLOCK2 = 23,
        OPTION_BLOCK1 = 27,
        OPTION_SIZE2 = 28,
        OPTION_PROXY_URI = 35,
        OPTION_PROXY_SCHEME = 39,
        OPTION_SIZE1 = 60,
        OPTION_ECHO = 252,
        OPTION_NO_RESPONSE = 258,
        OPTION_REQUEST_TAG = 292
};

#define OPTION_PAYLOAD_MARKER 0xff
#define OPTION_ECHO_MAX 40u /* bytes: RFC 9175, section 2.2.1 */

typedef struct OptionWriter {
        uint8_t *pos, *end;
        uint16_t last; /* number of the option before */
        int error;     /* -EMSGSIZE once something did not fit; looked at in the end */
} OptionWriter;

void option_put(OptionWriter *w, const void *data, size_t n);
/* In ascending order of number. */
void option_write(OptionWriter *w, uint16_t number, const void *value, size_t n);
