/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "codec/linkformat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        Reader in = { .pos = data, .left = n };
        LinkParam param;
        LinkItem item;
        int r, valid = linkformat_check(data, n);

        while ((r = linkformat_next(&in, &item)) > 0) {
                CHECK(item.uri.pos >= data && item.uri.pos + item.uri.left <= data + n);
                while ((r = linkformat_param(&item.params, &param)) > 0) {
                        CHECK(param.name.left > 0);
                        CHECK(param.name.pos + param.name.left <= data + n);
                        CHECK(!param.has_value || param.value.pos + param.value.left <= data + n);
                }
                CHECK(r == 0); /* a link that was taken is well-formed */
        }
        CHECK(r == valid);
        return 0;
}
