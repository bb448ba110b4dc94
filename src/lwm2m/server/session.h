/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The (D)TLS session with one server beyond its links: kept in the store, where keys are kept, so
 * that the next link resumes it with a short handshake, also after a restart of the daemon. It is
 * bound to the account's URI and credentials, and dropped when they change. Says, too, what the
 * present link has agreed. */
#include "lwm2m/account/account.h"
#include "lwm2m/transport.h"
#include "model/store.h"

/* A resumption looks at no certificate: those may end or be withdrawn meanwhile. */
#define SESSION_AGE_MAX_SEC 86400
#define SESSION_FAILURES_MAX 3 /* silent handshakes after which a session is no longer offered */

typedef struct Session Session;

Session *session_new(Store *store /* borrowed; NULL: memory only */, const Account *account);
Session *session_free(Session *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Session, session_free)
/* The account may have another certificate: the session of the former one is not taken up again. */
void session_follow(Session *s, const Account *account);

/* For the next link; borrows from both. clockless: dates of certificates do not count before the
 * clock was set. */
LinkConfig session_link_config(Session *s, const Account *account, int64_t wall_ns, bool clockless);
bool session_ignores_dates(int64_t wall_ns, bool clockless);
GBytes *session_to_resume(Session *s, int64_t wall_ns); /* borrowed; NULL: none */
void session_agreed(Session *s, const LinkSecurity *security, int64_t wall_ns);
/* The link is closed; failed: why its handshake came to nothing, or 0. */
void session_link_closed(Session *s, int failed);
void session_forget(Session *s); /* also on disk: the account is gone */

const char *session_cipher(const Session *s); /* of the open link; "" */
bool session_is_resumed(const Session *s);
bool session_has_cid(const Session *s);
