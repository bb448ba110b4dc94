/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The journal: one file to which each transaction is appended and synced before it counts. It knows
 * frames and sequence numbers, not what the operations mean. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/reader.h"

#define JOURNAL_NAME "journal"

typedef struct Journal {
        int dirfd;     /* borrowed */
        int fd;        /* -1: there is none that can be appended to; journal_restart() makes one */
        uint64_t size; /* up to its last whole entry */
} Journal;

typedef struct JournalState {
        uint64_t last_seq; /* highest seen, the header's included */
        uint64_t good;     /* bytes up to where appending may go on */
        uint64_t skipped;  /* bytes of damage that good entries follow */
        uint64_t torn;     /* bytes of an entry that was never finished, at the end */
} JournalState;

typedef void (*JournalEntry)(void *userdata, uint64_t seq, Reader ops);

/* Calls entry for each transaction of a journal's bytes, in order. After damage the next whole
 * entry with a higher number is looked for. -EBADMSG without a header, -EPROTONOSUPPORT a later
 * format. */
int journal_read(const void *data, size_t n, JournalEntry entry, void *userdata, JournalState *ret);
/* Opens the journal that was read for appending and cuts what follows its last whole entry. */
int journal_open(Journal *j, int dirfd, uint64_t good);
/* Writes and syncs one entry. On failure (-ENOSPC, -EIO …) the file is cut back; if even that fails
 * the journal is closed. */
int journal_append(Journal *j, uint64_t seq, const GByteArray *ops);
/* A new, empty journal takes the place of the former, which stays as journal.old. */
int journal_restart(Journal *j, uint64_t seq);
void journal_close(Journal *j);
