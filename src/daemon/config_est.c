/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config_est.h"

#include <errno.h>
#include <string.h>

static int parse_curve(const char *text, EstCurve *ret) {
        static const char *const names[] = {
                [EST_P256] = "P-256", [EST_P384] = "P-384", [EST_P521] = "P-521"
        };

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                if (g_ascii_strcasecmp(names[i], text) == 0) {
                        *ret = (EstCurve) i;
                        return 0;
                }
        return -EINVAL;
}

char *config_est_check(const char *name, const char *text) {
        g_autofree char *uri = NULL;
        g_auto(GStrv) path = NULL;
        char *why = NULL;
        EstCurve curve;

        if (strcmp(name, "Curve") == 0 && parse_curve(text, &curve) < 0)
                return g_strdup_printf("'%s' is not P-256, P-384 or P-521", text);
        if (strcmp(name, "SecurityMode") == 0 && strcmp(text, "est") == 0)
                return g_strdup("the EST server needs a key or certificate that is there "
                                "already: psk, x509 or rpk");
        if (strcmp(name, "Uri") == 0)
                (void) est_place_parse(text, &uri, &path, &why);
        return why;
}

int config_est_build(const Config *c, const char *directory, EstConfig **ret, char **ret_uri,
                     char **ret_error) {
        g_autoptr(Credentials) credentials = NULL;
        EstConfig e = {
                .uri = c->est_uri,
                .renew_percent = (unsigned) c->est_renew_percent,
                .renew_min_usec = c->est_renew_min_usec,
                .skip_attributes = c->est_ignore_attributes,
                .body_max = c->est_body,
        };
        g_auto(GStrv) path = NULL;
        int r = 0;

        if (ret_uri && c->est_uri)
                r = est_place_parse(c->est_uri, ret_uri, &path, ret_error);
        if (r >= 0)
                r = config_security_build(&c->est_security, directory, &credentials, ret_error);
        if (r < 0)
                return r;
        e.credentials = credentials;
        if (c->est_curve)
                (void) parse_curve(c->est_curve, &e.curve); /* checked when it was read */
        *ret = est_config_copy(&e);
        return 0;
}
