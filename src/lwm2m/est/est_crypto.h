/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What EST needs of cryptography and ASN.1: coap/ implements it with OpenSSL, tests fake it.
 * Everything comes and goes as bytes, so that nothing here knows a library. Bytes from the server
 * are hostile: a function that fails has changed nothing, and *ret_error (g_free()) says in words
 * what was wrong, without a word of a secret. Private keys are credentials_bytes(): wiped when the
 * last owner lets go. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum EstCurve { EST_P256, EST_P384, EST_P521 } EstCurve;

/* What the server wants of a request (RFC 7030, section 4.5), as far as it can be had. */
typedef struct EstAttributes {
        bool has_curve;
        EstCurve curve;
        unsigned hash_bits; /* of the signature: 256, 384, 512; 0: as the curve is used to */
        unsigned n_ignored; /* asked for and not known here */
} EstAttributes;

typedef struct EstCertificate {
        GBytes *chain;                         /* DER one after the other, ours first */
        int64_t not_before_sec, not_after_sec; /* since 1970 */
        char *subject, *issuer;                /* common name, or all of it in one line */
} EstCertificate;

EstCertificate *est_certificate_free(EstCertificate *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EstCertificate, est_certificate_free)

#define EST_FORMAT_CERTS 281      /* application/pkcs7-mime; smime-type=certs-only */
#define EST_FORMAT_ATTRIBUTES 285 /* application/csrattrs */
#define EST_FORMAT_REQUEST 286    /* application/pkcs10 */
#define EST_FORMAT_CERT 287       /* application/pkix-cert */

#define EST_CERTIFICATES_MAX 16u /* in one answer */

/* What came for our request, and what it must fit to. */
typedef struct EstAnswer {
        GBytes *body;
        int format;          /* EST_FORMAT_CERTS or EST_FORMAT_CERT; -1: either */
        GBytes *key;         /* that the request was made with */
        GBytes *authorities; /* as read_authorities() gave them */
        int64_t now_sec;     /* wall clock */
        bool ignore_dates;   /* which is not set */
} EstAnswer;

typedef struct EstCryptoOps {
        /* A new private key, PKCS#8 in DER. */
        int (*make_key)(EstCurve curve, GBytes **ret, char **ret_error);
        /* PKCS#10 in DER (RFC 2986) for common_name, signed with the key. */
        int (*make_request)(GBytes *key, const char *common_name, const EstAttributes *attributes,
                            GBytes **ret, char **ret_error);
        /* CsrAttrs (RFC 7030, section 4.5.2). -EBADMSG. */
        int (*read_attributes)(GBytes *body, EstAttributes *ret, char **ret_error);
        /* The certificates of the authorities, DER one after the other. -EBADMSG, -E2BIG more than
         * EST_CERTIFICATES_MAX, -EKEYREJECTED one that is none of an authority. */
        int (*read_authorities)(GBytes *body, int format, GBytes **ret, char **ret_error);
        /* -EBADMSG, -E2BIG, -EKEYREJECTED (not for our key, not issued by the authorities),
         * -EKEYEXPIRED (or not valid yet). */
        int (*read_certificate)(const EstAnswer *answer, EstCertificate **ret, char **ret_error);
} EstCryptoOps;
