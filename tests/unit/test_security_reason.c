/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "coap/security_reason.h"

/* RFC 5246 (section 7.2 and appendix A.3), 6066, 4279, 8446 (section 6), 7301 and 7507. */
static const uint8_t descriptions[] = { 0,   10,  20,  21,  22,  30,  40,  41,  42,  43, 44, 45,
                                        46,  47,  48,  49,  50,  51,  60,  70,  71,  80, 86, 90,
                                        100, 109, 110, 111, 112, 113, 114, 115, 116, 120 };

static char *reason_of(HandshakeEnd end, int *ret_error) {
        char *text = NULL;

        *ret_error = security_reason(&end, &text);
        assert_true(*ret_error < 0);
        assert_non_null(text);
        return text;
}

/* The way tell_error_name() and rd know an error. */
static bool is_known_error(int error) {
        return error == -ECONNRESET || error == -EKEYREJECTED || error == -EKEYEXPIRED ||
               error == -EPROTO;
}

static void test_every_alert_has_words(void **state) {
        for (size_t i = 0; i < sizeof(descriptions); i++) {
                int error;
                g_autofree char *text =
                        reason_of((HandshakeEnd){ .alert = descriptions[i] }, &error);

                if (strstr(text, "alert") || (!strstr(text, "server") && !strstr(text, "our ")))
                        fail_msg("%u: '%s'", descriptions[i], text);
                assert_true(is_known_error(error));
        }
}

/* Numbers nobody has given a meaning yet. */
static void test_other_alerts_have_their_number(void **state) {
        for (int alert = 0; alert < 256; alert++) {
                g_autofree char *text = NULL, *number = g_strdup_printf("alert %d ", alert);
                int error;

                if (memchr(descriptions, alert, sizeof(descriptions)))
                        continue;
                text = reason_of((HandshakeEnd){ .alert = alert }, &error);
                assert_non_null(strstr(text, number));
                assert_int_equal(error, -EPROTO);
        }
}

static void test_alert_of_a_session(void **state) {
        int error;
        g_autofree char *end = reason_of((HandshakeEnd){ .alert = 40, .established = true },
                                         &error),
                        *notify = NULL;

        assert_string_equal(end, "the server has broken off the session (alert 40, handshake "
                                 "failure)");
        assert_int_equal(error, -ECONNRESET);
        notify = reason_of((HandshakeEnd){ .alert = 0, .established = true }, &error);
        assert_string_equal(notify, "the server has closed the session");
}

/* What we find of the server's certificate counts more than what it says. */
static void test_order(void **state) {
        int error;
        g_autofree char *verdict =
                                reason_of((HandshakeEnd){ .alert = 40,
                                                          .verify = X509_V_ERR_CERT_HAS_EXPIRED },
                                          &error),
                        *silent = NULL, *other = NULL;

        assert_non_null(strstr(verdict, "has expired"));
        assert_int_equal(error, -EKEYEXPIRED);
        silent = reason_of((HandshakeEnd){ .alert = -1, .silent = true }, &error);
        assert_int_equal(error, -ETIMEDOUT);
        other = reason_of((HandshakeEnd){ .alert = -1, .verify = X509_V_ERR_PATH_LENGTH_EXCEEDED },
                          &error);
        assert_non_null(strstr(other, "certificate is refused: "));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_alert_has_words),
                cmocka_unit_test(test_other_alerts_have_their_number),
                cmocka_unit_test(test_alert_of_a_session),
                cmocka_unit_test(test_order),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
