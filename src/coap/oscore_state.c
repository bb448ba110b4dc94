/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/oscore_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "coap/oscore.h"
#include "util/cleanup.h"
#include "util/crc32c.h"
#include "util/file.h"

#define FOLDER "oscore"
#define SUFFIX ".seen"
#define FLOOR ".floor"
#define MAGIC UINT32_C(0x4c574f53)
#define VERSION 1u
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_SIZE 16u

struct OscoreState {
        int folder_fd, seen_fd;
        char *name;
        uint64_t next_own, reserved_own; /* reserved: on disk, all below may have been used */
        uint64_t reserved_peer;
        uint32_t reserve; /* so many the next time */
        Replay replay;
        bool uncertain; /* below reserved_peer nothing can be told */
        bool clean;     /* the disk has exactly what is here */
        uint8_t boot[BOOT_ID_SIZE];
};

/* In the byte order of the machine, which the files do not leave. */
typedef struct StateRecord {
        uint32_t magic;
        uint16_t version, clean;
        uint64_t own, peer;
        Replay replay; /* with clean */
        uint32_t unused, crc;
} StateRecord;

typedef struct SeenRecord {
        uint8_t boot[BOOT_ID_SIZE];
        Replay replay;
        uint32_t version, crc;
} SeenRecord;

/* --- disk --- */

/* The window is of use in the same boot only: later it may be older than what was seen. */
static int write_seen(OscoreState *s) {
        SeenRecord r = { .replay = s->replay, .version = VERSION };
        ssize_t n;

        memcpy(r.boot, s->boot, sizeof(r.boot));
        r.crc = crc32c(0, &r, offsetof(SeenRecord, crc));
        n = pwrite(s->seen_fd, &r, sizeof(r), 0);
        return n == sizeof(r) ? 0 : n < 0 ? -errno : -EIO;
}

static int save(OscoreState *s, uint64_t own, uint64_t peer, bool clean) {
        StateRecord r = { .magic = MAGIC,
                          .version = VERSION,
                          .clean = clean,
                          .own = own,
                          .peer = peer,
                          .replay = s->replay };
        int k = 0;

        /* Who is killed from now on finds an old window otherwise. */
        if (s->clean && !clean)
                k = write_seen(s);
        r.crc = crc32c(0, &r, offsetof(StateRecord, crc));
        if (k >= 0)
                k = file_replace_at(s->folder_fd, s->name, &r, sizeof(r), false);
        if (k >= 0)
                k = file_sync_directory(s->folder_fd);
        if (k < 0)
                return k;
        s->reserved_own = own;
        s->reserved_peer = peer;
        s->clean = clean;
        return 0;
}

static int open_folder(const char *directory, int *ret) {
        autoclose int fd = open(directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        int folder;

        if (fd < 0)
                return -errno;
        if (mkdirat(fd, FOLDER, 0700) == 0)
                (void) file_sync_directory(fd);
        else if (errno != EEXIST)
                return -errno;
        folder = openat(fd, FOLDER, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (folder < 0)
                return -errno;
        *ret = folder;
        return 0;
}

static int open_seen(OscoreState *s) {
        g_autofree char *name = g_strconcat(s->name, SUFFIX, NULL);

        s->seen_fd = openat(s->folder_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        return s->seen_fd < 0 || flock(s->seen_fd, LOCK_SH | LOCK_NB) < 0 ? -errno : 0;
}

/* All zeros without /proc: then no window outlives the process. */
static void read_boot(uint8_t boot[static BOOT_ID_SIZE]) {
        autofclose FILE *f = fopen(BOOT_ID, "re");
        char text[64] = "";
        size_t n = 0;

        memset(boot, 0, BOOT_ID_SIZE);
        if (!f || !fgets(text, sizeof(text), f))
                return;
        for (const char *c = text; *c && n < 2 * BOOT_ID_SIZE; c++)
                if (g_ascii_isxdigit(*c)) {
                        boot[n / 2] = (uint8_t) (boot[n / 2] << 4 | g_ascii_xdigit_value(*c));
                        n++;
                }
}

static bool read_seen(const OscoreState *s, Replay *ret) {
        static const uint8_t none[BOOT_ID_SIZE];
        SeenRecord r;

        if (pread(s->seen_fd, &r, sizeof(r), 0) != sizeof(r) || r.version != VERSION ||
            r.crc != crc32c(0, &r, offsetof(SeenRecord, crc)) ||
            memcmp(r.boot, s->boot, sizeof(r.boot)) != 0 || memcmp(r.boot, none, sizeof(none)) == 0)
                return false;
        *ret = r.replay;
        return true;
}

static void take_record(OscoreState *s, const StateRecord *r) {
        s->next_own = s->reserved_own = r->own;
        s->reserved_peer = r->peer;
        s->clean = r->clean;
        if (s->clean)
                s->replay = r->replay;
        else if (!read_seen(s, &s->replay)) {
                s->uncertain = r->peer > 0;
                if (s->uncertain)
                        replay_begin_at(&s->replay, r->peer);
        }
}

static int read_record(int folder, const char *name, StateRecord *ret) {
        g_autofree uint8_t *data = NULL;
        bool was_open;
        size_t n;
        int k;

        k = file_read_at(folder, name, sizeof(*ret), &data, &n, &was_open);
        if (k < 0)
                return k == -EFBIG ? -EBADMSG : k;
        if (n != sizeof(*ret))
                return -EBADMSG;
        memcpy(ret, data, sizeof(*ret));
        return ret->magic == MAGIC && ret->version == VERSION &&
                               ret->crc == crc32c(0, ret, offsetof(StateRecord, crc))
                       ? 0
                       : -EBADMSG;
}

static int load(OscoreState *s) {
        StateRecord r;
        int k;

        k = read_record(s->folder_fd, s->name, &r);
        if (k == -ENOENT) {
                s->clean = true; /* nothing was used: that is what the disk says */
                return 0;
        }
        if (k < 0)
                return k;
        take_record(s, &r);
        return 0;
}

/* --- old contexts --- */

typedef struct Old {
        char name[FILE_NAME_LENGTH_MAX];
        struct timespec when;
        unsigned n;
} Old;

static bool is_context(const char *name) {
        return *name != '.' && !g_str_has_suffix(name, SUFFIX) && !g_str_has_suffix(name, ".tmp");
}

static bool is_older(struct timespec a, struct timespec b) {
        return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

/* Who has it open holds a lock on what was seen. */
static bool is_open(int folder, const char *name) {
        g_autofree char *seen = g_strconcat(name, SUFFIX, NULL);
        autoclose int fd = openat(folder, seen, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

        return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
}

static void look_at(int folder, const char *name, Old *old) {
        struct stat st;

        if (!is_context(name) || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return;
        old->n++;
        if ((old->name[0] && !is_older(st.st_mtim, old->when)) || is_open(folder, name))
                return;
        g_strlcpy(old->name, name, sizeof(old->name));
        old->when = st.st_mtim;
}

static DIR *open_list(int folder) {
        int fd = openat(folder, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (!d && fd >= 0)
                close(fd);
        return d;
}

/* Where numbers of ours begin that have no file any more; 0 or -EBADMSG and the like. */
static int read_floor(int folder, uint64_t *ret) {
        StateRecord r;
        int k;

        k = read_record(folder, FLOOR, &r);
        *ret = k >= 0 ? r.own : 0;
        return k == -ENOENT ? 0 : k;
}

static int raise_floor(int folder, uint64_t own) {
        StateRecord r = { .magic = MAGIC, .version = VERSION, .own = own };
        uint64_t before;
        int k;

        k = read_floor(folder, &before);
        if (k < 0 || before >= own)
                return k;
        r.crc = crc32c(0, &r, offsetof(StateRecord, crc));
        k = file_replace_at(folder, FLOOR, &r, sizeof(r), false);
        return k < 0 ? k : file_sync_directory(folder);
}

/* Of a damaged one nobody knows which numbers were used: it stays, and others go. */
static void forget(int folder, const char *name) {
        g_autofree char *seen = g_strconcat(name, SUFFIX, NULL);
        StateRecord r;

        if (read_record(folder, name, &r) < 0) {
                (void) utimensat(folder, name, NULL, AT_SYMLINK_NOFOLLOW);
                return;
        }
        if (raise_floor(folder, r.own) < 0)
                return;
        (void) unlinkat(folder, name, 0);
        (void) unlinkat(folder, seen, 0);
}

/* A bootstrap server with new keys every time must not fill the disk. */
static void forget_oldest(int folder) {
        DIR *d = open_list(folder);
        Old old = { .n = 0 };
        struct dirent *e;

        if (!d)
                return;
        while ((e = readdir(d)))
                look_at(folder, e->d_name, &old);
        closedir(d);
        if (old.n >= OSCORE_STATES_MAX && old.name[0])
                forget(folder, old.name);
}

/* The numbers that were used with the same key of ours towards another Recipient ID, or by a
 * context that was forgotten, are used. */
static int pass_others(OscoreState *s) {
        DIR *d = open_list(s->folder_fd);
        struct dirent *e;
        uint64_t own = 0;
        int r = d ? read_floor(s->folder_fd, &own) : -errno;

        while (r >= 0 && (e = readdir(d))) {
                StateRecord other;

                if (!is_context(e->d_name) || strcmp(e->d_name, s->name) == 0 ||
                    strncmp(e->d_name, s->name, OSCORE_NAME_HALF) != 0)
                        continue;
                r = read_record(s->folder_fd, e->d_name, &other);
                if (r >= 0)
                        own = MAX(own, other.own);
        }
        if (d)
                closedir(d);
        if (r >= 0 && own > s->next_own)
                s->next_own = s->reserved_own = own;
        return r;
}

/* --- life --- */

int oscore_state_open(const char *directory, const char *name, OscoreState **ret,
                      char **ret_error) {
        OscoreState *s = g_new0(OscoreState, 1);
        int r;

        s->folder_fd = s->seen_fd = -1;
        s->reserve = OSCORE_RESERVE_OWN;
        s->name = g_strdup(name);
        read_boot(s->boot);
        r = open_folder(directory, &s->folder_fd);
        if (r >= 0) {
                if (faccessat(s->folder_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                        forget_oldest(s->folder_fd);
                r = open_seen(s);
        }
        if (r >= 0)
                r = load(s);
        if (r >= 0)
                r = pass_others(s);
        if (r < 0) {
                *ret_error = r == -EBADMSG
                                     ? g_strdup_printf("the sequence numbers of these OSCORE keys "
                                                       "are lost ('" FOLDER
                                                       "/%s' is damaged): new keys are needed",
                                                       name)
                                     : g_strdup_printf("the OSCORE sequence numbers cannot be kept "
                                                       "in '%s/" FOLDER "': %s",
                                                       directory, g_strerror(-r));
                s->clean = true; /* leaves the disk alone */
                oscore_state_close(s);
                return r;
        }
        (void) utimensat(s->folder_fd, name, NULL, AT_SYMLINK_NOFOLLOW); /* is in use */
        *ret = s;
        return 0;
}

OscoreState *oscore_state_close(OscoreState *s) {
        if (!s)
                return NULL;
        /* What cannot be told now cannot be told later. */
        if (!s->clean && !s->uncertain)
                (void) save(s, s->next_own, s->replay.next, true);
        close_fd(&s->seen_fd);
        close_fd(&s->folder_fd);
        g_free(s->name);
        g_free(s);
        return NULL;
}

/* --- numbers --- */

int oscore_state_take_own(OscoreState *s, uint64_t *ret) {
        int r;

        if (s->next_own > OSCORE_NUMBER_MAX)
                return -EOVERFLOW;
        if (s->clean || s->next_own >= s->reserved_own) {
                r = save(s, s->next_own + s->reserve, s->reserved_peer, false);
                if (r < 0)
                        return r;
                s->reserve = MIN(2 * s->reserve, OSCORE_RESERVE_OWN_MAX);
        }
        *ret = s->next_own++;
        return 0;
}

OscoreSight oscore_state_look(const OscoreState *s, uint64_t number) {
        if (s->uncertain && number < s->reserved_peer)
                return OSCORE_UNCERTAIN;
        return replay_is_new(&s->replay, number) ? OSCORE_FRESH : OSCORE_SEEN;
}

int oscore_state_take(OscoreState *s, uint64_t number) {
        int r = 0;

        if (s->clean || number >= s->reserved_peer)
                r = save(s, MAX(s->reserved_own, s->next_own),
                         MAX(s->reserved_peer, number + OSCORE_RESERVE_PEER), false);
        if (r < 0)
                return r;
        s->uncertain = false;
        replay_take(&s->replay, number);
        return write_seen(s);
}

int oscore_state_take_proved(OscoreState *s, uint64_t number) {
        replay_begin_at(&s->replay, number);
        s->uncertain = false;
        return oscore_state_take(s, number);
}
