/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "lwm2m/code.h"
#include "lwm2m/transport.h"

static void test_table(void **state) {
        static const struct {
                int error;
                uint8_t code;
        } cases[] = {
                { 0, CODE(2, 4) },         { EBADMSG, CODE(4, 0) },
                { EINVAL, CODE(4, 0) },    { ERANGE, CODE(4, 0) },
                { EEXIST, CODE(4, 0) },    { EACCES, CODE(4, 1) },
                { ENOENT, CODE(4, 4) },    { EPERM, CODE(4, 5) },
                { ENOMEDIUM, CODE(4, 6) }, { E2BIG, CODE(4, 13) },
                { EFBIG, CODE(4, 13) },    { EMEDIUMTYPE, CODE(4, 15) },
                { EIO, CODE(5, 0) },       { ENOSPC, CODE(5, 0) },
                { EDQUOT, CODE(5, 0) },    { ENOTSUP, CODE(5, 1) },
                { ENOSYS, CODE(5, 1) },    { EBUSY, CODE(5, 3) },
                { ETIMEDOUT, CODE(5, 3) }, { EHOSTUNREACH, CODE(5, 3) },
                { EUSERS, CODE(5, 3) },    { 4095, CODE(5, 0) },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                assert_int_equal(code_from_errno(-cases[i].error), cases[i].code);
                assert_int_equal(code_from_errno(cases[i].error), cases[i].code);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_table) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
