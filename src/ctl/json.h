/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* D-Bus messages as JSON, and JSON as one line of text. Numbers keep every digit (cJSON_Raw), an
 * opaque value is {"opaque":"<base64>"}, an object link {"objlnk":"O:I"}, a multiple-instance
 * resource or a dictionary an object. A descriptor and a float that is no number become null. */
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#define JSON_DEPTH_MAX 32

/* Reads one complete type at the message's cursor. -EBADMSG, -ENXIO at the end. */
int json_read(sd_bus_message *m, cJSON **ret);

/* The flat list a(svx) of GetMany and Changed, at the cursor. value is visit's. */
typedef void (*JsonValueVisit)(void *userdata, const char *path, cJSON *value, int64_t time_ns);
int json_read_values(sd_bus_message *m, JsonValueVisit visit, void *userdata);
/* {"path":…,"value":…,"time_ns":…}; takes value over. */
cJSON *json_value_item(const char *path, cJSON *value, int64_t time_ns);

/* Text for people: strings with control characters escaped, opaque as hexadecimal digits, a
 * multiple-instance resource as {0=…,1=…}. g_free() */
char *json_text(const cJSON *value);
/* Prints it as one line of JSON. */
void json_print_line(const cJSON *value);

size_t opaque_length(const char *base64); /* of the bytes it stands for */

/* Members of an object; a default when absent or of another type. */
const char *json_string(const cJSON *object, const char *key, const char *missing);
int64_t json_integer(const cJSON *object, const char *key, int64_t missing);
bool json_bool(const cJSON *object, const char *key);

/* The shortest decimal text that reads back as d. */
void double_text(double d, char buffer[static 40]);
/* Control characters as \xNN, so that a value cannot drive the terminal; invalid UTF-8 likewise. */
char *printable(const char *text);
/* Nanoseconds as 2026-01-02T03:04:05.678Z, "never" for 0; whole seconds without the fraction. */
char *time_text(int64_t time_ns);
char *date_text(int64_t time_sec);
void json_add_integer(cJSON *object, const char *key, int64_t i);
