/* SPDX-License-Identifier: Apache-2.0 */
#include "util/log.h"

#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"

/* The journal's native protocol is one datagram of KEY=value lines (systemd:
 * JOURNAL_NATIVE_PROTOCOL); spoken here rather than through libsystemd, so that a build on basu
 * logs the same. */
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static int level_max = LOG_LEVEL_INFO;
static int journal_fd = -1;

static bool stderr_is_the_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2 ||
            fstat(STDERR_FILENO, &st) < 0)
                return false;
        return st.st_dev == device && st.st_ino == inode;
}

void log_open(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET };
        autoclose int fd = -1;

        if (journal_fd >= 0 || !stderr_is_the_journal())
                return;
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0)
                journal_fd = steal_fd(&fd);
}

bool log_goes_to_journal(void) {
        return journal_fd >= 0;
}

void log_set_level(int level) {
        level_max = CLAMP(level, LOG_LEVEL_ERROR, LOG_LEVEL_DEBUG);
}

int log_level(void) {
        return level_max;
}

static const struct {
        const char *name;
        int level;
} names[] = {
        { "error", LOG_LEVEL_ERROR },   { "warning", LOG_LEVEL_WARNING },
        { "notice", LOG_LEVEL_NOTICE }, { "info", LOG_LEVEL_INFO },
        { "debug", LOG_LEVEL_DEBUG },   { "err", LOG_LEVEL_ERROR },
        { "warn", LOG_LEVEL_WARNING },  { "3", LOG_LEVEL_ERROR },
        { "4", LOG_LEVEL_WARNING },     { "5", LOG_LEVEL_NOTICE },
        { "6", LOG_LEVEL_INFO },        { "7", LOG_LEVEL_DEBUG },
        { "crit", LOG_LEVEL_ERROR },    { "alert", LOG_LEVEL_ERROR },
        { "emerg", LOG_LEVEL_ERROR },
};

int log_level_parse(const char *text, int *ret) {
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                if (strcmp(text, names[i].name) == 0) {
                        *ret = names[i].level;
                        return 0;
                }
        return -EINVAL;
}

const char *log_level_name(int level) {
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                if (names[i].level == level)
                        return names[i].name;
        return "unknown";
}

static void add_field(GString *s, const char *key, const char *value) {
        if (value)
                g_string_append_printf(s, "%s=%s\n", key, value);
}

typedef char ServerText[32];

/* In front of the message, for whoever reads no fields. */
static const char *server_text(const LogFields *fields, ServerText ret) {
        ret[0] = '\0';
        if (fields && fields->ssid)
                snprintf(ret, sizeof(ServerText), "server %u: ", fields->ssid);
        return ret;
}

static bool log_journal(int level, int error, const LogFields *fields, const char *text) {
        g_autoptr(GString) s = g_string_new(NULL);
        ServerText server;

        g_string_append_printf(s, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s%s\n", level,
                               g_get_prgname(), server_text(fields, server), text);
        if (error)
                g_string_append_printf(s, "ERRNO=%d\n", error);
        if (fields) {
                if (fields->ssid)
                        g_string_append_printf(s, "LWM2M_SERVER=%u\n", fields->ssid);
                add_field(s, "LWM2M_PATH", fields->path);
                add_field(s, "LWM2M_EVENT", fields->event);
                add_field(s, "MESSAGE_ID", fields->id);
        }
        return send(journal_fd, s->str, s->len, MSG_NOSIGNAL) >= 0;
}

static void log_stderr(int level, const LogFields *fields, const char *text) {
        ServerText server;

        fprintf(stderr, "%s: %s%s\n", log_level_name(level), server_text(fields, server), text);
}

int log_full(int level, int error, const LogFields *fields, const char *format, ...) {
        char text[1024];
        va_list ap;

        error = error < 0 ? -error : error;
        if (level > level_max)
                return -error;

        errno = error;
        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        /* One message is one line: what a peer sent must not forge another. */
        for (char *p = text; *p; p++)
                if ((unsigned char) *p < ' ' || *p == 0x7f)
                        *p = ' ';

        if (journal_fd < 0 || !log_journal(level, error, fields, text))
                log_stderr(level, fields, text);
        return -error;
}
