/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include <errno.h>
#include <glib/gstdio.h>

#include "daemon/config.h"

typedef struct Folder {
        char *path, *file;
} Folder;

static Folder folder_new(void) {
        Folder f = { .path = g_dir_make_tmp("lwm2md-config-XXXXXX", NULL) };

        assert_non_null(f.path);
        f.file = g_build_filename(f.path, "lwm2md.conf", NULL);
        return f;
}

static void folder_write(const Folder *f, const char *name, const char *text) {
        g_autofree char *path = g_build_filename(f->path, name, NULL);
        g_autofree char *parent = g_path_get_dirname(path);

        assert_int_equal(g_mkdir_with_parents(parent, 0700), 0);
        assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void folder_clear(Folder *f) {
        const char *argv[] = { "rm", "-rf", f->path, NULL };

        assert_true(g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
                                 NULL, NULL, NULL));
        g_free(f->path);
        g_free(f->file);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Folder, folder_clear)

static void test_defaults(void **state) {
        g_auto(Folder) f = folder_new();
        g_autoptr(Config) c = NULL;
        g_autofree char *error = NULL;

        assert_int_equal(config_load(f.file, false, &c, &error), -ENOENT);
        assert_non_null(strstr(error, f.file));
        g_clear_pointer(&error, g_free);
        assert_int_equal(config_load(f.file, true, &c, &error), 0);
        assert_true(c->lifetime_sec == 86400 && c->update_early_sec == 10 &&
                    c->update_interval_sec == 15);
        assert_int_equal(c->version.major, 0);
        assert_null(c->endpoint);
        assert_true(c->body_bytes == 16 << 20);
}

static void test_everything(void **state) {
        g_auto(Folder) f = folder_new();
        g_autoptr(Config) c = NULL;
        g_autofree char *error = NULL;
        const ServerConfig *s;
        const SeedConfig *seed;

        folder_write(&f, "lwm2md.conf",
                     "# "
                     "comment\n[Client]\nEndpoint=urn:test:1\nVersion=1.2\nLifetime="
                     "10min\nQueueMode=yes\n"
                     "DeregisterTimeout=500ms\n[Server "
                     "a]\nUri=coap://h\nShortId=123\nLifetime=60\nBinding=UQ\n"
                     "SecurityMode=nosec\n[Objects]\nPath=/a;/b\n[Limits]\nBody=2M\n"
                     "[Persist]\nJournal=64K\n/3303=always\n[Values]\n/3/0/0=ACME\n/3442/0=\n");
        folder_write(&f, "lwm2md.conf.d/20.conf",
                     "[Values]\n/3/0/0=Other\n[Client]\nLifetime=1200\n");
        folder_write(&f, "lwm2md.conf.d/10.conf", "[Client]\nLifetime=900\n");
        folder_write(&f, "lwm2md.conf.d/30.txt", "not read\n");
        assert_int_equal(config_load(f.file, false, &c, &error), 0);

        assert_string_equal(c->endpoint, "urn:test:1");
        assert_true(c->version.major == 1 && c->version.minor == 2);
        assert_true(c->lifetime_sec == 1200 && c->queue_mode);
        assert_true(c->deregister_timeout_usec == 500000);
        assert_true(c->body_bytes == 2 << 20 && c->journal_bytes == 64 << 10);
        assert_int_equal(c->servers_list->len, 1);
        s = g_ptr_array_index(c->servers_list, 0);
        assert_string_equal(s->name, "a");
        assert_true(s->ssid == 123 && s->lifetime_sec == 60);
        assert_string_equal(c->object_paths[1], "/b");
        assert_int_equal(c->seeds->len, 2);
        seed = g_ptr_array_index(c->seeds, 1); /* the drop-in's took the place of the file's */
        assert_string_equal(seed->text, "Other");
        assert_true(g_str_has_suffix(seed->where, "20.conf:2"));
        assert_int_equal(g_array_index(c->persist, PersistConfig, 0).policy, PERSIST_ALWAYS);
}

static void test_access(void **state) {
        g_auto(Folder) f = folder_new();
        g_autoptr(Config) c = NULL, empty = NULL;
        g_autofree char *error = NULL;
        const AccessRule *rule;

        folder_write(&f, "lwm2md.conf", "[AccessControl]\nDefault=*:R\n/3303=*:RWE\n");
        folder_write(&f, "lwm2md.conf.d/20.conf", "[AccessControl]\n/3303=owner:101 *:R\n");
        assert_int_equal(config_load(f.file, false, &c, &error), 0);
        rule = access_policy_find(c->access, &PATH_OI(3303, 7));
        assert_int_equal(rule->owner, 101);
        assert_int_equal(access_rule_rights(rule, 102), ACCESS_READ);
        assert_int_equal(access_rule_rights(access_policy_find(c->access, &PATH_OI(3, 0)), 101),
                         ACCESS_READ);
        /* The group alone says something, too: nobody may do anything. */
        folder_write(&f, "lwm2md.conf", "[AccessControl]\n");
        folder_write(&f, "lwm2md.conf.d/20.conf", "");
        assert_int_equal(config_load(f.file, false, &empty, &error), 0);
        assert_non_null(empty->access);
        assert_null(access_policy_find(empty->access, &PATH_OI(3, 0)));
}

static const char *seed_text(const Config *c, const char *path) {
        for (guint i = 0; i < c->seeds->len; i++) {
                const SeedConfig *s = g_ptr_array_index(c->seeds, i);

                if (strcmp(PATH_TEXT(&s->path), path) == 0)
                        return s->text;
        }
        return "none";
}

static void test_send_scheduler(void **state) {
        static const char *const expected[][2] = {
                { "/10523/0/0", "false" },
                { "/10523/0/1", "100" },
                { "/10523/0/2", "600" },
                { "/10523/0/4", "false" },
                { "/10524/10000/0", "/4/0/2" },
                { "/10524/10000/1/0", "none" },
                { "/10524/10001/0", "/3303/0/5700" },
                { "/10524/10001/1/0", "pmin=60" },
                { "/10524/10001/1/1", "st=0.5" },
                { "/10524/10001/1/2", "none" },
                { "/10524/10002/0", "none" },
        };
        g_auto(Folder) f = folder_new();
        g_autoptr(Config) c = NULL, none = NULL, alone = NULL;
        g_autofree char *error = NULL;

        folder_write(&f, "lwm2md.conf",
                     "[SendScheduler]\nMaxSamples=7\nMaxAge=10min\n/3303/0/5700=gt=3\n/4/0/2=\n");
        folder_write(&f, "lwm2md.conf.d/20.conf",
                     "[SendScheduler]\nMaxSamples=100\nFlushOnUpdate=no\n"
                     "/3303/0/5700=pmin=60  st=0.5\n");
        assert_int_equal(config_load(f.file, false, &c, &error), 0);
        for (size_t i = 0; i < G_N_ELEMENTS(expected); i++)
                if (strcmp(seed_text(c, expected[i][0]), expected[i][1]) != 0)
                        fail_msg("%s: %s, expected %s", expected[i][0],
                                 seed_text(c, expected[i][0]), expected[i][1]);
        /* Without the group there is no scheduler; with it alone servers can give it rules. */
        folder_write(&f, "lwm2md.conf.d/20.conf", "");
        folder_write(&f, "lwm2md.conf", "");
        assert_int_equal(config_load(f.file, false, &none, &error), 0);
        assert_string_equal(seed_text(none, "/10523/0/0"), "none");
        folder_write(&f, "lwm2md.conf", "[SendScheduler]\n");
        assert_int_equal(config_load(f.file, false, &alone, &error), 0);
        assert_string_equal(seed_text(alone, "/10523/0/4"), "true");
}

static void test_queue(void **state) {
        g_auto(Folder) f = folder_new();
        g_autoptr(Config) c = NULL;
        g_autofree char *error = NULL;
        const ServerConfig *a, *b;

        folder_write(&f, "lwm2md.conf",
                     "[Server a]\nUri=coap://a\nShortId=1\nQueueMode=no\nQueueSocket=listen\n"
                     "[Server b]\nUri=coap://b\nShortId=2\nQueueAwakeTime=5s\n"
                     "[Client]\nQueueMode=yes\nQueueSocket=close\nQueueAwakeTime=2min\n");
        folder_write(&f, "lwm2md.conf.d/20.conf", "[Server a]\nQueueAtOnce=yes\n");
        if (config_load(f.file, false, &c, &error) < 0)
                fail_msg("%s", error);
        assert_true(c->queue_mode);
        assert_int_equal(c->queue_socket, QUEUE_SOCKET_CLOSE);
        assert_int_equal(c->queue_awake_usec, 120 * USEC_PER_SEC);
        a = g_ptr_array_index(c->servers_list, 0);
        assert_true(a->has_queue_mode && !a->queue_mode && a->queue_at_once);
        assert_int_equal(a->queue_socket, QUEUE_SOCKET_LISTEN);
        assert_int_equal(a->queue_awake_usec, 120 * USEC_PER_SEC);
        b = g_ptr_array_index(c->servers_list, 1);
        assert_false(b->has_queue_mode);
        assert_false(b->queue_at_once);
        assert_int_equal(b->queue_socket, QUEUE_SOCKET_CLOSE);
        assert_int_equal(b->queue_awake_usec, 5 * USEC_PER_SEC);
}

static Credentials *build(const ServerConfig *s, const char *folder, const char *problem) {
        g_autofree char *error = NULL;
        Credentials *c = NULL;
        int r = config_security_build(&s->security, folder, &c, &error);

        if ((r < 0) != (problem != NULL) || (problem && !strstr(error, problem)))
                fail_msg("%d, %s", r, error ? error : "no error");
        return c;
}

static void assert_bytes(GBytes *bytes, const void *data, size_t n) {
        assert_int_equal(g_bytes_get_size(bytes), n);
        assert_memory_equal(g_bytes_get_data(bytes, NULL), data, n);
}

static void test_security(void **state) {
        g_auto(Folder) f = folder_new();
        g_autofree char *error = NULL, *folder = g_path_get_dirname(f.file), *path = NULL;
        g_autoptr(Credentials) psk = NULL, file = NULL, x509 = NULL;
        g_autoptr(Config) c = NULL;

        folder_write(&f, "gw.psk", "base64:AAEC\n");
        folder_write(&f, "lwm2md.conf",
                     "[Server none]\nUri=coap://h\nShortId=1\n"
                     "[Server psk]\nUri=coaps://h\nShortId=2\nIdentity=hex:00ff\nKey=text\n"
                     "CipherSuites=TLS_PSK_WITH_AES_128_GCM_SHA256;tls_psk_with_aes_128_ccm_8\n"
                     "[Server file]\nUri=coaps://h\nShortId=3\nIdentity=me\nKeyFile=gw.psk\n"
                     "[Server x509]\nUri=coaps://h\nShortId=4\nSecurityMode=x509\n"
                     "CertificateFile=/c.pem\nKeyFile=/k.pem\nTrustFile=ca.pem\nSni=n\n"
                     "CertificateUsage=ca\nMatchingType=sha256\n"
                     "[Server both]\nUri=coaps://h\nShortId=5\nIdentity=a\nKey=b\nKeyFile=c\n"
                     "[Server bad]\nUri=coaps://h\nShortId=6\nIdentity=a\nKey=hex:0\n"
                     "[Server suite]\nUri=coaps://h\nShortId=7\nIdentity=a\nKey=b\n"
                     "CipherSuites=TLS_NULL_WITH_NULL_NULL\n"
                     "[Server usage]\nUri=coaps://h\nShortId=8\nCertificateFile=/c\nKeyFile=/k\n"
                     "ServerFile=/s\nCertificateUsage=any\n"
                     "[Server less]\nUri=coaps://h\nShortId=9\nSecurityMode=psk\nIdentity=a\n"
                     "[Client]\nHandshakeTimeout=5s\nTcpPing=2min\nTrustStore=/"
                     "ca\nDatesNeedClock=yes\n");
        path = g_build_filename(folder, "gw.psk", NULL);
        assert_int_equal(chmod(f.file, 0640), 0);
        assert_int_equal(chmod(path, 0644), 0);
        if (config_load(f.file, false, &c, &error) < 0)
                fail_msg("%s", error);
        assert_int_equal(c->handshake_usec, 5 * USEC_PER_SEC);
        assert_int_equal(c->tcp_ping_usec, 120 * USEC_PER_SEC);
        assert_string_equal(c->trust_store, "/ca");
        assert_true(c->dates_need_clock);
        assert_null(build(g_ptr_array_index(c->servers_list, 0), folder, NULL));

        psk = build(g_ptr_array_index(c->servers_list, 1), folder, NULL);
        assert_int_equal(psk->mode, SECURITY_MODE_PSK);
        assert_bytes(psk->identity, "\0\xff", 2);
        assert_bytes(psk->secret, "text", 4);
        assert_int_equal(psk->n_suites, 2);
        assert_int_equal(psk->suites[0], 0x00a8);
        assert_int_equal(psk->suites[1], 0xc0a8);

        build(g_ptr_array_index(c->servers_list, 2), folder, "open to all users");
        assert_int_equal(chmod(path, 0600), 0);
        file = build(g_ptr_array_index(c->servers_list, 2), folder, NULL);
        assert_bytes(file->secret, "\0\1\2", 3);
        build(g_ptr_array_index(c->servers_list, 2), "/nowhere", "No such file");

        x509 = build(g_ptr_array_index(c->servers_list, 3), folder, NULL);
        assert_int_equal(x509->mode, SECURITY_MODE_X509);
        assert_bytes(x509->identity, "file:/c.pem", 11); /* read at each connection */
        assert_bytes(x509->secret, "file:/k.pem", 11);
        assert_bytes(x509->peer, "file:ca.pem", 11);
        assert_int_equal(x509->usage, USAGE_CA_CONSTRAINT);
        assert_int_equal(x509->matching, MATCHING_SHA256);
        assert_string_equal(x509->sni, "n");

        build(g_ptr_array_index(c->servers_list, 4), folder, "either Key or KeyFile");
        build(g_ptr_array_index(c->servers_list, 5), folder, "Key: neither text");
        build(g_ptr_array_index(c->servers_list, 6), folder, "no cipher suite");
        build(g_ptr_array_index(c->servers_list, 7), folder, "no certificate usage");
        build(g_ptr_array_index(c->servers_list, 8), folder,
              "SecurityMode: needs KeyFile or Key beside it");
}

/* Keys without those they need, and what is told of it. */
static void test_partners(void **state) {
        static const struct {
                const char *keys, *told;
        } cases[] = {
                { "Identity=a\n", "4: [Server x] Identity: needs KeyFile or Key" },
                { "KeyFile=k\n", "4: [Server x] KeyFile: needs Identity" },
                { "CertificateFile=/c\n", "4: [Server x] CertificateFile: needs KeyFile" },
                { "Sni=n\nSecurityMode=x509\n",
                  "5: [Server x] SecurityMode: needs CertificateFile" },
                { "KeyFile=/k\nCertificateFile=/c\n",
                  "4: [Server x] KeyFile: needs TrustFile or ServerFile" },
                { "OscoreHkdf=HKDF-SHA-512\n", "4: [Server x] OscoreHkdf: needs OscoreSenderId" },
                { "OscoreSalt=s\nOscoreSenderId=c\n",
                  "5: [Server x] OscoreSenderId: needs OscoreRecipientId" },
                { "OscoreSenderId=c\nOscoreRecipientId=s\n",
                  "4: [Server x] OscoreSenderId: needs OscoreSecretFile or OscoreSecret" },
                { "OscoreRecipientId=hex:x\nOscoreSenderId=c\nOscoreSecretFile=/k\n",
                  "4: [Server x] OscoreRecipientId: neither text nor" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_auto(Folder) f = folder_new();
                g_autoptr(Config) c = NULL;
                g_autofree char *error = NULL, *told = NULL, *text = NULL;
                const ServerConfig *s;
                Credentials *none = NULL;

                text = g_strconcat("[Server x]\nUri=coap://h\nShortId=1\n", cases[i].keys, NULL);
                folder_write(&f, "lwm2md.conf", text);
                if (config_load(f.file, false, &c, &error) < 0)
                        fail_msg("%s", error);
                s = g_ptr_array_index(c->servers_list, 0);
                assert_true(config_security_build(&s->security, "/", &none, &error) < 0);
                told = config_security_explain(&s->security, c->where, "Server x", error);
                if (!strstr(told, cases[i].told))
                        fail_msg("%s: %s", cases[i].keys, told);
        }
}

static void test_sockets(void **state) {
        g_auto(Folder) f = folder_new();
        g_autoptr(Config) c = NULL;
        g_autofree char *error = NULL;
        const ServerConfig *a, *b;

        folder_write(&f, "lwm2md.conf",
                     "[Client]\nBind=192.0.2.7\nDscp=46\n"
                     "[Server a]\nUri=coap://a\nShortId=1\nBind=fe80::1%eth0\nInterface=eth0\n"
                     "Dscp=0\nMark=0x1F\n"
                     "[Server b]\nUri=coap://b\nShortId=2\n");
        if (config_load(f.file, false, &c, &error) < 0)
                fail_msg("%s", error);
        a = g_ptr_array_index(c->servers_list, 0);
        assert_string_equal(a->bind, "fe80::1%eth0");
        assert_string_equal(a->interface, "eth0");
        assert_true(a->dscp == 0 && a->mark == 31);
        b = g_ptr_array_index(c->servers_list, 1);
        assert_string_equal(b->bind, "192.0.2.7");
        assert_null(b->interface);
        assert_true(b->dscp == 46 && b->mark == 0);
}

/* Each bad file, and the line and words its message must have. */
static const struct {
        const char *text, *where, *what;
} bad[] = {
        { "[AccessControl]\nDefault=R\n", "lwm2md.conf:2: ", "'R' is not SERVER:RIGHTS" },
        { "[AccessControl]\n/2=*:R\n", "lwm2md.conf:2: ", "its owner" },
        { "[AccessControl]\n/3303/0/1=*:R\n", "lwm2md.conf:2: ", "object instances" },
        { "[AccessControl]\nOwner=1\n", "lwm2md.conf:2: ", "neither Default nor the path" },
        { "[SendScheduler]\nMaxSample=1\n", "lwm2md.conf:2: ", "neither a known key (Paused," },
        { "[SendScheduler]\n/3303/0=gt=1\n", "lwm2md.conf:2: ", "nor the path of a resource" },
        { "[SendScheduler]\n/3303/0/5700=gt\n", "lwm2md.conf:2: ", "'gt' is not a rule" },
        { "[SendScheduler]\n/3303/0/5700=gt=1 gt=2\n", "lwm2md.conf:2: ", "twice" },
        { "[SendScheduler]\nMaxAge=1.5s\n", "lwm2md.conf:2: ", "whole seconds" },
        { "[SendScheduler]\nMaxSamples=-1\n", "lwm2md.conf:2: ", "number from 0 to" },
        { "[SendScheduler]\nPaused=perhaps\n", "lwm2md.conf:2: ", "boolean" },
        { "[Client]\nLifetime=soon\n", "lwm2md.conf:2: ", "'soon' is not a time in whole seconds" },
        { "[Client]\nLifetime=1.5s\n", "lwm2md.conf:2: ", "whole seconds" },
        { "\n[Client]\n\nEndpont=x\n", "lwm2md.conf:4: ", "unknown key (known: Endpoint, " },
        { "[Client]\nVersion=2.0\n", "lwm2md.conf:2: ", "not auto, 1.0, 1.1 or 1.2" },
        { "[Client]\nQueueMode=maybe\n", "lwm2md.conf:2: ", "boolean" },
        { "[Server x]\nUri=coap://h\nBootstrap=true\nQueueMode=no\n", "[Server x]",
          "knows no queue mode" },
        { "[Client]\nBind=localhost\n", "lwm2md.conf:2: ", "not an IPv4 or IPv6 address" },
        { "[Client]\nBind=10.0.0.256\n", "lwm2md.conf:2: ", "not an IPv4 or IPv6 address" },
        { "[Client]\nBind=10.0.0.1%eth0\n", "lwm2md.conf:2: ", "not an IPv4 or IPv6 address" },
        { "[Client]\nInterface=a/b\n", "lwm2md.conf:2: ", "not the name of a network interface" },
        { "[Client]\nInterface=sixteen-letters-\n", "lwm2md.conf:2: ", "not the name" },
        { "[Client]\nDscp=64\n", "lwm2md.conf:2: ", "allowed are 0 to 63" },
        { "[Client]\nMark=0x\n", "lwm2md.conf:2: ", "not a mark" },
        { "[Client]\nMark=0x123456789\n", "lwm2md.conf:2: ", "not a mark" },
        { "[Server x]\nUri=coap://h\nShortId=1\nMark=-1\n", "lwm2md.conf:4: [Server x] Mark",
          "not a mark" },
        { "[Client]\nQueueAwakeTime=0\n", "lwm2md.conf:2: ", "allowed are 1s to 86400s" },
        { "[Client]\nDiscover=some\n", "lwm2md.conf:2: ", "not all or permitted" },
        { "[Client]\nStopAction=leave\n", "lwm2md.conf:2: ", "not deregister or keep" },
        { "[Client]\nQueueSocket=open\n", "lwm2md.conf:2: ", "not stop-polling, listen or close" },
        { "[Client]\nQueueSocket=close\nQueueAtOnce=yes\n", "lwm2md.conf:3: [Client] QueueAtOnce",
          "not with" },
        { "[Client]\nQueueSocket=close\n[Server x]\nUri=coap://h\nShortId=1\nQueueAtOnce=1\n",
          "lwm2md.conf:6: [Server x] QueueAtOnce", "not with" },
        { "[Server x]\nUri=coap://h\nShortId=1\nQueueMode=perhaps\n",
          "lwm2md.conf:4: [Server x] QueueMode", "boolean" },
        { "[Client]\nEndpoint=\n", "lwm2md.conf:2: ", "not empty" },
        { "[Limits]\nBody=1T\n", "lwm2md.conf:2: ", "not a size" },
        { "[Limits]\nBody=1\n", "lwm2md.conf:2: ", "out of range, allowed are 1024 to" },
        { "[Limits]\nServers=-1\n", "lwm2md.conf:2: ", "not a number" },
        { "[Klient]\nA=1\n", "lwm2md.conf:1: ", "unknown group" },
        { "[Server x]\nUri=coap://h\nBootstrap=maybe\n", "lwm2md.conf:3: ", "not a boolean" },
        { "[Server x]\nUri=coap://h\nBootstrap=true\nShortId=1\n", "lwm2md.conf:1: [Server x]",
          "has no ShortId" },
        { "[Server x]\nUri=coap://h\nBootstrap=true\nHoldOff=1.5s\n",
          "lwm2md.conf:4: ", "whole seconds" },
        { "[Server x]\nUri=coap://h\nShortId=1\nAccountTimeout=5\n", "[Server x]",
          "are for Bootstrap=true" },
        { "[Server x]\nUri=coap://h\nBootstrap=1\n[Server y]\nUri=coap://i\nBootstrap=1\n",
          "[Server y]", "a second bootstrap server" },
        { "[Client]\nBootstrapFormat=text\n", "lwm2md.conf:2: ", "senml-cbor" },
        { "[Limits]\nBootstrapPaths=2\n", "lwm2md.conf:2: ", "16 to 1000000" },
        { "[Server x]\nUri=coap://h\n", "lwm2md.conf:1: ", "needs Uri and ShortId" },
        { "[Server x]\nUri=coap://h\nShortId=0\n", "lwm2md.conf:3: ", "not a Short Server ID" },
        { "[Server x]\nUri=coap://h\nShortId=65535\n", "lwm2md.conf:3: ", "not a Short Server ID" },
        { "[Server x]\nUri=coap://h\nShortId=1\nSecurityMode=wep\n",
          "lwm2md.conf:4: ", "no security mode (nosec, psk" },
        { "[Server x]\nUri=coap://h\nShortId=1\nKey=k\n", "lwm2md.conf:4: ", "chmod o=" },
        { "[Client]\nHandshakeTimeout=60\n", "lwm2md.conf:2: ", "allowed are 1s to 55s" },
        { "[Server x]\nUri=coap://h\nShortId=1\nBinding=S\n", "lwm2md.conf:4: ", "not a binding" },
        { "[Server x]\nUri=coap://h\nShortId=1\nKeys=1\n", "lwm2md.conf:4: ", "unknown key" },
        { "[Server x]\nUri=a\nShortId=1\n[Server y]\nUri=b\nShortId=1\n",
          "lwm2md.conf:6: [Server y] ShortId: ", "[Server x] has the same, 1" },
        { "[Server x]\nUri=a\nShortId=1\n[Est]\nUri=coap://h\n",
          "lwm2md.conf:5: [Est] Uri: ", "coaps://" },
        { "[Est]\nCurve=P-1\n", "lwm2md.conf:2: [Est] Curve: ", "P-256" },
        { "[Est]\nSecurityMode=est\n", "lwm2md.conf:2: [Est] SecurityMode: ", "psk, x509 or rpk" },
        { "[Security]\nProviders=a;b/c\n", "lwm2md.conf:2: [Security] Providers: ", "'b/c'" },
        { "[Security]\nPkcs11Module=a.so\n", "lwm2md.conf:2: [Security] Pkcs11Module: ", "begins" },
        { "[Values]\n3/0/0=x\n", "lwm2md.conf:2: ", "not the path" },
        { "[Values]\n/3=x\n", "lwm2md.conf:2: ", "not the path" },
        { "[Values]\n/3/0=x\n", "lwm2md.conf:2: ", "takes no value" },
        { "[Persist]\n/3/0=sometimes\n", "lwm2md.conf:2: ", "not always, server-writes or never" },
        { "[Persist]\nJornal=1\n", "lwm2md.conf:2: ", "neither a known key" },
        { "[Objects]\nOffer=16;x\n", "lwm2md.conf:2: ", "'x' is not the number of an object" },
        { "[Objects]\nPaths=/x\n", "lwm2md.conf:2: ", "known: Path, Offer" },
        { "no group\n", "lwm2md.conf: ", "" },
        { "[Client]\nSms=\xff\n", "lwm2md.conf", "" },
};

static void test_bad(void **state) {
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_auto(Folder) f = folder_new();
                g_autoptr(Config) c = NULL;
                g_autofree char *error = NULL;

                folder_write(&f, "lwm2md.conf", bad[i].text);
                assert_true(config_load(f.file, false, &c, &error) < 0);
                assert_null(c);
                if (!strstr(error, bad[i].where) || !strstr(error, bad[i].what))
                        fail_msg("%s: got '%s'", bad[i].text, error);
        }
}

static void test_every_mistake_is_told(void **state) {
        g_auto(Folder) f = folder_new();
        g_autoptr(Config) c = NULL;
        g_autofree char *error = NULL;
        g_auto(GStrv) lines = NULL;

        folder_write(&f, "lwm2md.conf", "[Client]\nLifetime=x\nVersion=y\n");
        folder_write(&f, "lwm2md.conf.d/a.conf", "[Limits]\nBody=z\n");
        assert_int_equal(config_load(f.file, false, &c, &error), -EINVAL);
        lines = g_strsplit(error, "\n", -1);
        assert_int_equal(g_strv_length(lines), 3);
}

static void test_too_large(void **state) {
        g_auto(Folder) f = folder_new();
        g_autoptr(Config) c = NULL;
        g_autofree char *error = NULL, *text = g_strnfill((1 << 20) + 1, '#');

        folder_write(&f, "lwm2md.conf", text);
        assert_int_equal(config_load(f.file, false, &c, &error), -E2BIG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),  cmocka_unit_test(test_everything),
                cmocka_unit_test(test_access),    cmocka_unit_test(test_send_scheduler),
                cmocka_unit_test(test_queue),     cmocka_unit_test(test_security),
                cmocka_unit_test(test_partners),  cmocka_unit_test(test_sockets),
                cmocka_unit_test(test_bad),       cmocka_unit_test(test_every_mistake_is_told),
                cmocka_unit_test(test_too_large),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
