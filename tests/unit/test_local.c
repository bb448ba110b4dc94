/* SPDX-License-Identifier: Apache-2.0 */
/* The local end of a link: address, interface, DSCP and mark, over real sockets. */
#include "coap_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <string.h>

#include "coap/link.h"

static void open_with(Fixture *f, const SocketOptions *options) {
        LinkConfig config = { .uri = f->server->uri, .ssid = 1, .socket = *options };

        assert_int_equal(f->ops->open(f->transport, &config, &fixture_events, f, &f->link), 0);
}

/* Opens the link, and the server hears of it. */
static Fixture *opened(const SocketOptions *options) {
        static const char *const path[] = { "hello", NULL };
        Fixture *f = fixture_new(NULL);
        Message m = MESSAGE_INIT(METHOD_GET);
        Call *call;

        m.path = path;
        open_with(f, options);
        run_until(f, f->up);
        assert_int_equal(f->ops->request(f->link, &m, fixture_on_response, f, &call), 0);
        g_free(server_receive(f));
        return f;
}

static int option(const Fixture *f, int level, int name) {
        int value = -1;
        socklen_t n = sizeof(value);

        assert_int_equal(getsockopt(f->link->socket_fd, level, name, &value, &n), 0);
        return value;
}

static void assert_client(const Fixture *f, const char *address) {
        const struct sockaddr_in *a =
                (const struct sockaddr_in *) (const void *) &f->server->client;

        assert_int_equal(a->sin_addr.s_addr, inet_addr(address));
}

static void test_bind(void **state) {
        Fixture *f = opened(&(SocketOptions){ .bind = "127.0.0.7" });

        assert_client(f, "127.0.0.7");
        fixture_free(f);
}

static void test_interface(void **state) {
        Fixture *f = opened(&(SocketOptions){ .interface = "lo" });
        char name[IFNAMSIZ] = "";
        socklen_t n = sizeof(name);

        assert_client(f, "127.0.0.1");
        assert_int_equal(getsockopt(f->link->socket_fd, SOL_SOCKET, SO_BINDTODEVICE, name, &n), 0);
        assert_string_equal(name, "lo");
        fixture_free(f);
}

/* ... with an address of its own choice. */
static void test_interface_and_address(void **state) {
        Fixture *f = opened(&(SocketOptions){ .interface = "lo", .bind = "127.0.0.9" });

        assert_client(f, "127.0.0.9");
        fixture_free(f);
}

static void test_dscp(void **state) {
        Fixture *f = opened(&(SocketOptions){ .dscp = 46 });

        assert_int_equal(option(f, IPPROTO_IP, IP_TOS), 46 << 2);
        fixture_free(f);
}

static void test_mark(void **state) {
        Fixture *f = fixture_new(NULL);

        open_with(f, &(SocketOptions){ .mark = 0x17 });
        run_for(f, 200, &f->up, sizeof(f->up));
        if (f->up)
                assert_int_equal(option(f, SOL_SOCKET, SO_MARK), 0x17);
        else /* not for everybody */
                assert_int_equal(f->down, -EPERM);
        fixture_free(f);
}

static void test_refused(void **state) {
        static const struct {
                SocketOptions options;
                int error;
                const char *text;
        } cases[] = {
                { { .bind = "192.0.2.1" }, -EADDRNOTAVAIL, "Bind=192.0.2.1: " },
                { { .bind = "::1" }, -EAFNOSUPPORT, "Bind=::1: the server has no IPv6 address" },
                { { .interface = "none-such" }, -ENODEV, "there is no such interface" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                Fixture *f = fixture_new(NULL);

                open_with(f, &cases[i].options);
                run_until(f, f->down);
                assert_int_equal(f->down, cases[i].error);
                assert_non_null(strstr(f->down_reason, cases[i].text));
                assert_false(f->up);
                fixture_free(f);
        }
}

/* A name with addresses of both families: the one that fits is taken. */
static void test_family(void **state) {
        Fixture *f = fixture_new(NULL);
        SocketOptions options = { .bind = "127.0.0.1" };
        g_autofree char *uri = g_strdup_printf("coap://localhost%s", strrchr(f->server->uri, ':'));
        LinkConfig config = { .uri = uri, .ssid = 1, .socket = options };

        assert_int_equal(f->ops->open(f->transport, &config, &fixture_events, f, &f->link), 0);
        run_until(f, f->up);
        assert_true(g_str_has_prefix(f->ops->peer(f->link), "127.0.0.1:"));
        fixture_free(f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bind),
                cmocka_unit_test(test_interface),
                cmocka_unit_test(test_interface_and_address),
                cmocka_unit_test(test_dscp),
                cmocka_unit_test(test_mark),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_family),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
