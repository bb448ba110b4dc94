/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/rights.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "daemon/keyfile.h"
#include "lwm2m/app.h"
#include "util/parse.h"
#include "util/timerq.h"

#define RULES_MAX 1024
#define PATHS_MAX 256 /* of one rule or reservation */
#define USERS_MAX 64  /* and groups, of one rule */

/* --- values of keys --- */
static int find_user(const char *name, uint32_t *ret) {
        const struct passwd *entry;
        uint64_t id;

        if (parse_u64(name, UINT32_MAX - 1, &id) == 0) {
                *ret = (uint32_t) id;
                return 0;
        }
        entry = getpwnam(name);
        if (!entry)
                return -ENOENT;
        *ret = entry->pw_uid;
        return 0;
}

static int find_group(const char *name, uint32_t *ret) {
        const struct group *entry;
        uint64_t id;

        if (parse_u64(name, UINT32_MAX - 1, &id) == 0) {
                *ret = (uint32_t) id;
                return 0;
        }
        entry = getgrnam(name);
        if (!entry)
                return -ENOENT;
        *ret = entry->gr_gid;
        return 0;
}

/* Words between ";", "," and blanks; func() returns why one is wrong (g_free()), NULL if it is not.
 */
static void each_word(KeyFile *f, const char *group, const char *key, const char *text,
                      char *(*func)(void *userdata, const char *word), void *userdata) {
        g_auto(GStrv) words = g_strsplit_set(text, ";, \t", -1);
        bool any = false;

        for (char **word = words; *word; word++) {
                g_autofree char *why = NULL;

                if (!**word)
                        continue;
                any = true;
                why = func(userdata, *word);
                if (why)
                        keyfile_complain(f, group, key, "%s", why);
        }
        if (!any)
                keyfile_complain(f, group, key, "says nothing");
}

static char *add_id(GArray *ids, int r, uint32_t id, const char *what, const char *word) {
        if (r < 0)
                return g_strdup_printf("there is no %s '%s'", what, word);
        if (ids->len >= USERS_MAX)
                return g_strdup_printf("more than %d of them", USERS_MAX);
        g_array_append_val(ids, id);
        return NULL;
}

static char *add_user(void *userdata, const char *word) {
        uint32_t id = 0;
        int r = find_user(word, &id);

        return add_id(((GrantRule *) userdata)->uids, r, id, "user", word);
}

static char *add_group(void *userdata, const char *word) {
        uint32_t id = 0;
        int r = find_group(word, &id);

        return add_id(((GrantRule *) userdata)->gids, r, id, "group", word);
}

static char *add_path(void *userdata, const char *word) {
        GArray *paths = userdata;
        Path p;

        if (path_parse(word, &p) < 0)
                return g_strdup_printf("'%s' is not a path such as /3303 or /3303/0", word);
        if (p.n > 0 && (p.id[0] == 0 || p.id[0] == 21))
                return g_strdup_printf("%s: objects 0 and 21 hold keys and are not on the bus",
                                       word);
        if (paths->len >= PATHS_MAX)
                return g_strdup_printf("more than %d paths", PATHS_MAX);
        g_array_append_val(paths, p);
        return NULL;
}

static char *add_right(void *userdata, const char *word) {
        unsigned right;

        if (right_from_name(word, &right) < 0)
                return g_strdup_printf(
                        "'%s' is not get, set, push, create, delete, claim, "
                        "execute, send, configure, hold, events, credentials, all or admin",
                        word);
        ((GrantRule *) userdata)->rights |= right;
        return NULL;
}

/* --- access.d --- */
static void read_rule_key(KeyFile *f, const char *group, const char *key, const char *text,
                          GrantRule *rule) {
        if (strcmp(key, "user") == 0)
                each_word(f, group, key, text, add_user, rule);
        else if (strcmp(key, "group") == 0)
                each_word(f, group, key, text, add_group, rule);
        else if (strcmp(key, "paths") == 0)
                each_word(f, group, key, text, add_path, rule->paths);
        else if (strcmp(key, "allow") == 0)
                each_word(f, group, key, text, add_right, rule);
        else
                keyfile_complain(f, group, key, "unknown key (known: user, group, paths, allow)");
}

static void check_rule(KeyFile *f, const GrantRule *rule, bool names_users) {
        if (!names_users)
                keyfile_complain(f, rule->name, NULL, "a rule needs user or group");
        else if (!rule->rights)
                keyfile_complain(f, rule->name, NULL, "a rule needs allow");
        else if (rule->rights & RIGHT_OF_PATH && rule->paths->len == 0)
                keyfile_complain(f, rule->name, NULL,
                                 "a rule about values needs paths (paths=/ means all)");
}

typedef void (*ReadGroup)(KeyFile *f, const char *group, Grants *g);

static void read_rule(KeyFile *f, const char *group, Grants *g) {
        g_auto(GStrv) keys = g_key_file_get_keys(f->keyfile, group, NULL, NULL);
        GrantRule *rule = grant_rule_new(group);
        bool names_users = false;

        for (char **key = keys; key && *key; key++) {
                g_autofree char *text = g_key_file_get_value(f->keyfile, group, *key, NULL);

                read_rule_key(f, group, *key, text, rule);
                names_users =
                        names_users || strcmp(*key, "user") == 0 || strcmp(*key, "group") == 0;
        }
        check_rule(f, rule, names_users);
        grants_add(g, rule);
}

/* --- apps.d --- */
static bool is_bus_name(const char *name) {
        const char *c = name;

        if (strlen(name) > 255 || !strchr(name, '.') || name[0] == ':')
                return false;
        for (bool first = true; *c; c++) {
                if (*c == '.' && first)
                        return false;
                if (*c != '.' && *c != '_' && *c != '-' && !g_ascii_isalpha(*c) &&
                    (first || !g_ascii_isdigit(*c)))
                        return false;
                first = *c == '.';
        }
        return c[-1] != '.';
}

#define START_USEC (25 * USEC_PER_SEC)      /* what the bus gives an application to start */
#define START_USEC_MAX (240 * USEC_PER_SEC) /* a CoAP server has given up by then */

static bool is_object_path(const char *path) {
        const char *c = path;

        if (*c != '/' || strlen(path) > 255)
                return false;
        for (; *c; c++)
                if (*c == '/' ? c[1] == '/' : !g_ascii_isalnum(*c) && *c != '_')
                        return false;
        return c == path + 1 || c[-1] != '/';
}

static char *add_operation(void *userdata, const char *word) {
        static const struct {
                const char *name;
                unsigned operation;
        } operations[] = {
                { "execute", APP_EXECUTE },
                { "read", APP_READ },
                { "write", APP_WRITE },
                { "create", APP_CREATE },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(operations); i++)
                if (strcmp(word, operations[i].name) == 0) {
                        ((Reservation *) userdata)->operations |= operations[i].operation;
                        return NULL;
                }
        return g_strdup_printf("'%s' is not execute, read, write or create", word);
}

static char *add_server(void *userdata, const char *word) {
        GArray *servers = userdata;
        uint16_t ssid = 0;

        if (strcmp(word, "all") == 0)
                ssid = PROVIDER_OF_ALL;
        else if (strcmp(word, "bootstrap") != 0 &&
                 (parse_u16(word, &ssid) < 0 || ssid == 0 || ssid == PROVIDER_OF_ALL))
                return g_strdup_printf("'%s' is not a Short Server ID, bootstrap or all", word);
        if (servers->len >= PROVIDERS_MAX)
                return g_strdup_printf("more than %u servers", PROVIDERS_MAX);
        g_array_append_val(servers, ssid);
        return NULL;
}

typedef struct AppKeys {
        Reservation *r;
        bool activate;
} AppKeys;

static void read_app_key(KeyFile *f, const char *group, const char *key, const char *text,
                         AppKeys *app) {
        uint64_t usec;

        if (strcmp(key, "paths") == 0)
                each_word(f, group, key, text, add_path, app->r->paths);
        else if (strcmp(key, "handles") == 0)
                each_word(f, group, key, text, add_operation, app->r);
        else if (strcmp(key, "credentials") == 0)
                each_word(f, group, key, text, add_server, app->r->credentials);
        else if (strcmp(key, "activate") == 0) {
                if (parse_bool(text, &app->activate) < 0)
                        keyfile_complain(f, group, key, "'%s' is not a boolean (yes or no)", text);
        } else if (strcmp(key, "handler") == 0) {
                if (!is_object_path(text))
                        keyfile_complain(f, group, key, "'%s' is not an object path", text);
                g_free(app->r->handler);
                app->r->handler = g_strdup(text);
        } else if (strcmp(key, "timeout") == 0) {
                if (parse_duration(text, &usec) < 0 || usec < USEC_PER_SEC || usec > START_USEC_MAX)
                        keyfile_complain(f, group, key, "'%s' is not a time of 1s to 240s", text);
                else
                        app->r->timeout_ms = (uint32_t) (usec / USEC_PER_MSEC);
        } else
                keyfile_complain(
                        f, group, key,
                        "unknown key (known: paths, credentials, activate, handler, handles, "
                        "timeout)");
}

static void check_app(KeyFile *f, const char *group, AppKeys *app) {
        if (!is_bus_name(group))
                keyfile_complain(f, group, NULL, "not a bus name such as com.example.Sensors1");
        if (app->r->paths->len == 0 && app->r->credentials->len == 0)
                keyfile_complain(f, group, NULL, "an application needs paths or credentials");
        if (app->r->credentials->len > 0 && !app->activate)
                keyfile_complain(f, group, NULL, "credentials need activate=yes and handler");
        if (app->activate && !app->r->handler)
                keyfile_complain(f, group, NULL, "activate=yes needs handler, its object path");
        if (!app->activate)
                app->r->operations = 0;
        else if (!app->r->operations) /* all that should not succeed with nobody told */
                app->r->operations = APP_EXECUTE | APP_WRITE | APP_CREATE;
}

static void read_reservation(KeyFile *f, const char *group, Grants *g) {
        g_auto(GStrv) keys = g_key_file_get_keys(f->keyfile, group, NULL, NULL);
        Reservation *r = reservation_new(group);
        AppKeys app = { .r = r };

        r->timeout_ms = START_USEC / USEC_PER_MSEC;
        for (char **key = keys; key && *key; key++) {
                g_autofree char *text = g_key_file_get_value(f->keyfile, group, *key, NULL);

                read_app_key(f, group, *key, text, &app);
        }
        check_app(f, group, &app);
        for (guint i = 0; i < r->paths->len; i++) {
                const Path *p = &g_array_index(r->paths, Path, i);
                const Reservation *other = grants_reserved(g, p);

                if (other)
                        keyfile_complain(f, group, "paths", "%s is reserved for %s already",
                                         PATH_TEXT(p), other->bus_name);
        }
        grants_reserve(g, r);
}

/* --- folders --- */
static void read_folder(const char *config_file, const char *name, ReadGroup read_group, Grants *g,
                        GString *errors) {
        g_autofree char *parent = g_path_get_dirname(config_file);
        g_autofree char *folder = g_build_filename(parent, name, NULL);
        g_autoptr(GPtrArray) files = keyfile_folder(folder, errors);
        unsigned n = 0;

        for (guint i = 0; i < files->len; i++) {
                g_auto(KeyFile) f = { .file = NULL };
                g_auto(GStrv) groups = NULL;

                if (keyfile_open(files->pdata[i], errors, &f) < 0)
                        continue;
                groups = g_key_file_get_groups(f.keyfile, NULL);
                for (char **group = groups; *group; group++)
                        if (++n > RULES_MAX)
                                keyfile_complain(&f, *group, NULL, "more than %d groups in %s",
                                                 RULES_MAX, folder);
                        else
                                read_group(&f, *group, g);
        }
}

Grants *rights_load(const char *config_file, GString *errors) {
        Grants *g = grants_new();

        read_folder(config_file, "access.d", read_rule, g, errors);
        read_folder(config_file, "apps.d", read_reservation, g, errors);
        return g;
}
