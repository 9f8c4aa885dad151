/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* view.h - what the loop publishes after each cycle for readers on other threads (control socket, metrics): one
 * immutable block behind an RCU pointer. Readers copy or render inside the read section and never wait there. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "admit.h"
#include "limit.h"
#include "oom.h"
#include "pins.h"
#include "plan.h"
#include "snapshot.h"
#include "state.h"

/* As many as the planner has rows for. */
#define MA_VIEW_NODES_MAX 12
struct ma_view_pin_node {
    uint16_t id;
    uint64_t budget_bytes;
    uint64_t pinned_bytes;
};
struct ma_view_pins { /* of the host */
    uint64_t budget_bytes;
    uint64_t pinned_bytes;
    uint64_t may_pin_bytes;    /* once every guest has pinned what its devices may ask for */
    uint64_t unkillable_bytes; /* of guests that the OOM killer takes last or never */
    struct ma_view_pin_node nodes[MA_VIEW_NODES_MAX];
    size_t n_nodes;
};
struct ma_view_guest_pins {
    bool is_judged;
    struct ma_pin_verdict verdict;
    uint64_t account_bytes;
    bool has_memlock;
    uint64_t memlock_soft_bytes, memlock_hard_bytes;
};

struct ma_view_limit { /* one that something is asked of, or memarb's */
    enum ma_limit limit;
    bool has_now;
    bool is_ours;
    uint64_t asked, now_value, before;
    enum ma_limit_note note;
};

/* What is heard of a guest's own agent. */
enum ma_agent_state {
    MA_AGENT_NONE,
    MA_AGENT_FRESH,
    MA_AGENT_STALE, /* it said something, too long ago to count */
    MA_AGENT_QUARANTINED,
    MA_AGENT_DISAGREES, /* fresh, and the host sees otherwise */
    MA_AGENT_STATE_COUNT
};

struct ma_view_guest { /* parallel to snapshot.guests */
    pid_t pid;
    bool is_on_libvirt;
    bool is_on_qmp;
    enum ma_agent_state agent;
    const char *agent_says;   /* ma_disagreement_name(), with MA_AGENT_DISAGREES; static */
    uint64_t veto_until_usec; /* it is not squeezed where others suffice; 0: none */
    bool is_stuck;            /* its calls do not return: quarantine */
    uint64_t held_until_usec; /* 0: no hold */
    const char *problem;      /* of its metadata; NULL: none */
    const char *cgroup;       /* ma_cgroup_lack_name(); NULL: not looked at yet; static */
    uint32_t taken;           /* enum ma_taken */
    uint64_t balloon_before_bytes;
    uint64_t balloon_ours_bytes;
    uint64_t paused_since_usec;
    enum ma_cooperation cooperation;
    uint64_t rate_bytes_per_s;
    struct ma_view_guest_pins pins;
    const struct ma_view_limit *limits;
    size_t n_limits;
    bool has_config_origin; /* config_from_rules is known */
    /* enum ma_config_has: said by a [Guest ...] section, not by metadata */
    uint32_t config_from_rules;
};

/* What became of a start that asked. */
enum ma_start { MA_START_ADMITTED, MA_START_REFUSED, MA_START_ONLY_TOLD, MA_START_COUNT };

/* Since memarbd started. */
struct ma_view_counters {
    uint64_t cycles;
    uint64_t lines_dropped; /* of record and journal */
    uint64_t started[MA_ACTION_COUNT];
    uint64_t done[MA_ACTION_COUNT];
    uint64_t failed[MA_ACTION_COUNT];            /* refused, timed out, or the guest was gone */
    uint64_t kernel_kills[MA_OOM_VERDICT_COUNT]; /* MA_OOM_NONE: of nobody known to be a guest's */
    uint64_t starts[MA_START_COUNT];             /* that asked, dry questions left out */
    uint64_t late_demands; /* guests that were given more than there was room for, past the hook */
    uint64_t agent_alarms, agent_vetoes, agent_quarantines;
};

struct ma_view {
    uint64_t seq;
    uint64_t published_usec;          /* CLOCK_MONOTONIC */
    uint64_t published_realtime_usec; /* CLOCK_REALTIME */
    struct ma_snapshot snapshot;
    struct ma_plan plan;
    const struct ma_view_guest *guests;
    struct ma_view_pins pins;
    /* the daemon itself */
    uint64_t started_usec;
    enum ma_arm arm;
    bool is_arm_override; /* by memarbctl, over what the configuration says */
    bool is_dry_run;
    uint32_t disarmed_actions; /* breaker: MA_ACTION_BIT()s */
    bool in_incident;
    uint64_t incident_since_usec;
    uint32_t victims_in_incident;
    uint64_t quiet_until_usec; /* no victim before this; 0: none */
    struct ma_pending_victim pending;
    uint64_t time_left_usec[MA_ROWS_MAX]; /* per plan row; MA_USEC_INFINITY: not shrinking */
    bool is_libvirt_wanted;
    bool is_libvirt_connected;
    uint32_t n_qmp_peers;
    const char *host_meaning, *cgroup_layout; /* "machine"; ma_cgroup_layout_name(); static */
    uint64_t psi_window_usec;                 /* of the trigger; 0: no trigger */
    uint64_t tick_usec;                       /* present sampling period */
    enum ma_admit_mode admission_mode;
    struct ma_commitments commitments;
    uint32_t n_reservations;
    uint64_t kernel_kills; /* guests that the kernel killed since memarbd started */
    uint64_t held_bytes;   /* for guests on their way, as far as they do not have it yet */
    struct ma_view_counters counters;
};

/* What an operator may ask of the loop. */
enum ma_command_kind {
    MA_COMMAND_ARM,    /* arm: the rung; clears the breaker */
    MA_COMMAND_DISARM, /* back to observe */
    MA_COMMAND_HOLD,   /* guest, duration_usec (0: lift the hold) */
    MA_COMMAND_RELEASE, /* guest or "" for all: give everything back and take nothing more until the next arm */
    MA_COMMAND_RELOAD,  /* read the configuration again */
    MA_COMMAND_FORGET,  /* guest: its start failed or it ended; nothing is held for it */
    MA_COMMAND_READMIT, /* guest: may start although memarb ended it */
};
struct ma_command {
    enum ma_command_kind kind;
    enum ma_arm arm;
    char guest[MA_UUID_MAX]; /* uuid */
    uint64_t duration_usec;
};
