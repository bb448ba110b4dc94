/* SPDX-License-Identifier: Apache-2.0 */
/* --check-config: everything a start would do with the configuration, and nothing kept of it. */
#include <errno.h>

#include "coap/coap_transport.h"
#include "daemon/bootstrap_file.h"
#include "daemon/config_est.h"
#include "daemon/daemon.h"
#include "daemon/seed.h"
#include "lwm2m/account/account.h"
#include "lwm2m/account/credentials_file.h"
#include "util/log.h"

char *daemon_secrets_directory(const Arguments *arguments) {
        return g_build_filename(arguments->state_dir, "secrets", NULL);
}

char **daemon_providers(const Config *config) {
        if (config->pkcs11_module)
                g_setenv("PKCS11_PROVIDER_MODULE", config->pkcs11_module, TRUE);
        if (config->tcti)
                g_setenv("TPM2OPENSSL_TCTI", config->tcti, TRUE);
        return config_security_providers(config->providers);
}

static void count_bad(void *userdata, const char *text) {
        log_error("Object definition refused: %s", text);
        (*(int *) userdata)++;
}

static void look(void *userdata, const ObjectDef *def) {
}

/* The accounts, and the values in a tree of their own, as the first start would make them. */
static int check_account(const CoapConfig *cc, const ServerConfig *s, char **ret_error) {
        g_autoptr(Credentials) c = NULL;
        g_autofree char *why = NULL;
        int r;

        if (account_check_uri(s->uri, &why) < 0) {
                *ret_error = g_strconcat("Uri: ", why, NULL);
                return -EINVAL;
        }
        r = config_security_build(&s->security, cc->secrets_directory, &c, ret_error);
        if (r >= 0)
                r = account_check_security(s->uri, c, ret_error);
        if (r >= 0 && account_uri_is_secure(s->uri) && c->mode != SECURITY_MODE_EST)
                r = coap_transport_try(cc, s->uri, c, ret_error);
        return r;
}

/* One mistake, in a line. */
static int tell(const Config *config, const SecurityTexts *security, const char *group,
                const char *why) {
        g_autofree char *line = config_security_explain(security, config->where, group, why);

        log_error("%s", line);
        return 1;
}

/* What is in a token is looked for when it is needed, but this file is there or not. */
static int check_pin(const Config *config, const char *secrets, char **ret_error) {
        g_autoptr(GBytes) reference = NULL, pin = NULL;
        g_autofree char *why = NULL;
        int r;

        if (!config->pin_file)
                return 0;
        reference = credentials_reference(config->pin_file);
        r = credentials_read(reference, secrets, true, &pin, &why);
        if (r < 0)
                *ret_error = g_strconcat("PinFile: ", why, NULL);
        return r;
}

/* A bootstrap server may still come, by other ways than the configuration. */
static void warn_of_est(const Config *config) {
        const SecurityTexts *est = &config->est_security;
        bool wanted = false, bootstrap = false;

        for (guint i = 0; i < config->servers_list->len; i++) {
                const ServerConfig *s = g_ptr_array_index(config->servers_list, i);

                wanted = wanted || g_strcmp0(s->security.mode, "est") == 0;
                bootstrap = bootstrap || s->bootstrap;
        }
        if (wanted && !bootstrap && !config->bootstrap_file &&
            (!config->est_uri || !(est->mode || est->identity || est->certificate_file)))
                log_warning("SecurityMode=est takes an EST server: a [Server NAME] with "
                            "Bootstrap=true, or [Est] with Uri and its credentials");
}

static int check_est(const CoapConfig *cc, const Config *config, char **ret_error) {
        g_autoptr(EstConfig) est = NULL;
        g_autofree char *uri = NULL;
        int r;

        r = config_est_build(config, cc->secrets_directory, &est, &uri, ret_error);
        return r >= 0 && uri && est->credentials
                       ? coap_transport_try(cc, uri, est->credentials, ret_error)
                       : r;
}

static int check_values(const Arguments *arguments, const Config *config, Schema *schema) {
        g_autofree char *secrets = daemon_secrets_directory(arguments), *why = NULL;
        g_auto(GStrv) providers = daemon_providers(config);
        const CoapConfig cc = { .secrets_directory = secrets,
                                .trust_store = config->trust_store,
                                .providers = (const char *const *) providers,
                                .pin_file = config->pin_file };
        g_autoptr(Tree) tree = tree_new(schema);
        int n_bad = 0;

        for (guint i = 0; i < config->servers_list->len; i++) {
                const ServerConfig *s = g_ptr_array_index(config->servers_list, i);
                g_autofree char *group = g_strconcat("Server ", s->name, NULL), *bad = NULL;

                if (check_account(&cc, s, &bad) < 0)
                        n_bad += tell(config, &s->security, group, bad);
        }
        if (check_est(&cc, config, &why) < 0) {
                n_bad += tell(config, &config->est_security, "Est", why);
                g_clear_pointer(&why, g_free);
        }
        if (check_pin(config, secrets, &why) < 0) {
                n_bad += tell(config, &config->est_security, "Security", why);
                g_clear_pointer(&why, g_free);
        }
        warn_of_est(config);
        tree_set_limits(tree, (uint32_t) config->instances, config->value_bytes);
        if (config->bootstrap_file) {
                const BsLimits limits = { .paths = (uint32_t) config->bootstrap_paths,
                                          .bytes = config->bootstrap_bytes };
                g_autofree char *bad = NULL;

                if (bootstrap_file_apply(config->bootstrap_file, tree, &limits, &bad) < 0) {
                        g_autofree char *text = g_strconcat("BootstrapFile: ", bad, NULL);

                        n_bad += tell(config, &config->est_security, "Client", text);
                }
        }
        if (seed_apply(config, tree, &why) < 0) {
                daemon_log_lines(why ? why : "[Values]: cannot be used");
                n_bad++;
        }
        return n_bad;
}

int daemon_check(const Arguments *arguments, const Config *config) {
        g_autoptr(Schema) s = schema_new();
        int n_bad = 0;

        schema_set_release(s, config->version.major > 0 ? config->version : (Version){ 1, 1 });
        schema_add_directory(s, OBJECTS_DIR, count_bad, &n_bad);
        schema_add_directory(s, SYSCONF_DIR "/objects.d", count_bad, &n_bad);
        for (char **path = config->object_paths; path && *path; path++)
                if (**path && schema_add_directory(s, *path, count_bad, &n_bad) < 0) {
                        log_error("[Objects] Path: cannot read '%s'", *path);
                        n_bad++;
                }
        schema_foreach(s, look, NULL); /* definitions are read when they are asked for */
        return n_bad + check_values(arguments, config, s);
}
