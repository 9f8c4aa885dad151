/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* guests.h - every guest the loop knows, merged from all sources, and what the host measures of its process.
 * Loop thread only. Entries are heap blocks that keep their address until the guest is dropped. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent-source.h"
#include "bid.h"
#include "cgroup.h"
#include "guest-io.h"
#include "guest-pins.h"
#include "guest-source.h"
#include "oom-watch.h"
#include "snapshot.h"
#include "state.h"

/* Nodes that a guest's memory is told apart on: what the planner has rows for. */
#define MA_TRACKED_NODES_MAX 12

/* An action under way. */
enum ma_request_lane {
    MA_LANE_MONITOR, /* over QMP or libvirt */
    MA_LANE_KERNEL,  /* pidfd, cgroup */
    MA_LANE_COUNT
};
struct ma_open_request {
    bool is_open;
    uint64_t id;
    enum ma_action action;
    uint64_t submitted_usec;
    uint64_t expires_usec; /* no outcome by then: taken for a timeout */
};

/* What its own agent says, and what was made of it. */
struct ma_tracked_agent {
    enum ma_agent_link link;
    bool matters;                  /* it was asked to report often */
    struct ma_agent_claims claims; /* taken_usec 0: none */
    enum ma_disagreement disagreement;
    uint64_t disagrees_usec;                                   /* since then; 0: it does not */
    uint64_t notice_id, notice_target_bytes, notice_over_usec; /* the last announced; 0: none */
    uint64_t alarm_usec, told_short_usec, told_veto_usec, told_disagrees_usec; /* 0: never */
};

enum ma_origin { MA_ORIGIN_LIBVIRT, MA_ORIGIN_QMP, MA_ORIGIN_COUNT };

struct ma_tracked {
    char uuid[MA_UUID_MAX];
    char name[MA_SOURCE_NAME_MAX];
    bool is_on_libvirt;
    bool is_on_qmp;
    bool is_listed; /* by libvirt since it was connected last */
    bool is_stuck;
    bool is_said_ended; /* a source says so; without a pidfd that is all we have */
    bool has_state;
    enum ma_guest_state state;
    bool is_killed;           /* by us; what is still there of it is on its way out */
    bool is_pause_unanswered; /* our pause was sent and may yet be carried out */
    bool has_facts;
    struct ma_source_guest facts;
    uint32_t inhibited_by[MA_ORIGIN_COUNT]; /* as each source sees it */
    bool has_config; /* its settings were told, metadata included where libvirt has it */
    struct ma_source_config config;
    bool has_figures;
    struct ma_source_figures figures;
    uint64_t monitor_figures_usec; /* when its own monitor spoke last; 0: never */
    uint64_t stats_taken_usec;     /* of the statistics in figures */
    uint64_t reset_usec; /* it rebooted: the balloon is empty until its driver is back; 0: no */
    uint64_t held_until_usec;
    uint64_t hold_from_seq; /* a hook objected: held from that decision on; 0: none did */
    struct ma_open_request requests[MA_LANE_COUNT];
    struct ma_oom_base oom;
    bool is_ending_by_us;     /* memarb asked it to shut down or saved it */
    uint64_t committed_bytes; /* what it counted for in the last snapshot; 0: it was in none */

    struct ma_process process; /* pid 0: not held */
    uint64_t process_retry_usec;
    bool is_locked_by_arguments;
    uint32_t inhibited_by_process;
    bool has_policy;
    enum ma_placement policy; /* of its process, where its memory has none of its own */
    uint64_t devices_checked_usec;
    void *pidfd_watch;     /* of the loop */
    uint64_t started_usec; /* CLOCK_MONOTONIC; 0: not known */

    uint64_t sampled_usec; /* of all below; 0: never */
    uint64_t resident_bytes, swap_bytes, hugepage_bytes, pinned_bytes;
    struct ma_tracked_pins pins;
    struct ma_tracked_limits limits;
    bool has_growth;
    int64_t growth_bytes_per_s;
    uint64_t charged_before_bytes; /* resident + swap at the last sample, for growth */
    bool has_cpu;
    uint64_t cpu_usec;
    uint32_t cpu_permyriad;
    struct ma_tracked_io io;

    struct ma_cgroup cgroup; /* dir_fd -1: none */
    uint64_t cgroup_retry_usec;
    struct ma_guest_node nodes[MA_TRACKED_NODES_MAX];
    size_t n_nodes;
    struct ma_tracked_agent agent;
};

struct ma_guests {
    struct ma_tracked **items; /* sorted by uuid */
    size_t n, max;
    size_t next_sample; /* round robin */
};

int ma_guests_init(struct ma_guests *guests, size_t max);
void ma_guests_fini(struct ma_guests *guests);
struct ma_tracked *ma_guests_find(const struct ma_guests *guests, const char *uuid);
/* The same for a walk in the order of uuids, as ma_state_find_next(). */
struct ma_tracked *
ma_guests_find_next(const struct ma_guests *guests, const char *uuid, size_t *next);
struct ma_tracked *ma_guests_find_by_pid(const struct ma_guests *guests, pid_t pid);
/* Made if needed; NULL when full, out of memory or the uuid is empty or too long. */
struct ma_tracked *ma_guests_get(struct ma_guests *guests, const char *uuid);
void ma_guests_drop(struct ma_guests *guests, struct ma_tracked *guest);

/* Where the figures of processes come from. */
struct ma_guests_host {
    const char *proc_root;
    const struct ma_cgroup_root *cgroup_root;
    bool has_nodes; /* the host has several: ask where a guest's memory is */
};
/* CLOCK_MONOTONIC of a process's start, from its start ticks; 0: not known. */
uint64_t ma_process_started_usec(uint64_t start_ticks);
/* Opens the guest's process by facts.pid once it is known and checks that it is a QEMU of that uuid (by its command
 * line, where that names one). 0; -ESRCH: gone; -ESTALE: another process. */
int ma_tracked_open_process(struct ma_tracked *guest,
                            const struct ma_guests_host *host,
                            uint64_t now_usec);
/* Reads what the host measures of it. 0, -ESRCH when it has ended. About 40 us. */
int ma_tracked_sample(struct ma_tracked *guest,
                      const struct ma_guests_host *host,
                      uint64_t now_usec);
/* Samples up to max_guests whose figures are older than max_age_usec, round robin. */
void ma_guests_sample_due(struct ma_guests *guests,
                          const struct ma_guests_host *host,
                          uint64_t now_usec,
                          uint64_t max_age_usec,
                          size_t max_guests);
/* What all guests hold in host RAM (resident + huge pages), as last measured. */
uint64_t ma_guests_used_bytes(const struct ma_guests *guests);
