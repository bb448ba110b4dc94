/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/endpoint.h"

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 4096

static char *read_line(const char *folder, const char *name, const char *file) {
        g_autofree char *path = g_build_filename(folder, name, file, NULL);
        char *text;

        return g_file_get_contents(path, &text, NULL, NULL) ? g_strstrip(text) : NULL;
}

/* addr_assign_type 0 says that the address came with the hardware, type 1 that it is Ethernet's. */
static char *permanent_mac(const char *folder, const char *name) {
        g_autofree char *assigned = read_line(folder, name, "addr_assign_type");
        g_autofree char *type = read_line(folder, name, "type");
        g_autofree char *address = read_line(folder, name, "address");
        g_autoptr(GString) mac = g_string_new(NULL);

        if (g_strcmp0(assigned, "0") != 0 || g_strcmp0(type, "1") != 0 || !address ||
            strlen(address) != 17)
                return NULL;
        for (const char *p = address; *p; p++)
                if (*p != ':')
                        g_string_append_c(mac, g_ascii_tolower(*p));
        if (mac->len != 12 || strcmp(mac->str, "000000000000") == 0)
                return NULL;
        return g_string_free(g_steal_pointer(&mac), FALSE);
}

static int compare_names(gconstpointer a, gconstpointer b) {
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static char *from_interfaces(const char *folder) {
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
        const char *name;

        while (dir && names->len < NAMES_MAX && (name = g_dir_read_name(dir)))
                g_ptr_array_add(names, g_strdup(name));
        g_ptr_array_sort(names, compare_names);
        for (guint i = 0; i < names->len; i++) {
                g_autofree char *mac = permanent_mac(folder, g_ptr_array_index(names, i));

                /* RFC 9039, section 4.1: a 48-bit address becomes an EUI-64 by ff:fe in its middle.
                 */
                if (mac)
                        return g_strdup_printf("urn:dev:mac:%.6sfffe%s", mac, mac + 6);
        }
        return NULL;
}

static char *from_machine_id(const char *file) {
        g_autofree char *id = NULL;

        if (!g_file_get_contents(file, &id, NULL, NULL) || strlen(g_strstrip(id)) != 32 ||
            strspn(id, "0123456789abcdef") != 32)
                return NULL;
        return g_strdup_printf("urn:uuid:%.8s-%.4s-%.4s-%.4s-%s", id, id + 8, id + 12, id + 16,
                               id + 20);
}

int endpoint_default(const char *sys_class_net, const char *machine_id, char **ret) {
        char *name = from_interfaces(sys_class_net ? sys_class_net : "/sys/class/net");

        if (!name)
                name = from_machine_id(machine_id ? machine_id : "/etc/machine-id");
        if (!name)
                return -ENODEV;
        *ret = name;
        return 0;
}
