/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/access/access_policy.h"

#include <errno.h>
#include <string.h>

#include "model/path_table.h"
#include "util/parse.h"

struct AccessPolicy {
        unsigned n_refs;
        GHashTable *rules; /* Path -> AccessRule */
};

static void rule_free(void *rule) {
        AccessRule *r = rule;

        g_array_unref(r->entries);
        g_free(r);
}

AccessPolicy *access_policy_new(void) {
        AccessPolicy *p = g_new(AccessPolicy, 1);

        *p = (AccessPolicy){ .n_refs = 1, .rules = path_table_new(rule_free) };
        return p;
}

AccessPolicy *access_policy_ref(AccessPolicy *p) {
        p->n_refs++;
        return p;
}

AccessPolicy *access_policy_unref(AccessPolicy *p) {
        if (!p || --p->n_refs > 0)
                return NULL;
        g_hash_table_unref(p->rules);
        g_free(p);
        return NULL;
}

/* --- reading a rule --- */
static int parse_rights(const char *text, uint8_t *ret) {
        static const char letters[] = "RWEDC"; /* in the order of the bits */
        uint8_t rights = 0;

        if (strcmp(text, "none") == 0 || strcmp(text, "all") == 0) {
                *ret = text[0] == 'a' ? ACCESS_ALL : 0;
                return 0;
        }
        for (const char *c = text; *c; c++) {
                const char *letter = strchr(letters, *c);

                if (!letter)
                        return -EINVAL;
                rights |= (uint8_t) (1U << (letter - letters));
        }
        *ret = rights;
        return text[0] ? 0 : -EINVAL;
}

static int parse_ssid(const char *text, uint16_t *ret) {
        return parse_u16(text, ret) < 0 || *ret == 0 || *ret > ID_MAX ? -EINVAL : 0;
}

static int add_entry(AccessRule *r, AccessEntry entry) {
        guint i;

        for (i = 0; i < r->entries->len; i++) {
                uint16_t other = g_array_index(r->entries, AccessEntry, i).ssid;

                if (other == entry.ssid)
                        return -EEXIST;
                if (other > entry.ssid)
                        break;
        }
        g_array_insert_val(r->entries, i, entry);
        return 0;
}

static int parse_word(AccessRule *r, const Path *path, const char *word, char **ret_why) {
        const char *colon = strchr(word, ':');
        g_autofree char *who = colon ? g_strndup(word, (gsize) (colon - word)) : NULL;
        AccessEntry entry = { .ssid = 0 };

        if (colon && strcmp(who, "owner") == 0 && r->owner == ID_RESERVED &&
            parse_ssid(colon + 1, &r->owner) == 0)
                return 0;
        if (!colon || (strcmp(who, "*") != 0 && parse_ssid(who, &entry.ssid) < 0) ||
            parse_rights(colon + 1, &entry.rights) < 0) {
                *ret_why = g_strdup_printf("'%s' is not SERVER:RIGHTS (101:RWEDC, *:R, 102:none) "
                                           "or, once, owner:SERVER",
                                           word);
                return -EINVAL;
        }
        if (path->n == 2 && entry.rights & ACCESS_CREATE && strcmp(colon + 1, "all") != 0) {
                *ret_why = g_strdup_printf("'%s': Create is a right on an object, not on an "
                                           "object instance",
                                           word);
                return -EINVAL;
        }
        if (r->entries->len >= ACCESS_ENTRIES_MAX) {
                *ret_why = g_strdup_printf("more than %d entries", ACCESS_ENTRIES_MAX);
                return -EINVAL;
        }
        if (add_entry(r, entry) < 0) {
                *ret_why = g_strdup_printf("'%s' stands twice", who);
                return -EINVAL;
        }
        return 0;
}

static int check_path(const Path *path, char **ret_why) {
        const char *why = NULL;

        if (path->n > 2)
                why = "rights are given for objects and object instances";
        else if (path->n > 0 && (path->id[0] == 0 || path->id[0] == 21))
                why = "objects 0 and 21 hold keys and are for no server";
        else if (path->n > 0 && path->id[0] == 2)
                why = "who may change an Access Control instance is its owner";
        *ret_why = g_strdup(why);
        return why ? -EINVAL : 0;
}

int access_policy_add(AccessPolicy *p, const Path *path, const char *text, char **ret_why) {
        g_auto(GStrv) words = NULL;
        AccessRule *r;
        int k;

        k = check_path(path, ret_why);
        if (k < 0)
                return k;
        words = g_strsplit_set(text, " \t,;", -1);
        r = g_new(AccessRule, 1);
        *r = (AccessRule){
                .entries = g_array_new(FALSE, FALSE, sizeof(AccessEntry)),
                .owner = ID_RESERVED,
        };
        for (char **word = words; *word; word++) {
                if (!**word)
                        continue;
                k = parse_word(r, path, *word, ret_why);
                if (k < 0) {
                        rule_free(r);
                        return k;
                }
        }
        g_hash_table_replace(p->rules, path_dup(path), r);
        return 0;
}

/* --- looking --- */
const AccessRule *access_policy_find(const AccessPolicy *p, const Path *path) {
        for (int n = MIN(path->n, 2); n >= 0; n--) {
                const Path prefix = path_prefix(path, (uint8_t) n);
                const AccessRule *r = g_hash_table_lookup(p->rules, &prefix);

                if (r)
                        return r;
        }
        return NULL;
}

unsigned access_rule_rights(const AccessRule *r, uint16_t ssid) {
        unsigned others = 0;

        for (guint i = 0; i < r->entries->len; i++) {
                const AccessEntry *e = &g_array_index(r->entries, AccessEntry, i);

                if (e->ssid == ssid)
                        return e->rights;
                if (e->ssid == 0)
                        others = e->rights;
        }
        return r->owner == ssid ? ACCESS_ALL & ~(unsigned) ACCESS_CREATE : others;
}
