/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* process-limits.h - the limits that a QEMU process itself has: locked memory, and its place before the OOM killer. */

#include "process.h"

/* RLIMIT_MEMLOCK; UINT64_MAX: unlimited. The kernel compares with `soft`; the process may raise it up to
 * `hard` by itself. */
struct ma_process_memlock {
    uint64_t soft_bytes;
    uint64_t hard_bytes;
    bool is_found; /* by the parser */
};
/* By prlimit(2) where that is allowed (0.5 us), else from /proc/PID/limits. */
int ma_process_read_memlock(const struct ma_process *p,
                            struct ma_process_memlock *ret,
                            struct ma_err *err);
/* Unpins nothing: only what is pinned afterwards is held against it. -EPERM: another's process, or a raise of the hard
 * limit, without CAP_SYS_RESOURCE; -ESRCH: it has ended. Does not block. */
int ma_process_set_memlock(const struct ma_process *p,
                           const struct ma_process_memlock *limit,
                           struct ma_err *err);
/* -1000..1000; lower than before needs CAP_SYS_RESOURCE: -EACCES. Does not block. */
int ma_process_set_oom_score_adj(const struct ma_process *p, int adj, struct ma_err *err);
/* May this process (memarbd itself) raise hard limits again? */
bool ma_process_can_raise_limits(const char *proc_root);
