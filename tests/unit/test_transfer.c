/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies in blocks over a real socket, both ways. */
#include "coap_peer.h"

#include <string.h>

#define N_TRANSFERS 4u

static uint16_t next_mid = 1000;

static const uint8_t *data_of(GBytes *body) {
        return g_bytes_get_data(body, NULL);
}

/* Sends block num of body; what comes back. */
static Datagram *put_block(Fixture *f, const char *path, GBytes *body, uint32_t num, uint8_t szx) {
        size_t n = g_bytes_get_size(body), offset = num * block_size(szx), left = n - offset;
        Block b = { .num = num, .more = left > block_size(szx), .szx = szx };
        Ask ask = { .type = PACKET_CON,
                    .code = METHOD_PUT,
                    .mid = next_mid++,
                    .path = path,
                    .token = "put",
                    .block1 = &b,
                    .payload = data_of(body) + offset,
                    .n_payload = MIN(left, block_size(szx)) };

        return server_query(f, &ask);
}

static Datagram *get_block(Fixture *f, const char *path, uint32_t num, uint8_t szx) {
        Block b = { .num = num, .szx = szx };
        Ask ask = { .type = PACKET_CON,
                    .code = METHOD_GET,
                    .mid = next_mid++,
                    .path = path,
                    .token = "get",
                    .block2 = &b };

        return server_query(f, &ask);
}

static void assert_code(Datagram *d, uint8_t code) {
        assert_int_equal(d->p.code, code);
        g_free(d);
}

static Asked *last_asked(Fixture *f) {
        return f->asked.tail->data;
}

static void test_uploads_interleaved(void **state) {
        static const char *const paths[N_TRANSFERS] = { "5/0/0", "5/1/0", "5/0/1", "16/0/0/5" };
        Fixture *f = fixture_new(NULL);
        GBytes *body[N_TRANSFERS];
        const uint32_t n_blocks = 80; /* above 64 KiB */

        fixture_connect(f);
        for (unsigned i = 0; i < N_TRANSFERS; i++)
                body[i] = make_body((n_blocks - 1) * 1024 + 1 + i, i);
        for (uint32_t num = 0; num < n_blocks; num++)
                for (unsigned i = 0; i < N_TRANSFERS; i++) {
                        Datagram *d = put_block(f, paths[i], body[i], num, 6);

                        assert_int_equal(d->p.type, PACKET_ACK);
                        assert_true(d->p.has_block1);
                        assert_int_equal(d->p.block1.num, num);
                        assert_code(d, num + 1 < n_blocks ? CODE(2, 31) : CODE(2, 4));
                }
        assert_int_equal(f->n_requests, N_TRANSFERS);
        for (unsigned i = 0; i < N_TRANSFERS; i++) {
                Asked *a = g_queue_peek_nth(&f->asked, i);

                assert_string_equal(a->path, paths[i]);
                assert_true(g_bytes_equal(a->payload, body[i]));
                g_bytes_unref(body[i]);
        }
        fixture_free(f);
}

static void test_upload_repeated(void **state) {
        Fixture *f = fixture_new(NULL);
        g_autoptr(GBytes) body = make_body(3 * 64, 1);
        Block b = { .num = 1, .more = true, .szx = 2 };
        Ask ask = { .type = PACKET_CON,
                    .code = METHOD_PUT,
                    .mid = 50,
                    .path = "5/0/0",
                    .token = "put",
                    .block1 = &b,
                    .payload = data_of(body) + 64,
                    .n_payload = 64 };

        fixture_connect(f);
        assert_code(put_block(f, "5/0/0", body, 0, 2), CODE(2, 31));
        for (unsigned i = 0; i < 3; i++) /* retransmitted */
                assert_code(server_query(f, &ask), CODE(2, 31));
        ask.mid = 51; /* sent anew */
        assert_code(server_query(f, &ask), CODE(2, 31));
        assert_code(put_block(f, "5/0/0", body, 2, 2), CODE(2, 4));
        assert_true(g_bytes_equal(last_asked(f)->payload, body));
        fixture_free(f);
}

static void test_upload_refused(void **state) {
        Fixture *f =
                fixture_new(&(CoapConfig){ .body_max = 200, .transfer_usec = 100 * USEC_PER_MSEC });
        g_autoptr(GBytes) body = make_body(64 * 5, 1);
        Block b = { .more = true, .szx = 2 };
        Ask ask = { .type = PACKET_CON,
                    .code = METHOD_PUT,
                    .mid = 1,
                    .path = "5/0/0",
                    .token = "put",
                    .block1 = &b,
                    .size1 = 201,
                    .payload = data_of(body),
                    .n_payload = 64 };
        Datagram *d;

        fixture_connect(f);
        d = server_query(f, &ask);
        assert_int_equal(d->p.size1, 200);
        assert_code(d, CODE(4, 13));
        for (uint32_t num = 0; num < 3; num++)
                assert_code(put_block(f, "5/0/0", body, num, 2), CODE(2, 31));
        d = put_block(f, "5/0/0", body, 3, 2);
        assert_int_equal(d->p.size1, 200);
        assert_code(d, CODE(4, 13));
        /* Out of order. */
        assert_code(put_block(f, "5/0/0", body, 0, 2), CODE(2, 31));
        assert_code(put_block(f, "5/0/0", body, 2, 2), CODE(4, 8));
        /* Abandoned, and gone on with too late. */
        assert_code(put_block(f, "5/0/0", body, 0, 2), CODE(2, 31));
        run_for(f, 150, NULL, 0);
        assert_code(put_block(f, "5/0/0", body, 1, 2), CODE(4, 8));
        assert_int_equal(f->n_requests, 0);
        fixture_free(f);
}

static void test_downloads_interleaved(void **state) {
        static const char *const paths[N_TRANSFERS] = { "1", "2", "3", "4" };
        Fixture *f = fixture_new(NULL);
        GByteArray *got[N_TRANSFERS];
        GBytes *body[N_TRANSFERS];
        uint8_t etag[N_TRANSFERS][8];
        bool more = true;

        fixture_connect(f);
        for (unsigned i = 0; i < N_TRANSFERS; i++) {
                body[i] = make_body(20000 + i, i);
                got[i] = g_byte_array_new();
        }
        for (uint32_t num = 0; more; num++)
                for (unsigned i = 0; i < N_TRANSFERS; i++) {
                        Datagram *d;

                        /* Only the first request reads the value; the rest is of the same. */
                        g_clear_pointer(&f->body, g_bytes_unref);
                        f->body = g_bytes_ref(num == 0 ? body[i] : body[(i + 1) % N_TRANSFERS]);
                        d = get_block(f, paths[i], num, (uint8_t) (2 + i));
                        if (num * block_size((uint8_t) (2 + i)) >= g_bytes_get_size(body[i])) {
                                assert_code(d, CODE(4, 0)); /* behind the end */
                                continue;
                        }
                        assert_true(d->p.has_block2);
                        assert_int_equal(d->p.block2.num, num);
                        assert_int_equal(d->p.block2.szx, 2 + i);
                        assert_int_equal(d->p.n_etag, 8);
                        if (num == 0) {
                                memcpy(etag[i], d->p.etag, 8);
                                assert_int_equal(d->p.size2, g_bytes_get_size(body[i]));
                        }
                        assert_memory_equal(etag[i], d->p.etag, 8);
                        g_byte_array_append(got[i], d->p.payload, (guint) d->p.n_payload);
                        more = i == 0 ? d->p.block2.more : more;
                        assert_code(d, CODE(2, 5));
                }
        assert_int_equal(f->n_requests, N_TRANSFERS);
        for (unsigned i = 0; i < N_TRANSFERS; i++) {
                assert_int_equal(got[i]->len, g_bytes_get_size(body[i]));
                assert_memory_equal(got[i]->data, data_of(body[i]), got[i]->len);
                g_byte_array_unref(got[i]);
                g_bytes_unref(body[i]);
        }
        fixture_free(f);
}

/* Without state (it was dropped), a later block reads again; the ETag shows whether it is the same.
 */
static void test_download_without_state(void **state) {
        Fixture *f = fixture_new(&(CoapConfig){ .block2_bytes = 1 });
        Block later = { .num = 1, .szx = 6 };
        Ask ask = { .type = PACKET_CON,
                    .code = METHOD_POST,
                    .mid = 900,
                    .path = "5",
                    .token = "p",
                    .block2 = &later };
        Datagram *a, *b, *c;

        fixture_connect(f);
        f->body = make_body(3000, 1);
        a = get_block(f, "5", 0, 6);
        b = get_block(f, "5", 1, 6);
        assert_int_equal(f->n_requests, 2);
        assert_memory_equal(a->p.etag, b->p.etag, 8);
        assert_memory_equal(b->p.payload, data_of(f->body) + 1024, 1024);
        g_bytes_unref(f->body);
        f->body = make_body(3000, 2);
        c = get_block(f, "5", 2, 6);
        assert_memory_not_equal(a->p.etag, c->p.etag, 8);
        g_free(a);
        g_free(b);
        g_free(c);
        /* An operation is not done again for the rest of its answer. */
        assert_code(server_query(f, &ask), CODE(4, 8));
        assert_int_equal(f->n_requests, 3);
        fixture_free(f);
}

static void test_fetch_both_ways(void **state) {
        Fixture *f = fixture_new(NULL);
        g_autoptr(GBytes) question = make_body(300, 3);
        g_autoptr(GByteArray) got = g_byte_array_new();
        Block up = { .szx = 4, .more = true }, down = { .szx = 5 };
        Ask ask = { .type = PACKET_CON,
                    .code = METHOD_FETCH,
                    .path = "",
                    .token = "f",
                    .block1 = &up,
                    .block2 = &down };
        Datagram *d;

        fixture_connect(f);
        f->body = make_body(1800, 4);
        ask.mid = 1;
        ask.payload = data_of(question);
        ask.n_payload = 256;
        assert_code(server_query(f, &ask), CODE(2, 31));
        ask.mid = 2;
        up = (Block){ .num = 1, .szx = 4 };
        ask.payload = data_of(question) + 256;
        ask.n_payload = 44;
        for (;;) {
                bool more;

                d = server_query(f, &ask);
                assert_int_equal(d->p.block2.num, down.num);
                g_byte_array_append(got, d->p.payload, (guint) d->p.n_payload);
                more = d->p.block2.more;
                assert_code(d, CODE(2, 5));
                if (!more)
                        break;
                ask.mid++;
                down.num++;
                ask.block1 = NULL;
                ask.payload = NULL;
                ask.n_payload = 0;
        }
        assert_int_equal(f->n_requests, 1);
        assert_true(g_bytes_equal(last_asked(f)->payload, question));
        assert_int_equal(got->len, 1800);
        assert_memory_equal(got->data, data_of(f->body), 1800);
        fixture_free(f);
}

static void test_observed_in_blocks(void **state) {
        Fixture *f = fixture_new(NULL);
        g_autoptr(GBytes) first = make_body(1500, 1), second = make_body(2500, 2),
                          token = g_bytes_new("obs", 3);
        Ask ask = { .type = PACKET_CON,
                    .code = METHOD_GET,
                    .mid = 1,
                    .path = "3303",
                    .token = "obs",
                    .observe = 1 };
        g_autofree Datagram *d = NULL, *n = NULL, *rest = NULL, *last = NULL;
        Message m = MESSAGE_INIT(CODE(2, 5));
        PacketOut ack = PACKET_OUT_INIT;
        Call *call;

        fixture_connect(f);
        f->body = g_bytes_ref(first);
        d = server_query(f, &ask);
        assert_int_equal(d->p.observe, 1);
        assert_true(d->p.block2.more);
        assert_int_equal(d->p.n_payload, 1024);

        assert_non_null(last_asked(f)->request_key);
        m.token = token;
        m.request_key = last_asked(f)->request_key;
        m.payload = second;
        m.observe = 2;
        assert_int_equal(f->ops->notify(f->link, &m, fixture_on_notified, f, &call), 0);
        n = server_receive(f);
        assert_int_equal(n->p.observe, 2);
        assert_true(n->p.has_block2 && n->p.block2.more && n->p.block2.num == 0);
        assert_int_equal(n->p.n_etag, 8);
        assert_memory_not_equal(n->p.etag, d->p.etag, 8);
        ack.type = PACKET_ACK;
        ack.mid = n->p.mid;
        server_send_packet(f->server, &ack);
        /* The rest is of what was notified, not of what is there by now. */
        rest = get_block(f, "3303", 1, 6);
        last = get_block(f, "3303", 2, 6);
        assert_int_equal(f->n_requests, 1);
        assert_int_equal(rest->p.observe, -1);
        assert_memory_equal(rest->p.etag, n->p.etag, 8);
        assert_memory_equal(rest->p.payload, data_of(second) + 1024, 1024);
        assert_memory_equal(last->p.payload, data_of(second) + 2048, 2500 - 2048);
        assert_false(last->p.block2.more);
        fixture_free(f);
}

/* --- requests of ours --- */

static void send_request(Fixture *f, uint8_t code, GBytes *payload) {
        static const char *const path[] = { "rd", NULL };
        Message m = MESSAGE_INIT(code);
        Call *call;

        m.path = path;
        m.format = 40;
        m.payload = payload;
        f->answers = 0;
        assert_int_equal(f->ops->request(f->link, &m, fixture_on_response, f, &call), 0);
}

static PacketOut ack_of(const Datagram *d, uint8_t code) {
        PacketOut o = PACKET_OUT_INIT;

        o.type = PACKET_ACK;
        o.mid = d->p.mid;
        o.token = d->p.token;
        o.code = code;
        return o;
}

/* Takes blocks until the last one and answers 2.01; asks for szx in the first answer. */
static void take_upload(Fixture *f, GBytes *body, uint8_t szx) {
        g_autoptr(GByteArray) got = g_byte_array_new();
        Token before = { .n = 0 };

        for (;;) {
                g_autofree Datagram *d = server_receive(f);
                PacketOut o = ack_of(d, d->p.block1.more ? CODE(2, 31) : CODE(2, 1));
                Block b = d->p.block1;

                assert_true(d->p.has_block1);
                assert_memory_not_equal(&before, &d->p.token, sizeof(before));
                before = d->p.token;
                assert_int_equal(block_offset(&b), got->len);
                if (b.num == 0)
                        assert_int_equal(d->p.size1, g_bytes_get_size(body));
                else
                        assert_true(b.szx <= szx);
                g_byte_array_append(got, d->p.payload, (guint) d->p.n_payload);
                b.szx = MIN(b.szx, szx);
                o.block1 = &b;
                server_send_packet(f->server, &o);
                if (!d->p.block1.more)
                        break;
        }
        assert_int_equal(got->len, g_bytes_get_size(body));
        assert_memory_equal(got->data, data_of(body), got->len);
}

static void test_our_upload(void **state) {
        Fixture *f = fixture_new(NULL);
        g_autoptr(GBytes) body = make_body(5000, 5);

        fixture_connect(f);
        for (uint8_t szx = 0; szx <= 6; szx += 3) {
                send_request(f, METHOD_POST, body);
                take_upload(f, body, szx);
                run_until(f, f->answers);
                assert_int_equal(f->error, 0);
                assert_int_equal(f->answer.code, CODE(2, 1));
        }
        fixture_free(f);
}

/* 4.13 with a smaller block, or with a size, is tried again; a second 4.13 that says no more is
 * final. */
static void test_our_upload_too_large(void **state) {
        Fixture *f = fixture_new(NULL);
        g_autoptr(GBytes) body = make_body(700, 5);
        g_autofree Datagram *d = NULL, *e = NULL;
        Block b = { .szx = 3 };
        PacketOut o;

        fixture_connect(f);
        send_request(f, METHOD_POST, body);
        d = server_receive(f);
        assert_false(d->p.has_block1);
        o = ack_of(d, CODE(4, 13));
        o.block1 = &b;
        server_send_packet(f->server, &o);
        take_upload(f, body, 3);
        run_until(f, f->answers);
        assert_int_equal(f->answer.code, CODE(2, 1));

        send_request(f, METHOD_POST, body);
        g_free(d);
        d = server_receive(f);
        o = ack_of(d, CODE(4, 13));
        o.size1 = 100;
        server_send_packet(f->server, &o);
        e = server_receive(f);
        assert_int_equal(e->p.block1.szx, 2);
        o = ack_of(e, CODE(4, 13));
        server_send_packet(f->server, &o);
        run_until(f, f->answers);
        assert_int_equal(f->error, 0);
        assert_int_equal(f->answer.code, CODE(4, 13));
        fixture_free(f);
}

/* 4.08: the server has lost the blocks before, because it was restarted for example. They are sent
 * once more; a second 4.08 is final. */
static void test_our_upload_forgotten(void **state) {
        Fixture *f = fixture_new(NULL);
        g_autoptr(GBytes) body = make_body(3000, 5);

        fixture_connect(f);
        for (unsigned n_lost = 1; n_lost <= 2; n_lost++) {
                send_request(f, METHOD_POST, body);
                for (unsigned i = 0; i < n_lost; i++) {
                        g_autofree Datagram *first = server_receive(f), *second = NULL;
                        PacketOut o = ack_of(first, CODE(2, 31));

                        assert_int_equal(first->p.block1.num, 0);
                        o.block1 = &first->p.block1;
                        server_send_packet(f->server, &o);
                        second = server_receive(f);
                        assert_int_equal(second->p.block1.num, 1);
                        o = ack_of(second, CODE(4, 8));
                        server_send_packet(f->server, &o);
                }
                if (n_lost == 1)
                        take_upload(f, body, 6);
                run_until(f, f->answers);
                assert_int_equal(f->error, 0);
                assert_int_equal(f->answer.code, n_lost == 1 ? CODE(2, 1) : CODE(4, 8));
        }
        fixture_free(f);
}

static void answer_in_blocks(Fixture *f, GBytes *body, const uint8_t *etag,
                             const uint8_t *later_etag) {
        size_t n = g_bytes_get_size(body);
        bool more = true;

        for (uint32_t num = 0; more; num++) {
                g_autofree Datagram *d = server_receive(f);
                PacketOut o = ack_of(d, CODE(2, 5));
                Block b = { .num = num, .szx = 4 };

                if (num > 0) {
                        assert_true(d->p.has_block2);
                        assert_int_equal(d->p.block2.num, num);
                        assert_int_equal(d->p.n_payload, 0);
                }
                o.payload = data_of(body) + num * 256;
                o.n_payload = MIN(n - num * 256, 256);
                more = b.more = num * 256 + o.n_payload < n;
                o.block2 = &b;
                o.etag = num == 0 ? etag : later_etag;
                server_send_packet(f->server, &o);
                if (etag != later_etag && num > 0)
                        break;
        }
}

static void test_our_download(void **state) {
        static const uint8_t one[8] = "etag-one", two[8] = "etag-two";
        Fixture *f = fixture_new(NULL);
        g_autoptr(GBytes) body = make_body(1000, 5), question = make_body(10, 1);

        fixture_connect(f);
        send_request(f, METHOD_FETCH, question);
        answer_in_blocks(f, body, one, one);
        run_until(f, f->answers);
        assert_int_equal(f->error, 0);
        assert_true(g_bytes_equal(f->answer_body, body));

        send_request(f, METHOD_GET, NULL);
        answer_in_blocks(f, body, one, two);
        run_until(f, f->answers);
        assert_int_equal(f->error, -ESTALE);
        fixture_free(f);
}

/* A server in the middle of a transfer takes nothing from another one. */
static void test_two_servers(void **state) {
        Fixture *f = fixture_new(&(CoapConfig){ .transfers_max = 1, .exchanges_max = 1 });
        g_autoptr(GBytes) body = make_body(200, 1), other = make_body(200, 2);
        Server *first = f->server, *second = server_new(f->loop, "127.0.0.1");
        Link *first_link;

        fixture_connect(f);
        first_link = f->link;
        f->up = false;
        f->server = second;
        fixture_connect(f);
        for (uint32_t num = 0; num < 4; num++) {
                f->server = first;
                assert_code(put_block(f, "5/0/0", body, num, 2),
                            num < 3 ? CODE(2, 31) : CODE(2, 4));
                f->server = second;
                assert_code(put_block(f, "5/0/0", other, num, 2),
                            num < 3 ? CODE(2, 31) : CODE(2, 4));
        }
        assert_int_equal(f->n_requests, 2);
        assert_true(g_bytes_equal(((Asked *) f->asked.head->data)->payload, body));
        assert_true(g_bytes_equal(((Asked *) f->asked.tail->data)->payload, other));
        f->ops->close(first_link);
        server_free(first);
        fixture_free(f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_uploads_interleaved),
                cmocka_unit_test(test_upload_repeated),
                cmocka_unit_test(test_upload_refused),
                cmocka_unit_test(test_downloads_interleaved),
                cmocka_unit_test(test_download_without_state),
                cmocka_unit_test(test_fetch_both_ways),
                cmocka_unit_test(test_observed_in_blocks),
                cmocka_unit_test(test_our_upload),
                cmocka_unit_test(test_our_upload_too_large),
                cmocka_unit_test(test_our_upload_forgotten),
                cmocka_unit_test(test_our_download),
                cmocka_unit_test(test_two_servers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
