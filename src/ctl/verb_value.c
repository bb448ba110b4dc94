/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/form.h"
#include "ctl/json.h"
#include "ctl/schema.h"
#include "ctl/verbs.h"

int verb_read(Ctl *c, const Args *a) {
        g_autoptr(sd_bus_message) reply = NULL;
        g_autoptr(cJSON) value = NULL;
        g_autofree char *path = NULL, *text = NULL, *error = NULL;
        const Form *form;
        CtlPath p;
        CtlExit code;
        int r;

        code = form_option(a, &form);
        if (code == CTL_OK)
                code = ctl_path(args_word(a, 0), 3, 4, &p);
        if (code != CTL_OK)
                return code;
        path = ctl_path_text(&p);
        code = ctl_call(c, NULL, "Data", "Get", NULL, &reply, "sa{sv}", path, 0);
        if (code != CTL_OK)
                return code;
        r = json_read(reply, &value);
        if (r < 0)
                return ctl_protocol_fail(r, "Get");
        if (form) {
                r = form_format(form, value, &text, &error);
                if (r < 0)
                        return ctl_fail(CTL_FAILED, "%s: %s", path, error);
        }
        if (c->json) {
                g_autoptr(cJSON) out = cJSON_CreateObject();

                cJSON_AddStringToObject(out, "path", path);
                cJSON_AddItemToObject(out, "value",
                                      text ? cJSON_CreateString(text) : g_steal_pointer(&value));
                json_print_line(out);
                return CTL_OK;
        }
        if (!text)
                text = json_text(value);
        puts(text);
        return CTL_OK;
}

/* Only after the value is set: a refused one leaves no policy behind. */
static CtlExit keep(Ctl *c, const CtlPath *p) {
        g_autofree char *path = ctl_path_text(p);

        return ctl_call(c, NULL, "Data", "Configure", NULL, NULL, "sa{sv}", path, 1, "persist", "s",
                        "always");
}

static CtlExit send_one(Ctl *c, const Input *in) {
        g_autofree char *path = ctl_path_text(&in->path);
        g_autoptr(sd_bus_message) m = NULL;
        CtlExit code;
        int r;

        code = ctl_message(c, NULL, "Data", "Set", &m);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_append(m, "s", path);
        if (r >= 0)
                r = input_append(m, in);
        if (r >= 0)
                r = sd_bus_message_append(m, "a{sv}", 0);
        return r < 0 ? ctl_protocol_fail(r, "Set") : ctl_send(c, m, NULL, NULL);
}

int verb_write(Ctl *c, const Args *a) {
        g_autofree char *error = NULL;
        g_auto(Input) in = { 0 };
        const Form *form;
        CtlPath p;
        CtlExit code;

        code = form_option(a, &form);
        if (code == CTL_OK)
                code = ctl_path(args_word(a, 0), 3, 4, &p);
        if (code != CTL_OK)
                return code;
        if (form && form_check(form, args_word(a, 1), &error) < 0)
                return ctl_fail(CTL_USAGE, "'%s': %s", args_word(a, 1), error);
        code = input_parse(c, &p, form ? form->type : DATUM_NONE, args_word(a, 1), &in);
        if (code != CTL_OK)
                return code;
        code = send_one(c, &in);
        return code == CTL_OK && args_get(a, "--persist") ? keep(c, &p) : code;
}

/* userdata: the list it goes to with --json; NULL prints it. */
static void print_value(void *userdata, const char *path, cJSON *value, int64_t time_ns) {
        g_autofree char *text = NULL;

        if (userdata) {
                cJSON_AddItemToArray(userdata, json_value_item(path, value, time_ns));
                return;
        }
        text = json_text(value);
        printf("%s=%s\n", path, text);
        cJSON_Delete(value);
}

static CtlExit print_values(sd_bus_message *m, cJSON *list) {
        int r = json_read_values(m, print_value, list);

        return r < 0 ? ctl_protocol_fail(r, "GetMany") : CTL_OK;
}

int verb_get(Ctl *c, const Args *a) {
        g_autoptr(sd_bus_message) m = NULL, reply = NULL;
        g_autoptr(cJSON) list = c->json ? cJSON_CreateArray() : NULL;
        CtlExit code;
        int r;

        code = ctl_message(c, NULL, "Data", "GetMany", &m);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_open_container(m, 'a', "s");
        for (unsigned i = 0; r >= 0 && i < a->words->len; i++) {
                g_autofree char *path = NULL;
                CtlPath p;

                code = ctl_path(args_word(a, i), 0, 4, &p);
                if (code != CTL_OK)
                        return code;
                path = ctl_path_text(&p);
                r = sd_bus_message_append(m, "s", path);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "a{sv}", 0);
        if (r < 0)
                return ctl_protocol_fail(r, "GetMany");
        code = ctl_send(c, m, NULL, &reply);
        if (code == CTL_OK)
                code = print_values(reply, list);
        if (code == CTL_OK && list)
                json_print_line(list);
        return code;
}

static void free_inputs(void *array) {
        for (guint i = 0; i < ((GArray *) array)->len; i++)
                input_clear(&g_array_index((GArray *) array, Input, i));
        g_array_unref(array);
}

static CtlExit send_many(Ctl *c, const GArray *inputs) {
        g_autoptr(sd_bus_message) m = NULL;
        CtlExit code;
        int r;

        code = ctl_message(c, NULL, "Data", "SetMany", &m);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_open_container(m, 'a', "(sv)");
        for (guint i = 0; r >= 0 && i < inputs->len; i++) {
                const Input *in = &g_array_index(inputs, Input, i);
                g_autofree char *path = ctl_path_text(&in->path);

                r = sd_bus_message_open_container(m, 'r', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", path);
                if (r >= 0)
                        r = input_append(m, in);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "a{sv}", 0);
        return r < 0 ? ctl_protocol_fail(r, "SetMany") : ctl_send(c, m, NULL, NULL);
}

int verb_set(Ctl *c, const Args *a) {
        GArray *inputs = g_array_new(FALSE, FALSE, sizeof(Input));
        CtlExit code = CTL_OK;

        for (unsigned i = 0; code == CTL_OK && i < a->words->len; i++) {
                Input in = { 0 };
                const char *text;
                CtlPath p;

                code = ctl_assignment(args_word(a, i), 3, &p, &text);
                if (code == CTL_OK)
                        code = input_parse(c, &p, DATUM_NONE, text, &in);
                if (code == CTL_OK)
                        g_array_append_val(inputs, in);
        }
        if (code == CTL_OK && inputs->len == 1)
                code = send_one(c, &g_array_index(inputs, Input, 0));
        else if (code == CTL_OK)
                code = send_many(c, inputs);
        for (guint i = 0; code == CTL_OK && args_get(a, "--persist") && i < inputs->len; i++)
                code = keep(c, &g_array_index(inputs, Input, i).path);
        free_inputs(inputs);
        return code;
}

int verb_exec(Ctl *c, const Args *a) {
        g_autofree char *path = NULL;
        CtlPath p;
        CtlExit code;

        code = ctl_path(args_word(a, 0), 3, 3, &p);
        if (code != CTL_OK)
                return code;
        path = ctl_path_text(&p);
        return ctl_call(c, NULL, "Data", "Execute", NULL, NULL, "ssa{sv}", path,
                        args_word(a, 1) ?: "", 0);
}
