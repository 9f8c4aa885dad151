/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* host-memory.h - the machine's memory, pressure and reclaim counters from /proc. Files are opened once; a sample is a
 * few preads into the context's own buffer and allocates nothing. One context, one thread. */

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "ktext.h"
#include "snapshot.h"

struct ma_host_memory {
    int meminfo_fd;
    int arcstats_fd; /* -1: no ZFS */
    int vmstat_fd;   /* -1: not there */
    int psi_fd;      /* -1: kernel without PSI */
    char buf[MA_KTEXT_BUFFER_BYTES];
};

/* What /proc/meminfo says; `has` by MA_MEMINFO_HAS_*. Sizes in bytes. */
enum ma_meminfo_has {
    MA_MEMINFO_HAS_TOTAL = 1U << 0,
    MA_MEMINFO_HAS_FREE = 1U << 1,
    MA_MEMINFO_HAS_AVAILABLE = 1U << 2,
    MA_MEMINFO_HAS_SWAP_TOTAL = 1U << 3,
    MA_MEMINFO_HAS_SWAP_FREE = 1U << 4,
    MA_MEMINFO_HAS_COMMITTED = 1U << 5,
    MA_MEMINFO_HAS_COMMIT_LIMIT = 1U << 6,
    MA_MEMINFO_HAS_HUGETLB = 1U << 7, /* all sizes of huge pages together (Hugetlb:) */
    MA_MEMINFO_HAS_ARC = 1U << 8,     /* ZFS is there: arc_size and arc_min */
};
struct ma_meminfo {
    uint32_t has;
    uint64_t total_bytes;
    uint64_t free_bytes;
    uint64_t available_bytes; /* as the kernel says, ARC not included */
    uint64_t swap_total_bytes;
    uint64_t swap_free_bytes;
    uint64_t committed_bytes;
    uint64_t commit_limit_bytes;
    uint64_t hugetlb_bytes;
    uint64_t arc_size_bytes;
    uint64_t arc_min_bytes; /* what ZFS never gives back */
};

/* Counters since boot that tell distress; a counter the kernel lacks has its bit clear. */
enum ma_vmstat_counter {
    MA_VMSTAT_OOM_KILL,
    MA_VMSTAT_ALLOCSTALL, /* sum over zones */
    MA_VMSTAT_PGSCAN_DIRECT,
    MA_VMSTAT_PSWPIN,  /* pages */
    MA_VMSTAT_PSWPOUT, /* pages */
    MA_VMSTAT_REFAULT_ANON,
    MA_VMSTAT_REFAULT_FILE,
    MA_VMSTAT_COUNT
};
struct ma_vmstat {
    uint32_t has; /* 1U << enum ma_vmstat_counter */
    uint64_t counters[MA_VMSTAT_COUNT];
};

/* proc_root: "/proc". Without meminfo: an error; the other files may be absent. */
int ma_host_memory_open(struct ma_host_memory *m, const char *proc_root, struct ma_err *err);
void ma_host_memory_close(struct ma_host_memory *m);
/* -ENODATA without MemTotal or MemAvailable; -ERANGE if available exceeds total by the kernel's own words. */
int ma_host_memory_read(struct ma_host_memory *m, struct ma_meminfo *ret, struct ma_err *err);
/* -EOPNOTSUPP: kernel without PSI. */
int ma_host_memory_read_psi(struct ma_host_memory *m, struct ma_psi *ret, struct ma_err *err);
int ma_host_memory_read_vmstat(struct ma_host_memory *m, struct ma_vmstat *ret, struct ma_err *err);

/* Pure. Fills total, available (ARC above its floor counted in, never above total), swap, committed, commit limit and
 * their bits; leaves slope, pin budget, age, pressure and nodes alone. */
void ma_host_memory_to_host(const struct ma_meminfo *info, struct ma_host *host);
/* Pure. Growth from `before` to `now` per counter. A counter that went down restarted: its growth is 0 and
 * *ret_restarted (may be NULL) becomes true; one that either lacks has its bit clear. */
struct ma_vmstat
ma_vmstat_delta(const struct ma_vmstat *before, const struct ma_vmstat *now, bool *ret_restarted);
/* One line each into the struct; for ktext. userdata: struct ma_meminfo * / struct ma_vmstat *. */
int ma_meminfo_parse_line(void *userdata, const char *line);
int ma_arcstats_parse_line(void *userdata, const char *line);
int ma_vmstat_parse_line(void *userdata, const char *line);
