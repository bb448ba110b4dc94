/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "ctl/form.h"
#include "ctl/verbs.h"

const Option global_options[] = {
        { "--json", NULL, NULL, "print JSON, one document or one line an item" },
        { "--bus", NULL, "ADDRESS", "system (default), session or a D-Bus address; LWM2MCTL_BUS" },
        { "--instance", NULL, "NAME", "the daemon that runs with --instance=NAME" },
        { "--timeout", NULL, "TIME", "give up after TIME: 90, 1.5s, 10min" },
        { "--help", "-h", NULL, "show this help, after a verb that of the verb" },
        { "--version", NULL, NULL, "show the version" },
        { 0 },
};

static const Option ls_options[] = {
        { "--long", "-l", NULL, "with operations, names, units, observers and owners" }, { 0 }
};
static const Option persist_options[] = {
        { "--persist", NULL, NULL, "keep it over a restart of the daemon" }, { 0 }
};
static const Option cache_options[] = {
        { "--full", NULL, "WHICH",
          "drop the newest (default) or the oldest sample when it is full" },
        { "--read", NULL, "WHAT", "a server's Read gives all (default) or the latest" },
        { "--persist", NULL, NULL, "keep values and samples over a restart of the daemon" },
        { 0 },
};
static const Option push_options[] = {
        { "--boottime", NULL, NULL, "times are seconds since the start of the machine" }, { 0 }
};
static const Option stop_options[] = {
        { "--force", "-f", NULL, "close at once, without de-registering" }, { 0 }
};
static const Option server_add_options[] = {
        { "--id", NULL, "ID", "short server id, 1 to 65534; the lowest free one if not given" },
        { "--lifetime", NULL, "SECONDS", "of the registration" },
        { "--binding", NULL, "BINDING", "U or T; Q behind it: queue mode" },
        { "--bootstrap", NULL, NULL, "that of the bootstrap server; without the three above" },
        { "--hold-off", NULL, "SECONDS", "wait before asking the bootstrap server" },
        { "--account-timeout", NULL, "SECONDS", "keep it so long after a bootstrap" },
        { "--security", NULL, "MODE",
          "psk, rpk, x509, est or nosec; as the other options say if not given" },
        { "--identity", NULL, "ID", "of the pre-shared key: text, hex:... or base64:..." },
        { "--psk-file", NULL, "FILE", "with the pre-shared key: text, hex:... or base64:..." },
        { "--certificate-file", NULL, "FILE", "certificate or public key of this device" },
        { "--key-file", NULL, "FILE", "private key of this device" },
        { "--trust-file", NULL, "FILE", "certificates that the server's is issued by" },
        { "--server-file", NULL, "FILE", "certificate or public key of the server" },
        { "--usage", NULL, "USAGE",
          "of --trust-file and --server-file: ca, service, anchor, domain" },
        { "--sni", NULL, "NAME", "of the server, if not that of the URI" },
        { "--cipher-suite", NULL, "NAME", "the only one to use, by its IANA name" },
        { "--oscore-sender-id", NULL, "ID", "OSCORE: who we are: text, hex:... or base64:..." },
        { "--oscore-recipient-id", NULL, "ID", "OSCORE: who the server is" },
        { "--oscore-secret-file", NULL, "FILE", "OSCORE: with the Master Secret, as --psk-file" },
        { "--oscore-salt", NULL, "SALT", "OSCORE: Master Salt; none if not given" },
        { "--oscore-id-context", NULL, "ID", "OSCORE: ID Context; none if not given" },
        { "--oscore-aead", NULL, "NAME", "OSCORE: AES-CCM-16-64-128 if not given" },
        { "--oscore-hkdf", NULL, "NAME", "OSCORE: HKDF-SHA-256 if not given" },
        { 0 },
};
static const Option start_options[] = {
        { "--bootstrap", "-b", NULL, "ask the bootstrap server for accounts first" }, { 0 }
};
static const Option bootstrap_options[] = {
        { "--no-wait", NULL, NULL, "print the job's number, do not wait for its end" }, { 0 }
};

static const Option watch_options[] = {
        { "--time", "-t", NULL, "put the time before each line" },
        { "--initial", "-i", NULL, "print the present values first" },
        { "--server-only", NULL, NULL, "leave out what applications set" },
        { "--count", "-n", "N", "end after N values" },
        { "--interval", NULL, "TIME", "at most one value of a path in TIME" },
        { 0 },
};
static const Option wait_options[] = {
        { "--server", NULL, "ID", "wait for a state of this server, not of the client" }, { 0 }
};
static const Option monitor_options[] = {
        { "--history", NULL, NULL, "begin with the last events" },
        { "--values", NULL, NULL, "show changes of values as well" },
        { 0 },
};
static const Option handle_options[] = {
        { "--execute", "-x", NULL, "run COMMAND for Execute; the default" },
        { "--read", "-r", NULL, "for Read; its output is the value" },
        { "--write", "-w", NULL, "for Write; the value is its input, and it may refuse" },
        { "--create", NULL, NULL, "for Create and Delete of instances" },
        { "--phases", NULL, NULL, "also for commit and abort of requests with several owners" },
        { "--share", NULL, NULL, "let other applications claim the same path" },
        { "--timeout-ms", NULL, "N", "end a run after N ms, 10000 if not given" },
        { 0 },
};
static const Option handle_credentials_options[] = {
        { "--timeout-ms", NULL, "N", "end a run after N ms, 10000 if not given" },
        { 0 },
};
static const Option send_options[] = {
        { "--server", NULL, "ID", "to this server; to every one if not given" },
        { "--format", NULL, "FORMAT", "senml-cbor (default), senml-json or lwm2m-cbor" },
        { "--time", NULL, NULL, "stamp the values with the present time" },
        { "--with-cache", NULL, NULL, "the samples of cached resources, which then leave" },
        { "--now", NULL, NULL, "do not wait for a server in queue mode to wake" },
        { "--queue", NULL, NULL, "wait for a server that is not registered" },
        { "--no-wait", NULL, NULL, "print the job's number, do not wait for its end" },
        { 0 },
};
static const Option lock_options[] = {
        { "--max", NULL, "TIME", "end the hold after TIME; 60 s if not given" }, { 0 }
};

const Verb verbs[] = {
        { "ls", "[PATH]", "Show the values at and below PATH", ls_options, 0, 1, false, true,
          verb_ls },
        { "read", "PATH [-x|-s|-b|-uX|-sX|-f|-t]", "Print the value of one resource", read_options,
          1, 1, false, true, verb_read },
        { "write", "PATH [-x|-s|-b|-uX|-sX|-f|-t] VALUE", "Set the value of one resource",
          write_options, 2, 2, false, true, verb_write },
        { "exec", "PATH [ARGUMENTS]", "Execute a resource; ARGUMENTS like 0='a',1", NULL, 1, 2,
          false, true, verb_exec },
        { "create", "PATH [RESOURCE=VALUE...]", "Create an instance, or a resource instance", NULL,
          1, WORDS_ANY, false, true, verb_create },
        { "delete", "PATH...", "Delete instances or resource instances", NULL, 1, WORDS_ANY, false,
          true, verb_delete },
        { "get", "PATH...", "Print PATH=VALUE of resources, instances or objects", NULL, 1,
          WORDS_ANY, false, true, verb_get },
        { "set", "PATH=VALUE...", "Set values, all or none", persist_options, 1, WORDS_ANY, false,
          true, verb_set },
        { "put", "PATH [FILE]", "Set an opaque resource from a file or the standard input", NULL, 1,
          2, false, true, verb_put },
        { "fetch", "PATH [FILE]", "Copy an opaque resource to a file or the standard output", NULL,
          1, 2, false, true, verb_fetch },
        { "send", "PATH...", "Send values to the servers, and print the status", send_options, 1,
          WORDS_ANY, false, true, verb_send },
        { "cache", "PATH [N]", "Cache N samples of PATH, or print those that are there",
          cache_options, 1, 2, false, true, verb_cache },
        { "push", "PATH [FILE]", "Push samples, lines of TIME VALUE, into the cache", push_options,
          1, 2, false, true, verb_push },
        { "watch", "PATH...", "Print values as they change", watch_options, 1, WORDS_ANY, false,
          false, verb_watch },
        { "handle", "PATH... -- COMMAND...", "Run a command for what servers do with PATH",
          handle_options, 1, WORDS_ANY, true, false, verb_handle },
        { "handle-credentials", "SERVER -- COMMAND...",
          "Run a command for the credentials of SERVER", handle_credentials_options, 1, 1, true,
          false, verb_handle_credentials },
        { "wait", "STATE [--server=ID]", "Wait until the client or a server is in STATE",
          wait_options, 1, 1, false, false, verb_wait },
        { "monitor", "[--history] [--values]", "Print events as they happen", monitor_options, 0, 0,
          false, false, verb_monitor },
        { "lock", "[-- COMMAND...]", "Hold notifications back, for a command or until unlock",
          lock_options, 0, 0, true, false, verb_lock },
        { "unlock", "", "End the hold of a lock without a command", NULL, 0, 0, false, false,
          verb_unlock },
        { "status", "", "Show the client and its servers", NULL, 0, 0, false, false, verb_status },
        { "update", "", "Send a registration update to every server", NULL, 0, 0, false, true,
          verb_update },
        { "start", "[ENDPOINT] [-b]", "Start the client after a stop", start_options, 0, 1, false,
          true, verb_start },
        { "bootstrap", "", "Ask the bootstrap server for accounts", bootstrap_options, 0, 0, false,
          true, verb_bootstrap },
        { "stop", "[-f]", "De-register everywhere and stop the client", stop_options, 0, 0, false,
          false, verb_stop },
        { "pause", "", "Hold the state machine, its timers and notifications", NULL, 0, 0, false,
          false, verb_pause },
        { "resume", "", "Go on after a pause", NULL, 0, 0, false, false, verb_resume },
        { "obs", "", "List the observations of the servers", NULL, 0, 0, false, false, verb_obs },
        { "model add", "FILE...", "Add object definitions in OMA's XML form", persist_options, 1,
          WORDS_ANY, false, true, verb_model_add },
        { "model list", "", "List the known objects", NULL, 0, 0, false, true, verb_model_list },
        { "model show", "OBJECT", "Show the resources of an object", NULL, 1, 1, false, true,
          verb_model_show },
        { "server add", "URI", "Add a server account", server_add_options, 1, 1, false, true,
          verb_server_add },
        { "server remove", "ID", "Remove a server account", NULL, 1, 1, false, true,
          verb_server_remove },
        { "server list", "", "List the server accounts", NULL, 0, 0, false, false,
          verb_server_list },
        { "server test", "ID", "Try a server, and say at which step it fails", NULL, 1, 1, false,
          true, verb_server_test },
        { "server update", "ID", "Send a registration update", NULL, 1, 1, false, true,
          verb_server_update },
        { "server register", "ID", "Register anew", NULL, 1, 1, false, true, verb_server_register },
        { "server deregister", "ID", "De-register", NULL, 1, 1, false, true,
          verb_server_deregister },
        { "server disable", "ID [SECONDS]", "De-register, and stay away for SECONDS", NULL, 1, 2,
          false, true, verb_server_disable },
        { "server enable", "ID", "End a disable", NULL, 1, 1, false, true, verb_server_enable },
        { "server enroll", "ID", "Ask for another certificate (security mode est)", NULL, 1, 1,
          false, true, verb_server_enroll },
        { "sync", "", "Return when everything is on disk", NULL, 0, 0, false, false, verb_sync },
        { "log-level", "[LEVEL]", "Show or set the daemon's log level", NULL, 0, 1, false, false,
          verb_log_level },
        { 0 },
};

const Verb *verb_find(int argc, char **argv, int *ret_words) {
        for (const Verb *v = verbs; v->name; v++) {
                const char *space = strchr(v->name, ' ');

                if (!space && argc > 0 && strcmp(argv[0], v->name) == 0) {
                        *ret_words = 1;
                        return v;
                }
                if (space && argc > 1 && strlen(argv[0]) == (size_t) (space - v->name) &&
                    g_str_has_prefix(v->name, argv[0]) && strcmp(argv[1], space + 1) == 0) {
                        *ret_words = 2;
                        return v;
                }
        }
        return NULL;
}

static void print_options(const Option *options) {
        for (const Option *o = options; o && o->name; o++) {
                g_autofree char *left =
                        g_strdup_printf("%s%s%s%s%s", o->name, o->arg ? "=" : "", o->arg ?: "",
                                        o->alias ? ", " : "", o->alias ?: "");

                printf("  %-26s %s\n", left, o->help);
        }
}

static void print_verb(const Verb *v) {
        g_autofree char *left = g_strdup_printf("%s %s", v->name, v->args);

        printf("  %-44s %s\n", left, v->summary);
}

void help_program(void) {
        puts("Usage: lwm2mctl [OPTION…] VERB [ARGUMENT…]\n"
             "Controls lwm2md, the LwM2M client daemon, and reads and writes its "
             "values.\n\nVerbs:");
        for (const Verb *v = verbs; v->name; v++)
                print_verb(v);
        puts("\nOptions:");
        print_options(global_options);
        puts("\nExit status: 0 ok, 1 failed, 2 usage, 3 not found, 4 denied, 5 daemon absent, "
             "6 timeout.\n`lwm2mctl VERB --help` tells more; see also lwm2mctl(1).");
}

bool help_group(const char *name) {
        const size_t n = strlen(name);
        bool any = false;

        for (const Verb *v = verbs; v->name; v++) {
                if (strncmp(v->name, name, n) != 0 || v->name[n] != ' ')
                        continue;
                if (!any)
                        printf("Usage: lwm2mctl %s VERB [ARGUMENT…]\n\nVerbs:\n", name);
                print_verb(v);
                any = true;
        }
        if (any)
                printf("\n`lwm2mctl %s VERB --help` tells more.\n", name);
        return any;
}

void help_verb(const Verb *v) {
        printf("Usage: lwm2mctl %s%s%s\n%s.\n", v->name, v->args[0] ? " " : "", v->args,
               v->summary);
        if (v->options)
                puts("\nOptions:");
        print_options(v->options);
        puts("\nOptions of every verb:");
        print_options(global_options);
}
