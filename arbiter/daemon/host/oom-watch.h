/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* oom-watch.h - notices what the kernel kills for want of memory, and tells which guest it was. */

#include <stdbool.h>
#include <stdint.h>

struct ma_daemon;
struct ma_tracked;

struct ma_oom_watch {
    bool has_base;
    uint64_t base;             /* /proc/vmstat oom_kill, as far as it is accounted for */
    uint64_t looked_usec;      /* when it was read last */
    uint64_t unexplained;      /* growth that belongs to no guest so far */
    uint64_t unexplained_usec; /* since when */
    uint64_t n_guests_killed;  /* since memarbd started */
};
/* What is remembered of a guest. */
struct ma_oom_base {
    bool is_known;
    uint64_t kills; /* memory.events of its cgroup, as far as it is accounted for */
    uint64_t ooms;
    uint64_t grown_usec; /* kills were first seen higher then, and its process lived; 0: no */
};

void ma_oom_watch_step(struct ma_daemon *d, uint64_t now_usec); /* with each cycle */
/* Its process is gone: the kernel's doing? */
void ma_oom_watch_on_end(struct ma_daemon *d, struct ma_tracked *guest);
