/* SPDX-License-Identifier: Apache-2.0 */
/* Security mode 4 as the whole client does it, on virtual time, with keys and certificates that are
 * plain texts: "key-3" is certified by "cert key-3 until 5000". */
#include "client_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lwm2m/bootstrap/bs_account.h"
#include "lwm2m/est/est_discover.h"
#include "lwm2m/est/est_place.h"
#include "lwm2m/est/est_record.h"

#define BS_URI "coaps://bs.example"
#define URI "coaps://a.example"
#define DAY (86400 * SEC)

/* --- cryptography --- */

static unsigned n_keys;
static EstCurve last_curve;

static GBytes *bytes_of(const char *text) {
        return credentials_bytes(text, strlen(text));
}

static char *text_of(GBytes *bytes) {
        gsize n = 0;
        const char *data = bytes ? g_bytes_get_data(bytes, &n) : NULL;

        return g_strndup(data ? data : "", n);
}

static int make_key(EstCurve curve, GBytes **ret, char **ret_error) {
        g_autofree char *text = g_strdup_printf("key-%u", ++n_keys);

        last_curve = curve;
        *ret = bytes_of(text);
        return 0;
}

static int make_request(GBytes *key, const char *common_name, const EstAttributes *attributes,
                        GBytes **ret, char **ret_error) {
        g_autofree char *k = text_of(key), *text = g_strdup_printf("%s for %s", k, common_name);

        *ret = bytes_of(text);
        return 0;
}

static int read_attributes(GBytes *body, EstAttributes *ret, char **ret_error) {
        g_autofree char *text = text_of(body);

        if (strcmp(text, "p384") != 0) {
                *ret_error = g_strdup("the attributes are not CsrAttrs");
                return -EBADMSG;
        }
        *ret = (EstAttributes){ .has_curve = true, .curve = EST_P384 };
        return 0;
}

static int read_authorities(GBytes *body, int format, GBytes **ret, char **ret_error) {
        g_autofree char *text = text_of(body);

        if (!g_str_has_prefix(text, "ca")) {
                *ret_error = g_strdup("no authorities");
                return -EBADMSG;
        }
        *ret = g_bytes_ref(body);
        return 0;
}

static int read_certificate(const EstAnswer *answer, EstCertificate **ret, char **ret_error) {
        g_autofree char *text = text_of(answer->body), *key = text_of(answer->key), *of = NULL;
        EstCertificate *c;
        long until;

        of = g_strdup_printf("cert %s until ", key);
        if (!g_str_has_prefix(text, of)) {
                *ret_error = g_strdup("the certificate is for another key than ours");
                return -EKEYREJECTED;
        }
        until = strtol(text + strlen(of), NULL, 10);
        c = g_new0(EstCertificate, 1);
        c->chain = g_bytes_ref(answer->body);
        c->not_before_sec = answer->now_sec;
        c->not_after_sec = answer->now_sec + until;
        c->subject = g_strdup("subject");
        c->issuer = g_strdup("issuer");
        *ret = c;
        return 0;
}

static const EstCryptoOps crypto = {
        .make_key = make_key,
        .make_request = make_request,
        .read_attributes = read_attributes,
        .read_authorities = read_authorities,
        .read_certificate = read_certificate,
};

/* --- a bed with a bootstrap server's account and a server in mode 4 --- */

static void add_bootstrap(Bed *b, const char *uri) {
        g_autoptr(Credentials) c = credentials_new(SECURITY_MODE_X509);
        ServerAccount account = { .uri = uri, .bootstrap = true };
        g_autofree char *error = NULL;

        g_bytes_unref(c->identity);
        g_bytes_unref(c->secret);
        g_bytes_unref(c->peer);
        c->identity = bytes_of("birth");
        c->secret = bytes_of("birth-key");
        c->peer = bytes_of("factory");
        account.credentials = strncmp(uri, "coaps", 5) == 0 ? c : NULL;
        if (client_add_account(b->client, &account, &error, b->now) < 0)
                fail_msg("%s", error);
}

static void add_server(Bed *b, uint16_t ssid) {
        g_autoptr(Credentials) c = credentials_new(SECURITY_MODE_EST);
        ServerAccount account = {
                .uri = URI, .ssid = ssid, .lifetime_sec = 86400, .credentials = c
        };
        g_autofree char *error = NULL;

        if (client_add_account(b->client, &account, &error, b->now) < 0)
                fail_msg("%s", error);
}

static Bed *boot(void) {
        Bed *b = bed_new();

        n_keys = 0;
        fake_store_clear();
        b->est = &crypto;
        bed_boot(b);
        return b;
}

static Bed *started(void) {
        Bed *b = boot();

        add_bootstrap(b, BS_URI);
        add_server(b, 1);
        bed_log(b, "+0 +1");
        bed_start(b);
        return b;
}

static Link *est_link(const Bed *b) {
        for (guint i = 0; i < b->transport->links->len; i++) {
                Link *l = b->transport->links->pdata[i];

                if (strcmp(l->uri, BS_URI) == 0)
                        return l;
        }
        return NULL;
}

static Call *est_call(const Bed *b) {
        Call *c = fake_open_call(b->transport, 0);

        assert_non_null(c);
        assert_ptr_equal(c->link, est_link(b));
        return c;
}

static void expect(const Bed *b, uint8_t method, const char *path, const char *body) {
        const FakeMessage *m = &est_call(b)->message;

        assert_int_equal(m->code, method);
        assert_string_equal(m->path, path);
        assert_string_equal(fake_text(m), body);
}

static void respond(Bed *b, uint8_t code, const char *body, int64_t max_age) {
        Message m = MESSAGE_INIT(code);

        m.payload = body ? bytes_of(body) : NULL;
        m.max_age = max_age;
        fake_call_respond(est_call(b), &m, b->now);
        g_clear_pointer(&m.payload, g_bytes_unref);
        bed_advance(b, 0);
}

static void up(Bed *b) {
        Link *l = est_link(b);

        if (l)
                l->events.up(l->owner, b->now);
        else
                fail();
        bed_advance(b, 0);
}

/* Up to the request for the certificate, which is under way then. */
static void ask(Bed *b) {
        up(b);
        expect(b, METHOD_GET, "/.well-known/est/crts", "");
        respond(b, CODE(2, 5), "ca", -1);
        expect(b, METHOD_GET, "/.well-known/est/att", "");
        respond(b, CODE(4, 4), NULL, -1);
}

static void enrol(Bed *b, const char *certificate) {
        ask(b);
        respond(b, CODE(2, 4), certificate, -1);
        assert_null(est_link(b));
}

static void wait_link(Bed *b, unsigned max_sec) {
        for (unsigned i = 0; i < max_sec && !est_link(b); i++)
                bed_advance(b, SEC);
        assert_non_null(est_link(b));
}

static ServerInfo info_of(const Bed *b) {
        ServerInfo info;

        assert_int_equal(client_server_info(b->client, 1, &info), 0);
        return info;
}

static void test_before_registering(void **state) {
        Bed *b = started();

        /* Nothing goes to the server before there is a certificate. */
        assert_int_equal(b->transport->links->len, 1);
        assert_string_equal(((const Link *) b->transport->links->pdata[0])->uri, BS_URI);
        assert_string_equal(bed_state(b, 1), "enrolling");
        assert_string_equal(client_state(b->client), "registering");
        ask(b);
        expect(b, METHOD_POST, "/.well-known/est/sen", "key-1 for dev");
        assert_int_equal(est_call(b)->message.format, EST_FORMAT_REQUEST);
        assert_int_equal(est_call(b)->message.accept, EST_FORMAT_CERTS);
        respond(b, CODE(2, 4), "cert key-1 until 10000", -1);
        assert_null(est_link(b));
        bed_log(b, "est-enrolled@1");
        assert_non_null(strstr(b->details, "until=1764010000"));
        bed_register(b, 1);
        assert_string_equal(info_of(b).enrolled_by, "issuer");
        assert_string_equal(info_of(b).security, "est");
        assert_int_equal(fake_store_count("est-"), 1);
        bed_free(b);
}

/* kill -9 at any time: the key is there with its certificate, or neither is. */
static void test_kept_as_one(void **state) {
        Bed *b = started();
        g_autoptr(EstRecord) r = NULL;
        g_autofree char *key = NULL, *chain = NULL;

        ask(b);
        bed_kill(b, 1);
        assert_int_equal(fake_store_count("est-"), 0);
        bed_start(b);
        enrol(b, "cert key-2 until 10000");
        bed_kill(b, 1); /* in the moment it was told */
        r = est_record_load(fake_store, 1);
        assert_non_null(r);
        key = text_of(r->key);
        chain = text_of(r->certificate->chain);
        assert_string_equal(key, "key-2");
        assert_string_equal(chain, "cert key-2 until 10000");
        bed_start(b);
        assert_null(est_link(b));
        bed_register(b, 1);
        bed_free(b);
}

static void test_disk_is_full(void **state) {
        Bed *b = started();

        ask(b);
        fake_store_error = -ENOSPC;
        respond(b, CODE(2, 4), "cert key-1 until 10000", -1);
        fake_store_error = 0;
        assert_string_equal(bed_state(b, 1), "failed");
        assert_non_null(strstr(info_of(b).last_error_text, "cannot be kept"));
        assert_int_equal(info_of(b).enrolled_until_ns, 0);
        assert_int_equal(client_sync(b->client), 0);
        assert_int_equal(fake_store_count("est-"), 0);
        /* With the same key: the server may know it. */
        bed_advance(b, 20 * SEC);
        ask(b);
        expect(b, METHOD_POST, "/.well-known/est/sen", "key-1 for dev");
        respond(b, CODE(2, 4), "cert key-1 until 10000", -1);
        bed_register(b, 1);
        bed_free(b);
}

/* 99991231235959Z: not a number of nanoseconds that 64 bits have. */
static void test_for_ever(void **state) {
        Bed *b = started();

        enrol(b, "cert key-1 until 251638300799");
        bed_log(b, "est-enrolled@1");
        assert_non_null(strstr(b->details, "until=9223372036000000000"));
        assert_true(info_of(b).enrolled_until_ns == INT64_C(9223372036000000000));
        bed_register(b, 1);
        bed_advance(b, DAY / 2);
        assert_null(est_link(b));
        assert_string_equal(bed_state(b, 1), "registered");
        bed_free(b);
}

static void test_renewal(void **state) {
        Bed *b = started();

        enrol(b, "cert key-1 until 10000");
        bed_register(b, 1);
        bed_log(b, "est-enrolled@1 registration-complete@1");
        bed_advance(b, 6000 * SEC);
        assert_null(est_link(b));
        wait_link(b, 650); /* 66 % or up to 5 % sooner */
        ask(b);
        expect(b, METHOD_POST, "/.well-known/est/sren", "key-2 for dev");
        respond(b, CODE(2, 4), "cert key-2 until 20000", -1);
        bed_log(b, "est-enrolled@1");
        /* The registration goes on as it is. */
        assert_string_equal(bed_state(b, 1), "registered");
        assert_non_null(bed_link(b, 1));
        bed_free(b);
}

/* The old certificate is used as long as it is valid, and not longer. */
static void test_renewal_that_fails(void **state) {
        Bed *b = started();

        enrol(b, "cert key-1 until 10000");
        bed_register(b, 1);
        wait_link(b, 6650);
        ask(b);
        respond(b, CODE(2, 4), "cert key-9 until 20000", -1);
        bed_log(b, "est-enrolled@1 registration-complete@1 est-failed@1");
        assert_string_equal(bed_state(b, 1), "registered");
        assert_string_equal(info_of(b).enrolling, "retrying");
        assert_string_equal(info_of(b).last_error_text,
                            "the certificate is for another key than ours");
        assert_true(info_of(b).enrolled_until_ns == (WALL_START_SEC + 10000) * 1000000000);
        client_pause(b->client, b->now);
        client_resume(b->client, b->now);
        bed_advance(b, 0);
        assert_non_null(bed_link(b, 1));
        client_pause(b->client, b->now);
        bed_advance(b, 4000 * SEC); /* it ends meanwhile */
        client_resume(b->client, b->now);
        bed_advance(b, 0);
        assert_string_equal(info_of(b).last_error_code, "no-key");
        assert_string_equal(bed_state(b, 1), "failed");
        /* And with the next one at once. It is asked for with what we began with. */
        ask(b);
        expect(b, METHOD_POST, "/.well-known/est/sen", "key-2 for dev");
        respond(b, CODE(2, 4), "cert key-2 until 20000", -1);
        assert_non_null(bed_link(b, 1));
        bed_free(b);
}

/* However a certificate is dated: the EST server is not asked again and again. */
static void test_no_storm(void **state) {
        Bed *b = started();

        enrol(b, "cert key-1 until 1");
        bed_advance(b, 59 * SEC);
        assert_null(est_link(b));
        bed_advance(b, 1 * SEC);
        enrol(b, "cert key-2 until -5");
        bed_advance(b, 59 * SEC);
        assert_null(est_link(b));
        bed_advance(b, 1 * SEC);
        assert_non_null(est_link(b));
        bed_free(b);
}

static void test_refused(void **state) {
        Bed *b = started();

        ask(b);
        respond(b, CODE(4, 3), "not on the list", -1);
        bed_log(b, "est-failed@1");
        assert_string_equal(info_of(b).last_error_code, "4.03");
        assert_string_equal(info_of(b).last_error_text, "not on the list");
        assert_non_null(strstr(b->details, "retry-at="));
        assert_int_equal(client_enrol(b->client, 1, b->now), 0);
        bed_advance(b, 0);
        assert_int_equal(client_enrol(b->client, 1, b->now), -EALREADY);
        ask(b); /* another key: this one was refused */
        expect(b, METHOD_POST, "/.well-known/est/sen", "key-2 for dev");
        respond(b, CODE(2, 4), "cert key-2 until 10000", -1);
        bed_register(b, 1);
        assert_string_equal(info_of(b).last_error_text, "");
        bed_free(b);
}

/* 5.03: the same request again, over a restart, too. */
static void test_delayed(void **state) {
        Bed *b = started();

        ask(b);
        respond(b, CODE(5, 3), NULL, 3600);
        bed_log(b, "est-delayed@1");
        assert_string_equal(bed_state(b, 1), "enrolling");
        bed_advance(b, 3599 * SEC);
        assert_null(est_link(b));
        bed_advance(b, SEC);
        ask(b);
        expect(b, METHOD_POST, "/.well-known/est/sen", "key-1 for dev");
        respond(b, CODE(5, 3), NULL, 3600);
        bed_kill(b, 10);
        bed_start(b);
        ask(b);
        expect(b, METHOD_POST, "/.well-known/est/sen", "key-1 for dev");
        respond(b, CODE(2, 4), "cert key-1 until 10000", -1);
        bed_register(b, 1);
        /* Kept for a renewal, too, beside the certificate there is. */
        assert_int_equal(client_enrol(b->client, 1, b->now), 0);
        ask(b);
        expect(b, METHOD_POST, "/.well-known/est/sren", "key-2 for dev");
        respond(b, CODE(5, 3), NULL, 3600);
        bed_kill(b, 10);
        bed_start(b);
        assert_non_null(bed_link(b, 1));
        assert_int_equal(client_enrol(b->client, 1, b->now), 0);
        ask(b);
        expect(b, METHOD_POST, "/.well-known/est/sren", "key-2 for dev");
        bed_free(b);
}

/* A server that says "come back at once" for ever does not keep us at handshakes. */
static void test_delayed_for_ever(void **state) {
        Bed *b = started();
        unsigned n = 0;

        for (unsigned i = 0; i < 3600; i++) {
                if (est_link(b)) {
                        ask(b);
                        respond(b, CODE(5, 3), NULL, 0);
                        n++;
                }
                bed_advance(b, SEC);
        }
        assert_in_range(n, 50, 70);
        /* Who asks for it gets it at once, and then at the server's pace again. */
        assert_int_equal(client_enrol(b->client, 1, b->now), 0);
        ask(b);
        respond(b, CODE(5, 3), NULL, 0);
        wait_link(b, 2);
        bed_free(b);
}

static void test_attributes(void **state) {
        Bed *b = started();

        up(b);
        respond(b, CODE(2, 5), "ca", -1);
        respond(b, CODE(2, 5), "nonsense", -1);
        assert_string_equal(bed_state(b, 1), "failed");
        bed_advance(b, 20 * SEC);
        up(b);
        respond(b, CODE(2, 5), "ca", -1);
        respond(b, CODE(2, 5), "p384", -1);
        assert_int_equal(last_curve, EST_P384);
        bed_free(b);
}

/* A server that has single certificates only says so: 4.06. */
static void test_single(void **state) {
        Bed *b = started();

        ask(b);
        respond(b, CODE(4, 6), NULL, -1);
        expect(b, METHOD_POST, "/.well-known/est/sen", "key-1 for dev");
        assert_int_equal(est_call(b)->message.accept, EST_FORMAT_CERT);
        respond(b, CODE(4, 6), NULL, -1);
        assert_string_equal(info_of(b).last_error_code, "4.06");
        bed_free(b);
}

/* It is not where it is used to be: RFC 9148, section 4.1. */
static void test_discovery(void **state) {
        Bed *b = started();

        up(b);
        expect(b, METHOD_GET, "/.well-known/est/crts", "");
        respond(b, CODE(4, 4), NULL, -1);
        expect(b, METHOD_GET, "/.well-known/core", "");
        assert_string_equal(est_call(b)->message.query, "rt=ace.est*");
        respond(b, CODE(2, 5), "</e/sen>;rt=\"ace.est.sen\";ct=\"281 287\"", -1);
        expect(b, METHOD_GET, "/e/crts", "");
        respond(b, CODE(2, 5), "ca", -1);
        respond(b, CODE(4, 4), NULL, -1);
        expect(b, METHOD_POST, "/e/sen", "key-1 for dev");
        respond(b, CODE(2, 4), "cert key-1 until 10000", -1);
        bed_register(b, 1);
        /* Looked for again each time. */
        assert_int_equal(client_enrol(b->client, 1, b->now), 0);
        up(b);
        expect(b, METHOD_GET, "/.well-known/est/crts", "");
        respond(b, CODE(4, 4), NULL, -1);
        respond(b, CODE(2, 5), "</x>;rt=\"other\"", -1);
        assert_string_equal(info_of(b).last_error_text, "the server has no resources for EST");
        bed_free(b);
}

static void test_links(void **state) {
        static const struct {
                const char *links, *path; /* NULL: none */
                int error;
        } cases[] = {
                { "</est/sen>;rt=\"ace.est.sen\"", "est", 0 },
                { "</est>;rt=ace.est.sen", "est", 0 },
                { "</a/b/sen>;rt=\"x ace.est.sen y\",</c>", "a/b", 0 },
                { "</est/crts>;rt=\"ace.est.crts\",</f/sen>;rt=\"ace.est.sen\"", "f", 0 },
                { "<coaps://else.example/est/sen>;rt=\"ace.est.sen\"", NULL, -ENOENT },
                { "<//else.example/sen>;rt=\"ace.est.sen\"", NULL, -ENOENT },
                { "</est/sen>;rt=\"ace.est.senx\"", NULL, -ENOENT },
                { "</est/sen>;rt", NULL, -ENOENT },
                { "</>;rt=\"ace.est.sen\"", NULL, -ENOENT },
                { "<>;rt=\"ace.est.sen\"", NULL, -ENOENT },
                { "", NULL, -ENOENT },
                { "</a/%2e/sen>;rt=\"ace.est.sen\"", NULL, -EBADMSG },
                { "</a//sen>;rt=\"ace.est.sen\"", NULL, -EBADMSG },
                { "</1/2/3/4/5/6/7/8/9/sen>;rt=\"ace.est.sen\"", NULL, -EBADMSG },
                { "</a", NULL, -EBADMSG },
                { "nonsense", NULL, -EBADMSG },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GBytes) body = g_bytes_new(cases[i].links, strlen(cases[i].links));
                g_autofree char *joined = NULL;
                g_auto(GStrv) path = NULL;

                assert_int_equal(est_discover(body, &path), cases[i].error);
                joined = path ? g_strjoinv("/", path) : NULL;
                if (g_strcmp0(joined, cases[i].path) != 0)
                        fail_msg("'%s': '%s'", cases[i].links, joined);
        }
}

/* The EST server takes the present certificate no more: what we began with may still do. */
static void test_back_to_the_first_keys(void **state) {
        Bed *b = started();

        enrol(b, "cert key-1 until 10000");
        bed_register(b, 1);
        assert_int_equal(client_enrol(b->client, 1, b->now), 0);
        ask(b);
        expect(b, METHOD_POST, "/.well-known/est/sren", "key-2 for dev");
        respond(b, CODE(4, 3), NULL, -1);
        bed_advance(b, 20 * SEC);
        ask(b);
        expect(b, METHOD_POST, "/.well-known/est/sen", "key-3 for dev");
        respond(b, CODE(4, 3), NULL, -1);
        bed_advance(b, 40 * SEC);
        ask(b); /* in turn */
        expect(b, METHOD_POST, "/.well-known/est/sren", "key-4 for dev");
        bed_free(b);
}

static void test_too_large(void **state) {
        Bed *b = started();
        g_autofree char *large = g_strnfill(EST_BODY_MAX + 1, 'c');

        up(b);
        respond(b, CODE(2, 5), large, -1);
        assert_string_equal(bed_state(b, 1), "failed");
        assert_non_null(strstr(info_of(b).last_error_text, "EstBody"));
        bed_advance(b, 20 * SEC);
        up(b);
        fake_call_end(est_call(b), -EFBIG, b->now); /* the transport has seen it */
        assert_non_null(strstr(info_of(b).last_error_text, "EstBody"));
        bed_free(b);
}

static void test_no_server(void **state) {
        Bed *b = boot();

        add_server(b, 1);
        bed_start(b);
        bed_log(b, "+1 est-failed@1");
        assert_string_equal(info_of(b).enrolling, "given-up");
        assert_non_null(strstr(info_of(b).last_error_text, "no EST server is known"));
        bed_advance(b, DAY);
        bed_log(b, "");
        add_bootstrap(b, "coap://bs.example");
        bed_advance(b, 0);
        assert_string_equal(info_of(b).enrolling, "given-up");
        assert_int_equal(client_remove_account(b->client, BS_SSID, b->now), 0);
        add_bootstrap(b, BS_URI);
        bed_advance(b, 0);
        enrol(b, "cert key-1 until 10000");
        bed_register(b, 1);
        bed_free(b);
}

static void test_not_in_this_build(void **state) {
        Bed *b = bed_new();

        fake_store_clear();
        bed_boot(b);
        add_bootstrap(b, BS_URI);
        add_server(b, 1);
        bed_start(b);
        assert_string_equal(bed_state(b, 1), "failed");
        assert_non_null(strstr(info_of(b).last_error_text, "this build has no EST"));
        bed_free(b);
}

static void test_account_that_goes(void **state) {
        Bed *b = started();

        bed_add(b, 3, "coap://c.example", 60); /* or there would be a bootstrap */
        enrol(b, "cert key-1 until 10000");
        bed_register(b, 1);
        assert_int_equal(fake_store_count("est-"), 1);
        assert_int_equal(client_remove_account(b->client, 1, b->now), 0);
        bed_answer(b, 1, CODE(2, 2), NULL);
        assert_int_equal(fake_store_count("est-"), 0);
        /* Half of it lost by a crash: the rest goes at the next start. */
        add_server(b, 1);
        enrol(b, "cert key-2 until 10000");
        fake_store_set("est-7", g_bytes_ref(fake_store_get("est-1")));
        bed_reboot(b, 1);
        assert_int_equal(fake_store_count("est-"), 1);
        assert_null(fake_store_get("est-7"));
        bed_free(b);
}

static void test_damaged(void **state) {
        Bed *b = started();

        enrol(b, "cert key-1 until 10000");
        fake_store_set("est-1", g_bytes_new_static("\0\0\0\1nonsense", 12));
        bed_reboot(b, 1);
        bed_start(b);
        assert_string_equal(bed_state(b, 1), "enrolling");
        enrol(b, "cert key-2 until 10000");
        bed_register(b, 1);
        bed_free(b);
}

/* A certificate names an endpoint: another one needs another. */
static void test_other_endpoint(void **state) {
        Bed *b = started();

        enrol(b, "cert key-1 until 10000");
        bed_register(b, 1);
        client_stop(b->client, true, NULL, NULL, b->now);
        bed_advance(b, 0);
        assert_int_equal(client_start(b->client, "urn:dev:2", b->now), 0);
        bed_advance(b, 0);
        assert_string_equal(bed_state(b, 1), "enrolling");
        ask(b);
        expect(b, METHOD_POST, "/.well-known/est/sen", "key-2 for urn:dev:2");
        bed_free(b);
}

/* A user has de-registered: a renewal does not bring the server back. */
static void test_renewal_of_a_server_at_rest(void **state) {
        Bed *b = started();

        enrol(b, "cert key-1 until 10000");
        bed_register(b, 1);
        assert_int_equal(client_deregister(b->client, 1, b->now), 0);
        bed_answer(b, 1, CODE(2, 2), NULL);
        wait_link(b, 6650);
        enrol(b, "cert key-2 until 10000");
        bed_advance(b, 60 * SEC);
        assert_string_equal(bed_state(b, 1), "idle");
        assert_null(bed_link(b, 1));
        bed_free(b);
}

static void test_clock_not_set(void **state) {
        Bed *b = boot();

        b->config.dates_need_clock = true;
        bed_reboot(b, 0);
        fake_wall_offset_ns = -(WALL_START_SEC - 100) * 1000000000; /* 1970 */
        add_bootstrap(b, BS_URI);
        add_server(b, 1);
        bed_start(b);
        enrol(b, "cert key-1 until 10000");
        bed_register(b, 1);
        bed_advance(b, 2 * DAY); /* no date counts */
        assert_null(est_link(b));
        /* Now it is: the certificate is of 1970, and another is asked for at the next look. */
        fake_wall_offset_ns = 0;
        bed_advance(b, 6 * 3600 * SEC);
        assert_non_null(est_link(b));
        fake_wall_offset_ns = 0;
        bed_free(b);
}

static void test_paused(void **state) {
        Bed *b = started();

        client_pause(b->client, b->now);
        assert_null(est_link(b));
        add_server(b, 2);
        bed_advance(b, DAY);
        assert_null(est_link(b));
        assert_int_equal(client_enrol(b->client, 1, b->now), -ENOTCONN);
        assert_int_equal(client_resume(b->client, b->now), 0);
        bed_advance(b, 0);
        assert_string_equal(bed_state(b, 1), "enrolling");
        assert_string_equal(bed_state(b, 2), "enrolling");
        client_stop(b->client, true, NULL, NULL, b->now);
        bed_advance(b, 0);
        assert_null(est_link(b));
        assert_int_equal(client_enrol(b->client, 1, b->now), -ESHUTDOWN);
        bed_free(b);
}

static void test_enrol_of_others(void **state) {
        Bed *b = boot();

        bed_add(b, 3, "coap://c.example", 60);
        bed_start(b);
        assert_int_equal(client_enrol(b->client, 3, b->now), -ENOTSUP);
        assert_int_equal(client_enrol(b->client, 4, b->now), -ENOENT);
        bed_free(b);
}

/* --- place and record --- */

static void test_places(void **state) {
        static const struct {
                const char *uri, *base, *path;
        } good[] = {
                { "coaps://a", "coaps://a", ".well-known/est" },
                { "coaps://a/", "coaps://a", ".well-known/est" },
                { "coaps://a:61616/est", "coaps://a:61616", "est" },
                { "coaps+tcp://[::1]:1/.well-known/est/arbitraryLabel1/", "coaps+tcp://[::1]:1",
                  ".well-known/est/arbitraryLabel1" },
        };
        static const struct {
                const char *uri;
                int error;
        } bad[] = {
                { "coap://a", -EPROTONOSUPPORT },
                { "https://a/b", -EPROTONOSUPPORT },
                { "a", -EINVAL },
                { "coaps://", -EINVAL },
                { "coaps://a//b", -EINVAL },
                { "coaps://a/b?c", -EINVAL },
                { "coaps://a/%41", -EINVAL },
                { "coaps://a/1/2/3/4/5/6/7/8/9", -EINVAL },
                { "coaps://a:70000/b", -EINVAL },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
                g_autofree char *base = NULL, *joined = NULL, *error = NULL;
                g_auto(GStrv) path = NULL;

                assert_int_equal(est_place_parse(good[i].uri, &base, &path, &error), 0);
                joined = g_strjoinv("/", path);
                assert_string_equal(base, good[i].base);
                assert_string_equal(joined, good[i].path);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autofree char *base = NULL, *error = NULL;
                g_auto(GStrv) path = NULL;

                assert_int_equal(est_place_parse(bad[i].uri, &base, &path, &error), bad[i].error);
                assert_non_null(error);
                assert_null(base);
        }
}

static void test_record(void **state) {
        g_autoptr(EstRecord) r = est_record_new("dev"), back = NULL;
        g_autoptr(GBytes) bytes = NULL, again = NULL;
        const uint8_t *data;
        gsize n;

        r->key = bytes_of("k");
        r->authorities = bytes_of("a");
        r->pending = bytes_of("p");
        r->certificate = g_new0(EstCertificate, 1);
        r->certificate->chain = bytes_of("c");
        r->certificate->subject = g_strdup("s");
        r->certificate->issuer = g_strdup("");
        r->certificate->not_before_sec = -1;
        r->certificate->not_after_sec = INT64_MAX;
        bytes = est_record_pack(r);
        assert_int_equal(est_record_unpack(bytes, &back), 0);
        assert_true(back->certificate->not_before_sec == -1);
        assert_true(back->certificate->not_after_sec == INT64_MAX);
        again = est_record_pack(back);
        assert_true(g_bytes_equal(bytes, again));
        data = g_bytes_get_data(bytes, &n);
        for (gsize i = 0; i < n; i++) { /* cut anywhere: nothing of it counts */
                g_autoptr(GBytes) cut = g_bytes_new(data, i);
                EstRecord *none = NULL;

                assert_int_equal(est_record_unpack(cut, &none), -EBADMSG);
                assert_null(none);
        }
        /* A key without its certificate is a mixture. */
        g_clear_pointer(&r->certificate->chain, g_bytes_unref);
        g_clear_pointer(&bytes, g_bytes_unref);
        bytes = est_record_pack(r);
        est_record_free(back);
        back = NULL;
        assert_int_equal(est_record_unpack(bytes, &back), -EBADMSG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_before_registering),
                cmocka_unit_test(test_kept_as_one),
                cmocka_unit_test(test_disk_is_full),
                cmocka_unit_test(test_for_ever),
                cmocka_unit_test(test_renewal),
                cmocka_unit_test(test_renewal_that_fails),
                cmocka_unit_test(test_no_storm),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_delayed),
                cmocka_unit_test(test_delayed_for_ever),
                cmocka_unit_test(test_attributes),
                cmocka_unit_test(test_single),
                cmocka_unit_test(test_discovery),
                cmocka_unit_test(test_links),
                cmocka_unit_test(test_back_to_the_first_keys),
                cmocka_unit_test(test_too_large),
                cmocka_unit_test(test_no_server),
                cmocka_unit_test(test_not_in_this_build),
                cmocka_unit_test(test_account_that_goes),
                cmocka_unit_test(test_damaged),
                cmocka_unit_test(test_other_endpoint),
                cmocka_unit_test(test_renewal_of_a_server_at_rest),
                cmocka_unit_test(test_clock_not_set),
                cmocka_unit_test(test_paused),
                cmocka_unit_test(test_enrol_of_others),
                cmocka_unit_test(test_places),
                cmocka_unit_test(test_record),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
