/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fields-snapshot.c - the keys of urn:memarb:snapshot:1, in the order in which they are written. */
#include "fields.h"

#include "bytes.h"
#include "snapshot.h"

/* JSON integers beyond this are refused by the reader's parser; times and counters have no other bound. */
#define COUNTER_MAX ((uint64_t) INT64_MAX)
#define NODE_ID_MAX 1023U

#define SET(table, array, type)                                                                    \
    const struct ma_field_set table = {array, sizeof(array) / sizeof((array)[0]),                  \
                                       (uint32_t) offsetof(struct type, has),                      \
                                       (uint32_t) sizeof(struct type)}
#define AT(st, member) .offset = (uint32_t) offsetof(struct st, member)
#define REQUIRED(k, t, st, member, m)                                                              \
    { .key = (k), .type = MA_FIELD_##t, .presence = MA_FIELD_REQUIRED, AT(st, member), .max = (m) }
#define BIT(k, t, st, member, bit, m)                                                              \
    {                                                                                              \
        .key = (k), .type = MA_FIELD_##t, .presence = MA_FIELD_BY_BIT, AT(st, member),             \
        .has_bit = (bit), .max = (m)                                                               \
    }
#define BIT_NAME(k, t, st, member, bit, n)                                                         \
    {                                                                                              \
        .key = (k), .type = MA_FIELD_##t, .presence = MA_FIELD_BY_BIT, AT(st, member),             \
        .has_bit = (bit), .names = &(n)                                                            \
    }
#define PART(k, st, member, s)                                                                     \
    {                                                                                              \
        .key = (k), .type = MA_FIELD_OBJECT, .presence = MA_FIELD_BY_HAS, AT(st, member),          \
        .sub = &(s)                                                                                \
    }
#define LIST(k, pres, st, member, count, s)                                                        \
    {                                                                                              \
        .key = (k), .type = MA_FIELD_ARRAY, .presence = (pres), AT(st, member),                    \
        .count_offset = (uint32_t) offsetof(struct st, count), .sub = &(s)                         \
    }

static const struct ma_field psi_fields[] = {
    BIT("some_avg10_permyriad",
        U32,
        ma_psi,
        some_avg10_permyriad,
        MA_PSI_HAS_SOME_AVG10,
        MA_PERMYRIAD_FULL),
    BIT("full_avg10_permyriad",
        U32,
        ma_psi,
        full_avg10_permyriad,
        MA_PSI_HAS_FULL_AVG10,
        MA_PERMYRIAD_FULL),
    BIT("some_avg60_permyriad",
        U32,
        ma_psi,
        some_avg60_permyriad,
        MA_PSI_HAS_SOME_AVG60,
        MA_PERMYRIAD_FULL),
    BIT("full_avg60_permyriad",
        U32,
        ma_psi,
        full_avg60_permyriad,
        MA_PSI_HAS_FULL_AVG60,
        MA_PERMYRIAD_FULL),
    BIT("some_total_usec", U64, ma_psi, some_total_usec, MA_PSI_HAS_SOME_TOTAL, COUNTER_MAX),
    BIT("full_total_usec", U64, ma_psi, full_total_usec, MA_PSI_HAS_FULL_TOTAL, COUNTER_MAX),
};
static SET(psi_set, psi_fields, ma_psi);

static const struct ma_field node_fields[] = {
    REQUIRED("id", U16, ma_node, id, NODE_ID_MAX),
    REQUIRED("total_bytes", U64, ma_node, total_bytes, MA_BYTES_MAX),
    REQUIRED("available_bytes", U64, ma_node, available_bytes, MA_BYTES_MAX),
    BIT("slope_bytes_per_s", I64, ma_node, slope_bytes_per_s, MA_NODE_HAS_SLOPE, MA_BYTES_MAX),
    BIT("hugepage_total_bytes",
        U64,
        ma_node,
        hugepage_total_bytes,
        MA_NODE_HAS_HUGEPAGES,
        MA_BYTES_MAX),
    BIT("hugepage_free_bytes",
        U64,
        ma_node,
        hugepage_free_bytes,
        MA_NODE_HAS_HUGEPAGES,
        MA_BYTES_MAX),
    BIT("sampled_age_usec", U64, ma_node, sampled_age_usec, MA_NODE_HAS_AGE, COUNTER_MAX),
};
SET(ma_fields_node, node_fields, ma_node);

static const struct ma_field host_fields[] = {
    REQUIRED("total_bytes", U64, ma_host, total_bytes, MA_BYTES_MAX),
    REQUIRED("available_bytes", U64, ma_host, available_bytes, MA_BYTES_MAX),
    BIT("slope_bytes_per_s", I64, ma_host, slope_bytes_per_s, MA_HOST_HAS_SLOPE, MA_BYTES_MAX),
    BIT("swap_total_bytes", U64, ma_host, swap_total_bytes, MA_HOST_HAS_SWAP, MA_BYTES_MAX),
    BIT("swap_free_bytes", U64, ma_host, swap_free_bytes, MA_HOST_HAS_SWAP, MA_BYTES_MAX),
    BIT("committed_bytes", U64, ma_host, committed_bytes, MA_HOST_HAS_COMMITTED, MA_BYTES_MAX),
    BIT("commit_limit_bytes",
        U64,
        ma_host,
        commit_limit_bytes,
        MA_HOST_HAS_COMMIT_LIMIT,
        MA_BYTES_MAX),
    BIT("pin_budget_bytes", U64, ma_host, pin_budget_bytes, MA_HOST_HAS_PIN_BUDGET, MA_BYTES_MAX),
    PART("pressure", ma_host, pressure, psi_set),
    LIST("nodes", MA_FIELD_BY_HAS, ma_host, nodes, n_nodes, ma_fields_node),
    BIT("sampled_age_usec", U64, ma_host, sampled_age_usec, MA_HOST_HAS_AGE, COUNTER_MAX),
};
static SET(host_set, host_fields, ma_host);

static const struct ma_field config_fields[] = {
    BIT("impact", IMPACT, ma_guest_config, impact, MA_CONFIG_HAS_IMPACT, MA_IMPACT_MAX),
    {.key = "shares",
     .type = MA_FIELD_U32,
     .presence = MA_FIELD_BY_BIT,
     AT(ma_guest_config, shares),
     .has_bit = MA_CONFIG_HAS_SHARES,
     .min = 1,
     .max = MA_SHARES_MAX},
    BIT("guarantee_bytes",
        U64,
        ma_guest_config,
        guarantee_bytes,
        MA_CONFIG_HAS_GUARANTEE,
        MA_BYTES_MAX),
    BIT("limit_bytes", U64, ma_guest_config, limit_bytes, MA_CONFIG_HAS_LIMIT, MA_BYTES_MAX),
    BIT("pin_limit_bytes",
        U64,
        ma_guest_config,
        pin_limit_bytes,
        MA_CONFIG_HAS_PIN_LIMIT,
        MA_BYTES_MAX),
    BIT("cap_memory_bytes",
        U64,
        ma_guest_config,
        cap_memory_bytes,
        MA_CONFIG_HAS_CAP_MEMORY,
        MA_BYTES_MAX),
    BIT("cap_swap_bytes",
        U64,
        ma_guest_config,
        cap_swap_bytes,
        MA_CONFIG_HAS_CAP_SWAP,
        MA_BYTES_MAX),
    BIT_NAME(
        "actions", BITS, ma_guest_config, actions, MA_CONFIG_HAS_ACTIONS, ma_names_option_action),
    BIT("group", TEXT, ma_guest_config, group, MA_CONFIG_HAS_GROUP, 0),
    BIT("restart_usec", U64, ma_guest_config, restart_usec, MA_CONFIG_HAS_RESTART, COUNTER_MAX),
    BIT("shutdown_timeout_usec",
        U64,
        ma_guest_config,
        shutdown_timeout_usec,
        MA_CONFIG_HAS_SHUTDOWN_TIMEOUT,
        COUNTER_MAX),
    BIT("cap_pids", U64, ma_guest_config, cap_pids, MA_CONFIG_HAS_CAP_PIDS, COUNTER_MAX),
    BIT("cap_cpu_permyriad",
        U64,
        ma_guest_config,
        cap_cpu_permyriad,
        MA_CONFIG_HAS_CAP_CPU,
        COUNTER_MAX),
    BIT("valid", NOT_BOOL, ma_guest_config, is_invalid, MA_CONFIG_HAS_VALID, 0),
};
static SET(config_set, config_fields, ma_guest_config);

static const struct ma_field guest_node_fields[] = {
    REQUIRED("id", U16, ma_guest_node, id, NODE_ID_MAX),
    REQUIRED("resident_bytes", U64, ma_guest_node, resident_bytes, MA_BYTES_MAX),
    BIT("pinned_bytes", U64, ma_guest_node, pinned_bytes, MA_GUEST_NODE_HAS_PINNED, MA_BYTES_MAX),
    BIT("hugepage_bytes",
        U64,
        ma_guest_node,
        hugepage_bytes,
        MA_GUEST_NODE_HAS_HUGEPAGES,
        MA_BYTES_MAX),
};
SET(ma_fields_guest_node, guest_node_fields, ma_guest_node);

static const struct ma_field balloon_fields[] = {
    BIT_NAME("state", NAME, ma_balloon, state, MA_BALLOON_HAS_STATE, ma_names_balloon_state),
    BIT("target_bytes", U64, ma_balloon, target_bytes, MA_BALLOON_HAS_TARGET, MA_BYTES_MAX),
    BIT("rate_bytes_per_s", U64, ma_balloon, rate_bytes_per_s, MA_BALLOON_HAS_RATE, MA_BYTES_MAX),
    BIT_NAME("inhibited_by",
             BITS,
             ma_balloon,
             inhibited_by,
             MA_BALLOON_HAS_INHIBITED_BY,
             ma_names_inhibitor),
};
static SET(balloon_set, balloon_fields, ma_balloon);

static const struct ma_field stats_fields[] = {
    BIT("age_usec", U64, ma_stats, age_usec, MA_STATS_HAS_AGE, COUNTER_MAX),
    BIT("total_bytes", U64, ma_stats, claimed_total_bytes, MA_STATS_HAS_TOTAL, MA_BYTES_MAX),
    BIT("free_bytes", U64, ma_stats, claimed_free_bytes, MA_STATS_HAS_FREE, MA_BYTES_MAX),
    BIT("available_bytes",
        U64,
        ma_stats,
        claimed_available_bytes,
        MA_STATS_HAS_AVAILABLE,
        MA_BYTES_MAX),
    BIT("cache_bytes", U64, ma_stats, claimed_cache_bytes, MA_STATS_HAS_CACHE, MA_BYTES_MAX),
    BIT("swap_in_bytes_per_s",
        U64,
        ma_stats,
        claimed_swap_in_bytes_per_s,
        MA_STATS_HAS_SWAP_IN,
        MA_BYTES_MAX),
    BIT("swap_out_bytes_per_s",
        U64,
        ma_stats,
        claimed_swap_out_bytes_per_s,
        MA_STATS_HAS_SWAP_OUT,
        MA_BYTES_MAX),
    BIT("major_faults_per_s",
        U64,
        ma_stats,
        claimed_major_faults_per_s,
        MA_STATS_HAS_MAJOR_FAULTS,
        COUNTER_MAX),
};
static SET(stats_set, stats_fields, ma_stats);

static const struct ma_field virtio_mem_fields[] = {
    BIT("plugged_bytes",
        U64,
        ma_virtio_mem,
        plugged_bytes,
        MA_VIRTIO_MEM_HAS_PLUGGED,
        MA_BYTES_MAX),
    BIT("requested_bytes",
        U64,
        ma_virtio_mem,
        requested_bytes,
        MA_VIRTIO_MEM_HAS_REQUESTED,
        MA_BYTES_MAX),
    BIT("max_bytes", U64, ma_virtio_mem, max_bytes, MA_VIRTIO_MEM_HAS_MAX, MA_BYTES_MAX),
    BIT("block_bytes", U64, ma_virtio_mem, block_bytes, MA_VIRTIO_MEM_HAS_BLOCK, MA_BYTES_MAX),
};
static SET(virtio_mem_set, virtio_mem_fields, ma_virtio_mem);

static const struct ma_field guest_fields[] = {
    REQUIRED("uuid", TEXT, ma_guest, uuid, 0),
    REQUIRED("name", TEXT, ma_guest, name, 0),
    {.key = "state",
     .type = MA_FIELD_NAME,
     .presence = MA_FIELD_REQUIRED,
     AT(ma_guest, state),
     .names = &ma_names_guest_state},
    BIT("uptime_usec", U64, ma_guest, uptime_usec, MA_GUEST_HAS_UPTIME, COUNTER_MAX),
    BIT("sampled_age_usec", U64, ma_guest, sampled_age_usec, MA_GUEST_HAS_AGE, COUNTER_MAX),
    BIT("held", BOOL, ma_guest, is_held, MA_GUEST_HAS_HELD, 0),
    BIT("paused_by_memarb", BOOL, ma_guest, is_paused_by_memarb, MA_GUEST_HAS_PAUSED_BY_MEMARB, 0),
    PART("config", ma_guest, config, config_set),
    BIT("max_bytes", U64, ma_guest, max_bytes, MA_GUEST_HAS_MAX, MA_BYTES_MAX),
    BIT("actual_bytes", U64, ma_guest, actual_bytes, MA_GUEST_HAS_ACTUAL, MA_BYTES_MAX),
    BIT("resident_bytes", U64, ma_guest, resident_bytes, MA_GUEST_HAS_RESIDENT, MA_BYTES_MAX),
    BIT("swap_bytes", U64, ma_guest, swap_bytes, MA_GUEST_HAS_SWAP, MA_BYTES_MAX),
    BIT("pinned_bytes", U64, ma_guest, pinned_bytes, MA_GUEST_HAS_PINNED, MA_BYTES_MAX),
    BIT("memlock_limit_bytes",
        U64,
        ma_guest,
        memlock_limit_bytes,
        MA_GUEST_HAS_MEMLOCK_LIMIT,
        MA_BYTES_MAX),
    BIT("memlock_unlimited",
        BOOL,
        ma_guest,
        is_memlock_unlimited,
        MA_GUEST_HAS_MEMLOCK_UNLIMITED,
        0),
    BIT("hugepage_bytes", U64, ma_guest, hugepage_bytes, MA_GUEST_HAS_HUGEPAGES, MA_BYTES_MAX),
    BIT_NAME("placement", NAME, ma_guest, placement, MA_GUEST_HAS_PLACEMENT, ma_names_placement),
    LIST("nodes", MA_FIELD_BY_HAS, ma_guest, nodes, n_nodes, ma_fields_guest_node),
    PART("balloon", ma_guest, balloon, balloon_set),
    PART("stats", ma_guest, stats, stats_set),
    PART("pressure", ma_guest, pressure, psi_set),
    BIT("cpu_permyriad_of_vcpus",
        U32,
        ma_guest,
        cpu_permyriad_of_vcpus,
        MA_GUEST_HAS_CPU,
        MA_PERMYRIAD_FULL),
    PART("virtio_mem", ma_guest, virtio_mem, virtio_mem_set),
    BIT("dirty_bytes", U64, ma_guest, dirty_bytes, MA_GUEST_HAS_DIRTY, MA_BYTES_MAX),
    BIT("io_permyriad_of_p95",
        U32,
        ma_guest,
        io_permyriad_of_p95,
        MA_GUEST_HAS_IO,
        MA_PERMYRIAD_FULL),
    BIT("victim_count_24h",
        U64,
        ma_guest,
        victim_count_24h,
        MA_GUEST_HAS_VICTIM_COUNT,
        COUNTER_MAX),
    BIT("shared_bytes", U64, ma_guest, shared_bytes, MA_GUEST_HAS_SHARED, MA_BYTES_MAX),
    BIT("growth_bytes_per_s", I64, ma_guest, growth_bytes_per_s, MA_GUEST_HAS_GROWTH, MA_BYTES_MAX),
};
SET(ma_fields_guest, guest_fields, ma_guest);

static const struct ma_field snapshot_fields[] = {
    REQUIRED("taken_at_usec", U64, ma_snapshot, taken_at_usec, COUNTER_MAX),
    {.key = "host",
     .type = MA_FIELD_OBJECT,
     .presence = MA_FIELD_REQUIRED,
     AT(ma_snapshot, host),
     .sub = &host_set},
    LIST("guests", MA_FIELD_REQUIRED, ma_snapshot, guests, n_guests, ma_fields_guest),
    PART("settings", ma_snapshot, settings, ma_fields_settings_said),
};
const struct ma_field_set ma_fields_snapshot = {
    snapshot_fields, sizeof(snapshot_fields) / sizeof(snapshot_fields[0]), 0,
    (uint32_t) sizeof(struct ma_snapshot)};
