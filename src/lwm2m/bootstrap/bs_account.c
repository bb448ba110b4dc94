/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/bootstrap/bs_account.h"

#include <errno.h>
#include <string.h>

#include "lwm2m/account/oscore_keys.h"

/* It is the EST server itself: TS Transport 1.1.1, section 5.2.9. */
#define NO_EST "a bootstrap server cannot be in security mode est"

/* --- reading --- */

static int64_t get_number(const Tree *tree, uint16_t object, uint16_t instance, uint16_t resource,
                          int64_t otherwise) {
        const Value *v = tree_value(tree, &PATH_OIR(object, instance, resource));
        Value n;

        return v && value_convert(v, VALUE_INTEGER, &n) == 0 ? n.i : otherwise;
}

static const char *get_text(const Tree *tree, uint16_t object, uint16_t instance,
                            uint16_t resource) {
        const Value *v = tree_value(tree, &PATH_OIR(object, instance, resource));

        return v && v->type == VALUE_STRING ? v->data : NULL;
}

static uint32_t get_seconds(const Tree *tree, uint16_t instance, uint16_t resource) {
        return (uint32_t) CLAMP(get_number(tree, OBJECT_SECURITY, instance, resource, 0), 0,
                                UINT32_MAX);
}

bool bs_account_is_one(const Tree *tree, uint16_t security_instance) {
        const Value *v =
                tree_value(tree, &PATH_OIR(OBJECT_SECURITY, security_instance, SECURITY_BOOTSTRAP));

        return v && v->type == VALUE_BOOLEAN && v->b;
}

bool bs_account_oscore(const Tree *tree, uint16_t security_instance, uint16_t *ret) {
        const Value *v =
                tree_value(tree, &PATH_OIR(OBJECT_SECURITY, security_instance, SECURITY_OSCORE));

        if (!v || v->type != VALUE_OBJLNK || v->link.object != OBJECT_OSCORE)
                return false;
        *ret = v->link.instance;
        return true;
}

/* The next instance of object after *p in it; false at the end. */
static bool next_of(const Tree *tree, uint16_t object, Path *p) {
        return tree_next_instance(tree, p, p) == 0 && p->id[0] == object;
}

static bool find(const Tree *tree, uint16_t *ret) {
        Path p = PATH_O(OBJECT_SECURITY);

        while (next_of(tree, OBJECT_SECURITY, &p))
                if (bs_account_is_one(tree, p.id[1])) {
                        *ret = p.id[1];
                        return true;
                }
        return false;
}

Account *bs_account_load(const Tree *tree) {
        uint16_t instance;
        const char *uri;
        Account *a;

        if (!find(tree, &instance))
                return NULL;
        a = g_new0(Account, 1);
        uri = get_text(tree, OBJECT_SECURITY, instance, SECURITY_URI);
        a->ssid = BS_SSID;
        a->security_instance = instance;
        a->server_instance = ID_RESERVED;
        a->uri = g_strdup(uri ? uri : "");
        a->credentials = credentials_load(tree, instance);
        a->hold_off_sec = get_seconds(tree, instance, SECURITY_HOLD_OFF);
        a->account_timeout_sec = get_seconds(tree, instance, SECURITY_ACCOUNT_TIMEOUT);
        return a;
}

/* --- adding and removing --- */

static int set(Tree *tree, uint16_t instance, uint16_t resource, Value v) {
        int r = tree_set(tree, &PATH_OIR(OBJECT_SECURITY, instance, resource), &v);

        value_clear(&v);
        return r;
}

static Value number(int64_t i) {
        return (Value){ .type = VALUE_INTEGER, .i = i };
}

static int add(Tree *tree, uint16_t i, const ServerAccount *account) {
        g_autoptr(Credentials) none = credentials_new(SECURITY_MODE_NOSEC);
        int r;

        r = tree_create(tree, OBJECT_SECURITY, i, (Version){ 0, 0 });
        if (r >= 0)
                r = credentials_store(account->credentials ? account->credentials : none, tree, i);
        if (r < 0 || (r = set(tree, i, SECURITY_URI, value_string(account->uri))) < 0 ||
            (r = set(tree, i, SECURITY_BOOTSTRAP, (Value){ .type = VALUE_BOOLEAN, .b = true })) <
                    0 ||
            (r = set(tree, i, SECURITY_HOLD_OFF, number(account->hold_off_sec))) < 0)
                return r;
        return set(tree, i, SECURITY_ACCOUNT_TIMEOUT, number(account->account_timeout_sec));
}

int bs_account_add(Tree *tree, const ServerAccount *account, char **ret_error) {
        uint16_t instance;
        int r;

        if (find(tree, &instance)) {
                *ret_error = g_strdup_printf("there is a bootstrap server already (%s)",
                                             get_text(tree, OBJECT_SECURITY, instance, 0) ?: "");
                return -EEXIST;
        }
        r = account_check_security(account->uri, account->credentials, ret_error);
        if (r < 0)
                return r;
        if (account->credentials && account->credentials->mode == SECURITY_MODE_EST) {
                *ret_error = g_strdup(NO_EST);
                return -EPROTONOSUPPORT;
        }
        tree_begin(tree, ORIGIN_APP, 0);
        if ((r = tree_free_instance_id(tree, OBJECT_SECURITY, &instance)) < 0 ||
            (r = add(tree, instance, account)) < 0)
                tree_abort(tree);
        else
                r = tree_commit(tree);
        if (r < 0)
                *ret_error =
                        g_strdup_printf("the bootstrap server cannot be added: %s", g_strerror(-r));
        return r;
}

int bs_account_remove(Tree *tree) {
        uint16_t instance, oscore;
        int r = 0;

        if (!find(tree, &instance))
                return -ENOENT;
        tree_begin(tree, ORIGIN_APP, 0);
        do {
                bool linked = bs_account_oscore(tree, instance, &oscore);

                r = tree_delete(tree, &PATH_OI(OBJECT_SECURITY, instance));
                if (r >= 0 && linked && tree_exists(tree, &PATH_OI(OBJECT_OSCORE, oscore)))
                        r = tree_delete(tree, &PATH_OI(OBJECT_OSCORE, oscore));
        } while (r >= 0 && find(tree, &instance));
        if (r >= 0)
                return tree_commit(tree);
        tree_abort(tree);
        return r;
}

/* --- consistency --- */

static int inconsistent(char **ret_error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static int inconsistent(char **ret_error, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        *ret_error = g_strdup_vprintf(format, ap);
        va_end(ap);
        return -EBADE;
}

static int check_present(const Tree *tree, const Path *instance, char **ret_error) {
        const ObjectDef *def = tree_object_def(tree, instance->id[0], instance->id[1]);

        for (uint16_t i = 0; i < def->n_resources; i++) {
                const ResourceDef *resource = &def->resources[i];
                Path p = path_child(instance, resource->id);

                /* Which of the keys must be there depends on the security mode. */
                if (!resource->mandatory || resource->type == VALUE_NONE ||
                    (instance->id[0] == OBJECT_SECURITY && resource->id >= SECURITY_IDENTITY &&
                     resource->id <= SECURITY_SECRET))
                        continue;
                if (!tree_exists(tree, &p))
                        return inconsistent(ret_error, "%s: the mandatory %s is missing",
                                            PATH_TEXT(&p), resource->name);
        }
        return 0;
}

/* How many instances of object carry the Short Server ID; bootstrap servers have none. */
static unsigned count_ssid(const Tree *tree, uint16_t object, uint16_t resource, int64_t ssid) {
        Path p = PATH_O(object);
        unsigned n = 0;

        while (next_of(tree, object, &p))
                if (!(object == OBJECT_SECURITY && bs_account_is_one(tree, p.id[1])) &&
                    get_number(tree, object, p.id[1], resource, -1) == ssid)
                        n++;
        return n;
}

/* Numbers must not be used twice under one key: an instance is of one account. */
static unsigned count_oscore(const Tree *tree, uint16_t oscore) {
        Path p = PATH_O(OBJECT_SECURITY);
        unsigned n = 0;
        uint16_t i;

        while (next_of(tree, OBJECT_SECURITY, &p))
                if (bs_account_oscore(tree, p.id[1], &i) && i == oscore)
                        n++;
        return n;
}

static int check_security(const Tree *tree, const Path *p, bool *ret_bootstrap, char **ret_error) {
        uint16_t i = p->id[1], oscore;
        g_autoptr(Credentials) credentials = credentials_load(tree, i);
        g_autofree char *why = NULL;
        int64_t ssid;
        int r;

        r = check_present(tree, p, ret_error);
        if (r < 0)
                return r;
        if (credentials->oscore && credentials->oscore->fault)
                return inconsistent(ret_error, "%s", credentials->oscore->fault);
        if (account_check_security(get_text(tree, OBJECT_SECURITY, i, SECURITY_URI) ?: "",
                                   credentials, &why) < 0)
                return inconsistent(ret_error, "/0/%u: %s", i, why);
        if (bs_account_oscore(tree, i, &oscore) && count_oscore(tree, oscore) > 1)
                return inconsistent(ret_error, "/0/%u/17: another account links to /21/%u, too", i,
                                    oscore);
        if (bs_account_is_one(tree, i)) {
                if (*ret_bootstrap)
                        return inconsistent(ret_error, "/0/%u: a second bootstrap server", i);
                if (credentials->mode == SECURITY_MODE_EST)
                        return inconsistent(ret_error, "/0/%u: " NO_EST, i);
                *ret_bootstrap = true;
                return 0;
        }
        ssid = get_number(tree, OBJECT_SECURITY, i, SECURITY_SSID, -1);
        if (ssid < 1 || ssid > ID_MAX)
                return inconsistent(ret_error, "/0/%u/10: no Short Server ID", i);
        if (count_ssid(tree, OBJECT_SECURITY, SECURITY_SSID, ssid) > 1)
                return inconsistent(ret_error, "/0/%u/10: Short Server ID %d is there twice", i,
                                    (int) ssid);
        if (count_ssid(tree, OBJECT_SERVER, SERVER_SSID, ssid) == 0)
                return inconsistent(ret_error,
                                    "/0/%u/10: object 1 has no instance with Short Server ID %d", i,
                                    (int) ssid);
        return 0;
}

static int check_server(const Tree *tree, const Path *p, char **ret_error) {
        uint16_t i = p->id[1];
        const char *binding;
        int64_t ssid;
        int r;

        r = check_present(tree, p, ret_error);
        if (r < 0)
                return r;
        ssid = get_number(tree, OBJECT_SERVER, i, SERVER_SSID, -1);
        if (ssid < 1 || ssid > ID_MAX)
                return inconsistent(ret_error, "/1/%u/0: no Short Server ID", i);
        if (count_ssid(tree, OBJECT_SERVER, SERVER_SSID, ssid) > 1)
                return inconsistent(ret_error, "/1/%u/0: Short Server ID %d is there twice", i,
                                    (int) ssid);
        if (count_ssid(tree, OBJECT_SECURITY, SECURITY_SSID, ssid) == 0)
                return inconsistent(ret_error,
                                    "/1/%u/0: object 0 has no account with Short Server ID %d", i,
                                    (int) ssid);
        if (get_number(tree, OBJECT_SERVER, i, SERVER_LIFETIME, -1) < 0)
                return inconsistent(ret_error, "/1/%u/1: no lifetime", i);
        binding = get_text(tree, OBJECT_SERVER, i, SERVER_BINDING);
        if (!binding || !account_binding_is_valid(binding))
                return inconsistent(ret_error, "/1/%u/7: binding '%s' cannot be used", i,
                                    binding ? binding : "");
        return 0;
}

static int check_all(const Tree *tree, unsigned *ret_servers, char **ret_error) {
        Path p = PATH_O(OBJECT_SECURITY);
        bool bootstrap = false;
        int r;

        while (next_of(tree, OBJECT_SECURITY, &p)) {
                r = check_security(tree, &p, &bootstrap, ret_error);
                if (r < 0)
                        return r;
        }
        p = PATH_O(OBJECT_SERVER);
        while (next_of(tree, OBJECT_SERVER, &p)) {
                r = check_server(tree, &p, ret_error);
                if (r < 0)
                        return r;
                (*ret_servers)++;
        }
        return 0;
}

int bs_account_check(const Tree *tree, char **ret_error) {
        unsigned n = 0;
        int r;

        r = check_all(tree, &n, ret_error);
        if (r < 0)
                return r;
        return n == 0 ? inconsistent(ret_error, "no server to register with is left") : 0;
}

int bs_account_check_bootstrap(const Tree *tree, char **ret_error) {
        unsigned n = 0;

        return check_all(tree, &n, ret_error);
}
