/* SPDX-License-Identifier: Apache-2.0 */
/* bench-bare-bus ADDRESS: sd-bus alone in the daemon's place, until it is killed. */
#include <stdio.h>
#include <string.h>

#include "bare_bus.h"

int main(int argc, char **argv) {
        sd_bus *bus = NULL;
        int r;

        if (argc != 2) {
                fprintf(stderr, "usage: bench-bare-bus ADDRESS\n");
                return 2;
        }
        r = bare_bus_open(argv[1], NULL, NULL, &bus);
        while (r >= 0) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        fprintf(stderr, "bench-bare-bus: %s\n", strerror(-r));
        sd_bus_unref(bus);
        return 1;
}
