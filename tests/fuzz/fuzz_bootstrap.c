/* SPDX-License-Identifier: Apache-2.0 */
/* What a bootstrap server may send, made of the input, against a small device. Until a Finish is
 * answered 2.04 nothing in the tree is another than before, whatever was asked for; afterwards the
 * accounts fit together. Each request is answered exactly once, and the bootstrap server's own key
 * is told to nobody. */
#include <stdlib.h>
#include <string.h>

#include "fake_apps.h"
#include "fake_transport.h"
#include "lwm2m/bootstrap/bs_account.h"
#include "lwm2m/bootstrap/bs_dm.h"

#define SECRET "hunter2-hunter2"
#define ITEM(id, operations, multiple, mandatory, type)                                            \
        "<Item ID=\"" #id "\"><Name>R" #id "</Name><Operations>" operations                        \
        "</Operations><MultipleInstances>" multiple "</MultipleInstances><Mandatory>" mandatory    \
        "</Mandatory><Type>" type "</Type><RangeEnumeration></RangeEnumeration><Units></Units>"    \
        "<Description>x</Description></Item>"
#define OBJECT(id, instances, items)                                                               \
        "<LWM2M><Object ObjectType=\"MODefinition\"><Name>O" #id                                   \
        "</Name><Description1>x</Description1><ObjectID>" #id                                      \
        "</ObjectID><ObjectURN>urn:oma:lwm2m:x:" #id "</ObjectURN><LWM2MVersion>1.1"               \
        "</LWM2MVersion><ObjectVersion>1.0</ObjectVersion><MultipleInstances>" instances           \
        "</MultipleInstances><Mandatory>Optional</Mandatory><Resources>" items                     \
        "</Resources><Description2></Description2></Object></LWM2M>"

static const char *const objects[] = {
        OBJECT(0, "Multiple",
               ITEM(0, "", "Single", "Mandatory", "String") ITEM(1, "", "Single", "Mandatory",
                                                                 "Boolean")
                       ITEM(2, "", "Single", "Mandatory", "Integer") ITEM(3, "", "Single",
                                                                          "Mandatory", "Opaque")
                               ITEM(5, "", "Single", "Mandatory", "Opaque")
                                       ITEM(10, "", "Single", "Optional", "Integer")
                                               ITEM(17, "", "Single", "Optional", "Objlnk")),
        OBJECT(1, "Multiple",
               ITEM(0, "R", "Single", "Mandatory", "Integer")
                       ITEM(1, "RW", "Single", "Mandatory", "Integer")
                               ITEM(7, "RW", "Single", "Mandatory", "String")
                                       ITEM(12, "R", "Single", "Optional", "Time")),
        OBJECT(3, "Single", ITEM(0, "R", "Single", "Optional", "String")),
        OBJECT(9, "Multiple",
               ITEM(0, "RW", "Single", "Optional", "Integer")
                       ITEM(2, "RW", "Multiple", "Optional", "Float")
                               ITEM(3, "RW", "Single", "Optional", "Opaque")
                                       ITEM(4, "E", "Single", "Optional", "")),
        OBJECT(21, "Multiple", ITEM(0, "", "Single", "Optional", "Opaque")),
};
static const uint8_t methods[] = { METHOD_PUT, METHOD_DELETE, METHOD_GET, METHOD_POST,
                                   METHOD_FETCH };
static const int formats[] = { 110, 112, 11542, 11544, 0, 42, 40, 60, -1, 4711 };
static const char *const paths[] = {
        "",      "0",     "0/0",  "0/1", "0/1/0",  "0/1/1", "0/1/10", "1",      "1/0",   "1/1",
        "1/0/0", "1/0/7", "3",    "3/0", "3/0/0",  "9",     "9/0",    "9/2",    "9/0/2", "9/0/3",
        "9/0/4", "21",    "21/0", "bs",  "bspack", "7/0",   "65535",  "9/0/2/1"
};

typedef struct Device {
        Schema *schema;
        Tree *tree;
        TimerQueue *timers;
        FakeTransport *transport;
        FakeApps *apps;
        Dm *dm;
        BsDm *bs;
        unsigned n_finished;
        bool open, changed;
} Device;

typedef struct Input {
        const uint8_t *pos;
        size_t left;
} Input;

static unsigned take(Input *in) {
        if (in->left == 0)
                return 0;
        in->left--;
        return *in->pos++;
}

static int64_t wall_ns(void) {
        return INT64_C(1700000000) * 1000000000;
}

static void on_operation(void *userdata, uint64_t now_usec) {
}

static void on_finished(void *userdata, int error, const char *text, uint64_t now_usec) {
        Device *d = userdata;
        g_autofree char *why = NULL;

        if (error < 0)
                return;
        d->n_finished++;
        d->changed = true;
        d->open = false;
        g_assert_true(bs_account_check(d->tree, &why) == 0);
}

static void on_commit(void *userdata, Origin origin, uint16_t ssid, const Change *changes,
                      size_t n) {
        Device *d = userdata;

        g_assert_cmpint(origin, ==, ORIGIN_SERVER);
        d->changed = true;
}

static int on_digest(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        g_autofree char *text = v ? value_format(v) : NULL;

        g_string_append_printf(userdata, "%s=%s;", PATH_TEXT(p), text ? text : "");
        return 0;
}

static char *digest(const Device *d) {
        GString *s = g_string_new(NULL);

        tree_walk(d->tree, &PATH_ROOT, on_digest, s);
        return g_string_free(s, FALSE);
}

static void set(Device *d, Path p, Value v) {
        g_assert_true(tree_set(d->tree, &p, &v) == 0);
        value_clear(&v);
}

static void fill(Device *d) {
        tree_begin(d->tree, ORIGIN_INTERNAL, 0);
        for (uint16_t i = 0; i < 2; i++)
                g_assert_true(tree_create(d->tree, 9, i, (Version){ 0, 0 }) == 0);
        g_assert_true(tree_create(d->tree, 3, 0, (Version){ 0, 0 }) == 0);
        g_assert_true(tree_create(d->tree, 21, 0, (Version){ 0, 0 }) == 0);
        g_assert_true(tree_create(d->tree, 0, 0, (Version){ 0, 0 }) == 0);
        set(d, PATH_OIR(0, 0, 0), value_string("coap://b"));
        set(d, PATH_OIR(0, 0, 1), (Value){ .type = VALUE_BOOLEAN, .b = true });
        set(d, PATH_OIR(0, 0, 2), (Value){ .type = VALUE_INTEGER, .i = 3 });
        set(d, PATH_OIR(0, 0, 5), value_text(VALUE_OPAQUE, SECRET, strlen(SECRET)));
        set(d, PATH_OIR(0, 0, 17), (Value){ .type = VALUE_OBJLNK, .link = { 21, 0 } });
        set(d, PATH_OIRI(9, 0, 2, 1), (Value){ .type = VALUE_FLOAT, .d = 0.5 });
        g_assert_true(tree_commit(d->tree) == 0);
}

static void device_init(Device *d) {
        BsDmConfig config = {
                .limits = { .paths = 60, .bytes = 500 },
                .version = { 1, 1 },
                .wall_clock_ns = wall_ns,
                .operation = on_operation,
                .finish = on_operation,
                .finished = on_finished,
                .userdata = d,
        };

        *d = (Device){
                .schema = schema_new(),
                .timers = timerq_new(),
                .transport = fake_transport_new(),
                .apps = fake_apps_new(),
                .open = true,
        };
        for (size_t i = 0; i < G_N_ELEMENTS(objects); i++)
                g_assert_false(schema_add_xml(d->schema, "fuzz", objects[i], strlen(objects[i]),
                                              NULL, NULL) < 0);
        d->tree = tree_new(d->schema);
        fill(d);
        d->dm = dm_new(&(DmConfig){
                .tree = d->tree,
                .timers = d->timers,
                .transport = &fake_transport_ops,
                .apps = &fake_app_ops,
                .apps_userdata = d->apps,
                .limits = { .records = 200, .bytes = 4096 },
        });
        config.dm = d->dm;
        d->bs = bs_dm_new(&config);
        tree_on_commit(d->tree, on_commit, d);
        bs_dm_open(d->bs);
}

static void device_clear(Device *d) {
        bs_dm_free(d->bs);
        dm_free(d->dm);
        g_assert_cmpuint(d->transport->n_exchanges, ==, 0);
        tree_free(d->tree);
        schema_free(d->schema);
        timerq_free(d->timers);
        fake_transport_free(d->transport);
        fake_apps_free(d->apps);
}

static GBytes *body(Input *in) {
        size_t n = take(in);
        GBytes *bytes;

        n = MIN(n, in->left);
        bytes = n > 0 ? g_bytes_new(in->pos, n) : NULL;
        in->pos += n;
        in->left -= n;
        return bytes;
}

static void request(Device *d, Input *in) {
        g_auto(GStrv) path = NULL;
        g_autoptr(GBytes) payload = NULL;
        Message m = MESSAGE_INIT(methods[take(in) % G_N_ELEMENTS(methods)]);

        path = g_strsplit(paths[take(in) % G_N_ELEMENTS(paths)], "/", -1);
        m.format = m.accept = formats[take(in) % G_N_ELEMENTS(formats)];
        payload = body(in);
        m.path = path[0] ? (const char *const *) path : NULL;
        m.payload = payload;
        bs_dm_request(d->bs, fake_exchange_new(d->transport), &m, 0);
}

static void pack(Device *d, Input *in) {
        int format = formats[take(in) % G_N_ELEMENTS(formats)];
        g_autoptr(GBytes) payload = body(in);
        g_autofree char *why = NULL;

        (void) bs_dm_pack(d->bs, format, payload, &why, 0);
}

static void answer_app(Device *d, unsigned how) {
        for (guint i = 0; i < d->apps->calls->len; i++) {
                AppCall *c = d->apps->calls->pdata[i];

                if (c->pending) {
                        fake_app_answer(c, how % 2 ? -22 : 0, NULL, NULL, 0);
                        return;
                }
        }
}

static void step(Device *d, Input *in) {
        unsigned what = take(in);

        switch (what % 16) {
        case 0:
                fake_apps_claim(d->apps, "/9", what / 16 % 16);
                break;
        case 1:
        case 2:
                answer_app(d, what / 16);
                break;
        case 3:
                bs_dm_open(d->bs);
                d->open = true;
                break;
        case 4:
                bs_dm_close(d->bs);
                d->open = false;
                break;
        case 5:
                pack(d, in);
                break;
        default:
                request(d, in);
        }
}

static void check(Device *d) {
        for (guint i = 0; i < d->transport->answers->len; i++) {
                const FakeMessage *m = d->transport->answers->pdata[i];
                gsize n;
                const char *data = m->payload ? g_bytes_get_data(m->payload, &n) : NULL;

                g_assert_false(data && memmem(data, n, SECRET, strlen(SECRET)));
                g_assert_false(m->code >> 5 < 2 || m->code >> 5 > 5);
        }
        fake_forget_answers(d->transport);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = { .pos = data, .left = size };
        g_autofree char *before = NULL;
        Device d;

        if (size > 0 && memmem(data, size, SECRET, strlen(SECRET)))
                return 0; /* who brings it may see it */
        device_init(&d);
        before = digest(&d);
        for (unsigned n = 0; in.left > 0 && n < 64; n++) {
                g_autofree char *after = NULL;

                d.changed = false;
                step(&d, &in);
                check(&d);
                after = digest(&d);
                /* Changed by a Finish alone, and then told to whoever listens to the tree. */
                g_assert_true(d.changed || strcmp(before, after) == 0);
                g_free(before);
                before = g_steal_pointer(&after);
        }
        device_clear(&d);
        return 0;
}
