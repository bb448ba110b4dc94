/* SPDX-License-Identifier: Apache-2.0 */
/* When a notification is sent (TS Core 1.1.1, sections 5.1.2 and 6.4; 1.2 for edge, con and
 * attributes in the request): one case a row.
 *
 * A row names attributes written first, what is observed ("?" and own attributes; several paths are
 * a composite observation), and steps. Each step may be followed by the notifications it must lead
 * to; there must be no others.
 *
 *   =21        sets the value, /3303/0/5700 unless the row observes another single one
 *   /P=21      sets another one
 *   -/P        deletes it; +/P creates the instance
 *   +5         5 seconds pass
 *   ?pmin=5    writes attributes at the observed path; /P?pmin=5 elsewhere
 *   @21        the application's value is 21 from now on; @! it fails, @/P an application claims P
 *   #3         the application has been asked 3 times so far
 *   { }        notifications are held from { to }
 *   ( )        a transaction from ( to )
 *   >21        one notification: with this text, or of several values one with this in it
 *   >con, >non the same, with any text, confirmable or not
 *   >4.04      the end
 */
#include "dm_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "codec/format.h"

typedef struct Row {
        const char *name, *attributes, *observe, *steps;
} Row;

#define V "/3303/0/5700" /* 21.5 */

static const Row rows[] = {
        /* --- without attributes --- */
        { "each change", "", V, "=22 >22 =23 >23 +1000" },
        { "set to what it was", "", V, "=21.5 =21.5 =22 >22 =22" },
        { "back in one turn", "", V, "{ =30 =21.5 }" },
        { "the last of one turn", "", V, "{ =30 =31 =32 } >32" },
        { "another resource", "", V, "/3303/1/5700=3" },
        { "text", "", "/33000/0/2", "=a >a =a =b >b" },
        { "Boolean, both edges", "", "/33000/0/7", "=1 >1 =1 =0 >0" },

        /* --- pmin --- */
        { "pmin holds back", V "?pmin=10", V, "=22 +9 +1 >22" },
        { "pmin merges", V "?pmin=10", V, "=22 +4 =23 +4 =24 +1 +1 >24 +100" },
        { "pmin is over", V "?pmin=10", V, "+10 =22 >22 =23 +9 +1 >23" },
        { "a value that came back within pmin is no news", V "?pmin=10", V,
          "=22 +5 =21.5 +5 +100 =22 >22" },
        { "pmin 0", V "?pmin=0", V, "=22 >22 =23 >23" },
        { "pmin of the server", "", V, "/1/0/2=20 =22 +19 +1 >22" },
        { "pmin of the server, of which the object has another", "/3303?pmin=5", V,
          "/1/0/2=20 =22 +5 >22" },
        { "pmin 0 of the resource overrides the object's", "/3303?pmin=50 " V "?pmin=0", V,
          "=22 >22" },

        /* --- pmax --- */
        { "pmax repeats", V "?pmax=60", V, "+59 +1 >21.5 +59 +1 >21.5" },
        { "pmax counts from the last one", V "?pmax=60", V, "+40 =22 >22 +59 +1 >22" },
        { "pmax 0 is none", "/3303?pmax=60 " V "?pmax=0", V, "+1000" },
        { "pmax of the server", "", V, "/1/0/3=60 +59 +1 >21.5" },
        { "pmax below an inherited pmin is ignored", "/3303?pmax=5 " V "?pmin=50", V,
          "+49 =22 +1 >22 +1000" },
        { "pmax as pmin is a period", V "?pmin=10&pmax=10", V, "=22 +9 +1 >22 +9 +1 >22" },
        { "pmax repeats whatever the conditions say", V "?gt=50&pmax=60", V,
          "=22 +59 +1 >22 =23 +60 >23" },

        /* --- gt and lt --- */
        { "gt upwards and downwards", V "?gt=25", V,
          "=24 =26 >26 =27 =100 =25 >25 =24 =25.1 >25.1" },
        { "gt: the threshold itself is below", V "?gt=25", V, "=25 =24 =25" },
        { "lt downwards and upwards", V "?lt=20", V, "=21 =19 >19 =5 =20 >20 =30 =19.9 >19.9" },
        { "lt: the threshold itself is above", V "?lt=20", V, "=20 =21 =20" },
        { "gt or lt", V "?gt=25&lt=20", V, "=24 =26 >26 =10 >10 =30 >30 =22 >22 =23" },
        { "a negative threshold", V "?lt=-5", V, "=-4 =-6 >-6" },
        { "gt or pmin: it waits", V "?gt=25&pmin=10", V, "=26 +9 +1 >26" },
        { "gt crossed and back within pmin is told when pmin is over", V "?gt=25&pmin=10", V,
          "=26 +5 =24 +5 >24 +100" },
        { "gt crossed and back to the very value", V "?gt=25&pmin=10", V,
          "=26 +5 =21.5 +5 >21.5 +100" },
        { "gt of an Integer", "/33000/0/1?gt=50", "/33000/0/1", "=50 =51 >51 =100 =50 >50" },
        { "gt of an Unsigned", "/33000/0/14?gt=50", "/33000/0/14", "=50 =51 >51 =100 =50 >50" },
        { "gt of a Time", "/33000/0/12?gt=50", "/33000/0/12", "=50 =51 >51 =100 =50 >50" },

        /* --- st --- */
        { "st", V "?st=2", V, "=22 =23.4 =23.5 >23.5 =22 =21.6 =21.5 >21.5" },
        { "st counts from what was sent, not from the last value", V "?st=2", V,
          "=22.5 =23 =23.5 >23.5 =24.5 =25 =25.4 =25.5 >25.5" },
        { "st and pmin: counts from the last one sent", V "?st=2&pmin=10", V,
          "=23.5 +5 =30 +5 >30 =31 +20 =32 >32" },
        { "st and pmax: counts from what pmax repeated", V "?st=2&pmax=60", V,
          "=23 +60 >23 =24 =25 >25" },
        { "st or gt", V "?gt=25&st=5", V, "=24 =25.5 >25.5 =26 =30.5 >30.5 =26 =25 >25" },
        { "st 0 is each change", V "?st=0", V, "=22 >22 =22 =23 >23" },

        /* --- edge --- */
        { "edge 1", "/33000/0/7?edge=1", "/33000/0/7", "=1 >1 =0 =1 >1 =1 =0" },
        { "edge 0", "/33000/0/7?edge=0", "/33000/0/7", "=1 =0 >0 =1 =0 >0" },
        { "edge within pmin", "/33000/0/7?edge=1&pmin=10", "/33000/0/7",
          "=1 +5 =0 +5 >0 =1 +10 >1 =0 +20" },

        /* --- several servers' worth of levels --- */
        { "gt of a resource instance", "/3/0/7/1?gt=5500", "/3/0/7",
          "/3/0/7/1=5400 /3/0/7/1=5600 >5600 /3/0/7/0=1 >1" },
        { "gt of a multiple resource holds for each instance", "/3/0/7?gt=4000", "/3/0/7",
          "/3/0/7/1=5100 /3/0/7/0=3900 /3/0/7/0=4100 >4100 /3/0/7/1=3000 >3000" },
        { "gt of the instance overrides the resource's", "/3/0/7?gt=4000 /3/0/7/1?gt=6000",
          "/3/0/7", "/3/0/7/1=3000 /3/0/7/1=5900 /3/0/7/1=6001 >6001 /3/0/7/0=4001 >4001" },
        { "gt of the resource, the instance observed", "/3/0/7?gt=5500", "/3/0/7/1",
          "=5400 =5501 >5501" },
        { "gt below an observed instance", V "?gt=25", "/3303/0", "=24 =26 >26 =27 =20 >20" },
        { "gt below an observed object", V "?gt=25", "/3303", "=24 =26 >26 =27 /3303/1/5700=1 >1" },
        { "st below an observed object, each instance by itself", V "?st=5 /3303/1/5700?st=1",
          "/3303", "=26 /3303/1/5700=23 /3303/1/5700=23.5 >23.5 =30.9 =31 >31" },
        { "periods are those of the observed path", V "?pmin=50&pmax=60", "/3303/0",
          "=22 >22 +1000" },
        { "a change without conditions beside one with them", "/33000/0/1?gt=50", "/33000/0",
          "/33000/0/1=40 /33000/0/2=x >x /33000/0/1=45 /33000/0/1=60 >60" },

        /* --- instances come and go --- */
        { "an instance appears in an object", "", "/3303", "( +/3303/4 /3303/4/5700=9 ) >4/5700" },
        { "an instance goes from an object", "", "/3303", "-/3303/1 >21.5" },
        { "pmin holds for that, too", "/3303?pmin=10", "/3303", "-/3303/1 +9 +1 >21.5" },
        { "the observed instance goes", "", "/3303/1", "-/3303/1 >4.04 +/3303/1" },
        { "the observed resource goes with it, pmin or not", "/3303/1?pmin=10", "/3303/1/5700",
          "-/3303/1 >4.04" },
        { "the observed resource goes alone", "", "/33000/0/2", "-/33000/0/2 >4.04" },
        { "replaced within a transaction", "", "/33000/0/2", "( -/33000/0/2 /33000/0/2=n ) >n" },
        { "a resource instance appears and goes", "", "/3/0/7", "/3/0/7/4=7 >7 -/3/0/7/4 >3800" },
        { "with a condition, too", "/3/0/7?gt=4000", "/3/0/7",
          "/3/0/7/4=7 >7 /3/0/7/4=8 -/3/0/7/4 "
          ">3800" },
        { "the observed resource instance goes", "", "/3/0/7/1", "-/3/0/7/1 >4.04" },
        { "attributes go with the instance", "/3303/1/5700?gt=50", "/3303",
          "( -/3303/1 ) >21.5 ( +/3303/1 /3303/1/5700=1 ) >1 /3303/1/5700=2 >2" },

        /* --- attributes written while it runs --- */
        { "pmin written", "", V, "+1 ?pmin=10 =22 +8 +1 >22" },
        { "pmin unset lets go", V "?pmin=10", V, "=22 +4 ?pmin >22" },
        { "pmin written longer", V "?pmin=10", V, "=22 +4 ?pmin=20 +6 +9 +1 >22" },
        { "pmax written counts from the last one", "", V, "+50 ?pmax=60 +9 +1 >21.5" },
        { "pmax written that is over already", "", V, "+50 ?pmax=20 >21.5" },
        { "pmax unset", V "?pmax=60", V, "+50 ?pmax +1000" },
        { "pmax unset falls back to the object's", "/3303?pmax=100 " V "?pmax=60", V,
          "+50 ?pmax +49 +1 >21.5" },
        { "of the object, while the resource is observed", "", V,
          "+1 /3303?pmin=10 =22 +8 +1 >22" },
        { "gt written: the server knows the value", "", V, "=22 >22 ?gt=25 =23 =26 >26" },
        { "gt unset: what was kept back is told", V "?gt=25", V, "=24 ?gt >24 =24.5 >24.5" },
        { "edge unset: what was kept back is told", "/33000/0/7?edge=1", "/33000/0/7",
          "=1 >1 =0 ?edge >0 =1 >1" },
        { "gt unset, nothing was kept back", V "?gt=25", V, "=24 =21.5 ?gt =22 >22" },
        { "gt moved over the value", V "?gt=25", V, "=24 ?gt=23 >24 =22 >22" },
        { "gt moved, not over the value", V "?gt=25", V, "=24 ?gt=30 =29 =31 >31" },
        { "st made smaller", V "?st=5", V, "=24 ?st=2 >24" },
        { "st 0 written is no change", "", V, "?st=0 ?st=0&pmin=0 =22 >22" },
        { "gt becomes st", V "?gt=25", V, "=24 ?gt&st=3 =24.4 =24.5 >24.5" },
        { "gt at a resource below", "", "/3303", "/3303/0/5700?gt=25 =24 =26 >26" },
        { "gt written while a change waits for pmin", V "?pmin=10", V,
          "=22 ?gt=25 +10 >22 =23 +20 =26 >26" },
        { "defaults of the server, written while it runs", "", V,
          "=22 >22 /1/0/2=10 =23 +9 +1 >23 /1/0/2=0 =24 >24" },

        /* --- attributes in the request (1.2) --- */
        { "own pmin", "", V "?pmin=7", "=22 +6 +1 >22" },
        { "own pmin overrides the written one", V "?pmin=100", V "?pmin=7", "=22 +6 +1 >22" },
        { "own gt", "", V "?gt=25", "=24 =26 >26" },
        { "own st beside a written gt", V "?gt=25", V "?st=2", "=23 =23.5 >23.5 =25.1 >25.1" },
        { "own pmax", "", V "?pmax=60", "+59 +1 >21.5" },
        { "own attributes outlive written ones", "", V "?pmin=7", "?pmin=1 =22 +6 +1 >22" },

        /* --- con --- */
        { "confirmable by default", "", V, "=22 >con" },
        { "con 0", V "?con=0", V, "=22 >non =23 >non" },
        { "con 1 over con 0", "/3303?con=0 " V "?con=1", V, "=22 >con" },
        { "con 0: one in 24 hours is confirmable", V "?con=0", V,
          "+86399 =22 >non +1 =23 >con =24 >non +86400 =25 >con" },
        { "con written while it runs", "", V, "=22 >con ?con=0 =23 >non ?con =24 >con" },
        { "own con", V "?con=1", V "?con=0", "=22 >non" },

        /* --- Observe-Composite --- */
        { "composite", "", V " /33000/0/1", "=22 >22 /33000/0/1=6 >6 /3303/1/5700=1" },
        { "composite, one for several", "", V " /33000/0/1", "{ =22 /33000/0/1=6 } >22" },
        { "composite, each path its own pmin", V "?pmin=10", V " /33000/0/1",
          "=22 +5 /33000/0/1=6 >6 =23 +9 +1 >23" },
        { "composite, the smaller pmin of two that changed", V "?pmin=10 /33000/0/1?pmin=5",
          V " /33000/0/1", "=22 /33000/0/1=6 +4 +1 >6" },
        { "composite, the smallest pmax", V "?pmax=100 /33000/0/1?pmax=60", V " /33000/0/1",
          "+59 +1 >21.5 +60 >21.5" },
        { "composite, a path that overlaps", V "?pmin=10", "/3303 " V, "=22 >22" },
        { "composite, conditions of a path", V "?gt=25", V " /33000/0/1",
          "=24 =26 >26 /33000/0/1=6 >6 =27" },
        { "composite with own pmin", "", V " /33000/0/1?pmin=5", "=22 +4 +1 >22" },
        { "composite, an instance appears and goes", "", "/3303/4 " V,
          "( +/3303/4 /3303/4/5700=9 ) >/3303/4/ -/3303/4 >21.5 =22 >22" },
        { "composite of the root", "", "/",
          "=22 >22 /33000/0/1=6 >6 ( +/3303/4 /3303/4/5700=9 ) "
          ">/3303/4/" },
        { "composite, pmin written while it runs", "", V " /33000/0/1",
          "=22 >22 /3303?pmin=10 =23 /33000/0/1=7 >7 =24 +10 >24" },
        { "composite with con 0", V "?con=0", V " /33000/0/1", "=22 >non" },
        { "composite, one path wants con 1", V "?con=0 /33000/0/1?con=1", V " /33000/0/1",
          "=22 >con" },

        /* --- values of applications --- */
        { "an application is asked at epmax", V "?epmax=30", V,
          "@" V " @21.5 #1 +29 #1 +1 #2 @23 +30 >23 #3 +29 #3" },
        { "nobody is asked without epmax", "", V, "@" V " @21.5 #1 +10000 #1" },
        { "nobody is asked where nobody claims", V "?epmax=30", V, "+10000 #0 =22 >22" },
        { "gt and epmax", V "?gt=25&epmax=10", V,
          "@" V " @21.5 +10 @24 +10 @26 +10 >26 @27 +10 @25 +10 >25 #6" },
        { "st and epmax", V "?st=2&epmax=10", V,
          "@" V " @21.5 +10 @23 +10 @23.5 +10 >23.5 @22 +10" },
        { "gt crossed and back between two evaluations is not seen", V "?gt=25&epmax=10", V,
          "@" V " @21.5 +5 @26 +2 @24 +3 +100" },
        { "gt crossed within pmin is told when pmin is over", V "?gt=25&epmax=10&pmin=35", V,
          "@" V " @21.5 +10 @26 +10 @24 +14 +1 >24" },
        { "pmax asks and tells", V "?gt=50&pmax=60", V, "@" V " @21.5 @22 +59 +1 >22 #2" },
        { "a change asks", "", V, "@" V " @21.5 @30 =1 >30 #2 =2 #3" },
        { "epmin holds that back", V "?epmin=20", V, "@" V " @21.5 @30 +5 =1 +14 +1 >30 #2" },
        { "one that fails is asked again", V "?epmax=60", V, "@" V " @! +60 #2 @22 +29 +1 >22 #3" },
        { "a claim that comes is asked", "", V, "=22 >22 @24 @" V " >24" },
        { "an application beside the tree", V "?gt=25 /3303?epmax=10", "/3303",
          "@" V " @21.5 +10 /3303/1/5700=5 >5 @24 +10 @26 +10 >26" },
};

/* --- the device --- */
static double app_value;
static bool app_fails;
static guint n_answered;
static const Row *row;
static const char *step;

static void fail_at(const char *format, ...) G_GNUC_PRINTF(1, 2);
static void fail_at(const char *format, ...) {
        g_autofree char *text = NULL;
        va_list ap;

        va_start(ap, format);
        text = g_strdup_vprintf(format, ap);
        va_end(ap);
        fail_msg("'%s', at '%s': %s", row->name, step, text);
}

static void answer(Fixture *f, AppCall *c) {
        g_auto(RecordList) l = { .v = NULL };
        g_auto(GStrv) paths = g_strsplit(c->what, " ", -1);

        n_answered++;
        for (size_t i = 0; paths[i]; i++) {
                Value v = { .type = VALUE_FLOAT, .d = app_value };
                Path p;

                assert_int_equal(path_parse(paths[i], &p), 0);
                record_list_add(&l, &p, &v, RECORD_NO_TIME);
        }
        fake_app_answer(c, app_fails ? -5 /* EIO */ : 0, NULL, app_fails ? NULL : &l, f->now);
}

/* Everything that can happen now has happened: questions answered, notifications acknowledged. */
static void settle(Fixture *f) {
        for (bool more = true; more;) {
                more = false;
                pass(f, 0);
                for (guint i = n_answered; i < f->apps->calls->len; i++) {
                        answer(f, g_ptr_array_index(f->apps->calls, i));
                        more = true;
                }
                while (fake_n_open(f->transport)) {
                        fake_call_end(fake_open_call(f->transport, 0), 0, f->now);
                        more = true;
                }
        }
}

static Path observed_path(void) {
        g_autofree char *first = g_strndup(row->observe, strcspn(row->observe, "? "));
        Path p = PATH_ROOT;

        assert_int_equal(path_parse(first, &p), 0);
        return p;
}

static bool is_composite(void) {
        return strchr(row->observe, ' ') || strcmp(row->observe, "/") == 0;
}

static bool is_single(const Fixture *f) {
        const Path p = observed_path();

        return !is_composite() &&
               (p.n == 4 || (p.n == 3 && !tree_resource_def(f->tree, &p)->multiple));
}

/* --- steps --- */
static OpList transaction;
static bool in_transaction;

static void apply(Fixture *f) {
        OpError error;

        if (in_transaction)
                return;
        if (dm_apply(f->dm, transaction.v, transaction.n, &error, f->now) < 0)
                fail_at("%s", error.text);
        op_list_clear(&transaction);
}

static void do_op(Fixture *f, OpKind kind, const Path *p, const char *text) {
        const ResourceDef *def = p->n >= 3 ? tree_resource_def(f->tree, p) : NULL;
        Value v = VALUE_INIT;

        if (text && def && value_parse(text, (ValueType) def->type, &v) < 0)
                fail_at("no value");
        op_list_add(&transaction, kind, p, &v);
        apply(f);
}

static void do_set(Fixture *f, const char *token) {
        const char *equals = strchr(token, '=');
        Path p = is_single(f) ? observed_path() : PATH_OIR(3303, 0, 5700);
        g_autofree char *path = g_strndup(token, (size_t) (equals - token));

        if (path[0])
                assert_int_equal(path_parse(path, &p), 0);
        do_op(f, OP_SET, &p, equals + 1);
}

static void do_attributes(Fixture *f, const char *token) {
        const char *query = strchr(token, '?') + 1;
        const Path own = observed_path();
        g_autofree char *path =
                token[0] == '?' ? g_strdup(PATH_TEXT(&own)) : g_strndup(token, strcspn(token, "?"));

        if (attributes(f, path, query) != CODE(2, 4))
                fail_at("refused: %s", answer_text(f));
}

static void do_app(Fixture *f, const char *token) {
        Path p;

        if (path_parse(token, &p) == 0) {
                fake_apps_claim(f->apps, token, APP_READ);
                dm_owner_changed(f->dm, &p);
                return;
        }
        app_fails = strcmp(token, "!") == 0;
        if (!app_fails)
                app_value = g_ascii_strtod(token, NULL);
}

static void do_instance(Fixture *f, const char *token) {
        Path p;

        assert_int_equal(path_parse(token + 1, &p), 0);
        do_op(f, token[0] == '+' ? OP_CREATE : p.n == 2 ? OP_DELETE : OP_UNSET, &p, NULL);
}

static void do_step(Fixture *f, const char *token) {
        switch (token[0]) {
        case '{':
                dm_suspend_notifications(f->dm);
                break;
        case '}':
                dm_resume_notifications(f->dm, f->now);
                break;
        case '(':
                in_transaction = true;
                break;
        case ')':
                in_transaction = false;
                apply(f);
                break;
        case '@':
                do_app(f, token + 1);
                break;
        case '#':
                if (n_answered != (guint) atoi(token + 1))
                        fail_at("asked %u times", n_answered);
                break;
        case '+':
        case '-':
                if (token[1] == '/')
                        do_instance(f, token);
                else
                        pass(f, g_ascii_strtod(token, NULL));
                break;
        default:
                if (strchr(token, '=') && !strchr(token, '?'))
                        do_set(f, token);
                else
                        do_attributes(f, token);
        }
        settle(f);
}

static void expect(Fixture *f, const FakeMessage *m, const char *what) {
        const char *text = fake_text(m);
        g_autofree char *code = g_strdup_printf("%u.%02u", m->code >> 5, m->code & 31);

        if (m->code != CODE(2, 5)      ? strcmp(what, code) == 0
            : strcmp(what, "con") == 0 ? m->confirmable
            : strcmp(what, "non") == 0 ? !m->confirmable
            : is_single(f)             ? strcmp(text, what) == 0
                                       : strstr(text, what) != NULL)
                return;
        fail_at("%s %s %s, not '%s'", m->confirmable ? "con" : "non", code, text, what);
}

/* --- observing --- */
static uint8_t observe_row(Fixture *f) {
        g_auto(GStrv) paths = g_strsplit(row->observe, "?", 2);
        g_auto(GStrv) list = g_strsplit(paths[0], " ", -1);
        g_autoptr(GString) json = g_string_new("[");
        Ask ask = { .method = METHOD_GET,
                    .path = paths[0],
                    .query = paths[1],
                    .format = -1,
                    .accept = is_single(f) ? 0 : 110,
                    .token = "t" };

        if (is_composite()) {
                for (size_t i = 0; list[i]; i++)
                        g_string_append_printf(json, "%s{\"n\":\"%s\"}", i ? "," : "", list[i]);
                g_string_append_c(json, ']');
                ask.method = METHOD_FETCH;
                ask.path = "/";
                ask.format = 110;
                ask.payload = json->str;
                ask.n_payload = json->len;
        }
        return fixture_ask(f, &ask);
}

static void prepare(Fixture *f) {
        g_auto(GStrv) list = g_strsplit(row->attributes, " ", -1);

        app_value = 21.5;
        app_fails = in_transaction = false;
        n_answered = 0;
        peer_set_version(f->peer, (Version){ 1, 2 });
        for (const char **p =
                     (const char *[]){ "/33000/0/7=0", "/33000/0/12=5", "/33000/0/14=5", NULL };
             *p; p++)
                do_set(f, *p);
        step = "attributes";
        for (size_t i = 0; list[i]; i++)
                if (list[i][0])
                        do_attributes(f, list[i]);
        step = "observe";
        if (observe_row(f) != CODE(2, 5))
                fail_at("refused: %s", answer_text(f));
        settle(f);
}

static void run(Fixture *f) {
        g_auto(GStrv) steps = g_strsplit(row->steps, " ", -1);
        guint n_seen;

        prepare(f);
        n_seen = f->transport->sent->len;
        for (size_t i = 0; steps[i]; i++) {
                step = steps[i];
                if (step[0] != '>') {
                        do_step(f, step);
                        if ((!steps[i + 1] || steps[i + 1][0] != '>') &&
                            f->transport->sent->len > n_seen)
                                fail_at("sent: %s",
                                        fake_text(&((Call *) f->transport->sent->pdata[n_seen])
                                                           ->message));
                        continue;
                }
                if (f->transport->sent->len == n_seen)
                        fail_at("nothing was sent");
                expect(f, &((Call *) f->transport->sent->pdata[n_seen++])->message, step + 1);
                if ((!steps[i + 1] || steps[i + 1][0] != '>') && f->transport->sent->len > n_seen)
                        fail_at("more was sent: %s",
                                fake_text(&((Call *) f->transport->sent->pdata[n_seen])->message));
        }
}

static void test_row(void **state) {
        Fixture *f = *state;

        run(f);
}

static int setup(void **state) {
        row = *state;
        return fixture_setup(state);
}

int main(void) {
        struct CMUnitTest tests[G_N_ELEMENTS(rows)];

        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
                tests[i] = (struct CMUnitTest){ .name = rows[i].name,
                                                .test_func = test_row,
                                                .setup_func = setup,
                                                .teardown_func = fixture_teardown,
                                                .initial_state = (void *) &rows[i] };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
