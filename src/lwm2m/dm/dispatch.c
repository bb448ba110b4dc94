/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/dm/dispatch.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "codec/format.h"
#include "lwm2m/code.h"
#include "lwm2m/dm/composite.h"
#include "lwm2m/dm/create.h"
#include "lwm2m/dm/discover.h"
#include "lwm2m/dm/execute.h"
#include "lwm2m/observe/observe.h"
#include "lwm2m/dm/read.h"
#include "lwm2m/dm/write.h"
#include "lwm2m/dm/write_attributes.h"

/* --- answers --- */
void responder_send(Responder *to, const Message *response) {
        Exchange *x = g_steal_pointer(&to->exchange);

        to->dm->config.transport->respond(x, response);
}

void responder_code(Responder *to, uint8_t code) {
        responder_send(to, &MESSAGE_INIT(code));
}

void responder_fail(Responder *to, int error, const char *text) {
        Message m = MESSAGE_INIT(code_from_errno(error));
        g_autoptr(GBytes) payload = NULL;

        if (text && text[0]) {
                payload = g_bytes_new(text, strnlen(text, DIAGNOSTIC_MAX));
                m.payload = payload; /* RFC 7252, section 5.5.2: a diagnostic payload has no
                                        Content-Format */
        }
        responder_send(to, &m);
}

int request_fail(Request *rq, int error, const char *format, ...) {
        va_list args;

        va_start(args, format);
        g_vsnprintf(rq->text, sizeof(rq->text), format, args);
        va_end(args);
        return error;
}

const void *request_payload(const Request *rq, size_t *ret_n) {
        gsize n = 0;
        const void *data = rq->message->payload ? g_bytes_get_data(rq->message->payload, &n) : NULL;

        *ret_n = n;
        return data;
}

int dm_access(const Path *p) {
        return p->n > 0 && dm_is_hidden(p->id[0]) ? -EACCES : 0;
}

int request_may(Request *rq, const Path *p, unsigned right) {
        int r = dm_may(rq->dm, rq->peer->ssid, p, right);

        if (r == -EACCES)
                return request_fail(rq, r, "%s: not for this server", PATH_TEXT(p));
        return r == -EPERM ? request_fail(rq, r, "%s: not by a server", PATH_TEXT(p)) : r;
}

/* --- paths --- */
/* Decimal without leading zeros, below 65535: anything else names nothing. */
static int parse_segment(const char *text, uint16_t *ret) {
        unsigned n = 0;

        if (!text[0] || strlen(text) > 5 || (text[0] == '0' && text[1]))
                return -ENOENT;
        for (const char *c = text; *c; c++) {
                if (*c < '0' || *c > '9')
                        return -ENOENT;
                n = n * 10 + (unsigned) (*c - '0');
        }
        if (n > ID_MAX)
                return -ENOENT;
        *ret = (uint16_t) n;
        return 0;
}

static int parse_path(Request *rq) {
        const char *const *path = rq->message->path;
        Path p = PATH_ROOT;
        int r;

        for (size_t i = 0; path && path[i]; i++) {
                if (i == 4)
                        return request_fail(rq, -ENOENT, "The path has more than four segments");
                r = parse_segment(path[i], &p.id[i]);
                if (r < 0)
                        return request_fail(rq, r, "No such path");
                p.n++;
        }
        rq->path = p;
        return 0;
}

/* --- methods --- */
static bool has_query(const Request *rq) {
        return rq->message->query && rq->message->query[0];
}

static int refuse_query(Request *rq) {
        return has_query(rq)
                       ? request_fail(rq, -EINVAL, "Unknown query '%s'", rq->message->query[0])
                       : 0;
}

/* Reads that may begin (Observe 0, with attributes of its own in 1.2) or end (1) an observation;
 * other values mean a plain read (RFC 7641, section 2). */
static int check_observe(Request *rq) {
        if (rq->message->observe == 0)
                return 0;
        if (rq->message->observe == 1)
                observe_cancel(rq->peer, rq->message->token, "cancelled by the server");
        return refuse_query(rq);
}

static int on_get(Request *rq) {
        int r;

        if (rq->message->accept == FORMAT_LINK)
                return discover_request(rq);
        r = check_observe(rq);
        return r < 0 ? r : read_request(rq);
}

static int on_fetch(Request *rq) {
        int r;

        r = check_observe(rq);
        return r < 0 ? r : composite_read_request(rq);
}

static int on_put(Request *rq) {
        int r;

        if (rq->message->format < 0 && (has_query(rq) || !rq->message->payload))
                return write_attributes_request(rq);
        r = refuse_query(rq);
        return r < 0 ? r : write_request(rq, true);
}

/* POST to a resource is Execute, but for a body in another format than the text of arguments that
 * addresses something not executable: a Partial Update of a multiple resource. */
static bool is_update(const Request *rq) {
        const int format = rq->message->format;
        const ResourceDef *def;
        Format f;

        if (rq->path.n == 2)
                return true;
        def = tree_resource_def(rq->dm->tree, &rq->path);
        if (format < 0 || (def && def->operations & OPERATION_EXECUTE))
                return false;
        return rq->path.n == 4 || format_from_number((unsigned) format, &f) < 0 || f != FORMAT_TEXT;
}

static int on_post(Request *rq) {
        int r;

        if (rq->path.n == 0)
                return request_fail(rq, -EPERM, "POST needs a path");
        r = refuse_query(rq);
        if (r < 0)
                return r;
        if (rq->path.n == 1)
                return create_request(rq);
        return is_update(rq) ? write_request(rq, false) : execute_request(rq);
}

static int on_delete(Request *rq) {
        int r;

        r = refuse_query(rq);
        return r < 0 ? r : delete_request(rq);
}

static int on_ipatch(Request *rq) {
        int r;

        r = refuse_query(rq);
        return r < 0 ? r : composite_write_request(rq);
}

int dispatch(Request *rq) {
        int r;

        r = parse_path(rq);
        if (r < 0)
                return r;
        r = dm_access(&rq->path);
        if (r < 0)
                return r;
        switch (rq->message->code) {
        case METHOD_GET:
                return on_get(rq);
        case METHOD_FETCH:
                return on_fetch(rq);
        case METHOD_PUT:
                return on_put(rq);
        case METHOD_POST:
                return on_post(rq);
        case METHOD_DELETE:
                return on_delete(rq);
        case METHOD_IPATCH:
                return on_ipatch(rq);
        default:
                return request_fail(rq, -EPERM, "No such method");
        }
}
