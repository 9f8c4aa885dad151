/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* process.h - one QEMU process: who it is and what it holds. Held by a pidfd and by a descriptor of /proc/PID, both
 * bound to this very process: a pid that was given to another one cannot be read or killed by mistake.
 * No allocation. One struct, one thread at a time (killing may be done from another). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

struct ma_process {
    pid_t pid;
    int pidfd; /* EPOLLIN: it has ended and its memory is back; -1: only files (recorded trees). Owned. */
    int dir_fd;           /* /proc/PID. Owned. */
    uint64_t start_ticks; /* since boot; pid + start_ticks name a process for one boot */
};
#define MA_PROCESS_CLOSED ((struct ma_process){.pid = 0, .pidfd = -1, .dir_fd = -1})

/* proc_root "/proc". -ESRCH: no such process (any more). */
int ma_process_open(struct ma_process *p, const char *proc_root, pid_t pid, struct ma_err *err);
/* A recorded tree: without pidfd. */
int ma_process_open_files(struct ma_process *p,
                          const char *proc_root,
                          pid_t pid,
                          struct ma_err *err);
void ma_process_close(struct ma_process *p);
/* Does not wait. False while it cannot be told (no pidfd). */
bool ma_process_is_gone(const struct ma_process *p);

enum ma_process_has {
    MA_PROCESS_HAS_RSS = 1U << 0,
    MA_PROCESS_HAS_RSS_ANON = 1U << 1,
    MA_PROCESS_HAS_RSS_SHMEM = 1U << 2,
    MA_PROCESS_HAS_SWAP = 1U << 3,
    MA_PROCESS_HAS_LOCKED = 1U << 4,
    MA_PROCESS_HAS_PINNED = 1U << 5,
    MA_PROCESS_HAS_HUGETLB = 1U << 6,
    MA_PROCESS_HAS_THREADS = 1U << 7,
    MA_PROCESS_HAS_UID = 1U << 8,
    MA_PROCESS_HAS_CAPABILITIES = 1U << 9,
};
#define MA_PROCESS_CAP_IPC_LOCK     14U /* capability.h: the numbers are the kernel's ABI */
#define MA_PROCESS_CAP_SYS_RESOURCE 24U
/* Of /proc/PID/status, read at once. */
struct ma_process_sample {
    uint32_t has;
    uint64_t rss_bytes;
    uint64_t rss_anon_bytes;
    uint64_t rss_shmem_bytes;
    uint64_t swap_bytes;
    uint64_t locked_bytes; /* VmLck: an account, may exceed RSS */
    uint64_t pinned_bytes; /* VmPin: likewise */
    uint64_t hugetlb_bytes;
    uint32_t threads;
    uid_t uid;             /* real */
    uint64_t capabilities; /* effective, bit by number */
    char comm[16];
};
/* -ESRCH: it has ended (or has no memory any more). */
int ma_process_read(const struct ma_process *p, struct ma_process_sample *ret, struct ma_err *err);
int ma_process_status_parse_line(void *userdata, const char *line);

struct ma_process_cpu {
    uint64_t cpu_usec; /* user + system, all threads, growing */
    uint64_t start_ticks;
    char state; /* R S D T Z ... */
};
int ma_process_read_cpu(const struct ma_process *p, struct ma_process_cpu *ret, struct ma_err *err);
/* Pure: the text of /proc/PID/stat (the name may hold blanks and brackets). -EINVAL. */
int ma_process_stat_parse(const char *text, struct ma_process_cpu *ret);

/* Bytes read and written since its start: /proc/PID/io, all four figures together. Reads and writes by system call
 * (rchar, wchar: taps, disks with aio=threads) and storage (read_bytes, write_bytes: aio=native and io_uring, which the
 * former leave out); what is in both counts twice. Only for comparison with the same process at another time. Not in
 * it: vhost, whose work is the kernel's. -EACCES: no right to look (ptrace). */
int ma_process_read_io(const struct ma_process *p, uint64_t *ret_bytes, struct ma_err *err);
/* Pure. -EINVAL: a figure is missing. */
int ma_process_io_parse(const char *text, uint64_t *ret_bytes);

int ma_process_read_oom_score_adj(const struct ma_process *p, int *ret, struct ma_err *err);

#define MA_PROCESS_CGROUP_MAX 512
struct ma_process_cgroup {
    bool has_v2;                    /* a "0::" line */
    bool has_v1_memory;             /* a "N:memory:" line */
    char v2[MA_PROCESS_CGROUP_MAX]; /* absolute within its hierarchy */
    char v1_memory[MA_PROCESS_CGROUP_MAX];
};
/* Paths with "..", cut ones and those of a removed group are refused: -EINVAL. */
int ma_process_read_cgroup(const struct ma_process *p,
                           struct ma_process_cgroup *ret,
                           struct ma_err *err);
int ma_process_cgroup_parse_line(void *userdata, const char *line);

/* What its command line says: read once, when it is met. Text that the starter chose, cut and bounded. */
#define MA_PROCESS_EXE_MAX  64
#define MA_PROCESS_UUID_MAX 64
#define MA_PROCESS_NAME_MAX 128
struct ma_process_identity {
    char exe
        [MA_PROCESS_EXE_MAX]; /* base name of /proc/PID/exe; of argv[0] where that may not be read */
    bool is_exe_seen;         /* from the link, not from argv */
    bool is_qemu;             /* exe begins with "qemu-system-" or is "qemu-kvm" or "kvm" */
    char uuid[MA_PROCESS_UUID_MAX]; /* lower case; "" if not given or not a uuid */
    char name[MA_PROCESS_NAME_MAX]; /* "" if not given */
    uint32_t inhibited_by;          /* enum ma_inhibitor bits its arguments speak of */
    bool is_mem_locked;             /* -overcommit mem-lock=on */
    bool has_viommu;                /* intel-iommu, amd-iommu, virtio-iommu */
    uint64_t max_memory_bytes;      /* -m maxmem=; 0: not given */
    unsigned expect;                /* the option whose value comes next (parser) */
    bool has_argv0;
};
int ma_process_read_identity(const struct ma_process *p,
                             struct ma_process_identity *ret,
                             struct ma_err *err);
/* One argument after another; userdata: struct ma_process_identity, zeroed before. */
int ma_process_argument_parse(void *userdata, const char *argument);

/* Descriptors looked at: a QEMU with 256 queues and disks stays below 2000 (guess). Too small misses a device's
 * descriptor, too large holds up the loop (1.1 us each, measured). */
#define MA_PROCESS_FDS_MAX 4096U
struct ma_process_devices {
    uint32_t inhibited_by; /* VFIO, VDPA, CONFIDENTIAL bits */
    uint32_t n_vfio;       /* devices, not groups or containers */
    uint32_t n_vdpa;
    bool is_cut; /* there were more descriptors than MA_PROCESS_FDS_MAX */
};
/* What its open descriptors prove. Needs the same uid or CAP_SYS_PTRACE: -EACCES. */
int ma_process_read_devices(const struct ma_process *p,
                            struct ma_process_devices *ret,
                            struct ma_err *err);
/* Pure: the bit that a descriptor's link stands for, or 0. */
uint32_t ma_process_device_inhibitor(const char *link);

/* SIGKILL through the pidfd. 0: sent; -ESRCH: had ended already; -EPERM. Any thread. Never any other signal. */
int ma_process_kill(const struct ma_process *p, struct ma_err *err);
enum ma_release_result {
    MA_RELEASE_DONE,        /* its memory was taken apart here */
    MA_RELEASE_ALREADY,     /* it is being torn down or is gone: wait for the pidfd */
    MA_RELEASE_UNSUPPORTED, /* kernel before 5.15, or refused by a system call filter */
};
/* process_mrelease after SIGKILL: a helper, no proof; the memory is back when the pidfd is readable. May take
 * as long as the memory is large: for a worker. Negative errno only for what is unexpected. */
int ma_process_release_memory_worker(const struct ma_process *p,
                                     enum ma_release_result *ret,
                                     struct ma_err *err);
