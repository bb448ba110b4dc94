/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config_local.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <net/if.h>
#include <string.h>

#include "util/parse.h"

#define MARK_DIGITS_MAX 8 /* hexadecimal */

bool config_is_address(const char *text) {
        g_autofree char *bare = g_strndup(text, strcspn(text, "%"));
        struct in6_addr six;
        struct in_addr four;

        if (strchr(text, '%'))
                return inet_pton(AF_INET6, bare, &six) == 1 &&
                       config_is_interface(strchr(text, '%') + 1);
        return inet_pton(AF_INET, bare, &four) == 1 || inet_pton(AF_INET6, bare, &six) == 1;
}

bool config_is_interface(const char *text) {
        return *text && strlen(text) < IFNAMSIZ && !strpbrk(text, "/ \t") &&
               strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

int config_parse_mark(const char *text, uint64_t *ret) {
        size_t n;

        if (strncmp(text, "0x", 2) != 0)
                return parse_u64(text, UINT32_MAX, ret);
        n = strspn(text + 2, "0123456789abcdefABCDEF");
        if (n == 0 || n > MARK_DIGITS_MAX || text[2 + n])
                return -EINVAL;
        *ret = g_ascii_strtoull(text, NULL, 16);
        return 0;
}
