/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* psi-trigger.c - being woken by the kernel when tasks stall for memory.
 *
 * One descriptor carries one trigger, so a refused one is closed and opened again. The kernel refuses windows that
 * are no multiple of 2 s to whoever opened the file without CAP_SYS_RESOURCE: EINVAL, root or not. It gives EINVAL
 * for a bad spec as well; the bounds are checked here first, so that EINVAL can only mean the privilege. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "psi.h"

/* The kernel's (Linux 6.1 kernel/sched/psi.c WINDOW_MIN_US, WINDOW_MAX_US). */
#define WINDOW_MIN_USEC UINT64_C(500000)
#define WINDOW_MAX_USEC UINT64_C(10000000)

static int try_arm(int dir_fd, const char *path, const struct ma_psi_trigger_spec *spec) {
    char text[64];
    ma_auto_close int fd = openat(dir_fd, path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    int n =
        snprintf(text, sizeof(text), "%s %llu %llu", spec->kind == MA_PSI_FULL ? "full" : "some",
                 (unsigned long long) spec->stall_usec, (unsigned long long) spec->window_usec);
    /* The kernel wants the closing NUL as well (it cuts the last byte it is given). */
    if (write(fd, text, (size_t) n + 1) < 0) {
        return -errno;
    }
    int kept = fd;
    fd = -1;
    return kept;
}

static int explain(int code, const char *path, struct ma_err *err) {
    if (code == -ENOENT || code == -EOPNOTSUPP) {
        return ma_err_set(
            err, -EOPNOTSUPP,
            "no pressure trigger on %s: this kernel or cgroup has no PSI (boot with psi=1)", path);
    }
    return ma_err_set(err, code, "cannot arm a pressure trigger on %s: %s", path, strerror(-code));
}

int ma_psi_trigger_open(struct ma_psi_trigger *t,
                        int dir_fd,
                        const char *path,
                        const struct ma_psi_trigger_spec *spec,
                        struct ma_err *err) {
    t->fd = -1;
    if (spec->window_usec < WINDOW_MIN_USEC || spec->window_usec > WINDOW_MAX_USEC ||
        spec->stall_usec == 0 || spec->stall_usec > spec->window_usec) {
        return ma_err_set(err, -ERANGE,
                          "pressure trigger: the window must be 500ms to 10s, the stall within it");
    }
    struct ma_psi_trigger_spec tried = *spec;
    int fd = try_arm(dir_fd, path, &tried);
    if (fd == -EINVAL || fd == -EPERM) {
        tried.window_usec = ma_round_up(spec->window_usec, MA_PSI_UNPRIVILEGED_WINDOW_USEC);
        if (tried.window_usec != spec->window_usec) {
            fd = try_arm(dir_fd, path, &tried);
        }
    }
    if (fd < 0) {
        return explain(fd, path, err);
    }
    *t = (struct ma_psi_trigger){.fd = fd,
                                 .stall_usec = tried.stall_usec,
                                 .window_usec = tried.window_usec,
                                 .is_fallback = tried.window_usec != spec->window_usec};
    return 0;
}

void ma_psi_trigger_close(struct ma_psi_trigger *t) {
    ma_cleanup_close(&t->fd);
    t->fd = -1;
}
