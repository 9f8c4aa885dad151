/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* intent-log.c - a ring of fixed slots in a shared mapping.
 *
 * A slot is valid when both its numbers agree: `seq` is cleared before the body is written and set after it, with
 * release order, so a process killed in the middle of a store leaves a slot that reads as empty, never half an
 * intent. The kernel keeps the pages of a tmpfs file when the process goes. */

#include "intent-log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "cleanup.h"

/* Too few: a burst wraps before the state file is written (one plan touches each guest once or twice; the file is
 * written after each plan, so one plan must fit: 16384 guests never act in one cycle on the QMP path in practice,
 * and the oldest are lost first). Too many: locked memory. 4096 slots are 0.7 MiB. */
#define SLOTS 4096U
#define MAGIC UINT64_C(0x31676f6c6962616d) /* "mabilog1" */

struct slot {
    _Atomic uint64_t seq;
    struct ma_intent intent;
};
struct layout {
    uint64_t magic;
    uint64_t slot_size;
    uint64_t n_slots;
    struct slot slots[SLOTS];
};
struct ma_intent_log {
    struct layout *map;
    uint64_t last;
};

static int open_ring(const char *path, int *ret_fd) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return -errno;
    }
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        (void) close(fd);
        return -EINVAL;
    }
    if (st.st_size != 0 && st.st_size != (off_t) sizeof(struct layout)) {
        (void) close(fd);
        return -EBADMSG;
    }
    if (st.st_size == 0 && posix_fallocate(fd, 0, (off_t) sizeof(struct layout)) != 0) {
        (void) close(fd);
        return -ENOSPC;
    }
    *ret_fd = fd;
    return 0;
}

static int set_aside(const char *path) {
    char aside[4096];
    int n = snprintf(aside, sizeof(aside), "%s.bad", path);
    if (n < 0 || (size_t) n >= sizeof(aside)) {
        return -ENAMETOOLONG;
    }
    return rename(path, aside) < 0 ? -errno : 0;
}

static int map_ring(const char *path, struct layout **ret) {
    ma_auto_close int fd = -1;
    int r = open_ring(path, &fd);
    if (r < 0) {
        return r;
    }
    struct layout *map = mmap(NULL, sizeof(*map), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        return -errno;
    }
    if (map->magic == 0) {
        map->magic = MAGIC;
        map->slot_size = sizeof(struct slot);
        map->n_slots = SLOTS;
    }
    if (map->magic != MAGIC || map->slot_size != sizeof(struct slot) || map->n_slots != SLOTS) {
        (void) munmap(map, sizeof(*map));
        return -EBADMSG;
    }
    /* Not locked: still right, only slower when the host is short. The daemon reports its own mlockall. */
    (void) mlock(map, sizeof(*map));
    *ret = map;
    return 0;
}

static uint64_t slot_seq(const struct slot *slot) {
    uint64_t seq = atomic_load_explicit(&slot->seq, memory_order_acquire);
    return seq == slot->intent.seq ? seq : 0;
}

int ma_intent_log_open(const char *path, struct ma_intent_log **ret, struct ma_err *err) {
    struct layout *map = NULL;
    int r = map_ring(path, &map);
    if (r == -EBADMSG) {
        r = set_aside(path);
        if (r == 0) {
            r = map_ring(path, &map);
        }
    }
    if (r < 0) {
        return ma_err_set(err, r, "cannot open the intent log %s: %s", path, strerror(-r));
    }
    struct ma_intent_log *log = calloc(1, sizeof(*log));
    if (log == NULL) {
        (void) munmap(map, sizeof(*map));
        return ma_err_set(err, -ENOMEM, "out of memory");
    }
    log->map = map;
    for (size_t i = 0; i < SLOTS; i++) {
        uint64_t seq = slot_seq(&map->slots[i]);
        /* a number that does not belong into its slot is damage, not history */
        if (seq % SLOTS == i && seq > log->last) {
            log->last = seq;
        }
    }
    *ret = log;
    return 0;
}

void ma_intent_log_close(struct ma_intent_log *log) {
    if (log != NULL) {
        (void) munmap(log->map, sizeof(*log->map));
        free(log);
    }
}

uint64_t ma_intent_log_put(struct ma_intent_log *log, const struct ma_intent *intent) {
    uint64_t seq = log->last + 1;
    struct slot *slot = &log->map->slots[seq % SLOTS];
    atomic_store_explicit(&slot->seq, 0, memory_order_release);
    slot->intent = *intent;
    slot->intent.seq = seq;
    atomic_store_explicit(&slot->seq, seq, memory_order_release);
    log->last = seq;
    return seq;
}

uint64_t ma_intent_log_last(const struct ma_intent_log *log) {
    return log->last;
}

void ma_intent_log_replay(const struct ma_intent_log *log,
                          uint64_t after,
                          void (*fn)(void *userdata, const struct ma_intent *intent),
                          void *userdata) {
    uint64_t first = log->last >= SLOTS ? log->last - SLOTS + 1 : 1;
    for (uint64_t seq = ma_max_u64(first, after + 1); seq <= log->last; seq++) {
        const struct slot *slot = &log->map->slots[seq % SLOTS];
        if (slot_seq(slot) == seq) {
            struct ma_intent copy = slot->intent;
            copy.uuid[MA_UUID_MAX - 1] = '\0'; /* the file may be anybody's bytes */
            fn(userdata, &copy);
        }
    }
}
