/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* guest-pins.h - what a guest's entry in the table knows of its pins and limits: filled by guests.c, pin-ledger.c and
 * guest-limits.c, loop thread only. */

#include <stdbool.h>
#include <stdint.h>

#include "cgroup-limits.h"
#include "limit-log.h"
#include "limit.h"
#include "pins.h"
#include "process-limits.h"
#include "view.h"

/* What its process says about pinning, beside the figures that everybody uses. */
struct ma_tracked_pins {
    bool has_viommu; /* by its arguments */
    uint64_t max_memory_bytes;
    uint32_t n_vfio; /* by its descriptors */
    uint32_t n_vdpa;
    bool has_ipc_lock;
    uint64_t account_bytes; /* the greater of VmLck and VmPin */
    uint32_t threads;
    bool has_memlock;
    struct ma_process_memlock memlock;
    bool is_judged; /* pin-ledger.c fills the rest */
    struct ma_pin_devices devices;
    struct ma_pin_verdict verdict;
    uint32_t told_flags;
};

/* guest-limits.c: what it has, should have, and had before. */
struct ma_tracked_limit {
    struct ma_limit_want want;
    enum ma_limit_note note;
    bool has_now;
    uint64_t now_value;
    uint64_t request_id; /* under way; 0: none */
    uint64_t asked;      /* of the last one */
    uint64_t asked_from; /* and what it was then */
    bool is_restoring;   /* it puts back */
    uint64_t retry_usec; /* refused: not before then */
    enum ma_limit_note told_note;
    bool is_change_told;
    uint64_t change_want; /* and what was wanted then */
};
struct ma_tracked_limits {
    bool is_bound;                  /* the process's place in the log was looked for */
    struct ma_limit_record *record; /* in the mapped log; NULL: nothing of it was ever ours */
    struct ma_tracked_limit items[MA_LIMIT_COUNT];
    enum ma_cgroup_owner_kind owner;
    char unit[MA_UNIT_NAME_MAX]; /* where systemd is the owner */
    struct ma_cgroup group;      /* of the owner's; dir_fd -1: none */
    enum ma_cgroup_lack lack;    /* why there is none */
    bool is_group_its_own;       /* still; else it is kept for what memarb has to put back there */
    uint64_t checked_usec;       /* of the sample that they were looked at with */
    uint64_t changed_usec;       /* RLIMIT_MEMLOCK, or what it depends on */
    uint64_t seen_memlock, seen_account_bytes;
    struct ma_pin_devices seen_devices, set_devices;
    uint64_t set_limit_bytes; /* PinLimit= when it was set */
    bool is_given_back;       /* by an operator's release: nothing is set until the hold ends */
    bool has_adj;
    int oom_score_adj;
    uint64_t adj_read_usec; /* 0: never */
};

/* Of all guests together, and what limiting needs. */
struct ma_daemon_pins {
    struct ma_view_pins totals; /* pin-ledger.c */
    bool is_budget_over;        /* told, as the next ones */
    bool is_node_over[MA_VIEW_NODES_MAX];
    bool is_unkillable_told;
    struct ma_limit_log *limit_log;
    bool can_raise_limits; /* CAP_SYS_RESOURCE: hard limits can be put back */
};
