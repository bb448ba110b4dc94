/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctl/child.h"
#include "ctl/handler.h"
#include "ctl/json.h"
#include "ctl/service.h"
#include "ctl/verbs.h"
#include "util/cleanup.h"
#include "util/parse.h"

#define PROVIDER_PATH "/org/lwm2md/CredentialProvider"
#define TIMEOUT_DEFAULT_MS 10000U
#define TIMEOUT_MAX_MS 29000u
#define TIMEOUT_MARGIN_MS 1000u /* the daemon waits longer than the command may take */
#define RUNS_MAX 16u
#define ALL_SERVERS 65535u

typedef struct Provide {
        Ctl *c;
        Service *service;
        char *const *argv;
        uint16_t server;
        uint32_t id, timeout_ms;
        bool claimed;
        GPtrArray *runs; /* Run */
} Provide;

/* One call of the daemon, and the command that answers it. */
typedef struct Run {
        Provide *provide;
        sd_bus_message *call;
        Child *child;
} Run;

static void run_free(gpointer data) {
        Run *run = data;

        child_free(run->child);
        sd_bus_message_unref(run->call);
        g_free(run);
}

/* --- what the command has printed --- */

typedef enum LineKind {
        LINE_TEXT,   /* as it is */
        LINE_SECRET, /* in a memfd */
        LINE_FILE,   /* opened here, with our rights; a URI as it is */
} LineKind;

static const struct {
        const char *name, *key;
        LineKind kind;
} lines[] = {
        { "security", "security", LINE_TEXT }, { "identity", "identity", LINE_TEXT },
        { "psk", "psk", LINE_SECRET },         { "psk-file", "psk", LINE_FILE },
        { "key-file", "key", LINE_FILE },      { "certificate-file", "certificate", LINE_FILE },
        { "trust-file", "trust", LINE_FILE },  { "server-file", "server", LINE_FILE },
        { "usage", "usage", LINE_TEXT },       { "sni", "sni", LINE_TEXT },
};

static int append_bytes(sd_bus_message *m, const char *key, const uint8_t *bytes, size_t n) {
        int r;

        if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 ||
            (r = sd_bus_message_append(m, "s", key)) < 0 ||
            (r = sd_bus_message_open_container(m, 'v', "ay")) < 0 ||
            (r = sd_bus_message_append_array(m, 'y', bytes, n)) < 0 ||
            (r = sd_bus_message_close_container(m)) < 0)
                return r;
        return sd_bus_message_close_container(m);
}

/* Text, hex:… or base64:…, as with --identity of server add. */
static int append_text(sd_bus_message *m, const char *key, const char *text) {
        g_autofree uint8_t *bytes = NULL;
        size_t n;
        int r;

        if (g_str_has_prefix(text, "base64:"))
                r = parse_base64(text + 7, &bytes, &n);
        else if (g_str_has_prefix(text, "hex:"))
                r = parse_hex(text + 4, &bytes, &n);
        else
                return sd_bus_message_append(m, "{sv}", key, "s", text);
        return r < 0 ? r : append_bytes(m, key, bytes, n);
}

static int append_secret(sd_bus_message *m, const char *key, const char *text) {
        autoclose int fd = memfd_create("lwm2md-key", MFD_CLOEXEC);
        size_t n = strlen(text);

        if (fd < 0)
                return -errno;
        if (write(fd, text, n) != (ssize_t) n)
                return -EIO;
        return sd_bus_message_append(m, "{sv}", key, "h", fd);
}

static int append_file(sd_bus_message *m, const char *key, const char *file) {
        g_autofree char *name = NULL;
        autoclose int fd = -1;

        if (g_str_has_prefix(file, "store:") || g_str_has_prefix(file, "pkcs11:")) {
                name = g_strconcat(key, "_file", NULL);
                return sd_bus_message_append(m, "{sv}", name, "s", file);
        }
        if (verb_file_open(file, &fd) != CTL_OK)
                return -ENOENT;
        return sd_bus_message_append(m, "{sv}", key, "h", fd);
}

/* "NAME=VALUE"; *ret_bad is what is told of a line that cannot be used: of one without a known name
 * its number alone, for it may be a secret. */
static int append_line(sd_bus_message *m, const char *line, unsigned number, char **ret_bad) {
        const char *equal = strchr(line, '=');
        size_t n = equal ? (size_t) (equal - line) : strlen(line);
        int r = -EINVAL;

        for (size_t i = 0; equal && i < G_N_ELEMENTS(lines); i++) {
                if (strlen(lines[i].name) != n || memcmp(lines[i].name, line, n) != 0)
                        continue;
                r = lines[i].kind == LINE_TEXT     ? append_text(m, lines[i].key, equal + 1)
                    : lines[i].kind == LINE_SECRET ? append_secret(m, lines[i].key, equal + 1)
                                                   : append_file(m, lines[i].key, equal + 1);
                if (r < 0)
                        *ret_bad = g_strdup_printf("%s: its value cannot be used", lines[i].name);
                break;
        }
        if (r < 0 && !*ret_bad)
                *ret_bad = g_strdup_printf("%u: expected NAME=VALUE with a NAME of credentials",
                                           number);
        return r;
}

static int append_output(sd_bus_message *m, char *output, char **ret_bad) {
        char *rest = output, *line;
        unsigned number = 0;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        while (r >= 0 && (line = strsep(&rest, "\n")))
                if (++number && *line)
                        r = append_line(m, line, number, ret_bad);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* --- runs --- */

static void reply_error(Run *run, const char *name, const char *text) {
        sd_bus_error e = SD_BUS_ERROR_MAKE_CONST(name, text);

        (void) sd_bus_reply_method_error(run->call, &e);
}

static void reply_output(Run *run, const GString *output) {
        g_autoptr(sd_bus_message) m = NULL;
        g_autofree char *text = g_strndup(output->str, output->len), *bad = NULL, *why = NULL;
        int r;

        r = sd_bus_message_new_method_return(run->call, &m);
        if (r >= 0)
                r = append_output(m, text, &bad);
        explicit_bzero(text, output->len);
        if (r >= 0)
                r = sd_bus_send(NULL, m, NULL);
        if (r >= 0)
                return;
        why = bad ? g_strdup_printf("the command's line %s", bad)
                  : g_strdup("the command's answer cannot be sent");
        reply_error(run, SD_BUS_ERROR_FAILED, why);
}

static void on_done(void *userdata, const ChildResult *result) {
        Run *run = userdata;
        const char *name = handler_error_name(result->status, false);
        g_autofree char *errors = g_strndup(result->errors->str, result->errors->len);

        if (result->timed_out)
                reply_error(run, BUS_ERROR("Timeout"), "the command took too long");
        else if (result->too_long)
                reply_error(run, SD_BUS_ERROR_FAILED, "the command prints too much");
        else if (name)
                reply_error(run, name, *g_strstrip(errors) ? errors : "the command failed");
        else
                reply_output(run, result->output);
        explicit_bzero(result->output->str, result->output->len);
        g_ptr_array_remove(run->provide->runs, run);
}

static char **environment(uint16_t server, const char *uri, const cJSON *context) {
        g_autofree char *number = server ? g_strdup_printf("%u", server) : g_strdup("bootstrap");
        char **env = g_environ_setenv(g_get_environ(), "LWM2M_SERVER", number, true);

        env = g_environ_setenv(env, "LWM2M_URI", uri, true);
        return g_environ_setenv(env, "LWM2M_SECURITY", json_string(context, "security", ""), true);
}

static int method_load(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Provide *p = userdata;
        g_autoptr(cJSON) context = NULL;
        g_autoptr(GBytes) nothing = g_bytes_new(NULL, 0);
        g_auto(GStrv) env = NULL;
        uint16_t server;
        const char *uri;
        Run *run;
        int r;

        if (!service_admits(p->service, m, error))
                return -EACCES;
        if (p->runs->len >= RUNS_MAX)
                return sd_bus_error_setf(error, BUS_ERROR("Busy"), "%u commands run already",
                                         RUNS_MAX);
        r = sd_bus_message_read(m, "qs", &server, &uri);
        if (r >= 0)
                r = json_read(m, &context);
        if (r < 0)
                return r;
        env = environment(server, uri, context);
        run = g_new0(Run, 1);
        run->provide = p;
        run->call = sd_bus_message_ref(m);
        g_ptr_array_add(p->runs, run);
        r = child_new(service_loop(p->service), p->argv, env, nothing,
                      (uint64_t) p->timeout_ms * 1000, on_done, run, &run->child);
        if (r >= 0)
                return 1;
        g_ptr_array_remove(p->runs, run);
        return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED, "cannot run '%s': %s", p->argv[0],
                                 g_strerror(-r));
}

/* Unprivileged: the daemon runs as another user than root. */
static const sd_bus_vtable provider_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Load", "qsa{sv}", "a{sv}", method_load, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

/* --- the claim --- */

static CtlExit claim(void *userdata) {
        Provide *p = userdata;
        g_autoptr(sd_bus_message) reply = NULL;
        CtlExit code;
        int r;

        code = ctl_call(p->c, NULL, "Claims", "ProvideCredentials", NULL, &reply, "qoa{sv}",
                        p->server, PROVIDER_PATH, 1, "timeout_ms", "u",
                        p->timeout_ms + TIMEOUT_MARGIN_MS);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_read(reply, "u", &p->id);
        p->claimed = r >= 0;
        return r < 0 ? ctl_protocol_fail(r, "ProvideCredentials") : CTL_OK;
}

static void release(void *userdata) {
        Provide *p = userdata;

        if (p->claimed)
                (void) ctl_call(p->c, NULL, "Claims", "WithdrawCredentials", NULL, NULL, "u",
                                p->id);
        p->claimed = false;
}

static void forget(void *userdata) {
        Provide *p = userdata;

        p->claimed = false;
        g_ptr_array_set_size(p->runs, 0); /* nobody waits for their answers */
}

static CtlExit take_options(Provide *p, const Args *a) {
        const char *server = args_word(a, 0), *timeout = args_get(a, "--timeout-ms");
        g_autofree char *program = NULL;

        if (strcmp(server, "all") == 0)
                p->server = ALL_SERVERS;
        else if (strcmp(server, "bootstrap") != 0 &&
                 (parse_u16(server, &p->server) < 0 || p->server == 0 || p->server == ALL_SERVERS))
                return ctl_fail(CTL_USAGE,
                                "'%s' is no server: expected a short server id, 'bootstrap' or "
                                "'all'",
                                server);
        p->timeout_ms = TIMEOUT_DEFAULT_MS;
        if (timeout && (parse_u32(timeout, &p->timeout_ms) < 0 || p->timeout_ms == 0 ||
                        p->timeout_ms > TIMEOUT_MAX_MS))
                return ctl_fail(CTL_USAGE, "--timeout-ms=%s: expected milliseconds, 1 to %u",
                                timeout, TIMEOUT_MAX_MS);
        if (!a->dashes || a->n_before != 1 || a->words->len == a->n_before)
                return ctl_fail(CTL_USAGE, "handle-credentials: a command is missing: lwm2mctl "
                                           "handle-credentials SERVER -- COMMAND");
        program = g_find_program_in_path(args_word(a, a->n_before));
        return program ? CTL_OK
                       : ctl_fail(CTL_USAGE,
                                  "handle-credentials: '%s' is not a program that can be run",
                                  args_word(a, a->n_before));
}

int verb_handle_credentials(Ctl *c, const Args *a) {
        static const ServiceOps ops = { .claim = claim, .release = release, .forget = forget };
        g_autoptr(Service) service = NULL;
        g_autoptr(GPtrArray) runs = g_ptr_array_new_with_free_func(run_free);
        Provide p = { .c = c, .runs = runs };
        CtlExit code;
        int r;

        code = take_options(&p, a);
        if (code == CTL_OK)
                code = service_new(c, &ops, &p, &service);
        if (code != CTL_OK)
                return code;
        p.service = service;
        g_ptr_array_add(a->words, NULL);
        p.argv = (char *const *) a->words->pdata + a->n_before;
        r = sd_bus_add_object_vtable(c->bus, NULL, PROVIDER_PATH,
                                     BUS_INTERFACE("CredentialProvider"), provider_vtable, &p);
        if (r < 0)
                return ctl_fail(CTL_FAILED, "Cannot offer the provider: %s", g_strerror(-r));
        code = service_run(service);
        g_ptr_array_set_size(runs, 0); /* before the loop goes */
        return code;
}
