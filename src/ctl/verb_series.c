/* SPDX-License-Identifier: Apache-2.0 */
/* Time series: `cache` and `push`. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/json.h"
#include "ctl/schema.h"
#include "ctl/verbs.h"
#include "util/cleanup.h"
#include "util/parse.h"

#define NS_PER_S INT64_C(1000000000)
#define PUSH_LINES_MAX 10000 /* samples of one call */
#define LINE_MAX_BYTES 4096

/* --- times: seconds with up to nine decimals --- */
static int parse_seconds(const char *text, int64_t *ret_ns) {
        const char *dot = strchr(text, '.');
        g_autofree char *whole = g_strndup(text, dot ? (gsize) (dot - text) : strlen(text));
        int64_t s, ns = 0;
        int r;

        r = parse_i64(whole, &s);
        if (r < 0)
                return r;
        if (s < 0 || s > INT64_MAX / NS_PER_S - 1)
                return -ERANGE;
        if (dot) {
                size_t n = strlen(dot + 1);

                if (n == 0 || n > 9 || strspn(dot + 1, "0123456789") != n)
                        return -EINVAL;
                for (size_t i = 0; i < 9; i++)
                        ns = ns * 10 + (i < n ? dot[1 + i] - '0' : 0);
        }
        *ret_ns = s * NS_PER_S + ns;
        return 0;
}

static int parse_time(const char *text, int64_t *ret_ns) {
        g_autoptr(GDateTime) t = NULL;

        if (strcmp(text, "now") == 0) {
                *ret_ns = 0;
                return 0;
        }
        if (!strchr(text, 'T'))
                return parse_seconds(text, ret_ns);
        t = g_date_time_new_from_iso8601(text, NULL);
        if (!t)
                return -EINVAL;
        *ret_ns =
                g_date_time_to_unix(t) * NS_PER_S + (int64_t) g_date_time_get_microsecond(t) * 1000;
        return 0;
}

static char *format_time(int64_t ns) {
        return g_strdup_printf("%" PRId64 ".%09" PRId64, ns / NS_PER_S, ns % NS_PER_S);
}

/* --- cache PATH --- */
typedef struct Listing {
        const char *asked;
        cJSON *list; /* NULL without --json */
} Listing;

static void print_sample(void *userdata, const char *path, cJSON *value, int64_t time_ns) {
        g_autoptr(cJSON) owned = value;
        g_autofree char *time = NULL, *text = NULL;
        const Listing *l = userdata;

        if (time_ns == 0)
                return; /* not cached */
        if (l->list) {
                cJSON_AddItemToArray(l->list,
                                     json_value_item(path, g_steal_pointer(&owned), time_ns));
                return;
        }
        time = format_time(time_ns);
        text = json_text(value);
        if (strcmp(l->asked, path) != 0)
                printf("%s ", path);
        printf("%s %s\n", time, text);
}

static CtlExit print_samples(Ctl *c, const char *path) {
        g_autoptr(cJSON) list = c->json ? cJSON_CreateArray() : NULL;
        g_autoptr(sd_bus_message) m = NULL, reply = NULL;
        CtlExit code;
        int r;

        code = ctl_message(c, NULL, "Data", "GetMany", &m);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_append(m, "asa{sv}", 1, path, 1, "samples", "b", 1);
        if (r < 0)
                return ctl_protocol_fail(r, "GetMany");
        code = ctl_send(c, m, NULL, &reply);
        if (code != CTL_OK)
                return code;
        r = json_read_values(reply, print_sample, &(Listing){ .asked = path, .list = list });
        if (r < 0)
                return ctl_protocol_fail(r, "GetMany");
        if (list)
                json_print_line(list);
        return CTL_OK;
}

static CtlExit check_choice(const Args *a, const char *option, const char *one, const char *other) {
        const char *text = args_get(a, option);

        if (!text || strcmp(text, one) == 0 || strcmp(text, other) == 0)
                return CTL_OK;
        return ctl_fail(CTL_USAGE, "%s=%s: expected %s or %s", option, text, one, other);
}

static int append_text(sd_bus_message *m, const char *key, const char *text) {
        return text ? sd_bus_message_append(m, "{sv}", key, "s", text) : 0;
}

static CtlExit configure(Ctl *c, const Args *a, const char *path, uint32_t samples) {
        g_autoptr(sd_bus_message) m = NULL;
        CtlExit code;
        int r;

        code = ctl_message(c, NULL, "Data", "Configure", &m);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_append(m, "s", path);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "cache", "u", samples);
        if (r >= 0)
                r = append_text(m, "cache_full", args_get(a, "--full"));
        if (r >= 0)
                r = append_text(m, "cache_read", args_get(a, "--read"));
        if (r >= 0)
                r = append_text(m, "persist", args_get(a, "--persist") ? "always" : NULL);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? ctl_protocol_fail(r, "Configure") : ctl_send(c, m, NULL, NULL);
}

int verb_cache(Ctl *c, const Args *a) {
        g_autofree char *path = NULL;
        uint32_t samples = 0;
        CtlPath p;
        CtlExit code;

        code = ctl_path(args_word(a, 0), 1, 4, &p);
        if (code == CTL_OK)
                code = check_choice(a, "--full", "newest", "oldest");
        if (code == CTL_OK)
                code = check_choice(a, "--read", "all", "latest");
        if (code != CTL_OK)
                return code;
        path = ctl_path_text(&p);
        if (!args_word(a, 1)) {
                if (args_get(a, "--full") || args_get(a, "--read") || args_get(a, "--persist"))
                        return ctl_fail(CTL_USAGE, "%s: options need the number of samples", path);
                return print_samples(c, path);
        }
        if (parse_u32(args_word(a, 1), &samples) < 0)
                return ctl_fail(CTL_USAGE, "'%s' is not a number of samples", args_word(a, 1));
        return configure(c, a, path, samples);
}

/* --- push PATH [FILE] --- */
typedef struct Push {
        Ctl *ctl;
        CtlPath path;
        char *path_text;
        bool boot;
        sd_bus_message *m; /* samples that wait; NULL: none */
        unsigned n_waiting;
        uint64_t n_line, n_pushed, n_dropped;
} Push;

static CtlExit flush_samples(Push *p) {
        g_autoptr(sd_bus_message) m = g_steal_pointer(&p->m), reply = NULL;
        uint32_t dropped;
        CtlExit code;
        int r;

        if (!m)
                return CTL_OK;
        r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = p->boot ? sd_bus_message_append(m, "a{sv}", 1, "boottime", "b", 1)
                            : sd_bus_message_append(m, "a{sv}", 0);
        if (r < 0)
                return ctl_protocol_fail(r, "Push");
        code = ctl_send(p->ctl, m, NULL, &reply);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_read(reply, "u", &dropped);
        if (r < 0)
                return ctl_protocol_fail(r, "Push");
        p->n_pushed += p->n_waiting;
        p->n_dropped += dropped;
        p->n_waiting = 0;
        return CTL_OK;
}

static CtlExit begin_samples(Push *p) {
        CtlExit code;
        int r;

        if (p->m)
                return CTL_OK;
        code = ctl_message(p->ctl, NULL, "Data", "Push", &p->m);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_open_container(p->m, 'a', "(svx)");
        return r < 0 ? ctl_protocol_fail(r, "Push") : CTL_OK;
}

static CtlExit add_sample(Push *p, const Input *in, int64_t time_ns) {
        CtlExit code;
        int r;

        code = begin_samples(p);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_open_container(p->m, 'r', "svx");
        if (r >= 0)
                r = sd_bus_message_append(p->m, "s", p->path_text);
        if (r >= 0)
                r = input_append(p->m, in);
        if (r >= 0)
                r = sd_bus_message_append(p->m, "x", time_ns);
        if (r >= 0)
                r = sd_bus_message_close_container(p->m);
        if (r < 0)
                return ctl_protocol_fail(r, "Push");
        return ++p->n_waiting >= PUSH_LINES_MAX ? flush_samples(p) : CTL_OK;
}

static CtlExit line_fail(Push *p, const char *what, const char *text) {
        CtlExit code;

        code = flush_samples(p); /* what stands before it is good */
        if (code != CTL_OK)
                return code;
        return ctl_fail(CTL_USAGE, "line %" PRIu64 ": '%s' %s", p->n_line, text, what);
}

/* "VALUE" or "TIME VALUE"; a comma or semicolon may stand between them. */
static CtlExit take_line(Push *p, char *line) {
        g_auto(Input) in = { 0 };
        char *value, *time = NULL;
        int64_t time_ns = 0;
        CtlExit code;

        p->n_line++;
        value = g_strstrip(line);
        if (*value == '\0' || *value == '#')
                return CTL_OK;
        if (value[strcspn(value, " \t,;")]) {
                time = value;
                value += strcspn(value, " \t,;");
                *value++ = '\0';
                value += strspn(value, " \t,;");
        }
        if (time && parse_time(time, &time_ns) < 0)
                return line_fail(p, "is not a time: seconds, 2026-01-02T03:04:05Z, or now", time);
        code = input_parse(p->ctl, &p->path, DATUM_NONE, value, &in);
        if (code != CTL_OK) {
                ctl_hint("in line %" PRIu64, p->n_line);
                (void) flush_samples(p);
                return code;
        }
        return add_sample(p, &in, time_ns);
}

/* All whole lines; what is left is the beginning of the next one. */
static CtlExit take_lines(Push *p, GString *buffer, bool end) {
        size_t from = 0;
        CtlExit code = CTL_OK;

        while (code == CTL_OK && from < buffer->len) {
                char *line = buffer->str + from, *newline = strchr(line, '\n');

                if (!newline && !end)
                        break;
                from = newline ? (size_t) (newline - buffer->str) + 1 : buffer->len;
                if (newline)
                        *newline = '\0';
                code = take_line(p, line);
        }
        g_string_erase(buffer, 0, (gssize) from);
        if (code == CTL_OK && buffer->len > LINE_MAX_BYTES)
                return ctl_fail(CTL_USAGE, "line %" PRIu64 " is too long", p->n_line + 1);
        return code;
}

/* What a read gives goes in one call: a file in large ones, a sensor's output as it comes. */
static CtlExit push_all(Push *p, int fd, const char *name) {
        g_autoptr(GString) buffer = g_string_new(NULL);
        CtlExit code = CTL_OK;
        char bytes[64 << 10];
        ssize_t n = 1;

        while (code == CTL_OK && n > 0) {
                n = read(fd, bytes, sizeof(bytes));
                if (n < 0 && errno == EINTR) {
                        n = 1;
                        continue;
                }
                if (n < 0)
                        return ctl_fail(CTL_FAILED, "Cannot read %s: %s", name, g_strerror(errno));
                if (memchr(bytes, '\0', (size_t) n))
                        return ctl_fail(CTL_USAGE, "%s is no text", name);
                g_string_append_len(buffer, bytes, n);
                code = take_lines(p, buffer, n == 0);
                if (code == CTL_OK)
                        code = flush_samples(p);
        }
        return code;
}

static void tell(const Push *p) {
        if (p->ctl->json) {
                g_autoptr(cJSON) out = cJSON_CreateObject();

                json_add_integer(out, "pushed", (int64_t) p->n_pushed);
                json_add_integer(out, "dropped", (int64_t) p->n_dropped);
                json_print_line(out);
        } else if (p->n_dropped > 0)
                ctl_hint("%" PRIu64 " samples were dropped: the cache is full", p->n_dropped);
}

int verb_push(Ctl *c, const Args *a) {
        const char *file = args_word(a, 1);
        const bool is_stdin = !file || strcmp(file, "-") == 0;
        g_autofree char *path = NULL;
        autoclose int fd = -1;
        Push p = { .ctl = c, .boot = args_get(a, "--boottime") != NULL };
        CtlExit code;

        code = ctl_path(args_word(a, 0), 3, 4, &p.path);
        if (code != CTL_OK)
                return code;
        path = p.path_text = ctl_path_text(&p.path);
        fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return ctl_fail(CTL_FAILED, "Cannot open %s: %s",
                                is_stdin ? "the standard input" : file, g_strerror(errno));
        code = push_all(&p, fd, is_stdin ? "the standard input" : file);
        sd_bus_message_unref(p.m);
        if (code == CTL_OK)
                tell(&p);
        return code;
}
