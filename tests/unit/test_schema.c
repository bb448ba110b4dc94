/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/schema.h"
#include "model/schema_xml.h"
#include "model/tree.h"
#include "model/xml.h"

#define HEAD "<LWM2M><Object ObjectType=\"MODefinition\">"
#define OBJECT(id, version, name)                                                                  \
        "<Name>" name "</Name><ObjectID>" id "</ObjectID><ObjectURN>urn:x</ObjectURN>"             \
        "<LWM2MVersion>1.1</LWM2MVersion><ObjectVersion>" version "</ObjectVersion>"               \
        "<MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory>"
#define ITEM(id, operations, type)                                                                 \
        "<Item ID=\"" id "\"><Name>R</Name><Operations>" operations "</Operations>"                \
        "<MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory>"             \
        "<Type>" type "</Type><RangeEnumeration/><Units/><Description/></Item>"
#define TAIL "</Object></LWM2M>"
#define FULL(id, version, name)                                                                    \
        HEAD OBJECT(id, version, name) "<Resources>" ITEM("1", "RW", "Integer") "</"               \
                                                                                "Resources>" TAIL

static int add(Schema *s, const char *xml, char **ret_error) {
        return schema_add_xml(s, "x.xml", xml, strlen(xml), NULL, ret_error);
}

static void assert_refused(const char *xml, int expected, const char *text) {
        g_autoptr(Schema) s = schema_new();
        g_autofree char *error = NULL;
        int r = add(s, xml, &error);

        if (r != expected || strncmp(error, text, strcspn(text, "*")) != 0 ||
            (!strchr(text, '*') && strlen(error) != strlen(text)))
                fail_msg("%d '%s' instead of %d '%s'", r, r < 0 ? error : "", expected, text);
        assert_null(schema_object(s, 9, (Version){ 0, 0 }));
}

static void test_parse(void **state) {
        static const char xml[] =
                "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c "
                "--><LWM2M><Other><Item/></Other>"
                "<Object ObjectType=\"MODefinition\"><Name> A &amp; B "
                "</Name><Description1><![CDATA[<d>]]></Description1>"
                "<ObjectID>9</ObjectID><ObjectURN>urn:9</ObjectURN><LWM2MVersion>1.2</LWM2MVersion>"
                "<ObjectVersion>2.1</ObjectVersion><MultipleInstances>Single</MultipleInstances>"
                "<Mandatory>Mandatory</Mandatory><Resources>"
                "<Item "
                "ID=\"7\"><Name>Last</Name><Operations>E</Operations><MultipleInstances>Single</"
                "MultipleInstances>"
                "<Mandatory>Mandatory</Mandatory><Type></Type></Item>"
                "<Item "
                "ID=\"2\"><Name>First</Name><Operations>RW</Operations><MultipleInstances>Multiple"
                "</MultipleInstances><Mandatory>Optional</Mandatory><Type>Unsigned Integer</Type>"
                "<RangeEnumeration>0..5</RangeEnumeration><Units>s</Units><Description>d</"
                "Description></Item>"
                "</Resources><Description2/></Object></LWM2M>";
        g_autoptr(Schema) s = schema_new();
        g_autoptr(GArray) added = NULL;
        const ObjectDef *def;
        const ResourceDef *r;
        char *error = NULL;

        assert_int_equal(schema_add_xml(s, "x", xml, strlen(xml), &added, &error), 0);
        assert_null(error);
        assert_int_equal(added->len, 1);
        def = g_array_index(added, const ObjectDef *, 0);
        assert_ptr_equal(def, schema_object(s, 9, (Version){ 2, 1 }));
        assert_ptr_equal(def, schema_object(s, 9, (Version){ 0, 0 }));
        assert_null(schema_object(s, 9, (Version){ 1, 0 }));
        assert_null(schema_object(s, 8, (Version){ 0, 0 }));
        assert_string_equal(def->name, "A & B");
        assert_string_equal(def->description, "<d>");
        assert_string_equal(def->urn, "urn:9");
        assert_true(def->lwm2m_version.major == 1 && def->lwm2m_version.minor == 2);
        assert_false(def->multiple);
        assert_true(def->mandatory);
        assert_int_equal(def->n_resources, 2);
        r = object_resource(def, 2);
        assert_ptr_equal(r, &def->resources[0]);
        assert_true(r->multiple && !r->mandatory && r->type == VALUE_UNSIGNED && r->n_ranges == 1);
        assert_int_equal(r->operations, OPERATION_READ | OPERATION_WRITE);
        assert_string_equal(r->units, "s");
        assert_string_equal(r->range_text, "0..5");
        r = object_resource(def, 7);
        assert_true(r->type == VALUE_NONE && r->operations == OPERATION_EXECUTE && r->mandatory);
        assert_null(object_resource(def, 3));
}

/* Everything wrong is refused with its line, and changes nothing. */
static void test_refused(void **state) {
        static const struct {
                const char *xml, *text;
                int error;
        } cases[] = {
                { "", "x.xml:1: *", -EBADMSG },
                { "<LWM2M/>", "x.xml:1: no Object", -EBADMSG },
                { "<a/>", "x.xml:1: the root element is 'a', not 'LWM2M'", -EBADMSG },
                { "\n<LWM2M>\n<Object ObjectType=\"CommonResources\"/></LWM2M>",
                  "x.xml:3: ObjectType 'CommonResources' does not define an object", -EBADMSG },
                { HEAD OBJECT("9", "1.0", "N") TAIL, "x.xml:1: no Resources", -EBADMSG },
                { HEAD "<Resources/>" TAIL, "x.xml:1: no Name", -EBADMSG },
                { FULL("9", "1.0", ""), "x.xml:1: bad Name ''", -EBADMSG },
                { FULL("65535", "1.0", "N"), "x.xml:1: bad ObjectID '65535'", -EBADMSG },
                { FULL("-1", "1.0", "N"), "x.xml:1: bad ObjectID '-1'", -EBADMSG },
                { FULL("9", "1", "N"), "x.xml:1: bad ObjectVersion '1'", -EBADMSG },
                { FULL("9", "1.256", "N"), "x.xml:1: bad ObjectVersion '1.256'", -EBADMSG },
                { FULL("9", "0.0", "N"), "x.xml:1: bad ObjectVersion '0.0'", -EBADMSG },
                { HEAD OBJECT("9", "1.0", "N") "<Name>N</Name><Resources/>" TAIL,
                  "x.xml:1: second Name", -EBADMSG },
                { HEAD OBJECT("9", "1.0", "N") "<Resources>" ITEM("x", "R",
                                                                  "Time") "</Resources>" TAIL,
                  "x.xml:1: resource ID 'x' is not a number from 0 to 65534", -EBADMSG },
                { HEAD OBJECT("9", "1.0", "N") "<Resources><Item/></Resources>" TAIL,
                  "x.xml:1: resource ID '' is not a number from 0 to 65534", -EBADMSG },
                { HEAD OBJECT("9", "1.0",
                              "N") "<Resources>\n<Item ID=\"5\">\n</Item></Resources>" TAIL,
                  "x.xml:2: resource 5: no Name", -EBADMSG },
                { HEAD OBJECT("9", "1.0", "N") "<Resources>" ITEM("5", "X",
                                                                  "Time") "</Resources>" TAIL,
                  "x.xml:1: resource 5: bad Operations 'X'", -EBADMSG },
                { HEAD OBJECT("9", "1.0", "N") "<Resources>" ITEM("5", "R",
                                                                  "Number") "</Resources>" TAIL,
                  "x.xml:1: resource 5: bad Type 'Number'", -EBADMSG },
                { HEAD OBJECT("9", "1.0", "N") "<Resources>" ITEM("5", "R", "") "</Resources>" TAIL,
                  "x.xml:1: resource 5: a type is missing and it is not executable", -EBADMSG },
                { HEAD OBJECT("9", "1.0", "N") "<Resources>" ITEM("5", "R", "Time")
                          ITEM("5", "R", "Time") "</Resources>" TAIL,
                  "x.xml:1: resource 5: defined twice", -EBADMSG },
                { "<LWM2M><Object>" OBJECT("9", "1.0", "N") "<Resources/></Object><Object>" OBJECT(
                          "9", "1.0", "M") "<Resources/></Object></LWM2M>",
                  "x.xml:1: object 9 version 1.0 defined twice", -EBADMSG },
                { "<LWM2M>\n<a>\n<b></a>", "x.xml:3: *", -EBADMSG },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                assert_refused(cases[i].xml, cases[i].error, cases[i].text);
}

static void test_malformed(void **state) {
        const char *xml = FULL("9", "1.0", "N");
        g_autoptr(Schema) s = schema_new();

        for (size_t n = 0; n < strlen(xml); n++) {
                g_autofree char *error = NULL;

                assert_int_equal(schema_add_xml(s, "x", xml, n, NULL, &error), -EBADMSG);
                assert_non_null(error);
        }
        assert_null(schema_object(s, 9, (Version){ 0, 0 }));
        assert_refused("<LWM2M>\xff</LWM2M>", -EBADMSG, "x.xml:1: *");
}

static void test_limits(void **state) {
        g_autoptr(Schema) s = schema_new();
        g_autofree char *big = g_malloc(SCHEMA_XML_BYTES_MAX + 1), *error = NULL, *error2 = NULL,
                        *error3 = NULL, *error4 = NULL;
        GString *text = g_string_new(HEAD OBJECT("9", "1.0", "N") "<Resources>");

        memset(big, ' ', SCHEMA_XML_BYTES_MAX + 1);
        assert_int_equal(schema_add_xml(s, "x", big, SCHEMA_XML_BYTES_MAX + 1, NULL, &error),
                         -E2BIG);
        assert_string_equal(error, "x:1: more than 1048576 bytes");
        for (int i = 0; i <= SCHEMA_RESOURCES_MAX; i++)
                g_string_append_printf(text, ITEM("%d", "R", "Time") "\n", i);
        g_string_append(text, "</Resources>" TAIL);
        assert_int_equal(add(s, text->str, &error2), -E2BIG);
        assert_string_equal(error2, "x.xml:2001: more than 2000 resources");
        g_string_assign(text, "<LWM2M>");
        for (int i = 0; i < XML_DEPTH_MAX; i++)
                g_string_append(text, "<a>");
        assert_int_equal(add(s, text->str, &error3), -E2BIG);
        assert_string_equal(error3, "x.xml:1: more than 16 elements inside each other");
        g_string_assign(text, "<LWM2M>");
        for (int i = 0; i <= SCHEMA_XML_OBJECTS_MAX; i++)
                g_string_append_printf(
                        text, "<Object>" OBJECT("%d", "1.0", "N") "<Resources/></Object>", i);
        g_string_append(text, "</LWM2M>");
        assert_int_equal(add(s, text->str, &error4), -E2BIG);
        assert_string_equal(error4, "x.xml:1: more than 256 objects");
        g_string_free(text, TRUE);
}

static void test_versions(void **state) {
        g_autoptr(Schema) s = schema_new();
        char *error = NULL;

        assert_int_equal(add(s, FULL("9", "1.0", "a"), &error), 0);
        assert_int_equal(add(s, FULL("9", "1.2", "c"), &error), 0);
        assert_int_equal(add(s, FULL("9", "1.1", "b"), &error), 0);
        assert_int_equal(add(s, FULL("8", "255.255", "z"), &error), 0);
        assert_string_equal(schema_object(s, 9, (Version){ 0, 0 })->name, "c");
        assert_string_equal(schema_object(s, 9, (Version){ 1, 1 })->name, "b");
        assert_string_equal(schema_object(s, 8, (Version){ 0, 0 })->name, "z");
        assert_int_equal(schema_prefer(s, 9, (Version){ 1, 3 }), -ENOENT);
        assert_int_equal(schema_prefer(s, 9, (Version){ 1, 1 }), 0);
        assert_string_equal(schema_object(s, 9, (Version){ 0, 0 })->name, "b");
        assert_int_equal(schema_remove(s, 9, (Version){ 1, 3 }), -ENOENT);
        assert_int_equal(schema_remove(s, 9, (Version){ 1, 1 }), 0);
        assert_null(schema_object(s, 9, (Version){ 1, 1 }));
        assert_string_equal(schema_object(s, 9, (Version){ 0, 0 })->name, "c");
        /* The last definition counts while nobody uses the former. */
        assert_int_equal(add(s, FULL("9", "1.2", "d"), &error), 0);
        assert_string_equal(schema_object(s, 9, (Version){ 0, 0 })->name, "d");
}

/* The same object as the releases of LwM2M have it; 8 came with the last of them. */
static void test_release(void **state) {
        static const char *const files[] = { "9-1_0", "9-1_1", "9-1_2", "8-1_0" };
        static const struct {
                Version release, expected;
        } table[] = {
                { { 0, 0 }, { 1, 2 } }, { { 1, 0 }, { 1, 0 } }, { { 1, 1 }, { 1, 1 } },
                { { 1, 2 }, { 1, 2 } }, { { 2, 0 }, { 1, 2 } },
        };
        g_autoptr(Schema) s = schema_new();

        for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
                g_autofree char
                        *error = NULL,
                        *xml = g_strdup_printf(
                                "<LWM2M><Object ObjectType=\"MODefinition\"><Name>n</Name>"
                                "<ObjectID>%c</ObjectID><ObjectURN>urn:x</ObjectURN>"
                                "<LWM2MVersion>1.%c</LWM2MVersion>"
                                "<ObjectVersion>1.%c</ObjectVersion>"
                                "<MultipleInstances>Multiple</MultipleInstances>"
                                "<Mandatory>Optional</Mandatory><Resources/></Object></LWM2M>",
                                files[i][0], files[i][0] == '8' ? '2' : files[i][4], files[i][4]);

                assert_int_equal(add(s, xml, &error), 0);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
                schema_set_release(s, table[i].release);
                assert_memory_equal(&schema_object(s, 9, (Version){ 0, 0 })->version,
                                    &table[i].expected, sizeof(Version));
                assert_non_null(schema_object(s, 8, (Version){ 0, 0 }));
                assert_non_null(schema_object(s, 9, (Version){ 1, 2 }));
                assert_null(schema_object(s, 10, (Version){ 0, 0 }));
        }
        schema_set_release(s, (Version){ 1, 1 });
        assert_int_equal(schema_prefer(s, 9, (Version){ 1, 2 }), 0);
        assert_int_equal(schema_object(s, 9, (Version){ 0, 0 })->version.minor, 2);
}

static void test_in_use(void **state) {
        g_autoptr(Schema) s = schema_new();
        g_autoptr(Tree) t = NULL;
        const ObjectDef *def;
        char *error = NULL;

        assert_int_equal(add(s, FULL("9", "1.0", "a"), &error), 0);
        t = tree_new(s);
        tree_begin(t, ORIGIN_INTERNAL, 0);
        assert_int_equal(tree_create(t, 9, 0, (Version){ 0, 0 }), 0);
        assert_int_equal(tree_commit(t), 0);
        def = schema_object(s, 9, (Version){ 0, 0 });
        assert_int_equal(add(s, FULL("9", "1.0", "b"), &error), -EEXIST);
        assert_string_equal(error,
                            "x.xml:1: object 9 version 1.0 is in use with another definition");
        g_clear_pointer(&error, g_free);
        assert_int_equal(add(s, FULL("9", "1.0", "a"), &error), 0);
        assert_ptr_equal(def, schema_object(s, 9, (Version){ 0, 0 }));
        /* An instance keeps the definition it was made from. */
        assert_int_equal(schema_remove(s, 9, (Version){ 1, 0 }), 0);
        assert_string_equal(tree_object_def(t, 9, 0)->name, "a");
        assert_null(tree_object_def(t, 9, 1));
}

static void test_check(void **state) {
        Range range = { .imin = 0, .imax = 5 };
        ResourceDef integer = { .type = VALUE_INTEGER, .n_ranges = 1, .ranges = &range },
                    string = { .type = VALUE_STRING }, execute = { .type = VALUE_NONE };
        Value v = { .type = VALUE_INTEGER, .i = 5 };

        assert_int_equal(resource_check(&integer, &v), 0);
        v.i = 6;
        assert_int_equal(resource_check(&integer, &v), -ERANGE);
        assert_int_equal(resource_check(&string, &v), -EINVAL);
        assert_int_equal(resource_check(&execute, &VALUE_INIT), -EINVAL);
        v = value_text(VALUE_STRING, "\xc3\x28", 2);
        assert_int_equal(resource_check(&string, &v), -EINVAL);
        value_clear(&v);
        v = value_text(VALUE_STRING, "a\0b", 3);
        assert_int_equal(resource_check(&string, &v), -EINVAL);
        value_clear(&v);
}

static void collect(void *userdata, const char *text) {
        const char *slash = strrchr(text, '/');

        g_ptr_array_add(userdata, g_strdup(slash ? slash + 1 : text));
}

static void test_directory(void **state) {
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *dir = g_dir_make_tmp("schema-XXXXXX", NULL), *a = NULL, *b = NULL,
                        *c = NULL, *d = NULL;
        g_autoptr(Schema) s = schema_new();
        char *error = NULL;

        a = g_build_filename(dir, "a.xml", NULL);
        b = g_build_filename(dir, "b.xml", NULL);
        c = g_build_filename(dir, "c.txt", NULL);
        d = g_build_filename(dir, "d.xml", NULL);
        assert_true(g_file_set_contents(a, FULL("9", "1.0", "a"), -1, NULL));
        assert_true(g_file_set_contents(b, "<LWM2M>\n<x", -1, NULL));
        assert_true(g_file_set_contents(c, "ignored", -1, NULL));
        assert_int_equal(mkdir(d, 0700), 0);
        assert_int_equal(schema_add_directory(s, dir, collect, errors), 1);
        assert_int_equal(errors->len, 2);
        assert_true(g_str_has_prefix(errors->pdata[0], "b.xml:2: "));
        assert_string_equal(errors->pdata[1], "d.xml:0: Is a directory");
        unlink(a);
        assert_int_equal(schema_add_file(s, a, NULL, &error), -ENOENT);
        assert_true(g_str_has_suffix(error, "a.xml:0: No such file or directory"));
        g_free(error);
        unlink(b);
        unlink(c);
        rmdir(d);
        rmdir(dir);
        assert_int_equal(schema_add_directory(s, dir, collect, errors), -ENOENT);
}

static void count(void *userdata, const ObjectDef *def) {
        (*(int *) userdata)++;
}

static void put_file(const char *dir, const char *name, const char *text) {
        g_autofree char *file = g_build_filename(dir, name, NULL);

        if (text)
                assert_true(g_file_set_contents(file, text, -1, NULL));
        else
                unlink(file);
}

#define FILE_HEAD(id, version, lwm2m)                                                              \
        "<LWM2M>\n<Object ObjectType=\"MODefinition\"><Name>x</Name><ObjectID>" id                 \
        "</ObjectID><LWM2MVersion>" lwm2m "</LWM2MVersion><ObjectVersion>" version                 \
        "</ObjectVersion><MultipleInstances>Multiple</MultipleInstances>"                          \
        "<Mandatory>Optional</Mandatory>\n<Resources>"
#define FILE_TAIL "</Resources></Object></LWM2M>"

/* Read when it is asked for: what is wrong inside is told then, and once; and no other version with
 * it. */
static void test_read_when_asked(void **state) {
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *dir = g_dir_make_tmp("lwm2md-schema-XXXXXX", NULL);
        g_autoptr(Schema) s = schema_new();
        const ObjectDef *def;

        put_file(dir, "a.xml", FILE_HEAD("33999", "1.0", "1.0") "<Nonsense>\n" FILE_TAIL);
        put_file(dir, "b.xml", FILE_HEAD("33999", "1.1", "1.1") FILE_TAIL);
        put_file(dir, "c.xml", FILE_HEAD("33999", "1.2", "1.2") "<Nonsense>\n" FILE_TAIL);
        assert_int_equal(schema_add_directory(s, dir, collect, errors), 3);
        schema_set_release(s, (Version){ 1, 1 });
        assert_null(schema_object(s, 33998, (Version){ 0, 0 }));
        def = schema_object(s, 33999, (Version){ 0, 0 });
        assert_true(def && def->version.minor == 1);
        assert_int_equal(errors->len, 0);
        for (int i = 0; i < 2; i++) {
                assert_null(schema_object(s, 33999, (Version){ 1, 0 }));
                assert_int_equal(errors->len, 1);
        }
        assert_non_null(strstr(errors->pdata[0], "a.xml:4: "));
        schema_set_release(s, (Version){ 1, 2 }); /* c.xml is the choice, and bad: then b.xml's */
        assert_ptr_equal(schema_object(s, 33999, (Version){ 0, 0 }), def);
        assert_int_equal(errors->len, 2);

        put_file(dir, "a.xml", NULL);
        put_file(dir, "b.xml", NULL);
        put_file(dir, "c.xml", NULL);
        rmdir(dir);
}

/* A file is known by its name until its object is asked for, but the text decides. */
static void test_known_by_name(void **state) {
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *dir = g_dir_make_tmp("lwm2md-schema-XXXXXX", NULL);
        static const char *const names[] = { "33990.xml", "33991-1_1.xml", "33991-1_0.xml",
                                             "33992.xml", "33993.xml",     "33994-1_x.xml" };
        g_autoptr(Schema) s = schema_new();
        int n = 0;

        put_file(dir, names[0], FILE_HEAD("33999", "1.0", "1.0") FILE_TAIL); /* another's name */
        put_file(dir, names[1], FILE_HEAD("33991", "1.1", "1.1") FILE_TAIL);
        put_file(dir, names[2], FILE_HEAD("33991", "1.0", "1.0") FILE_TAIL);
        put_file(dir, names[3], FILE_HEAD("33992", "1.0", "1.0") FILE_TAIL);
        put_file(dir, names[4], "no definition at all");
        put_file(dir, names[5], FILE_HEAD("33994", "1.0", "1.0") FILE_TAIL);
        assert_int_equal(schema_add_directory(s, dir, collect, errors), 6);
        assert_int_equal(schema_object(s, 33991, (Version){ 0, 0 })->version.minor, 1);
        assert_int_equal(errors->len, 0); /* 33993.xml was not opened */
        put_file(dir, names[3], NULL);    /* nor this one: it must stay, or is told of */
        assert_null(schema_object(s, 33992, (Version){ 1, 0 }));
        assert_non_null(schema_object(s, 33994, (Version){ 1, 0 }));
        assert_non_null(schema_object(s, 33999, (Version){ 0, 0 }));
        assert_null(schema_object(s, 33990, (Version){ 0, 0 }));
        schema_foreach(s, count, &n);
        assert_int_equal(n, 4);
        assert_int_equal(errors->len, 2);
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                put_file(dir, names[i], NULL);
        rmdir(dir);
}

static void test_shipped(void **state) {
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Schema) s = schema_new();
        const char *dir = getenv("LWM2MD_OBJECTS");
        int n = 0;

        if (!dir)
                skip();
        assert_true(schema_add_directory(s, dir, collect, errors) >= 70);
        schema_foreach(s, count, &n); /* reads them all */
        assert_true(n >= 70);
        for (size_t i = 0; i < errors->len; i++)
                print_message("%s\n", (char *) errors->pdata[i]);
        assert_int_equal(errors->len, 0);
        assert_int_equal(object_resource(schema_object(s, 3303, (Version){ 0, 0 }), 5700)->type,
                         VALUE_FLOAT);
        assert_non_null(schema_object(s, 3, (Version){ 1, 0 }));
}

static gint compare_texts(gconstpointer a, gconstpointer b) {
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Every file of OMA's registry loads but these. */
static void test_registry(void **state) {
        static const char *const refused[] = {
                "10482.xml:96: resource 5: a type is missing and it is not executable",
                "Common.xml:3: ObjectType 'CommonResources' does not define an object",
                "DDF.xml:2: the root element is 'DDFList', not 'LWM2M'",
                "LWM2M_senml_units.xml:2: the root element is 'units', not 'LWM2M'",
        };
        const char *dir = getenv("OMA_REGISTRY");
        int n = 0;
        g_autoptr(GPtrArray) errors = NULL;
        g_autoptr(Schema) s = NULL;

        if (!dir)
                skip(); /* leaves by longjmp: nothing may be owned yet */
        errors = g_ptr_array_new_with_free_func(g_free);
        s = schema_new();
        assert_int_equal(schema_add_directory(s, dir, collect, errors), 327);
        schema_foreach(s, count, &n);
        assert_int_equal(n, 326);
        g_ptr_array_sort(errors, compare_texts);
        assert_int_equal(errors->len, G_N_ELEMENTS(refused));
        for (size_t i = 0; i < errors->len; i++)
                assert_string_equal(errors->pdata[i], refused[i]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),           cmocka_unit_test(test_refused),
                cmocka_unit_test(test_malformed),       cmocka_unit_test(test_limits),
                cmocka_unit_test(test_versions),        cmocka_unit_test(test_release),
                cmocka_unit_test(test_in_use),          cmocka_unit_test(test_check),
                cmocka_unit_test(test_directory),       cmocka_unit_test(test_shipped),
                cmocka_unit_test(test_read_when_asked), cmocka_unit_test(test_known_by_name),
                cmocka_unit_test(test_registry),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
