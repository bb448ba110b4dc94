/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "codec/cborio.h"
#include "model/journal.h"
#include "model/store_format.h"
#include "util/crc32c.h"

#include "faults.h"

typedef struct Fixture {
        char *dir;
        int dirfd;
        Journal journal;
        GString *seen;
} Fixture;

static int setup(void **state) {
        Fixture *f = g_new0(Fixture, 1);

        memset(&faults, 0, sizeof(faults));
        f->dir = g_dir_make_tmp("journal-XXXXXX", NULL);
        f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY);
        f->journal = (Journal){ .dirfd = f->dirfd, .fd = -1 };
        f->seen = g_string_new(NULL);
        assert_int_equal(journal_restart(&f->journal, 10), 0);
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;

        memset(&faults, 0, sizeof(faults));
        journal_close(&f->journal);
        unlinkat(f->dirfd, "journal", 0);
        unlinkat(f->dirfd, "journal.old", 0);
        close(f->dirfd);
        rmdir(f->dir);
        g_free(f->dir);
        g_string_free(f->seen, TRUE);
        g_free(f);
        return 0;
}

/* An entry with one operation whose path names it. */
static int append(Fixture *f, uint64_t seq) {
        g_autoptr(GByteArray) ops = g_byte_array_new();

        op_put(ops, OP_DELETE, &PATH_OI(seq, seq));
        return journal_append(&f->journal, seq, ops);
}

static void on_entry(void *userdata, uint64_t seq, Reader ops) {
        Fixture *f = userdata;
        StoreOp op;

        assert_int_equal(op_next(&ops, &op), 1);
        assert_true(op.kind == OP_DELETE && path_equal(&op.path, &PATH_OI(seq, seq)));
        assert_int_equal(op_next(&ops, &op), 0);
        g_string_append_printf(f->seen, "%u ", (unsigned) seq);
}

static int read_back(Fixture *f, const void *data, size_t n, JournalState *state) {
        g_string_truncate(f->seen, 0);
        return journal_read(data, n, on_entry, f, state);
}

static char *content(Fixture *f, gsize *ret_n) {
        g_autofree char *file = g_build_filename(f->dir, JOURNAL_NAME, NULL);
        char *data;

        assert_true(g_file_get_contents(file, &data, ret_n, NULL));
        return data;
}

static void test_append(void **state) {
        Fixture *f = *state;
        g_autofree char *data = NULL;
        JournalState js;
        gsize n;

        for (uint64_t seq = 11; seq < 14; seq++)
                assert_int_equal(append(f, seq), 0);
        data = content(f, &n);
        assert_int_equal(n, f->journal.size);
        assert_int_equal(read_back(f, data, n, &js), 0);
        assert_string_equal(f->seen->str, "11 12 13 ");
        assert_true(js.last_seq == 13 && js.good == n && js.skipped == 0 && js.torn == 0);
        assert_int_equal(journal_restart(&f->journal, 13), 0);
        g_clear_pointer(&data, g_free);
        data = content(f, &n);
        assert_int_equal(read_back(f, data, n, &js), 0);
        assert_string_equal(f->seen->str, "");
        assert_int_equal(js.last_seq, 13);
        assert_int_equal(faccessat(f->dirfd, "journal.old", F_OK, 0), 0);
}

/* Cut anywhere, it holds what was whole before the cut, and goes on from there. */
static void test_truncated(void **state) {
        Fixture *f = *state;
        g_autofree char *data = NULL;
        size_t ends[4];
        JournalState js;
        gsize n;

        for (unsigned i = 0; i < 4; i++) {
                ends[i] = f->journal.size;
                if (i < 3)
                        assert_int_equal(append(f, 11 + i), 0);
        }
        data = content(f, &n);
        for (size_t cut = 0; cut <= n; cut++) {
                int r = read_back(f, data, cut, &js);

                if (cut < ends[0]) {
                        assert_int_equal(r, -EBADMSG);
                        continue;
                }
                assert_int_equal(r, 0);
                assert_string_equal(f->seen->str, cut < ends[1]   ? ""
                                                  : cut < ends[2] ? "11 "
                                                  : cut < ends[3] ? "11 12 "
                                                                  : "11 12 13 ");
                assert_int_equal(js.good + js.torn, cut);
                assert_int_equal(js.skipped, 0);
                journal_close(&f->journal);
                assert_int_equal(journal_open(&f->journal, f->dirfd, js.good), 0);
                g_free(data);
                assert_int_equal(append(f, 20), 0);
                data = content(f, &n);
                assert_int_equal(read_back(f, data, n, &js), 0);
                assert_true(g_str_has_suffix(f->seen->str, "20 "));
                assert_int_equal(js.torn, 0);
                /* and back to three entries */
                journal_close(&f->journal);
                assert_int_equal(journal_open(&f->journal, f->dirfd, ends[0]), 0);
                for (unsigned i = 0; i < 3; i++)
                        assert_int_equal(append(f, 11 + i), 0);
                g_free(data);
                data = content(f, &n);
        }
}

/* A damaged byte costs the entry it is in, no other. */
static void test_flipped(void **state) {
        Fixture *f = *state;
        g_autofree char *data = NULL;
        size_t ends[5];
        JournalState js;
        gsize n;

        for (unsigned i = 0; i < 5; i++) {
                ends[i] = f->journal.size;
                if (i < 4)
                        assert_int_equal(append(f, 11 + i), 0);
        }
        data = content(f, &n);
        for (size_t at = 0; at < n * 8; at++) {
                unsigned hit = 0;
                g_autoptr(GString) expected = g_string_new(NULL);

                while (at / 8 >= ends[hit])
                        hit++;
                for (unsigned i = 0; i < 4; i++)
                        if (i + 1 != hit)
                                g_string_append_printf(expected, "%u ", 11 + i);
                data[at / 8] ^= (char) (1 << at % 8);
                assert_int_equal(read_back(f, data, n, &js), 0);
                assert_string_equal(f->seen->str, expected->str);
                assert_int_equal(js.torn > 0, hit == 4);
                assert_int_equal(js.skipped > 0, hit < 4);
                data[at / 8] ^= (char) (1 << at % 8);
        }
}

static void test_foreign(void **state) {
        static const char *const cases[] = { "", "x", "\x82\x1a\0\0\0\0\x5a\xff\xff\xff\xff",
                                             "lwm2md lwm2md lwm2md lwm2md" };
        Fixture *f = *state;
        g_autoptr(GByteArray) other = g_byte_array_new(), later = g_byte_array_new(),
                              payload = g_byte_array_new();
        JournalState js;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
                assert_int_equal(read_back(f, cases[i], i == 2 ? 11 : strlen(cases[i]), &js),
                                 -EBADMSG);
        header_put(other, "accounts", 1);
        assert_int_equal(read_back(f, other->data, other->len, &js), -EBADMSG);
        cborio_put_text(payload, "lwm2md", 6);
        cborio_put_uint(payload, STORE_FORMAT_VERSION + 1);
        cborio_put_text(payload, "what only a later version knows", 10);
        frame_put(later, payload->data, payload->len);
        assert_int_equal(read_back(f, later->data, later->len, &js), -EPROTONOSUPPORT);
}

/* A failed append leaves no trace, whichever call failed. */
static void test_failed_append(void **state) {
        static const int errors[] = { ENOSPC, EIO };
        Fixture *f = *state;
        JournalState js;
        gsize n;

        assert_int_equal(append(f, 11), 0);
        for (unsigned i = 0; i < 4; i++) {
                uint64_t size = f->journal.size;
                g_autofree char *data = NULL;

                faults.calls = 0;
                faults.fail_at = 1 + i / 2; /* write, fdatasync */
                faults.error = errors[i % 2];
                faults.once = true;
                assert_int_equal(append(f, 12), -errors[i % 2]);
                assert_int_equal(f->journal.size, size);
                data = content(f, &n);
                assert_int_equal(n, size);
        }
        faults.calls = 0;
        faults.once = false; /* and cutting it back fails, too */
        assert_int_equal(append(f, 12), -EIO);
        assert_int_equal(f->journal.fd, -1);
        assert_int_equal(append(f, 12), -EBADF);
        memset(&faults, 0, sizeof(faults));
        assert_int_equal(journal_restart(&f->journal, 11), 0);
        assert_int_equal(append(f, 12), 0);
        {
                g_autofree char *data = content(f, &n);

                assert_int_equal(read_back(f, data, n, &js), 0);
                assert_string_equal(f->seen->str, "12 ");
        }
}

static void test_operations(void **state) {
        static const uint8_t wrong[][8] = {
                { 0x80 },                                     /* empty */
                { 0x81, 0x07 },                               /* unknown kind */
                { 0x83, 0x03, 0x01, 0x19 },                   /* cut */
                { 0x82, 0x03, 0x01 },                         /* DELETE of an object */
                { 0x83, 0x03, 0x01, 0x19, 0xff, 0xff },       /* identifier 65535 */
                { 0x86, 0x01, 0x01, 0x00, 0x00, 0x01, 0x05 }, /* String 5 */
                { 0x86, 0x01, 0x01, 0x00, 0x00, 0x00, 0xf6 }, /* no type */
                { 0x86, 0x01, 0x01, 0x00, 0x00, 0x0a, 0xf6 }, /* unknown type */
                { 0x9f, 0x03, 0x01, 0x01, 0xff },             /* indefinite */
                { 0xa1, 0x03, 0x01 },                         /* a map */
                { 0x82, 0x06, 0x02 },                         /* flag */
        };
        static const uint8_t n_wrong[] = { 1, 2, 4, 3, 6, 7, 7, 7, 5, 3, 3 };
        g_autoptr(GByteArray) ops = g_byte_array_new();
        StoreOp op;

        for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
                Reader in = { wrong[i], n_wrong[i] };

                if (op_next(&in, &op) != -EBADMSG)
                        fail_msg("operation %zu was read", i);
        }
        op_put_ensure(ops, &PATH_OI(65534, 0), (Version){ 2, 1 });
        op_put_set(ops, &PATH_OIRI(1, 2, 3, 4),
                   &(Value){ .type = VALUE_OBJLNK, .link = { 65535, 1 } });
        op_put_blob(ops, "name", "", 0);
        op_put_blob(ops, "name", NULL, 0);
        op_put_reset(ops, true);
        {
                Reader in = { ops->data, ops->len };

                assert_int_equal(ops_check(in), 0);
                assert_int_equal(op_next(&in, &op), 1);
                assert_true(op.kind == OP_ENSURE && op.version.major == 2 && op.version.minor == 1);
                assert_int_equal(op_next(&in, &op), 1);
                assert_true(op.kind == OP_SET && op.value.link.object == 65535 && op.path.n == 4);
                assert_int_equal(op_next(&in, &op), 1);
                assert_true(op.kind == OP_BLOB && op.value.length == 0 && op.name.left == 4);
                assert_int_equal(op_next(&in, &op), 1);
                assert_int_equal(op.kind, OP_UNBLOB);
                assert_int_equal(op_next(&in, &op), 1);
                assert_true(op.kind == OP_RESET && op.keep_accounts);
                assert_int_equal(op_next(&in, &op), 0);
        }
}

static void test_crc(void **state) {
        assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
        assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
        assert_int_equal(crc32c(0, "", 0), 0);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                T(test_append),
                T(test_truncated),
                T(test_flipped),
                T(test_foreign),
                T(test_failed_append),
                cmocka_unit_test(test_operations),
                cmocka_unit_test(test_crc),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
