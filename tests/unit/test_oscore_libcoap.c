/* SPDX-License-Identifier: Apache-2.0 */
/* OSCORE against that of libcoap, where it has it: requests both ways, an observation, large
 * bodies, and its proof of freshness. */
#include "coap_peer.h"

#include <coap3/coap.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lwm2m/account/credentials.h"
#include "lwm2m/account/oscore_keys.h"

#if HAVE_COAP_OSCORE

#define SECRET "0102030405060708090a0b0c0d0e0f10"
#define BODY 800

static struct Peer {
        coap_context_t *context;
        coap_session_t *session; /* the client's, once it has asked */
        uint16_t port;
        unsigned n_requests;
        char asked[BODY + 1]; /* the last body of a request */
        unsigned n_answers;   /* to ours */
        uint8_t code;
        char answer[BODY + 1];
        int observe;
} peer;

static void on_post(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
                    const coap_string_t *query, coap_pdu_t *response) {
        const uint8_t *data;
        size_t n = 0;

        if (!coap_get_data(request, &n, &data))
                n = 0;
        assert_true(n <= BODY);
        memcpy(peer.asked, data, n);
        peer.asked[n] = '\0';
        peer.n_requests++;
        if (!peer.session)
                peer.session = coap_session_reference(session);
        coap_pdu_set_code(response, COAP_RESPONSE_CODE(201));
        coap_add_option(response, COAP_OPTION_LOCATION_PATH, 2, (const uint8_t *) "rd");
        coap_add_option(response, COAP_OPTION_LOCATION_PATH, 1, (const uint8_t *) "5");
}

static coap_response_t on_answer(coap_session_t *session, const coap_pdu_t *sent,
                                 const coap_pdu_t *received, const coap_mid_t mid) {
        coap_opt_iterator_t i;
        const uint8_t *data;
        size_t n = 0;

        if (!coap_get_data(received, &n, &data))
                n = 0;
        assert_true(n <= BODY);
        memcpy(peer.answer, data, n);
        peer.answer[n] = '\0';
        peer.code = (uint8_t) coap_pdu_get_code(received);
        peer.observe = coap_check_option(received, COAP_OPTION_OBSERVE, &i) != NULL;
        peer.n_answers++;
        return COAP_RESPONSE_OK;
}

static coap_address_t free_address(void) {
        coap_address_t a;
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        coap_address_init(&a);
        memset(&a.addr, 0, sizeof(a.addr));
        a.addr.sin.sin_family = AF_INET;
        a.addr.sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        a.size = sizeof(a.addr.sin);
        assert_int_equal(bind(fd, &a.addr.sa, a.size), 0);
        assert_int_equal(getsockname(fd, &a.addr.sa, &a.size), 0);
        close(fd);
        return a;
}

static void peer_start(bool proof) {
        char text[256];
        coap_str_const_t conf = { .s = (const uint8_t *) text };
        coap_address_t a = free_address();
        coap_resource_t *rd =
                coap_resource_init(coap_make_str_const("rd"), COAP_RESOURCE_FLAGS_OSCORE_ONLY);

        memset(&peer, 0, sizeof(peer));
        coap_startup();
        conf.length = (size_t) snprintf(text, sizeof(text),
                                        "master_secret,hex,\"" SECRET "\"\n"
                                        "sender_id,ascii,\"s\"\nrecipient_id,ascii,\"c\"\n"
                                        "rfc8613_b_1_2,bool,%s\n",
                                        proof ? "true" : "false");
        peer.context = coap_new_context(NULL);
        peer.port = ntohs(a.addr.sin.sin_port);
        assert_non_null(coap_new_endpoint(peer.context, &a, COAP_PROTO_UDP));
        assert_int_equal(
                coap_context_oscore_server(peer.context, coap_new_oscore_conf(conf, NULL, NULL, 0)),
                1);
        coap_register_request_handler(rd, COAP_REQUEST_POST, on_post);
        coap_add_resource(peer.context, rd);
        coap_register_response_handler(peer.context, on_answer);
}

static void peer_stop(void) {
        coap_session_release(peer.session);
        coap_free_context(peer.context);
}

static void pump_until(Fixture *f, const void *flag, size_t n_flag) {
        for (unsigned i = 0; i < 1000; i++) {
                coap_io_process(peer.context, COAP_IO_NO_WAIT);
                if (run_for(f, 5, flag, n_flag))
                        return;
        }
        fail();
}
#define pump(f, variable) pump_until((f), &(variable), sizeof(variable))

static void peer_ask(coap_pdu_code_t code, const char *token, const char *path, int observe) {
        coap_pdu_t *pdu = coap_new_pdu(COAP_MESSAGE_CON, code, peer.session);
        g_auto(GStrv) parts = g_strsplit(path, "/", -1);

        peer.n_answers = 0;
        coap_add_token(pdu, strlen(token), (const uint8_t *) token);
        if (observe >= 0)
                coap_add_option(pdu, COAP_OPTION_OBSERVE, 0, NULL);
        for (char **p = parts; *p; p++)
                coap_add_option(pdu, COAP_OPTION_URI_PATH, strlen(*p), (const uint8_t *) *p);
        assert_true(coap_send(peer.session, pdu) != COAP_INVALID_MID);
}

/* --- ours --- */

static char *folder;

static Credentials *credentials(void) {
        Credentials *c = credentials_new(SECURITY_MODE_NOSEC);
        OscoreKeys *k = c->oscore = oscore_keys_new();

        g_bytes_unref(k->secret);
        assert_int_equal(credentials_parse("hex:" SECRET, strlen("hex:" SECRET), &k->secret), 0);
        g_bytes_unref(k->sender_id);
        k->sender_id = g_bytes_new("c", 1);
        g_bytes_unref(k->recipient_id);
        k->recipient_id = g_bytes_new("s", 1);
        return c;
}

static Fixture *connect_to_peer(void) {
        Fixture *f = fixture_new(&(CoapConfig){ .state_directory = folder });
        g_autofree char *uri = g_strdup_printf("coap://127.0.0.1:%u", peer.port);
        g_autoptr(Credentials) c = credentials();
        LinkConfig config = { .uri = uri, .ssid = 1, .credentials = c };

        assert_int_equal(f->ops->open(f->transport, &config, &fixture_events, f, &f->link), 0);
        pump(f, f->up);
        return f;
}

static void post(Fixture *f, const char *text) {
        static const char *const path[] = { "rd", NULL };
        g_autoptr(GBytes) body = g_bytes_new(text, strlen(text));
        Message m = MESSAGE_INIT(METHOD_POST);
        Call *call;

        f->answers = 0;
        m.path = path;
        m.payload = body;
        assert_int_equal(f->ops->request(f->link, &m, fixture_on_response, f, &call), 0);
        pump(f, f->answers);
        assert_int_equal(f->error, 0);
        assert_int_equal(f->answer.code, CODE(2, 1));
        assert_string_equal(f->answer_path, "rd/5");
        assert_string_equal(peer.asked, text);
}

static void test_both_ways(void **state) {
        g_autofree char *large = g_strnfill(BODY, 'x');
        Fixture *f;

        peer_start(false);
        f = connect_to_peer();
        post(f, "hello");
        post(f, large);
        assert_int_equal(peer.n_requests, 2);
        f->body = g_bytes_new("21.5", 4);
        for (unsigned i = 0; i < 5; i++) {
                peer_ask(COAP_REQUEST_CODE_GET, "T", "3303/0/5700", -1);
                pump(f, peer.n_answers);
                assert_int_equal(peer.code, CODE(2, 5));
                assert_string_equal(peer.answer, "21.5");
        }
        assert_int_equal(f->n_requests, 5);
        peer_ask(COAP_REQUEST_CODE_POST, "P", "3/0/4", -1);
        pump(f, peer.n_answers);
        assert_int_equal(peer.code, CODE(2, 4));
        fixture_free(f);
        peer_stop();
}

static void test_observation(void **state) {
        g_autoptr(GBytes) news = g_bytes_new("22", 2);
        Message m = MESSAGE_INIT(CODE(2, 5));
        Asked *asked;
        Fixture *f;
        Call *call;

        peer_start(false);
        f = connect_to_peer();
        post(f, "hello");
        f->keep = true;
        peer_ask(COAP_REQUEST_CODE_GET, "OBS", "3303/0/5700", 0);
        pump(f, f->asked.length);
        asked = g_queue_peek_head(&f->asked);
        assert_int_equal(asked->m.observe, 0);
        assert_non_null(asked->request_key);
        m.observe = 1;
        m.payload = news;
        f->ops->respond(asked->exchange, &m);
        pump(f, peer.n_answers);
        assert_true(peer.observe);
        for (int i = 2; i < 5; i++) {
                peer.n_answers = 0;
                f->answers = 0;
                m.token = asked->token;
                m.request_key = asked->request_key;
                m.observe = i;
                m.confirmable = i % 2;
                assert_int_equal(f->ops->notify(f->link, &m, fixture_on_notified, f, &call), 0);
                pump(f, peer.n_answers);
                assert_int_equal(peer.code, CODE(2, 5));
                assert_string_equal(peer.answer, "22");
                pump(f, f->answers);
        }
        /* Of other keys, or of none: it ends. */
        m.request_key = news;
        assert_int_equal(f->ops->notify(f->link, &m, fixture_on_notified, f, &call), -ESTALE);
        pump(f, f->n_resets);
        assert_int_equal(g_bytes_get_size(f->reset_token), 3);
        m.request_key = NULL;
        assert_int_equal(f->ops->notify(f->link, &m, fixture_on_notified, f, &call), -ESTALE);
        fixture_free(f);
        peer_stop();
}

/* It has restarted and cannot tell what it has seen: the first request is answered with Echo. */
static void test_proof(void **state) {
        Fixture *f;

        peer_start(true);
        f = connect_to_peer();
        post(f, "hello");
        post(f, "again");
        assert_int_equal(peer.n_requests, 2);
        fixture_free(f);
        peer_stop();
}

static int make_folder(void **state) {
        folder = g_dir_make_tmp("oscore-XXXXXX", NULL);
        return folder ? 0 : -1;
}

static int remove_folder(void **state) {
        g_autofree char *command = g_strdup_printf("rm -rf '%s'", folder);
        int r = system(command);

        g_free(folder);
        return r;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_both_ways, make_folder, remove_folder),
                cmocka_unit_test_setup_teardown(test_observation, make_folder, remove_folder),
                cmocka_unit_test_setup_teardown(test_proof, make_folder, remove_folder),
        };

        if (!coap_oscore_is_supported()) {
                fputs("this libcoap is built without OSCORE\n", stderr);
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void) {
        fputs("this libcoap has no OSCORE (4.3.2 or newer has)\n", stderr);
        return 77;
}

#endif
