/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The server's side of TLS for stream.c, on OpenSSL over a socket that does not block. */
#include <cjson/cJSON.h>
#include <openssl/ssl.h>
#include <sys/types.h>

#include "stream.h"

/* NULL, with lines on stderr, when the files or the key cannot be used. */
SSL_CTX *tls_context(const StreamConfig *config);
void tls_context_free(SSL_CTX *x);
SSL *tls_new(SSL_CTX *x, int fd);
int tls_accept(SSL *ssl); /* 1: done; 0: goes on; -1: failed */
const char *tls_reason(void);
/* "identity", "cipher", "sni", "alpn", "resumed", "messages" of the handshake. */
void tls_describe(SSL *ssl, cJSON *event);
/* As recv() and send(): -1 and EAGAIN when it would wait. */
ssize_t tls_read(SSL *ssl, void *buffer, size_t n);
ssize_t tls_write(SSL *ssl, const void *data, size_t n);
void tls_shutdown(SSL *ssl);
