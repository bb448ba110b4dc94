/* SPDX-License-Identifier: Apache-2.0 */
/* bench-bare-bridge PORT ADDRESS OBJECT N: the shortest way from a D-Bus Set to a notification.
 * Observable resources /OBJECT/0…N-1/5700 on libcoap; a Set of one tells its observers. Runs until
 * it is killed. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bare_bus.h"
#include "bare_coap.h"

static void on_set(void *userdata, const char *path, double value) {
        char text[24];
        unsigned object, index;

        if (sscanf(path, "/%u/%u/5700", &object, &index) != 2)
                return;
        snprintf(text, sizeof(text), "%.10g", value);
        bare_coap_set(userdata, index, text);
}

/* One round; what the bus gave may have made libcoap send or wait. */
static int serve(BareCoap *coap, sd_bus *bus) {
        struct pollfd fds[2] = { { .fd = bare_coap_fd(coap), .events = POLLIN },
                                 { .fd = sd_bus_get_fd(bus) } };
        int events, r;

        do
                r = sd_bus_process(bus, NULL);
        while (r > 0);
        if (r < 0)
                return r;
        bare_coap_prepare(coap);
        events = sd_bus_get_events(bus);
        if (events < 0)
                return events;
        fds[1].events = (short) events;
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
                return -errno;
        if (fds[0].revents)
                bare_coap_process(coap);
        return 0;
}

int main(int argc, char **argv) {
        BareCoap *coap;
        sd_bus *bus = NULL;
        int r;

        if (argc != 5) {
                fprintf(stderr, "usage: bench-bare-bridge PORT ADDRESS OBJECT N\n");
                return 2;
        }
        coap = bare_coap_new(atoi(argv[1]), NULL, 0, (unsigned) atoi(argv[3]),
                             (unsigned) atoi(argv[4]));
        if (!coap)
                return 1;
        r = bare_bus_open(argv[2], on_set, coap, &bus);
        while (r >= 0)
                r = serve(coap, bus);
        fprintf(stderr, "bench-bare-bridge: %s\n", strerror(-r));
        sd_bus_unref(bus);
        bare_coap_free(coap);
        return 1;
}
