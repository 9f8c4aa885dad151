/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* snapshot.h - what is known of the host and its guests at one moment (contract: urn:memarb:snapshot:1).
 *
 * A snapshot is built once, then never changed: decisions, readers and records all see the same figures. It borrows
 * its arrays and strings from whoever built it and owns nothing. A figure that is not known has its bit in `has`
 * clear and reads 0; code asks the bit, never compares with 0. Sizes are bytes <= MA_BYTES_MAX, ratios permyriad,
 * times microseconds of CLOCK_MONOTONIC. Guests are sorted by uuid (bytewise), uuids are unique. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "settings.h"

enum ma_guest_state {
    MA_GUEST_STARTING,
    MA_GUEST_RUNNING,
    MA_GUEST_PAUSED,
    MA_GUEST_SAVING,
    MA_GUEST_MIGRATING,
    MA_GUEST_SHUTTING_DOWN,
    MA_GUEST_CRASHED,
    MA_GUEST_STATE_COUNT
};

enum ma_balloon_state {
    MA_BALLOON_ABSENT,
    MA_BALLOON_READY,
    MA_BALLOON_INHIBITED,
    MA_BALLOON_UNCOOPERATIVE,
    MA_BALLOON_STATE_COUNT
};

enum ma_placement {
    MA_PLACEMENT_STRICT,
    MA_PLACEMENT_PREFERRED,
    MA_PLACEMENT_INTERLEAVE,
    MA_PLACEMENT_DEFAULT,
    MA_PLACEMENT_COUNT
};

/* Bits of ma_balloon.inhibited_by, in the contract's order. */
enum ma_inhibitor {
    MA_INHIBITOR_VFIO = 1U << 0,
    MA_INHIBITOR_VDPA = 1U << 1,
    MA_INHIBITOR_LOCKED = 1U << 2,
    MA_INHIBITOR_HUGEPAGES = 1U << 3,
    MA_INHIBITOR_POSTCOPY = 1U << 4,
    MA_INHIBITOR_CONFIDENTIAL = 1U << 5,
    MA_INHIBITOR_STARTING = 1U << 6,
    MA_INHIBITOR_OTHER = 1U << 7,
};
#define MA_INHIBITOR_COUNT 8

/* What may be done with a guest. The order is the ladder, gentle first. */
enum ma_action {
    MA_ACTION_BALLOON,
    MA_ACTION_RESIZE,
    MA_ACTION_RECLAIM,
    MA_ACTION_PAUSE,
    MA_ACTION_SAVE,
    MA_ACTION_SHUTDOWN,
    MA_ACTION_KILL,
    /* below: never an option of the planner, and not in `config.actions` */
    MA_ACTION_RESUME,
    MA_ACTION_CAP,
    MA_ACTION_MEMLOCK,
    MA_ACTION_OOM_ADJ,
    MA_ACTION_REBALANCE,
    MA_ACTION_EXHAUSTED,
    MA_ACTION_COUNT
};
#define MA_ACTION_OPTION_COUNT (MA_ACTION_KILL + 1)
#define MA_ACTION_BIT(action)  (1U << (unsigned) (action))
/* All that metadata may allow; save only where it is named (it writes all guest memory to disk). */
#define MA_ACTIONS_DEFAULT                                                                         \
    (MA_ACTION_BIT(MA_ACTION_BALLOON) | MA_ACTION_BIT(MA_ACTION_RESIZE) |                          \
     MA_ACTION_BIT(MA_ACTION_RECLAIM) | MA_ACTION_BIT(MA_ACTION_PAUSE) |                           \
     MA_ACTION_BIT(MA_ACTION_SHUTDOWN) | MA_ACTION_BIT(MA_ACTION_KILL))
static inline bool ma_action_is_victim(enum ma_action action) {
    return action >= MA_ACTION_PAUSE && action <= MA_ACTION_KILL;
}

/* Contract names of the enums above; NULL beyond the last. */
const char *ma_guest_state_name(enum ma_guest_state state);
const char *ma_balloon_state_name(enum ma_balloon_state state);
const char *ma_placement_name(enum ma_placement placement);
const char *ma_inhibitor_name(unsigned index); /* 0..MA_INHIBITOR_COUNT-1 */
const char *ma_action_name(enum ma_action action);
/* The reverse: index, or -1. */
int ma_guest_state_from_name(const char *name);
int ma_balloon_state_from_name(const char *name);
int ma_placement_from_name(const char *name);
int ma_inhibitor_index_from_name(const char *name);
int ma_action_from_name(const char *name);

enum ma_psi_has {
    MA_PSI_HAS_SOME_AVG10 = 1U << 0,
    MA_PSI_HAS_FULL_AVG10 = 1U << 1,
    MA_PSI_HAS_SOME_AVG60 = 1U << 2,
    MA_PSI_HAS_FULL_AVG60 = 1U << 3,
    MA_PSI_HAS_SOME_TOTAL = 1U << 4,
    MA_PSI_HAS_FULL_TOTAL = 1U << 5,
};
struct ma_psi {
    uint32_t has; /* 0: no pressure figures at all */
    uint32_t some_avg10_permyriad;
    uint32_t full_avg10_permyriad;
    uint32_t some_avg60_permyriad;
    uint32_t full_avg60_permyriad;
    uint64_t some_total_usec;
    uint64_t full_total_usec;
};

enum ma_node_has {
    MA_NODE_HAS_SLOPE = 1U << 0,
    MA_NODE_HAS_HUGEPAGES = 1U << 1, /* total and free together */
    MA_NODE_HAS_AGE = 1U << 2,
};
struct ma_node {
    uint32_t has;
    uint16_t id; /* 0..1023, sparse */
    uint64_t total_bytes;
    uint64_t available_bytes;
    int64_t slope_bytes_per_s;
    uint64_t hugepage_total_bytes;
    uint64_t hugepage_free_bytes;
    uint64_t sampled_age_usec;
};

enum ma_host_has {
    MA_HOST_HAS_SLOPE = 1U << 0,
    MA_HOST_HAS_SWAP = 1U << 1, /* total and free together */
    MA_HOST_HAS_COMMITTED = 1U << 2,
    MA_HOST_HAS_COMMIT_LIMIT = 1U << 3,
    MA_HOST_HAS_PIN_BUDGET = 1U << 4,
    MA_HOST_HAS_AGE = 1U << 5,
};
struct ma_host {
    uint32_t has;
    uint64_t total_bytes;
    uint64_t available_bytes;
    int64_t slope_bytes_per_s; /* change of available, negative when it shrinks */
    uint64_t swap_total_bytes;
    uint64_t swap_free_bytes;
    uint64_t committed_bytes;
    uint64_t commit_limit_bytes;
    uint64_t pin_budget_bytes;
    uint64_t sampled_age_usec;
    struct ma_psi pressure;
    const struct ma_node *nodes; /* sorted by id, ids unique */
    size_t n_nodes;
};

enum ma_guest_node_has {
    MA_GUEST_NODE_HAS_PINNED = 1U << 0,
    MA_GUEST_NODE_HAS_HUGEPAGES = 1U << 1,
};
struct ma_guest_node {
    uint32_t has;
    uint16_t id;
    uint64_t resident_bytes;
    uint64_t pinned_bytes;
    uint64_t hugepage_bytes;
};

/* What an operator says of a guest (metadata, host rules, defaults), already merged. */
enum ma_impact_class {
    MA_IMPACT_WEIGHT, /* ma_guest_config.impact holds 1..1000 */
    MA_IMPACT_NEVER,
    MA_IMPACT_FIRST,
};
#define MA_IMPACT_DEFAULT 100U
#define MA_IMPACT_MAX     1000U
#define MA_SHARES_DEFAULT 1000U
#define MA_SHARES_MAX     1000000U

enum ma_config_has {
    MA_CONFIG_HAS_IMPACT = 1U << 0,
    MA_CONFIG_HAS_SHARES = 1U << 1,
    MA_CONFIG_HAS_GUARANTEE = 1U << 2,
    MA_CONFIG_HAS_LIMIT = 1U << 3,
    MA_CONFIG_HAS_PIN_LIMIT = 1U << 4,
    MA_CONFIG_HAS_CAP_MEMORY = 1U << 5,
    MA_CONFIG_HAS_CAP_SWAP = 1U << 6,
    MA_CONFIG_HAS_ACTIONS = 1U << 7,
    MA_CONFIG_HAS_GROUP = 1U << 8,
    MA_CONFIG_HAS_RESTART = 1U << 9,
    MA_CONFIG_HAS_SHUTDOWN_TIMEOUT = 1U << 10,
    MA_CONFIG_HAS_CAP_PIDS = 1U << 11,
    MA_CONFIG_HAS_CAP_CPU = 1U << 12,
    MA_CONFIG_HAS_VALID = 1U << 13, /* `is_invalid` was said, either way */
};
struct ma_guest_config {
    uint32_t has;
    enum ma_impact_class impact_class;
    uint32_t impact;
    uint32_t shares;
    uint32_t actions; /* MA_ACTION_BIT()s; without the bit in `has`: MA_ACTIONS_DEFAULT */
    bool is_invalid;  /* its metadata is bad and no good value is known: no victim */
    uint64_t guarantee_bytes;
    uint64_t limit_bytes;
    uint64_t pin_limit_bytes;
    uint64_t cap_memory_bytes;
    uint64_t cap_swap_bytes;
    uint64_t cap_pids;
    uint64_t cap_cpu_permyriad;
    uint64_t restart_usec;
    uint64_t shutdown_timeout_usec;
    const char *group; /* NULL: none */
};

enum ma_balloon_has {
    MA_BALLOON_HAS_STATE = 1U << 0,
    MA_BALLOON_HAS_TARGET = 1U << 1,
    MA_BALLOON_HAS_RATE = 1U << 2,
    MA_BALLOON_HAS_INHIBITED_BY = 1U << 3,
};
struct ma_balloon {
    uint32_t has; /* 0: nothing is known of a balloon; it is not counted on */
    enum ma_balloon_state state;
    uint32_t inhibited_by; /* enum ma_inhibitor bits */
    uint64_t target_bytes;
    uint64_t rate_bytes_per_s; /* measured, of its last moves */
};

/* Claims of the guest: bounded by what the host measured before anybody uses them. */
enum ma_stats_has {
    MA_STATS_HAS_AGE = 1U << 0,
    MA_STATS_HAS_TOTAL = 1U << 1,
    MA_STATS_HAS_FREE = 1U << 2,
    MA_STATS_HAS_AVAILABLE = 1U << 3,
    MA_STATS_HAS_CACHE = 1U << 4,
    MA_STATS_HAS_SWAP_IN = 1U << 5,
    MA_STATS_HAS_SWAP_OUT = 1U << 6,
    MA_STATS_HAS_MAJOR_FAULTS = 1U << 7,
};
struct ma_stats {
    uint32_t has;
    uint64_t age_usec;
    uint64_t claimed_total_bytes;
    uint64_t claimed_free_bytes;
    uint64_t claimed_available_bytes;
    uint64_t claimed_cache_bytes;
    uint64_t claimed_swap_in_bytes_per_s;
    uint64_t claimed_swap_out_bytes_per_s;
    uint64_t claimed_major_faults_per_s;
};

enum ma_virtio_mem_has {
    MA_VIRTIO_MEM_HAS_PLUGGED = 1U << 0,
    MA_VIRTIO_MEM_HAS_REQUESTED = 1U << 1,
    MA_VIRTIO_MEM_HAS_MAX = 1U << 2,
    MA_VIRTIO_MEM_HAS_BLOCK = 1U << 3,
};
struct ma_virtio_mem {
    uint32_t has;
    uint64_t plugged_bytes;
    uint64_t requested_bytes;
    uint64_t max_bytes;
    uint64_t block_bytes;
};

enum ma_guest_has {
    MA_GUEST_HAS_UPTIME = 1U << 0,
    MA_GUEST_HAS_AGE = 1U << 1,
    MA_GUEST_HAS_MAX = 1U << 2,
    MA_GUEST_HAS_ACTUAL = 1U << 3,
    MA_GUEST_HAS_RESIDENT = 1U << 4,
    MA_GUEST_HAS_SWAP = 1U << 5,
    MA_GUEST_HAS_PINNED = 1U << 6,
    MA_GUEST_HAS_MEMLOCK_LIMIT = 1U << 7,
    MA_GUEST_HAS_HUGEPAGES = 1U << 8,
    MA_GUEST_HAS_PLACEMENT = 1U << 9,
    MA_GUEST_HAS_CPU = 1U << 10,
    MA_GUEST_HAS_DIRTY = 1U << 11,
    MA_GUEST_HAS_IO = 1U << 12,
    MA_GUEST_HAS_VICTIM_COUNT = 1U << 13,
    MA_GUEST_HAS_SHARED = 1U << 14,
    MA_GUEST_HAS_GROWTH = 1U << 15,
    MA_GUEST_HAS_MEMLOCK_UNLIMITED = 1U << 16,
    MA_GUEST_HAS_HELD = 1U << 17,
    MA_GUEST_HAS_PAUSED_BY_MEMARB = 1U << 18,
};
struct ma_guest {
    const char *uuid;
    const char *name;
    enum ma_guest_state state;
    uint32_t has;
    uint64_t uptime_usec;
    uint64_t sampled_age_usec; /* age of the oldest host-side figure */
    bool is_held;              /* the operator said: leave it alone */
    bool is_paused_by_memarb;
    bool is_memlock_unlimited;
    enum ma_placement placement;
    struct ma_guest_config config;
    uint64_t max_bytes;    /* RAM + DIMMs, the balloon's arithmetic; virtio-mem apart */
    uint64_t actual_bytes; /* said by the guest, clamped to max */
    uint64_t resident_bytes;
    uint64_t swap_bytes;
    uint64_t pinned_bytes; /* unmovable */
    uint64_t memlock_limit_bytes;
    uint64_t hugepage_bytes;
    uint64_t shared_bytes;
    int64_t growth_bytes_per_s; /* resident + swap, as the host measures it */
    uint64_t dirty_bytes;
    uint32_t cpu_permyriad_of_vcpus;
    uint32_t io_permyriad_of_p95;
    uint64_t victim_count_24h;
    const struct ma_guest_node *nodes; /* sorted by id, ids unique */
    size_t n_nodes;
    struct ma_balloon balloon;
    struct ma_stats stats;
    struct ma_psi pressure;
    struct ma_virtio_mem virtio_mem;
};

struct ma_snapshot {
    uint64_t taken_at_usec;
    struct ma_host host;
    const struct ma_guest *guests;
    size_t n_guests;
    struct ma_settings settings;
};

/* Index of the guest with that uuid, or SIZE_MAX. O(log n). */
size_t ma_snapshot_find(const struct ma_snapshot *snapshot, const char *uuid);
/* The node with that id, or NULL. */
const struct ma_node *ma_snapshot_node(const struct ma_snapshot *snapshot, uint16_t id);
