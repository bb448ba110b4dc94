/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The cipher suites a server's account may name (0/x/16, and CipherSuites= of the configuration),
 * by their IANA names and numbers. Only these are ever offered: those of the profiles of RFC 7925,
 * those LwM2M 1.0 asked for, and their stronger relatives. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum CipherKind {
        CIPHER_PSK,         /* a pre-shared key */
        CIPHER_CERTIFICATE, /* certificates and raw public keys */
} CipherKind;

typedef struct CipherSuite {
        const char *name;
        CipherKind kind;
        uint16_t number;
        bool preset; /* offered when the account names none; in the order of the table */
} CipherSuite;

/* The suites one after the other, most wanted first; NULL at the end. */
const CipherSuite *cipher_suite_at(size_t i);
const CipherSuite *cipher_suite_by_number(uint64_t number); /* NULL: not one of these */
const CipherSuite *cipher_suite_by_name(const char *name);
