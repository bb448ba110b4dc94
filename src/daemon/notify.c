/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/parse.h"

int notify_state(const char *state) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const char *name = getenv("NOTIFY_SOCKET");
        autoclose int fd = -1;
        size_t n;

        if (!name || !*name)
                return 0;
        n = strlen(name);
        if ((name[0] != '/' && name[0] != '@') || n >= sizeof(address.sun_path))
                return -EINVAL;
        memcpy(address.sun_path, name, n);
        if (name[0] == '@')
                address.sun_path[0] = '\0';

        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
                   (struct sockaddr *) &address,
                   (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n + (name[0] == '/'))) < 0)
                return -errno;
        return 1;
}

uint64_t notify_watchdog_usec(void) {
        const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
        uint64_t u;

        if (!usec || parse_u64(usec, UINT64_MAX - 1, &u) < 0)
                return 0;
        if (pid) {
                uint64_t p;

                if (parse_u64(pid, INT32_MAX, &p) < 0 || (pid_t) p != getpid())
                        return 0;
        }
        return u;
}
