/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/server/registration.h"

#include <errno.h>
#include <string.h>

#include "lwm2m/account/account.h"

/* format, endpoint, uri, version, lifetime, binding, queue, sms, digest of links,
 * location, end of the lifetime, last contact, port, lead of message ids, address. A Maybe has no
 * place in a file read after an attack, hence empty texts. */
#define BLOB_TYPE "(ussyyusbssasxxqqs)"
#define BLOB_FORMAT 4U
#define BLOB_MAX 65536

Registration *registration_new(void) {
        Registration *r = g_new0(Registration, 1);

        r->deadline_ns = INT64_MAX;
        return r;
}

Registration *registration_free(Registration *r) {
        if (!r)
                return NULL;
        g_free(r->endpoint);
        g_free(r->uri);
        g_free(r->binding);
        g_free(r->sms);
        g_free(r->links_digest);
        g_strfreev(r->location);
        g_free(r);
        return NULL;
}

/* LwM2M 1.0 writes queue mode into the binding ("UQ"); since 1.1 it is a parameter of its own. What
 * the server can reach us by is the transport of its URI, whatever else 1/x/7 allows. */
void registration_set_binding(Registration *r, const char *binding, bool queue_mode) {
        const char *transport = r->uri && account_uri_is_tcp(r->uri) ? "T" : "U";

        r->queue = queue_mode || (binding && strchr(binding, 'Q'));
        g_free(r->binding);
        r->binding = g_strconcat(
                transport, r->queue && r->version.major == 1 && r->version.minor == 0 ? "Q" : "",
                NULL);
}

static bool has_q(const Registration *r) {
        return r->queue && (r->version.major > 1 || r->version.minor > 0);
}

static void add(GPtrArray *query, const char *key, const char *value) {
        g_ptr_array_add(query, g_strconcat(key, "=", value, NULL));
}

static char **finish(GPtrArray *query) {
        g_ptr_array_add(query, NULL);
        return (char **) g_ptr_array_free(query, FALSE);
}

char **registration_query(const Registration *r) {
        GPtrArray *q = g_ptr_array_new();

        add(q, "ep", r->endpoint);
        g_ptr_array_add(q, g_strdup_printf("lt=%" G_GUINT32_FORMAT, r->lifetime_sec));
        g_ptr_array_add(q, g_strdup_printf("lwm2m=%u.%u", r->version.major, r->version.minor));
        add(q, "b", r->binding);
        if (has_q(r))
                g_ptr_array_add(q, g_strdup("Q"));
        if (r->sms)
                add(q, "sms", r->sms);
        return finish(q);
}

char **registration_update_query(const Registration *r, const Registration *known) {
        GPtrArray *q = g_ptr_array_new();

        if (r->lifetime_sec != known->lifetime_sec)
                g_ptr_array_add(q, g_strdup_printf("lt=%" G_GUINT32_FORMAT, r->lifetime_sec));
        /* Q has no form for "no longer": it stands beside the b it belongs to. */
        if (g_strcmp0(r->binding, known->binding) != 0 || r->queue != known->queue) {
                add(q, "b", r->binding);
                if (has_q(r))
                        g_ptr_array_add(q, g_strdup("Q"));
        }
        if (r->sms && g_strcmp0(r->sms, known->sms) != 0)
                add(q, "sms", r->sms);
        return finish(q);
}

static bool is_location(const char *const *path) {
        size_t n = 0;

        for (; path && path[n]; n++)
                if (n == LOCATION_SEGMENTS_MAX || strlen(path[n]) > LOCATION_SEGMENT_MAX)
                        return false;
        return n > 0;
}

int registration_set_location(Registration *r, const char *const *path) {
        if (!is_location(path))
                return -EBADMSG;
        g_strfreev(r->location);
        r->location = g_strdupv((char **) path);
        return 0;
}

char *registration_location(const Registration *r) {
        g_autofree char *joined = r->location ? g_strjoinv("/", r->location) : NULL;

        return joined ? g_strconcat("/", joined, NULL) : g_strdup("");
}

static const char *text_of(const char *s) {
        return s ? s : "";
}

GBytes *registration_save(const Registration *r) {
        static const char *const none[] = { NULL };
        g_autoptr(GVariant) v = NULL;

        v = g_variant_ref_sink(g_variant_new(
                "(ussyyusbss^asxxqqs)", BLOB_FORMAT, r->endpoint, r->uri, r->version.major,
                r->version.minor, r->lifetime_sec, text_of(r->binding), (gboolean) r->queue,
                text_of(r->sms), text_of(r->links_digest),
                r->location ? (const char *const *) r->location : none, r->deadline_ns,
                r->registered_ns, r->place.port, r->place.mid_lead, r->place.address));
        return g_variant_get_data_as_bytes(v);
}

static bool is_plausible(const Registration *r, uint32_t format) {
        return format == BLOB_FORMAT && r->version.major == 1 && r->version.minor <= 2 &&
               is_location((const char *const *) r->location) &&
               strlen(r->endpoint) <= REGISTRATION_TEXT_MAX &&
               strlen(r->uri) <= REGISTRATION_TEXT_MAX;
}

int registration_load(GBytes *blob, Registration **ret) {
        g_autoptr(Registration) r = registration_new();
        g_autoptr(GVariant) v = NULL;
        const char *address;
        uint32_t format;
        gboolean queue;

        if (g_bytes_get_size(blob) > BLOB_MAX)
                return -EBADMSG;
        v = g_variant_ref_sink(g_variant_new_from_bytes(G_VARIANT_TYPE(BLOB_TYPE), blob, FALSE));
        if (!g_variant_is_normal_form(v))
                return -EBADMSG;
        g_variant_get(v, "(ussyyusbss^asxxqq&s)", &format, &r->endpoint, &r->uri, &r->version.major,
                      &r->version.minor, &r->lifetime_sec, &r->binding, &queue, &r->sms,
                      &r->links_digest, &r->location, &r->deadline_ns, &r->registered_ns,
                      &r->place.port, &r->place.mid_lead, &address);
        if (!is_plausible(r, format) || strlen(address) >= sizeof(r->place.address))
                return -EBADMSG;
        memcpy(r->place.address, address, strlen(address) + 1);
        r->queue = queue;
        if (!*r->sms)
                g_clear_pointer(&r->sms, g_free);
        *ret = g_steal_pointer(&r);
        return 0;
}
