/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "coap/outbox.h"

static void test_order(void **state) {
        OutboxItem item[4] = { 0 };
        Outbox o;

        outbox_init(&o, 3);
        assert_null(outbox_next(&o));
        assert_null(outbox_done(&o));
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(outbox_push(&o, &item[i]), 0);
        assert_int_equal(outbox_push(&o, &item[3]), -ENOBUFS);
        assert_ptr_equal(outbox_next(&o), &item[0]);
        assert_null(outbox_next(&o)); /* one at a time */
        assert_int_equal(outbox_push(&o, &item[3]), 0);
        assert_ptr_equal(outbox_done(&o), &item[0]);
        assert_ptr_equal(outbox_next(&o), &item[1]);
        assert_ptr_equal(outbox_done(&o), &item[1]);
        assert_int_equal(outbox_push(&o, &item[0]), 0); /* again */
        assert_ptr_equal(outbox_next(&o), &item[2]);
        assert_ptr_equal(outbox_done(&o), &item[2]);
        assert_ptr_equal(outbox_next(&o), &item[3]);
        assert_ptr_equal(outbox_done(&o), &item[3]);
        assert_ptr_equal(outbox_next(&o), &item[0]);
        assert_ptr_equal(outbox_done(&o), &item[0]);
        assert_null(outbox_next(&o));
}

static void test_remove(void **state) {
        OutboxItem item[3] = { 0 };
        Outbox o;

        outbox_init(&o, 3);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(outbox_push(&o, &item[i]), 0);
        assert_ptr_equal(outbox_next(&o), &item[0]);
        assert_false(outbox_remove(&o, &item[1]));
        assert_false(outbox_remove(&o, &item[1])); /* is in no queue: nothing to do */
        assert_true(outbox_remove(&o, &item[0]));
        assert_ptr_equal(outbox_next(&o), &item[2]);
        assert_int_equal(outbox_push(&o, &item[1]), 0);
        assert_true(outbox_remove(&o, &item[2]));
        assert_ptr_equal(outbox_next(&o), &item[1]);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_order),
                                            cmocka_unit_test(test_remove) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
