/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/sleep.h"

#include <errno.h>
#include <linux/filter.h>
#include <poll.h>
#include <sys/socket.h>

#include "coap/link_io.h"
#include "coap/link_secure.h"
#include "coap/link_tcp.h"
#include "coap/peek.h"
#include "util/log.h"

bool link_is_open(const Link *l) {
        return l->query || l->literal || l->race || l->calls.length > 0 ||
               l->exchanges.length > 0 || l->outbox.current || l->withdraw ||
               !link_secure_is_open(l) ||
               (l->tcp ? !link_tcp_is_up(l) : l->lingering && !coap_can_exit(l->context));
}

uint64_t link_busy_until(const Link *l, uint64_t now_usec) {
        if (link_is_open(l))
                return UINT64_MAX;
        return MAX(block1_busy_until(l->block1, now_usec), block2_busy_until(l->block2, now_usec));
}

/* The kernel drops what comes, so that nothing old waits for us when we wake: a server has long
 * given up then what it asked for, and an Execute would come as a surprise. */
static void drop_all(int fd) {
        struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
        const struct sock_fprog program = { .len = 1, .filter = &nothing };

        (void) setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static void drop_none(int fd) {
        const int unused = 0;

        (void) setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
}

static bool has_input(const Link *l) {
        struct pollfd p = { .fd = l->tcp ? l->socket_fd : l->epoll_fd, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

int link_sleep(Link *l, bool deaf, uint64_t now_usec) {
        if (!link_has_way(l) || l->depth > 0 || l->deferred || l->active || l->asleep ||
            link_busy_until(l, now_usec) > now_usec)
                return -EBUSY;
        deaf = deaf && !l->tcp; /* on a stream nothing can be dropped unseen */
        if (!l->tcp)
                link_io_find_socket(l);
        if (deaf && l->socket_fd >= 0)
                drop_all(l->socket_fd);
        if (has_input(l)) {
                if (deaf && l->socket_fd >= 0)
                        drop_none(l->socket_fd);
                return -EBUSY;
        }
        l->asleep = true;
        l->deaf = deaf;
        if (deaf)
                link_io_watch(l, false);
        /* Whoever has not asked for the next block by now will not any more. */
        (void) block1_expire(l->block1, USEC_INFINITY);
        (void) block2_expire(l->block2, USEC_INFINITY);
        timer_disarm(l->housekeeping);
        if (l->tcp)
                link_tcp_rest(l, true);
        return 0;
}

void link_wake(Link *l) {
        if (!l->asleep)
                return;
        if (l->deaf) {
                if (l->socket_fd >= 0)
                        drop_none(l->socket_fd);
                link_io_watch(l, true);
        }
        l->asleep = l->deaf = false;
        if (l->tcp)
                link_tcp_rest(l, false);
        link_keep_house(l, link_now(l));
}
