/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keys, requests and certificates of EST by OpenSSL: the functions of lwm2m/est/est_crypto.h. */
#include "lwm2m/est/est_crypto.h"

extern const EstCryptoOps est_openssl_ops;
