/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* trigger.h - being woken by the guest's kernel when its tasks stall for memory. */

#include <stdbool.h>
#include <stdint.h>

/* The kernel refuses other windows to whoever lacks CAP_SYS_RESOURCE (Linux 6.1 kernel/sched/psi.c). */
#define MAG_TRIGGER_UNPRIVILEGED_WINDOW_USEC UINT64_C(2000000)

struct mag_trigger {
    int fd; /* poll for EPOLLPRI; -1: none. Owned. */
    uint64_t window_usec;
};
/* A trigger on proc/pressure/memory: `kind` "some" or "full", stall within the window. Refused the window, it takes 2 s
 * with the same stall. -errno: no PSI, Linux before 5.2, or the file may not be written; t->fd is then -1. */
int mag_trigger_open(struct mag_trigger *t,
                     const char *proc,
                     const char *kind,
                     uint64_t stall_usec,
                     uint64_t window_usec);
void mag_trigger_close(struct mag_trigger *t);
