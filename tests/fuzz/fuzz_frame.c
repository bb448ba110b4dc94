/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of CoAP messages (RFC 8323): each whole one is parsed, and one that was understood comes
 * back the same from its own bytes over UDP. */
#include <string.h>

#include "coap/frame.h"
#include "fuzz.h"

static void round_trip(const uint8_t *frame, const FrameHead *h) {
        uint8_t message[2 * PACKET_OUT_MAX], again[2 * PACKET_OUT_MAX];
        size_t n = 4 + h->n_token + (size_t) h->n_body;
        FrameHead other;
        int size;

        if (n + FRAME_HEAD_MAX > sizeof(message))
                return;
        message[0] = (uint8_t) (0x50 | h->n_token);
        message[1] = h->code;
        message[2] = message[3] = 0;
        memcpy(message + 4, frame + h->n_head, n - 4);
        size = frame_write(message, n, again, sizeof(again));
        g_assert_cmpint(size, >, 0);
        g_assert_cmpint(frame_head(again, (size_t) size, &other), ==, 1);
        g_assert_cmpint(other.code, ==, h->code);
        g_assert_cmpint(frame_size(&other), ==, size);
        g_assert_true(memcmp(again + other.n_head, frame + h->n_head, n - 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        FrameHead h;
        Packet p;

        while (frame_head(data, n, &h) > 0 && frame_size(&h) <= n) {
                if (frame_parse(data, &h, &p) == 0) {
                        g_assert_true(p.n_payload <= h.n_body);
                        g_assert_true(p.n_path <= PACKET_SEGMENTS_MAX);
                        round_trip(data, &h);
                }
                data += frame_size(&h);
                n -= (size_t) frame_size(&h);
        }
        return 0;
}
