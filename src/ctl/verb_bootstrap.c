/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "ctl/json.h"
#include "ctl/server.h"
#include "ctl/verbs.h"

/* The daemon ends both in time; only a longer wait than that is none of it. */
#define BOOTSTRAP_USEC (UINT64_C(905) * 1000000)
#define TEST_USEC (UINT64_C(140) * 1000000)

static void wait_long(Ctl *c, uint64_t usec) {
        if (c->timeout_usec == 0)
                c->timeout_usec = usec;
}

int verb_bootstrap(Ctl *c, const Args *a) {
        g_autoptr(sd_bus_message) reply = NULL;
        bool wait = !args_get(a, "--no-wait");
        uint32_t job;
        CtlExit code;
        int r;

        if (wait)
                wait_long(c, BOOTSTRAP_USEC);
        code = ctl_call(c, NULL, "Manager", "Bootstrap", NULL, &reply, "a{sv}", 1, "wait", "b",
                        (int) wait);
        if (code != CTL_OK || wait)
                return code;
        r = sd_bus_message_read(reply, "u", &job);
        if (r < 0)
                return ctl_protocol_fail(r, "Bootstrap");
        printf("%u\n", job);
        return CTL_OK;
}

int verb_server_test(Ctl *c, const Args *a) {
        g_autofree char *path = NULL, *where = NULL;
        g_autoptr(sd_bus_message) reply = NULL;
        g_autoptr(cJSON) out = cJSON_CreateArray();
        const char *name, *result, *text;
        bool failed = false;
        CtlExit code;
        int r;

        code = server_path(args_word(a, 0), &path);
        if (code != CTL_OK)
                return code;
        where = g_strdup_printf("server %s", args_word(a, 0));
        wait_long(c, TEST_USEC);
        code = ctl_call(c, path, "Server", "Test", where, &reply, "a{sv}", 0);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_enter_container(reply, 'a', "(sss)");
        while (r > 0 && (r = sd_bus_message_read(reply, "(sss)", &name, &result, &text)) > 0) {
                cJSON *step = cJSON_CreateObject();

                cJSON_AddStringToObject(step, "step", name);
                cJSON_AddStringToObject(step, "result", result);
                cJSON_AddStringToObject(step, "text", text);
                cJSON_AddItemToArray(out, step);
                failed = failed || strcmp(result, "failed") == 0;
                if (!c->json) {
                        g_autofree char *shown = printable(text);

                        printf("%-14s %-9s %s\n", name, result, shown);
                }
        }
        if (r < 0)
                return ctl_protocol_fail(r, "Test");
        if (c->json)
                json_print_line(out);
        return failed ? CTL_FAILED : CTL_OK;
}
