/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/est/est_place.h"

#include <errno.h>
#include <string.h>

#include "lwm2m/bootstrap/bs_account.h"
#include "util/complain.h"
#include "util/timerq.h"

#define SEGMENT_MAX 255u

EstConfig *est_config_copy(const EstConfig *c) {
        EstConfig *copy = g_new0(EstConfig, 1);

        if (c)
                *copy = *c;
        copy->uri = g_strdup(copy->uri);
        copy->credentials = copy->credentials ? credentials_copy(copy->credentials) : NULL;
        copy->renew_percent = copy->renew_percent ?: EST_RENEW_PERCENT;
        copy->renew_min_usec = copy->renew_min_usec ?: EST_RENEW_MIN_USEC;
        copy->body_max = copy->body_max ?: EST_BODY_MAX;
        return copy;
}

EstConfig *est_config_free(EstConfig *c) {
        if (!c)
                return NULL;
        g_free((char *) c->uri);
        credentials_free((Credentials *) c->credentials);
        g_free(c);
        return NULL;
}

EstPlace *est_place_free(EstPlace *p) {
        if (!p)
                return NULL;
        g_free(p->uri);
        g_strfreev(p->path);
        credentials_free(p->credentials);
        g_free(p);
        return NULL;
}

bool est_place_equal(const EstPlace *a, const EstPlace *b) {
        if (!a || !b)
                return a == b;
        return strcmp(a->uri, b->uri) == 0 &&
               g_strv_equal((const char *const *) a->path, (const char *const *) b->path) &&
               credentials_equal(a->credentials, b->credentials);
}

static char **default_path(void) {
        static const char *const path[] = { ".well-known", "est", NULL };

        return g_strdupv((char **) path);
}

bool est_place_is_path(char *const *path) {
        if (g_strv_length((char **) path) > EST_PATH_SEGMENTS_MAX)
                return false;
        for (; *path; path++)
                if (!**path || strlen(*path) > SEGMENT_MAX || strpbrk(*path, "%?#"))
                        return false;
        return true;
}

int est_place_parse(const char *uri, char **ret_uri, char ***ret_path, char **ret_error) {
        const char *authority = strstr(uri, "://");
        const char *slash = authority ? strchr(authority + 3, '/') : NULL;
        g_autofree char *base = slash ? g_strndup(uri, (gsize) (slash - uri)) : g_strdup(uri);
        g_auto(GStrv) path = NULL;
        g_autofree char *rest = NULL;
        size_t n;
        int r;

        r = account_check_uri(base, ret_error);
        if (r < 0)
                return r;
        if (!account_uri_is_secure(base))
                return complain(ret_error, -EPROTONOSUPPORT,
                                "'%s': EST goes over coaps:// or coaps+tcp:// only", uri);
        rest = g_strdup(slash ? slash + 1 : "");
        n = strlen(rest);
        if (n > 0 && rest[n - 1] == '/')
                rest[n - 1] = '\0';
        path = *rest ? g_strsplit(rest, "/", -1) : default_path();
        if (!est_place_is_path(path))
                return complain(ret_error, -EINVAL,
                                "'%s': a path of at most %u plain segments expected", uri,
                                EST_PATH_SEGMENTS_MAX);
        *ret_uri = g_steal_pointer(&base);
        *ret_path = g_steal_pointer(&path);
        return 0;
}

static int check_credentials(const EstPlace *p, char **ret_error) {
        g_autofree char *why = NULL;
        int r;

        if (p->credentials->mode == SECURITY_MODE_EST)
                return complain(ret_error, -EPROTONOSUPPORT,
                                "the account of the EST server cannot be in mode est itself");
        r = account_check_security(p->uri, p->credentials, &why);
        return r < 0 ? complain(ret_error, r, "the EST server: %s", why) : 0;
}

static bool has_path(const char *uri) {
        const char *authority = strstr(uri, "://"),
                   *slash = authority ? strchr(authority + 3, '/') : NULL;

        return slash && slash[1];
}

int est_place_find(const Tree *tree, const EstConfig *config, EstPlace **ret, char **ret_error) {
        g_autoptr(EstPlace) p = g_new0(EstPlace, 1);
        g_autoptr(Account) bootstrap = bs_account_load(tree);
        const Credentials *credentials = config->credentials;
        int r;

        if (!credentials && bootstrap)
                credentials = bootstrap->credentials;
        if (!config->uri && !bootstrap)
                return complain(ret_error, -EDESTADDRREQ,
                                "no EST server is known: neither a bootstrap server nor [Est] Uri");
        if (!credentials)
                return complain(ret_error, -EDESTADDRREQ,
                                "nothing to prove ourselves to the EST server with: neither a "
                                "bootstrap server's account nor keys in [Est]");
        p->credentials = credentials_copy(credentials);
        if (config->uri) {
                r = est_place_parse(config->uri, &p->uri, &p->path, ret_error);
                if (r < 0)
                        return r;
        } else {
                if (!account_uri_is_secure(bootstrap->uri))
                        return complain(ret_error, -EPROTONOSUPPORT,
                                        "the bootstrap server (%s) is without security, EST is not "
                                        "done there",
                                        bootstrap->uri);
                p->uri = g_strdup(bootstrap->uri);
                p->path = default_path();
        }
        p->usual = !config->uri || !has_path(config->uri);
        r = check_credentials(p, ret_error);
        if (r < 0)
                return r;
        *ret = g_steal_pointer(&p);
        return 0;
}
