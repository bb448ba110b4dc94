/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The verbs of lwm2mctl in one table: dispatch, --help, the completions and the manual's check all
 * come from it. Each verb lives in the verb_*.c of its group. */
#include "ctl/args.h"
#include "ctl/ctl.h"

#define WORDS_ANY ARGS_WORDS_MAX

typedef struct Verb {
        const char *name; /* one or two words: "read", "server add" */
        const char *args; /* for the usage line */
        const char *summary;
        const Option *options; /* ends with a zero one; NULL: none */
        unsigned min, max;     /* words after the name, those after "--" not counted */
        bool command;          /* "-- COMMAND…" may follow */
        bool activate;         /* may start the daemon by D-Bus activation */
        /* Returns a CtlExit; `lock` also the status of the command it ran. */
        int (*run)(Ctl *c, const Args *a);
} Verb;

extern const Verb verbs[]; /* ends with one without a name */

/* The verb that argv begins with; *ret_words is how many words name it. NULL: unknown. */
const Verb *verb_find(int argc, char **argv, int *ret_words);
extern const Option global_options[];
void help_program(void);
void help_verb(const Verb *v);
bool help_group(const char *name); /* "server"; false: no verbs begin with that word */

/* verb_value.c */
int verb_read(Ctl *c, const Args *a);
int verb_write(Ctl *c, const Args *a);
int verb_get(Ctl *c, const Args *a);
int verb_set(Ctl *c, const Args *a);
int verb_exec(Ctl *c, const Args *a);
/* verb_tree.c */
int verb_ls(Ctl *c, const Args *a);
int verb_create(Ctl *c, const Args *a);
int verb_delete(Ctl *c, const Args *a);
/* verb_send.c */
int verb_send(Ctl *c, const Args *a);
/* verb_series.c */
int verb_cache(Ctl *c, const Args *a);
int verb_push(Ctl *c, const Args *a);
/* verb_obs.c */
int verb_obs(Ctl *c, const Args *a);
/* verb_file.c */
/* A descriptor that the daemon takes: of a regular file, or of sealed memory with what a pipe or
 * the standard input (file NULL or "-") has. */
CtlExit verb_file_open(const char *file, int *ret);
int verb_put(Ctl *c, const Args *a);
int verb_fetch(Ctl *c, const Args *a);
/* verb_engine.c */
int verb_status(Ctl *c, const Args *a);
int verb_update(Ctl *c, const Args *a);
int verb_start(Ctl *c, const Args *a);
int verb_stop(Ctl *c, const Args *a);
int verb_pause(Ctl *c, const Args *a);
int verb_resume(Ctl *c, const Args *a);
int verb_sync(Ctl *c, const Args *a);
int verb_log_level(Ctl *c, const Args *a);
/* verb_server.c */
int verb_server_add(Ctl *c, const Args *a);
int verb_server_remove(Ctl *c, const Args *a);
int verb_server_list(Ctl *c, const Args *a);
int verb_server_update(Ctl *c, const Args *a);
int verb_server_register(Ctl *c, const Args *a);
int verb_server_deregister(Ctl *c, const Args *a);
int verb_server_disable(Ctl *c, const Args *a);
int verb_server_enable(Ctl *c, const Args *a);
int verb_server_enroll(Ctl *c, const Args *a);
/* verb_bootstrap.c */
int verb_bootstrap(Ctl *c, const Args *a);
int verb_server_test(Ctl *c, const Args *a);
/* verb_model.c */
int verb_model_add(Ctl *c, const Args *a);
int verb_model_list(Ctl *c, const Args *a);
int verb_model_show(Ctl *c, const Args *a);
/* verb_watch.c, verb_wait.c, verb_monitor.c */
int verb_watch(Ctl *c, const Args *a);
int verb_wait(Ctl *c, const Args *a);
int verb_monitor(Ctl *c, const Args *a);
/* verb_lock.c */
int verb_lock(Ctl *c, const Args *a);
int verb_unlock(Ctl *c, const Args *a);
/* verb_credentials.c */
int verb_handle_credentials(Ctl *c, const Args *a);
/* verb_handle.c */
int verb_handle(Ctl *c, const Args *a);
