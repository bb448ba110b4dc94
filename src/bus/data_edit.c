/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/data_edit.h"

#include <errno.h>
#include <string.h>

#include "bus/gate.h"

Edit *edit_new(Bus *b, sd_bus_message *call) {
        Edit *e = g_new0(Edit, 1);

        e->bus = b;
        e->call = sd_bus_message_ref(call);
        return e;
}

Edit *edit_free(Edit *e) {
        if (!e)
                return NULL;
        op_list_clear(&e->ops);
        g_clear_pointer(&e->keep, g_array_unref);
        pending_free(e->waiting);
        g_clear_pointer(&e->applied, g_array_unref);
        sample_push_free(e->push);
        sd_bus_message_unref(e->call);
        g_free(e->reply_path);
        g_free(e->asked_name);
        g_free(e);
        return NULL;
}

static int reply(Edit *e) {
        if (e->reply_path)
                return sd_bus_reply_method_return(e->call, "s", e->reply_path);
        if (e->reply_has_bytes)
                return sd_bus_reply_method_return(e->call, "t", e->reply_bytes);
        if (e->reply_has_dropped)
                return sd_bus_reply_method_return(e->call, "u", (uint32_t) e->dropped);
        if (strcmp(sd_bus_message_get_member(e->call), "SetMany") == 0)
                return sd_bus_reply_method_return(e->call, "a(uss)", 0);
        return reply_ok(e->call);
}

static int reply_error(Edit *e, int error, const char *text) {
        sd_bus_error be = SD_BUS_ERROR_NULL;
        int r;

        bus_error(&be, error, "%s", text);
        r = sd_bus_reply_method_error(e->call, &be);
        sd_bus_error_free(&be);
        return r;
}

/* Only of a value that was taken: a refused one leaves no policy behind. */
/* In whose name samples come: uids as numbers that are not 0. */
static void set_payer(Edit *e, bool pays) {
        Series *series = dm_series(client_dm(e->bus->client));

        if (series)
                series_set_payer(series, pays && e->has_uid ? e->uid + 1 : 0);
}

static int keep_path(Edit *e, const Path *p, OpError *error) {
        Series *series = dm_series(client_dm(e->bus->client));
        int r;

        r = store_set_policy(client_store(e->bus->client), p, PERSIST_ALWAYS);
        if (r >= 0 && series)
                r = series_kept_changed(series, p);
        if (r < 0)
                g_snprintf(error->text, sizeof(error->text),
                           "%s: is set, but cannot be kept over a restart: %s", PATH_TEXT(p),
                           g_strerror(-r));
        return r;
}

static int keep_all(Edit *e, OpError *error) {
        int r = 0;

        for (guint i = 0; e->keep && i < e->keep->len && r >= 0; i++)
                r = keep_path(e, &g_array_index(e->keep, Path, i), error);
        return r;
}

int edit_apply_part(Edit *e, const Op *ops, size_t n, const Path *keep, OpError *error) {
        int r;

        set_payer(e, true);
        r = dm_apply(client_dm(e->bus->client), ops, n, error, bus_now(e->bus));
        set_payer(e, false);
        return r >= 0 && keep ? keep_path(e, keep, error) : r;
}

static int apply(Edit *e, OpError *error) {
        int r;

        if (!e->push)
                return edit_apply_part(e, e->ops.v, e->ops.n, NULL, error);
        set_payer(e, true);
        r = sample_push_commit(
                e->push, e->applied ? (const Op *) (const void *) e->applied->data : NULL,
                e->applied ? e->applied->len : 0, &e->dropped, error, bus_now(e->bus));
        set_payer(e, false);
        return r;
}

static void on_prepared(void *userdata, int error, const char *text, const RecordList *records,
                        uint64_t now_usec) {
        g_autoptr(Edit) e = userdata;
        g_autofree char *message = NULL;
        OpError why;
        int r;

        if (error < 0) {
                message = g_strdup_printf("%s: refused by the application that owns it: %s",
                                          PATH_TEXT(&e->ops.v[0].path),
                                          text ? text : g_strerror(-error));
                reply_error(e, error, message);
                return;
        }
        r = apply(e, &why);
        handlers_app_ops.finish(e->prepared, r >= 0);
        if (r >= 0)
                r = keep_all(e, &why);
        if (r < 0)
                reply_error(e, r, why.text);
        else
                reply(e);
}

/* Of a standing claim, whose application need not have claimed anything: it is not asked about what
 * it sets itself. Asked of the bus once for each change. */
static bool sender_is(Edit *e, const char *bus_name) {
        if (g_strcmp0(e->asked_name, bus_name) != 0) {
                g_free(e->asked_name);
                e->asked_name = g_strdup(bus_name);
                e->sender_has_name =
                        gate_owns_name(e->bus, sd_bus_message_get_sender(e->call), bus_name);
        }
        return e->sender_has_name;
}

static bool sender_owns(Edit *e, const Path *p) {
        const GPtrArray *list = claims_find(e->bus->claims, p);
        const char *sender = sd_bus_message_get_sender(e->call);

        for (guint i = 0; list && i < list->len; i++) {
                const Claim *c = g_ptr_array_index(list, i);

                if (c->owner && g_strcmp0(owner_name(c->owner), sender) == 0)
                        return true;
                if (!c->owner && c->bus_name && sender_is(e, c->bus_name))
                        return true;
        }
        return false;
}

bool edit_concerns_others_at(Edit *e, const Path *p) {
        return handlers_app_ops.claimed(e->bus->handlers, p) & (APP_WRITE | APP_CREATE) &&
               !sender_owns(e, p);
}

bool edit_concerns_others(Edit *e) {
        for (size_t i = 0; i < e->ops.n; i++)
                if (edit_concerns_others_at(e, &e->ops.v[i].path))
                        return true;
        return false;
}

int edit_check(Edit *e, sd_bus_error *error) {
        uint64_t n = 0;
        int r;

        for (size_t i = 0; i < e->ops.n; i++) {
                const Op *op = &e->ops.v[i];

                n += op->kind == OP_SET;
                if (op->kind != OP_CREATE)
                        continue;
                r = check_right(e->call, RIGHT_CREATE, &op->path, error);
                if (r < 0)
                        return r;
        }
        r = check_budget(e->call, n, error);
        e->has_uid = r >= 0 && gate_uid(e->call, &e->uid) >= 0;
        return r;
}

static int count_waiting(Edit *e, sd_bus_error *error) {
        e->waiting = pending_new(e->bus, e->call, &PATH_ROOT);
        return pending_count(e->waiting, error);
}

int edit_run(Edit *edit, sd_bus_error *error) {
        g_autoptr(Edit) e = edit;
        OpError why;
        int r;

        r = edit_check(e, error);
        if (r < 0)
                return r;
        if (edit_concerns_others(e)) {
                r = count_waiting(e, error);
                if (r < 0)
                        return r;
                e->prepared = handlers_app_ops.prepare(e->bus->handlers, e->ops.v, e->ops.n,
                                                       &(AppContext){ 0 }, on_prepared, e);
                if (e->prepared) {
                        g_steal_pointer(&e);
                        return 1;
                }
        }
        r = apply(e, &why);
        if (r >= 0)
                r = keep_all(e, &why);
        return r < 0 ? bus_error(error, r, "%s", why.text) : reply(e);
}

int edit_variant_error(sd_bus_error *error, int r, const Path *p) {
        if (r == -E2BIG)
                return bus_error(error, r, "%s: the value is longer than %u bytes", PATH_TEXT(p),
                                 VALUE_LENGTH_MAX);
        if (r != -EINVAL)
                return r;
        return bus_error(
                error, r,
                "%s: a variant of this type is no LwM2M value (s x t d b ay (qq), or a{qv} for a "
                "multiple resource)",
                PATH_TEXT(p));
}
