/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* oom.h - did the kernel kill this guest for want of memory? Judged by counters, since nobody but its parent is told how
 * a process ended. Pure. */

#include <stdbool.h>
#include <stdint.h>

/* Growth since the last look; `has_` false: not known (cgroup v1, a cgroup shared with others, removed meanwhile). */
struct ma_oom_evidence {
    bool has_ended;       /* its process is gone */
    bool was_ended_by_us; /* killed, shut down or saved by memarb */
    bool was_said_to_end; /* libvirt or its monitor said before that it shuts down */
    bool has_cgroup;
    /* memory.events oom_kill: of its cgroup's processes, whoever was short */
    uint64_t cgroup_oom_kills;
    /* memory.events oom: its own limit was reached and nothing could be reclaimed */
    uint64_t cgroup_ooms;
    bool has_host;
    uint64_t host_oom_kills; /* /proc/vmstat oom_kill, those told of other guests left out */
};

enum ma_oom_verdict {
    MA_OOM_NONE,
    MA_OOM_BY_LIMIT, /* its cgroup's limit */
    MA_OOM_BY_HOST,  /* the host or a node was short: memarb was too late */
    MA_OOM_LIKELY,   /* it ended unannounced while the kernel killed something */
    MA_OOM_HELPER,   /* a process of its cgroup was killed; the guest runs */
    MA_OOM_VERDICT_COUNT
};
const char *ma_oom_verdict_name(enum ma_oom_verdict verdict);

enum ma_oom_verdict ma_oom_judge(const struct ma_oom_evidence *evidence);
