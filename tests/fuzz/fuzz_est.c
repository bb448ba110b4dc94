/* SPDX-License-Identifier: Apache-2.0 */
/* What an EST server answers (the first byte chooses which answer it is), and what is kept of it.
 * What was taken once is taken again, and comes out the same. */
#include "fuzz.h"

#include <errno.h>

#include "coap/est_openssl.h"
#include "lwm2m/est/est_discover.h"
#include "lwm2m/est/est_place.h"
#include "lwm2m/est/est_record.h"

#define NOW_SEC INT64_C(1764000000)

static void check(int r, const char *error) {
        CHECK(r <= 0 && (r < 0) == (error != NULL));
        CHECK(!error || g_utf8_validate(error, -1, NULL));
}

static void try_attributes(GBytes *body) {
        EstAttributes a = { 0 };
        g_autofree char *error = NULL;
        int r;

        r = est_openssl_ops.read_attributes(body, &a, &error);
        check(r, error);
        CHECK(a.curve <= EST_P521 && a.hash_bits <= 512);
}

static GBytes *try_authorities(GBytes *body, int format) {
        g_autofree char *error = NULL;
        GBytes *der = NULL;
        int r;

        r = est_openssl_ops.read_authorities(body, format, &der, &error);
        check(r, error);
        CHECK((r < 0) == (der == NULL));
        return der;
}

static void try_certificate(GBytes *body, int format) {
        static GBytes *key;
        g_autoptr(GBytes) authorities = try_authorities(body, format);
        EstAnswer answer = { .body = body,
                             .format = format,
                             .authorities = authorities ? authorities : body,
                             .now_sec = NOW_SEC,
                             .ignore_dates = true };
        g_autoptr(EstCertificate) c = NULL;
        g_autofree char *error = NULL;
        int r;

        if (!key)
                CHECK(est_openssl_ops.make_key(EST_P256, &key, &error) == 0);
        answer.key = key;
        r = est_openssl_ops.read_certificate(&answer, &c, &error);
        check(r, error);
        CHECK((r < 0) == (c == NULL)); /* nobody guesses our key */
        CHECK(r < 0);
}

static void try_links(GBytes *body) {
        g_auto(GStrv) path = NULL;
        int r;

        r = est_discover(body, &path);
        CHECK((r < 0) == (path == NULL));
        CHECK(!path || est_place_is_path(path));
}

static void try_record(GBytes *body) {
        g_autoptr(EstRecord) record = NULL, again = NULL;
        g_autoptr(GBytes) packed = NULL, twice = NULL;

        if (est_record_unpack(body, &record) < 0) {
                CHECK(!record);
                return;
        }
        CHECK(!record->key == !record->certificate && !record->key == !record->authorities);
        packed = est_record_pack(record);
        CHECK(est_record_unpack(packed, &again) == 0);
        twice = est_record_pack(again);
        CHECK(g_bytes_equal(packed, twice));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static const int formats[] = { EST_FORMAT_CERTS, EST_FORMAT_CERT, -1, 0 };
        g_autoptr(GBytes) body = NULL;

        if (n == 0)
                return 0;
        body = g_bytes_new(data + 1, n - 1);
        switch (data[0] % 4) {
        case 0:
                try_attributes(body);
                break;
        case 1:
                g_clear_pointer(&body, g_bytes_unref);
                if (n < 2)
                        return 0;
                body = g_bytes_new(data + 2, n - 2);
                try_certificate(body, formats[data[1] % G_N_ELEMENTS(formats)]);
                break;
        case 2:
                try_links(body);
                break;
        default:
                try_record(body);
        }
        return 0;
}
