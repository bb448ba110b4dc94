/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/account/account.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "util/parse.h"

Account *account_free(Account *a) {
        if (!a)
                return NULL;
        g_free(a->uri);
        g_free(a->binding);
        credentials_free(a->credentials);
        credentials_free(a->enrolled);
        g_free(a);
        return NULL;
}

int account_link_credentials(const Account *a, const Credentials **ret, char **ret_error) {
        int r;

        r = account_check_security(a->uri, a->credentials, ret_error);
        if (r < 0)
                return r;
        if (a->credentials->mode == SECURITY_MODE_EST && !a->enrolled) {
                *ret_error = g_strdup("no certificate that is valid was enrolled yet (EST)");
                return -ENOKEY;
        }
        *ret = a->enrolled ? a->enrolled : a->credentials;
        return 0;
}

/* --- reading single resources --- */

static int64_t get_number(const Tree *tree, uint16_t object, uint16_t instance, uint16_t resource,
                          int64_t otherwise) {
        const Value *v = tree_value(tree, &PATH_OIR(object, instance, resource));
        Value n;

        if (v && v->type == VALUE_UNSIGNED && v->u > INT64_MAX)
                return INT64_MAX; /* "never" and the like, not nonsense */
        return v && value_convert(v, VALUE_INTEGER, &n) == 0 ? n.i : otherwise;
}

static uint32_t get_u32(const Tree *tree, uint16_t instance, uint16_t resource,
                        uint32_t otherwise) {
        int64_t n = get_number(tree, OBJECT_SERVER, instance, resource, otherwise);

        return (uint32_t) CLAMP(n, 0, UINT32_MAX);
}

static bool get_bool(const Tree *tree, uint16_t object, uint16_t instance, uint16_t resource,
                     bool otherwise) {
        const Value *v = tree_value(tree, &PATH_OIR(object, instance, resource));

        return v && v->type == VALUE_BOOLEAN ? v->b : otherwise;
}

static char *get_text(const Tree *tree, uint16_t object, uint16_t instance, uint16_t resource) {
        const Value *v = tree_value(tree, &PATH_OIR(object, instance, resource));

        return v && v->type == VALUE_STRING ? g_strdup(v->data) : NULL;
}

/* The instance of object (0 or 1) that carries ssid in resource; -ENOENT. Bootstrap servers have no
 * account in object 1 and do not count. */
static int find_instance(const Tree *tree, uint16_t object, uint16_t resource, uint16_t ssid,
                         uint16_t *ret) {
        Path p = PATH_O(object);

        while (tree_next_instance(tree, &p, &p) == 0 && p.id[0] == object) {
                if (object == OBJECT_SECURITY &&
                    get_bool(tree, object, p.id[1], SECURITY_BOOTSTRAP, false))
                        continue;
                if (get_number(tree, object, p.id[1], resource, -1) == ssid) {
                        *ret = p.id[1];
                        return 0;
                }
        }
        return -ENOENT;
}

bool account_is_muted(const Tree *tree, uint16_t ssid) {
        uint16_t i;

        return find_instance(tree, OBJECT_SERVER, SERVER_SSID, ssid, &i) < 0 ||
               get_bool(tree, OBJECT_SERVER, i, SERVER_MUTE_SEND, true);
}

/* --- accounts --- */

static void load_server(const Tree *tree, Account *a, uint32_t lifetime_sec) {
        uint16_t i = a->server_instance;

        a->lifetime_sec = get_u32(tree, i, SERVER_LIFETIME, lifetime_sec);
        a->binding = get_text(tree, OBJECT_SERVER, i, SERVER_BINDING);
        a->disable_timeout_sec =
                get_u32(tree, i, SERVER_DISABLE_TIMEOUT, DISABLE_TIMEOUT_DEFAULT_SEC);
        a->initial_delay_sec = get_u32(tree, i, SERVER_INITIAL_DELAY, 0);
        a->has_priority = tree_value(tree, &PATH_OIR(OBJECT_SERVER, i, SERVER_PRIORITY));
        a->priority = get_u32(tree, i, SERVER_PRIORITY, 0);
        a->failure_block = get_bool(tree, OBJECT_SERVER, i, SERVER_FAILURE_BLOCK, false);
        a->bootstrap_on_failure =
                get_bool(tree, OBJECT_SERVER, i, SERVER_BOOTSTRAP_ON_FAILURE, true);
        a->storing = get_bool(tree, OBJECT_SERVER, i, SERVER_STORING, true);
        a->mute_send = get_bool(tree, OBJECT_SERVER, i, SERVER_MUTE_SEND, true);
        a->retry = (RetryPolicy){
                .count = get_u32(tree, i, SERVER_RETRY_COUNT, RETRY_COUNT_DEFAULT),
                .timer_sec = get_u32(tree, i, SERVER_RETRY_TIMER, RETRY_TIMER_DEFAULT_SEC),
                .sequence_delay_sec =
                        get_u32(tree, i, SERVER_SEQUENCE_DELAY, RETRY_SEQUENCE_DELAY_DEFAULT_SEC),
                .sequence_count =
                        get_u32(tree, i, SERVER_SEQUENCE_COUNT, RETRY_SEQUENCE_COUNT_DEFAULT),
        };
}

static int compare_ssid(gconstpointer a, gconstpointer b) {
        return (int) (*(Account *const *) a)->ssid - (int) (*(Account *const *) b)->ssid;
}

static const Account *find_account(const GPtrArray *accounts, uint16_t ssid) {
        for (guint i = 0; i < accounts->len; i++) {
                const Account *a = g_ptr_array_index(accounts, i);

                if (a->ssid == ssid)
                        return a;
        }
        return NULL;
}

/* NULL with a reason in *ret_problem (g_free()), if it makes no account. */
static Account *load_account(const Tree *tree, uint16_t instance, const GPtrArray *others,
                             uint32_t lifetime_sec, char **ret_problem) {
        int64_t ssid = get_number(tree, OBJECT_SERVER, instance, SERVER_SSID, -1);
        g_autoptr(Account) a = g_new0(Account, 1);

        if (ssid < 1 || ssid > ID_MAX) {
                *ret_problem = g_strdup_printf("/1/%u: no Short Server ID, ignoring it", instance);
                return NULL;
        }
        if (find_account(others, (uint16_t) ssid)) {
                *ret_problem =
                        g_strdup_printf("/1/%u: Short Server ID %d is there twice, ignoring it",
                                        instance, (int) ssid);
                return NULL;
        }
        a->ssid = (uint16_t) ssid;
        a->server_instance = instance;
        if (find_instance(tree, OBJECT_SECURITY, SECURITY_SSID, a->ssid, &a->security_instance) <
            0) {
                *ret_problem =
                        g_strdup_printf("/1/%u: object 0 has no account with Short Server ID %u, "
                                        "ignoring it",
                                        instance, a->ssid);
                return NULL;
        }
        a->uri = get_text(tree, OBJECT_SECURITY, a->security_instance, SECURITY_URI);
        if (!a->uri)
                a->uri = g_strdup("");
        a->credentials = credentials_load(tree, a->security_instance);
        load_server(tree, a, lifetime_sec);
        return g_steal_pointer(&a);
}

static void free_account(void *a) {
        account_free(a);
}

GPtrArray *accounts_load(const Tree *tree, uint32_t lifetime_sec, uint32_t max,
                         void (*problem)(void *userdata, const char *text), void *userdata) {
        GPtrArray *accounts = g_ptr_array_new_with_free_func(free_account);
        Path p = PATH_O(OBJECT_SERVER);

        while (tree_next_instance(tree, &p, &p) == 0 && p.id[0] == OBJECT_SERVER) {
                g_autofree char *text = NULL;
                Account *a = NULL;

                if (accounts->len >= max)
                        text = g_strdup_printf("/1/%u: more than %u servers, ignoring it", p.id[1],
                                               max);
                else
                        a = load_account(tree, p.id[1], accounts, lifetime_sec, &text);
                if (a)
                        g_ptr_array_add(accounts, a);
                else if (problem)
                        problem(userdata, text);
        }
        g_ptr_array_sort(accounts, compare_ssid);
        return accounts;
}

/* --- checks --- */

static int bad_uri(char **ret_error, int error, const char *uri, const char *why) {
        *ret_error = g_strdup_printf("'%s': %s", uri, why);
        return error;
}

static bool is_ipv6(const char *text, size_t n) {
        g_autofree char *address = g_strndup(text, n);
        struct in6_addr in;

        *strchrnul(address, '%') = '\0'; /* the zone */
        return inet_pton(AF_INET6, address, &in) == 1;
}

/* host or host:port, with IPv6 addresses in brackets. */
static const char *check_authority(const char *text) {
        const char *port;

        if (*text == '[') {
                const char *end = strchr(text, ']');

                if (!end || end == text + 1)
                        return "an IPv6 address stands in brackets";
                if (end[1] != '\0' && end[1] != ':')
                        return "only a port may follow the address";
                if (!is_ipv6(text + 1, (size_t) (end - text - 1)))
                        return "not an IPv6 address";
                port = end[1] ? end + 2 : NULL;
        } else {
                const char *colon = strchr(text, ':');

                if (!*text || colon == text)
                        return "no host";
                if (strspn(text,
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                           "0123456789.-_") != (colon ? (size_t) (colon - text) : strlen(text)))
                        return "not a host name";
                port = colon ? colon + 1 : NULL;
        }
        if (port) {
                uint16_t number;

                if (parse_u16(port, &number) < 0 || number == 0)
                        return "bad port";
        }
        return NULL;
}

static bool has_scheme(const char *uri, const char *scheme) {
        return g_ascii_strncasecmp(uri, scheme, strlen(scheme)) == 0;
}

bool account_uri_is_secure(const char *uri) {
        return has_scheme(uri, "coaps://") || has_scheme(uri, "coaps+tcp://");
}

bool account_uri_is_tcp(const char *uri) {
        return has_scheme(uri, "coap+tcp://") || has_scheme(uri, "coaps+tcp://");
}

int account_check_uri(const char *uri, char **ret_error) {
        static const char *const schemes[] = { "coap://", "coaps://", "coap+tcp://",
                                               "coaps+tcp://" };
        size_t scheme = 0;
        g_autofree char *authority = NULL;
        const char *why;
        size_t n;

        if (strlen(uri) > URI_TEXT_MAX)
                return bad_uri(ret_error, -EINVAL, "(URI)", "longer than 255 bytes");
        for (size_t i = 0; i < G_N_ELEMENTS(schemes) && scheme == 0; i++)
                if (has_scheme(uri, schemes[i]))
                        scheme = strlen(schemes[i]);
        if (scheme == 0)
                return strstr(uri, "://")
                               ? bad_uri(ret_error, -EPROTONOSUPPORT, uri, "not a CoAP URI")
                               : bad_uri(ret_error, -EINVAL, uri,
                                         "coap://, coaps://, coap+tcp:// or "
                                         "coaps+tcp://host[:port] expected");
        authority = g_strdup(uri + scheme);
        n = strlen(authority);
        if (n > 0 && authority[n - 1] == '/')
                authority[n - 1] = '\0';
        why = check_authority(authority);
        return why ? bad_uri(ret_error, -EINVAL, uri, why) : 0;
}

int account_check_security(const char *uri, const Credentials *credentials, char **ret_error) {
        g_autoptr(Credentials) none = credentials_new(SECURITY_MODE_NOSEC);
        int r;

        r = account_check_uri(uri, ret_error);
        return r < 0 ? r
                     : credentials_check(credentials ? credentials : none,
                                         account_uri_is_secure(uri), ret_error);
}

bool account_binding_is_valid(const char *binding) {
        static const char *const valid[] = { "U", "UQ", "T", "TQ", "UT", "UTQ", "TU", "TUQ", NULL };

        return g_strv_contains(valid, binding);
}

/* --- adding and removing --- */

static int set(Tree *tree, uint16_t object, uint16_t instance, uint16_t resource, Value v) {
        Path p = PATH_OIR(object, instance, resource);
        int r = tree_set(tree, &p, &v);

        value_clear(&v);
        return r;
}

static Value number(int64_t i) {
        return (Value){ .type = VALUE_INTEGER, .i = i };
}

static Value boolean(bool b) {
        return (Value){ .type = VALUE_BOOLEAN, .b = b };
}

static int add_security(Tree *tree, uint16_t i, const ServerAccount *account) {
        g_autoptr(Credentials) none = credentials_new(SECURITY_MODE_NOSEC);
        int r;

        r = tree_create(tree, OBJECT_SECURITY, i, (Version){ 0, 0 });
        if (r < 0 ||
            (r = set(tree, OBJECT_SECURITY, i, SECURITY_URI, value_string(account->uri))) < 0 ||
            (r = set(tree, OBJECT_SECURITY, i, SECURITY_BOOTSTRAP, boolean(false))) < 0 ||
            (r = credentials_store(account->credentials ? account->credentials : none, tree, i)) <
                    0)
                return r;
        return set(tree, OBJECT_SECURITY, i, SECURITY_SSID, number(account->ssid));
}

static int add_server(Tree *tree, uint16_t i, const ServerAccount *account, uint32_t lifetime_sec) {
        const char *binding = account->binding                   ? account->binding
                              : account_uri_is_tcp(account->uri) ? "T"
                                                                 : "U";
        int r;

        r = tree_create(tree, OBJECT_SERVER, i, (Version){ 0, 0 });
        if (r < 0)
                return r;
        /* Absent, it would mean true (1/x/23); who adds an account here wants what is sent here. */
        if (tree_resource_def(tree, &PATH_OIR(OBJECT_SERVER, i, SERVER_MUTE_SEND)))
                r = set(tree, OBJECT_SERVER, i, SERVER_MUTE_SEND, boolean(false));
        if (r < 0 || (r = set(tree, OBJECT_SERVER, i, SERVER_SSID, number(account->ssid))) < 0 ||
            (r = set(tree, OBJECT_SERVER, i, SERVER_LIFETIME, number(lifetime_sec))) < 0 ||
            (r = set(tree, OBJECT_SERVER, i, SERVER_STORING, boolean(true))) < 0)
                return r;
        return set(tree, OBJECT_SERVER, i, SERVER_BINDING, value_string(binding));
}

static int check_new(const Tree *tree, const ServerAccount *account, char **ret_error) {
        uint16_t instance;

        if (account->ssid < 1 || account->ssid > ID_MAX) {
                *ret_error =
                        g_strdup_printf("Short Server ID %u: 1..65534 expected", account->ssid);
                return -EINVAL;
        }
        if (account->binding && !account_binding_is_valid(account->binding)) {
                *ret_error = g_strdup_printf(
                        "Binding '%s': U, T or both expected, and Q behind them for queue mode",
                        account->binding);
                return -EINVAL;
        }
        if (find_instance(tree, OBJECT_SERVER, SERVER_SSID, account->ssid, &instance) == 0 ||
            find_instance(tree, OBJECT_SECURITY, SECURITY_SSID, account->ssid, &instance) == 0) {
                *ret_error = g_strdup_printf("Short Server ID %u is in use", account->ssid);
                return -EEXIST;
        }
        return account_check_security(account->uri, account->credentials, ret_error);
}

int account_add(Tree *tree, const ServerAccount *account, uint32_t lifetime_sec, char **ret_error) {
        uint16_t security, server;
        int r;

        r = check_new(tree, account, ret_error);
        if (r < 0)
                return r;
        if (account->lifetime_sec > 0)
                lifetime_sec = account->lifetime_sec;

        tree_begin(tree, ORIGIN_APP, 0);
        if ((r = tree_free_instance_id(tree, OBJECT_SECURITY, &security)) < 0 ||
            (r = tree_free_instance_id(tree, OBJECT_SERVER, &server)) < 0 ||
            (r = add_security(tree, security, account)) < 0 ||
            (r = add_server(tree, server, account, lifetime_sec)) < 0)
                tree_abort(tree);
        else
                r = tree_commit(tree);
        if (r == -ENOENT && account->credentials && account->credentials->oscore)
                *ret_error = g_strdup_printf("Server %u cannot be added: OSCORE needs objects 0 "
                                             "and 21 of LwM2M 1.1 or later",
                                             account->ssid);
        else if (r < 0)
                *ret_error = g_strdup_printf("Server %u cannot be added: %s", account->ssid,
                                             g_strerror(-r));
        return r;
}

/* With the keys it links to, which are of no other account. */
static int remove_security(Tree *tree, uint16_t instance) {
        const Value *link = tree_value(tree, &PATH_OIR(OBJECT_SECURITY, instance, SECURITY_OSCORE));
        int r = 0;

        if (link && link->type == VALUE_OBJLNK && link->link.object == OBJECT_OSCORE &&
            tree_exists(tree, &PATH_OI(OBJECT_OSCORE, link->link.instance)))
                r = tree_delete(tree, &PATH_OI(OBJECT_OSCORE, link->link.instance));
        return r < 0 ? r : tree_delete(tree, &PATH_OI(OBJECT_SECURITY, instance));
}

int account_remove(Tree *tree, uint16_t ssid) {
        uint16_t server, security;
        bool has_server, has_security;
        int r = 0;

        has_server = find_instance(tree, OBJECT_SERVER, SERVER_SSID, ssid, &server) == 0;
        has_security = find_instance(tree, OBJECT_SECURITY, SECURITY_SSID, ssid, &security) == 0;
        if (!has_server && !has_security)
                return -ENOENT;

        tree_begin(tree, ORIGIN_APP, 0);
        if (has_server)
                r = tree_delete(tree, &PATH_OI(OBJECT_SERVER, server));
        if (r >= 0 && has_security)
                r = remove_security(tree, security);
        if (r >= 0)
                return tree_commit(tree);
        tree_abort(tree);
        return r;
}

void account_note_alert(Tree *tree, uint16_t server_instance, uint8_t description) {
        tree_begin(tree, ORIGIN_INTERNAL, 0);
        if (set(tree, OBJECT_SERVER, server_instance, SERVER_ALERT,
                (Value){ .type = VALUE_UNSIGNED, .u = description }) < 0)
                tree_abort(tree);
        else
                (void) tree_commit(tree);
}
