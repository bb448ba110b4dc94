/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/fit.h"

#include <errno.h>

#include "coap/link_oscore.h"
#include "coap/link_tcp.h"
#include "util/log.h"

size_t fit_message_max(const Link *l) {
        return l->tcp ? link_tcp_message_max(l) : PACKET_OUT_MAX;
}

int fit_head(const PacketOut *outline) {
        static const Block widest = { .num = BLOCK_NUM_MAX };
        uint8_t buffer[PACKET_OUT_MAX];
        PacketOut o = *outline;

        o.payload = NULL;
        o.n_payload = 0;
        if (o.block1 || o.request)
                o.block1 = &widest;
        if (!o.request)
                o.block2 = &widest;
        o.size1 = o.block1 ? (int64_t) UINT32_MAX : -1;
        o.size2 = o.block2 ? (int64_t) UINT32_MAX : -1;
        return packet_write(&o, buffer, sizeof(buffer));
}

/* What is left for the payload in a message of max bytes; its marker is one. */
static size_t room(size_t max, size_t n_head) {
        return max > n_head + 1 ? max - n_head - 1 : 0;
}

static int choose_blocks(const Link *l, size_t n_head, Fit *f) {
        /* Over UDP the options of a request may have the path's last bytes, but not more. */
        size_t n = room(l->tcp ? f->n_message : PACKET_MESSAGE_SIZE, n_head);

        if (f->n_bert > 0) {
                f->szx = BLOCK_SZX_BERT;
                return 0;
        }
        f->szx = l->szx;
        while (f->szx > 0 && block_size(f->szx) > n)
                f->szx--;
        return block_size(f->szx) > room(f->n_message, n_head) ? -EMSGSIZE : 0;
}

int fit_body(const Link *l, size_t n_head, size_t n_body, Fit *ret) {
        Fit f = { .n_message = fit_message_max(l) };
        size_t n, whole;
        int r;

        n_head += link_oscore_overhead(l);
        n = room(f.n_message, n_head);
        whole = MIN(n, block_size(l->szx));
        if (l->tcp && l->szx == BLOCK_SZX_MAX) { /* no smaller messages are wanted */
                whole = n;
                if (link_tcp_has_bert(l))
                        f.n_bert = n - n % block_size(BLOCK_SZX_MAX);
        }
        f.in_blocks = n_body > whole;
        if (f.in_blocks && l->tcp && !link_tcp_has_blocks(l))
                return -EMSGSIZE;
        r = choose_blocks(l, n_head, &f);
        if (r < 0 && f.in_blocks)
                return r;
        if (!l->tcp) /* may be smaller than the blocks of the others */
                f.in_blocks = n_body > block_size(f.szx);
        *ret = f;
        return 0;
}

void fit_complain(Link *l, const char *what, size_t n_body) {
        int level = l->complained ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING;

        l->complained = true;
        log_with(level, (&(LogFields){ .ssid = l->ssid }),
                 "%s of %zu bytes does not fit: the server takes messages of %zu bytes%s", what,
                 n_body, fit_message_max(l),
                 l->tcp && !link_tcp_has_blocks(l) ? " and offers no block-wise transfer" : "");
}
