/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/handler.h"
#include "ctl/json.h"
#include "ctl/schema.h"
#include "ctl/service.h"
#include "ctl/verbs.h"
#include "util/parse.h"

#define HANDLER_PATH "/org/lwm2md/Handler"
#define TIMEOUT_DEFAULT_MS 10000U

typedef struct Handle {
        Ctl *c;
        Handler handler;
        Service *service;
        GPtrArray *paths; /* of char *, without the closing NULL */
        uint32_t claim, timeout_ms;
        bool claimed, read, write, execute, create, sharing;
} Handle;

#define METHOD(name, call)                                                                         \
        static int method_##name(sd_bus_message *m, void *userdata, sd_bus_error *error) {         \
                Handle *h = userdata;                                                              \
                                                                                                   \
                return service_admits(h->service, m, error) ? (call) : -EACCES;                    \
        }
METHOD(execute, handler_execute(&h->handler, m, error))
METHOD(read, handler_read(&h->handler, m, error))
METHOD(prepare, handler_prepare(&h->handler, m, error))
METHOD(commit, handler_finish(&h->handler, m, true, error))
METHOD(abort, handler_finish(&h->handler, m, false, error))

static int method_released(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Handle *h = userdata;
        const char *reason;
        uint32_t claim;
        int r;

        if (!service_admits(h->service, m, error))
                return -EACCES;
        r = sd_bus_message_read(m, "us", &claim, &reason);
        if (r < 0)
                return r;
        r = sd_bus_reply_method_return(m, NULL);
        if (claim != h->claim || !h->claimed)
                return r;
        h->claimed = false;
        ctl_fail(CTL_FAILED, "the daemon withdrew the claim: %s", reason);
        service_end(h->service, CTL_FAILED);
        return r;
}

/* Unprivileged: the daemon runs as another user than root. */
static const sd_bus_vtable handler_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Execute",
                                SD_BUS_ARGS("s", path, "a(ys)", arguments, "a{sv}", context),
                                SD_BUS_NO_RESULT, method_execute, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Read", SD_BUS_ARGS("as", paths, "a{sv}", context),
                                SD_BUS_RESULT("a(svx)", values), method_read,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "Prepare", SD_BUS_ARGS("t", transaction, "a(ssv)", operations, "a{sv}", context),
                SD_BUS_NO_RESULT, method_prepare, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Commit", SD_BUS_ARGS("t", transaction), SD_BUS_NO_RESULT,
                                method_commit, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Abort", SD_BUS_ARGS("t", transaction), SD_BUS_NO_RESULT,
                                method_abort, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Released", SD_BUS_ARGS("u", claim, "s", reason), SD_BUS_NO_RESULT,
                                method_released, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static int append_claim(const Handle *h, sd_bus_message *m) {
        const struct {
                const char *key;
                bool on;
        } flags[] = {
                { "read", h->read },     { "write", h->write },   { "execute", h->execute },
                { "create", h->create }, { "share", h->sharing },
        };
        int r;

        g_ptr_array_add(h->paths, NULL);
        r = sd_bus_message_append_strv(m, (char **) h->paths->pdata);
        g_ptr_array_set_size(h->paths, (int) h->paths->len - 1);
        if (r >= 0)
                r = sd_bus_message_append(m, "o", HANDLER_PATH);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(flags); i++)
                if (flags[i].on)
                        r = sd_bus_message_append(m, "{sv}", flags[i].key, "b", 1);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "timeout_ms", "u", h->timeout_ms);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Definitions are asked for now: later, the daemon waits for us while we would wait for it. */
static CtlExit learn_objects(Handle *h) {
        g_clear_pointer(&h->c->objects, g_hash_table_unref);
        for (guint i = 0; i < h->paths->len; i++) {
                const cJSON *object;
                CtlPath p;
                CtlExit code;

                code = ctl_path(g_ptr_array_index(h->paths, i), 1, 4, &p);
                if (code == CTL_OK)
                        code = schema_object(h->c, p.id[0], &object);
                if (code != CTL_OK)
                        return code;
        }
        return CTL_OK;
}

static CtlExit claim(void *userdata) {
        Handle *h = userdata;
        g_autoptr(sd_bus_message) m = NULL, reply = NULL;
        CtlExit code;
        int r;

        code = learn_objects(h);
        if (code == CTL_OK)
                code = ctl_message(h->c, NULL, "Claims", "Claim", &m);
        if (code != CTL_OK)
                return code;
        r = append_claim(h, m);
        if (r < 0)
                return ctl_protocol_fail(r, "Claim");
        code = ctl_send(h->c, m, NULL, &reply);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_read(reply, "u", &h->claim);
        h->claimed = r >= 0;
        return r < 0 ? ctl_protocol_fail(r, "Claim") : CTL_OK;
}

static void release(void *userdata) {
        Handle *h = userdata;

        if (h->claimed)
                (void) ctl_call(h->c, NULL, "Claims", "Release", NULL, NULL, "u", h->claim);
        h->claimed = false;
}

static void forget(void *userdata) {
        Handle *h = userdata;

        h->claimed = false;
        handler_forget(&h->handler);
}

static CtlExit serve(Handle *h) {
        int r;

        r = sd_bus_add_object_vtable(h->c->bus, NULL, HANDLER_PATH, BUS_INTERFACE("Handler"),
                                     handler_vtable, h);
        if (r < 0)
                return ctl_fail(CTL_FAILED, "Cannot offer the handler: %s", g_strerror(-r));
        return service_run(h->service);
}

static CtlExit take_options(Handle *h, const Args *a) {
        g_autofree char *program = NULL;
        const char *command;
        const char *timeout = args_get(a, "--timeout-ms");

        h->read = args_get(a, "--read");
        h->write = args_get(a, "--write");
        h->create = args_get(a, "--create");
        h->execute = args_get(a, "--execute") || !(h->read || h->write || h->create);
        h->sharing = args_get(a, "--share");
        h->timeout_ms = TIMEOUT_DEFAULT_MS;
        if (timeout && (parse_u32(timeout, &h->timeout_ms) < 0 || h->timeout_ms == 0))
                return ctl_fail(CTL_USAGE, "--timeout-ms=%s: expected milliseconds from 1",
                                timeout);
        for (unsigned i = 0; i < a->n_before; i++) {
                CtlPath p;
                CtlExit code;

                code = ctl_path(args_word(a, i), 1, 4, &p);
                if (code != CTL_OK)
                        return code;
                g_ptr_array_add(h->paths, ctl_path_text(&p));
        }
        if (!a->dashes || a->words->len == a->n_before)
                return ctl_fail(CTL_USAGE, "handle: a command is missing: lwm2mctl handle PATH -- "
                                           "COMMAND");
        command = args_word(a, a->n_before);
        program = g_find_program_in_path(command);
        if (!program) /* now, not when a server asks months later */
                return ctl_fail(CTL_USAGE, "handle: '%s' is not a program that can be run",
                                command);
        return CTL_OK;
}

int verb_handle(Ctl *c, const Args *a) {
        static const ServiceOps ops = { .claim = claim, .release = release, .forget = forget };
        g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Service) service = NULL;
        Handle h = { .c = c, .paths = paths };
        CtlExit code;

        code = take_options(&h, a);
        if (code == CTL_OK)
                code = service_new(c, &ops, &h, &service);
        if (code != CTL_OK)
                return code;
        h.service = service;
        g_ptr_array_add(a->words, NULL);
        handler_init(&h.handler, c, service_loop(service),
                     (char *const *) a->words->pdata + a->n_before, (uint64_t) h.timeout_ms * 1000,
                     args_get(a, "--phases"));
        code = serve(&h);
        handler_clear(&h.handler);
        return code;
}
