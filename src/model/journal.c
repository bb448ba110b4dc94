/* SPDX-License-Identifier: Apache-2.0 */
#include "model/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "codec/cborio.h"
#include "model/store_format.h"
#include "util/cleanup.h"
#include "util/file.h"

/* The next whole entry numbered above seq behind damage; in->left is 0 when there is none. */
static void find_entry(Reader *in, uint64_t seq) {
        Reader rest, payload;
        uint64_t found;

        while (in->left > 0) {
                const uint8_t *head;

                reader_skip(in, 1);
                head = memchr(in->pos, 0x82, in->left);
                reader_skip(in, head ? (size_t) (head - in->pos) : in->left);
                rest = *in;
                if (frame_next(&rest, &payload) > 0 && entry_seq(&payload, &found) == 0 &&
                    found > seq && ops_check(payload) == 0)
                        return;
        }
}

static int take_entry(Reader *in, uint64_t last_seq, uint64_t *ret_seq, Reader *ret_ops) {
        Reader rest = *in;
        int r;

        r = frame_next(&rest, ret_ops);
        if (r <= 0)
                return r;
        if (entry_seq(ret_ops, ret_seq) < 0 || *ret_seq <= last_seq || ops_check(*ret_ops) < 0)
                return -EBADMSG;
        *in = rest;
        return 1;
}

int journal_read(const void *data, size_t n, JournalEntry entry, void *userdata,
                 JournalState *ret) {
        Reader in = { .pos = data, .left = n }, ops;
        JournalState state = { 0 };
        uint64_t seq, damage = 0;
        int r;

        r = header_next(&in, JOURNAL_NAME, &state.last_seq);
        if (r == -EPROTONOSUPPORT)
                return r;
        if (r < 0) { /* entries may have survived it */
                find_entry(&in, 0);
                damage = n - in.left;
                if (in.left == 0)
                        return -EBADMSG;
        }
        state.good = n - in.left;
        while ((r = take_entry(&in, state.last_seq, &seq, &ops)) != 0) {
                if (r < 0) {
                        size_t left = in.left;

                        find_entry(&in, state.last_seq);
                        damage += left - in.left;
                        continue;
                }
                state.skipped += damage;
                damage = 0;
                state.last_seq = seq;
                state.good = n - in.left;
                entry(userdata, seq, ops);
        }
        state.torn = damage;
        *ret = state;
        return 0;
}

int journal_open(Journal *j, int dirfd, uint64_t good) {
        autoclose int fd =
                openat(dirfd, JOURNAL_NAME, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_APPEND);
        off_t end;

        if (fd < 0)
                return -errno;
        end = lseek(fd, 0, SEEK_END);
        if (end < 0)
                return -errno;
        if ((uint64_t) end != good && (ftruncate(fd, (off_t) good) < 0 || fdatasync(fd) < 0))
                return -errno;
        *j = (Journal){ .dirfd = dirfd, .fd = steal_fd(&fd), .size = good };
        return 0;
}

static int write_entry(Journal *j, const GByteArray *frame) {
        int r;

        r = file_write_all(j->fd, frame->data, frame->len);
        if (r < 0)
                return r;
        return fdatasync(j->fd) < 0 ? -errno : 0;
}

int journal_append(Journal *j, uint64_t seq, const GByteArray *ops) {
        g_autoptr(GByteArray) frame = g_byte_array_new(), payload = g_byte_array_new();
        uint64_t size;
        int r;

        if (j->fd < 0)
                return -EBADF;
        bytes_reserve(payload, ops->len + 16);
        cborio_put_uint(payload, seq);
        g_byte_array_append(payload, ops->data, ops->len);
        frame_put(frame, payload->data, payload->len);
        size = frame->len;
        r = write_entry(j, frame);
        bytes_wipe(frame);
        bytes_wipe(payload);
        if (r >= 0) {
                j->size += size;
                return 0;
        }
        /* The entry was refused: it must not come back after a restart. */
        if (ftruncate(j->fd, (off_t) j->size) < 0 || fdatasync(j->fd) < 0)
                journal_close(j);
        return r;
}

int journal_restart(Journal *j, uint64_t seq) {
        g_autoptr(GByteArray) header = g_byte_array_new();
        int dirfd = j->dirfd, r;

        header_put(header, JOURNAL_NAME, seq);
        r = file_replace_at(dirfd, JOURNAL_NAME, header->data, header->len, true);
        if (r < 0)
                return r;
        /* From here on the old descriptor leads to journal.old. */
        journal_close(j);
        r = file_sync_directory(dirfd);
        if (r < 0)
                return r;
        return journal_open(j, dirfd, header->len);
}

void journal_close(Journal *j) {
        if (j->fd >= 0)
                close(j->fd);
        j->fd = -1;
        j->size = 0;
}
