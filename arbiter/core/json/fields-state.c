/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fields-state.c - the keys of the controller's memory (state_before of a record, and the file between two lives).
 * Every member of struct ma_state stands here but max_guests, which is the reader's own; what is 0 is left out. */
#include "fields.h"

#include "state.h"

/* Unlike the contract's figures these are our own, and all their bits must come back. */
#define ANY_U64 UINT64_MAX
#define ANY_I64 (UINT64_C(1) << 63)
#define ANY_U32 UINT32_MAX

#define SET(table, array, type)                                                                    \
    const struct ma_field_set table = {array, sizeof(array) / sizeof((array)[0]), 0,               \
                                       (uint32_t) sizeof(struct type)}
#define ZERO(k, t, st, member, m)                                                                  \
    {                                                                                              \
        .key = (k), .type = MA_FIELD_##t, .presence = MA_FIELD_BY_ZERO,                            \
        .offset = (uint32_t) offsetof(struct st, member), .max = (m)                               \
    }
#define ZERO_SIZED(k, t, st, member, n, m)                                                         \
    {                                                                                              \
        .key = (k), .type = MA_FIELD_##t, .presence = MA_FIELD_BY_ZERO,                            \
        .offset = (uint32_t) offsetof(struct st, member), .size = (n), .max = (m)                  \
    }
#define ZERO_NAME(k, t, st, member, n)                                                             \
    {                                                                                              \
        .key = (k), .type = MA_FIELD_##t, .presence = MA_FIELD_BY_ZERO,                            \
        .offset = (uint32_t) offsetof(struct st, member), .names = &(n)                            \
    }
#define TABLE(k, st, member, count, n, s)                                                          \
    {                                                                                              \
        .key = (k), .type = MA_FIELD_TABLE, .presence = MA_FIELD_BY_ZERO,                          \
        .offset = (uint32_t) offsetof(struct st, member),                                          \
        .count_offset = (uint32_t) offsetof(struct st, count), .size = (n), .sub = &(s)            \
    }

static const struct ma_field pressure_fields[] = {
    {.key = "resource",
     .type = MA_FIELD_ROW,
     .presence = MA_FIELD_REQUIRED,
     .offset = (uint32_t) offsetof(struct ma_pressure_state, row)},
    ZERO_NAME("state", NAME, ma_pressure_state, pressure, ma_names_pressure),
    ZERO("since_usec", U64, ma_pressure_state, since_usec, ANY_U64),
    ZERO("calm_since_usec", U64, ma_pressure_state, calm_since_usec, ANY_U64),
    ZERO("last_sample_usec", U64, ma_pressure_state, last_sample_usec, ANY_U64),
    ZERO("last_available_bytes", U64, ma_pressure_state, last_available_bytes, ANY_U64),
    ZERO("slope_bytes_per_s", I64, ma_pressure_state, slope_bytes_per_s, ANY_I64),
    ZERO("has_slope", BOOL, ma_pressure_state, has_slope, 0),
    ZERO("exhausting_since_usec", U64, ma_pressure_state, exhausting_since_usec, ANY_U64),
    ZERO("gentle_since_usec", U64, ma_pressure_state, gentle_since_usec, ANY_U64),
    ZERO_SIZED("low_slot_usec", U64S, ma_pressure_state, low_slot_usec, MA_NEW_LOW_SLOTS, ANY_U64),
    ZERO_SIZED(
        "low_slot_bytes", U64S, ma_pressure_state, low_slot_bytes, MA_NEW_LOW_SLOTS, ANY_U64),
};
static SET(pressure_set, pressure_fields, ma_pressure_state);

static const struct ma_field pending_fields[] = {
    ZERO("pending", BOOL, ma_pending_victim, is_pending, 0),
    ZERO_NAME("action", NAME, ma_pending_victim, action, ma_names_action),
    ZERO("n_guests", U32, ma_pending_victim, n_guests, MA_VICTIM_MEMBERS_MAX),
    ZERO_SIZED("guests", UUIDS, ma_pending_victim, uuid, MA_VICTIM_MEMBERS_MAX, 0),
    ZERO("taken_usec", U64, ma_pending_victim, taken_usec, ANY_U64),
    ZERO("deadline_usec", U64, ma_pending_victim, deadline_usec, ANY_U64),
    ZERO("predicted_bytes", U64, ma_pending_victim, predicted_bytes, ANY_U64),
    ZERO("available_before_bytes", U64, ma_pending_victim, available_before_bytes, ANY_U64),
    ZERO("held_before_bytes", U64, ma_pending_victim, held_before_bytes, ANY_U64),
    ZERO("slope_before_bytes_per_s", I64, ma_pending_victim, slope_before_bytes_per_s, ANY_I64),
    ZERO("gone_usec", U64, ma_pending_victim, gone_usec, ANY_U64),
};
static SET(pending_set, pending_fields, ma_pending_victim);

static const struct ma_field guest_fields[] = {
    {.key = "uuid",
     .type = MA_FIELD_CHARS,
     .presence = MA_FIELD_REQUIRED,
     .offset = (uint32_t) offsetof(struct ma_guest_memory, uuid),
     .size = MA_UUID_MAX},
    ZERO_NAME("taken", BITS, ma_guest_memory, taken, ma_names_taken),
    ZERO("balloon_before_bytes", U64, ma_guest_memory, balloon_before_bytes, ANY_U64),
    ZERO("balloon_ours_bytes", U64, ma_guest_memory, balloon_ours_bytes, ANY_U64),
    ZERO("resize_before_bytes", U64, ma_guest_memory, resize_before_bytes, ANY_U64),
    ZERO("resize_ours_bytes", U64, ma_guest_memory, resize_ours_bytes, ANY_U64),
    ZERO("balloon_is_settled", BOOL, ma_guest_memory, balloon_is_settled, 0),
    ZERO("resize_is_settled", BOOL, ma_guest_memory, resize_is_settled, 0),
    ZERO("paused_since_usec", U64, ma_guest_memory, paused_since_usec, ANY_U64),
    ZERO("pause_is_settled", BOOL, ma_guest_memory, pause_is_settled, 0),
    ZERO("resume_sent_usec", U64, ma_guest_memory, resume_sent_usec, ANY_U64),
    ZERO("exempt_until_usec", U64, ma_guest_memory, exempt_until_usec, ANY_U64),
    ZERO_NAME("refused_actions", BITS, ma_guest_memory, refused_actions, ma_names_action),
    ZERO("refused_until_usec", U64, ma_guest_memory, refused_until_usec, ANY_U64),
    ZERO("reclaim_bytes", U64, ma_guest_memory, reclaim_bytes, ANY_U64),
    ZERO("reclaim_until_usec", U64, ma_guest_memory, reclaim_until_usec, ANY_U64),
    ZERO("rebalance_until_usec", U64, ma_guest_memory, rebalance_until_usec, ANY_U64),
    ZERO("rebalance_to_bytes", U64, ma_guest_memory, rebalance_to_bytes, ANY_U64),
    ZERO("rebalance_from_node", U32, ma_guest_memory, rebalance_from_node, UINT16_MAX),
    ZERO("rebalance_to_node", U32, ma_guest_memory, rebalance_to_node, UINT16_MAX),
    ZERO("last_move_usec", U64, ma_guest_memory, last_move_usec, ANY_U64),
    ZERO("last_direction", I32, ma_guest_memory, last_direction, 1),
    ZERO("last_turn_usec", U64, ma_guest_memory, last_turn_usec, ANY_U64),
    ZERO("move_from_bytes", U64, ma_guest_memory, move_from_bytes, ANY_U64),
    ZERO("balloon_told_bytes", U64, ma_guest_memory, balloon_told_bytes, ANY_U64),
    ZERO("last_actual_bytes", U64, ma_guest_memory, last_actual_bytes, ANY_U64),
    ZERO("last_progress_usec", U64, ma_guest_memory, last_progress_usec, ANY_U64),
    ZERO("rate_bytes_per_s", U64, ma_guest_memory, rate_bytes_per_s, ANY_U64),
    ZERO("rate_from_usec", U64, ma_guest_memory, rate_from_usec, ANY_U64),
    ZERO("rate_from_bytes", U64, ma_guest_memory, rate_from_bytes, ANY_U64),
    ZERO_NAME("cooperation", NAME, ma_guest_memory, cooperation, ma_names_cooperation),
    ZERO("probe_after_usec", U64, ma_guest_memory, probe_after_usec, ANY_U64),
    ZERO("probe_failures", U32, ma_guest_memory, probe_failures, ANY_U32),
    ZERO("used_bytes", U64, ma_guest_memory, used_bytes, ANY_U64),
    ZERO("used_at_usec", U64, ma_guest_memory, used_at_usec, ANY_U64),
    ZERO("used_rise_bytes_per_s", U64, ma_guest_memory, used_rise_bytes_per_s, ANY_U64),
    ZERO("working_peak_bytes", U64, ma_guest_memory, working_peak_bytes, ANY_U64),
    ZERO("working_peak_usec", U64, ma_guest_memory, working_peak_usec, ANY_U64),
    ZERO("usual_peak_bytes", U64, ma_guest_memory, usual_peak_bytes, ANY_U64),
    ZERO_SIZED("walk_usec", U64S, ma_guest_memory, walk_usec, MA_WALK_MAX, ANY_U64),
    ZERO_SIZED("walk_bytes", U64S, ma_guest_memory, walk_bytes, MA_WALK_MAX, ANY_U64),
    ZERO("resident_before_bytes", U64, ma_guest_memory, resident_before_bytes, ANY_U64),
    ZERO("refused_count", U32, ma_guest_memory, refused_count, ANY_U32),
    ZERO("grown_from_bytes", U64, ma_guest_memory, grown_from_bytes, ANY_U64),
    ZERO("grown_held_bytes", U64, ma_guest_memory, grown_held_bytes, ANY_U64),
    ZERO("is_grown_on_word", BOOL, ma_guest_memory, is_grown_on_word, 0),
    ZERO("fruitless_looks", U32, ma_guest_memory, fruitless_looks, ANY_U32),
    ZERO("look_again_usec", U64, ma_guest_memory, look_again_usec, ANY_U64),
    ZERO("veto_until_usec", U64, ma_guest_memory, veto_until_usec, ANY_U64),
    ZERO("veto_again_usec", U64, ma_guest_memory, veto_again_usec, ANY_U64),
    ZERO("agent_heard_usec", U64, ma_guest_memory, agent_heard_usec, ANY_U64),
    ZERO("noticed_usec", U64, ma_guest_memory, noticed_usec, ANY_U64),
    ZERO("notice_until_usec", U64, ma_guest_memory, notice_until_usec, ANY_U64),
    ZERO("seen_usec", U64, ma_guest_memory, seen_usec, ANY_U64),
};
SET(ma_fields_guest_memory, guest_fields, ma_guest_memory);

static const struct ma_field state_fields[] = {
    ZERO("seq", U64, ma_state, seq, ANY_U64),
    ZERO("last_tick_usec", U64, ma_state, last_tick_usec, ANY_U64),
    ZERO("last_gap_usec", U64, ma_state, last_gap_usec, ANY_U64),
    ZERO("started_usec", U64, ma_state, started_usec, ANY_U64),
    ZERO("quiet_from_usec", U64, ma_state, quiet_from_usec, ANY_U64),
    TABLE("pressures", ma_state, pressures, n_pressures, MA_ROWS_MAX, pressure_set),
    ZERO("in_incident", BOOL, ma_state, in_incident, 0),
    ZERO("incident_since_usec", U64, ma_state, incident_since_usec, ANY_U64),
    ZERO("victims_in_incident", U32, ma_state, victims_in_incident, ANY_U32),
    ZERO_SIZED("victim_usec", U64S, ma_state, victim_usec, MA_VICTIM_LOG_MAX, ANY_U64),
    ZERO("n_victims_logged", U32, ma_state, n_victims_logged, ANY_U32),
    ZERO_NAME("disarmed_actions", BITS, ma_state, disarmed_actions, ma_names_action),
    ZERO_SIZED("poor_returns", U32S, ma_state, poor_returns, MA_ACTION_OPTION_COUNT, ANY_U32),
    ZERO("victim_need_count", U32, ma_state, victim_need_count, ANY_U32),
    {.key = "pending_victim",
     .type = MA_FIELD_OBJECT,
     .presence = MA_FIELD_DEFAULT,
     .offset = (uint32_t) offsetof(struct ma_state, pending),
     .sub = &pending_set},
    TABLE("guests", ma_state, guests, n_guests, 0, ma_fields_guest_memory),
};
SET(ma_fields_state, state_fields, ma_state);
