/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/bootstrap/bs_import.h"

#include <errno.h>

#include "codec/format.h"
#include "lwm2m/bootstrap/bs_account.h"

int bs_import_format(GBytes *data, Format *ret) {
        gsize n;
        const uint8_t *bytes = g_bytes_get_data(data, &n);
        gsize i = 0;

        while (i < n && g_ascii_isspace((char) bytes[i]))
                i++;
        if (i == n)
                return -EBADMSG;
        if (bytes[i] == '[')
                *ret = FORMAT_SENML_JSON;
        else if (bytes[0] >> 5 == 4) /* CBOR, major type 4: an array of records */
                *ret = FORMAT_SENML_CBOR;
        else if (bytes[0] >> 5 == 5) /* major type 5: a map of objects */
                *ret = FORMAT_LWM2M_CBOR;
        else
                return -EBADMSG;
        return 0;
}

static int stage_part(Tree *tree, BsStage *stage, const BsImport *part, char **ret_error) {
        const FormatSchema schema = tree_format_schema(tree);
        g_auto(RecordList) records = { .v = NULL };
        g_autofree char *why = NULL;
        Path bad = PATH_ROOT;
        gsize n;
        const void *data = g_bytes_get_data(part->data, &n);
        int r;

        r = format_decode(part->format, &part->base, data, n, &schema, NULL, &records, &bad);
        if (r < 0)
                *ret_error = bad.n > 0 && r != -EBADMSG
                                     ? g_strdup_printf("%s: %s: %s", part->name, PATH_TEXT(&bad),
                                                       g_strerror(-r))
                                     : g_strdup_printf("%s: malformed %s", part->name,
                                                       format_name(part->format));
        if (r >= 0)
                r = bs_stage_pack(stage, &records, &why);
        if (r < 0 && why)
                *ret_error = g_strdup_printf("%s: %s", part->name, why);
        return r;
}

typedef struct Check {
        char *why; /* owned */
} Check;

static int on_check(void *userdata, const Tree *tree) {
        Check *check = userdata;
        g_autoptr(Account) bootstrap = bs_account_load(tree);

        if (bootstrap && tree_n_instances(tree, OBJECT_SERVER) == 0)
                return bs_account_check_bootstrap(tree, &check->why);
        return bs_account_check(tree, &check->why);
}

int bs_import(Tree *tree, const BsImport *parts, size_t n, const BsLimits *limits, int64_t now_sec,
              char **ret_error) {
        g_autoptr(BsStage) stage = bs_stage_new(tree, limits);
        g_auto(OpList) ops = { .v = NULL };
        OpError error = { .text = "" };
        Check check = { NULL };
        int r;

        for (size_t i = 0; i < n; i++) {
                r = stage_part(tree, stage, &parts[i], ret_error);
                if (r < 0)
                        return r;
        }
        bs_stage_final_ops(stage, now_sec, &ops);
        r = ops_try(tree, ops.v, ops.n, on_check, &check, &error);
        if (r >= 0)
                r = ops_apply(tree, ops.v, ops.n, ORIGIN_SERVER, BS_SSID, &error);
        if (r < 0)
                *ret_error = check.why ? check.why : g_strdup(error.text);
        return r;
}
