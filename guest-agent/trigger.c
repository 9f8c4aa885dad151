/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* trigger.c - a pressure trigger: one descriptor carries one, so a refused one is opened anew. */
#include "trigger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "cleanup.h"

static int arm(const char *proc, const char *kind, uint64_t stall_usec, uint64_t window_usec) {
    char path[256], text[64];
    int n = snprintf(path, sizeof(path), "%s/pressure/memory", proc);
    if (n < 0 || (size_t) n >= sizeof(path)) {
        return -ENAMETOOLONG;
    }
    ma_auto_close int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    n = snprintf(text, sizeof(text), "%s %" PRIu64 " %" PRIu64, kind, stall_usec, window_usec);
    /* With its NUL: the kernel cuts the last byte that it is given. */
    if (write(fd, text, (size_t) n + 1) < 0) {
        return -errno;
    }
    int kept = fd;
    fd = -1;
    return kept;
}

int mag_trigger_open(struct mag_trigger *t,
                     const char *proc,
                     const char *kind,
                     uint64_t stall_usec,
                     uint64_t window_usec) {
    int fd = arm(proc, kind, stall_usec, window_usec);
    if (fd == -EINVAL || fd == -EPERM) {
        window_usec = MAG_TRIGGER_UNPRIVILEGED_WINDOW_USEC;
        fd = arm(proc, kind, stall_usec, window_usec);
    }
    *t = (struct mag_trigger){.fd = fd < 0 ? -1 : fd, .window_usec = window_usec};
    return fd < 0 ? fd : 0;
}

void mag_trigger_close(struct mag_trigger *t) {
    ma_cleanup_close(&t->fd);
    t->fd = -1;
}
