/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "util/log.h"

#define EXIT_USAGE 2

typedef enum Option {
        OPTION_CONFIG = 256,
        OPTION_STATE,
        OPTION_RUNTIME,
        OPTION_BUS,
        OPTION_INSTANCE,
        OPTION_LEVEL,
        OPTION_BOOTSTRAP_FILE,
        OPTION_CHECK,
        OPTION_VERSION,
        OPTION_HELP
} Option;

static Arguments arg = {
        .config_file = SYSCONF_DIR "/lwm2md.conf",
        .state_dir = STATE_DIR,
        .runtime_dir = RUNTIME_DIR,
        .bus = "system",
};
static bool arg_check;

static void help(void) {
        printf("lwm2md [OPTION…]\n\n"
               "LwM2M client service: registers this device with its LwM2M servers and offers it "
               "on D-Bus.\n\n"
               "  --config=FILE       configuration (default " SYSCONF_DIR
               "/lwm2md.conf); drop-ins in FILE.d\n"
               "  --state-dir=DIR     what must survive a restart (default " STATE_DIR ")\n"
               "  --runtime-dir=DIR   large bodies on their way (default " RUNTIME_DIR ")\n"
               "  --bus=BUS           system (default), session, none, or a D-Bus address\n"
               "  --instance=NAME     own org.lwm2md.Client1.NAME: a second daemon on one box\n"
               "  --log-level=LEVEL   error, warning, notice, info (default) or debug\n"
               "  --bootstrap-file=PATH  accounts for the first start, instead of those of the "
               "configuration\n"
               "  --check-config      read the configuration, say what is wrong with it, and exit\n"
               "  --version, --help\n\n"
               "See lwm2md(8), lwm2md.conf(5), lwm2mctl(1).\n");
}

/* 0 to go on, 1 to exit with success, -EINVAL. */
static int parse_arguments(int argc, char *argv[]) {
        static const struct option options[] = {
                { "config", required_argument, NULL, OPTION_CONFIG },
                { "state-dir", required_argument, NULL, OPTION_STATE },
                { "runtime-dir", required_argument, NULL, OPTION_RUNTIME },
                { "bus", required_argument, NULL, OPTION_BUS },
                { "instance", required_argument, NULL, OPTION_INSTANCE },
                { "log-level", required_argument, NULL, OPTION_LEVEL },
                { "bootstrap-file", required_argument, NULL, OPTION_BOOTSTRAP_FILE },
                { "check-config", no_argument, NULL, OPTION_CHECK },
                { "version", no_argument, NULL, OPTION_VERSION },
                { "help", no_argument, NULL, OPTION_HELP },
                { NULL, 0, NULL, 0 },
        };
        int c, level;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case OPTION_CONFIG:
                        arg.config_file = optarg;
                        arg.config_file_given = true;
                        break;
                case OPTION_STATE:
                        arg.state_dir = optarg;
                        break;
                case OPTION_RUNTIME:
                        arg.runtime_dir = optarg;
                        break;
                case OPTION_BUS:
                        arg.bus = optarg;
                        break;
                case OPTION_INSTANCE:
                        arg.instance = optarg;
                        break;
                case OPTION_BOOTSTRAP_FILE:
                        arg.bootstrap_file = optarg;
                        break;
                case OPTION_LEVEL:
                        if (log_level_parse(optarg, &level) < 0)
                                return log_error_errno(-EINVAL,
                                                       "--log-level: '%s' is not error, warning, "
                                                       "notice, info or debug",
                                                       optarg);
                        log_set_level(level);
                        break;
                case OPTION_CHECK:
                        arg_check = true;
                        break;
                case OPTION_VERSION:
                        printf("lwm2md %s\n", PROJECT_VERSION);
                        return 1;
                case OPTION_HELP:
                        help();
                        return 1;
                default: /* getopt has said what was wrong */
                        fprintf(stderr, "Try 'lwm2md --help'.\n");
                        return -EINVAL;
                }
        if (optind < argc)
                return log_error_errno(-EINVAL, "'%s': lwm2md takes options only (see --help)",
                                       argv[optind]);
        return 0;
}

static void on_terminate(void *userdata) {
        daemon_stop(userdata);
}

static void on_hangup(void *userdata) {
        g_autofree char *why = NULL;

        if (daemon_reload(userdata, &why) < 0)
                log_error("Not reloaded: %s", why ? why : "see above");
}

static int run(void) {
        g_autoptr(Config) config = NULL;
        g_autoptr(Loop) loop = NULL;
        g_autoptr(Daemon) d = NULL;
        g_autofree char *why = NULL;
        LoopSource *signals[3];
        int r;

        r = config_load(arg.config_file, !arg.config_file_given, &config, &why);
        if (r < 0) {
                daemon_log_lines(why);
                return EXIT_FAILURE;
        }
        if (arg_check) {
                if (daemon_check(&arg, config) > 0)
                        return EXIT_FAILURE;
                printf("%s: %s\n", arg.config_file,
                       g_file_test(arg.config_file, G_FILE_TEST_EXISTS)
                               ? "OK"
                               : "OK, there is no such file");
                return EXIT_SUCCESS;
        }
        r = loop_new(&loop);
        if (r < 0) {
                log_error_errno(r, "Cannot make an event loop: %m");
                return EXIT_FAILURE;
        }
        if (daemon_new(&arg, config, loop, &d) < 0)
                return EXIT_FAILURE;
        signals[0] = loop_add_signal(loop, SIGTERM, on_terminate, d);
        signals[1] = loop_add_signal(loop, SIGINT, on_terminate, d);
        signals[2] = loop_add_signal(loop, SIGHUP, on_hangup, d);
        if (!signals[0] || !signals[1] || !signals[2])
                log_warning("Cannot watch for signals, they end the daemon without de-registering");
        r = daemon_start(d) < 0 ? EXIT_FAILURE : loop_run(loop);
        for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
                loop_source_free(signals[i]);
        return r;
}

int main(int argc, char *argv[]) {
        int r;

        g_set_prgname("lwm2md");
        log_open();
        r = parse_arguments(argc, argv);
        if (r != 0)
                return r < 0 ? EXIT_USAGE : EXIT_SUCCESS;
        signal(SIGPIPE, SIG_IGN);
        return run();
}
