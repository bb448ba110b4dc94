/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "util/parse.h"

/* Paths have one text each; so have whole numbers. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        g_autofree char *text = g_strndup((const char *) data, n);
        char buffer[VALUE_NUMBER_MAX];
        Value v = { .type = VALUE_UNSIGNED };
        uint64_t u;
        double d;
        Path p;

        if (path_parse(text, &p) == 0)
                CHECK(strcmp(PATH_TEXT(&p), text) == 0);
        if (parse_u64(text, UINT64_MAX, &v.u) == 0) {
                value_format_number(&v, buffer);
                CHECK(strcmp(buffer, text) == 0);
        }
        if (parse_double(text, &d) == 0)
                CHECK(isfinite(d));
        parse_duration(text, &u);
        parse_size(text, &u);
        for (ValueType type = VALUE_NONE; type < _VALUE_TYPE_MAX; type++) {
                g_auto(Value) value = VALUE_INIT, again = VALUE_INIT;
                g_autofree char *back = NULL;

                if (value_parse(text, type, &value) < 0)
                        continue;
                back = value_format(&value);
                CHECK(value_parse(back, type, &again) == 0 && value_equal(&value, &again));
        }
        return 0;
}
