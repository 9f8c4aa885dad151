/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* qmp-types.h - replies as values; included by qmp.h. Memory is in bytes. Text is cut to its field, always
 * terminated, and holds no control characters. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QMP_NAME_MAX 64U
#define QMP_PATH_MAX 160U
/* Entries kept of a list; the rest is only counted. A guest has one or two of each; 8 NUMA cells were seen. Guess. */
#define QMP_LIST_MAX  16U
#define QMP_NODES_MAX 64U

struct qmp_version {
    uint32_t major, minor, micro;
    char package[QMP_NAME_MAX];
};

enum qmp_run_state {
    QMP_RUN_OTHER, /* a name that this library does not know; see the text */
    QMP_RUN_RUNNING,
    QMP_RUN_PAUSED,
    QMP_RUN_PRELAUNCH,
    QMP_RUN_SHUTDOWN,
    QMP_RUN_SUSPENDED,
    QMP_RUN_IO_ERROR,
    QMP_RUN_INTERNAL_ERROR,
    QMP_RUN_GUEST_PANICKED,
    QMP_RUN_WATCHDOG,
    QMP_RUN_DEBUG,
    QMP_RUN_COLO,
    QMP_RUN_INMIGRATE,
    QMP_RUN_POSTMIGRATE,
    QMP_RUN_FINISH_MIGRATE,
    QMP_RUN_SAVE_VM,
    QMP_RUN_RESTORE_VM,
    QMP_RUN_COUNT
};
struct qmp_status {
    enum qmp_run_state run_state;
    bool is_running; /* vCPUs run */
    char text[QMP_NAME_MAX];
};

/* The guest writes this figure. It is kept as QEMU said it, also negative; absurd: below 0 or above 2^50. */
struct qmp_balloon {
    int64_t actual_bytes;
    bool is_absurd;
};

enum qmp_stat {
    QMP_STAT_SWAP_IN, /* bytes, as all that is not named otherwise */
    QMP_STAT_SWAP_OUT,
    QMP_STAT_MAJOR_FAULTS, /* count */
    QMP_STAT_MINOR_FAULTS, /* count */
    QMP_STAT_FREE,
    QMP_STAT_TOTAL,
    QMP_STAT_AVAILABLE,
    QMP_STAT_DISK_CACHES,
    QMP_STAT_HTLB_PGALLOC, /* count */
    QMP_STAT_HTLB_PGFAIL,  /* count */
    QMP_STAT_COUNT
};
/* All of it is the guest's word. */
struct qmp_guest_stats {
    uint32_t present; /* bit 1U << enum qmp_stat: the guest reported it, and it is <= 2^50 */
    uint32_t absurd;  /* bits: reported, but negative, fractional or above 2^50: value not kept */
    uint64_t value[QMP_STAT_COUNT];
    uint64_t last_update_sec; /* the host's wall clock when the guest last answered, 0 = never */
};

/* Why giving memory back to the host does not work there. */
enum qmp_inhibitor {
    QMP_INHIBIT_VFIO = 1U << 0,
    QMP_INHIBIT_VDPA = 1U << 1,
    QMP_INHIBIT_SEV = 1U << 2,
};
struct qmp_devices {
    char balloon_path[QMP_PATH_MAX]; /* "" = no balloon */
    char balloon_type[QMP_NAME_MAX]; /* "virtio-balloon-pci" ... */
    uint32_t inhibitors;             /* enum qmp_inhibitor: seen */
    uint32_t unknown;                /* enum qmp_inhibitor: this QEMU could not be asked */
    uint32_t vfio_count;
    uint32_t virtio_mem_count; /* may exceed QMP_LIST_MAX */
    char virtio_mem_path[QMP_LIST_MAX][QMP_PATH_MAX];
};

struct qmp_memory_size {
    uint64_t base_bytes;
    uint64_t plugged_bytes; /* DIMMs and virtio-mem together; 0 if QEMU does not say */
};

enum qmp_mem_policy {
    QMP_MEM_POLICY_OTHER,
    QMP_MEM_POLICY_DEFAULT,
    QMP_MEM_POLICY_PREFERRED,
    QMP_MEM_POLICY_BIND,
    QMP_MEM_POLICY_INTERLEAVE,
};
struct qmp_memdev {
    char id[QMP_NAME_MAX]; /* "" = it has none */
    uint64_t size_bytes;
    uint64_t host_nodes; /* bit per node below QMP_NODES_MAX */
    enum qmp_mem_policy policy;
    bool is_shared, is_preallocated, has_more_nodes;
};
struct qmp_memdevs {
    uint32_t count; /* may exceed QMP_LIST_MAX */
    struct qmp_memdev item[QMP_LIST_MAX];
};

enum qmp_known { /* what a QEMU of this version tells */
                 QMP_UNKNOWN,
                 QMP_NO,
                 QMP_YES,
};
struct qmp_backend {
    char type[QMP_NAME_MAX];     /* "memory-backend-ram", -file, -memfd, -epc ... */
    char mem_path[QMP_PATH_MAX]; /* -file: what it maps, maybe on hugetlbfs; cut if longer */
    enum qmp_known is_shared, is_merged, is_reserved, is_preallocated, is_hugetlb;
    uint64_t hugetlb_bytes; /* page size if set, 0 = not said */
};

enum qmp_memory_device_kind {
    QMP_MEMORY_DEVICE_OTHER,
    QMP_MEMORY_DEVICE_DIMM,
    QMP_MEMORY_DEVICE_NVDIMM,
    QMP_MEMORY_DEVICE_VIRTIO_PMEM,
    QMP_MEMORY_DEVICE_VIRTIO_MEM,
};
struct qmp_memory_device {
    enum qmp_memory_device_kind kind;
    char id[QMP_NAME_MAX]; /* "" = it has none: use qmp_devices.virtio_mem_path */
    char memdev[QMP_PATH_MAX];
    uint64_t size_bytes;
    uint64_t requested_bytes, max_bytes, block_bytes; /* virtio-mem only, else 0 */
    int64_t node;                                     /* -1 = not said */
};
struct qmp_memory_devices {
    uint32_t count; /* may exceed QMP_LIST_MAX */
    struct qmp_memory_device item[QMP_LIST_MAX];
};
