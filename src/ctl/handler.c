/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "ctl/handler.h"
#include "ctl/json.h"
#include "ctl/schema.h"

/* One run of the command. */
typedef struct Step {
        char *op, *path;
        GPtrArray *extra; /* of "NAME=VALUE" */
        GBytes *input;
} Step;

typedef struct Job {
        Handler *handler;
        sd_bus_message *call, *reply; /* reply: for Read, open array */
        GPtrArray *steps;
        guint next;
        const char *phase;
        Child *child;
        uint64_t txn;
        unsigned server;
        bool is_write, is_read, keep; /* keep: wait for Commit or Abort when done */
} Job;

static void step_free(void *userdata) {
        Step *s = userdata;

        g_free(s->op);
        g_free(s->path);
        g_ptr_array_unref(s->extra);
        g_bytes_unref(s->input);
        g_free(s);
}

static void job_free(void *userdata) {
        Job *j = userdata;

        child_free(j->child);
        sd_bus_message_unref(j->call);
        sd_bus_message_unref(j->reply);
        g_ptr_array_unref(j->steps);
        g_free(j);
}

void handler_init(Handler *h, Ctl *c, Loop *loop, char *const *argv, uint64_t timeout_usec,
                  bool phases) {
        *h = (Handler){
                .c = c, .loop = loop, .argv = argv, .timeout_usec = timeout_usec, .phases = phases
        };
        h->jobs = g_ptr_array_new_with_free_func(job_free);
        h->prepared = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, job_free);
        signal(SIGPIPE, SIG_IGN); /* a command need not read its input */
}

void handler_clear(Handler *h) {
        g_clear_pointer(&h->jobs, g_ptr_array_unref);
        g_clear_pointer(&h->prepared, g_hash_table_unref);
}

void handler_forget(Handler *h) {
        g_hash_table_remove_all(h->prepared);
}

const char *handler_error_name(int wait_status, bool is_write) {
        if (!WIFEXITED(wait_status))
                return SD_BUS_ERROR_FAILED;
        switch (WEXITSTATUS(wait_status)) {
        case 0:
                return NULL;
        case EX_USAGE:
        case EX_DATAERR:
                return BUS_ERROR("InvalidValue");
        case EX_NOINPUT:
                return BUS_ERROR("NotFound");
        case EX_UNAVAILABLE:
        case EX_TEMPFAIL:
                return BUS_ERROR("Busy");
        case EX_NOPERM:
                return BUS_ERROR("AccessDenied");
        case EX_CONFIG:
                return BUS_ERROR("NotSupported");
        default:
                return is_write ? BUS_ERROR("InvalidValue") : SD_BUS_ERROR_FAILED;
        }
}

static Job *job_new(Handler *h, sd_bus_message *m, sd_bus_error *error) {
        Job *j;

        if (h->jobs->len >= HANDLER_JOBS_MAX) {
                sd_bus_error_setf(error, BUS_ERROR("Busy"), "%d calls are being answered",
                                  HANDLER_JOBS_MAX);
                return NULL;
        }
        j = g_new0(Job, 1);
        j->handler = h;
        j->call = sd_bus_message_ref(m);
        j->steps = g_ptr_array_new_with_free_func(step_free);
        j->phase = "final";
        return j;
}

static Step *add_step(Job *j, const char *op, const char *path, GBytes *input) {
        Step *s = g_new0(Step, 1);

        s->op = g_strdup(op);
        s->path = g_strdup(path);
        s->extra = g_ptr_array_new_with_free_func(g_free);
        s->input = input ?: g_bytes_new(NULL, 0);
        g_ptr_array_add(j->steps, s);
        return s;
}

static char **environment_of(const Job *j, const Step *s) {
        g_autofree char *server = g_strdup_printf("%u", j->server);
        char **env = g_get_environ();

        /* Left from a handler that started this one. */
        for (char digit[] = "LWM2M_ARG_0"; digit[10] <= '9'; digit[10]++)
                env = g_environ_unsetenv(env, digit);
        env = g_environ_unsetenv(env, "LWM2M_ARGS");
        env = g_environ_setenv(env, "LWM2M_OP", s->op, true);
        env = g_environ_setenv(env, "LWM2M_PATH", s->path, true);
        env = g_environ_setenv(env, "LWM2M_PHASE", j->phase, true);
        env = g_environ_setenv(env, "LWM2M_SERVER", server, true);
        for (guint i = 0; i < s->extra->len; i++) {
                const char *text = g_ptr_array_index(s->extra, i), *equal = strchr(text, '=');
                g_autofree char *name = g_strndup(text, (gsize) (equal - text));

                env = g_environ_setenv(env, name, equal + 1, true);
        }
        return env;
}

static void job_end(Job *j) {
        g_ptr_array_remove_fast(j->handler->jobs, j);
}

static void job_fail(Job *j, const char *name, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
static void job_fail(Job *j, const char *name, const char *format, ...) {
        const Step *s = j->next < j->steps->len ? g_ptr_array_index(j->steps, j->next) : NULL;
        g_autofree char *text = NULL;
        va_list args;

        va_start(args, format);
        text = g_strdup_vprintf(format, args);
        va_end(args);
        ctl_fail(CTL_FAILED, "%s: %s", s ? s->path : "handle", text);
        /* The daemon puts the path before it when there is only one. */
        if (s && j->steps->len > 1)
                sd_bus_reply_method_errorf(j->call, name, "%s: %s", s->path, text);
        else
                sd_bus_reply_method_errorf(j->call, name, "%s", text);
        job_end(j);
}

static void job_run(Job *j);

/* The first line, as the error's text; whatever else it says goes to our own errors. */
static char *first_line(const GString *errors) {
        size_t n = strcspn(errors->str, "\r\n");
        g_autofree char *line = g_strndup(errors->str, n);

        return printable(line);
}

/* The command's output as the value of a Read, by the type of the definition. */
static int append_output(Job *j, const Step *s, const GString *output) {
        g_auto(Input) in = { 0 };
        const cJSON *resource;
        CtlPath p;
        size_t n = output->len;
        g_autofree char *text = NULL;
        int r;

        if (ctl_path_parse(s->path, &p) < 0 || p.n < 3)
                return -EINVAL;
        resource = schema_peek(j->handler->c, &p);
        if (datum_type_parse(json_string(resource, "type", "")) == DATUM_OPAQUE &&
            !(p.n == 3 && json_bool(resource, "multiple"))) {
                in.path = p;
                in.value = (Datum){ .type = DATUM_OPAQUE, .bytes = g_bytes_new(output->str, n) };
        } else {
                if (strlen(output->str) != n)
                        return -EINVAL;
                text = g_strndup(output->str, n > 0 && output->str[n - 1] == '\n' ? n - 1 : n);
                if (input_parse(j->handler->c, &p, DATUM_NONE, text, &in) != CTL_OK)
                        return -EINVAL;
        }
        r = sd_bus_message_open_container(j->reply, 'r', "svx");
        if (r >= 0)
                r = sd_bus_message_append(j->reply, "s", s->path);
        if (r >= 0)
                r = input_append(j->reply, &in);
        if (r >= 0)
                r = sd_bus_message_append(j->reply, "x", (int64_t) 0);
        return r < 0 ? r : sd_bus_message_close_container(j->reply);
}

static void on_done(void *userdata, const ChildResult *result) {
        Job *j = userdata;
        const Step *s = g_ptr_array_index(j->steps, j->next);
        const char *name = handler_error_name(result->status, j->is_write);
        g_autofree char *line = first_line(result->errors);

        if (result->timed_out)
                job_fail(j, BUS_ERROR("Timeout"), "'%s' took longer than %u ms",
                         j->handler->argv[0], (unsigned) (j->handler->timeout_usec / 1000));
        else if (name && line[0])
                job_fail(j, name, "%s", line);
        else if (name && WIFEXITED(result->status))
                job_fail(j, name, "'%s' exited with %d", j->handler->argv[0],
                         WEXITSTATUS(result->status));
        else if (name)
                job_fail(j, name, "'%s' was ended by signal %d", j->handler->argv[0],
                         WTERMSIG(result->status));
        else if (j->is_read && result->too_long)
                job_fail(j, SD_BUS_ERROR_FAILED, "'%s' printed more than %u bytes",
                         j->handler->argv[0], CHILD_OUTPUT_MAX);
        else if (j->is_read && append_output(j, s, result->output) < 0)
                job_fail(j, SD_BUS_ERROR_FAILED, "'%s' printed no value of the resource's type",
                         j->handler->argv[0]);
        else {
                if (!j->is_read &&
                    write(STDOUT_FILENO, result->output->str, result->output->len) < 0)
                        ctl_fail(CTL_FAILED, "Cannot pass the output on: %s", g_strerror(errno));
                j->child = child_free(j->child);
                j->next++;
                job_run(j);
        }
}

static void job_succeed(Job *j) {
        GPtrArray *jobs = j->handler->jobs;
        guint i;
        int r;

        if (j->is_read) {
                r = sd_bus_message_close_container(j->reply);
                if (r >= 0)
                        r = sd_bus_send(NULL, j->reply, NULL);
        } else
                r = sd_bus_reply_method_return(j->call, NULL);
        if (r < 0)
                ctl_fail(CTL_FAILED, "Cannot answer: %s", g_strerror(-r));
        if (!j->keep) {
                job_end(j);
                return;
        }
        j->next = 0;
        j->keep = false;
        j->call = sd_bus_message_unref(j->call);
        if (g_ptr_array_find(jobs, j, &i))
                g_ptr_array_steal_index_fast(jobs, i);
        g_hash_table_replace(j->handler->prepared, &j->txn, j);
}

/* Starts the next run, or answers when there is none. May free j. */
static void job_run(Job *j) {
        Handler *h = j->handler;
        g_auto(GStrv) environment = NULL;
        const Step *s;
        int r;

        if (j->next == j->steps->len) {
                job_succeed(j);
                return;
        }
        s = g_ptr_array_index(j->steps, j->next);
        environment = environment_of(j, s);
        r = child_new(h->loop, h->argv, environment, s->input, h->timeout_usec, on_done, j,
                      &j->child);
        if (r < 0)
                job_fail(j, SD_BUS_ERROR_FAILED, "cannot run '%s': %s", h->argv[0], g_strerror(-r));
}

static int job_start(Job *j) {
        g_ptr_array_add(j->handler->jobs, j);
        job_run(j);
        return 1; /* answered later */
}

static int read_context(Job *j, sd_bus_message *m, cJSON **ret) {
        int r;

        r = json_read(m, ret);
        if (r >= 0)
                j->server = (unsigned) json_integer(*ret, "server", 0);
        return r;
}

static int add_arguments(Step *s, sd_bus_message *m, GString *text) {
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(ys)");
        while (r >= 0) {
                const char *value;
                uint8_t digit;

                r = sd_bus_message_read(m, "(ys)", &digit, &value);
                if (r <= 0)
                        break;
                if (digit > 9)
                        return -EINVAL;
                g_ptr_array_add(s->extra, g_strdup_printf("LWM2M_ARG_%u=%s", digit, value));
                g_string_append_printf(text, "%s%u", text->len > 0 ? "," : "", digit);
                if (value[0])
                        g_string_append_printf(text, "='%s'", value);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* Replaces text by the arguments as the server sent them, if the daemon tells: as a string or as
 * bytes. */
static int take_raw(const cJSON *context, GString *text) {
        const cJSON *raw = cJSON_GetObjectItemCaseSensitive(context, "raw");
        const char *base64 = json_string(raw, "opaque", NULL);
        g_autofree guchar *bytes = NULL;
        gsize n = 0;

        if (cJSON_IsString(raw))
                g_string_assign(text, raw->valuestring);
        if (!base64)
                return 0;
        bytes = g_base64_decode(base64, &n);
        if (n > 0 && memchr(bytes, '\0', n))
                return -EINVAL;
        g_string_truncate(text, 0);
        g_string_append_len(text, (char *) bytes, (gssize) n);
        return 0;
}

int handler_execute(Handler *h, sd_bus_message *m, sd_bus_error *error) {
        g_autoptr(GString) text = g_string_new(NULL);
        g_autoptr(cJSON) context = NULL;
        Job *j = job_new(h, m, error);
        const char *path;
        Step *s;
        int r;

        if (!j)
                return -EBUSY;
        r = sd_bus_message_read(m, "s", &path);
        if (r >= 0) {
                s = add_step(j, "execute", path, NULL);
                r = add_arguments(s, m, text);
        }
        if (r >= 0)
                r = read_context(j, m, &context);
        if (r >= 0)
                r = take_raw(context, text);
        if (r < 0) {
                job_free(j);
                return sd_bus_error_setf(error, BUS_ERROR("InvalidValue"),
                                         "the arguments cannot be passed to a command");
        }
        g_ptr_array_add(s->extra, g_strdup_printf("LWM2M_ARGS=%s", text->str));
        g_bytes_unref(s->input);
        s->input = g_bytes_new(text->str, text->len);
        return job_start(j);
}

int handler_read(Handler *h, sd_bus_message *m, sd_bus_error *error) {
        g_autoptr(cJSON) context = NULL;
        Job *j = job_new(h, m, error);
        const char *path;
        int r;

        if (!j)
                return -EBUSY;
        j->is_read = true;
        r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(m, "s", &path)) > 0)
                add_step(j, "read", path, NULL);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = read_context(j, m, &context);
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &j->reply);
        if (r >= 0)
                r = sd_bus_message_open_container(j->reply, 'a', "(svx)");
        if (r < 0) {
                job_free(j);
                return r;
        }
        return job_start(j);
}

/* A value for the standard input: strings and opaque values byte by byte, others as text. */
static GBytes *input_of(const cJSON *value) {
        const char *opaque = json_string(value, "opaque", NULL);
        char *text;

        if (opaque) {
                gsize n;
                guchar *bytes = g_base64_decode(opaque, &n);

                return g_bytes_new_take(bytes, n);
        }
        text = cJSON_IsString(value) ? g_strdup(value->valuestring) : json_text(value);
        return g_bytes_new_take(text, strlen(text));
}

static int read_ops(Job *j, sd_bus_message *m) {
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(ssv)");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "ssv")) > 0) {
                g_autoptr(cJSON) value = NULL;
                const char *op, *path;

                r = sd_bus_message_read(m, "ss", &op, &path);
                if (r >= 0)
                        r = json_read(m, &value);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        break;
                if (strcmp(op, "set") == 0 || strcmp(op, "replace") == 0)
                        add_step(j, "write", path, input_of(value));
                else
                        add_step(j, op, path, NULL);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int handler_prepare(Handler *h, sd_bus_message *m, sd_bus_error *error) {
        g_autoptr(cJSON) context = NULL;
        Job *j = job_new(h, m, error);
        int r;

        if (!j)
                return -EBUSY;
        j->is_write = true;
        r = sd_bus_message_read(m, "t", &j->txn);
        if (r >= 0)
                r = read_ops(j, m);
        if (r >= 0)
                r = read_context(j, m, &context);
        if (r < 0) {
                job_free(j);
                return r;
        }
        if (!json_bool(context, "final")) {
                j->phase = "prepare";
                j->keep = h->phases;
                if (j->keep && g_hash_table_size(h->prepared) >= HANDLER_JOBS_MAX) {
                        job_free(j);
                        return sd_bus_error_setf(error, BUS_ERROR("Busy"),
                                                 "%d requests wait for their end",
                                                 HANDLER_JOBS_MAX);
                }
        }
        return job_start(j);
}

int handler_finish(Handler *h, sd_bus_message *m, bool commit, sd_bus_error *error) {
        uint64_t txn;
        Job *j;
        int r;

        r = sd_bus_message_read(m, "t", &txn);
        if (r < 0)
                return r;
        j = g_hash_table_lookup(h->prepared, &txn);
        if (!j) {
                if (!commit && !h->phases)
                        ctl_fail(CTL_FAILED, "a write that the command has taken was withdrawn: "
                                             "another application refused its part");
                return sd_bus_reply_method_return(m, NULL);
        }
        g_hash_table_steal(h->prepared, &txn);
        j->phase = commit ? "commit" : "abort";
        j->call = sd_bus_message_ref(m);
        return job_start(j);
}
