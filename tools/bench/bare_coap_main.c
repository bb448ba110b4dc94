/* SPDX-License-Identifier: Apache-2.0 */
/* bench-bare-coap PORT PATH…: libcoap alone in the daemon's place, until SIGTERM. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "bare_coap.h"

static volatile bool stop;

static void on_term(int signal) {
        stop = true;
}

int main(int argc, char **argv) {
        struct sigaction action = { .sa_handler = on_term };
        BareCoap *b;

        if (argc < 2) {
                fprintf(stderr, "usage: bench-bare-coap PORT PATH…\n");
                return 2;
        }
        sigaction(SIGTERM, &action, NULL);
        b = bare_coap_new(atoi(argv[1]), argv + 2, argc - 2, 0, 0);
        if (!b)
                return 1;
        bare_coap_run(b, &stop);
        bare_coap_free(b);
        return 0;
}
