/* SPDX-License-Identifier: Apache-2.0 */
/* The Claims interface: Claim, Release, List. */
#include <errno.h>
#include <string.h>

#include "bus/gate.h"

#define PREFIXES_MAX 256
#define TIMEOUT_MS_DEFAULT 10000
#define TIMEOUT_MS_MAX                                                                             \
        240000 /* a CoAP server has given up by then (EXCHANGE_LIFETIME, RFC 7252, 4.8.2) */
#define GRACE_MS_DEFAULT 5000
#define GRACE_MS_MAX 86400000

static const char *const on_vanish_names[] = { "keep", "mark", "remove" };

static int read_prefixes(sd_bus_message *m, GArray *ret, sd_bus_error *error) {
        int r;

        r = read_paths(m, 1, PREFIXES_MAX, check_claim, ret, error);
        if (r >= 0 && ret->len == 0)
                return bus_error_named(error, ERROR_PREFIX "InvalidPath",
                                       "Claim needs at least one prefix");
        for (guint i = 1; r >= 0 && i < ret->len; i++)
                for (guint k = 0; k < i; k++)
                        if (path_equal(&g_array_index(ret, Path, k), &g_array_index(ret, Path, i)))
                                return bus_error_named(error, ERROR_PREFIX "InvalidPath",
                                                       "%s stands twice in this Claim",
                                                       PATH_TEXT(&g_array_index(ret, Path, i)));
        return r;
}

static int read_claim_options(sd_bus_message *m, Claim *c, sd_bus_error *error) {
        bool read = false, write = false, execute = false, create = false;
        const char *on_vanish = "keep";
        const Option options[] = {
                { "read", OPTION_BOOL, &read },
                { "write", OPTION_BOOL, &write },
                { "execute", OPTION_BOOL, &execute },
                { "create", OPTION_BOOL, &create },
                { "share", OPTION_BOOL, &c->share },
                { "timeout_ms", OPTION_U32, &c->timeout_ms },
                { "grace_ms", OPTION_U32, &c->grace_ms },
                { "on_vanish", OPTION_TEXT, &on_vanish },
                { NULL },
        };
        int r;

        c->timeout_ms = TIMEOUT_MS_DEFAULT;
        c->grace_ms = GRACE_MS_DEFAULT;
        r = options_read(m, options, error);
        if (r < 0)
                return r;
        if (c->timeout_ms == 0 || c->timeout_ms > TIMEOUT_MS_MAX)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "timeout_ms is %u, allowed are 1 to %d", c->timeout_ms,
                                       TIMEOUT_MS_MAX);
        if (c->grace_ms > GRACE_MS_MAX)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "grace_ms is %u, allowed are 0 to %d", c->grace_ms,
                                       GRACE_MS_MAX);
        if (c->share && read)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "A shared claim cannot answer reads: only one can");
        c->operations = (read ? APP_READ : 0) | (write ? APP_WRITE : 0) |
                        (execute ? APP_EXECUTE : 0) | (create ? APP_CREATE : 0);
        for (unsigned i = 0; i < G_N_ELEMENTS(on_vanish_names); i++)
                if (strcmp(on_vanish, on_vanish_names[i]) == 0) {
                        c->on_vanish = (OnVanish) i;
                        return 0;
                }
        return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                               "on_vanish: '%s' is not keep, mark or remove", on_vanish);
}

void bus_owner_changed(Bus *b, const Claim *claim) {
        if (b->client && claim->operations & APP_CREATE)
                client_offers_changed(b->client);
        if (!b->client || !(claim->operations & APP_READ))
                return;
        for (size_t i = 0; i < claim->n_prefixes; i++)
                dm_owner_changed(client_dm(b->client), &claim->prefixes[i]);
}

static int method_claim(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autoptr(GArray) prefixes = g_array_new(FALSE, FALSE, sizeof(Path));
        const Claim *other;
        Claim c = { 0 };
        uint32_t id;
        int r;

        r = read_prefixes(m, prefixes, error);
        if (r >= 0)
                r = sd_bus_message_read(m, "o", &c.handler);
        if (r >= 0)
                r = read_claim_options(m, &c, error);
        if (r >= 0)
                r = bus_owner(b, m, &c.owner, error);
        if (r < 0)
                return r;
        c.uid = owner_uid(c.owner);
        c.prefixes = (Path *) (void *) prefixes->data;
        c.n_prefixes = prefixes->len;
        r = claims_add(b->claims, &c, &id, &other);
        owner_unref(c.owner);
        if (r == -EEXIST)
                return bus_error_named(
                        error, ERROR_PREFIX "AlreadyClaimed",
                        "%s is claimed by %s (uid %u, claim %u)", PATH_TEXT(&other->prefixes[0]),
                        other->owner ? owner_name(other->owner) : "an application that went away",
                        other->uid, other->id);
        if (r < 0)
                return bus_error(
                        error, r,
                        "This user has %u claims, the most allowed ([Limits] ClaimsPerUser)",
                        b->config.claims_per_user);
        bus_owner_changed(b, &c);
        return sd_bus_reply_method_return(m, "u", id);
}

static int method_release(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const Claim *c;
        Claim released;
        uint32_t id;
        int r;

        r = sd_bus_message_read(m, "u", &id);
        if (r < 0)
                return r;
        c = claims_by_id(b->claims, id);
        if (!c)
                return bus_error(error, -ENOENT, "There is no claim %u", id);
        if (!c->owner || g_strcmp0(owner_name(c->owner), sd_bus_message_get_sender(m)) != 0)
                return bus_error_named(error, ERROR_PREFIX "NotOwner", "Claim %u belongs to %s", id,
                                       c->owner ? owner_name(c->owner)
                                                : "an application that went away");
        released = (Claim){
                .prefixes = g_memdup2(c->prefixes, c->n_prefixes * sizeof(Path)),
                .n_prefixes = c->n_prefixes,
                .operations = c->operations,
        };
        r = claims_release(b->claims, id, c->owner);
        if (r == 0)
                bus_owner_changed(b, &released);
        g_free(released.prefixes);
        return r < 0 ? r : reply_ok(m);
}

static void append_claim(void *userdata, const Claim *c) {
        sd_bus_message *m = userdata;

        sd_bus_message_open_container(m, 'r', "usoasa{sv}");
        sd_bus_message_append(m, "uso", c->id, c->owner ? owner_name(c->owner) : "", c->handler);
        sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; i < c->n_prefixes; i++)
                sd_bus_message_append(m, "s", PATH_TEXT(&c->prefixes[i]));
        sd_bus_message_close_container(m);
        sd_bus_message_append(
                m, "a{sv}", 9, "uid", "u", c->uid, "read", "b", !!(c->operations & APP_READ),
                "write", "b", !!(c->operations & APP_WRITE), "execute", "b",
                !!(c->operations & APP_EXECUTE), "create", "b", !!(c->operations & APP_CREATE),
                "share", "b", c->share, "timeout_ms", "u", c->timeout_ms, "grace_ms", "u",
                c->grace_ms, "on_vanish", "s", on_vanish_names[c->on_vanish]);
        sd_bus_message_close_container(m);
}

static int method_list_claims(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(usoasa{sv})");
        if (r >= 0) {
                claims_foreach(b->claims, append_claim, reply);
                r = sd_bus_message_close_container(reply);
        }
        return reply_send(reply, r);
}

const sd_bus_vtable claims_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Claim",
                                SD_BUS_ARGS("as", prefixes, "o", handler, "a{sv}", options),
                                SD_BUS_RESULT("u", id), method_claim, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_ARGS("u", id), SD_BUS_NO_RESULT, method_release,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "ProvideCredentials", SD_BUS_ARGS("q", server, "o", provider, "a{sv}", options),
                SD_BUS_RESULT("u", id), method_provide_credentials, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("WithdrawCredentials", SD_BUS_ARGS("u", id), SD_BUS_NO_RESULT,
                                method_withdraw_credentials, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("List", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(usoasa{sv})", claims),
                                method_list_claims, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
