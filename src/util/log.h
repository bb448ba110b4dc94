/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Log lines with fields. Under systemd (JOURNAL_STREAM set) they go to the journal with their
 * fields; elsewhere to stderr as one line each. Keys, tokens and payloads never belong here. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

enum {
        LOG_LEVEL_ERROR = 3,
        LOG_LEVEL_WARNING = 4,
        LOG_LEVEL_NOTICE = 5,
        LOG_LEVEL_INFO = 6,
        LOG_LEVEL_DEBUG = 7
};

/* Fields of one line, each optional (NULL, 0); ssid goes out as LWM2M_SERVER=, path as LWM2M_PATH=,
 * event as LWM2M_EVENT=, id (128 bits in hexadecimal, from the catalog) as MESSAGE_ID=. */
typedef struct LogFields {
        unsigned ssid;
        const char *path;
        const char *event;
        const char *id;
} LogFields;

void log_open(void); /* decides where lines go; without it, stderr */
bool log_goes_to_journal(void);
void log_set_level(int level);
int log_level(void);
int log_level_parse(const char *text,
                    int *ret); /* error|warning|notice|info|debug, or err, warn, 3..7 */
const char *log_level_name(int level);

/* Returns -error (as a negative errno), for `return log_error_errno(r, …)`; %m in the format is it.
 */
int log_full(int level, int error, const LogFields *fields, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

#define log_at(level, error, fields, ...)                                                          \
        ((level) <= log_level() ? log_full((level), (error), (fields), __VA_ARGS__)                \
                                : ((error) < 0 ? (error) : -(error)))
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, 0, NULL, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, 0, NULL, __VA_ARGS__)
#define log_notice(...) log_at(LOG_LEVEL_NOTICE, 0, NULL, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, 0, NULL, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, 0, NULL, __VA_ARGS__)
#define log_error_errno(error, ...) log_at(LOG_LEVEL_ERROR, (error), NULL, __VA_ARGS__)
#define log_warning_errno(error, ...) log_at(LOG_LEVEL_WARNING, (error), NULL, __VA_ARGS__)
#define log_info_errno(error, ...) log_at(LOG_LEVEL_INFO, (error), NULL, __VA_ARGS__)
#define log_debug_errno(error, ...) log_at(LOG_LEVEL_DEBUG, (error), NULL, __VA_ARGS__)
/* With fields: log_with(LOG_LEVEL_INFO, &(LogFields){ .ssid = 1 }, "…") */
#define log_with(level, fields, ...) log_at((level), 0, (fields), __VA_ARGS__)
