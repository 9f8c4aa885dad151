/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fields-settings.c - the keys of "settings": as said (snapshot), in force (plan), whole (record's header). */
#include "fields.h"

#include "bytes.h"
#include "settings.h"

#define COUNTER_MAX ((uint64_t) INT64_MAX)

#define AT(member) .offset = (uint32_t) offsetof(struct ma_settings, member)
#define NUMBER(k, t, p, member, bit, m)                                                            \
    { .key = (k), .type = MA_FIELD_##t, .presence = (p), AT(member), .has_bit = (bit), .max = (m) }
/* The contract's eight, once for each presence. */
#define CONTRACT(p)                                                                                \
    NUMBER("reserve_bytes", U64, p, reserve_bytes, MA_SETTINGS_HAS_RESERVE, MA_BYTES_MAX),         \
        NUMBER("soft_watermark_bytes", U64, p, soft_watermark_bytes, MA_SETTINGS_HAS_SOFT,         \
               MA_BYTES_MAX),                                                                      \
        NUMBER("hard_watermark_bytes", U64, p, hard_watermark_bytes, MA_SETTINGS_HAS_HARD,         \
               MA_BYTES_MAX),                                                                      \
        NUMBER("critical_watermark_bytes", U64, p, critical_watermark_bytes,                       \
               MA_SETTINGS_HAS_CRITICAL, MA_BYTES_MAX),                                            \
        NUMBER("margin_permyriad", U32, p, margin_permyriad, MA_SETTINGS_HAS_MARGIN,               \
               MA_PERMYRIAD_FULL),                                                                 \
        NUMBER("horizon_usec", U64, p, horizon_usec, MA_SETTINGS_HAS_HORIZON, COUNTER_MAX),        \
        {.key = "arm",                                                                             \
         .type = MA_FIELD_NAME,                                                                    \
         .presence = (p),                                                                          \
         AT(arm),                                                                                  \
         .has_bit = MA_SETTINGS_HAS_ARM,                                                           \
         .names = &ma_names_arm},                                                                  \
    {                                                                                              \
        .key = "policy", .type = MA_FIELD_CHARS, .presence = (p), AT(policy),                      \
        .has_bit = MA_SETTINGS_HAS_POLICY, .size = MA_POLICY_NAME_MAX                              \
    }
#define OTHER(k, t, member, m) NUMBER(k, t, MA_FIELD_DEFAULT, member, 0, m)
#define SET(table, array)                                                                          \
    const struct ma_field_set table = {array, sizeof(array) / sizeof((array)[0]),                  \
                                       (uint32_t) offsetof(struct ma_settings, has),               \
                                       (uint32_t) sizeof(struct ma_settings)}

static const struct ma_field said_fields[] = {CONTRACT(MA_FIELD_BY_BIT)};
SET(ma_fields_settings_said, said_fields);

static const struct ma_field plan_fields[] = {CONTRACT(MA_FIELD_DEFAULT)};
SET(ma_fields_settings_plan, plan_fields);

static const struct ma_field whole_fields[] = {
    CONTRACT(MA_FIELD_DEFAULT),
    OTHER("stale_usec", U64, stale_usec, COUNTER_MAX),
    OTHER("guarantee_permyriad", U32, guarantee_permyriad, MA_PERMYRIAD_FULL),
    OTHER("quiet_usec", U64, quiet_usec, COUNTER_MAX),
    OTHER("pause_max_usec", U64, pause_max_usec, COUNTER_MAX),
    OTHER("operator_resume_usec", U64, operator_resume_usec, COUNTER_MAX),
    OTHER("max_victims_per_incident", U32, max_victims_per_incident, MA_GUESTS_MAX),
    OTHER("max_victims_per_hour", U32, max_victims_per_hour, MA_GUESTS_MAX),
    OTHER("culprit_first", BOOL, culprit_first, 0),
    OTHER("balloon_period_usec", U64, balloon_period_usec, COUNTER_MAX),
    OTHER("balloon_dead_band_bytes", U64, balloon_dead_band_bytes, MA_BYTES_MAX),
    OTHER("balloon_slew_permyriad", U32, balloon_slew_permyriad, MA_PERMYRIAD_FULL),
    OTHER("balloon_dwell_usec", U64, balloon_dwell_usec, COUNTER_MAX),
    OTHER("balloon_margin_bytes", U64, balloon_margin_bytes, MA_BYTES_MAX),
    OTHER("balloon_margin_permyriad", U32, balloon_margin_permyriad, MA_PERMYRIAD_FULL),
};
SET(ma_fields_settings_whole, whole_fields);
