/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Values of the keys about a socket's local end: Bind=, Interface= and Mark=. */
#include <stdbool.h>
#include <stdint.h>

/* IPv4 or IPv6, the latter perhaps with %interface; whether this host has it is not looked at. */
bool config_is_address(const char *text);
bool config_is_interface(const char *text); /* could be the name of one */
/* Decimal, or hexadecimal behind 0x; -EINVAL, -ERANGE. */
int config_parse_mark(const char *text, uint64_t *ret);
