/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* cgroup.h - the memory figures of a guest's cgroup, or of a cgroup that stands for the host, relative to a held
 * directory: a group of the same name made later is not read by mistake. Full figures with cgroup v2; v1 (also where
 * v2 is mounted beside it) gives usage, limit and statistics and is named as such. No allocation. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "process.h"
#include "snapshot.h"

enum ma_cgroup_layout {
    MA_CGROUP_NONE,   /* no memory controller found */
    MA_CGROUP_V2,     /* one hierarchy */
    MA_CGROUP_HYBRID, /* memory on v1, a v2 hierarchy beside it without memory */
    MA_CGROUP_V1,
};
const char *ma_cgroup_layout_name(enum ma_cgroup_layout layout);
struct ma_cgroup_root {
    enum ma_cgroup_layout layout;
    int fd; /* of the hierarchy that has the memory controller. Owned; -1: none */
};
/* cgroup_root: "/sys/fs/cgroup". Told by the files there. Layout NONE is no error. */
int ma_cgroup_root_open(struct ma_cgroup_root *root, const char *cgroup_root, struct ma_err *err);
void ma_cgroup_root_close(struct ma_cgroup_root *root);

#define MA_CGROUP_PATH_MAX MA_PROCESS_CGROUP_MAX
struct ma_cgroup {
    int dir_fd; /* Owned; -1: closed */
    enum ma_cgroup_layout layout;
    bool
        is_shared; /* others than the guest and its helpers live there: its figures are not the guest's, and it
                     * must not be reclaimed from */
    bool had_company; /* at the last look */
    char path[MA_CGROUP_PATH_MAX];
};
#define MA_CGROUP_CLOSED ((struct ma_cgroup){.dir_fd = -1})
/* The group whose memory.* files count for the process: from its own upwards while cgroup.type is "threaded".
 * -ENOENT: no memory controller, or none enabled for it. -ENODEV: removed. */
int ma_cgroup_open_of(struct ma_cgroup *cg,
                      const struct ma_cgroup_root *root,
                      const struct ma_process_cgroup *where,
                      pid_t pid,
                      struct ma_err *err);
/* A group by its path below the hierarchy ("machine.slice"; a leading '/' is fine; ".." is refused). */
int ma_cgroup_open_path(struct ma_cgroup *cg,
                        const struct ma_cgroup_root *root,
                        const char *path,
                        struct ma_err *err);
void ma_cgroup_close(struct ma_cgroup *cg);
/* Looks again: a process may be moved, and others may have come to live beside it. true: `cg` was replaced, by another group
 * or the same with another is_shared: company counts when it is seen twice in a row. Where nothing can be told, nothing changes. */
bool ma_cgroup_look_again(struct ma_cgroup *cg,
                          const struct ma_cgroup_root *root,
                          const struct ma_process_cgroup *where,
                          pid_t pid);

enum ma_cgroup_has {
    MA_CGROUP_HAS_CURRENT = 1U << 0,
    MA_CGROUP_HAS_MAX = 1U << 1,
    MA_CGROUP_HAS_HIGH = 1U << 2,
    MA_CGROUP_HAS_SWAP_CURRENT = 1U << 3,
    MA_CGROUP_HAS_SWAP_MAX = 1U << 4,
    MA_CGROUP_HAS_STAT = 1U << 5,
    MA_CGROUP_HAS_EVENTS = 1U << 6,
};
enum ma_cgroup_stat {
    MA_CGROUP_STAT_ANON,
    MA_CGROUP_STAT_FILE, /* shmem included */
    MA_CGROUP_STAT_SHMEM,
    MA_CGROUP_STAT_INACTIVE_ANON,
    MA_CGROUP_STAT_ACTIVE_ANON,
    MA_CGROUP_STAT_INACTIVE_FILE,
    MA_CGROUP_STAT_ACTIVE_FILE,
    MA_CGROUP_STAT_SLAB_RECLAIMABLE,
    MA_CGROUP_STAT_UNEVICTABLE,
    MA_CGROUP_STAT_COUNT
};
enum ma_cgroup_event {
    MA_CGROUP_EVENT_HIGH,
    MA_CGROUP_EVENT_MAX,
    MA_CGROUP_EVENT_OOM,
    MA_CGROUP_EVENT_OOM_KILL,
    MA_CGROUP_EVENT_OOM_GROUP_KILL,
    MA_CGROUP_EVENT_COUNT
};
#define MA_CGROUP_UNLIMITED UINT64_MAX
struct ma_cgroup_sample {
    uint32_t has; /* v1: current, max, stat only */
    uint64_t current_bytes;
    uint64_t max_bytes; /* MA_CGROUP_UNLIMITED: none */
    uint64_t high_bytes;
    uint64_t swap_current_bytes;
    uint64_t swap_max_bytes;
    uint64_t stat_bytes[MA_CGROUP_STAT_COUNT];
    uint32_t has_stat; /* 1U << enum ma_cgroup_stat */
    uint64_t events[MA_CGROUP_EVENT_COUNT];
    struct ma_psi pressure; /* v2 only */
};
/* Error only if the group is gone (-ENODEV) or its usage cannot be read. */
int ma_cgroup_read(const struct ma_cgroup *cg, struct ma_cgroup_sample *ret, struct ma_err *err);
/* Only memory.events, into ret's events and their bit; v2 only: -EOPNOTSUPP otherwise. -ENODEV: removed. */
int ma_cgroup_read_events(const struct ma_cgroup *cg, struct ma_cgroup_sample *ret);
/* Only usage (the cheapest: one file). */
int ma_cgroup_read_current(const struct ma_cgroup *cg, uint64_t *ret_bytes, struct ma_err *err);
/* Where its pages are: resident = anon + shmem per node, sorted by id. v2 only: -EOPNOTSUPP otherwise.
 * -ENOBUFS: more nodes than capacity. */
int ma_cgroup_read_nodes(const struct ma_cgroup *cg,
                         struct ma_guest_node *ret_nodes,
                         size_t capacity,
                         size_t *ret_n,
                         struct ma_err *err);

/* memory.reclaim. */
struct ma_cgroup_reclaim_request {
    uint64_t want_bytes;
    /* Asked for at once; a step cannot be stopped. Too small: system calls; too large: a stop (pressure gone, guest
     * gone) comes late. 0: MA_CGROUP_RECLAIM_STEP_BYTES. */
    uint64_t step_bytes;
    const atomic_bool *stop; /* looked at before each step; NULL: never */
};
#define MA_CGROUP_RECLAIM_STEP_BYTES (UINT64_C(32) << 20) /* 10-100 ms of swapping (guess) */
struct ma_cgroup_reclaim {
    uint64_t asked_bytes;    /* in all steps that were taken */
    uint64_t returned_bytes; /* by which memory.current is lower now; 0 if it grew meanwhile */
    uint32_t n_steps;
    bool is_short; /* the kernel found less than was asked for (EAGAIN): no error */
    bool was_stopped;
};
/* Blocks while pages are written out: for a worker. -EOPNOTSUPP: not v2, or kernel before 5.19; -EBUSY: is_shared. */
int ma_cgroup_reclaim_worker(const struct ma_cgroup *cg,
                             const struct ma_cgroup_reclaim_request *request,
                             struct ma_cgroup_reclaim *ret,
                             struct ma_err *err);
