/* SPDX-License-Identifier: Apache-2.0 */
/* OSCORE: messages against the test vectors of RFC 8613, appendix C; numbers that are used once
 * whatever happens; the replay window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coap/frame.h"
#include "coap/oscore.h"
#include "coap/oscore_state.h"
#include "lwm2m/account/credentials.h"
#include "util/parse.h"

#define SECRET "0102030405060708090a0b0c0d0e0f10"
#define SALT "9e7ca92223786340"

static GBytes *bytes(const char *hex) {
        g_autofree uint8_t *v = NULL;
        size_t n;

        assert_int_equal(parse_hex(hex, &v, &n), 0);
        return g_bytes_new(v, n);
}

static void set(GBytes **where, const char *hex) {
        g_bytes_unref(*where);
        *where = bytes(hex);
}

static OscoreKeys *keys_new(const char *sender, const char *recipient, const char *salt,
                            const char *context) {
        OscoreKeys *k = oscore_keys_new();

        set(&k->secret, SECRET);
        set(&k->sender_id, sender);
        set(&k->recipient_id, recipient);
        set(&k->salt, salt);
        set(&k->id_context, context);
        return k;
}

static Oscore *context_new(const char *sender, const char *recipient, const char *salt,
                           const char *context) {
        g_autoptr(OscoreKeys) k = keys_new(sender, recipient, salt, context);
        g_autofree char *why = NULL;
        Oscore *o;

        assert_int_equal(oscore_keys_check(k, &why), 0);
        assert_int_equal(oscore_new(k, &o), 0);
        return o;
}

/* A UDP message as a packet, which borrows from it. */
static void parse(GBytes *message, Packet *p) {
        gsize n;
        const uint8_t *v = g_bytes_get_data(message, &n);
        FrameOption o = { .number = 0 };
        size_t at = 4 + (v[0] & 15);
        int r;

        packet_begin(p, v[0] >> 4 & 3, v[1], (uint16_t) (v[2] << 8 | v[3]), v + 4, v[0] & 15);
        while ((r = frame_next_option(v, n, &at, &o)) > 0)
                packet_option(p, (uint16_t) o.number, o.value, o.n);
        assert_int_equal(r, 0);
        packet_end(p, v + at, n - at);
}

static void assert_sealed(const Oscore *o, const OscoreNumber *request, const OscoreNumber *own,
                          const char *message, const char *sealed) {
        g_autoptr(GBytes) in = bytes(message), wanted = bytes(sealed);
        uint8_t out[PACKET_OUT_MAX];
        int n;

        n = oscore_seal(o, request, own, g_bytes_get_data(in, NULL), g_bytes_get_size(in), out,
                        sizeof(out));
        assert_int_equal(n, g_bytes_get_size(wanted));
        assert_memory_equal(out, g_bytes_get_data(wanted, NULL), (size_t) n);
        assert_true((size_t) n <= g_bytes_get_size(in) + oscore_overhead(o));
        assert_int_equal(oscore_seal(o, request, own, g_bytes_get_data(in, NULL),
                                     g_bytes_get_size(in), out, (size_t) n - 1),
                         -EMSGSIZE);
}

/* What the other side makes of it. */
static void assert_opened(const Oscore *o, const OscoreNumber *request, const char *sealed,
                          uint8_t code, const char *path, const char *payload) {
        g_autoptr(GBytes) in = bytes(sealed);
        uint8_t plain[PACKET_IN_MAX];
        OscoreOption option;
        Packet outer, p;
        int n;

        parse(in, &outer);
        assert_true(outer.has_oscore);
        assert_int_equal(oscore_parse_option(outer.oscore, outer.n_oscore, &option), 0);
        if (!request)
                assert_true(oscore_is_ours(o, &option));
        n = oscore_open(o, &outer, &option, request, plain);
        assert_true(n > 0);
        assert_int_equal(oscore_read(&outer, plain, (size_t) n, &p), 0);
        assert_int_equal(p.code, code);
        assert_int_equal(p.mid, outer.mid);
        assert_int_equal(p.token.n, outer.token.n);
        if (path)
                assert_string_equal(p.path[0], path);
        assert_int_equal(p.n_payload, strlen(payload));
        assert_memory_equal(p.payload, payload, strlen(payload));
        /* One bit anywhere makes it another message. */
        for (size_t i = 0; i < outer.n_payload; i++) {
                ((uint8_t *) outer.payload)[i] ^= 1;
                assert_int_equal(oscore_open(o, &outer, &option, request, plain), -EBADMSG);
                ((uint8_t *) outer.payload)[i] ^= 1;
        }
        outer.n_payload--;
        assert_int_equal(oscore_open(o, &outer, &option, request, plain), -EBADMSG);
}

static void test_requests(void **state) {
        static const struct {
                const char *sender, *recipient, *salt, *context, *message, *sealed;
        } vectors[] = {
                /* C.4 */
                { "", "01", SALT, "", "44015d1f00003974396c6f63616c686f737483747631",
                  "44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e" },
                /* C.5 */
                { "00", "01", "", "", "440171c30000b932396c6f63616c686f737483747631",
                  "440271c30000b932396c6f63616c686f737463091400ff4ed339a5a379b0b8bc731fffb0" },
                /* C.6 */
                { "", "01", SALT, "37cbf3210017a2d3",
                  "44012f8eef9bbf7a396c6f63616c686f737483747631",
                  "44022f8eef9bbf7a396c6f63616c686f73746b19140837cbf3210017a2d3ff72cd7273fd331ac45c"
                  "ffbe55c3" },
        };
        const OscoreNumber number = oscore_number(20);

        for (size_t i = 0; i < G_N_ELEMENTS(vectors); i++) {
                g_autoptr(Oscore) client = context_new(vectors[i].sender, vectors[i].recipient,
                                                       vectors[i].salt, vectors[i].context);
                g_autoptr(Oscore) server = context_new(vectors[i].recipient, vectors[i].sender,
                                                       vectors[i].salt, vectors[i].context);

                assert_sealed(client, NULL, &number, vectors[i].message, vectors[i].sealed);
                assert_opened(server, NULL, vectors[i].sealed, METHOD_GET, "tv1", "");
        }
}

static void test_answers(void **state) {
        const char *
                message = "64455d1f00003974ff48656c6c6f20576f726c6421",
               *plain =
                       "64445d1f0000397490ffdbaad1e9a7e7b2a813d3c31524378303cdafae119106", /* C.7 */
                       *numbered = "64445d1f00003974920100ff4d4c13669384b67354b2b6175ff4b8658c666a6"
                                   "cf88e";
        const OscoreNumber request = oscore_number(20), own = oscore_number(0); /* C.8 */
        g_autoptr(Oscore) client = context_new("", "01", SALT, "");
        g_autoptr(Oscore) server = context_new("01", "", SALT, "");

        assert_sealed(server, &request, NULL, message, plain);
        assert_sealed(server, &request, &own, message, numbered);
        assert_opened(client, &request, plain, CODE(2, 5), NULL, "Hello World!");
        assert_opened(client, &request, numbered, CODE(2, 5), NULL, "Hello World!");
}

/* An answer to another request, though from the right server. */
static void test_answer_to_another(void **state) {
        g_autoptr(Oscore) client = context_new("", "01", SALT, "");
        g_autoptr(GBytes) in =
                bytes("64445d1f0000397490ffdbaad1e9a7e7b2a813d3c31524378303cdafae119106");
        const OscoreNumber request = oscore_number(21);
        uint8_t plain[PACKET_IN_MAX];
        OscoreOption option;
        Packet p;

        parse(in, &p);
        assert_int_equal(oscore_parse_option(p.oscore, p.n_oscore, &option), 0);
        assert_int_equal(oscore_open(client, &p, &option, &request, plain), -EBADMSG);
}

static void test_every_algorithm(void **state) {
        static const int64_t aeads[] = { 1, 2, 3, 10, 11, 12, 13, 24, 30, 31, 32, 33 };
        static const int64_t hkdfs[] = { -10, -11, 5, 6, 7 };
        const OscoreNumber number = oscore_number(0x123456789a);

        for (size_t i = 0; i < G_N_ELEMENTS(aeads) * G_N_ELEMENTS(hkdfs); i++) {
                g_autoptr(OscoreKeys) k = keys_new("0a", "0b", SALT, "c0"),
                                      other = keys_new("0b", "0a", SALT, "c0");
                /* Observe and a payload. */
                g_autoptr(GBytes) message = bytes("42010001aabb605133ff6162");
                g_autoptr(Oscore) client = NULL, server = NULL;
                uint8_t out[PACKET_OUT_MAX], plain[PACKET_IN_MAX];
                g_autoptr(GBytes) sealed = NULL;
                OscoreOption option;
                Packet outer, p;
                int n;

                k->aead = other->aead = aeads[i % G_N_ELEMENTS(aeads)];
                k->hkdf = other->hkdf = hkdfs[i / G_N_ELEMENTS(aeads)];
                assert_int_equal(oscore_new(k, &client), 0);
                assert_int_equal(oscore_new(other, &server), 0);
                n = oscore_seal(client, NULL, &number, g_bytes_get_data(message, NULL),
                                g_bytes_get_size(message), out, sizeof(out));
                assert_true(n > 0);
                sealed = g_bytes_new(out, (size_t) n);
                parse(sealed, &outer);
                assert_int_equal(outer.code, METHOD_FETCH);
                assert_int_equal(outer.observe, 0);
                assert_int_equal(outer.n_path, 0);
                assert_int_equal(oscore_parse_option(outer.oscore, outer.n_oscore, &option), 0);
                assert_true(oscore_number_value(&option.number) == 0x123456789a);
                n = oscore_open(server, &outer, &option, NULL, plain);
                assert_true(n > 0);
                assert_int_equal(oscore_read(&outer, plain, (size_t) n, &p), 0);
                assert_int_equal(p.code, METHOD_GET);
                assert_int_equal(p.observe, 0);
                assert_string_equal(p.path[0], "3");
        }
}

/* Inside, a notification has no Observe value: its number counts. */
static void test_notification(void **state) {
        g_autoptr(Oscore) client = context_new("0a", "0b", SALT, ""),
                          server = context_new("0b", "0a", SALT, "");
        const OscoreNumber request = oscore_number(7), own = oscore_number(300);
        g_autoptr(GBytes) message = bytes("52450001aabb6109ff6162"), sealed = NULL;
        uint8_t out[PACKET_OUT_MAX], plain[PACKET_IN_MAX];
        OscoreOption option;
        Packet outer, p;
        int n;

        n = oscore_seal(client, &request, &own, g_bytes_get_data(message, NULL),
                        g_bytes_get_size(message), out, sizeof(out));
        sealed = g_bytes_new(out, (size_t) n);
        parse(sealed, &outer);
        assert_int_equal(outer.code, CODE(2, 5));
        assert_int_equal(outer.observe, 9);
        assert_int_equal(oscore_parse_option(outer.oscore, outer.n_oscore, &option), 0);
        n = oscore_open(server, &outer, &option, &request, plain);
        assert_int_equal(oscore_read(&outer, plain, (size_t) n, &p), 0);
        assert_int_equal(p.observe, 0);
        assert_int_equal(p.n_payload, 2);
}

static void test_options(void **state) {
        static const struct {
                const char *hex;
                int error, n_number, n_id, n_context;
        } values[] = {
                { "", 0, 0, -1, -1 },
                { "00", 0, 0, -1, -1 },
                { "09141122", 0, 1, 2, -1 },
                { "19140337cbf311", 0, 1, 1, 3 },
                { "08", 0, 0, 0, -1 },
                { "05010203040508", -EBADMSG, 0, 0, 0 },
                { "06010203040506", -EBADMSG, 0, 0, 0 },
                { "0701", -EBADMSG, 0, 0, 0 },
                { "20", -EBADMSG, 0, 0, 0 },
                { "40", -EBADMSG, 0, 0, 0 },
                { "80", -EBADMSG, 0, 0, 0 },
                { "0311", -EBADMSG, 0, 0, 0 },
                { "10", -EBADMSG, 0, 0, 0 },
                { "1005aa", -EBADMSG, 0, 0, 0 },
                { "0911", 0, 1, 0, -1 },
                { "0001", -EBADMSG, 0, 0, 0 },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
                g_autoptr(GBytes) v = bytes(values[i].hex);
                OscoreOption o;
                gsize n;
                const uint8_t *data = g_bytes_get_data(v, &n);

                assert_int_equal(oscore_parse_option(data, n, &o), values[i].error);
                if (values[i].error < 0)
                        continue;
                assert_int_equal(o.number.n, values[i].n_number);
                assert_int_equal(o.has_id ? (int) o.n_id : -1, values[i].n_id);
                assert_int_equal(o.has_context ? (int) o.n_context : -1, values[i].n_context);
        }
}

static void test_number(void **state) {
        static const uint64_t numbers[] = { 0, 1, 255, 256, 65535, 65536, OSCORE_NUMBER_MAX };
        static const uint8_t lengths[] = { 1, 1, 1, 2, 2, 3, 5 };

        for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
                OscoreNumber n = oscore_number(numbers[i]);

                assert_int_equal(n.n, lengths[i]);
                assert_true(oscore_number_value(&n) == numbers[i]);
        }
}

/* --- keys --- */

static void test_keys(void **state) {
        g_autoptr(OscoreKeys) k = keys_new("0a", "0b", SALT, ""), copy = oscore_keys_copy(k);
        g_autofree char *why = NULL;

        assert_true(oscore_keys_equal(k, copy));
        assert_false(oscore_keys_equal(k, NULL));
        assert_true(oscore_keys_equal(NULL, NULL));
        assert_int_equal(oscore_keys_check(k, &why), 0);
        set(&k->recipient_id, "0a"); /* both would use the same nonces */
        assert_int_equal(oscore_keys_check(k, &why), -EINVAL);
        assert_non_null(strstr(why, "same"));
        g_clear_pointer(&why, g_free);
        set(&k->recipient_id, "0102030405060708");
        assert_int_equal(oscore_keys_check(k, &why), -EINVAL);
        assert_non_null(strstr(why, "7 bytes"));
        g_clear_pointer(&why, g_free);
        set(&k->recipient_id, "01020304050607");
        assert_int_equal(oscore_keys_check(k, &why), 0);
        k->aead = 12; /* a nonce of 7 bytes */
        assert_int_equal(oscore_keys_check(k, &why), -EINVAL);
        g_clear_pointer(&why, g_free);
        k->aead = 4;
        assert_int_equal(oscore_keys_check(k, &why), -EINVAL);
        g_clear_pointer(&why, g_free);
        k->aead = 10;
        k->hkdf = 1;
        assert_int_equal(oscore_keys_check(k, &why), -EINVAL);
        g_clear_pointer(&why, g_free);
        k->hkdf = -10;
        set(&k->secret, "");
        assert_int_equal(oscore_keys_check(k, &why), -ENOKEY);
        g_clear_pointer(&why, g_free);
        assert_false(oscore_keys_equal(k, copy));

        assert_int_equal(oscore_aead_by_name("aes-ccm-16-64-128")->number, 10);
        assert_int_equal(oscore_aead_by_name("24")->number, 24);
        assert_null(oscore_aead_by_name("rot13"));
        assert_null(oscore_aead_by_name("10x"));
        assert_int_equal(oscore_hkdf_parse("HKDF-SHA-512", &k->hkdf), 0);
        assert_int_equal(k->hkdf, -11);
        assert_int_equal(oscore_hkdf_parse("5", &k->hkdf), 0);
        assert_int_equal(oscore_hkdf_parse("md5", &k->hkdf), -EINVAL);
}

/* --- numbers on disk --- */

typedef struct Folder {
        char *path, *name;
} Folder;

static Folder folder_new(void) {
        Folder f = { .path = g_dir_make_tmp("oscore-XXXXXX", NULL) };

        assert_non_null(f.path);
        f.name = g_build_filename(f.path, "oscore", "abc", NULL);
        return f;
}

static void run(const char *format, ...) G_GNUC_PRINTF(1, 2);
static void run(const char *format, ...) {
        g_autofree char *command = NULL;
        va_list ap;

        va_start(ap, format);
        command = g_strdup_vprintf(format, ap);
        va_end(ap);
        assert_int_equal(system(command), 0);
}

static void folder_clear(Folder *f) {
        run("rm -rf '%s'", f->path);
        g_free(f->path);
        g_free(f->name);
}

static OscoreState *open_state(const Folder *f) {
        g_autofree char *why = NULL;
        OscoreState *s;

        assert_int_equal(oscore_state_open(f->path, "abc", &s, &why), 0);
        return s;
}

/* What a kill leaves: the files as they are while it is open. */
static OscoreState *kill_and_open(const Folder *f, OscoreState *s, bool power_lost) {
        run("cp -a '%s/oscore' '%s/copy'", f->path, f->path);
        oscore_state_close(s);
        run("cd '%s' && rm -r oscore && mv copy oscore", f->path);
        if (power_lost)
                run("rm '%s.seen'", f->name);
        return open_state(f);
}

static uint64_t take_own(OscoreState *s) {
        uint64_t n;

        assert_int_equal(oscore_state_take_own(s, &n), 0);
        return n;
}

static void test_own_numbers(void **state) {
        Folder f = folder_new();
        OscoreState *s = open_state(&f);
        uint64_t last;

        for (uint64_t i = 0; i < 1000; i++)
                assert_true(take_own(s) == i);
        /* Killed, time and again: never a number twice. */
        last = 999;
        for (unsigned i = 0; i < 20; i++) {
                s = kill_and_open(&f, s, i % 2);
                for (unsigned j = 0; j < i * 40; j++) {
                        uint64_t n = take_own(s);

                        assert_true(n > last);
                        last = n;
                }
        }
        assert_true(last < 1000 + 20 * 19 * 40 / 2 + 21 * 4 * OSCORE_RESERVE_OWN);
        /* Closed in the proper way none is lost. */
        oscore_state_close(s);
        s = open_state(&f);
        assert_true(take_own(s) == last + 1);
        oscore_state_close(s);
        folder_clear(&f);
}

/* The disk is not kept busy, however many are used. */
static void test_many_numbers(void **state) {
        Folder f = folder_new();
        OscoreState *s = open_state(&f);
        unsigned n_writes = 0;
        ino_t before = 0;

        for (unsigned i = 0; i < 20000; i++) {
                struct stat st;

                (void) take_own(s);
                assert_int_equal(stat(f.name, &st), 0);
                n_writes += st.st_ino != before;
                before = st.st_ino;
        }
        assert_in_range(n_writes, 1, 10);
        s = kill_and_open(&f, s, true);
        assert_true(take_own(s) >= 20000);
        oscore_state_close(s);
        folder_clear(&f);
}

static void test_end_of_numbers(void **state) {
        Folder f = folder_new();
        OscoreState *s = open_state(&f);
        uint64_t n;

        assert_int_equal(oscore_state_take(s, OSCORE_NUMBER_MAX), 0);
        assert_int_equal(oscore_state_look(s, OSCORE_NUMBER_MAX), OSCORE_SEEN);
        oscore_state_close(s);
        s = open_state(&f);
        assert_int_equal(oscore_state_look(s, OSCORE_NUMBER_MAX), OSCORE_SEEN);
        assert_int_equal(oscore_state_take_own(s, &n), 0);
        oscore_state_close(s);
        folder_clear(&f);
}

/* What cannot be kept is not used. */
static void test_numbers_that_cannot_be_kept(void **state) {
        Folder f = folder_new();
        OscoreState *s = open_state(&f);
        uint64_t n;

        for (uint64_t i = 0; i < OSCORE_RESERVE_OWN; i++)
                assert_true(take_own(s) == i);
        assert_int_equal(oscore_state_take(s, 0), 0);
        run("cd '%s' && cp -a oscore copy && rm -r oscore", f.path);
        assert_int_equal(oscore_state_take_own(s, &n), -ENOENT);
        assert_int_equal(oscore_state_take_own(s, &n), -ENOENT);
        assert_int_equal(oscore_state_take(s, 1), 0); /* reserved before */
        assert_int_equal(oscore_state_take(s, OSCORE_RESERVE_PEER + 1), -ENOENT);
        assert_int_equal(oscore_state_look(s, OSCORE_RESERVE_PEER + 1), OSCORE_FRESH);
        oscore_state_close(s);
        run("cd '%s' && rm -rf oscore && mv copy oscore", f.path);
        s = open_state(&f);
        assert_true(take_own(s) == OSCORE_RESERVE_OWN);
        oscore_state_close(s);
        folder_clear(&f);
}

static void test_window(void **state) {
        Replay r = { .next = 0 };

        assert_true(replay_is_new(&r, 0));
        replay_take(&r, 0);
        assert_false(replay_is_new(&r, 0));
        replay_take(&r, 5);
        for (uint64_t i = 1; i < 5; i++)
                assert_true(replay_is_new(&r, i)); /* overtaken on the way */
        assert_false(replay_is_new(&r, 5));
        replay_take(&r, 3);
        assert_false(replay_is_new(&r, 3));
        assert_false(replay_is_new(&r, 5)); /* the window has not moved back */
        assert_true(replay_is_new(&r, 4));
        assert_true(r.next == 6);
        replay_take(&r, 5 + REPLAY_WINDOW);
        assert_false(replay_is_new(&r, 5));
        assert_true(replay_is_new(&r, 6));
        replay_take(&r, 10000);
        assert_false(replay_is_new(&r, 6));
        assert_true(replay_is_new(&r, 10000 - REPLAY_WINDOW + 1));
        assert_false(replay_is_new(&r, 10000 - REPLAY_WINDOW));
}

static void test_window_outlives(void **state) {
        Folder f = folder_new();
        OscoreState *s = open_state(&f);

        assert_int_equal(oscore_state_look(s, 0), OSCORE_FRESH);
        for (uint64_t i = 10; i < 20; i++)
                assert_int_equal(oscore_state_take(s, i), 0);
        s = kill_and_open(&f, s, false);
        assert_int_equal(oscore_state_look(s, 19), OSCORE_SEEN);
        assert_int_equal(oscore_state_look(s, 9), OSCORE_FRESH);
        assert_int_equal(oscore_state_look(s, 20), OSCORE_FRESH);
        assert_int_equal(oscore_state_take(s, 20), 0);
        oscore_state_close(s);
        s = open_state(&f);
        assert_int_equal(oscore_state_look(s, 20), OSCORE_SEEN);
        assert_int_equal(oscore_state_look(s, 21), OSCORE_FRESH);
        /* Begun, and killed before a request came: the window of before counts. */
        (void) take_own(s);
        s = kill_and_open(&f, s, false);
        assert_int_equal(oscore_state_look(s, 20), OSCORE_SEEN);
        /* Closed in the proper way, the power may go. */
        oscore_state_close(s);
        run("rm '%s.seen'", f.name);
        s = open_state(&f);
        assert_int_equal(oscore_state_look(s, 20), OSCORE_SEEN);
        assert_int_equal(oscore_state_look(s, 21), OSCORE_FRESH);
        oscore_state_close(s);
        folder_clear(&f);
}

static void test_window_after_power_loss(void **state) {
        Folder f = folder_new();
        OscoreState *s = open_state(&f);

        for (uint64_t i = 0; i < 3; i++)
                assert_int_equal(oscore_state_take(s, i), 0);
        s = kill_and_open(&f, s, true);
        assert_int_equal(oscore_state_look(s, 2), OSCORE_UNCERTAIN);
        assert_int_equal(oscore_state_look(s, OSCORE_RESERVE_PEER - 1), OSCORE_UNCERTAIN);
        assert_int_equal(oscore_state_look(s, OSCORE_RESERVE_PEER + 2), OSCORE_FRESH);
        /* Still so after it was closed and opened again. */
        oscore_state_close(s);
        s = open_state(&f);
        assert_int_equal(oscore_state_look(s, 3), OSCORE_UNCERTAIN);
        assert_int_equal(oscore_state_take_proved(s, 4), 0);
        assert_int_equal(oscore_state_look(s, 3), OSCORE_SEEN);
        assert_int_equal(oscore_state_look(s, 4), OSCORE_SEEN);
        assert_int_equal(oscore_state_look(s, 5), OSCORE_FRESH);
        oscore_state_close(s);

        /* A number above all reserved ones proves itself. */
        s = open_state(&f);
        assert_int_equal(oscore_state_take(s, 5), 0);
        s = kill_and_open(&f, s, true);
        assert_int_equal(oscore_state_take(s, 500), 0);
        assert_int_equal(oscore_state_look(s, 10), OSCORE_SEEN);
        assert_int_equal(oscore_state_look(s, 499), OSCORE_FRESH);
        oscore_state_close(s);
        folder_clear(&f);
}

static void test_damage(void **state) {
        Folder f = folder_new();
        OscoreState *s = open_state(&f);
        g_autofree char *content = NULL, *why = NULL;
        gsize n;

        (void) take_own(s);
        oscore_state_close(s);
        assert_true(g_file_get_contents(f.name, &content, &n, NULL));
        for (gsize i = 0; i < n; i++) {
                content[i] ^= 4;
                assert_true(g_file_set_contents(f.name, content, (gssize) n, NULL));
                assert_int_equal(oscore_state_open(f.path, "abc", &s, &why), -EBADMSG);
                assert_non_null(strstr(why, "damaged"));
                g_clear_pointer(&why, g_free);
                content[i] ^= 4;
        }
        assert_true(g_file_set_contents(f.name, content, (gssize) n - 1, NULL));
        assert_int_equal(oscore_state_open(f.path, "abc", &s, &why), -EBADMSG);
        g_clear_pointer(&why, g_free);
        assert_int_equal(oscore_state_open("/nowhere/at/all", "abc", &s, &why), -ENOENT);
        folder_clear(&f);
}

/* Keys come and go; those of long ago are forgotten. */
static void test_many_contexts(void **state) {
        Folder f = folder_new();
        g_autofree char *folder = g_build_filename(f.path, "oscore", NULL);
        unsigned n = 0;
        GDir *d;

        for (unsigned i = 0; i < OSCORE_STATES_MAX + 10; i++) {
                g_autofree char *name = g_strdup_printf("%08x", i), *why = NULL;
                OscoreState *s;

                assert_int_equal(oscore_state_open(f.path, name, &s, &why), 0);
                (void) take_own(s);
                oscore_state_close(s);
        }
        d = g_dir_open(folder, 0, NULL);
        while (g_dir_read_name(d))
                n++;
        g_dir_close(d);
        assert_int_equal(n, 2 * OSCORE_STATES_MAX + 1);
        folder_clear(&f);
}

#define SENDER "0123456789abcdef"

static OscoreState *open_named(const Folder *f, const char *name) {
        g_autofree char *why = NULL;
        OscoreState *s;

        assert_int_equal(oscore_state_open(f->path, name, &s, &why), 0);
        return s;
}

/* Another Recipient ID is another context, but our key and nonces are the same. */
static void test_numbers_of_one_sender(void **state) {
        const char *const a = SENDER "aaaaaaaaaaaaaaaa", *const b = SENDER "bbbbbbbbbbbbbbbb";
        Folder f = folder_new();
        OscoreState *s = open_named(&f, a);
        uint64_t last = 0;

        for (unsigned i = 0; i < 10; i++)
                last = take_own(s);
        assert_int_equal(oscore_state_take(s, 1000), 0);
        oscore_state_close(s);
        for (unsigned i = 0; i < 6; i++) {
                uint64_t n;

                s = open_named(&f, i % 2 ? a : b);
                /* The server's numbers are of its own key. */
                assert_int_equal(oscore_state_look(s, 5), i % 2 ? OSCORE_SEEN : OSCORE_FRESH);
                n = take_own(s);
                assert_true(n > last);
                last = n + 300;
                while (n < last)
                        n = take_own(s);
                oscore_state_close(s);
        }
        s = open_named(&f, "fedcba9876543210aaaaaaaaaaaaaaaa");
        assert_true(take_own(s) == 0);
        oscore_state_close(s);
        folder_clear(&f);
}

static void open_many(const Folder *f, unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                g_autofree char *name = g_strdup_printf("%016x%016x", i + 1, i);
                OscoreState *s = open_named(f, name);

                (void) take_own(s);
                oscore_state_close(s);
        }
}

/* However many keys come: those that are open stay, and of those forgotten no number comes back. */
static void test_forgotten_context(void **state) {
        const char *const kept = "ffffffffffffffffaaaaaaaaaaaaaaaa",
                          *const gone = "eeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa";
        Folder f = folder_new();
        OscoreState *s = open_named(&f, gone), *open;
        uint64_t last = 0;

        for (unsigned i = 0; i < 700; i++)
                last = take_own(s);
        oscore_state_close(s);
        open = open_named(&f, kept);
        for (unsigned i = 0; i < 900; i++)
                (void) take_own(open);
        assert_int_equal(oscore_state_take(open, 7), 0);
        open_many(&f, OSCORE_STATES_MAX + 10);
        run("test -e '%s/oscore/%s' -a ! -e '%s/oscore/%s'", f.path, kept, f.path, gone);
        oscore_state_close(open);
        open = open_named(&f, kept);
        assert_true(take_own(open) >= 900);
        assert_int_equal(oscore_state_look(open, 7), OSCORE_SEEN);
        oscore_state_close(open);
        s = open_named(&f, gone);
        assert_true(take_own(s) > last);
        oscore_state_close(s);
        folder_clear(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_requests),
                cmocka_unit_test(test_answers),
                cmocka_unit_test(test_answer_to_another),
                cmocka_unit_test(test_every_algorithm),
                cmocka_unit_test(test_notification),
                cmocka_unit_test(test_options),
                cmocka_unit_test(test_number),
                cmocka_unit_test(test_keys),
                cmocka_unit_test(test_own_numbers),
                cmocka_unit_test(test_many_numbers),
                cmocka_unit_test(test_end_of_numbers),
                cmocka_unit_test(test_numbers_that_cannot_be_kept),
                cmocka_unit_test(test_window),
                cmocka_unit_test(test_window_outlives),
                cmocka_unit_test(test_window_after_power_loss),
                cmocka_unit_test(test_damage),
                cmocka_unit_test(test_many_contexts),
                cmocka_unit_test(test_numbers_of_one_sender),
                cmocka_unit_test(test_forgotten_context),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
