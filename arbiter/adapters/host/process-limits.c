/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* process-limits.c - RLIMIT_MEMLOCK and oom_score_adj of a QEMU.
 *
 * prlimit(2) takes a pid, not a pidfd. The pidfd is asked after the call: if the process lives then, the number was its
 * own all the time, and what was read or set is its. One that has ended in between may have had its number given away
 * before the call; a number comes round again after all others, so that takes a host that forks 4 million times within
 * microseconds, and it is reported as -ESRCH. */
#include "process-limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cleanup.h"
#include "ktext.h"

_Static_assert(RLIM_INFINITY == UINT64_MAX, "unlimited is the same number on both sides");

/* "Max locked memory         8388608              unlimited            bytes" */
static int parse_limits_line(void *userdata, const char *line) {
    struct ma_process_memlock *limit = userdata;
    const char *p = ma_ktext_field(line, "Max locked memory");
    if (p == NULL) {
        return 0;
    }
    uint64_t *const to[] = {&limit->soft_bytes, &limit->hard_bytes};
    for (size_t i = 0; i < 2; i++) {
        p += strspn(p, " ");
        if (strncmp(p, "unlimited", 9) == 0) {
            *to[i] = UINT64_MAX;
            p += 9;
        } else if (!ma_ktext_u64(&p, to[i])) {
            return -EINVAL;
        }
    }
    limit->is_found = true;
    return 1;
}

static int read_file(const struct ma_process *p, struct ma_process_memlock *ret) {
    char buf[MA_KTEXT_BUFFER_BYTES];
    ma_auto_close int fd = openat(p->dir_fd, "limits", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? -ESRCH : -errno;
    }
    int r = ma_ktext_each_line(fd, '\n', buf, parse_limits_line, ret);
    return r == 0 && !ret->is_found ? -ENODATA : r;
}

int ma_process_read_memlock(const struct ma_process *p,
                            struct ma_process_memlock *ret,
                            struct ma_err *err) {
    struct rlimit limit;
    struct ma_process_memlock found = {.soft_bytes = 0};
    bool is_recorded = p->pidfd < 0; /* a tree of files: the number is nobody's */
    int r = is_recorded ? -EPERM : prlimit(p->pid, RLIMIT_MEMLOCK, NULL, &limit) < 0 ? -errno : 0;
    if (r == 0) {
        found = (struct ma_process_memlock){limit.rlim_cur, limit.rlim_max, true};
        r = ma_process_is_gone(p) ? -ESRCH : 0;
    } else if (r == -EPERM) {
        r = read_file(p, &found);
    }
    if (r < 0) {
        return ma_err_set(err, r, "process %d: cannot read RLIMIT_MEMLOCK: %s", p->pid,
                          strerror(-r));
    }
    *ret = found;
    return 0;
}

int ma_process_set_memlock(const struct ma_process *p,
                           const struct ma_process_memlock *limit,
                           struct ma_err *err) {
    struct rlimit fresh = {.rlim_cur = limit->soft_bytes, .rlim_max = limit->hard_bytes};
    int r = ma_process_is_gone(p) ? -ESRCH : 0;
    if (r == 0 && prlimit(p->pid, RLIMIT_MEMLOCK, &fresh, NULL) < 0) {
        r = -errno;
    }
    if (r == 0 && ma_process_is_gone(p)) {
        r = -ESRCH;
    }
    return r == 0 ? 0
                  : ma_err_set(err, r, "process %d: cannot set RLIMIT_MEMLOCK: %s", p->pid,
                               strerror(-r));
}

int ma_process_set_oom_score_adj(const struct ma_process *p, int adj, struct ma_err *err) {
    char text[16];
    int n = snprintf(text, sizeof(text), "%d", adj);
    ma_auto_close int fd = openat(p->dir_fd, "oom_score_adj", O_WRONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : 0;
    if (r == 0 && write(fd, text, (size_t) n) < 0) {
        r = -errno;
    }
    r = r == -ENOENT ? -ESRCH : r;
    return r == 0 ? 0
                  : ma_err_set(err, r, "process %d: cannot write oom_score_adj: %s", p->pid,
                               strerror(-r));
}

bool ma_process_can_raise_limits(const char *proc_root) {
    struct ma_process self = MA_PROCESS_CLOSED;
    struct ma_process_sample sample;
    struct ma_err err;
    if (ma_process_open_files(&self, proc_root, getpid(), &err) < 0) {
        return false;
    }
    int r = ma_process_read(&self, &sample, &err);
    ma_process_close(&self);
    return r == 0 && (sample.capabilities >> MA_PROCESS_CAP_SYS_RESOURCE & 1U) != 0;
}
