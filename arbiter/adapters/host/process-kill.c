/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* process-kill.c - ending a guest for good.
 *
 * The signal goes to the process that the pidfd holds and to no other. SIGKILL only: SIGSTOP would hang every monitor
 * call on that QEMU and free nothing. process_mrelease takes the memory apart in the caller while the victim may be
 * stuck; it skips huge pages, shared mappings and pinned pages, and answers ESRCH when the victim does it itself
 * (5 of 6 tries on Linux 6.18). Proof that the memory is back is the readable pidfd alone. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process.h"

#ifndef SYS_process_mrelease
#    define SYS_process_mrelease                                                                   \
        448 /* the same on all architectures since the common table of Linux 5.1 */
#endif

int ma_process_kill(const struct ma_process *p, struct ma_err *err) {
    if (p->pidfd < 0) {
        return ma_err_set(err, -EBADF, "process %d is not held", p->pid);
    }
    if (syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0U) < 0) {
        return ma_err_set(err, -errno, "cannot kill process %d: %s", p->pid, strerror(errno));
    }
    return 0;
}

int ma_process_release_memory_worker(const struct ma_process *p,
                                     enum ma_release_result *ret,
                                     struct ma_err *err) {
    if (p->pidfd < 0) {
        return ma_err_set(err, -EBADF, "process %d is not held", p->pid);
    }
    long r;
    do {
        r = syscall(SYS_process_mrelease, p->pidfd, 0U);
    } while (r < 0 && errno == EINTR);
    if (r == 0) {
        *ret = MA_RELEASE_DONE;
        return 0;
    }
    if (errno == ESRCH || errno == EAGAIN) {
        *ret = MA_RELEASE_ALREADY; /* EAGAIN: part of it; the victim frees the rest */
        return 0;
    }
    if (errno == ENOSYS || errno == EPERM) {
        *ret = MA_RELEASE_UNSUPPORTED;
        return 0;
    }
    return ma_err_set(err, -errno, "cannot release the memory of process %d: %s", p->pid,
                      strerror(errno));
}
