/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroup-reclaim.c - pushing a guest's cold pages out to swap, in small steps.
 *
 * A write to memory.reclaim returns only when the bytes are found or the kernel gave up (EAGAIN), so the steps are
 * small and the flag is looked at before each: at most one step is too much. What came back is what memory.current
 * says, not what was asked for. The value is plain bytes: "swappiness=" is EINVAL on Linux 6.1.
 * Rejected: memory.high (throttles vCPUs by up to 2 s), memory.max (kills). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "cgroup.h"
#include "cleanup.h"

static int open_reclaim(const struct ma_cgroup *cg, struct ma_err *err) {
    if (cg->layout != MA_CGROUP_V2) {
        return ma_err_set(err, -EOPNOTSUPP, "cgroup %s: reclaim needs cgroup v2 (%s here)",
                          cg->path, ma_cgroup_layout_name(cg->layout));
    }
    if (cg->is_shared) {
        return ma_err_set(err, -EBUSY, "cgroup %s: others than the guest live there", cg->path);
    }
    int fd = openat(cg->dir_fd, "memory.reclaim", O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        int code = errno == ENOENT ? -EOPNOTSUPP : -errno;
        return ma_err_set(err, code, "cgroup %s: cannot open memory.reclaim (Linux 5.19): %s",
                          cg->path, strerror(-code));
    }
    return fd;
}

static bool should_stop(const struct ma_cgroup_reclaim_request *request) {
    return request->stop != NULL && atomic_load_explicit(request->stop, memory_order_relaxed);
}

/* 0, -EAGAIN: found less; -EINTR: a signal came first. */
static int reclaim_step(int fd, uint64_t bytes) {
    char text[32];
    int n = snprintf(text, sizeof(text), "%llu", (unsigned long long) bytes);
    return pwrite(fd, text, (size_t) n, 0) < 0 ? -errno : 0;
}

/* 0 or the error that ended it; *done is filled either way. */
static int reclaim_all(int fd,
                       const struct ma_cgroup_reclaim_request *request,
                       struct ma_cgroup_reclaim *done) {
    uint64_t step = request->step_bytes > 0 ? request->step_bytes : MA_CGROUP_RECLAIM_STEP_BYTES;
    while (done->asked_bytes < request->want_bytes && !done->is_short) {
        if (should_stop(request)) {
            done->was_stopped = true;
            break;
        }
        uint64_t bytes = ma_min_u64(step, request->want_bytes - done->asked_bytes);
        int r = reclaim_step(fd, bytes);
        if (r == -EINTR) {
            continue; /* often the signal that announces the stop */
        }
        if (r < 0 && r != -EAGAIN) {
            return r;
        }
        done->is_short = r == -EAGAIN;
        done->asked_bytes += bytes;
        done->n_steps++;
    }
    return 0;
}

int ma_cgroup_reclaim_worker(const struct ma_cgroup *cg,
                             const struct ma_cgroup_reclaim_request *request,
                             struct ma_cgroup_reclaim *ret,
                             struct ma_err *err) {
    struct ma_cgroup_reclaim done = {.n_steps = 0};
    uint64_t before;
    uint64_t after;
    ma_auto_close int fd = open_reclaim(cg, err);
    if (fd < 0) {
        return fd;
    }
    int r = ma_cgroup_read_current(cg, &before, err);
    if (r < 0) {
        return r;
    }
    int ended = reclaim_all(fd, request, &done);
    r = ma_cgroup_read_current(cg, &after, err);
    if (ended < 0) {
        return ma_err_set(err, ended, "cgroup %s: reclaim failed: %s", cg->path, strerror(-ended));
    }
    if (r < 0) {
        return r;
    }
    done.returned_bytes = ma_sub_floor0(before, after);
    *ret = done;
    return 0;
}
