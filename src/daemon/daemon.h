/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The parts of the daemon put together in the order they depend on each other, and taken apart
 * again. */
#include <stdbool.h>

#include "daemon/config.h"
#include "util/loop.h"

typedef struct Arguments {
        const char *config_file;
        bool config_file_given; /* else a missing file is an empty one */
        const char *state_dir, *runtime_dir, *bus, *instance;
        const char *bootstrap_file; /* NULL: [Client] BootstrapFile= */
} Arguments;

typedef struct Daemon Daemon;

/* Everything up to the bus; errors are logged. */
int daemon_new(const Arguments *arguments, const Config *config, Loop *loop, Daemon **ret);
Daemon *daemon_free(Daemon *d);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Daemon, daemon_free)
/* --check-config: reads every definition the configuration leads to, and tries its accounts and
 * values on them. What is bad is logged; returns 0 when nothing is. */
int daemon_check(const Arguments *arguments, const Config *config);
/* Where keys are that accounts name without a path; g_free(). */
char *daemon_secrets_directory(const Arguments *arguments);
/* OpenSSL's providers for keys in tokens, and what they read of the environment; g_strfreev(). */
char **daemon_providers(const Config *config);
void daemon_log_lines(const char *text); /* each line as an error of its own */
int daemon_start(Daemon *d);
/* De-registers within the configured bound, saves, and quits the loop with 0. */
void daemon_stop(Daemon *d);
/* Reads the configuration again: new seeds, servers and definitions are added, persistence policies
 * replaced. *ret_error (g_free()) says why it stays as it was. */
int daemon_reload(Daemon *d, char **ret_error);
