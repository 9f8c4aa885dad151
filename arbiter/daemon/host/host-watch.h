/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* host-watch.h - the host's own figures, narrowed to what "the host" means here (machine, budget, cgroup). Loop
 * thread; a sample allocates nothing. */

#include "budget.h"
#include "cgroup.h"
#include "host-memory.h"
#include "host-nodes.h"
#include "psi.h"
#include "snapshot.h"

struct ma_host_watch_options {
    const char *proc_root;
    const char *sys_root;
    const char *cgroup_root;
    uint64_t budget_bytes;     /* UINT64_MAX: none */
    uint64_t budget_permyriad; /* of the machine; 0: none */
    const char *budget_cgroup; /* "": none */
    uint64_t psi_stall_usec;   /* 0: no trigger */
    uint64_t psi_window_usec;
};

struct ma_host_watch {
    enum ma_host_meaning meaning;
    uint64_t budget_bytes;
    uint64_t budget_permyriad;
    struct ma_host_memory memory;
    struct ma_host_nodes *host_nodes; /* NULL: none */
    struct ma_cgroup_root cgroup_root;
    struct ma_cgroup budget_cgroup;
    struct ma_psi_trigger trigger; /* fd -1: none */
    bool has_psi;
    bool has_nodes; /* several, and they add up */
    struct ma_node nodes[MA_HOST_NODES_MAX];
    /* the last good sample */
    uint64_t sampled_usec; /* 0: none yet */
    struct ma_host host;
};

int ma_host_watch_open(struct ma_host_watch *watch,
                       const struct ma_host_watch_options *options,
                       struct ma_err *err);
void ma_host_watch_close(struct ma_host_watch *watch);
/* Reads all; used_bytes is what the guests hold (for a budget). On an error the last sample stays and ages. */
int ma_host_watch_sample(struct ma_host_watch *watch,
                         uint64_t used_bytes,
                         uint64_t now_usec,
                         struct ma_err *err);
