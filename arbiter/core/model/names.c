/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* names.c - every name of the contract stands here once; a table that is shorter or longer than its enum does not
 * compile. */
#include "names.h"

#include <assert.h>
#include <string.h>

#include "impact.h"
#include "pressure.h"
#include "reason.h"
#include "settings.h"
#include "snapshot.h"
#include "state.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define NAME_TABLE(table, strings, expected)                                                       \
    static_assert(COUNT_OF(strings) == (expected), "one name per value");                          \
    const struct ma_names table = {strings, (unsigned) COUNT_OF(strings)}

static const char *const guest_states[] = {
    [MA_GUEST_STARTING] = "starting",   [MA_GUEST_RUNNING] = "running",
    [MA_GUEST_PAUSED] = "paused",       [MA_GUEST_SAVING] = "saving",
    [MA_GUEST_MIGRATING] = "migrating", [MA_GUEST_SHUTTING_DOWN] = "shutting-down",
    [MA_GUEST_CRASHED] = "crashed",
};
NAME_TABLE(ma_names_guest_state, guest_states, MA_GUEST_STATE_COUNT);

static const char *const balloon_states[] = {
    [MA_BALLOON_ABSENT] = "absent",
    [MA_BALLOON_READY] = "ready",
    [MA_BALLOON_INHIBITED] = "inhibited",
    [MA_BALLOON_UNCOOPERATIVE] = "uncooperative",
};
NAME_TABLE(ma_names_balloon_state, balloon_states, MA_BALLOON_STATE_COUNT);

static const char *const placements[] = {
    [MA_PLACEMENT_STRICT] = "strict",
    [MA_PLACEMENT_PREFERRED] = "preferred",
    [MA_PLACEMENT_INTERLEAVE] = "interleave",
    [MA_PLACEMENT_DEFAULT] = "default",
};
NAME_TABLE(ma_names_placement, placements, MA_PLACEMENT_COUNT);

static const char *const inhibitors[] = {
    "vfio", "vdpa", "locked", "hugepages", "postcopy", "confidential", "starting", "other",
};
NAME_TABLE(ma_names_inhibitor, inhibitors, MA_INHIBITOR_COUNT);
static_assert(MA_INHIBITOR_OTHER == 1U << (MA_INHIBITOR_COUNT - 1), "bits in the table's order");

static const char *const actions[] = {
    [MA_ACTION_BALLOON] = "balloon",
    [MA_ACTION_RESIZE] = "resize",
    [MA_ACTION_RECLAIM] = "reclaim",
    [MA_ACTION_PAUSE] = "pause",
    [MA_ACTION_SAVE] = "save",
    [MA_ACTION_SHUTDOWN] = "shutdown",
    [MA_ACTION_KILL] = "kill",
    [MA_ACTION_RESUME] = "resume",
    [MA_ACTION_CAP] = "cap",
    [MA_ACTION_MEMLOCK] = "memlock",
    [MA_ACTION_OOM_ADJ] = "oom-adj",
    [MA_ACTION_REBALANCE] = "rebalance",
    [MA_ACTION_EXHAUSTED] = "exhausted",
};
NAME_TABLE(ma_names_action, actions, MA_ACTION_COUNT);
const struct ma_names ma_names_option_action = {actions, MA_ACTION_OPTION_COUNT};

static const char *const arms[] = {
    [MA_ARM_OBSERVE] = "observe",
    [MA_ARM_RECLAIM] = "reclaim",
    [MA_ARM_PAUSE] = "pause",
    [MA_ARM_KILL] = "kill",
};
NAME_TABLE(ma_names_arm, arms, MA_ARM_COUNT);

static const char *const pressures[] = {
    [MA_PRESSURE_NORMAL] = "normal",
    [MA_PRESSURE_SOFT] = "soft",
    [MA_PRESSURE_HARD] = "hard",
    [MA_PRESSURE_CRITICAL] = "critical",
};
NAME_TABLE(ma_names_pressure, pressures, MA_PRESSURE_COUNT);

static const char *const cooperations[] = {
    [MA_COOPERATION_UNKNOWN] = "unknown",
    [MA_COOPERATION_GOOD] = "good",
    [MA_COOPERATION_SLOW] = "slow",
    [MA_COOPERATION_STUCK] = "stuck",
};
NAME_TABLE(ma_names_cooperation, cooperations, MA_COOPERATION_COUNT);

static const char *const takens[] = {"balloon", "pause", "resize"};
NAME_TABLE(ma_names_taken, takens, 3);
static_assert(MA_TAKEN_BALLOON == 1U && MA_TAKEN_PAUSE == 2U && MA_TAKEN_RESIZE == 4U,
              "bits in the table's order");

static const char *const impact_terms[] = {
    [MA_TERM_WEIGHT] = "weight", [MA_TERM_BASE] = "base",       [MA_TERM_AGE] = "age",
    [MA_TERM_CPU] = "cpu",       [MA_TERM_IO] = "io",           [MA_TERM_FOOT] = "foot",
    [MA_TERM_DIRTY] = "dirty",   [MA_TERM_RESTART] = "restart", [MA_TERM_HISTORY] = "history",
};
NAME_TABLE(ma_names_impact_term, impact_terms, MA_TERM_COUNT);

static const char *const reasons[] = {
    [MA_REASON_NONE] = "none",
    [MA_REASON_IDLE_MEMORY] = "idle-memory",
    [MA_REASON_CACHE_MEMORY] = "cache-memory",
    [MA_REASON_DIVISION] = "division",
    [MA_REASON_TO_GUARANTEE] = "to-guarantee",
    [MA_REASON_UNPLUG] = "unplug",
    [MA_REASON_COLD_PAGES] = "cold-pages",
    [MA_REASON_GUEST_PRESSURE] = "guest-pressure",
    [MA_REASON_GIVE_BACK] = "give-back",
    [MA_REASON_LEAST_IMPACT] = "least-impact",
    [MA_REASON_CULPRIT] = "culprit",
    [MA_REASON_FIRST] = "first",
    [MA_REASON_GROUP] = "group",
    [MA_REASON_PAUSE_EXPIRED] = "pause-expired",
    [MA_REASON_NO_ELIGIBLE_OPTION] = "no-eligible-option",
    [MA_REASON_PINNED_MEANWHILE] = "pinned-meanwhile",
    [MA_REASON_ROOM_ELSEWHERE] = "room-elsewhere",
    [MA_REASON_NEVER] = "never",
    [MA_REASON_STALE] = "stale",
    [MA_REASON_MISSING_FIGURES] = "missing-figures",
    [MA_REASON_HELD] = "held",
    [MA_REASON_STARTING] = "starting",
    [MA_REASON_MIGRATING] = "migrating",
    [MA_REASON_SAVING] = "saving",
    [MA_REASON_SHUTTING_DOWN] = "shutting-down",
    [MA_REASON_CRASHED] = "crashed",
    [MA_REASON_INVALID_METADATA] = "invalid-metadata",
    [MA_REASON_GROUP_INELIGIBLE] = "group-ineligible",
    [MA_REASON_GROUP_TOO_LARGE] = "group-too-large",
    [MA_REASON_NO_ACTION_ALLOWED] = "no-action-allowed",
    [MA_REASON_RESUMED_BY_OPERATOR] = "resumed-by-operator",
    [MA_REASON_PAUSED_BY_OPERATOR] = "paused-by-operator",
    [MA_REASON_IN_FLIGHT] = "in-flight",
    [MA_REASON_PLACEMENT] = "placement",
    [MA_REASON_NOT_ARMED] = "not-armed",
    [MA_REASON_BREAKER_INCIDENT] = "breaker-incident",
    [MA_REASON_BREAKER_HOUR] = "breaker-hour",
    [MA_REASON_BREAKER_RETURNS] = "breaker-returns",
    [MA_REASON_QUIET_TIME] = "quiet-time",
    [MA_REASON_ONE_SAMPLE] = "one-sample",
    [MA_REASON_LATE_TICK] = "late-tick",
    [MA_REASON_VICTIM_PENDING] = "victim-pending",
    [MA_REASON_GENTLE_SUFFICES] = "gentle-suffices",
    [MA_REASON_BELOW_GUARANTEE] = "below-guarantee",
    [MA_REASON_INHIBITED] = "inhibited",
    [MA_REASON_UNCOOPERATIVE] = "uncooperative",
    [MA_REASON_WOULD_SHORTEN] = "would-shorten",
    [MA_REASON_NO_BALLOON] = "no-balloon",
    [MA_REASON_HOST_STALE] = "host-stale",
    [MA_REASON_NO_LONGER_NEEDED] = "no-longer-needed",
    [MA_REASON_ANNOUNCED] = "announced",
};
NAME_TABLE(ma_names_reason, reasons, MA_REASON_COUNT);

const char *ma_names_at(const struct ma_names *names, unsigned index) {
    return index < names->count ? names->names[index] : NULL;
}

int ma_names_find(const struct ma_names *names, const char *name) {
    if (name == NULL) {
        return -1;
    }
    for (unsigned i = 0; i < names->count; i++) {
        if (strcmp(names->names[i], name) == 0) {
            return (int) i;
        }
    }
    return -1;
}

const char *ma_guest_state_name(enum ma_guest_state state) {
    return ma_names_at(&ma_names_guest_state, (unsigned) state);
}
const char *ma_balloon_state_name(enum ma_balloon_state state) {
    return ma_names_at(&ma_names_balloon_state, (unsigned) state);
}
const char *ma_placement_name(enum ma_placement placement) {
    return ma_names_at(&ma_names_placement, (unsigned) placement);
}
const char *ma_inhibitor_name(unsigned index) {
    return ma_names_at(&ma_names_inhibitor, index);
}
const char *ma_action_name(enum ma_action action) {
    return ma_names_at(&ma_names_action, (unsigned) action);
}
const char *ma_arm_name(enum ma_arm arm) {
    return ma_names_at(&ma_names_arm, (unsigned) arm);
}
const char *ma_pressure_name(enum ma_pressure pressure) {
    return ma_names_at(&ma_names_pressure, (unsigned) pressure);
}
const char *ma_reason_name(enum ma_reason reason) {
    return ma_names_at(&ma_names_reason, (unsigned) reason);
}
const char *ma_cooperation_name(enum ma_cooperation cooperation) {
    return ma_names_at(&ma_names_cooperation, (unsigned) cooperation);
}
const char *ma_impact_term_name(enum ma_impact_term term) {
    return ma_names_at(&ma_names_impact_term, (unsigned) term);
}

int ma_guest_state_from_name(const char *name) {
    return ma_names_find(&ma_names_guest_state, name);
}
int ma_balloon_state_from_name(const char *name) {
    return ma_names_find(&ma_names_balloon_state, name);
}
int ma_placement_from_name(const char *name) {
    return ma_names_find(&ma_names_placement, name);
}
int ma_inhibitor_index_from_name(const char *name) {
    return ma_names_find(&ma_names_inhibitor, name);
}
int ma_action_from_name(const char *name) {
    return ma_names_find(&ma_names_action, name);
}
int ma_arm_from_name(const char *name) {
    return ma_names_find(&ma_names_arm, name);
}
int ma_pressure_from_name(const char *name) {
    return ma_names_find(&ma_names_pressure, name);
}
int ma_reason_from_name(const char *name) {
    return ma_names_find(&ma_names_reason, name);
}
int ma_cooperation_from_name(const char *name) {
    return ma_names_find(&ma_names_cooperation, name);
}
