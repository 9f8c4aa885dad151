/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* psi.h - pressure stall information: figures, and a trigger to poll. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "snapshot.h"

/* Pure: the text of a pressure file. "12.34" is exactly 1234 permyriad. What is missing or garbage has its bit clear;
 * -EINVAL if nothing at all could be read (then *ret is untouched). */
int ma_psi_parse(const char *text, struct ma_psi *ret);

enum ma_psi_kind { MA_PSI_SOME, MA_PSI_FULL };
struct ma_psi_trigger_spec {
    enum ma_psi_kind kind;
    uint64_t stall_usec;  /* 1..window */
    uint64_t window_usec; /* 500 ms..10 s */
};
/* Without CAP_SYS_RESOURCE the kernel takes only multiples of this as a window (Linux 6.4 kernel/sched/psi.c). */
#define MA_PSI_UNPRIVILEGED_WINDOW_USEC UINT64_C(2000000)
struct ma_psi_trigger {
    int fd; /* poll with EPOLLPRI; EPOLLERR: the cgroup is gone. -1: closed. Owned. */
    uint64_t stall_usec;
    uint64_t window_usec; /* what the kernel gave */
    bool is_fallback;     /* window wider than asked for */
};
/* Opens `path` relative to dir_fd (AT_FDCWD with "/proc/pressure/memory", or a cgroup's directory with
 * "memory.pressure") and arms a trigger. Refused with EINVAL or EPERM: tries again with the window rounded up to a
 * multiple of 2 s and the same stall (so it never speaks later than asked for), and says so in is_fallback.
 * -EOPNOTSUPP: no PSI in this kernel or cgroup; -ERANGE: spec outside the kernel's bounds. */
int ma_psi_trigger_open(struct ma_psi_trigger *t,
                        int dir_fd,
                        const char *path,
                        const struct ma_psi_trigger_spec *spec,
                        struct ma_err *err);
void ma_psi_trigger_close(struct ma_psi_trigger *t);
