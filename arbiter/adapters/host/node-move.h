/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* node-move.h - moving a process's pages from one NUMA node to another, a little at a time (move_pages(2)).
 * No allocation: the buffers are the caller's. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "ktext.h"
#include "process.h"
#include "snapshot.h"

/* Addresses asked of the kernel at once: 8 MiB of 4 KiB pages, the most that is moved between two pauses. Too small:
 * system calls; too large: the guest's faults wait behind one batch, and a stop comes late. 481 MiB took 3.8 s of an
 * emulated host, so a batch is some 60 ms there and a few milliseconds on a real one. */
#define MA_NODE_MOVE_BATCH_BYTES (UINT64_C(8) * 1024 * 1024)
#define MA_NODE_MOVE_BATCH_PAGES 2048U
/* Mappings looked at: a guest's RAM is one to a few dozen (DIMMs, virtio-mem, cells). With more, the fullest ones. */
#define MA_NODE_MOVE_AREAS_MAX 64U

/* A line of numa_maps. */
struct ma_numa_line {
    uint64_t start;
    bool has_policy;
    enum ma_placement placement; /* of its memory policy */
    bool is_huge;
    bool is_memory;      /* anonymous, memfd or /dev/shm: what a guest's RAM can be */
    uint64_t node_pages; /* of the kernel's base size, on the node asked for */
};
/* Pure. node: whose pages are counted. False: no such line. */
bool ma_numa_line_parse(const char *line, uint16_t node, struct ma_numa_line *ret);

/* What its threads do where a mapping has no policy of its own (numactl, set_mempolicy), from the first lines of
 * numa_maps: a few hundred bytes, however large it is. -EINVAL: cannot be understood. */
int ma_process_read_policy(const struct ma_process *p, enum ma_placement *ret, struct ma_err *err);

struct ma_node_area {
    uint64_t start;
    uint64_t end; /* 0: gone meanwhile */
    uint64_t node_pages;
};
struct ma_node_move_buffers {
    size_t n_areas;
    struct ma_node_area areas[MA_NODE_MOVE_AREAS_MAX];
    char text[MA_KTEXT_BUFFER_BYTES];
    void *pages[MA_NODE_MOVE_BATCH_PAGES];
    void *chosen[MA_NODE_MOVE_BATCH_PAGES];
    int nodes[MA_NODE_MOVE_BATCH_PAGES];
    int status[MA_NODE_MOVE_BATCH_PAGES];
    uint64_t entries[MA_NODE_MOVE_BATCH_PAGES]; /* of pagemap */
};
struct ma_node_move_request {
    uint64_t want_bytes;
    uint16_t from_node;
    uint16_t to_node;
    const atomic_bool *stop; /* looked at before each batch; NULL: none */
};
struct ma_node_moved {
    uint64_t moved_bytes;
    uint64_t failed_bytes; /* pages that stay: pinned, shared with another process, busy */
    uint32_t n_batches;
    uint32_t n_asked; /* batches whose pages' nodes were asked for: those, too, cost the guest */
    bool was_stopped;
    bool is_full;   /* the other node has no room */
    bool is_barred; /* all that lies on the node is bound to it or of huge pages */
};
/* Fills buffers->areas with the mappings whose pages may leave the node, fullest first. 0, or negative errno. */
int ma_node_move_find_areas(const struct ma_process *p,
                            uint16_t from_node,
                            struct ma_node_move_buffers *buffers,
                            bool *ret_is_barred,
                            struct ma_err *err);
/* Takes as long as it takes: for a worker. After each batch it rests for as long as the batch took. Mappings bound to
 * their nodes, and huge pages, are left alone. 0: done, stopped or nothing left; -ESRCH: it has ended; -EACCES,
 * -EPERM, -ENODEV: the kernel will not have it. */
int ma_node_move_worker(const struct ma_process *p,
                        const struct ma_node_move_request *request,
                        struct ma_node_move_buffers *buffers,
                        struct ma_node_moved *ret,
                        struct ma_err *err);
